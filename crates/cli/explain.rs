//! `slimfit explain MODEL`: where the predicted time of a model goes.

use crate::Outcome;
use crate::calibrate;
use crate::device;
use crate::engine::EngineArguments;
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::table::table;
use crate::timed::{some_tokens, tokens};
use serde_json::{Value, json};
use slimfit_cost::{
    CostModel, Engine, PREFILL_UNAVAILABLE, Prediction, RequestEnergy, RequestPattern, RunShape,
};
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_formats::load_model;
use slimfit_hardware::{HardwareProfile, Placement};
use slimfit_kernels::Isa;
use slimfit_plan::Phase;
use slimfit_quantity::{Figure, NumberFormat, Predicted, format_bytes, format_seconds};
use slimfit_report::ExplainedModel;
use slimfit_study::{Explanation, OperationCost, PredictedPercentiles};
use slimfit_workflow::{predicted_figures, predicted_percentiles};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit explain smollm2-135m --weights q4_0 --depth 1024\n  slimfit explain ./my-model/config.json --profile other.yaml --json\n  slimfit explain smollm2-135m --png where.png\n  slimfit explain smollm2-135m --power-watts 2.7,6.5 --battery 18Wh --requests-per-hour 20"
)]
pub struct Arguments {
    /// A `config.json` or its folder, a `.gguf`, a slimfit architecture file, or a built-in name.
    model: String,
    /// A hardware profile: a file, or a device of `slimfit profile --list`; the newest local one of this machine unless
    /// said. Any machine's will do.
    #[arg(long)]
    profile: Option<String>,
    #[command(flatten)]
    engine: EngineArguments,
    /// Weight format; the file's own unless said, or q8_0.
    #[arg(long)]
    weights: Option<NumberFormat>,
    /// Format of the KV cache.
    #[arg(long, default_value = "f16")]
    kv: NumberFormat,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 128, value_parser = tokens)]
    prompt: u64,
    /// Tokens generated.
    #[arg(long, default_value_t = 64, value_parser = some_tokens)]
    generate: u64,
    /// Tokens in the cache before the first generated one [default: the prompt's].
    #[arg(long, value_parser = tokens)]
    depth: Option<u64>,
    /// Threads; the predicted best unless said.
    #[arg(long)]
    threads: Option<u32>,
    /// The battery's energy: `18Wh`, `5000mAh@3.85V`; says how long it lasts and what a request costs.
    #[arg(long, value_parser = slimfit_quantity::parse_watt_hours)]
    battery: Option<f64>,
    /// Requests an hour, idle between them [default: one right after the other].
    #[arg(long, value_name = "N", value_parser = some_requests, requires = "battery")]
    requests_per_hour: Option<f64>,
    /// Seconds in which the device wakes up and reads the model before each request.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds, requires = "battery")]
    wake_up: Option<f64>,
    /// Where the threads lie: as most of the time, or in the other placement that the profile saw.
    #[arg(long, value_name = "PLACEMENT", value_parser = ["usual", "other"])]
    placement: Option<String>,
    #[command(flatten)]
    watts: device::WattsArgument,
    /// Also draw it: an SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Also draw it: a PNG file.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    #[command(flatten)]
    calibration: device::CalibrationArgument,
}

