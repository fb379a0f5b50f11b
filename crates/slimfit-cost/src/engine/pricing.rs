//! An engine as a [`CostModel`]: the same terms as for our kernels, so that a search adds up layers as ever.

use super::{DecodeTerms, DecodeWork, Engine, EngineCoefficients, EngineDevice, EngineMemory, EngineModel};
use crate::model::Terms;
use crate::{CostError, CostModel, Regime};
use slimfit_hardware::HardwareProfile;
use slimfit_kernels::{Isa, Operation};
use slimfit_plan::{Plan, Shape, Step, traffic};
use slimfit_quantity::Predicted;

/// Why an engine's prefill has no time of its own.
pub const PREFILL_UNAVAILABLE: &str = "nothing published predicts prefill: engines differ by a factor of 3 on one chip; `--allow-class-prefill` takes a class figure";

/// Factor of the 90 % interval of a class figure of prefill.
const PREFILL_FACTOR: f64 = 3.0;

/// What is asked of an engine beside its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Take prefill from a class figure, good to a factor of 3.
    pub allow_class_prefill: bool,
}

/// What prices a plan where it is not our kernels.
#[derive(Debug, Clone)]
pub(crate) struct EnginePricing {
    coefficients: EngineCoefficients,
    device: EngineDevice,
    options: EngineOptions,
}

impl EnginePricing {
    fn model(&self) -> EngineModel<'_> {
        EngineModel::new(&self.coefficients, &self.device)
    }

    pub(crate) fn exponent(&self) -> f64 {
        self.model().exponent()
    }

    pub(crate) fn name(&self) -> &str {
        &self.coefficients.engine
    }

    pub(crate) fn citation(&self) -> &str {
        &self.coefficients.citation
    }

    pub(crate) fn has_prefill(&self) -> bool {
        self.options.allow_class_prefill
    }

    pub(crate) fn decode_interval(&self, seconds: f64) -> Predicted {
        Predicted::within_factor(seconds, self.model().interval_factor())
    }

    pub(crate) fn prefill_interval(&self, seconds: f64) -> Predicted {
        Predicted::within_factor(seconds, PREFILL_FACTOR)
    }

    /// The regimes of each thread count, ascending.
    fn regimes(&self) -> Vec<(u32, Vec<Regime>)> {
        let model = self.model();
        let regime = |threads, (above_bytes, up_to_bytes), read_bytes_per_s| Regime {
            threads,
            above_bytes,
            up_to_bytes,
            read_bytes_per_s,
            overhead_seconds: 0.0,
        };
        let share = self.coefficients.measured_share.value;
        match &self.device.memory {
            EngineMemory::Measured(curves) => curves
                .iter()
                .map(|(threads, curve)| {
                    let bins = curve.bins();
                    let ends = bins.iter().map(|bin| bin.up_to_bytes as f64);
                    let borders = std::iter::once(0.0).chain(ends.clone()).zip(ends);
                    let rates = bins.iter().map(|bin| bin.bytes_per_s * share);
                    let regimes = borders.zip(rates).map(|(ends, rate)| regime(*threads, ends, rate));
                    (*threads, regimes.collect())
                })
                .collect(),
            _ => self
                .device
                .thread_counts()
                .into_iter()
                .map(|threads| {
                    let rate = model.read_bytes_per_s(threads, 0.0);
                    (threads, vec![regime(threads, (0.0, f64::INFINITY), rate)])
                })
                .collect(),
        }
    }

    /// What of a step's cost is the same in every regime of `threads`. A layer's fixed cost is that of its attention.
    pub(crate) fn terms(&self, step: &Step, shape: Shape, threads: u32) -> Terms {
        let model = self.model();
        let moved = traffic(step, shape);
        let cache_bytes = moved.kv_read_bytes / self.coefficients.cache_share.value;
        let many = shape.tokens > 1;
        let compute_seconds = if many {
            if self.options.allow_class_prefill {
                moved.flops / 2.0 / model.prefill_multiply_adds_per_s(threads)
            } else {
                f64::INFINITY
            }
        } else {
            format_of(&step.operation)
                .map_or(0.0, |format| moved.weight_bytes / model.kernel_bytes_per_s(threads, format))
        };
        // Only what is read whole counts: the coefficients were fitted on bytes of matrices.
        let far_bytes = cache_bytes + format_of(&step.operation).map_or(0.0, |_| moved.weight_bytes);
        let fixed_seconds = match step.operation {
            Operation::Attend(_) => model.layer_seconds(threads),
            _ => 0.0,
        };
        Terms::plain(threads, far_bytes, compute_seconds, fixed_seconds)
    }

    /// The terms of one decoded token, joined into what the formula itself asks for.
    pub(crate) fn decode_terms(&self, plan: &Plan, depth: u64, threads: u32) -> DecodeTerms {
        let shape = Shape::decode(depth);
        let mut work = DecodeWork { weights: Vec::new(), cache_bytes: 0.0, layers: 0.0 };
        for step in &plan.steps {
            let moved = traffic(step, shape);
            work.cache_bytes += moved.kv_read_bytes;
            if matches!(step.operation, Operation::Attend(_)) {
                work.layers += 1.0;
            }
            if let Some(format) = format_of(&step.operation) {
                match work.weights.iter_mut().find(|(known, _)| known == format) {
                    Some((_, bytes)) => *bytes += moved.weight_bytes,
                    None => work.weights.push((format.to_owned(), moved.weight_bytes)),
                }
            }
        }
        self.model().decode_terms(&work, threads)
    }
}

