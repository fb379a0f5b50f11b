//! The cost model: a plan's time as a sum over its operations within one regime.
//!
//! `seconds = Σ over operations of join(memory, compute) + overhead`. Memory time is bytes from beyond the nearest cache
//! over the regime's read bandwidth and over the share of it that the kernel was seen to reach when it streams; compute
//! time is what our own kernel took when its data was near. For one token, where streaming was measured, its arithmetic
//! is in the share already, and the larger of the two counts. Of a few tokens they join as a 2-norm, as was seen on
//! processors that overlap loads with arithmetic but never fully (measured exponents lie between 2.0 and 2.2 whichever
//! device is left out); of many, hardly anything overlaps: what each byte of weights on its way to the threads and each byte
//! of activations from other operations cost was measured on top of the kernel's own time, and is added to it. Overhead is
//! the barrier after an operation, its dispatch, and what its place among others costs.

use crate::calibration::Factors;
use crate::engine::{Engine, EnginePricing, join};
use crate::hand_over::{HandOvers, Rates};
use crate::placement::Elsewhere;
use crate::rates::Rates as KernelRates;
use crate::scatter::Scatter;
use crate::streams::{StreamId, Streams};
use crate::{BusyTime, CostError, EnergyModel, Regime, RegimeId, TailModel};
use slimfit_hardware::{HardwareProfile, PlacementBarriers};
use slimfit_kernels::{Isa, Operation};
use slimfit_plan::{Plan, Shape, Step, traffic, visited_experts};

/// The exponent by which memory and compute time join where a product's weights pass by for a few tokens at once.
const OVERLAP_OF_FEW: f64 = 2.0;
/// The same where they are taken tile by tile for many: each tile is waited for. Measured with 16 to 128 tokens of 116M and
/// 156M parameters in memory, q8_0 and bf16, on a Zen 4 virtual machine: between 1.0 and 1.4. For profiles that do not tell
/// what weights cost many tokens.
const OVERLAP_OF_MANY: f64 = 1.2;
/// Tokens that count as few.
const FEW_TOKENS: f64 = 4.0;

/// Prices plans on one device.
#[derive(Debug, Clone)]
pub struct CostModel {
    pub(crate) regimes: Vec<Regime>,
    /// By thread count: first regime, one past the last, kernel rates.
    threads: Vec<ThreadRates>,
    isa: Isa,
    energy: Result<EnergyModel, CostError>,
    tails: Result<TailModel, CostError>,
    /// What prices steps where it is not our kernels.
    pub(crate) engine: Option<EnginePricing>,
    pub(crate) factors: Factors,
    /// Prices where threads lie otherwise than usual.
    pub(crate) elsewhere: Vec<Elsewhere>,
}

#[derive(Debug, Clone)]
struct ThreadRates {
    threads: u32,
    first: usize,
    end: usize,
    rates: KernelRates,
    streams: Streams,
    hand_overs: HandOvers,
    scatter: Scatter,
    barriers: PlacementBarriers,
}

/// What of an operation's cost is the same in every regime of a thread count: found once, priced in many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    threads: u32,
    far_bytes: f64,
    compute_seconds: f64,
    hand_over_seconds: f64,
    stream: Option<StreamId>,
    /// Matrices or KV heads that each start a stream.
    starts: f64,
    tokens: f64,
    /// Bytes of `far_bytes` that are weights, and bytes of activations.
    weight_bytes: f64,
    activation_bytes: f64,
}

impl Terms {
    /// Terms of an operation whose streams are no others' than the regime's.
    pub(crate) const fn plain(
        threads: u32,
        far_bytes: f64,
        compute_seconds: f64,
        fixed_seconds: f64,
    ) -> Self {
        let hand_over_seconds = fixed_seconds;
        Self {
            threads,
            far_bytes,
            compute_seconds,
            hand_over_seconds,
            stream: None,
            starts: 1.0,
            tokens: f64::INFINITY,
            weight_bytes: 0.0,
            activation_bytes: 0.0,
        }
    }
}

/// What one operation costs in one regime.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepCost {
    /// Bytes over bandwidth and over the share of it that the kernel reaches; with that, its arithmetic too.
    pub memory_seconds: f64,
    /// The kernel's own time.
    pub compute_seconds: f64,
    /// Barrier, dispatch and hand-over.
    pub overhead_seconds: f64,
    /// Memory and compute joined, and overhead.
    pub seconds: f64,
}

