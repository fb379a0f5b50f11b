//! From an architecture to steps: which operations a layer consists of, and what is fused.
//!
//! Fused: q, k and v are one matrix; gate and up are one matrix; a branch's last product adds straight into the
//! residual stream; norms of q and k, rotation and the cache's write are one operation.

use crate::slots::{Buffer, KvSlot, MatrixSlot, RopeSlot, VectorSlot};
use crate::{Plan, PlanError, PlanOptions, Step, TokenRows};
use slimfit_arch::{
    Activation, Architecture, Attention, FeedForward, LayerRun, Mlp, Moe, NormKind, NormPlacement, Positions,
    QkNorm, RopeScaling, TensorPart, TensorRole,
};
use slimfit_kernels::{
    Activate, ActivationFunction, Attend, Embed, Experts, MatMul, NormFormula, NormOperation, Operation,
    PackedMatrix, QkNormKind, RotateStore, Route,
};
use slimfit_quantity::{NumberFormat, QuantityError};
use std::collections::HashMap;

/// Rotary tables, vectors and matrices are made once for each stored layer, however often it runs.
pub(crate) struct Builder<'a> {
    architecture: &'a Architecture,
    plan: Plan,
    widths: HashMap<Buffer, u64>,
    residual: Buffer,
    layer: Option<u64>,
    matrix_ids: HashMap<(Option<u64>, &'static str), usize>,
    vector_ids: HashMap<(Option<u64>, TensorRole, TensorPart), usize>,
}

/// Where a branch's last product goes.
#[derive(Clone, Copy)]
struct Branch {
    input: Buffer,
    output: Buffer,
    accumulate: Option<f32>,
    rows: TokenRows,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(architecture: &'a Architecture, options: PlanOptions) -> Self {
        let plan = Plan {
            options,
            matrices: Vec::new(),
            vectors: Vec::new(),
            ropes: Vec::new(),
            kv: Vec::new(),
            buffers: Vec::new(),
            steps: Vec::new(),
        };
        Self {
            architecture,
            plan,
            widths: HashMap::new(),
            residual: Buffer::Residual,
            layer: None,
            matrix_ids: HashMap::new(),
            vector_ids: HashMap::new(),
        }
    }

    pub(crate) fn build(mut self) -> Result<Plan, PlanError> {
        self.embedding()?;
        let layers: Vec<&LayerRun> = self.architecture.each_layer().collect();
        for index in self.architecture.execution_order() {
            self.layer = Some(index);
            self.layer(layers[index as usize])?;
        }
        self.layer = None;
        self.head()?;
        let mut buffers: Vec<(Buffer, u64)> = self.widths.into_iter().collect();
        buffers.sort_unstable();
        self.plan.buffers = buffers;
        Ok(self.plan)
    }

    fn embedding(&mut self) -> Result<(), PlanError> {
        let (hidden, vocabulary) = (self.architecture.hidden_size, self.architecture.vocabulary_size);
        let width = self.architecture.embedding_size.unwrap_or(hidden);
        let table = self.matrix("embedding", &[TensorRole::Embedding], vocabulary, width, 1)?;
        let (positions, position_offset) = match self.architecture.positions {
            Positions::Learned { offset, context } => {
                let id = self
                    .vector(&[(TensorRole::PositionTable, TensorPart::Weight)], (offset + context) * hidden);
                (Some(id), Some(offset))
            }
            Positions::None | Positions::Alibi => (None, None),
            Positions::ScaledAlibi => return Err(PlanError::NoKernel { what: "a scaled ALiBi bias" }),
        };
        let factorised = width != hidden;
        if factorised && positions.is_some() {
            // OPT-350m projects first and adds positions after; a gather cannot do both.
            return Err(PlanError::NoKernel {
                what: "a learned position table beside factorised embeddings",
            });
        }
        let output = if factorised { Buffer::Branch } else { self.residual };
        let format = self.plan.matrices[table].format;
        let scale = self.architecture.scales.embedding.unwrap_or(1.0) as f32;
        self.widen(output, width);
        self.push(Step {
            matrix: Some(table),
            vectors: [positions, None, None, None],
            ..self.step(
                "embedding",
                Operation::Embed(Embed { vocabulary, width, format, scale, position_offset }),
                output,
                output,
            )
        });
        if factorised {
            let into = Branch {
                input: Buffer::Branch,
                output: self.residual,
                accumulate: None,
                rows: TokenRows::All,
            };
            self.product("embedding_in", &[TensorRole::EmbeddingIn], hidden, width, false, into, None)?;
        }
        if self.architecture.embedding_norm {
            self.replace_residual("embedding_norm", TensorRole::EmbeddingNorm);
        }
        Ok(())
    }

