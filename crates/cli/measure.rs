//! `slimfit measure MODEL`.

use crate::engine::MeasuredEngineArguments;
use crate::explain::percentile_rows;
use crate::failure::Failure;
use crate::logits;
use crate::output::Output;
use crate::progress::Progress;
use crate::table::table;
use crate::timed::tokens;
use crate::{Outcome, device, interrupt};
use serde_json::json;
use slimfit_cost::CostModel;
use slimfit_document::DocumentError;
use slimfit_formats::{LoadedModel, ModelWeights, Origin, load_model};
use slimfit_kernels::Isa;
use slimfit_quantity::{Figure, NumberFormat, Source, Warning, format_bytes, format_seconds};
use slimfit_runtime::WeightsFrom;
use slimfit_study::{Measurement, Study, WeightsSource};
use slimfit_workflow::{MeasureRequest, Observer, Predictor, measure_engine, measure_model, weights_source};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Why nothing is predicted for a command.
const NOT_PRICED: &str = "nothing predicts this runtime; where its coefficients are known, `--engine` names it, such as `--engine llama.cpp`";

/// Arguments of `measure`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit measure smollm2-135m --weights q8_0 --prompt 128 --generate 32\n  slimfit measure smollm2-135m --token-ids tokens.txt --logits logits.npy\n  slimfit measure model.gguf --engine llama.cpp --engine-command \"python3 llama_bench.py llama-bench\""
)]
pub struct Arguments {
    /// A `config.json` or its folder, a `.gguf`, a slimfit architecture file, or a built-in name.
    model: String,
    /// A hardware profile for the prediction: a file; the newest local one of this machine unless said.
    #[arg(long)]
    profile: Option<String>,
    /// Predict from the profile of another machine all the same.
    #[arg(long)]
    allow_other_profile: bool,
    #[command(flatten)]
    engine: MeasuredEngineArguments,
    #[command(flatten)]
    calibration: device::CalibrationArgument,
    #[command(flatten)]
    power: device::PowerArguments,
    /// Weight format: `f32`, `f16`, `bf16`, `q8_0`, `q4_0`, `q4_k`, `q6_k`; unless said, each matrix as the file has it, or
    /// q8_0. Under `q4_k` and `q6_k`, matrices whose rows are no multiple of 256 values are kept in `q8_0`.
    #[arg(long)]
    weights: Option<NumberFormat>,
    /// KV cache format: `f32`, `f16`, or `q8_0` where heads are a multiple of 32 values.
    #[arg(long, default_value = "f16")]
    kv: NumberFormat,
    /// Passes through the looped layers, how long the model thinks; the architecture's own unless said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    loops: Option<u64>,
    /// Tokens of the prompt, from an empty cache; 0: no prefill.
    #[arg(long, default_value_t = 128, value_parser = tokens)]
    prompt: u64,
    /// Tokens decoded; 0: none.
    #[arg(long, default_value_t = 32, value_parser = tokens)]
    generate: u64,
    /// Tokens already in the cache before decoding.
    #[arg(long, default_value_t = 0, value_parser = tokens)]
    depth: u64,
    /// Threads; unless said, the count with the lowest predicted time per token, or all without a profile.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Runs of each phase in each of the two passes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Time the model's shape with random weights although its file has its own.
    #[arg(long)]
    random_weights: bool,
    /// Seed of the tokens, and of the weights where they are random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out peak memory, which a child process measures.
    #[arg(long)]
    no_memory: bool,
    /// Keep the result in this study too.
    #[arg(long)]
    study: Option<PathBuf>,
    /// Run these tokens (numbers, separated by white space or commas) and write their logits instead of timing.
    #[arg(long, value_name = "FILE", requires = "logits", conflicts_with = "engine_command")]
    token_ids: Option<PathBuf>,
    /// Where the logits go: a `.npy` of f32, (tokens, vocabulary).
    #[arg(long, value_name = "FILE.npy", requires = "token_ids")]
    logits: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let isa = Isa::selected()?;
    let (command, priced) = (arguments.engine.command(), arguments.engine.predicted()?);
    if command.is_none() {
        device::require_cache_format(arguments.kv)?;
    }
    let model = load_model(&arguments.model)?;
    let weights = arguments.weights.or(model.weights_format).unwrap_or(NumberFormat::Q8_0);
    let (source, mut warnings) = source(&model, arguments)?;
    if command.is_some() {
        require_as_stored(&model, &source, weights)?;
    }
    output.warnings(&warnings);
    let request = MeasureRequest {
        name: Some(model.name.clone()),
        architecture: model.architecture,
        loops: arguments.loops,
        weights,
        kv: arguments.kv,
        threads: arguments.threads,
        isa,
        prompt_tokens: arguments.prompt,
        generated_tokens: arguments.generate,
        depth_tokens: arguments.depth,
        rounds: usize::from(arguments.rounds),
        source,
        seed: arguments.seed,
        tuning: device::tuning(isa, output)?,
        memory: !arguments.no_memory,
        power: arguments.power.source(),
    };
    if let (Some(tokens), Some(file)) = (&arguments.token_ids, &arguments.logits) {
        let written = logits::write(&request, tokens, file)?;
        if output.is_json() {
            output.object(
                "logits",
                "measure",
                json!({
                    "seed": arguments.seed,
                    "weights_source": weights_source(&request.source),
                    "warnings": warnings,
                    "files": [written],
                }),
            )?;
        } else {
            output.text(&written.path)?;
        }
        return Ok(Outcome::Done);
    }
    let profile = match &arguments.profile {
        Some(_) => Some(device::profile(arguments.profile.as_deref(), isa)?),
        None => device::newest(isa)?,
    };
    if let Some(profile) = &profile {
        device::require_this_machine(profile, isa, arguments.allow_other_profile)?;
    }
    let profile =
        profile.map(|profile| arguments.calibration.applied(arguments.power.watts.applied(profile)));
    let cost = match (&profile, &command, priced) {
        (Some(profile), None, _) => Some(CostModel::new(profile)?),
        (Some(profile), Some(_), Some((engine, options))) => {
            Some(CostModel::for_engine(profile, engine, options)?)
        }
        _ => None,
    };
    let predictor = match &cost {
        Some(cost) => Predictor::Model(cost),
        None if command.is_some() && priced.is_none() => Predictor::None(NOT_PRICED),
        None => Predictor::None("no hardware profile of this machine; measure one with `slimfit profile`"),
    };
    // Opened before the run: a folder that cannot be written must not cost the user a measurement.
    let study = arguments.study.as_ref().map(|folder| Study::create(folder)).transpose()?;
    let progress = Progress::start(format!("measure {}", model.name));
    let mut report = |what: &str, done: f64| progress.set(done, what);
    let mut observer = Observer { progress: &mut report, cancel: interrupt::flag() };
    let measurement = match &command {
        None => measure_model(&request, predictor, &mut observer)?,
        Some(command) => {
            let (measurement, flagged) = measure_engine(&request, command, predictor, &mut observer)?;
            output.warnings(&flagged);
            warnings.extend(flagged);
            measurement
        }
    };
    progress.finish("done");
    if let Some(study) = study {
        study.add_measurement(&measurement)?;
    }
    if output.is_json() {
        let mut fields =
            serde_json::to_value(&measurement).map_err(|error| Failure::internal(error.to_string()))?;
        fields["seed"] = json!(arguments.seed);
        fields["warnings"] = json!(warnings);
        output.object("measure", "measure", fields)?;
    } else {
        output.text(&text(&measurement))?;
    }
    Ok(Outcome::Done)
}

