//! What the parts of a model cost, so that every combination of them is arithmetic.
//!
//! For one hidden size, pair of formats and vocabulary a model of equal layers is a sum of five parts: embedding and head
//! once; and for each layer its projections, its mixing of tokens (with a window or without) and its feed-forward part.
//! No part depends on what another one chooses. Where the layers run several times, their weights are stored once and their
//! caches once for each pass; a later pass reads the weights from whatever still holds them after the bytes of one pass.
//! [`CostModel::predict`] is the long way to the same numbers.

use crate::Invalid;
use crate::file_bytes::FileBytes;
use crate::space::Window;
use slimfit_arch::Architecture;
use slimfit_cost::{BusyTime, CostError, CostModel, PROCESS_BYTES, RegimeId, RunShape, RunTime, Terms};
use slimfit_plan::{Buffer, ModelPart, Plan, PlanError, Shape, Step, traffic};
use slimfit_quantity::NumberFormat;

/// Decode and prefill time of a part in one regime.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PartTimes {
    pub(crate) decode: BusyTime,
    pub(crate) prefill: BusyTime,
}

/// What a part's operations take in one regime that a token or a chunk of the prompt runs through, by what they read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PassTimes {
    /// Those with weights, which a later pass reads from nearer.
    pub(crate) weights: BusyTime,
    /// All others.
    pub(crate) others: BusyTime,
}

/// What one part costs.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Bytes for each layer that has it: matrices, vectors, cache.
    pub(crate) layer_bytes: u64,
    /// Those of them that each pass through the layers has for itself: caches.
    pub(crate) cache_bytes: u64,
    /// Bytes once, however many layers have it: buffers, rotary tables.
    pub(crate) fixed_bytes: u64,
    /// Bytes of the output head, which tied models do not have: of the outer part.
    pub(crate) head_bytes: u64,
    /// Bytes that each token touches again, for each layer that has it.
    pub(crate) working_set_bytes: f64,
    /// Bytes of its tensors in a file: none of the mixing.
    pub(crate) file: FileBytes,
    /// Those of them that each pass adds: all but matrices.
    pub(crate) pass_set_bytes: f64,
    /// Bytes that a layer reads of weights and cache: when decoding, then in each chunk of the prompt.
    pub(crate) read_bytes: Vec<f64>,
    threads: Vec<ThreadPart>,
}

