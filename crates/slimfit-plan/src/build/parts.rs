//! What every step is put together from: products, norms, and the slots that each tensor gets once.

use super::{Branch, Builder};
use crate::slots::{Buffer, MatrixSlot, VectorSlot};
use crate::{Plan, PlanError, Step, TokenRows};
use slimfit_arch::{NormKind, TensorPart, TensorRole};
use slimfit_kernels::{MatMul, NormFormula, NormOperation, Operation, PackedMatrix};
use slimfit_quantity::{NumberFormat, QuantityError};

impl Builder<'_> {
    pub(super) fn head_bias(&mut self) -> Option<usize> {
        let values = self.architecture.vocabulary_size;
        let scale = self.architecture.scales.logits.unwrap_or(1.0) as f32;
        self.architecture.head_bias.then(|| {
            let id = self.vector(&[(TensorRole::Head, TensorPart::Bias)], values);
            self.plan.vectors[id].scale = scale;
            id
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one call a product, each argument a different thing")]
    pub(super) fn product(
        &mut self,
        label: &'static str,
        roles: &[TensorRole],
        rows: u64,
        columns: u64,
        bias: bool,
        branch: Branch,
        softcap: Option<f32>,
    ) -> Result<(), PlanError> {
        let matrix = self.matrix(label, roles, rows, columns, 1)?;
        let bias = bias.then(|| {
            let parts: Vec<_> = roles.iter().map(|role| (*role, TensorPart::Bias)).collect();
            self.vector(&parts, rows)
        });
        self.product_of(label, matrix, bias, branch, softcap);
        Ok(())
    }

    pub(super) fn product_of(
        &mut self,
        label: &'static str,
        matrix: usize,
        bias: Option<usize>,
        branch: Branch,
        softcap: Option<f32>,
    ) {
        let MatrixSlot { rows, columns, format, .. } = self.plan.matrices[matrix];
        let operation =
            MatMul { rows, columns, format, bias: bias.is_some(), accumulate: branch.accumulate, softcap };
        self.widen(branch.output, rows);
        self.push(Step {
            matrix: Some(matrix),
            rows: branch.rows,
            vectors: [bias, None, None, None],
            ..self.step(label, Operation::MatMul(operation), branch.input, branch.output)
        });
    }

    pub(super) fn norm(
        &mut self,
        label: &'static str,
        role: TensorRole,
        input: Buffer,
        output: Buffer,
        accumulate: Option<f32>,
        rows: TokenRows,
    ) {
        let width = self.architecture.hidden_size;
        let (formula, epsilon, _) = self.norm_formula();
        let [weight, bias] = self.norm_vectors(role, width);
        let operation = NormOperation {
            width,
            formula,
            epsilon,
            weight: weight.is_some(),
            bias: bias.is_some(),
            accumulate,
        };
        self.widen(output, width);
        self.push(Step {
            rows,
            vectors: [weight, bias, None, None],
            ..self.step(label, Operation::Norm(operation), input, output)
        });
    }

    /// A norm that replaces the residual stream: the two residual buffers change places.
    pub(super) fn replace_residual(&mut self, label: &'static str, role: TensorRole) {
        let next = if self.residual == Buffer::Residual { Buffer::Spare } else { Buffer::Residual };
        self.norm(label, role, self.residual, next, None, TokenRows::All);
        self.residual = next;
    }

    pub(super) fn norm_formula(&self) -> (NormFormula, f32, NormKind) {
        let norm = self.architecture.norm;
        let formula = if norm.kind == NormKind::Rms { NormFormula::Rms } else { NormFormula::Layer };
        (formula, norm.epsilon as f32, norm.kind)
    }

    pub(super) fn norm_vectors(&mut self, role: TensorRole, values: u64) -> [Option<usize>; 2] {
        let kind = self.architecture.norm.kind;
        let weight = (kind != NormKind::LayerPlain).then(|| self.norm_vector(role, values));
        let bias = (kind == NormKind::Layer).then(|| self.vector(&[(role, TensorPart::Bias)], values));
        [weight, bias]
    }

    pub(super) fn norm_vector(&mut self, role: TensorRole, values: u64) -> usize {
        let id = self.vector(&[(role, TensorPart::Weight)], values);
        self.plan.vectors[id].plus_one = self.architecture.norm.weight_plus_one;
        id
    }

    pub(super) fn vector(&mut self, parts: &[(TensorRole, TensorPart)], values: u64) -> usize {
        let key = (self.layer, parts[0].0, parts[0].1);
        *self.vector_ids.entry(key).or_insert_with(|| {
            self.plan.vectors.push(VectorSlot {
                layer: self.layer,
                parts: parts.to_vec(),
                values,
                plus_one: false,
                scale: 1.0,
            });
            self.plan.vectors.len() - 1
        })
    }

    /// The format of matrices that are computed as one.
    pub(super) fn format_of(&self, roles: &[TensorRole]) -> NumberFormat {
        let Plan { options, formats, .. } = &self.plan;
        formats.of(roles.iter().copied(), self.layer, options.weights)
    }

    /// A matrix in the format that its columns allow, see [`NumberFormat::for_columns`].
    pub(super) fn matrix(
        &mut self,
        label: &'static str,
        roles: &[TensorRole],
        rows: u64,
        columns: u64,
        count: u64,
    ) -> Result<usize, PlanError> {
        let format = self.format_of(roles).for_columns(columns);
        self.matrix_as(label, roles, rows, columns, count, format)
    }

    pub(super) fn matrix_as(
        &mut self,
        label: &'static str,
        roles: &[TensorRole],
        rows: u64,
        columns: u64,
        count: u64,
        format: NumberFormat,
    ) -> Result<usize, PlanError> {
        if let Some(&id) = self.matrix_ids.get(&(self.layer, label)) {
            return Ok(id);
        }
        format.bytes_for(columns).map_err(|source| PlanError::Format { label, columns, source })?;
        let one = PackedMatrix::packed_bytes(format, rows, columns, self.plan.options.isa)?;
        let packed_bytes =
            one.checked_mul(count).ok_or(QuantityError::Overflow { what: "the packed weights" })?;
        let id = self.plan.matrices.len();
        self.plan.matrices.push(MatrixSlot {
            label,
            layer: self.layer,
            parts: roles.to_vec(),
            rows,
            columns,
            count,
            format,
            packed_bytes,
        });
        self.matrix_ids.insert((self.layer, label), id);
        Ok(id)
    }

    pub(super) fn widen(&mut self, buffer: Buffer, values: u64) {
        let width = self.widths.entry(buffer).or_insert(0);
        *width = (*width).max(values);
    }

    pub(super) fn step(
        &self,
        label: &'static str,
        operation: Operation,
        input: Buffer,
        output: Buffer,
    ) -> Step {
        Step {
            label,
            layer: self.layer,
            part: self.part,
            operation,
            rows: TokenRows::All,
            input,
            output,
            matrix: None,
            second_matrix: None,
            vectors: [None; 4],
            kv: None,
            rope: None,
        }
    }

    pub(super) fn push(&mut self, step: Step) {
        self.plan.steps.push(step);
    }
}
