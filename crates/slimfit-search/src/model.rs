//! The evaluator of real points: the cost model for what they cost, the quality law for what they are worth.

use crate::device::Device;
use crate::file_bytes::FileBytes;
use crate::parts::{self, LayerCounts, Part, Parts};
use crate::space::{Mixture, Window, looped};
use crate::table::BoundTable;
use crate::{Block, Evaluator, Inner, Invalid, Metric, Space, Values, Workload};
use slimfit_arch::{Architecture, ArchitectureError};
use slimfit_cost::{CostModel, RunShape, RunTime};
use slimfit_formats::Loader;
use slimfit_plan::ModelPart;
use slimfit_quality::{
    Assumption, Base, Flags, Law, Looped, QualityModel, Refusal, ScoreCurve, Shape, TrainingCost,
    TrainingPlan,
};
use slimfit_quantity::NumberFormat;

/// Prices and values the points of one space for one workload, on one device or on several that one model is chosen for:
/// what depends on the device is the worst over them then.
#[derive(Debug, Clone)]
pub struct ModelEvaluator<'a> {
    pub(crate) devices: Vec<Device<'a>>,
    /// What is asked for on one of the devices.
    on_devices: Vec<Metric>,
    pub(crate) quality: &'a QualityModel,
    pub(crate) workload: &'a Workload,
    pub(crate) tokens: u64,
    pub(crate) law: Law,
    pub(crate) training: TrainingPlan,
    pub(crate) table: BoundTable,
    metrics: Vec<Metric>,
    /// Scores that are asked for, and how each follows from the loss.
    scores: Vec<(Metric, ScoreCurve)>,
    /// Whether the training of points is asked for.
    counts_training: bool,
    pub(crate) depths: Vec<u64>,
    /// Numbers of passes through all layers.
    pub(crate) passes: Vec<u64>,
    /// `(vocabulary, its run, bytes per token)`.
    pub(crate) vocabularies: Vec<(u64, RunShape, f64)>,
    /// What may be assumed, of heads, vocabularies and loops.
    may_assume: (bool, bool, bool),
}

/// What the points of one block share.
#[derive(Debug)]
pub struct PreparedBlock<'a> {
    space: &'a Space,
    block: Block,
    counts: LayerParameters,
    /// By vocabulary, tying, depth and passes.
    bases: Vec<Option<Result<Valued, Invalid>>>,
    /// Number of its first point.
    first: u64,
    /// By tying, depth and passes: which of the space's loaders does not hold the point.
    held: Vec<Option<Option<Loader>>>,
    /// By weight format and vocabulary, on each device.
    weighted: Vec<Option<Result<Vec<Weighted>, Invalid>>>,
    /// By KV format and vocabulary, on each device.
    mixing: Vec<Option<Result<Vec<Mixing>, Invalid>>>,
}

/// The parts of a point that its weight format decides.
#[derive(Debug)]
struct Weighted {
    outer: Part,
    projections: Part,
    feed_forward: Part,
}

/// The parts that the KV format decides: layers without a window, and those with one.
#[derive(Debug)]
pub(crate) struct Mixing {
    pub(crate) full: Option<Part>,
    pub(crate) windowed: Option<Part>,
}

/// What number formats leave as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valued {
    pub(crate) base: Base,
    training: Option<TrainingCost>,
}

/// Parameters without embeddings of one layer, and of what no layer has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerParameters {
    pub(crate) layer: u64,
    /// Those of a layer that a token does not visit.
    pub(crate) idle: u64,
    pub(crate) rest: u64,
}

impl LayerParameters {
    /// Counts a block.
    ///
    /// # Errors
    /// Why it is no model.
    pub(crate) fn of(space: &Space, block: &Block) -> Result<Self, Invalid> {
        let plain = Block { window: None, ..*block };
        let vocabulary = space.vocabularies()[0];
        let count = |layers| {
            let architecture = space.architecture(&plain, layers, vocabulary, true);
            match architecture.validate().and_then(|()| architecture.checked_parameters()) {
                Ok(parameters) => Ok((parameters.non_embedding, parameters.total - parameters.active)),
                Err(ArchitectureError::Field { field, .. }) => {
                    Err(Invalid::owned(format!("impossible `{field}`")))
                }
                Err(error) => Err(Invalid::owned(error.to_string())),
            }
        };
        let ((one, idle), (two, _)) = (count(1)?, count(2)?);
        let layer = two - one;
        Ok(Self { layer, idle, rest: one - layer })
    }
}

