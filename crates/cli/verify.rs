//! `slimfit verify`.

use crate::engine::MeasuredEngineArguments;
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::portable::PortableArgument;
use crate::progress::Progress;
use crate::table::table;
use crate::timed::TimedArguments;
use crate::{Outcome, device, interrupt};
use serde_json::{Value, json};
use slimfit_document::DocumentError;
use slimfit_kernels::Isa;
use slimfit_search::Space;
use slimfit_study::{ErrorSummary, PhaseErrors, Study, Verification};
use slimfit_workflow::{Observer, VerifiedEngine, VerifyOptions, verify};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit verify --space slm-edge --samples 12 --require normalised.decode.mape<=0.1"
)]
pub struct Arguments {
    /// A built-in search space or a file; may be given several times.
    #[arg(long, default_value = "slm-demo")]
    space: Vec<String>,
    #[command(flatten)]
    portable: PortableArgument,
    /// A hardware profile: a file; the newest local one of this machine unless said.
    #[arg(long)]
    profile: Option<String>,
    /// Verify the profile of another machine all the same.
    #[arg(long)]
    allow_other_profile: bool,
    #[command(flatten)]
    engine: MeasuredEngineArguments,
    #[command(flatten)]
    calibration: device::CalibrationArgument,
    /// Architectures to draw.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    samples: u16,
    /// Seed of the draw, of weights and of tokens.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    timed: TimedArguments,
    /// Leave out peak memory, which child processes measure.
    #[arg(long)]
    no_memory: bool,
    /// A bound on the result, a dotted path into the JSON: `summary.decode.mape<=0.15`; may be given several times.
    #[arg(long, value_name = "METRIC<=X")]
    require: Vec<Requirement>,
    /// Keep the result in this study too.
    #[arg(long)]
    study: Option<PathBuf>,
}

/// A bound on one number of the result.
#[derive(Debug, Clone)]
pub struct Requirement {
    metric: String,
    at_most: bool,
    limit: f64,
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at_most, parts) = match (text.split_once("<="), text.split_once(">=")) {
            (Some(parts), _) => (true, parts),
            (None, Some(parts)) => (false, parts),
            (None, None) => return Err("write a metric, `<=` or `>=`, and a number".to_owned()),
        };
        let limit = parts.1.trim().parse::<f64>().ok().filter(|limit| limit.is_finite());
        let limit = limit.ok_or_else(|| format!("`{}` is no number", parts.1))?;
        Ok(Self { metric: parts.0.trim().to_owned(), at_most, limit })
    }
}

impl Requirement {
    fn value(&self, result: &Value) -> Result<Option<f64>, Failure> {
        let unknown = || {
            let error = DocumentError::new("usage", "the result has no such number").field("--require");
            let error = error.found(format!("`{}`", self.metric));
            error.allowed("a dotted path such as `summary.decode.mape`, as `--json` prints it")
        };
        let mut at = result;
        for name in self.metric.split('.') {
            at = match at {
                // A phase that did not run has no numbers; a misspelt name never had.
                Value::Null => return Ok(None),
                at => at.get(name).ok_or_else(unknown)?,
            };
        }
        match at {
            Value::Null => Ok(None),
            at => Ok(Some(at.as_f64().ok_or_else(unknown)?)),
        }
    }