/// What a part costs with one thread count.
#[derive(Debug, Clone)]
struct ThreadPart {
    decode: Vec<Terms>,
    prefill: Vec<Terms>,
    /// Of the decoding operations, then of those of the prompt: place in `read_bytes`, and whether it has weights.
    kinds: Vec<(usize, bool)>,
    scratch_bytes: u64,
    /// By regime of the cost model, where it was asked for.
    times: Vec<Option<PartTimes>>,
    /// The same by place in `read_bytes`, for layers that run several times.
    passes: Vec<Option<Vec<PassTimes>>>,
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
        let StoredBytes { layer: layer_bytes, cache: cache_bytes, head: head_bytes } =
            stored_bytes(plan, kind);
        // Decoding, then each chunk of the prompt.
        let mut shapes = vec![decode_shape];
        shapes.extend(Shape::prefill(run.prompt_tokens, plan.options.chunk));
        let mut threads = Vec::with_capacity(plans.len());
        for (count, plan) in cost.thread_counts().zip(plans) {
            let decode = plan.steps.iter().filter(own).map(|step| cost.terms(step, decode_shape, count));
            let prefill = || plan.prefill(run.prompt_tokens).filter(|(step, _)| own(step));
            let kinds = plan.steps.iter().filter(own).map(|step| (0, step.matrix.is_some()));
            let chunk = |shape: Shape| (shape.first_position / plan.options.chunk.max(1)) as usize;
            let of_prompt = prefill().map(|(step, shape)| (1 + chunk(shape), step.matrix.is_some()));
            threads.push(ThreadPart {
                kinds: kinds.chain(of_prompt).collect(),
                passes: vec![None; cost.regimes().len()],
                decode: decode.collect::<Result<_, _>>()?,
                prefill: prefill()
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
        let touched = |with_matrices: bool| -> f64 {
            let steps = plan.steps.iter().filter(own).filter(|step| with_matrices || step.matrix.is_none());
            steps.map(|step| CostModel::touched_bytes(step, decode_shape)).sum()
        };
        let read_bytes = |shape: &Shape| -> f64 {
            let moved = plan.steps.iter().filter(own).map(|step| traffic(step, *shape));
            moved.map(|moved| moved.weight_bytes + moved.kv_read_bytes).sum()
        };
        Ok(Self {
            layer_bytes,
            cache_bytes,
            head_bytes,
            fixed_bytes: fixed_bytes(plan, kind),
            file: FileBytes::default(),
            working_set_bytes: touched(true),
            pass_set_bytes: touched(false),
            read_bytes: shapes.iter().map(read_bytes).collect(),
            threads,
        })
    }

    /// Bytes of a layer that runs so often.
    pub(crate) fn bytes(&self, counts: LayerCounts) -> u64 {
        self.layer_bytes + counts.later_passes() * self.cache_bytes
    }

    /// Bytes that each token touches again of a layer that runs so often.
    pub(crate) fn set_bytes(&self, counts: LayerCounts) -> f64 {
        self.working_set_bytes + counts.later_passes() as f64 * self.pass_set_bytes
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

    /// Its times in a regime of that thread count, decoding and each chunk of the prompt apart.
    pub(crate) fn pass_times(
        &mut self,
        cost: &CostModel,
        thread_place: usize,
        regime: RegimeId,
    ) -> &[PassTimes] {
        let shapes = self.read_bytes.len();
        let ThreadPart { decode, prefill, kinds, passes, .. } = &mut self.threads[thread_place];
        passes[regime.index()].get_or_insert_with(|| {
            let mut times = vec![PassTimes::default(); shapes];
            for (term, (place, has_weights)) in decode.iter().chain(prefill.iter()).zip(kinds) {
                let price =
                    cost.price(term, regime).expect("the regime is one of the terms' own thread count");
                let PassTimes { weights, others } = &mut times[*place];
                let sum = if *has_weights { weights } else { others };
                *sum = *sum + price.busy_time();
            }
            times
        })
    }
}

/// Bytes of matrices, vectors and caches: of one layer, or of what no layer holds.
struct StoredBytes {
    layer: u64,
    /// Those of them that are caches.
    cache: u64,
    /// Those of an untied head.
    head: u64,
}

fn stored_bytes(plan: &Plan, kind: ModelPart) -> StoredBytes {
    if kind == ModelPart::Outer {
        let matrices = plan.matrices.iter().filter(|slot| slot.layer.is_none());
        let (head, table): (Vec<_>, Vec<_>) = matrices.partition(|slot| slot.label == "head");
        let vectors = plan.vectors.iter().filter(|slot| slot.layer.is_none());
        let stored = table.iter().map(|slot| slot.packed_bytes).sum::<u64>()
            + vectors.map(|slot| 4 * slot.values).sum::<u64>();
        let head = head.iter().map(|slot| slot.packed_bytes).sum();
        return StoredBytes { layer: stored, cache: 0, head };
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
    let weights = matrices.iter().map(|&slot| plan.matrices[slot].packed_bytes).sum::<u64>()
        + vectors.iter().map(|&slot| 4 * plan.vectors[slot].values).sum::<u64>();
    let cache = caches.iter().map(|&slot| plan.kv[slot].bytes()).sum::<u64>();
    StoredBytes { layer: weights + cache, cache, head: 0 }
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

/// How many layers of each kind a point stores, and how often they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerCounts {
    pub(crate) full: u64,
    pub(crate) windowed: u64,
    /// Passes through all of them.
    pub(crate) passes: u64,
}

impl LayerCounts {
    pub(crate) fn new(window: Option<Window>, layers: u64, passes: u64) -> Self {
        let full = Window::full_layers(window, layers);
        Self { full, windowed: layers - full, passes }
    }

    /// Passes after the first one.
    pub(crate) fn later_passes(self) -> u64 {
        self.passes - 1
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
        let set = |part: &Part| part.set_bytes(counts);
        let mixing = |part: &Option<&mut Part>| part.as_deref().map_or(0.0, set);
        self.outer.working_set_bytes
            + layers * set(self.projections)
            + full * mixing(&self.full)
            + windowed * mixing(&self.windowed)
            + layers * set(self.feed_forward)
    }

    /// Bytes that one pass through the layers reads, by place in a part's `read_bytes`: what lies between two reads of a
    /// matrix.
    fn read_bytes(&self, counts: LayerCounts, place: usize) -> f64 {
        let of =
            |part: Option<&Part>, count: u64| part.map_or(0.0, |part| count as f64 * part.read_bytes[place]);
        let layers = counts.layers();
        of(Some(self.projections), layers)
            + of(self.full.as_deref(), counts.full)
            + of(self.windowed.as_deref(), counts.windowed)
            + of(Some(self.feed_forward), layers)
    }

    /// What each pass after the first takes in `regime`: weights come from what the bytes of one pass leave them in.
    fn later_pass(
        &mut self,
        cost: &CostModel,
        counts: LayerCounts,
        thread_place: usize,
        regime: RegimeId,
    ) -> Result<PartTimes, CostError> {
        let threads = cost.regimes()[regime.index()].threads;
        let mut pass = PartTimes::default();
        for place in 0..self.projections.read_bytes.len() {
            let near = regime.min(cost.regime(threads, self.read_bytes(counts, place))?);
            let layers = counts.layers();
            let mut time = BusyTime::default();
            let parts = [
                (Some(&mut *self.projections), layers),
                (self.full.as_deref_mut(), counts.full),
                (self.windowed.as_deref_mut(), counts.windowed),
                (Some(&mut *self.feed_forward), layers),
            ];
            for (part, count) in parts {
                let Some(part) = part else { continue };
                let others = part.pass_times(cost, thread_place, regime)[place].others;
                let weights = part.pass_times(cost, thread_place, near)[place].weights;
                time = time + (others + weights) * count as f64;
            }
            let sum = if place == 0 { &mut pass.decode } else { &mut pass.prefill };
            *sum = *sum + time;
        }
        Ok(pass)
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
        let layer = |part: Option<&Part>, count: u64| part.map_or(0, |part| count * part.bytes(counts));
        let stored = self.outer.layer_bytes
            + if tied { 0 } else { self.outer.head_bytes }
            + layer(Some(&*self.projections), counts.layers())
            + layer(Some(&*self.feed_forward), counts.layers())
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
        let (mut ttft, mut tpot) = (sum(|times| times.prefill), sum(|times| times.decode));
        if counts.passes > 1 {
            let pass = self.later_pass(cost, counts, thread_place, regime)?;
            let later = counts.later_passes() as f64;
            ttft = ttft + pass.prefill * later;
            tpot = tpot + pass.decode * later;
        }
        Ok(RunTime {
            threads,
            ttft,
            tpot,
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
