//! What the parts of a model cost, so that every combination of them is arithmetic.
//!
//! For one hidden size, pair of formats and vocabulary a model of equal layers is a sum of five parts: embedding and head
//! once; and for each layer its projections, its mixing of tokens (with a window or without) and its feed-forward part.
//! No part depends on what another one chooses. [`CostModel::predict`] is the long way to the same numbers.

use crate::Invalid;
use crate::file_bytes::FileBytes;
use crate::space::Window;
use slimfit_arch::Architecture;
use slimfit_cost::{BusyTime, CostError, CostModel, PROCESS_BYTES, RunShape, RunTime, Terms};
use slimfit_plan::{Buffer, ModelPart, Plan, PlanError, Shape, Step};
use slimfit_quantity::NumberFormat;

/// Decode and prefill time of a part in one regime.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PartTimes {
    pub(crate) decode: BusyTime,
    pub(crate) prefill: BusyTime,
}

/// What one part costs.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Bytes for each layer that has it: matrices, vectors, cache.
    pub(crate) layer_bytes: u64,
    /// Bytes once, however many layers have it: buffers, rotary tables.
    pub(crate) fixed_bytes: u64,
    /// Bytes of the output head, which tied models do not have: of the outer part.
    pub(crate) head_bytes: u64,
    /// Bytes that each token touches again, for each layer that has it.
    pub(crate) working_set_bytes: f64,
    /// Bytes of its tensors in a file: none of the mixing.
    pub(crate) file: FileBytes,
    threads: Vec<ThreadPart>,
}

/// What a part costs with one thread count.
#[derive(Debug, Clone)]
struct ThreadPart {
    decode: Vec<Terms>,
    prefill: Vec<Terms>,
    scratch_bytes: u64,
    /// By regime of the cost model, where it was asked for.
    times: Vec<Option<PartTimes>>,
}

impl Part {
    /// Reads the parts of `kind` from a plan of one layer for each thread count.
    pub(crate) fn read(
        cost: &CostModel,
        kind: ModelPart,
        plans: &[Plan],
        run: RunShape,
    ) -> Result<Self, CostError> {
        let decode_shape = Shape::decode(run.mean_depth());
        let own = |step: &&Step| step.part == kind;
        let plan = &plans[0];
        let (layer_bytes, head_bytes) = stored_bytes(plan, kind);
        let mut threads = Vec::with_capacity(plans.len());
        for (count, plan) in cost.thread_counts().zip(plans) {
            let decode = plan.steps.iter().filter(own).map(|step| cost.terms(step, decode_shape, count));
            let prefill = plan.prefill(run.prompt_tokens).filter(|(step, _)| own(step));
            threads.push(ThreadPart {
                decode: decode.collect::<Result<_, _>>()?,
                prefill: prefill
                    .map(|(step, shape)| cost.terms(step, shape, count))
                    .collect::<Result<_, _>>()?,
                scratch_bytes: plan
                    .steps
                    .iter()
                    .filter(own)
                    .map(|step| plan.scratch_bytes_of(step))
                    .max()
                    .unwrap_or(0),
                times: vec![None; cost.regimes().len()],
            });
        }
        Ok(Self {
            layer_bytes,
            head_bytes,
            fixed_bytes: fixed_bytes(plan, kind),
            file: FileBytes::default(),
            working_set_bytes: plan
                .steps
                .iter()
                .filter(own)
                .map(|step| CostModel::touched_bytes(step, decode_shape))
                .sum(),
            threads,
        })
    }

    /// Scratch with the thread count at that place of the cost model's list.
    pub(crate) fn scratch_bytes(&self, thread_place: usize) -> u64 {
        self.threads[thread_place].scratch_bytes
    }

    /// Its times in a regime of that thread count.
    pub(crate) fn times(
        &mut self,
        cost: &CostModel,
        thread_place: usize,
        regime: slimfit_cost::RegimeId,
    ) -> PartTimes {
        let part = &mut self.threads[thread_place];
        if let Some(times) = part.times[regime.index()] {
            return times;
        }
        let time = |terms: &[Terms]| -> BusyTime {
            let each = terms.iter().map(|term| {
                cost.price(term, regime)
                    .expect("the regime is one of the terms' own thread count")
                    .busy_time()
            });
            each.sum()
        };
        let times = PartTimes { decode: time(&part.decode), prefill: time(&part.prefill) };
        part.times[regime.index()] = Some(times);
        times
    }
}