/// The format of the weights that an operation reads whole.
fn format_of(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::MatMul(product) => Some(product.format.name()),
        Operation::Experts(experts) => Some(experts.format.name()),
        Operation::Route(_) => Some("f32"),
        _ => None,
    }
}

impl CostModel {
    /// Prices what `engine` takes on the device of `profile`: ours as [`CostModel::new`], another from its class
    /// efficiencies, which any profile with a bandwidth serves.
    ///
    /// # Errors
    /// As [`CostModel::new`], and when the profile names no instructions or holds no bandwidth.
    pub fn for_engine(
        profile: &HardwareProfile,
        engine: Engine,
        options: EngineOptions,
    ) -> Result<Self, CostError> {
        let coefficients = match engine {
            Engine::Slimfit => return Self::new(profile),
            Engine::LlamaCpp => EngineCoefficients::llama_cpp(),
        };
        let isa = Self::isa_of(profile)?;
        let device = EngineDevice::new(profile, isa)?;
        let pricing = EnginePricing { coefficients, device, options };
        let regimes = pricing.regimes();
        Ok(Self::of_engine(profile, isa, regimes, pricing))
    }

    /// The engine that is priced.
    pub fn engine(&self) -> &str {
        self.engine.as_ref().map_or(Engine::Slimfit.name(), EnginePricing::name)
    }

    /// What an engine's coefficients rest on; nothing for our own runtime, which was measured.
    pub fn citation(&self) -> Option<&str> {
        self.engine.as_ref().map(EnginePricing::citation)
    }

    /// Whether prefill can be predicted; if not, [`PREFILL_UNAVAILABLE`] says why.
    pub fn has_prefill(&self) -> bool {
        self.engine.as_ref().is_none_or(EnginePricing::has_prefill)
    }

    /// Where the seconds of one decoded token go by the engine's formula; nothing for our own runtime.
    pub fn engine_terms(&self, plan: &Plan, depth: u64, threads: u32) -> Option<DecodeTerms> {
        Some(self.engine.as_ref()?.decode_terms(plan, depth, threads))
    }

    /// The tier of a profile: the richest it names.
    pub(crate) fn isa_of(profile: &HardwareProfile) -> Result<Isa, CostError> {
        let tiers = profile.fingerprint.isa.iter().map(|name| name.parse::<Isa>());
        let best = tiers.collect::<Result<Vec<_>, _>>()?.into_iter().max();
        best.ok_or_else(|| CostError::Missing { what: "instruction-set tier".to_owned() })
    }
}