/// Another runtime reads the user's file as it is.
fn require_as_stored(
    model: &LoadedModel,
    source: &WeightsFrom,
    weights: NumberFormat,
) -> Result<(), Failure> {
    match (source, model.weights_format) {
        (WeightsFrom::File { path, .. }, Some(stored)) if stored != weights => {
            let error = DocumentError::new("usage", "another runtime takes the weights as the file has them");
            let error = error.file(path.display().to_string()).field("--weights");
            let error = error.found(format!("`{weights}`")).allowed(format!("`{stored}`"));
            Err(error.hint("`--random-weights` times the same shape in any format").into())
        }
        _ => Ok(()),
    }
}

/// The model's own weights where its file has them, else random ones, with a warning where they might be expected.
fn source(model: &LoadedModel, arguments: &Arguments) -> Result<(WeightsFrom, Vec<Warning>), Failure> {
    let random = WeightsFrom::Seeded { seed: arguments.seed };
    let (Origin::Gguf(path) | Origin::HuggingFace(path)) = &model.origin else {
        return Ok((random, Vec::new()));
    };
    if arguments.random_weights {
        return Ok((random, Vec::new()));
    }
    match ModelWeights::open(model) {
        Ok(Some(_)) => {
            let as_stored = arguments.weights.is_none();
            Ok((WeightsFrom::File { path: path.clone(), as_stored }, Vec::new()))
        }
        Ok(None) => {
            let message = format!(
                "no `model.safetensors` lies beside `{}`, so its weights are random (seed {}): times are the model's, logits are not",
                path.display(),
                arguments.seed
            );
            Ok((random, vec![Warning::new("random-weights", message)]))
        }
        Err(error) => {
            let hint = "`--random-weights` times the same shape without them";
            Err(error.into_document().hint(hint).into())
        }
    }
}