/// A point with its parameters counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) block: Block,
    /// Stored ones.
    pub(crate) layers: u64,
    /// How often all of them run.
    pub(crate) passes: u64,
    /// Place in the space's list of vocabularies.
    pub(crate) vocabulary: usize,
    pub(crate) tied: bool,
    /// Stored parameters without embeddings.
    pub(crate) non_embedding: u64,
    /// Those of them that a token visits.
    pub(crate) active: u64,
    /// Those that no layer has.
    pub(crate) rest: u64,
}

impl<'a> ModelEvaluator<'a> {
    /// An evaluator for `space`: `tokens` is the training length in the recipe's tokenizer.
    pub fn new(
        space: &Space,
        cost: &'a CostModel,
        quality: &'a QualityModel,
        tokens: u64,
        workload: &'a Workload,
    ) -> Self {
        Self::of_devices(space, std::slice::from_ref(cost), quality, tokens, workload)
    }

    /// The same for one device or more. A point has the metrics that all of them can give.
    ///
    /// # Panics
    /// Without a device.
    pub fn of_devices(
        space: &Space,
        costs: &'a [CostModel],
        quality: &'a QualityModel,
        tokens: u64,
        workload: &'a Workload,
    ) -> Self {
        assert!(!costs.is_empty(), "points are priced on a device");
        let devices: Vec<Device<'a>> = costs.iter().map(Device::new).collect();
        let law = quality.law(tokens, &workload.bytes());
        let scores: Vec<(Metric, ScoreCurve)> = Metric::scores(quality.recipe())
            .zip(quality.recipe().scores.tasks.values())
            .map(|(metric, curve)| (metric, *curve))
            .collect();
        let mut metrics: Vec<Metric> = Metric::FIXED.to_vec();
        metrics.retain(|metric| !matches!(metric, Metric::TrainingSeconds | Metric::TrainingCost));
        metrics.extend(scores.iter().map(|(metric, _)| *metric));
        metrics.retain(|metric| devices.iter().all(|device| device.gives(*metric)));
        let vocabularies = space.vocabularies().into_iter();
        Self {
            devices,
            on_devices: Vec::new(),
            quality,
            workload,
            tokens,
            training: TrainingPlan::default(),
            table: BoundTable::default(),
            scores,
            counts_training: true,
            metrics,
            depths: space.depths(),
            passes: space.passes(),
            vocabularies: vocabularies
                .map(|vocabulary| {
                    (vocabulary, workload.run_shape(&law, vocabulary), law.bytes_per_token(vocabulary))
                })
                .collect(),
            may_assume: (
                space.assumes(Assumption::Mqa),
                space.assumes(Assumption::Vocabulary),
                space.assumes(Assumption::Loops),
            ),
            law,
        }
    }

    /// The same, told what a training runs on.
    pub fn trained_on(mut self, training: TrainingPlan) -> Self {
        if let Some(rate) = training.rate {
            self.metrics.push(Metric::TrainingSeconds);
            if rate.price_per_gpu_hour.is_some() {
                self.metrics.push(Metric::TrainingCost);
            }
        }
        self.training = training;
        self
    }

    /// The same, with measured scores in place of predictions.
    pub fn measured_by(mut self, table: BoundTable) -> Self {
        self.table = table;
        self
    }

    /// The objectives of a search that names none: quality, both latencies, memory, and energy where it can be had;
    /// per byte of text where the vocabulary is an axis.
    pub fn default_objectives(&self, space: &Space) -> Vec<Metric> {
        let mut objectives = if space.vocabulary_is_axis() {
            vec![Metric::LossPerByte, Metric::TtftSeconds, Metric::SecondsPerByte, Metric::MemoryBytes]
        } else {
            vec![Metric::Loss, Metric::TtftSeconds, Metric::TpotSeconds, Metric::MemoryBytes]
        };
        objectives.push(Metric::JoulesPerToken);
        objectives.retain(|metric| self.metrics.contains(metric));
        objectives
    }

