//! The cost model: a plan's time as a sum over its operations within one regime.
//!
//! `seconds = Σ over operations of √(memory² + compute²) + overhead`. Memory time is bytes from beyond the nearest cache
//! over the regime's read bandwidth; compute time is what our own kernel took when its data was near; the 2-norm is how
//! the two were seen to join on processors that overlap loads with arithmetic but never fully (measured exponents lie
//! between 2.0 and 2.2 whichever device is left out). Overhead is the barrier after an operation and its dispatch.

use crate::rates::Rates;
use crate::{CostError, Regime, RegimeId};
use slimfit_hardware::HardwareProfile;
use slimfit_kernels::{Isa, Operation};
use slimfit_plan::{Plan, Shape, Step, traffic};

/// Prices plans on one device.
#[derive(Debug, Clone)]
pub struct CostModel {
    pub(crate) regimes: Vec<Regime>,
    /// By thread count: first regime, one past the last, kernel rates.
    threads: Vec<ThreadRates>,
    isa: Isa,
    pub(crate) drift: f64,
    pub(crate) watts: Vec<(u32, f64)>,
    pub(crate) power_reason: String,
}

#[derive(Debug, Clone)]
struct ThreadRates {
    threads: u32,
    first: usize,
    end: usize,
    rates: Rates,
}

/// What one operation costs in one regime.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepCost {
    /// Bytes over bandwidth.
    pub memory_seconds: f64,
    /// The kernel's own time.
    pub compute_seconds: f64,
    /// Barrier and dispatch.
    pub overhead_seconds: f64,
    /// √(memory² + compute²) + overhead.
    pub seconds: f64,
}

/// What binds an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Reading its bytes.
    Memory,
    /// Its instructions.
    Compute,
    /// Barrier and dispatch.
    Overhead,
}

impl Bound {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
            Self::Overhead => "overhead",
        }
    }
}

impl StepCost {
    /// Joins the three terms.
    pub fn new(memory_seconds: f64, compute_seconds: f64, overhead_seconds: f64) -> Self {
        let seconds = memory_seconds.hypot(compute_seconds) + overhead_seconds;
        Self { memory_seconds, compute_seconds, overhead_seconds, seconds }
    }

    /// The largest of its three terms.
    pub fn bound(&self) -> Bound {
        if self.overhead_seconds > self.memory_seconds.max(self.compute_seconds) {
            Bound::Overhead
        } else if self.memory_seconds >= self.compute_seconds {
            Bound::Memory
        } else {
            Bound::Compute
        }
    }
}

impl CostModel {
    /// Reads bandwidth bins, kernel times and overheads from `profile`.
    ///
    /// # Errors
    /// When the profile lacks read bandwidth, kernel times or overheads.
    pub fn new(profile: &HardwareProfile) -> Result<Self, CostError> {
        let missing = |what: &str| CostError::Missing { what: what.to_owned() };
        let dispatch = profile.dispatch_seconds().ok_or_else(|| missing("dispatch cost"))?;
        let isa = profile
            .fingerprint
            .isa
            .iter()
            .map(|name| name.parse::<Isa>())
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .max()
            .ok_or_else(|| missing("instruction-set tier"))?;
        let (mut regimes, mut threads) = (Vec::new(), Vec::new());
        for count in profile.thread_counts() {
            let bins = profile.bandwidth_bins(count);
            let barrier = profile
                .barrier_seconds(count)
                .ok_or_else(|| missing(&format!("barrier cost with {count} threads")))?;
            let first = regimes.len();
            regimes.extend(bins.iter().map(|bin| Regime {
                threads: count,
                up_to_bytes: bin.up_to_bytes as f64,
                read_bytes_per_s: bin.bytes_per_s,
                overhead_seconds: barrier + dispatch,
            }));
            let rates = Rates::new(profile, count, barrier);
            threads.push(ThreadRates { threads: count, first, end: regimes.len(), rates });
        }
        if regimes.is_empty() {
            return Err(missing("measured read bandwidth"));
        }
        let power = &profile.power;
        let watts = power
            .loaded
            .iter()
            .filter(|load| load.class == "read")
            .filter_map(|load| Some((load.threads, load.watts.value?)))
            .collect();
        let power_reason =
            power.idle_watts.reason.clone().unwrap_or_else(|| "the profile holds no loaded power".to_owned());
        Ok(Self {
            regimes,
            threads,
            isa,
            drift: profile.noise.drift.value.unwrap_or(0.0),
            watts,
            power_reason,
        })
    }

    /// Every regime, by thread count and then by working set.
    pub fn regimes(&self) -> &[Regime] {
        &self.regimes
    }

    /// Thread counts that the profile measured, ascending.
    pub fn thread_counts(&self) -> impl Iterator<Item = u32> {
        self.threads.iter().map(|entry| entry.threads)
    }

    /// The tier whose packing and kernels the profile was measured with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Whether the device's profile holds power, so that joules can be predicted.
    pub fn has_power(&self) -> bool {
        !self.watts.is_empty()
    }

    /// The regime of a model that touches `working_set_bytes` each step with `threads` threads.
    ///
    /// # Errors
    /// When the profile was not measured with that many threads.
    pub fn regime(&self, threads: u32, working_set_bytes: f64) -> Result<RegimeId, CostError> {
        let entry = self.entry(threads)?;
        let bins = &self.regimes[entry.first..entry.end];
        let bin = bins.partition_point(|regime| regime.up_to_bytes < working_set_bytes).min(bins.len() - 1);
        Ok(RegimeId(entry.first + bin))
    }

    /// What `step` costs when its plan is run with `shape` in `regime`.
    ///
    /// # Errors
    /// When the profile holds no times of its kernel.
    pub fn step(&self, step: &Step, shape: Shape, regime: RegimeId) -> Result<StepCost, CostError> {
        let conditions = &self.regimes[regime.0];
        let tokens = Plan::tokens_of(step, shape) as f64;
        let keys = match &step.operation {
            Operation::Attend(attend) => shape.keys_seen(attend.window) as f64,
            _ => 0.0,
        };
        let compute = self.entry(conditions.threads)?.rates.seconds(&step.operation, tokens, keys)?;
        let moved = traffic(step, shape);
        // Activations stay in the near caches, where the kernel's own time was taken.
        let far_bytes = moved.weight_bytes + moved.kv_read_bytes;
        Ok(StepCost::new(far_bytes / conditions.read_bytes_per_s, compute, conditions.overhead_seconds))
    }

    /// Seconds of all steps of a plan that `wanted` keeps: a layer's, or all.
    ///
    /// # Errors
    /// As [`CostModel::step`].
    pub fn sum(
        &self,
        plan: &Plan,
        shape: Shape,
        regime: RegimeId,
        wanted: impl Fn(&Step) -> bool,
    ) -> Result<f64, CostError> {
        plan.steps
            .iter()
            .zip(self.step_regimes(plan, shape, regime)?)
            .filter(|(step, _)| wanted(step))
            .map(|(step, regime)| Ok(self.step(step, shape, regime)?.seconds))
            .sum()
    }

    fn entry(&self, threads: u32) -> Result<&ThreadRates, CostError> {
        self.threads.iter().find(|entry| entry.threads == threads).ok_or_else(|| CostError::Threads {
            found: threads,
            measured: self.thread_counts().map(|count| count.to_string()).collect::<Vec<_>>().join(", "),
        })
    }
}