/// Bytes of matrices, vectors and caches: of one layer, or of what no layer holds; and those of an untied head.
fn stored_bytes(plan: &Plan, kind: ModelPart) -> (u64, u64) {
    if kind == ModelPart::Outer {
        let matrices = plan.matrices.iter().filter(|slot| slot.layer.is_none());
        let (head, table): (Vec<_>, Vec<_>) = matrices.partition(|slot| slot.label == "head");
        let vectors = plan.vectors.iter().filter(|slot| slot.layer.is_none());
        let stored = table.iter().map(|slot| slot.packed_bytes).sum::<u64>()
            + vectors.map(|slot| 4 * slot.values).sum::<u64>();
        return (stored, head.iter().map(|slot| slot.packed_bytes).sum());
    }
    let (mut matrices, mut vectors, mut caches) = (Vec::new(), Vec::new(), Vec::new());
    for step in plan.steps.iter().filter(|step| step.part == kind) {
        matrices.extend(step.matrix);
        matrices.extend(step.second_matrix);
        vectors.extend(step.vectors.iter().flatten());
        caches.extend(step.kv);
    }
    for slots in [&mut matrices, &mut vectors, &mut caches] {
        slots.sort_unstable();
        slots.dedup();
    }
    let bytes = matrices.iter().map(|&slot| plan.matrices[slot].packed_bytes).sum::<u64>()
        + vectors.iter().map(|&slot| 4 * plan.vectors[slot].values).sum::<u64>()
        + caches.iter().map(|&slot| plan.kv[slot].bytes()).sum::<u64>();
    (bytes, 0)
}

/// Bytes of buffers and rotary tables that only this part uses; what several parts use depends on none of them.
fn fixed_bytes(plan: &Plan, kind: ModelPart) -> u64 {
    let owner = |buffer: Buffer| -> ModelPart {
        let layers = |part: ModelPart| if part == ModelPart::Mixing { ModelPart::Projections } else { part };
        let users = plan.steps.iter().filter(|step| step.input == buffer || step.output == buffer);
        let mut users = users.map(|step| layers(step.part));
        let first = users.next().unwrap_or(ModelPart::Outer);
        if users.all(|user| user == first) { first } else { ModelPart::Outer }
    };
    let buffers = plan.buffers.iter().filter(|(buffer, _)| owner(*buffer) == kind);
    let buffers: u64 = buffers.map(|&(buffer, width)| 4 * width * plan.buffer_rows(buffer)).sum();
    let ropes = || plan.ropes.iter().map(|slot| 4 * slot.rotated * plan.options.context).sum::<u64>();
    buffers + if kind == ModelPart::Projections { ropes() } else { 0 }
}

/// How many layers of each kind a point has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerCounts {
    pub(crate) full: u64,
    pub(crate) windowed: u64,
}

impl LayerCounts {
    pub(crate) fn new(window: Option<Window>, layers: u64) -> Self {
        let full = Window::full_layers(window, layers);
        Self { full, windowed: layers - full }
    }

    pub(crate) fn layers(self) -> u64 {
        self.full + self.windowed
    }
}

/// The five parts of a point. Kinds of mixing that it does not have are absent.
pub(crate) struct Parts<'p> {
    pub(crate) outer: &'p mut Part,
    pub(crate) projections: &'p mut Part,
    pub(crate) full: Option<&'p mut Part>,
    pub(crate) windowed: Option<&'p mut Part>,
    pub(crate) feed_forward: &'p mut Part,
}