/// Some requests an hour.
fn some_requests(text: &str) -> Result<f64, String> {
    let found = text.trim().parse::<f64>().ok().filter(|found| found.is_finite() && *found > 0.0);
    found.ok_or_else(|| "not a number of requests; write a number above 0".to_owned())
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let profile = device::profile(arguments.profile.as_deref(), Isa::selected()?)?;
    let profile = arguments.calibration.applied(arguments.watts.applied(profile));
    let profile = placed(profile, arguments.placement.as_deref())?;
    let model = load_model(&arguments.model)?;
    let weights = arguments.weights.or(model.weights_format).unwrap_or(NumberFormat::Q8_0);
    let (engine, options) = arguments.engine.resolve(&profile)?;
    if engine == Engine::Slimfit {
        device::require_cache_format(arguments.kv)?;
    }
    let cost = CostModel::for_engine(&profile, engine, options)?;
    let run = RunShape {
        prompt_tokens: arguments.prompt,
        generated_tokens: arguments.generate,
        depth_tokens: arguments.depth.unwrap_or(arguments.prompt),
    };
    let (architecture, kv) = (&model.architecture, arguments.kv);
    let id = architecture.id(weights, kv);
    let predict = |threads| cost.predict(architecture, weights, kv, run, threads);
    let prediction = predict(arguments.threads)?;
    let threads = prediction.threads;
    let others = cost
        .thread_counts()
        .map(|count| Ok((count, predict(Some(count))?.tpot_seconds.value)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let pattern = RequestPattern {
        requests_per_hour: arguments.requests_per_hour,
        wake_up_seconds: arguments.wake_up.unwrap_or(0.0),
    };
    let request = match arguments.battery {
        Some(watt_hours) => Some((watt_hours, cost.energy()?.request(&prediction, pattern)?)),
        None => None,
    };
    let plan = cost.plan(architecture, weights, kv, threads, run)?;
    let wanted: &[Phase] = if run.prompt_tokens > 0 && cost.has_prefill() {
        &[Phase::Prefill, Phase::Decode]
    } else {
        &[Phase::Decode]
    };
    let phases = wanted
        .iter()
        .map(|&phase| Ok(cost.explain(&id, phase, &plan, run, threads)?))
        .collect::<Result<Vec<_>, Failure>>()?;
    let files = if arguments.svg.is_some() || arguments.png.is_some() {
        let title = format!(
            "{} in {weights}, cache {kv}, on {} with {threads} thread{}{}",
            model.name,
            profile.name,
            if threads == 1 { "" } else { "s" },
            if cost.engine() == "slimfit" {
                String::new()
            } else {
                format!(", as {} runs it", cost.engine())
            }
        );
        let subtitle = whole(&prediction);
        draw(&ExplainedModel { title, subtitle, profile: &profile, phases: &phases }, arguments)?
    } else {
        Vec::new()
    };
    if output.is_json() {
        let mut fields = json!({
            "name": model.name,
            "id": id,
            "weights": weights,
            "kv": kv,
            "profile": { "fingerprint_id": profile.fingerprint.id(), "sha256": profile.sha256(), "name": profile.name },
            "engine": cost.engine(),
            "calibration": cost.calibration(),
            "threads": threads,
            "prompt_tokens": run.prompt_tokens,
            "generated_tokens": run.generated_tokens,
            "depth_tokens": run.depth_tokens,
            "predicted": predicted_figures(&prediction),
            "predicted_percentiles": predicted_percentiles(&prediction),
            "by_threads": others.iter().map(|(threads, seconds)| json!({ "threads": threads, "tpot_seconds": seconds })).collect::<Vec<_>>(),
            "phases": phases.iter().map(phase_value).collect::<Vec<_>>(),
        });
        if let Some((watt_hours, request)) = &request {
            fields["battery"] = battery_value(*watt_hours, pattern, request);
        }
        if !files.is_empty() {
            fields["files"] = json!(files);
        }
        output.object("explain", "explain", fields)?;
        return Ok(Outcome::Done);
    }
    let mut text = format!(
        "{} in {weights}, cache {kv}, on {} with {threads} threads; prompt {}, {} generated at depth {}\n",
        model.name, profile.name, run.prompt_tokens, run.generated_tokens, run.depth_tokens
    );
    let mut rows = table(&["", "predicted", "90 % interval"]);
    for (label, figure, spell) in [
        ("TTFT", prediction.ttft_seconds, format_seconds as fn(f64) -> String),
        ("per token", Some(prediction.tpot_seconds), format_seconds),
        ("peak memory", Some(prediction.memory_bytes), format_bytes),
    ] {
        let Some(figure) = figure else {
            rows.add_row(vec![label.to_owned(), "unavailable".to_owned(), "–".to_owned()]);
            continue;
        };
        let interval = format!("{} – {}", spell(figure.low), spell(figure.high));
        rows.add_row(vec![label.to_owned(), spell(figure.value), interval]);
    }
    for (label, figure) in percentile_rows(&predicted_percentiles(&prediction)) {
        let spread = match (figure.low, figure.high) {
            (Some(low), Some(high)) => format!("{} – {}", format_seconds(low), format_seconds(high)),
            _ => "–".to_owned(),
        };
        let value = figure.value.map_or_else(|| "unavailable".to_owned(), format_seconds);
        rows.add_row(vec![label.to_owned(), value, spread]);
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    if let Some(reason) = &prediction.tpot_percentiles.p95.reason {
        let _ = writeln!(text, "no percentiles: {reason}");
    }
    if let Some(calibration) = cost.calibration() {
        let _ = writeln!(
            text,
            "{}; every term below holds its factor\n{}",
            calibration.sentence(),
            calibrate::factors(calibration)
        );
        for error in &calibration.errors {
            if let Some(scale) = error.interval_scale {
                let _ = writeln!(
                    text,
                    "90 % intervals of {}: {scale:.2} × as wide as without those runs",
                    error.phase.name()
                );
            }
        }
    }
    if let Some(citation) = cost.citation() {
        let _ = writeln!(text, "modelled for {}: {citation}", cost.engine());
    }
    if !cost.has_prefill() {
        let _ = writeln!(text, "no TTFT: {PREFILL_UNAVAILABLE}");
    }
    for (count, seconds) in others.iter().filter(|(count, _)| *count != threads) {
        let _ = writeln!(
            text,
            "with {count} thread{} a token would take {}",
            if *count == 1 { "" } else { "s" },
            format_seconds(*seconds)
        );
    }
    if let Some(other) = cost.in_placement(threads, Placement::Other) {
        let elsewhere = other.predict(architecture, weights, kv, run, Some(threads))?;
        let ttft = elsewhere.ttft_seconds.filter(|_| run.prompt_tokens > 0);
        let _ = writeln!(
            text,
            "with the threads in the other placement ({:.0} % of the looks) a token would take {}{}; the intervals cover both",
            cost.share_elsewhere(threads) * 100.0,
            format_seconds(elsewhere.tpot_seconds.value),
            ttft.map_or_else(String::new, |ttft| format!(
                " and the first one {}",
                format_seconds(ttft.value)
            ))
        );
    }
    if let Some((watt_hours, request)) = &request {
        let _ = write!(text, "\n{}", battery_text(*watt_hours, pattern, request));
    }
    for phase in &phases {
        let _ = write!(text, "\n{}", phase_text(phase));
    }
    output.text(&text)?;
    for file in &files {
        note(&format!("drawn: {}", file.path));
    }
    Ok(Outcome::Done)
}

/// The profile as it is where the threads lie so.
fn placed(mut profile: HardwareProfile, placement: Option<&str>) -> Result<HardwareProfile, Failure> {
    match placement {
        None => Ok(profile),
        Some("usual") => {
            profile.other_placements.clear();
            Ok(profile)
        }
        Some(other) => profile.in_other_placements().ok_or_else(|| {
            let error = DocumentError::new("usage", "the profile saw the threads lie in one way only");
            let error = error.field("--placement").found(format!("`{other}`")).allowed("`usual`");
            error
                .hint("`slimfit profile` measures again; a longer `--budget` has more chances to see another")
                .into()
        }),
    }
}

/// The prediction in one line, each time with its interval.
fn whole(prediction: &Prediction) -> String {
    let time = |what: &str, time: Predicted| {
        let [value, low, high] = [time.value, time.low, time.high].map(format_seconds);
        format!("{what} {value} ({low} – {high})")
    };
    let run = prediction.run;
    let mut parts = vec![time("per token", prediction.tpot_seconds)];
    if let Some(ttft) = prediction.ttft_seconds.filter(|_| run.prompt_tokens > 0) {
        parts.push(time("first token after", ttft));
    }
    if let Some(p95) = prediction.tpot_percentiles.p95.value {
        parts.push(format!("95 of 100 tokens within {}", format_seconds(p95)));
    }
    format!("predicted, 90 % interval: {}", parts.join("; "))
}

fn draw(picture: &ExplainedModel<'_>, arguments: &Arguments) -> Result<Vec<WrittenFile>, Failure> {
    let drawn = picture.draw()?;
    let wanted =
        [(&arguments.svg, "svg", drawn.svg.as_bytes()), (&arguments.png, "png", drawn.png.as_slice())];
    wanted
        .into_iter()
        .filter_map(|(file, kind, bytes)| Some((file.as_deref()?, kind, bytes)))
        .map(|(file, kind, bytes)| Ok(WrittenFile::write(file, kind, bytes)?))
        .collect()
}

/// The percentiles by the names that tables give them.
pub fn percentile_rows(percentiles: &PredictedPercentiles) -> [(&'static str, &Figure); 4] {
    let PredictedPercentiles { ttft_seconds: ttft, tpot_seconds: tpot } = percentiles;
    [
        ("TTFT, 95 of 100", &ttft.p95),
        ("TTFT, 99 of 100", &ttft.p99),
        ("per token, 95 of 100", &tpot.p95),
        ("per token, 99 of 100", &tpot.p99),
    ]
}

fn battery_value(watt_hours: f64, pattern: RequestPattern, request: &RequestEnergy) -> Value {
    json!({
        "watt_hours": watt_hours,
        "requests_per_hour": pattern.requests_per_hour,
        "wake_up_seconds": pattern.wake_up_seconds,
        "busy_seconds": request.busy_seconds.figure(),
        "wake_up_joules": request.wake_up_joules,
        "prefill_joules": request.prefill_joules,
        "decode_joules": request.decode_joules,
        "idle_joules": request.idle_joules,
        "request_joules": request.request_joules,
        "mean_watts": request.mean_watts,
        "joules_per_token": request.joules_per_token,
        "tokens_per_watt_hour": request.tokens_per_watt_hour,
        "hours": request.battery_hours(watt_hours),
    })
}

fn battery_text(watt_hours: f64, pattern: RequestPattern, request: &RequestEnergy) -> String {
    let often = match pattern.requests_per_hour {
        Some(rate) => format!("{rate} requests an hour"),
        None => "one request after the other".to_owned(),
    };
    let mut text = format!("a battery of {watt_hours} Wh, {often}\n");
    let mut rows = table(&["", "modelled", "90 % interval"]);
    let hours = request.battery_hours(watt_hours);
    for (label, figure, unit) in [
        ("lasts", &hours, "h"),
        ("request", &request.request_joules, "J"),
        ("  waking up", &request.wake_up_joules, "J"),
        ("  prompt", &request.prefill_joules, "J"),
        ("  answer", &request.decode_joules, "J"),
        ("  idling", &request.idle_joules, "J"),
        ("on average", &request.mean_watts, "W"),
        ("tokens", &request.tokens_per_watt_hour, "/Wh"),
    ] {
        let value =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3} {unit}"));
        let interval = match figure.value {
            Some(_) => format!("{} – {}", value(figure.low), value(figure.high)),
            None => figure.reason.clone().unwrap_or_default(),
        };
        let central = if figure.value.is_some() { value(figure.value) } else { "unavailable".to_owned() };
        rows.add_row(vec![label.to_owned(), central, interval]);
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    if let Some(origin) = &request.request_joules.citation {
        let _ = writeln!(text, "power: {origin}");
    }
    text
}

fn phase_value(phase: &Explanation) -> Value {
    let operation = |operation: &OperationCost| {
        let mut value = json!(operation);
        value["intensity_flops_per_byte"] = json!(intensity(operation));
        value["share"] = json!(operation.seconds / phase.seconds);
        value
    };
    json!({
        "phase": phase.phase,
        "tokens": phase.tokens,
        "depth_tokens": phase.depth_tokens,
        "seconds": phase.seconds,
        "operations": phase.operations.iter().map(operation).collect::<Vec<_>>(),
    })
}

fn intensity(operation: &OperationCost) -> Option<f64> {
    (operation.bytes > 0.0).then(|| operation.flops / operation.bytes)
}

/// One line for each operation of a layer, all layers together.
fn phase_text(phase: &Explanation) -> String {
    let mut sums: Vec<(OperationCost, u64)> = Vec::new();
    for operation in &phase.operations {
        match sums.iter_mut().find(|(sum, _)| sum.name == operation.name && sum.bound == operation.bound) {
            Some((sum, times)) => {
                *times += 1;
                sum.bytes += operation.bytes;
                sum.flops += operation.flops;
                sum.memory_seconds += operation.memory_seconds;
                sum.compute_seconds += operation.compute_seconds;
                sum.overhead_seconds += operation.overhead_seconds;
                sum.seconds += operation.seconds;
            }
            None => sums.push((operation.clone(), 1)),
        }
    }
    let mut rows = table(&[
        phase.phase.as_str(),
        "times",
        "bytes",
        "operations",
        "per byte",
        "memory",
        "compute",
        "overhead",
        "binds",
        "time",
        "share",
    ]);
    for (sum, times) in &sums {
        rows.add_row(vec![
            sum.name.clone(),
            times.to_string(),
            format_bytes(sum.bytes),
            format!("{:.1} M", sum.flops / 1e6),
            intensity(sum).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            format_seconds(sum.memory_seconds),
            format_seconds(sum.compute_seconds),
            format_seconds(sum.overhead_seconds),
            sum.bound.clone(),
            format_seconds(sum.seconds),
            format!("{:.1} %", sum.seconds / phase.seconds * 100.0),
        ]);
    }
    format!("{}\n", rows.trim_fmt())
}