/// What binds an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Reading its bytes.
    Memory,
    /// Its instructions.
    Compute,
    /// Barrier, dispatch and hand-over.
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
    /// Its seconds, split by what they are spent on: the squares of memory and compute time share out their joint time.
    pub fn busy_time(&self) -> BusyTime {
        let squares = self.memory_seconds.powi(2) + self.compute_seconds.powi(2);
        let share = if squares > 0.0 { self.compute_seconds.powi(2) / squares } else { 0.0 };
        BusyTime { seconds: self.seconds, compute_seconds: (self.seconds - self.overhead_seconds) * share }
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
        Engine::for_profile(Some(Engine::Slimfit), profile)?;
        let missing = |what: &str| CostError::Missing { what: what.to_owned() };
        let dispatch = profile.dispatch_seconds().ok_or_else(|| missing("dispatch cost"))?;
        let isa = Self::isa_of(profile)?;
        let (mut regimes, mut threads) = (Vec::new(), Vec::new());
        for count in profile.thread_counts() {
            let streams = Streams::new(profile, count);
            let bins = streams.refine(profile.bandwidth_bins(count));
            let barrier = profile
                .barrier_seconds(count)
                .ok_or_else(|| missing(&format!("barrier cost with {count} threads")))?;
            let first = regimes.len();
            let borders = std::iter::once(0.0).chain(bins.iter().map(|bin| bin.up_to_bytes as f64));
            regimes.extend(borders.zip(&bins).map(|(above_bytes, bin)| Regime {
                threads: count,
                above_bytes,
                up_to_bytes: bin.up_to_bytes as f64,
                read_bytes_per_s: bin.bytes_per_s,
                overhead_seconds: barrier + dispatch,
            }));
            threads.push(ThreadRates {
                threads: count,
                first,
                end: regimes.len(),
                rates: KernelRates::new(profile, count, barrier),
                streams,
                hand_overs: HandOvers::new(profile, count),
                scatter: Scatter::new(profile, count),
                barriers: profile.placement_barriers(count),
            });
        }
        if regimes.is_empty() {
            return Err(missing("measured read bandwidth"));
        }
        let (energy, tails) = (EnergyModel::new(profile), TailModel::new(profile));
        let factors = Factors::of(profile);
        let elsewhere = Elsewhere::all(profile)?;
        Ok(Self { regimes, threads, isa, energy, tails, engine: None, factors, elsewhere })
    }

    /// A model whose steps `engine` prices, in the regimes of each thread count.
    pub(crate) fn of_engine(
        profile: &HardwareProfile,
        isa: Isa,
        by_threads: Vec<(u32, Vec<Regime>)>,
        engine: EnginePricing,
    ) -> Self {
        let (mut regimes, mut threads) = (Vec::new(), Vec::new());
        for (count, bins) in by_threads {
            let first = regimes.len();
            regimes.extend(bins);
            threads.push(ThreadRates {
                threads: count,
                first,
                end: regimes.len(),
                rates: KernelRates::new(profile, count, 0.0),
                streams: Streams::new(profile, count),
                hand_overs: HandOvers::new(profile, count),
                scatter: Scatter::new(profile, count),
                barriers: profile.placement_barriers(count),
            });
        }
        let counts: Vec<u32> = threads.iter().map(|entry| entry.threads).collect();
        // A full load of another kind: it was seen to be right to 12 % for decoding.
        let energy = EnergyModel::new(profile).map(|energy| energy.standing_for(&counts));
        let tails = TailModel::new(profile);
        let factors = Factors::none(profile);
        // Another engine's rates come from its own fits, which know one placement.
        let elsewhere = Vec::new();
        Self { regimes, threads, isa, energy, tails, engine: Some(engine), factors, elsewhere }
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
        self.energy.is_ok()
    }

    /// The device's power.
    ///
    /// # Errors
    /// When its profile tells none, with the reason.
    pub fn energy(&self) -> Result<&EnergyModel, CostError> {
        self.energy.as_ref().map_err(Clone::clone)
    }

    /// How step times scatter on the device, which its percentiles rest on.
    ///
    /// # Errors
    /// When its profile does not tell, with the reason.
    pub fn tails(&self) -> Result<&TailModel, CostError> {
        self.tails.as_ref().map_err(Clone::clone)
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

    /// The regimes of working sets from `least` to `most` bytes, ascending.
    ///
    /// # Errors
    /// When the profile was not measured with that many threads.
    pub fn regimes_between(
        &self,
        threads: u32,
        least: f64,
        most: f64,
    ) -> Result<impl Iterator<Item = RegimeId> + use<>, CostError> {
        let (first, last) = (self.regime(threads, least)?, self.regime(threads, most)?);
        Ok((first.0..=last.0).map(RegimeId))
    }

    /// What `step` costs when its plan is run with `shape` in `regime`.
    ///
    /// # Errors
    /// When the profile holds no times of its kernel.
    pub fn step(&self, step: &Step, shape: Shape, regime: RegimeId) -> Result<StepCost, CostError> {
        let terms = self.terms(step, shape, self.regimes[regime.0].threads)?;
        self.price(&terms, regime)
    }

    /// What of the cost of `step` is the same in every regime of `threads`.
    ///
    /// # Errors
    /// When the profile holds no times of its kernel.
    pub fn terms(&self, step: &Step, shape: Shape, threads: u32) -> Result<Terms, CostError> {
        let entry = self.entry(threads)?;
        if let Some(engine) = &self.engine {
            return Ok(engine.terms(step, shape, threads));
        }
        let tokens = Plan::tokens_of(step, shape) as f64;
        let keys = match &step.operation {
            Operation::Attend(attend) => shape.keys_seen(attend.window) as f64,
            _ => 0.0,
        };
        let moved = traffic(step, shape);
        Ok(Terms {
            threads,
            // Activations stay in the near caches, where the kernel's own time was taken.
            far_bytes: moved.weight_bytes + moved.kv_read_bytes,
            compute_seconds: entry.rates.seconds(&step.operation, tokens, keys)?,
            hand_over_seconds: entry.hand_overs.seconds(tokens, moved.activation_bytes),
            stream: entry.streams.find(&step.operation),
            starts: match &step.operation {
                Operation::Experts(experts) => 2.0 * visited_experts(experts, tokens),
                Operation::Attend(attend) => attend.kv_heads as f64,
                _ => 1.0,
            },
            tokens,
            weight_bytes: moved.weight_bytes,
            activation_bytes: moved.activation_bytes,
        })
    }

    /// What an operation of these terms costs in `regime`, one of the same thread count.
    ///
    /// # Errors
    /// When the regime is another thread count's.
    pub fn price(&self, terms: &Terms, regime: RegimeId) -> Result<StepCost, CostError> {
        let conditions = &self.regimes[regime.0];
        if conditions.threads != terms.threads {
            return Err(CostError::Threads {
                found: conditions.threads,
                measured: terms.threads.to_string(),
            });
        }
        let node = match terms.stream {
            Some(id) => Some(self.entry(terms.threads)?.streams.at(id, conditions)),
            None => None,
        };
        let bytes = node.map_or(terms.far_bytes, |node| {
            terms.starts * node.start_bytes + terms.far_bytes / node.efficiency
        });
        let one_token = terms.tokens <= 1.0;
        let rates = self.rates_of_many(terms, conditions)?;
        if let Some(rates) = rates.filter(|_| terms.tokens > FEW_TOKENS) {
            // What was seen beyond the kernel's own time comes on top of it.
            let (work, fixed) = self.factors.at(one_token, conditions.up_to_bytes);
            let cache_bytes = terms.far_bytes - terms.weight_bytes;
            let memory = rates.weight * terms.weight_bytes + cache_bytes / conditions.read_bytes_per_s;
            let memory_seconds = work * memory;
            let compute_seconds = work * terms.compute_seconds;
            let hand_over = rates.activation * terms.activation_bytes;
            let overhead_seconds = fixed * (conditions.overhead_seconds + hand_over);
            let seconds = memory_seconds + compute_seconds + overhead_seconds;
            return Ok(StepCost { memory_seconds, compute_seconds, overhead_seconds, seconds });
        }
        let (work, fixed) = self.factors.at(one_token, conditions.up_to_bytes);
        let memory_seconds = work * bytes / conditions.read_bytes_per_s;
        let compute_seconds = work * terms.compute_seconds;
        // Of a few tokens the activations cost what they cost many.
        let hand_over =
            rates.map_or(terms.hand_over_seconds, |rates| rates.activation * terms.activation_bytes);
        let overhead_seconds = fixed * (conditions.overhead_seconds + hand_over);
        let joined = if node.is_some() && one_token {
            memory_seconds.max(compute_seconds)
        } else {
            let ours = if terms.tokens > FEW_TOKENS { OVERLAP_OF_MANY } else { OVERLAP_OF_FEW };
            let exponent = self.engine.as_ref().map_or(ours, EnginePricing::exponent);
            join(memory_seconds, compute_seconds, exponent)
        };
        Ok(StepCost { memory_seconds, compute_seconds, overhead_seconds, seconds: joined + overhead_seconds })
    }

    /// What weights and activations cost on top of a kernel's own time for several tokens; nothing where that is priced
    /// otherwise: by another engine, by a profile that does not tell.
    fn rates_of_many(&self, terms: &Terms, conditions: &Regime) -> Result<Option<Rates>, CostError> {
        if self.engine.is_some() {
            return Ok(None);
        }
        Ok(self.entry(terms.threads)?.hand_overs.rates(terms.tokens, conditions.middle_bytes()))
    }

    /// Time of all steps of a plan that `wanted` keeps: a layer's, or all.
    ///
    /// # Errors
    /// As [`CostModel::step`].
    pub fn sum(
        &self,
        plan: &Plan,
        shape: Shape,
        regime: RegimeId,
        wanted: impl Fn(&Step) -> bool,
    ) -> Result<BusyTime, CostError> {
        plan.steps
            .iter()
            .zip(self.step_regimes(plan, shape, regime)?)
            .filter(|(step, _)| wanted(step))
            .map(|(step, regime)| Ok(self.step(step, shape, regime)?.busy_time()))
            .sum()
    }

    pub(crate) fn placement_barriers(&self, threads: u32) -> Result<PlacementBarriers, CostError> {
        Ok(self.entry(threads)?.barriers)
    }

    pub(crate) fn scatter(&self, threads: u32) -> Result<&Scatter, CostError> {
        Ok(&self.entry(threads)?.scatter)
    }

    fn entry(&self, threads: u32) -> Result<&ThreadRates, CostError> {
        self.threads.iter().find(|entry| entry.threads == threads).ok_or_else(|| CostError::Threads {
            found: threads,
            measured: self.thread_counts().map(|count| count.to_string()).collect::<Vec<_>>().join(", "),
        })
    }
}