impl Parts<'_> {
    /// Bytes that each token touches again.
    fn working_set_bytes(&self, counts: LayerCounts) -> f64 {
        let (layers, full, windowed) = (counts.layers() as f64, counts.full as f64, counts.windowed as f64);
        let mixing = |part: &Option<&mut Part>| part.as_ref().map_or(0.0, |part| part.working_set_bytes);
        self.outer.working_set_bytes
            + layers * self.projections.working_set_bytes
            + full * mixing(&self.full)
            + windowed * mixing(&self.windowed)
            + layers * self.feed_forward.working_set_bytes
    }

    /// Bytes of its tensors in a file.
    pub(crate) fn file_bytes(&self, counts: LayerCounts, tied: bool) -> u64 {
        let (outer, projections, feed_forward) =
            (self.outer.file, self.projections.file, self.feed_forward.file);
        let once = outer.each + projections.once + if tied { 0 } else { outer.head };
        once + counts.layers() * (projections.each + feed_forward.each)
    }

    /// Peak resident bytes with one thread count.
    fn memory_bytes(&self, counts: LayerCounts, tied: bool, thread_place: usize) -> u64 {
        let (full, windowed) = (self.full.as_deref(), self.windowed.as_deref());
        let parts = [Some(&*self.outer), Some(&*self.projections), full, windowed, Some(&*self.feed_forward)];
        let scratch = parts.iter().flatten().map(|part| part.scratch_bytes(thread_place)).max().unwrap_or(0);
        let fixed: u64 = parts.iter().flatten().map(|part| part.fixed_bytes).sum();
        let layer = |part: Option<&Part>, count: u64| part.map_or(0, |part| count * part.layer_bytes);
        let stored = self.outer.layer_bytes
            + if tied { 0 } else { self.outer.head_bytes }
            + counts.layers() * (self.projections.layer_bytes + self.feed_forward.layer_bytes)
            + layer(full, counts.full)
            + layer(windowed, counts.windowed);
        stored + fixed + scratch + PROCESS_BYTES
    }

    /// What a point takes with the thread count of the lowest TPOT, on a tie the fewer.
    pub(crate) fn price(
        &mut self,
        cost: &CostModel,
        counts: LayerCounts,
        tied: bool,
    ) -> Result<RunTime, CostError> {
        let mut best: Option<RunTime> = None;
        for place in 0..cost.thread_counts().count() {
            let time = self.price_with(cost, counts, tied, place)?;
            if best.is_none_or(|best| time.tpot.seconds < best.tpot.seconds) {
                best = Some(time);
            }
        }
        best.ok_or_else(|| CostError::Missing { what: "measured thread count".to_owned() })
    }

    /// What it takes with the thread count at that place of the cost model's list.
    pub(crate) fn price_with(
        &mut self,
        cost: &CostModel,
        counts: LayerCounts,
        tied: bool,
        thread_place: usize,
    ) -> Result<RunTime, CostError> {
        let threads = cost
            .thread_counts()
            .nth(thread_place)
            .ok_or_else(|| CostError::Missing { what: "measured thread count".to_owned() })?;
        let working_set_bytes = self.working_set_bytes(counts);
        let regime = cost.regime(threads, working_set_bytes)?;
        let mut times = |part: &mut Part| part.times(cost, thread_place, regime);
        let (outer, projections) = (times(self.outer), times(self.projections));
        let full = self.full.as_deref_mut().map_or(PartTimes::default(), &mut times);
        let windowed = self.windowed.as_deref_mut().map_or(PartTimes::default(), &mut times);
        let feed_forward = times(self.feed_forward);
        let sum = |time: fn(&PartTimes) -> BusyTime| {
            let base = time(&outer) + time(&projections) * counts.layers() as f64;
            let mixing = time(&full) * counts.full as f64 + time(&windowed) * counts.windowed as f64;
            base + mixing + time(&feed_forward) * counts.layers() as f64
        };
        Ok(RunTime {
            threads,
            ttft: sum(|times| times.prefill),
            tpot: sum(|times| times.decode),
            memory_bytes: self.memory_bytes(counts, tied, thread_place),
            working_set_bytes,
        })
    }
}

/// Plans of one layer for each thread count.
///
/// # Errors
/// Why the point is none.
pub(crate) fn plans(
    cost: &CostModel,
    architecture: &Architecture,
    weights: NumberFormat,
    kv: NumberFormat,
    run: RunShape,
) -> Result<Vec<Plan>, Invalid> {
    cost.thread_counts()
        .map(|threads| cost.plan(architecture, weights, kv, threads, run))
        .collect::<Result<_, _>>()
        .map_err(|error| refused(error, weights, kv))
}

/// Why a part cannot be priced.
pub(crate) fn refused(error: CostError, weights: NumberFormat, kv: NumberFormat) -> Invalid {
    match error {
        CostError::Plan(PlanError::Format { label: "kv_cache", .. }) => {
            Invalid::owned(format!("heads are no whole number of {kv} blocks"))
        }
        CostError::Plan(PlanError::Format { .. }) => {
            Invalid::owned(format!("rows are no whole number of {weights} blocks"))
        }
        CostError::Plan(PlanError::NoKernel { what }) => Invalid::owned(format!("no kernel for {what}")),
        other => Invalid::owned(other.to_string()),
    }
}