    /// The same, told what is asked of it: percentiles, scores and trainings that nobody looks at are not computed.
    pub fn asked_for(mut self, objectives: &[Metric], limits: &[(Metric, f64)]) -> Self {
        let all: Vec<Metric> =
            objectives.iter().copied().chain(limits.iter().map(|(metric, _)| *metric)).collect();
        if !all.iter().any(|metric| metric.is_percentile()) {
            self.devices.iter_mut().for_each(|device| device.tails = None);
        }
        self.scores.retain(|(metric, _)| all.contains(metric));
        self.counts_training = all.iter().any(|metric| metric.is_training());
        self.with_each_device(&all)
    }

    /// The same, giving also those of `metrics` that are of one of its devices alone.
    pub fn with_each_device(mut self, metrics: &[Metric]) -> Self {
        let devices = self.devices.len();
        for metric in metrics.iter().filter(|metric| metric.device().is_some_and(|place| place < devices)) {
            if self.metrics.contains(&metric.quantity()) && !self.on_devices.contains(metric) {
                self.metrics.push(*metric);
                self.on_devices.push(*metric);
            }
        }
        self
    }

    /// The same, priced by another model of the one device.
    pub(crate) fn priced_by<'b>(&self, cost: &'b CostModel) -> ModelEvaluator<'b>
    where
        'a: 'b,
    {
        ModelEvaluator { devices: vec![Device { cost, ..self.devices[0] }], ..self.clone() }
    }

    /// The same on one of its devices.
    pub(crate) fn only(&self, device: usize) -> Self {
        Self { devices: vec![self.devices[device]], on_devices: Vec::new(), ..self.clone() }
    }

    /// What is asked for on one device of several.
    pub(crate) fn on_devices(&self) -> impl Iterator<Item = Metric> {
        self.on_devices.iter().copied()
    }

    /// What prices on the first device.
    pub(crate) fn cost(&self) -> &'a CostModel {
        self.devices[0].cost
    }

    /// A thread count of the first device that points may take and whose watts are not known, where there is one.
    pub(crate) fn without_watts(&self) -> Option<u32> {
        let known = |threads| self.devices[0].joules(slimfit_cost::BusyTime::default(), threads).is_some();
        self.cost().thread_counts().find(|threads| !known(*threads))
    }

    /// The metrics that it computes; all others stay unknown.
    pub(crate) fn computed(&self) -> Vec<Metric> {
        let fixed = Metric::FIXED.into_iter().filter(|metric| {
            let no_tails = || self.devices.iter().any(|device| device.tails.is_none());
            !(metric.is_percentile() && no_tails() || metric.is_training() && !self.counts_training)
        });
        let scores = self.scores.iter().map(|(metric, _)| *metric);
        fixed.chain(scores).chain(self.on_devices.iter().copied()).collect()
    }

    /// The measured scores that stand for predictions.
    pub fn measured_table(&self) -> &BoundTable {
        &self.table
    }

    /// One standard deviation of a measured value whose table gives none: the sampling error of a benchmark, and
    /// nothing for a loss.
    pub(crate) fn evaluation_sigma(&self, metric: Metric) -> f64 {
        let Metric::Score(task) = metric else { return 0.0 };
        self.quality.recipe().scores.tasks.get(task.name()).map_or(0.0, |curve| curve.evaluation)
    }

    /// The law that values its points.
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// What anchors add to the loss before a score is read off it.
    fn anchor_shift(&self, metric: Metric, non_embedding: u64) -> f64 {
        let Metric::Score(task) = metric else { return 0.0 };
        let anchor = self.quality.anchor_for(task.name(), non_embedding);
        anchor.map_or(0.0, |(shift, _)| shift.shift_nats)
    }

    /// Stored parameters of a point, embeddings included.
    pub(crate) fn total_parameters(&self, point: &Counted) -> u64 {
        let (vocabulary, ..) = self.vocabularies[point.vocabulary];
        point.non_embedding + tables(point.tied) * vocabulary * point.block.hidden_size
    }

    /// What the law reads of a point.
    pub(crate) fn shape(&self, point: &Counted) -> Shape {
        let Counted { block, layers, passes, tied, non_embedding, active, rest, .. } = *point;
        let (vocabulary, run, _) = self.vocabularies[point.vocabulary];
        let full = block.full_layers(layers);
        let ratio = block.ffn as f64 / block.hidden_size as f64;
        Shape {
            non_embedding,
            active,
            embedding: tables(tied) * vocabulary * block.hidden_size,
            looped: (passes > 1).then(|| Looped {
                non_embedding: non_embedding - rest,
                active: active - rest,
                count: passes,
            }),
            hidden_size: block.hidden_size,
            layers,
            vocabulary_size: vocabulary,
            heads_per_kv_head: block.heads / block.kv_heads,
            single_kv_head: block.heads > 1 && block.kv_heads == 1,
            ffn_low: ratio,
            ffn_high: ratio,
            // One that cuts nothing is none to the law.
            window: block.window.filter(|_| full < layers).map(|window| window.size).filter(|size| {
                let RunShape { prompt_tokens, generated_tokens, .. } = run;
                *size < prompt_tokens + generated_tokens
            }),
            global_layers: full,
            experts: block.experts.map_or(1, |experts| experts.count),
            per_layer: false,
        }
    }

    /// Values a point before its number formats.
    ///
    /// # Errors
    /// The first limit of the law that it breaks, or what it would have to assume. Bounds on parameters and the rules of the
    /// space come before.
    pub(crate) fn valued(&self, space: &Space, point: &Counted) -> Result<Valued, Invalid> {
        let base = self.law.base(&self.shape(point)).map_err(|refusal| Invalid::of(refusal.reason()))?;
        self.allowed(base.flags)?;
        let training = if self.counts_training {
            let architecture = self.architecture(space, point);
            let cost = self.training.cost(self.quality.recipe(), &architecture, self.tokens);
            Some(cost.map_err(|error| Invalid::owned(error.to_string()))?)
        } else {
            None
        };
        Ok(Valued { base, training })
    }

    /// All that is known of the point of that number; nothing where it is none.
    pub(crate) fn values(&self, space: &Space, index: u64) -> Option<Values> {
        let inner_size = space.inner_size();
        let mut prepared = self.prepare(space, &space.block(index / inner_size).ok()?).ok()?;
        let mut values = Metric::UNKNOWN;
        self.evaluate(&mut prepared, space.inner(index % inner_size), &mut values).ok()?;
        Some(values)
    }

    /// The loader of the space's that does not hold a point, where there is one.
    pub(crate) fn refusing_loader(&self, space: &Space, point: &Counted) -> Option<Loader> {
        if !space.is_portable() {
            return None;
        }
        space.refusing_loader(&self.architecture(space, point))
    }

    fn architecture(&self, space: &Space, point: &Counted) -> Architecture {
        let (vocabulary, ..) = self.vocabularies[point.vocabulary];
        looped(space.architecture(&point.block, point.layers, vocabulary, point.tied), point.passes)
    }

    /// Writes all that is known of a point but what depends on the device. `index`: its number, by which it may have been
    /// measured.
    pub(crate) fn write(
        &self,
        (index, point): (u64, &Counted),
        valued: &Valued,
        loss_nats: f64,
        file_bytes: u64,
        values: &mut Values,
    ) {
        let sizes = (point.non_embedding, self.total_parameters(point));
        self.write_predicted(sizes, valued.training, loss_nats, file_bytes, values);
        if let Some(row) = self.table.of_point(index) {
            row.replace(values);
        }
    }

    /// Writes all that is predicted of a point with so many parameters in all, but what depends on the device.
    pub(crate) fn write_predicted(
        &self,
        (non_embedding, total_parameters): (u64, u64),
        training: Option<TrainingCost>,
        loss_nats: f64,
        file_bytes: u64,
        values: &mut Values,
    ) {
        values[Metric::Loss.column()] = loss_nats;
        values[Metric::LossPerByte.column()] = self.law.per_byte(loss_nats);
        for (metric, curve) in &self.scores {
            let shift = self.anchor_shift(*metric, non_embedding);
            values[metric.column()] = curve.percent(loss_nats + shift);
        }
        if let Some(TrainingCost { flops, seconds, money }) = training {
            values[Metric::TrainingFlops.column()] = flops;
            values[Metric::TrainingSeconds.column()] = seconds.unwrap_or(f64::INFINITY);
            values[Metric::TrainingCost.column()] = money.unwrap_or(f64::INFINITY);
        }
        values[Metric::FileBytes.column()] = file_bytes as f64;
        values[Metric::Parameters.column()] = total_parameters as f64;
    }

    /// Writes what a point takes on a device: the worst of those up to this one, and what is asked for on this one. To be
    /// called for each device in order.
    pub(crate) fn write_on(&self, place: usize, vocabulary: usize, price: &RunTime, values: &mut Values) {
        let (_, _, bytes_per_token) = self.vocabularies[vocabulary];
        let device = &self.devices[place];
        if self.devices.len() == 1 {
            device.write(price, bytes_per_token, values);
            return;
        }
        let mut own = Metric::UNKNOWN;
        device.write(price, bytes_per_token, &mut own);
        for column in Metric::OF_DEVICE.map(Metric::column) {
            values[column] = if place == 0 { own[column] } else { values[column].max(own[column]) };
        }
        for metric in self.on_devices.iter().filter(|metric| metric.device() == Some(place)) {
            values[metric.column()] = own[metric.quantity().column()];
        }
    }

    /// Parts of `block` that a weight format decides, in the order of `kinds`.
    ///
    /// # Errors
    /// Why the block cannot be planned or priced in that format.
    pub(crate) fn weighted_parts<const N: usize>(
        &self,
        cost: &CostModel,
        space: &Space,
        block: &Block,
        weights: NumberFormat,
        vocabulary: usize,
        kinds: [ModelPart; N],
    ) -> Result<[Part; N], Invalid> {
        let (size, run, _) = self.vocabularies[vocabulary];
        let architecture = space.architecture(&Block { window: None, ..*block }, 1, size, false);
        // A cache of whole values suits every head; its own format is the mixing's concern.
        let kv = NumberFormat::F32;
        let plans = parts::plans(cost, &architecture, weights, kv, run)?;
        let read = |kind| {
            let part = Part::read(cost, kind, &plans, run);
            let mut part = part.map_err(|error| parts::refused(error, weights, kv))?;
            part.file = FileBytes::of(&architecture, kind, weights);
            Ok(part)
        };
        let parts: Vec<Part> = kinds.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(parts.try_into().unwrap_or_else(|_| unreachable!("as many parts as kinds")))
    }

    fn weighted(
        &self,
        space: &Space,
        block: &Block,
        weights: NumberFormat,
        vocabulary: usize,
    ) -> Result<Vec<Weighted>, Invalid> {
        let kinds = [ModelPart::Outer, ModelPart::Projections, ModelPart::FeedForward];
        let on = |device: &Device<'_>| {
            let [outer, projections, feed_forward] =
                self.weighted_parts(device.cost, space, block, weights, vocabulary, kinds)?;
            Ok(Weighted { outer, projections, feed_forward })
        };
        self.devices.iter().map(on).collect()
    }

    /// Why no point of a sheet is valid whose parameters lie in `allowed`, where the law refuses it whatever its layers.
    /// `shape`: that of a dense point without shared key heads.
    pub(crate) fn refusal_whatever_the_layers(
        &self,
        shape: Shape,
        allowed: (f64, f64),
        (weights, kv): (NumberFormat, NumberFormat),
        is_portable: bool,
    ) -> Option<Invalid> {
        let size = allowed.0.max(1.0).ceil() as u64;
        let base = match self.law.base(&shape.resized(size, size)) {
            Ok(base) => base,
            Err(Refusal::TooSmall | Refusal::TooLarge | Refusal::TooFewTokens) => return None,
            Err(refusal) => return Some(Invalid::of(refusal.reason())),
        };
        // Those of heads are asked of each layer.
        if let Err(reason) = self.allowed(base.flags) {
            return Some(reason);
        }
        // Whether loaders hold a point is asked before its formats are.
        let refused = self.law.finish(&base, weights, kv).err().filter(|_| !is_portable);
        refused.map(|refusal| Invalid::of(refusal.reason()))
    }

    /// Whether a layer's heads rest on nothing that has to be assumed, or that was let in.
    pub(crate) fn allows_heads(&self, heads: u64, kv_heads: u64) -> bool {
        self.may_assume.0 || !self.law.assumes_heads(heads / kv_heads, heads > 1 && kv_heads == 1)
    }

    /// Refuses what rests on an assumption that was not let in.
    ///
    /// # Errors
    /// The option that lets it in.
    pub(crate) fn allowed(&self, flags: Flags) -> Result<(), Invalid> {
        let (mqa, vocabularies, loops) = self.may_assume;
        if flags.contains(Flags::ASSUMED_MQA) && !mqa {
            return Err(Invalid::of("rests on an assumption: needs --assume mqa"));
        }
        if flags.contains(Flags::ASSUMED_VOCABULARY) && !vocabularies {
            return Err(Invalid::of("rests on an assumption: needs --assume vocab"));
        }
        if flags.contains(Flags::ASSUMED_LOOPS) && !loops {
            return Err(Invalid::of("rests on an assumption: needs --assume loops"));
        }
        Ok(())
    }

    /// Whether somebody asks for the training of points.
    pub(crate) const fn counts_training(&self) -> bool {
        self.counts_training
    }

    /// Whether the law reaches so many experts.
    pub(crate) fn allows_experts(&self, experts: Option<Mixture>) -> bool {
        experts.is_none_or(|experts| experts.count <= self.law.most_experts())
    }

    /// Operations of the training of a block at some depth, its layers run once; none past 64 bits.
    pub(crate) fn training_flops(
        &self,
        space: &Space,
        block: &Block,
        layers: u64,
        vocabulary: usize,
        tied: bool,
    ) -> Option<f64> {
        let architecture = space.architecture(block, layers, self.vocabularies[vocabulary].0, tied);
        Some(self.training.cost(self.quality.recipe(), &architecture, self.tokens).ok()?.flops)
    }

    /// Seconds and price of one operation of a training; infinite where they are not known.
    pub(crate) fn training_rates(&self) -> (f64, f64) {
        let Some(rate) = self.training.rate else { return (f64::INFINITY, f64::INFINITY) };
        let seconds = 1.0 / rate.flops_per_s;
        let price = rate.price_per_gpu_hour.map(|price| seconds / 3600.0 * rate.gpus as f64 * price);
        (seconds, price.unwrap_or(f64::INFINITY))
    }

    /// The scores that are asked for: their curves, and the least that anchors add to a loss before it is read off.
    pub(crate) fn score_curves(&self) -> Vec<(Metric, ScoreCurve, f64)> {
        let shift = |metric: Metric| match metric {
            Metric::Score(task) => self.quality.least_anchor_shift(task.name()),
            _ => 0.0,
        };
        self.scores.iter().map(|(metric, curve)| (*metric, *curve, shift(*metric))).collect()
    }

    /// The parts of `block` that its heads, window and KV format decide.
    pub(crate) fn mixing(
        &self,
        cost: &CostModel,
        space: &Space,
        block: &Block,
        kv: NumberFormat,
        vocabulary: usize,
    ) -> Result<Mixing, Invalid> {
        let (size, run, _) = self.vocabularies[vocabulary];
        let weights = NumberFormat::F32;
        let part = |window: Option<Window>| {
            let architecture = space.architecture(&Block { window, ..*block }, 1, size, false);
            let plans = parts::plans(cost, &architecture, weights, kv, run)?;
            Part::read(cost, ModelPart::Mixing, &plans, run)
                .map_err(|error| parts::refused(error, weights, kv))
        };
        let window = Window::cuts(block.window);
        let full = window.is_none_or(|window| window.full_every.is_some());
        let windowed = window.map(|window| part(Some(Window { full_every: None, ..window })));
        Ok(Mixing { windowed: windowed.transpose()?, full: full.then(|| part(None)).transpose()? })
    }
}

