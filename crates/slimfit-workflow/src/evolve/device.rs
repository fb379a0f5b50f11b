//! This device as evaluator: each point runs for real, with random weights, as the workload says.

use super::Halt;
use super::keeper::{Measurer, Tell};
use super::question::Asked;
use crate::{MeasureRequest, Observer, Predictor, WorkflowError, measure_model};
use slimfit_cost::CostModel;
use slimfit_document::DocumentError;
use slimfit_kernels::{Isa, Tuning};
use slimfit_probe::PowerSource;
use slimfit_quantity::Figure;
use slimfit_runtime::WeightsFrom;
use slimfit_search::{Metric, ModelEvaluator, Workload};
use slimfit_study::{Measurement, Study};

/// How points are run on this device.
#[derive(Debug, Clone)]
pub struct DeviceEvaluator {
    /// The cap on the instruction set.
    pub isa: Isa,
    /// The kernels found fastest on this machine.
    pub tuning: Tuning,
    /// What measures the energy of decoding.
    pub power: PowerSource,
    /// Runs of each phase in each of the two passes.
    pub rounds: usize,
    /// Seed of weights and tokens.
    pub seed: u64,
}

/// What a run can tell.
const MEASURABLE: [Metric; 7] = [
    Metric::TtftSeconds,
    Metric::TpotSeconds,
    Metric::SecondsPerByte,
    Metric::MemoryBytes,
    Metric::JoulesPerToken,
    Metric::TtftP95Seconds,
    Metric::TpotP95Seconds,
];

impl DeviceEvaluator {
    /// Refuses what no run on this device tells.
    pub(super) fn check(measures: &[Metric]) -> Result<(), DocumentError> {
        let Some(metric) = measures.iter().find(|metric| !MEASURABLE.contains(metric)) else { return Ok(()) };
        let names = MEASURABLE.map(Metric::name).join(", ");
        let error = DocumentError::new("usage", "a run on this device does not tell this");
        let error = error.field("--measures").found(format!("`{}`", metric.name())).allowed(names);
        Err(error.hint("a command can: `--evaluator COMMAND`"))
    }
}

pub(super) struct Device<'a> {
    pub(super) evaluator: &'a DeviceEvaluator,
    pub(super) measures: &'a [Metric],
    pub(super) halt: Halt<'a>,
    pub(super) cost: &'a CostModel,
    pub(super) model: &'a ModelEvaluator<'a>,
    pub(super) workload: &'a Workload,
    pub(super) study: &'a Study,
}

impl Measurer for Device<'_> {
    fn measure(&mut self, points: &[Asked], tell: &mut Tell<'_>) -> Result<(), WorkflowError> {
        for (place, point) in points.iter().enumerate() {
            if self.halt.is_halted() {
                return Ok(());
            }
            let answer = match self.run(point) {
                Ok(measurement) => {
                    self.study.add_measurement(&measurement)?;
                    self.values(point, &measurement)
                }
                Err(WorkflowError::Interrupted) => return Ok(()),
                // Of this point alone: too large for the memory, or with shapes that no kernel takes.
                Err(
                    error @ (WorkflowError::Runtime(_) | WorkflowError::Plan(_) | WorkflowError::Cost(_)),
                ) => Err(error.to_string()),
                Err(error) => return Err(error),
            };
            tell(place, answer)?;
        }
        Ok(())
    }
}

impl Device<'_> {
    fn run(&self, point: &Asked) -> Result<Measurement, WorkflowError> {
        let wants = |metrics: &[Metric]| metrics.iter().any(|metric| self.measures.contains(metric));
        let memory = wants(&[Metric::MemoryBytes]);
        let first = wants(&[Metric::TtftSeconds, Metric::TtftP95Seconds]);
        let tokens = wants(&[
            Metric::TpotSeconds,
            Metric::TpotP95Seconds,
            Metric::SecondsPerByte,
            Metric::JoulesPerToken,
        ]);
        let architecture = &point.point.architecture;
        let run = self.workload.run_shape(self.model.law(), architecture.vocabulary_size);
        let request = MeasureRequest {
            name: None,
            architecture: architecture.clone(),
            loops: None,
            weights: point.point.weights,
            kv: point.point.kv,
            threads: None,
            isa: self.evaluator.isa,
            // Memory is that of the whole use.
            prompt_tokens: if first || memory { run.prompt_tokens } else { 0 },
            generated_tokens: if tokens || memory { run.generated_tokens } else { 0 },
            depth_tokens: run.depth_tokens,
            rounds: self.evaluator.rounds,
            source: WeightsFrom::Seeded { seed: self.evaluator.seed },
            seed: self.evaluator.seed,
            tuning: self.evaluator.tuning.clone(),
            memory,
            power: self.evaluator.power.clone(),
        };
        let mut quiet = |_: &str, _: f64| {};
        let mut observer = Observer { progress: &mut quiet, cancel: self.halt.cancel };
        measure_model(&request, Predictor::Model(self.cost), &mut observer)
    }

    fn values(&self, point: &Asked, measurement: &Measurement) -> Result<Vec<f64>, String> {
        let bytes_per_token = self.model.law().bytes_per_token(point.point.architecture.vocabulary_size);
        let value = |metric: &Metric| {
            let measured = value(*metric, measurement, bytes_per_token);
            measured.map(|(value, _)| value).map_err(|reason| format!("`{}`: {reason}", metric.name()))
        };
        self.measures.iter().map(value).collect()
    }
}

/// What a run says of a metric: its value and half of the distance between its quartiles, or why it says nothing.
pub(super) fn value(
    metric: Metric,
    measurement: &Measurement,
    bytes_per_token: f64,
) -> Result<(f64, f64), String> {
    let measured = &measurement.measured;
    let percentile = |value: Option<f64>| {
        value.map(|value| (value, 0.0)).ok_or_else(|| "too few samples for a percentile".to_owned())
    };
    match metric {
        Metric::TtftSeconds => spread(&measured.ttft_seconds),
        Metric::TpotSeconds => spread(&measured.tpot_seconds),
        Metric::SecondsPerByte => spread(&measured.tpot_seconds)
            .map(|(value, half_width)| (value / bytes_per_token, half_width / bytes_per_token)),
        Metric::MemoryBytes => spread(&measured.peak_memory_bytes),
        Metric::JoulesPerToken => spread(&measured.joules_per_token),
        Metric::TtftP95Seconds => percentile(measurement.percentiles.ttft_seconds.p95),
        Metric::TpotP95Seconds => percentile(measurement.percentiles.tpot_seconds.p95),
        other => Err(format!("`{}` is not measured on a device", other.name())),
    }
}

/// A figure's value and half of the distance between its quartiles; the reason where it was not measured.
fn spread(figure: &Figure) -> Result<(f64, f64), String> {
    let Some(value) = figure.value.filter(|value| *value > 0.0) else {
        return Err(figure.reason.clone().unwrap_or_else(|| "it was not measured".to_owned()));
    };
    Ok((value, figure.low.zip(figure.high).map_or(0.0, |(low, high)| (high - low) / 2.0)))
}
