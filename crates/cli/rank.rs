//! `slimfit rank`: which of the models that exist is best on a device.

use crate::engine::EngineArguments;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::what::{LimitArguments, anchors};
use crate::workload::WorkloadArguments;
use crate::{Outcome, candidates_text, device};
use serde_json::json;
use slimfit_cost::Engine;
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;
use slimfit_search::Metric;
use slimfit_workflow::candidates::{PUBLIC, RankingInputs, gather, rank_existing};

/// Arguments of `rank`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit rank --max-memory 1GiB --max-tpot 30ms\n  slimfit rank public ~/models --profile raspberry-pi-5 --weights q4_0,q8_0"
)]
pub struct Arguments {
    /// What to rank: `public` for all of `slimfit models`, a built-in name, a `.gguf`, a `config.json`, or a folder of those.
    #[arg(default_value = PUBLIC)]
    models: Vec<String>,
    /// A hardware profile: a file, or a device of `slimfit profile --list`; the newest local one of this machine unless
    /// said.
    #[arg(long)]
    profile: Option<String>,
    #[command(flatten)]
    watts: device::WattsArgument,
    #[command(flatten)]
    calibration: device::CalibrationArgument,
    #[command(flatten)]
    engine: EngineArguments,
    #[command(flatten)]
    workload: WorkloadArguments,
    /// The quality recipe that predicts what was not published: a built-in one or a file.
    #[arg(long, default_value = "published")]
    recipe: String,
    /// Training tokens of models whose own are not known; unless said, their quality is not predicted.
    #[arg(long, value_parser = slimfit_quantity::parse_count)]
    tokens: Option<u64>,
    /// A trained sibling of known score, which moves the level of its task: `smollm2-360m=hellaswag:54.5`.
    #[arg(long, value_name = "MODEL[@TOKENS]=TASK:SCORE")]
    anchor: Vec<String>,
    /// Formats that the weights may have; a GGUF has its own.
    #[arg(long, value_delimiter = ',', default_value = "bf16,q8_0,q6_k,q4_k,q4_0")]
    weights: Vec<NumberFormat>,
    /// Formats that the KV cache may have.
    #[arg(long, value_delimiter = ',', default_value = "f16")]
    kv: Vec<NumberFormat>,
    #[command(flatten)]
    limits: LimitArguments,
    /// List all models, those that break a limit too.
    #[arg(long)]
    all: bool,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let profile = arguments.watts.applied(device::profile(arguments.profile.as_deref(), Isa::selected()?)?);
    let profile = arguments.calibration.applied(profile);
    let (engine, engine_options) = arguments.engine.resolve(&profile)?;
    if engine == Engine::Slimfit {
        arguments.kv.iter().try_for_each(|&kv| device::require_cache_format(kv))?;
    }
    let (recipe, _) = crate::quality::recipe(&arguments.recipe)?;
    let inputs = RankingInputs {
        models: gather(&arguments.models)?,
        engine,
        engine_options,
        workload: arguments.workload.read()?,
        limits: arguments.limits.limits(Metric::Loss, &recipe)?,
        anchors: anchors(&arguments.anchor)?,
        recipe,
        tokens: arguments.tokens,
        weights: arguments.weights.clone(),
        kv: arguments.kv.clone(),
        profile,
    };
    let progress = Progress::start(format!("rank {} models", inputs.models.models.len()));
    let ranking = rank_existing(&inputs)?;
    let keep = ranking.candidates.candidates.iter().filter(|candidate| candidate.keeps_limits).count();
    progress.finish(&if inputs.limits.is_empty() {
        format!("{keep} priced")
    } else {
        format!("{keep} of {} keep every limit", ranking.candidates.candidates.len())
    });
    if output.is_json() {
        let constraints = inputs.limits.iter();
        let mut fields = json!({
            "profile": {
                "fingerprint_id": inputs.profile.fingerprint.id(),
                "sha256": inputs.profile.sha256(),
                "name": inputs.profile.name,
            },
            "engine": engine.name(),
            "workload": inputs.workload.name,
            "recipe": { "name": inputs.recipe.name, "tokens": inputs.tokens },
            "weights": inputs.weights,
            "kv": inputs.kv,
            "constraints": constraints.map(|(metric, limit)| json!({ "name": metric.name(), "limit": limit })).collect::<Vec<_>>(),
            "candidates": ranking.candidates.candidates,
            "candidates_ranked_by": ranking.candidates.candidates_ranked_by,
            "candidates_skipped": ranking.candidates.candidates_skipped,
        });
        fields["warnings"] = json!(ranking.warnings);
        output.object("rank", "rank", fields)?;
    } else {
        output.warnings(&ranking.warnings);
        let shown = if arguments.all { usize::MAX } else { candidates_text::SHOWN };
        let asked: Vec<&str> = inputs.limits.iter().map(|(metric, _)| metric.name()).collect();
        output.text(&candidates_text::text(&ranking.candidates, shown, &asked))?;
    }
    Ok(Outcome::Done)
}