impl Evaluator for ModelEvaluator<'_> {
    type Prepared<'s> = PreparedBlock<'s>;

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn prepare<'s>(&'s self, space: &'s Space, block: &Block) -> Result<PreparedBlock<'s>, Invalid> {
        let counts = LayerParameters::of(space, block)?;
        let empty = |formats: usize| formats * self.vocabularies.len();
        let trunks = space.tyings().len() * self.depths.len() * self.passes.len();
        Ok(PreparedBlock {
            space,
            block: *block,
            counts,
            first: block.index * space.inner_size(),
            bases: vec![None; self.vocabularies.len() * trunks],
            held: vec![None; trunks],
            weighted: (0..empty(space.weights().len())).map(|_| None).collect(),
            mixing: (0..empty(space.kv().len())).map(|_| None).collect(),
        })
    }

    fn evaluate(
        &self,
        prepared: &mut PreparedBlock<'_>,
        inner: Inner,
        values: &mut Values,
    ) -> Result<(), Invalid> {
        let space = prepared.space;
        let (layers, passes) = (self.depths[inner.layers], self.passes[inner.loops]);
        let non_embedding = prepared.counts.rest + layers * prepared.counts.layer;
        let point = Counted {
            block: prepared.block,
            layers,
            passes,
            vocabulary: inner.vocabulary,
            tied: space.tyings()[inner.tied],
            non_embedding,
            active: non_embedding - layers * prepared.counts.idle,
            rest: prepared.counts.rest,
        };
        space.check_parameters(self.total_parameters(&point), point.non_embedding)?;
        space.check_rules(&point.block, &space.beside_block(inner))?;
        let trunk = (inner.tied * self.depths.len() + inner.layers) * self.passes.len() + inner.loops;
        let trunks = prepared.held.len();
        let valued = prepared.bases[inner.vocabulary * trunks + trunk]
            .get_or_insert_with(|| self.valued(space, &point));
        let valued = valued.as_ref().map_err(Clone::clone)?;
        let refusing = *prepared.held[trunk].get_or_insert_with(|| self.refusing_loader(space, &point));
        if let Some(loader) = refusing {
            return Err(Invalid::by_loader(loader));
        }
        let (weights, kv) = (space.weights()[inner.weights], space.kv()[inner.kv]);
        let loss =
            self.law.finish(&valued.base, weights, kv).map_err(|refusal| Invalid::of(refusal.reason()))?;

        let PreparedBlock { block, weighted, mixing, .. } = prepared;
        let weighted = weighted[inner.weights * self.vocabularies.len() + inner.vocabulary]
            .get_or_insert_with(|| self.weighted(space, block, weights, inner.vocabulary));
        let mixing = mixing[inner.kv * self.vocabularies.len() + inner.vocabulary].get_or_insert_with(|| {
            let on = |device: &Device<'_>| self.mixing(device.cost, space, block, kv, inner.vocabulary);
            self.devices.iter().map(on).collect()
        });
        let (weighted, mixing) = match (weighted, mixing) {
            (Ok(weighted), Ok(mixing)) => (weighted, mixing),
            (Err(invalid), _) | (_, Err(invalid)) => return Err(invalid.clone()),
        };
        let counts = LayerCounts::new(point.block.window, layers, passes);
        for (place, (weighted, mixing)) in weighted.iter_mut().zip(mixing).enumerate() {
            let mut parts = Parts {
                outer: &mut weighted.outer,
                projections: &mut weighted.projections,
                full: mixing.full.as_mut(),
                windowed: mixing.windowed.as_mut(),
                feed_forward: &mut weighted.feed_forward,
            };
            let price = parts
                .price(self.devices[place].cost, counts, point.tied)
                .map_err(|error| Invalid::owned(error.to_string()))?;
            self.write_on(place, inner.vocabulary, &price, values);
            if place == 0 {
                let index = prepared.first + inner.index;
                let file_bytes = parts.file_bytes(counts, point.tied);
                self.write((index, &point), valued, loss.nats, file_bytes, values);
            }
        }
        Ok(())
    }
}

/// Embedding tables stored: input and output, or one for both.
const fn tables(tied: bool) -> u64 {
    if tied { 1 } else { 2 }
}
