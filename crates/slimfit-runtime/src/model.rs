//! A model in memory: an architecture, its plan and its packed weights.

use crate::available;
use crate::weights::{self, Weights};
use crate::{RuntimeError, TensorSource};
use slimfit_arch::{Architecture, Positions};
use slimfit_kernels::{Kernels, Operation, Tuning, TuningKey};
use slimfit_plan::{Plan, PlanOptions, TokenRows, WeightFormats};

/// Weights packed for one instruction set, shared by any number of sessions one after the other.
#[derive(Debug)]
pub struct Model {
    architecture: Architecture,
    plan: Plan,
    kernels: Kernels,
    weights: Weights,
    tuning: Tuning,
}

impl Model {
    /// Plans `architecture` and loads its weights from `source`, on all threads of the machine.
    ///
    /// # Errors
    /// An axis without a kernel, a matrix that its format cannot hold, a context past the learned positions, more
    /// memory than is available (weights, cache, buffers and scratch together, before any of it is allocated), or what
    /// the source reports.
    pub fn load(
        architecture: &Architecture,
        options: PlanOptions,
        source: &dyn TensorSource,
    ) -> Result<Self, RuntimeError> {
        Self::load_with_formats(architecture, options, WeightFormats::default(), source)
    }

    /// The same with some matrices in formats of their own, as a file has them.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_formats(
        architecture: &Architecture,
        options: PlanOptions,
        formats: WeightFormats,
        source: &dyn TensorSource,
    ) -> Result<Self, RuntimeError> {
        let plan = checked_plan(architecture, options, formats)?;
        let kernels = Kernels::for_isa(options.isa)?;
        available::check(&plan)?;
        let weights = Weights::load(architecture, &plan, source)?;
        let tuning = Tuning::default();
        Ok(Self { architecture: architecture.clone(), plan, kernels, weights, tuning })
    }

    /// Plans the same weights anew, for another context, chunk, cache format or number of threads.
    ///
    /// # Errors
    /// As [`load`](Self::load); and another weight format or instruction set, which would need other weights.
    pub fn replan(&mut self, options: PlanOptions) -> Result<(), RuntimeError> {
        let mine = self.plan.options;
        let mismatch = |what, found: String, allowed: String| {
            Err(RuntimeError::Mismatch { what, found, owner: "model", allowed })
        };
        if options.weights != mine.weights {
            return mismatch("weights", options.weights.to_string(), mine.weights.to_string());
        }
        if options.isa != mine.isa {
            return mismatch("instruction set", options.isa.name().to_owned(), mine.isa.name().to_owned());
        }
        self.plan = checked_plan(&self.architecture, options, self.plan.formats.clone())?;
        self.choose_kernels()
    }

    /// Runs with the kernels that were found fastest on this machine.
    ///
    /// # Errors
    /// As [`load`](Self::load), of kernels.
    pub fn tune(&mut self, tuning: Tuning) -> Result<(), RuntimeError> {
        self.tuning = tuning;
        self.choose_kernels()
    }

    /// What to race for so that a tuning knows exactly this model's products: each of one token, and of a chunk. First what
    /// most of a step's time goes to.
    pub fn tuning_keys(&self) -> Vec<TuningKey> {
        let options = &self.plan.options;
        let mut keys: Vec<(TuningKey, u64)> = Vec::new();
        for step in &self.plan.steps {
            let Operation::MatMul(product) = &step.operation else { continue };
            let key = TuningKey {
                format: product.format,
                rows: product.rows,
                columns: product.columns,
                tokens: 1,
                // In the unit in which keys are written.
                working_set_bytes: self.plan.memory().weight_bytes >> 20 << 20,
                threads: usize::try_from(options.threads).unwrap_or(usize::MAX),
                isa: options.isa,
            };
            let chunk = usize::try_from(options.chunk.min(options.context)).unwrap_or(usize::MAX);
            let prompt = TuningKey { tokens: chunk, ..key };
            let new: Vec<TuningKey> = match step.rows {
                TokenRows::All if chunk > 1 => vec![key, prompt],
                _ => vec![key],
            };
            for key in new {
                let place = keys.iter().position(|(known, _)| *known == key).unwrap_or(keys.len());
                if place == keys.len() {
                    keys.push((key, 0));
                }
                keys[place].1 += key.rows * key.columns;
            }
        }
        keys.sort_by_key(|(_, values)| std::cmp::Reverse(*values));
        keys.into_iter().map(|(key, _)| key).collect()
    }

    fn choose_kernels(&mut self) -> Result<(), RuntimeError> {
        let products = self.plan.steps.iter().filter_map(|step| match &step.operation {
            Operation::MatMul(product) => Some(product),
            _ => None,
        });
        let threads = usize::try_from(self.plan.options.threads).unwrap_or(usize::MAX);
        let working_set_bytes = self.plan.memory().weight_bytes;
        self.kernels = Kernels::for_isa(self.plan.options.isa)?.tuned(
            &self.tuning,
            products,
            threads,
            working_set_bytes,
        );
        Ok(())
    }

    /// The architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The plan that sessions execute.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The kernels that execute it.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Row `row` of matrix slot `slot` as the kernels see it: what remains of the values after their format. Rows of a
    /// slot with several matrices are counted through all of them.
    ///
    /// # Panics
    /// When the plan has no such slot or the slot no such row.
    pub fn matrix_row(&self, slot: usize, row: u64) -> Vec<f32> {
        let (matrix, slot) = (&self.weights.matrices[slot], &self.plan.matrices[slot]);
        let stride = weights::stride(slot, self.plan.options.isa);
        let place = (row / slot.rows) as usize * stride + (row % slot.rows) as usize;
        let mut values = vec![0.0; matrix.columns()];
        matrix.read_row(place, 0, &mut values);
        values
    }
}

/// A plan whose every operation has a kernel.
fn checked_plan(
    architecture: &Architecture,
    options: PlanOptions,
    formats: WeightFormats,
) -> Result<Plan, RuntimeError> {
    let plan = Plan::with_formats(architecture, options, formats)?;
    for step in &plan.steps {
        Kernels::supports(&step.operation)?;
    }
    match architecture.positions {
        Positions::Learned { context: positions, .. } if options.context > positions => {
            Err(RuntimeError::NoSuchPosition { positions, context: options.context })
        }
        _ => Ok(plan),
    }
}