    fn holds(&self, value: Option<f64>) -> bool {
        value.is_some_and(|value| if self.at_most { value <= self.limit } else { value >= self.limit })
    }
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let isa = Isa::selected()?;
    let load = |space: &String| arguments.portable.applied(Space::load(space, &[])?);
    let spaces = arguments.space.iter().map(load).collect::<Result<Vec<_>, Failure>>()?;
    let profile = device::profile(arguments.profile.as_deref(), isa)?;
    device::require_this_machine(&profile, isa, arguments.allow_other_profile)?;
    let profile = arguments.calibration.applied(profile);
    // A misspelt name must not cost the user the runs.
    let everything = everything();
    for requirement in &arguments.require {
        requirement.value(&everything)?;
    }
    let study = arguments.study.as_ref().map(|folder| Study::create(folder)).transpose()?;
    let options = VerifyOptions {
        samples: usize::from(arguments.samples),
        seed: arguments.seed,
        prompts: arguments.timed.prompt.clone(),
        depths: arguments.timed.depth.clone(),
        memory: !arguments.no_memory,
        tuning: device::tuning(isa, output)?,
        engine: verified_engine(&arguments.engine)?,
        ..VerifyOptions::new(isa)
    };
    // Factors are those of our own runtime.
    let calibrated = profile.calibration.is_some() && options.engine.is_none();
    let progress = Progress::start("verify");
    let mut report = |what: &str, done: f64| progress.set(done, what);
    let mut observer = Observer { progress: &mut report, cancel: interrupt::flag() };
    let verification = verify(&spaces, &profile, &options, &mut observer)?;
    progress.finish(&format!("{} cells of {} architectures", verification.rows.len(), arguments.samples));
    output.warnings(&verification.warnings);
    // One that was stopped does not take the place of a whole one.
    let stopped = interrupt::outcome() == Outcome::Interrupted;
    if let Some(study) = study.filter(|_| !stopped) {
        study.set_verification(&verification)?;
    }
    let mut result =
        serde_json::to_value(&verification).map_err(|error| Failure::internal(error.to_string()))?;
    let mut broken = false;
    let mut required = Vec::new();
    for requirement in &arguments.require {
        let value = requirement.value(&result)?;
        let holds = requirement.holds(value);
        broken |= !holds;
        required.push(json!({ "metric": requirement.metric, "limit": requirement.limit, "value": value, "holds": holds }));
        if !holds {
            let sign = if requirement.at_most { "<=" } else { ">=" };
            let value = value.map_or_else(|| "absent".to_owned(), |value| format!("{value:.4}"));
            note(&format!(
                "does not hold: {} {sign} {}: it is {value}",
                requirement.metric, requirement.limit
            ));
        }
    }
    if output.is_json() {
        result["seed"] = json!(arguments.seed);
        result["calibrated"] = json!(calibrated);
        result["required"] = json!(required);
        output.object("verify", "verify", result)?;
    } else {
        if calibrated && let Some(calibration) = &profile.calibration {
            output.text(&format!("predictions {}", calibration.sentence()))?;
        }
        output.text(&text(&verification))?;
    }
    Ok(match (stopped, broken) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::CheckFailed,
        (false, false) => Outcome::Done,
    })
}

/// A result that has every number a result can have.
fn everything() -> Value {
    let summary = ErrorSummary {
        n: 1,
        mape: 0.0,
        bias: 0.0,
        p90: 0.0,
        within_10: 0.0,
        kendall_tau: Some(0.0),
        pair_accuracy: Some(0.0),
        coverage_90: 0.0,
        mean_interval_width: 0.0,
        retest_mape: Some(0.0),
    };
    let phases = PhaseErrors {
        decode: Some(summary),
        prefill: Some(summary),
        memory: Some(summary),
        decode_p95: Some(summary),
    };
    json!({
        "samples": 1,
        "summary": phases,
        "normalised": phases,
        "baselines": {
            "parameters": { "kendall_tau": 0.0 },
            "bytes_over_bandwidth": { "mape": 0.0, "kendall_tau": 0.0 },
        },
    })
}

/// The command, which must have predictions to keep.
fn verified_engine(arguments: &MeasuredEngineArguments) -> Result<Option<VerifiedEngine>, Failure> {
    match (arguments.command(), arguments.predicted()?) {
        (None, _) => Ok(None),
        (Some(command), Some((predicted, options))) => {
            Ok(Some(VerifiedEngine { command, predicted, options }))
        }
        (Some(_), None) => {
            let error =
                DocumentError::new("usage", "there are no predictions to verify without an engine's name");
            let error =
                error.field("--engine").found("nothing").allowed("an engine with coefficients: `llama.cpp`");
            Err(error.hint("`slimfit measure` runs any command without predictions").into())
        }
    }
}

