//! `slimfit search --evaluator`: the front of what is measured point by point.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::what::metric;
use crate::{device, interrupt};
use slimfit_cost::Engine;
use slimfit_document::DocumentError;
use slimfit_kernels::Isa;
use slimfit_probe::PowerSource;
use slimfit_search::Metric;
use slimfit_search::evolve::Patience;
use slimfit_study::{Front, MeasuredSearch, Study, SurrogateErrors};
use slimfit_workflow::{DeviceEvaluator, EvolveSettings, PointEvaluator, SearchInputs, evolve_into_study};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The evaluator that is this device.
const DEVICE: &str = "device";
/// Runs of each phase in each of two passes: a search looks at many points, each for a moment.
const ROUNDS: usize = 2;

/// Who measures points, what of them, and how many.
#[derive(Debug, clap::Args)]
pub struct EvaluatorArguments {
    /// Search for the front of measured points. COMMAND, for the shell, reads one JSON object a line for each point of a
    /// batch and prints one; `crates/slimfit-workflow/evaluators/README.md` says what stands in them. `device` runs points
    /// on this machine.
    #[arg(
        long,
        value_name = "COMMAND",
        requires = "measures",
        requires = "evaluations",
        conflicts_with_all = ["quality_table", "candidates", "dump_all"]
    )]
    evaluator: Option<String>,
    /// What the evaluator measures: objectives or limits. All others are predicted.
    #[arg(long, value_name = "METRICS", value_delimiter = ',', requires = "evaluator")]
    measures: Vec<String>,
    /// Evaluations at most, failed ones included, and those of an earlier run of the same search.
    #[arg(long, value_name = "COUNT", requires = "evaluator", value_parser = clap::value_parser!(u32).range(1..))]
    evaluations: Option<u32>,
    /// Points that are measured before the next ones are chosen.
    #[arg(long, value_name = "COUNT", default_value_t = 4, requires = "evaluator", value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Stop when the hypervolume of the measured front rose by less than `--least-gain` over so many evaluations.
    #[arg(long, value_name = "COUNT", requires = "evaluator", value_parser = clap::value_parser!(u32).range(1..))]
    patience: Option<u32>,
    /// The share by which the hypervolume must rise for the search to go on.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.001, requires = "patience")]
    least_gain: f64,
}

/// What `search` was asked for beside the evaluator.
pub struct Asked<'a> {
    pub objectives: Option<Vec<Metric>>,
    pub limits: Vec<(Metric, f64)>,
    pub passes: Vec<f64>,
    pub seed: u64,
    pub max_seconds: Option<f64>,
    pub inputs: &'a SearchInputs,
    pub isa: Isa,
}

impl EvaluatorArguments {
    /// Whether points are to be measured.
    pub fn is_given(&self) -> bool {
        self.evaluator.is_some()
    }

    /// Searches for the measured front, as far as `study` does not hold it already.
    pub fn search(&self, asked: Asked<'_>, study: &Study) -> Result<Front, Failure> {
        let inputs = asked.inputs;
        let measures = self.measures.iter().map(|name| metric(name, "--measures", &inputs.recipe));
        let measures: Vec<Metric> = measures.collect::<Result<_, _>>()?;
        let evaluator = self.evaluator(asked.isa, asked.seed, inputs)?;
        let budget = self.evaluations.map_or(usize::MAX, |count| count as usize);
        let progress = Progress::start(format!("measure {}", inputs.space.name()));
        let settings = EvolveSettings {
            objectives: asked.objectives,
            limits: asked.limits,
            measures,
            evaluator,
            evaluations: budget,
            batch: usize::from(self.batch),
            patience: self.patience.map(|evaluations| Patience {
                evaluations: evaluations as usize,
                least_gain: self.least_gain,
            }),
            seed: asked.seed,
            passes: asked.passes,
            deadline: asked.max_seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds)),
            cancel: interrupt::flag(),
            model_progress: &|_| progress.set(0.0, "searching the model's front to start from"),
            progress: &|at| {
                let what = format!("{} on the front, {} failed", at.front, at.failed);
                progress.count(at.evaluations as u64, at.budget as u64, &what);
            },
        };
        let front = evolve_into_study(inputs, &settings, study)?;
        progress.finish(&format!("{} measured points on the front", front.points.len()));
        Ok(front)
    }

    fn evaluator(&self, isa: Isa, seed: u64, inputs: &SearchInputs) -> Result<PointEvaluator, Failure> {
        let command = self.evaluator.clone().unwrap_or_default();
        if command.trim() != DEVICE {
            return Ok(PointEvaluator::Command(command));
        }
        let hint =
            "measure this one with `slimfit profile`, or measure points elsewhere with `--evaluator COMMAND`";
        device::another_machine(&inputs.profile, isa, hint)?;
        if inputs.engine != Engine::Slimfit {
            let error = DocumentError::new("usage", "points run in slimfit's own runtime on this device");
            let error =
                error.field("--engine").found(format!("`{}`", inputs.engine.name())).allowed("`slimfit`");
            return Err(error.into());
        }
        let (tuning, _) = slimfit_workflow::local_tuning(std::path::Path::new(device::LOCAL_FOLDER), isa)?;
        let power = PowerSource::System;
        Ok(PointEvaluator::Device(DeviceEvaluator { isa, tuning, power, rounds: ROUNDS, seed }))
    }
}

/// How the front was measured, for people.
pub fn text(measured: &MeasuredSearch) -> String {
    let mut text = String::new();
    let why = match measured.stopped.as_str() {
        "evaluations" => "all evaluations were made",
        "deadline" => "time was up",
        "stalled" => "the front grew no more",
        "exhausted" => "every candidate was measured",
        _ => "stopped from outside",
    };
    let _ = write!(
        text,
        "\nmeasured {} by `{}`: {} evaluations, {} failed",
        measured.measures.join(", "),
        measured.evaluator,
        measured.evaluations,
        measured.failed
    );
    if measured.reused > 0 {
        let _ = write!(text, ", {} from an earlier run", measured.reused);
    }
    let _ = writeln!(text, "; {why}");
    let after = |evaluations: usize| measured.hypervolume.get(evaluations.checked_sub(1)?).copied();
    let start = (measured.started_from as usize).min(measured.hypervolume.len());
    if let (Some(before), Some(now)) = (after(start), after(measured.hypervolume.len())) {
        let _ = writeln!(
            text,
            "hypervolume {before:.3} after the model's own {start} points, {now:.3} at the end"
        );
    }
    for SurrogateErrors { name, n, model_bias, model, corrected, .. } in &measured.errors {
        let percent = |log: f64| format!("{:.1} %", 100.0 * (log.exp() - 1.0));
        let _ = write!(text, "{name}: ");
        if let (Some(bias), Some(model)) = (model_bias, model) {
            let _ = write!(text, "measured {} beside predicted, ", signed(*bias));
            let _ = write!(text, "predictions {} off, ", percent(*model));
        }
        match corrected {
            Some(corrected) => {
                let _ = writeln!(
                    text,
                    "corrected ones {} (each point left out, {n} points)",
                    percent(*corrected)
                );
            }
            None => {
                let _ = writeln!(text, "too few points to correct predictions");
            }
        }
    }
    text
}

fn signed(log: f64) -> String {
    format!("{:+.1} %", 100.0 * (log.exp() - 1.0))
}
