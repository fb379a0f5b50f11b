//! Prices of one block in one pair of formats: what a layer costs and what the rest costs, so that every depth and
//! tying is arithmetic. [`CostModel::predict`] is the long way to the same numbers.

use slimfit_cost::{BusyTime, CostError, CostModel, PROCESS_BYTES, RunShape, Terms};
use slimfit_plan::{Plan, Shape};

/// A kind of part: how often it occurs depends on the depth, except for the last.
const FULL: usize = 0;
const WINDOWED: usize = 1;
const OUTER: usize = 2;

/// How many layers of each kind a point has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerCounts {
    pub(crate) full: u64,
    pub(crate) windowed: u64,
}

/// What a point costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Price {
    pub(crate) threads: u32,
    pub(crate) ttft: BusyTime,
    pub(crate) tpot: BusyTime,
    pub(crate) memory_bytes: f64,
    pub(crate) working_set_bytes: f64,
}

/// Terms of one thread count, and their sums in the regimes that were asked for.
#[derive(Debug)]
struct ThreadTerms {
    threads: u32,
    decode: [Vec<Terms>; 3],
    prefill: [Vec<Terms>; 3],
    memory: Memory,
    /// By regime: `(decode, prefill)` time of each part.
    sums: Vec<Option<[(BusyTime, BusyTime); 3]>>,
}

/// Bytes of the parts of a point.
#[derive(Debug, Clone, Copy)]
struct Memory {
    layer: [u64; 2],
    rest: u64,
    /// The output head, which tied points do not have.
    head: u64,
}

/// Prices of a block in one pair of formats and one vocabulary.
#[derive(Debug)]
pub(crate) struct PriceTable {
    threads: Vec<ThreadTerms>,
    working_set: [f64; 3],
}

impl PriceTable {
    /// Prices the block that `architecture` shows: untied, with one layer of each kind, the windowed one first.
    pub(crate) fn new(
        cost: &CostModel,
        plan_for: impl Fn(u32) -> Result<Plan, CostError>,
        kinds: &[bool],
        run: RunShape,
    ) -> Result<Self, CostError> {
        // `kinds[layer]`: whether that layer of the plan is windowed.
        let kind = |layer: Option<u64>| match layer {
            None => OUTER,
            Some(layer) if kinds[layer as usize] => WINDOWED,
            Some(_) => FULL,
        };
        let decode_shape = Shape::decode(run.mean_depth());
        let mut table = Self { threads: Vec::new(), working_set: [0.0; 3] };
        for threads in cost.thread_counts() {
            let plan = plan_for(threads)?;
            let mut terms = ThreadTerms {
                threads,
                decode: std::array::from_fn(|_| Vec::new()),
                prefill: std::array::from_fn(|_| Vec::new()),
                memory: memory(&plan, kinds),
                sums: vec![None; cost.regimes().len()],
            };
            let mut working_set = [0.0; 3];
            for step in &plan.steps {
                let decode = cost.terms(step, decode_shape, threads)?;
                working_set[kind(step.layer)] += CostModel::touched_bytes(step, decode_shape);
                terms.decode[kind(step.layer)].push(decode);
            }
            for (step, shape) in plan.prefill(run.prompt_tokens) {
                terms.prefill[kind(step.layer)].push(cost.terms(step, shape, threads)?);
            }
            table.working_set = working_set;
            table.threads.push(terms);
        }
        Ok(table)
    }

    /// The price of a point: with the thread count of the lowest TPOT, on a tie the fewer.
    pub(crate) fn price(
        &mut self,
        cost: &CostModel,
        counts: LayerCounts,
        tied: bool,
    ) -> Result<Price, CostError> {
        let (full, windowed) = (counts.full as f64, counts.windowed as f64);
        let [full_set, windowed_set, outer_set] = self.working_set;
        let working_set = outer_set + full * full_set + windowed * windowed_set;
        let mut best: Option<Price> = None;
        for terms in &mut self.threads {
            let regime = cost.regime(terms.threads, working_set)?;
            let sums = match terms.sums[regime.index()] {
                Some(sums) => sums,
                None => {
                    let time = |terms: &[Terms]| -> Result<BusyTime, CostError> {
                        terms.iter().map(|term| Ok(cost.price(term, regime)?.busy_time())).sum()
                    };
                    let mut sums = [(BusyTime::default(), BusyTime::default()); 3];
                    for (part, sums) in sums.iter_mut().enumerate() {
                        *sums = (time(&terms.decode[part])?, time(&terms.prefill[part])?);
                    }
                    terms.sums[regime.index()] = Some(sums);
                    sums
                }
            };
            let tpot = sums[OUTER].0 + sums[FULL].0 * full + sums[WINDOWED].0 * windowed;
            if best.is_none_or(|best| tpot.seconds < best.tpot.seconds) {
                let Memory { layer, rest, head } = terms.memory;
                let layers = counts.full * layer[FULL] + counts.windowed * layer[WINDOWED];
                best = Some(Price {
                    threads: terms.threads,
                    ttft: sums[OUTER].1 + sums[FULL].1 * full + sums[WINDOWED].1 * windowed,
                    tpot,
                    memory_bytes: (layers + rest - if tied { head } else { 0 } + PROCESS_BYTES) as f64,
                    working_set_bytes: working_set,
                });
            }
        }
        best.ok_or_else(|| CostError::Missing { what: "measured thread count".to_owned() })
    }
}

fn memory(plan: &Plan, kinds: &[bool]) -> Memory {
    let kind = |layer: u64| usize::from(kinds[layer as usize]);
    let mut layer = [0_u64; 2];
    let mut head = 0;
    for matrix in &plan.matrices {
        match matrix.layer {
            Some(index) => layer[kind(index)] += matrix.packed_bytes,
            None if matrix.label == "head" => head += matrix.packed_bytes,
            None => {}
        }
    }
    for vector in &plan.vectors {
        if let Some(index) = vector.layer {
            layer[kind(index)] += 4 * vector.values;
        }
    }
    for (index, slot) in plan.kv.iter().enumerate() {
        layer[kind(index as u64)] += slot.bytes();
    }
    let rest = plan.memory().total_bytes() - layer[FULL] - layer[WINDOWED];
    Memory { layer, rest, head }
}