fn text(verification: &Verification) -> String {
    let mut text = String::new();
    if let Some(engine) = &verification.engine {
        let _ = writeln!(text, "measured in {} {}", engine.name, engine.version);
    }
    let mut rows = table(&[
        "model",
        "parameters",
        "weights",
        "kv",
        "threads",
        "phase",
        "tokens",
        "predicted",
        "measured",
        "retest",
        "error",
    ]);
    for row in &verification.rows {
        let spell: fn(f64) -> String = if row.phase == "memory" {
            slimfit_quantity::format_bytes
        } else {
            slimfit_quantity::format_seconds
        };
        rows.add_row(vec![
            row.id.clone(),
            slimfit_quantity::format_count(row.parameters as f64),
            row.weights.name().to_owned(),
            row.kv.name().to_owned(),
            row.threads.to_string(),
            row.phase.clone(),
            row.prompt_tokens.max(row.depth_tokens).to_string(),
            spell(row.predicted.value),
            spell(row.measured),
            row.retest.map_or_else(|| "–".to_owned(), spell),
            format!("{:+.1} %", (row.predicted.value / row.measured - 1.0) * 100.0),
        ]);
    }
    let _ = writeln!(text, "{}\n", rows.trim_fmt());
    let mut rows = table(&[
        "errors",
        "n",
        "mean",
        "bias",
        "90 %",
        "within 10 %",
        "rank",
        "pairs",
        "in interval",
        "retest",
    ]);
    let kinds = [("raw", &verification.summary), ("normalised", &verification.normalised)];
    for (kind, errors) in kinds {
        let phases = [
            ("decode", &errors.decode),
            ("decode p95", &errors.decode_p95),
            ("prefill", &errors.prefill),
            ("memory", &errors.memory),
        ];
        for (phase, summary) in phases {
            if let Some(summary) = summary {
                rows.add_row(summary_row(&format!("{phase}, {kind}"), summary));
            }
        }
    }
    let _ = writeln!(text, "{}\n", rows.trim_fmt());
    let percent =
        |share: Option<f64>| share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let rank = |rank: Option<f64>| rank.map_or_else(|| "–".to_owned(), |rank| format!("{rank:.2}"));
    let baselines = &verification.baselines;
    let _ = writeln!(
        text,
        "plain predictors of decode: parameters rank {}; bytes over bandwidth mean {}, rank {}",
        rank(baselines.parameters.kendall_tau),
        percent(baselines.bytes_over_bandwidth.mape),
        rank(baselines.bytes_over_bandwidth.kendall_tau)
    );
    for row in &verification.rows {
        if let Some(reason) = &row.impossible {
            let _ = writeln!(text, "impossible, and in no error: {} {}: {reason}", row.id, row.phase);
        }
    }
    let elsewhere =
        |name: &str| verification.rows.iter().filter(|row| row.placement.as_deref() == Some(name)).count();
    if elsewhere("other") + elsewhere("unknown") > 0 {
        let _ = writeln!(
            text,
            "threads lay in the profile's other placement in {} cells, and in one that it does not know in {} (compared with \
             what was predicted for the usual one)",
            elsewhere("other"),
            elsewhere("unknown")
        );
    }
    let sum = |of: fn(&slimfit_study::VerificationRow) -> Option<u64>| -> u64 {
        verification.rows.iter().filter_map(of).sum()
    };
    let (runs, disturbed) = (sum(|row| row.runs), sum(|row| row.disturbed_runs));
    if disturbed > 0 {
        let _ = writeln!(
            text,
            "{disturbed} of {runs} timed runs were disturbed: the machine's own speed differed by more than 10 % before and after"
        );
    }
    for skipped in &verification.skipped {
        let some = verification.rows.iter().any(|row| row.id == skipped.id);
        let what = if some { "not run to the end" } else { "not run" };
        let _ = writeln!(text, "{what}: {}: {}", skipped.id, skipped.reason);
    }
    text
}

fn summary_row(name: &str, summary: &ErrorSummary) -> Vec<String> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let absent = || "–".to_owned();
    vec![
        name.to_owned(),
        summary.n.to_string(),
        percent(summary.mape),
        format!("{:+.1} %", summary.bias * 100.0),
        percent(summary.p90),
        percent(summary.within_10),
        summary.kendall_tau.map_or_else(absent, |tau| format!("{tau:.2}")),
        summary.pair_accuracy.map_or_else(absent, percent),
        percent(summary.coverage_90),
        summary.retest_mape.map_or_else(absent, percent),
    ]
}

#[cfg(test)]
mod tests {
    use super::Requirement;
    use serde_json::json;

    #[test]
    fn requirements_follow_dotted_paths() {
        let result = json!({ "summary": { "decode": { "mape": 0.1 }, "memory": null } });
        let requirement = |text: &str| text.parse::<Requirement>().unwrap();
        let holds = |text: &str| {
            let requirement = requirement(text);
            requirement.holds(requirement.value(&result).unwrap())
        };
        assert!(holds("summary.decode.mape<=0.1"));
        assert!(!holds("summary.decode.mape >= 0.2"));
        assert!(!holds("summary.memory.mape<=1"), "what was not measured holds nothing");
        assert!(requirement("summary.decode.mpae<=1").value(&result).is_err());
        assert!("mape<1".parse::<Requirement>().is_err());
        assert!("mape<=nan".parse::<Requirement>().is_err());
    }
}