/// Predicted beside measured, then where the time went.
pub fn text(measurement: &Measurement) -> String {
    let mut text = String::new();
    let name = measurement.name.as_deref().unwrap_or(&measurement.id);
    let _ = writeln!(
        text,
        "{name}: {} weights in {}, cache {}, {} threads, {}{}; prompt {}, {} generated at depth {}",
        match measurement.weights_source {
            WeightsSource::File => "its own",
            WeightsSource::Seeded => "random",
        },
        formats(measurement),
        measurement.kv.name(),
        measurement.threads,
        measurement.isa,
        measurement
            .architecture
            .loops
            .map_or_else(String::new, |loops| format!(", looped layers run {}×", loops.count)),
        measurement.prompt_tokens,
        measurement.generated_tokens,
        measurement.depth_tokens
    );
    if let Some(engine) = &measurement.engine {
        let _ = writeln!(text, "measured in {} {}", engine.name, engine.version);
    }
    let mut rows = table(&["", "measured", "quartiles", "n", "predicted", "90 % interval", "error"]);
    let (measured, predicted) = (&measurement.measured, &measurement.predicted);
    type Spell = fn(f64) -> String;
    let rate: Spell = |value| format!("{value:.1} /s");
    let lines: [(&str, &Figure, &Figure, Spell); 5] = [
        ("prefill tokens", &measured.prefill_tokens_per_s, &predicted.prefill_tokens_per_s, rate),
        ("decoded tokens", &measured.decode_tokens_per_s, &predicted.decode_tokens_per_s, rate),
        ("TTFT", &measured.ttft_seconds, &predicted.ttft_seconds, format_seconds),
        ("per token", &measured.tpot_seconds, &predicted.tpot_seconds, format_seconds),
        ("peak memory", &measured.peak_memory_bytes, &predicted.peak_memory_bytes, format_bytes),
    ];
    for (label, measured, predicted, spell) in lines {
        let error = match (measured.value, predicted.value) {
            (Some(measured), Some(predicted)) => format!("{:+.1} %", (predicted / measured - 1.0) * 100.0),
            _ => "–".to_owned(),
        };
        let count =
            if measured.source == Source::Measured { measured.n.to_string() } else { "–".to_owned() };
        rows.add_row(vec![
            label.to_owned(),
            value(measured, spell),
            spread(measured, spell),
            count,
            value(predicted, spell),
            spread(predicted, spell),
            error,
        ]);
    }
    if let Some(predicted) = &measurement.predicted_percentiles {
        let (ttft, tpot) = (measurement.percentiles.ttft_seconds, measurement.percentiles.tpot_seconds);
        let measured = [ttft.p95, ttft.p99, tpot.p95, tpot.p99];
        for ((label, predicted), measured) in percentile_rows(predicted).into_iter().zip(measured) {
            // A run without enough samples for a percentile shows nothing of it.
            let Some(measured) = measured else { continue };
            let error = predicted.value.map_or_else(
                || "–".to_owned(),
                |predicted| format!("{:+.1} %", (predicted / measured - 1.0) * 100.0),
            );
            rows.add_row(vec![
                label.to_owned(),
                format_seconds(measured),
                "–".to_owned(),
                "–".to_owned(),
                value(predicted, format_seconds),
                spread(predicted, format_seconds),
                error,
            ]);
        }
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    if let Some(placement) = &measurement.placement {
        let _ = match placement.as_str() {
            "unknown" => writeln!(
                text,
                "the hypervisor moved the threads to where the profile never saw them: what is predicted is of another \
                 placement; `slimfit profile` measures this one"
            ),
            known => writeln!(
                text,
                "the threads lay in the profile's {known} placement, which is what was predicted here"
            ),
        };
    }
    let times = [&predicted.tpot_seconds, &predicted.ttft_seconds];
    if let Some(citation) = times.iter().find_map(|figure| figure.citation.as_ref()) {
        let _ = writeln!(text, "predictions {citation}");
    }
    for figure in [&predicted.tpot_seconds, &measured.joules_per_token] {
        if let Some(reason) = &figure.reason {
            let _ = writeln!(text, "unavailable: {reason}");
        }
    }
    if let Some(share) = measurement.share.decode_of_bandwidth {
        let _ =
            writeln!(text, "decode reads at {:.0} % of the bandwidth right before and after", share * 100.0);
    }
    if let Some(share) = measurement.share.prefill_of_peak {
        let _ =
            writeln!(text, "prefill computes at {:.0} % of the peak right before and after", share * 100.0);
    }
    if measurement.operations.is_empty() {
        return text;
    }
    let mut rows = table(&["phase", "operation", "kernel", "seconds", "of the time", "of the roofline"]);
    for operation in &measurement.operations {
        let roofline = operation
            .share_of_roofline
            .map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", share * 100.0));
        rows.add_row(vec![
            operation.phase.clone(),
            operation.name.clone(),
            operation.variant.clone(),
            format_seconds(operation.seconds),
            format!("{:.1} %", operation.share_of_time * 100.0),
            roofline,
        ]);
    }
    let _ = writeln!(text, "\n{}", rows.trim_fmt());
    text
}

/// `q4_k`, or `q4_k 83 %, q6_k 17 %`.
fn formats(measurement: &Measurement) -> String {
    let all: u64 = measurement.weight_formats.iter().map(|share| share.parameters).sum();
    if measurement.weight_formats.len() < 2 {
        return measurement.weights.name().to_owned();
    }
    let shares = measurement.weight_formats.iter().map(|share| {
        format!("{} {:.0} %", share.format.name(), share.parameters as f64 / all as f64 * 100.0)
    });
    shares.collect::<Vec<_>>().join(", ")
}

fn value(figure: &Figure, spell: fn(f64) -> String) -> String {
    figure.value.map_or_else(|| "unavailable".to_owned(), spell)
}

fn spread(figure: &Figure, spell: fn(f64) -> String) -> String {
    match (figure.low, figure.high) {
        (Some(low), Some(high)) => format!("{} – {}", spell(low), spell(high)),
        _ => "–".to_owned(),
    }
}
