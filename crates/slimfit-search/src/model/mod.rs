//! The evaluator of real points: the cost model for what they cost, the quality law for what they are worth.

mod counted;
mod parts;
mod prepared;
mod training;
mod validity;
mod write;

pub(crate) use counted::{Counted, LayerParameters};
pub(crate) use parts::Mixing;
pub use prepared::PreparedBlock;

use crate::device::Device;
use crate::table::BoundTable;
use crate::{Metric, Space, Workload};
use slimfit_cost::{CostModel, RunShape};
use slimfit_quality::{Assumption, Law, QualityModel, ScoreCurve, TrainingPlan};

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

    /// What the values of a point are that a journal keeps, by name, in order.
    pub fn columns(&self) -> Vec<String> {
        self.computed().into_iter().map(|metric| metric.name().to_owned()).collect()
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

    /// The scores that are asked for: their curves, and the least that anchors add to a loss before it is read off.
    pub(crate) fn score_curves(&self) -> Vec<(Metric, ScoreCurve, f64)> {
        let shift = |metric: Metric| match metric {
            Metric::Score(task) => self.quality.least_anchor_shift(task.name()),
            _ => 0.0,
        };
        self.scores.iter().map(|(metric, curve)| (*metric, *curve, shift(*metric))).collect()
    }

    /// What anchors add to the loss before a score is read off it.
    fn anchor_shift(&self, metric: Metric, non_embedding: u64) -> f64 {
        let Metric::Score(task) = metric else { return 0.0 };
        let anchor = self.quality.anchor_for(task.name(), non_embedding);
        anchor.map_or(0.0, |(shift, _)| shift.shift_nats)
    }
}