    fn layer(&mut self, layer: &LayerRun) -> Result<(), PlanError> {
        let scale = self.architecture.scales.residual.unwrap_or(1.0) as f32;
        let residual = self.residual;
        let add = |input| Branch { input, output: residual, accumulate: Some(scale), rows: TokenRows::All };
        match self.architecture.norm_placement {
            NormPlacement::Pre => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.norm("ffn_norm", TensorRole::FfnNorm, residual, Buffer::Normed, None, TokenRows::All);
                self.ffn(&layer.ffn, add(Buffer::Normed))
            }
            NormPlacement::Post => {
                self.attention(&layer.attention, add(residual))?;
                self.replace_residual("attention_norm", TensorRole::AttentionNorm);
                let into = Branch {
                    input: self.residual,
                    output: self.residual,
                    accumulate: Some(scale),
                    rows: TokenRows::All,
                };
                self.ffn(&layer.ffn, into)?;
                self.replace_residual("ffn_norm", TensorRole::FfnNorm);
                Ok(())
            }
            NormPlacement::PostBranch | NormPlacement::Sandwich => {
                let sandwich = self.architecture.norm_placement == NormPlacement::Sandwich;
                let branch =
                    |input| Branch { input, output: Buffer::Branch, accumulate: None, rows: TokenRows::All };
                let input = if sandwich { Buffer::Normed } else { residual };
                self.widen(Buffer::Branch, self.architecture.hidden_size);
                if sandwich {
                    self.norm(
                        "attention_norm",
                        TensorRole::AttentionNorm,
                        residual,
                        input,
                        None,
                        TokenRows::All,
                    );
                }
                self.attention(&layer.attention, branch(input))?;
                let role = TensorRole::AttentionPostNorm;
                self.norm("attention_post_norm", role, Buffer::Branch, residual, Some(scale), TokenRows::All);
                if sandwich {
                    self.norm("ffn_norm", TensorRole::FfnNorm, residual, input, None, TokenRows::All);
                }
                self.ffn(&layer.ffn, branch(input))?;
                let role = TensorRole::FfnPostNorm;
                self.norm("ffn_post_norm", role, Buffer::Branch, residual, Some(scale), TokenRows::All);
                Ok(())
            }
            NormPlacement::ParallelOneNorm => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.ffn(&layer.ffn, add(Buffer::Normed))
            }
            NormPlacement::ParallelTwoNorms => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.norm(
                    "ffn_norm",
                    TensorRole::FfnNorm,
                    residual,
                    Buffer::SecondNormed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.ffn(&layer.ffn, add(Buffer::SecondNormed))
            }
        }
    }

    fn attention(&mut self, attention: &Attention, branch: Branch) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let (query, kv) = (attention.query_size(), attention.kv_size());
        let parts = [TensorRole::Query, TensorRole::Key, TensorRole::Value];
        let fused =
            Branch { input: branch.input, output: Buffer::Projected, accumulate: None, rows: TokenRows::All };
        self.product("qkv", &parts, query + 2 * kv, hidden, attention.bias.qkv, fused, None)?;

        let kv_slot = self.plan.kv.len();
        self.plan.kv.push(KvSlot {
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            positions: self.plan.options.context,
            format: self.plan.options.kv,
        });
        if let Some(RopeScaling::Dynamic { .. }) =
            attention.rope.as_ref().and_then(|rope| rope.scaling.as_ref())
        {
            return Err(PlanError::NoKernel {
                what: "dynamic rotary scaling, which depends on the length of the text,",
            });
        }
        let rope = attention.rope.as_ref().map(|rope| {
            let slot = RopeSlot { rope: rope.clone(), rotated: rope.rotated.unwrap_or(attention.head_size) };
            self.plan.ropes.iter().position(|known| *known == slot).unwrap_or_else(|| {
                self.plan.ropes.push(slot);
                self.plan.ropes.len() - 1
            })
        });
        let rotated = rope.map_or(0, |id| self.plan.ropes[id].rotated);
        let (formula, epsilon, _) = self.norm_formula();
        let qk_norm = match attention.qk_norm {
            QkNorm::None => QkNormKind::None,
            QkNorm::PerHead => QkNormKind::PerHead,
            QkNorm::EachHead => QkNormKind::EachHead,
            QkNorm::AllHeads => QkNormKind::AllHeads,
            QkNorm::PerHeadAfterRotation => {
                return Err(PlanError::NoKernel { what: "a query and key norm after the rotation" });
            }
        };
        let vectors = match attention.qk_norm {
            QkNorm::None => [None; 4],
            QkNorm::EachHead => [
                Some(self.norm_vector(TensorRole::QueryNorm, query)),
                None,
                Some(self.norm_vector(TensorRole::KeyNorm, kv)),
                None,
            ],
            QkNorm::PerHead | QkNorm::PerHeadAfterRotation | QkNorm::AllHeads => {
                match self.architecture.norm.kind {
                    NormKind::Layer => {
                        return Err(PlanError::NoKernel { what: "a bias on the norm of queries and keys" });
                    }
                    NormKind::LayerPlain => {
                        return Err(PlanError::NoKernel {
                            what: "a norm of queries and keys without weights",
                        });
                    }
                    NormKind::Rms | NormKind::LayerNoBias => {}
                }
                let all = attention.qk_norm == QkNorm::AllHeads;
                let (query, kv) = if all { (query, kv) } else { (attention.head_size, attention.head_size) };
                let [query_weight, query_bias] = self.norm_vectors(TensorRole::QueryNorm, query);
                let [key_weight, key_bias] = self.norm_vectors(TensorRole::KeyNorm, kv);
                [query_weight, query_bias, key_weight, key_bias]
            }
        };
        if vectors[1].is_some() || vectors[3].is_some() {
            return Err(PlanError::NoKernel { what: "a query and key norm with a bias" });
        }
        let kv_format = self.plan.options.kv;
        let rotate = RotateStore {
            heads: attention.heads,
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            rotated,
            interleaved: attention.rope.as_ref().is_some_and(|rope| rope.interleaved),
            qk_norm,
            norm: (formula, epsilon),
            clip: attention.qkv_clip.map(|clip| clip as f32),
            kv_format,
        };
        self.push(Step {
            vectors,
            kv: Some(kv_slot),
            rope,
            ..self.step("rotate_store", Operation::RotateStore(rotate), Buffer::Projected, Buffer::Projected)
        });
        let attend = Attend {
            heads: attention.heads,
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            window: attention.window,
            scale: attention.scale.unwrap_or_else(|| 1.0 / (attention.head_size as f64).sqrt()) as f32,
            softcap: attention.softcap.map(|cap| cap as f32),
            alibi: self.architecture.positions == Positions::Alibi,
            kv_format,
        };
        self.widen(Buffer::Mixed, query);
        self.push(Step {
            kv: Some(kv_slot),
            ..self.step("attention", Operation::Attend(attend), Buffer::Projected, Buffer::Mixed)
        });
        let out = Branch { input: Buffer::Mixed, ..branch };
        self.product(
            "attention_output",
            &[TensorRole::AttentionOutput],
            hidden,
            query,
            attention.bias.output,
            out,
            None,
        )
    }

    fn ffn(&mut self, ffn: &FeedForward, branch: Branch) -> Result<(), PlanError> {
        match ffn {
            FeedForward::Dense(mlp) => self.mlp(mlp, branch),
            FeedForward::Moe(moe) => self.moe(moe, branch),
        }
    }

    fn mlp(&mut self, mlp: &Mlp, branch: Branch) -> Result<(), PlanError> {
        let roles = if mlp.gated { &[TensorRole::Gate, TensorRole::Up][..] } else { &[TensorRole::Up] };
        let labels = if mlp.gated { ["gate_up", "activation", "down"] } else { ["up", "activation", "down"] };
        self.inner(labels, roles, TensorRole::Down, mlp, branch)
    }

    /// Up (and gate), non-linearity, down.
    fn inner(
        &mut self,
        [up_label, activation_label, down_label]: [&'static str; 3],
        up_roles: &[TensorRole],
        down_role: TensorRole,
        mlp: &Mlp,
        branch: Branch,
    ) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let up =
            Branch { input: branch.input, output: Buffer::Projected, accumulate: None, rows: TokenRows::All };
        self.product(up_label, up_roles, mlp.size * up_roles.len() as u64, hidden, mlp.bias, up, None)?;
        let activate = Activate { size: mlp.size, gated: mlp.gated, function: function(mlp.activation) };
        self.widen(Buffer::Mixed, mlp.size);
        self.push(self.step(
            activation_label,
            Operation::Activate(activate),
            Buffer::Projected,
            Buffer::Mixed,
        ));
        let down = Branch { input: Buffer::Mixed, ..branch };
        self.product(down_label, &[down_role], hidden, mlp.size, mlp.bias, down, None)
    }

    fn moe(&mut self, moe: &Moe, branch: Branch) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let router =
            self.matrix_as("router", &[TensorRole::Router], moe.experts, hidden, 1, NumberFormat::F32)?;
        let bias =
            moe.router_bias.then(|| self.vector(&[(TensorRole::Router, TensorPart::Bias)], moe.experts));
        let route = Route {
            columns: hidden,
            experts: moe.experts,
            top_k: moe.top_k,
            normalise: moe.normalise_top_k,
            bias: moe.router_bias,
        };
        self.widen(Buffer::Routing, moe.experts + 2 * moe.top_k);
        self.push(Step {
            matrix: Some(router),
            vectors: [bias, None, None, None],
            ..self.step("router", Operation::Route(route), branch.input, Buffer::Routing)
        });
        let up_roles = if moe.gated {
            &[TensorRole::ExpertGate, TensorRole::ExpertUp][..]
        } else {
            &[TensorRole::ExpertUp]
        };
        let up_rows = moe.expert_size * up_roles.len() as u64;
        let up = self.matrix("experts_gate_up", up_roles, up_rows, hidden, moe.experts)?;
        let down =
            self.matrix("experts_down", &[TensorRole::ExpertDown], hidden, moe.expert_size, moe.experts)?;
        let experts = Experts {
            columns: hidden,
            size: moe.expert_size,
            experts: moe.experts,
            top_k: moe.top_k,
            gated: moe.gated,
            function: function(moe.activation),
            format: self.plan.matrices[up].format,
            scale: branch.accumulate.unwrap_or(1.0),
        };
        self.push(Step {
            matrix: Some(up),
            second_matrix: Some(down),
            ..self.step("experts", Operation::Experts(experts), branch.input, branch.output)
        });
        if moe.shared_size == 0 {
            return Ok(());
        }
        if moe.shared_gate {
            let scale = Branch {
                input: branch.input,
                output: Buffer::Routing,
                accumulate: None,
                rows: TokenRows::All,
            };
            self.product("shared_scale", &[TensorRole::SharedExpertGate], 1, hidden, false, scale, None)?;
        }
        let shared = Mlp { size: moe.shared_size, gated: moe.gated, activation: moe.activation, bias: false };
        let roles = if moe.gated {
            &[TensorRole::SharedGate, TensorRole::SharedUp][..]
        } else {
            &[TensorRole::SharedUp]
        };
        let into = Branch { accumulate: Some(branch.accumulate.unwrap_or(1.0)), ..branch };
        self.inner(
            ["shared_gate_up", "shared_activation", "shared_down"],
            roles,
            TensorRole::SharedDown,
            &shared,
            into,
        )
    }

    /// Only the last token's logits are wanted: its row becomes row 0, and the steps after work on row 0.
    fn head(&mut self) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let width = self.architecture.embedding_size.unwrap_or(hidden);
        let (mut input, mut rows) = (self.residual, TokenRows::Last);
        let scale = self.architecture.scales.logits.unwrap_or(1.0) as f32;
        let scalable = self.architecture.final_norm && self.architecture.norm.kind != NormKind::LayerPlain;
        if scale != 1.0 && !scalable {
            return Err(PlanError::NoKernel {
                what: "a factor on logits without a final norm that stores weights",
            });
        }
        if self.architecture.final_norm {
            self.norm("final_norm", TensorRole::FinalNorm, input, Buffer::Normed, None, rows);
            // W (s x) = s W x: the factor on logits is free where it scales what the norm stores.
            for id in self.norm_vectors(TensorRole::FinalNorm, hidden).into_iter().flatten() {
                self.plan.vectors[id].scale = scale;
            }
            (input, rows) = (Buffer::Normed, TokenRows::First);
        }
        if width != hidden {
            let into = Branch { input, output: Buffer::Branch, accumulate: None, rows };
            self.product("embedding_out", &[TensorRole::EmbeddingOut], width, hidden, false, into, None)?;
            (input, rows) = (Buffer::Branch, TokenRows::First);
        }
        let vocabulary = self.architecture.vocabulary_size;
        let into = Branch { input, output: Buffer::Logits, accumulate: None, rows };
        let softcap = self.architecture.scales.logit_softcap.map(|cap| cap as f32);
        let (label, role) = if self.architecture.tied_embeddings {
            ("embedding", TensorRole::Embedding)
        } else {
            ("head", TensorRole::Head)
        };
        let table = self.matrix(label, &[role], vocabulary, width, 1)?;
        let bias = self.head_bias();
        self.product_of("head", table, bias, into, softcap);
        Ok(())
    }

    fn head_bias(&mut self) -> Option<usize> {
        let values = self.architecture.vocabulary_size;
        let scale = self.architecture.scales.logits.unwrap_or(1.0) as f32;
        self.architecture.head_bias.then(|| {
            let id = self.vector(&[(TensorRole::Head, TensorPart::Bias)], values);
            self.plan.vectors[id].scale = scale;
            id
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one call a product, each argument a different thing")]
    fn product(
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

    fn product_of(
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

    fn norm(
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
    fn replace_residual(&mut self, label: &'static str, role: TensorRole) {
        let next = if self.residual == Buffer::Residual { Buffer::Spare } else { Buffer::Residual };
        self.norm(label, role, self.residual, next, None, TokenRows::All);
        self.residual = next;
    }

    fn norm_formula(&self) -> (NormFormula, f32, NormKind) {
        let norm = self.architecture.norm;
        let formula = if norm.kind == NormKind::Rms { NormFormula::Rms } else { NormFormula::Layer };
        (formula, norm.epsilon as f32, norm.kind)
    }

    fn norm_vectors(&mut self, role: TensorRole, values: u64) -> [Option<usize>; 2] {
        let kind = self.architecture.norm.kind;
        let weight = (kind != NormKind::LayerPlain).then(|| self.norm_vector(role, values));
        let bias = (kind == NormKind::Layer).then(|| self.vector(&[(role, TensorPart::Bias)], values));
        [weight, bias]
    }

    fn norm_vector(&mut self, role: TensorRole, values: u64) -> usize {
        let id = self.vector(&[(role, TensorPart::Weight)], values);
        self.plan.vectors[id].plus_one = self.architecture.norm.weight_plus_one;
        id
    }

    fn vector(&mut self, parts: &[(TensorRole, TensorPart)], values: u64) -> usize {
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

    fn matrix(
        &mut self,
        label: &'static str,
        roles: &[TensorRole],
        rows: u64,
        columns: u64,
        count: u64,
    ) -> Result<usize, PlanError> {
        self.matrix_as(label, roles, rows, columns, count, self.plan.options.weights)
    }

    fn matrix_as(
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

    fn widen(&mut self, buffer: Buffer, values: u64) {
        let width = self.widths.entry(buffer).or_insert(0);
        *width = (*width).max(values);
    }

    fn step(&self, label: &'static str, operation: Operation, input: Buffer, output: Buffer) -> Step {
        Step {
            label,
            layer: self.layer,
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

    fn push(&mut self, step: Step) {
        self.plan.steps.push(step);
    }
}

fn function(activation: Activation) -> ActivationFunction {
    match activation {
        Activation::Silu => ActivationFunction::Silu,
        Activation::Gelu => ActivationFunction::Gelu,
        Activation::GeluTanh => ActivationFunction::GeluTanh,
        Activation::Relu => ActivationFunction::Relu,
        Activation::ReluSquared => ActivationFunction::ReluSquared,
    }
}
