//! What `search` and `run` are asked for: space, use, recipe, training, measured scores and limits.

use crate::failure::Failure;
use crate::portable::PortableArgument;
use crate::workload::WorkloadArguments;
use slimfit_document::{DocumentError, suggestion};
use slimfit_formats::load_model;
use slimfit_quality::{
    Anchor, AnchorModel, Assumption, Recipe, TRAINING_CONTEXT, TrainingPlan, TrainingRate,
};
use slimfit_search::{ExtraRows, Metric, QualityTable, Space, Workload};
use std::path::PathBuf;

/// Space, use, training and limits: what `search` and `run` share.
#[derive(Debug, clap::Args)]
pub struct What {
    /// A built-in search space or a file.
    #[arg(long, default_value = "slm-demo")]
    space: String,
    #[command(flatten)]
    workload: WorkloadArguments,
    /// A built-in quality recipe or a file.
    #[arg(long, default_value = "gemstones")]
    recipe: String,
    /// Training tokens, in the recipe's tokenizer: `100B`, `1T`.
    #[arg(long, default_value = "100B", value_parser = slimfit_quantity::parse_count)]
    tokens: u64,
    /// Let in weakly founded values that the space lists: `mqa`, `vocab`, `loops`.
    #[arg(long, value_delimiter = ',')]
    assume: Vec<String>,
    #[command(flatten)]
    portable: PortableArgument,
    #[command(flatten)]
    limits: LimitArguments,
    /// A trained sibling of known score, which moves the level of its task: `smollm2-360m=hellaswag:54.5`, with `@4T`
    /// after the name where its training tokens are not known.
    #[arg(long, value_name = "MODEL[@TOKENS]=TASK:SCORE")]
    anchor: Vec<String>,
    #[command(flatten)]
    training: TrainingArguments,
    /// Measured scores that replace predictions for the points they name: CSV with `id` or axes, then `loss`,
    /// `loss_per_byte` or `score_<task>`, and `sigma`.
    #[arg(long, value_name = "FILE.csv")]
    quality_table: Option<PathBuf>,
    /// What to do with rows of the table that name no candidate.
    #[arg(long, value_name = "HOW", default_value = "refuse", requires = "quality_table")]
    quality_table_extra: Extra,
}

/// What a model may cost at most and must be worth at least.
#[derive(Debug, clap::Args)]
pub struct LimitArguments {
    /// Most memory: `1GiB`.
    #[arg(long, value_name = "SIZE", value_parser = slimfit_quantity::parse_bytes)]
    max_memory: Option<u64>,
    /// Largest GGUF file, its tensors alone: `200MiB`.
    #[arg(long, value_name = "SIZE", value_parser = slimfit_quantity::parse_bytes)]
    max_file_bytes: Option<u64>,
    /// Longest time to the first token: `500ms`.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds)]
    max_ttft: Option<f64>,
    /// Longest time per output token: `30ms`.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds)]
    max_tpot: Option<f64>,
    /// Longest time within which 95 of 100 requests have their first token.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds)]
    max_ttft_p95: Option<f64>,
    /// Longest time within which 95 of 100 output tokens come: what a real-time user notices.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds)]
    max_tpot_p95: Option<f64>,
    /// Highest loss, in nats per token (per byte where the vocabulary is an axis).
    #[arg(long, value_name = "NATS")]
    max_loss: Option<f64>,
    /// Most energy per output token, in joules.
    #[arg(long, value_name = "JOULES")]
    max_energy: Option<f64>,
    /// Lowest score of a task, in percent: `hellaswag:40`.
    #[arg(long, value_name = "TASK:PERCENT", value_delimiter = ',')]
    min_score: Vec<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Extra {
    /// An error that names the line.
    Refuse,
    /// Counted and left out.
    Ignore,
}

/// What a training runs on, and what it may take.
#[derive(Debug, clap::Args)]
struct TrainingArguments {
    /// Operations per second that the training sustains, all accelerators together: `400TFLOP/s`.
    #[arg(long, value_name = "RATE", value_parser = slimfit_quantity::parse_flops_per_s)]
    training_flops_per_s: Option<f64>,
    /// Accelerators that reach this rate together.
    #[arg(long, value_name = "COUNT", default_value_t = 1, requires = "training_flops_per_s", value_parser = clap::value_parser!(u64).range(1..))]
    training_gpus: u64,
    /// Price of an hour of one accelerator, in any currency.
    #[arg(long, value_name = "PRICE", requires = "training_flops_per_s")]
    price_per_gpu_hour: Option<f64>,
    /// Tokens of a training sequence: attention grows with it.
    #[arg(long, value_name = "TOKENS", default_value_t = TRAINING_CONTEXT, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    training_context: u64,
    /// Most operations of the training: `1e20`.
    #[arg(long, value_name = "FLOP")]
    max_training_flops: Option<f64>,
    /// Longest training: `36h`, `12d`.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_duration)]
    max_training_seconds: Option<f64>,
    /// Highest price of the training.
    #[arg(long, value_name = "PRICE")]
    max_training_cost: Option<f64>,
}

impl What {
    /// The space, with the assumptions and held to the loaders asked for.
    pub fn space(&self) -> Result<Space, Failure> {
        let assume = self.assume.iter().map(|name| Assumption::named(name)).collect::<Result<Vec<_>, _>>()?;
        self.portable.applied(Space::load(&self.space, &assume)?)
    }

    /// The use.
    pub fn workload(&self) -> Result<Workload, Failure> {
        self.workload.read()
    }

    /// The recipe and its text.
    pub fn recipe(&self) -> Result<(Recipe, String), Failure> {
        crate::quality::recipe(&self.recipe)
    }

    /// Training tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Siblings of known score.
    pub fn anchors(&self) -> Result<Vec<Anchor>, Failure> {
        anchors(&self.anchor)
    }

    /// How the training is counted.
    pub fn training(&self) -> Result<TrainingPlan, Failure> {
        let given = &self.training;
        if let Some(price) = given.price_per_gpu_hour {
            above_zero("--price-per-gpu-hour", price)?;
        }
        let rate = given.training_flops_per_s.map(|flops_per_s| TrainingRate {
            flops_per_s,
            gpus: given.training_gpus,
            price_per_gpu_hour: given.price_per_gpu_hour,
        });
        Ok(TrainingPlan { context_tokens: given.training_context, rate })
    }

    /// Measured scores.
    pub fn quality_table(&self, recipe: &Recipe) -> Result<Option<(QualityTable, ExtraRows)>, Failure> {
        let Some(file) = &self.quality_table else { return Ok(None) };
        let extra = match self.quality_table_extra {
            Extra::Refuse => ExtraRows::Refuse,
            Extra::Ignore => ExtraRows::Ignore,
        };
        Ok(Some((QualityTable::read(file, recipe)?, extra)))
    }

    /// The limits given, for this space.
    pub fn limits(&self, space: &Space, recipe: &Recipe) -> Result<Vec<(Metric, f64)>, Failure> {
        let loss = if space.vocabulary_is_axis() { Metric::LossPerByte } else { Metric::Loss };
        let mut limits = self.limits.limits(loss, recipe)?;
        let given = [
            ("--max-training-flops", Metric::TrainingFlops, self.training.max_training_flops),
            ("--max-training-seconds", Metric::TrainingSeconds, self.training.max_training_seconds),
            ("--max-training-cost", Metric::TrainingCost, self.training.max_training_cost),
        ];
        add_given(&mut limits, &given)?;
        Ok(limits)
    }
}

impl LimitArguments {
    /// The limits given; `loss` is what `--max-loss` is of.
    pub fn limits(&self, loss: Metric, recipe: &Recipe) -> Result<Vec<(Metric, f64)>, Failure> {
        let given = [
            ("--max-memory", Metric::MemoryBytes, self.max_memory.map(|bytes| bytes as f64)),
            ("--max-file-bytes", Metric::FileBytes, self.max_file_bytes.map(|bytes| bytes as f64)),
            ("--max-ttft", Metric::TtftSeconds, self.max_ttft),
            ("--max-tpot", Metric::TpotSeconds, self.max_tpot),
            ("--max-ttft-p95", Metric::TtftP95Seconds, self.max_ttft_p95),
            ("--max-tpot-p95", Metric::TpotP95Seconds, self.max_tpot_p95),
            ("--max-loss", loss, self.max_loss),
            ("--max-energy", Metric::JoulesPerToken, self.max_energy),
        ];
        let mut limits = Vec::new();
        add_given(&mut limits, &given)?;
        for text in &self.min_score {
            limits.push(least_score(text, recipe)?);
        }
        Ok(limits)
    }
}

/// Siblings of known score, as they are written.
pub fn anchors(texts: &[String]) -> Result<Vec<Anchor>, Failure> {
    let lookup = |reference: &str| -> Result<AnchorModel, Failure> {
        let found = load_model(reference).map_err(|error| error.into_document().field("--anchor"))?;
        let tokens = found.published.and_then(|published| published.tokens);
        Ok(AnchorModel { architecture: found.architecture, tokens })
    };
    texts.iter().map(|text| Anchor::parse(text, lookup)).collect()
}

fn add_given(limits: &mut Vec<(Metric, f64)>, given: &[(&str, Metric, Option<f64>)]) -> Result<(), Failure> {
    for &(flag, metric, value) in given {
        let Some(value) = value else { continue };
        above_zero(flag, value)?;
        limits.push((metric, value));
    }
    Ok(())
}

fn above_zero(flag: &str, value: f64) -> Result<(), Failure> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    let error = DocumentError::new("usage", "a limit that nothing can keep").field(flag);
    Err(error.found(value).allowed("a number above 0").into())
}

/// `hellaswag:40`.
fn least_score(text: &str, recipe: &Recipe) -> Result<(Metric, f64), Failure> {
    const FLAG: &str = "--min-score";
    let wrong = |found: &str, allowed: &str| {
        let error = DocumentError::new("usage", "no score of a task").field(FLAG);
        error.found(format!("`{found}`")).allowed(allowed.to_owned())
    };
    let Some((task, percent)) = text.split_once(':') else {
        return Err(wrong(text, "TASK:PERCENT, such as `hellaswag:40`").into());
    };
    let metric = metric(&format!("score_{task}"), FLAG, recipe)?;
    let percent: Option<f64> = percent.trim_end_matches('%').trim().parse().ok();
    match percent.filter(|percent| (0.0..=100.0).contains(percent) && *percent > 0.0) {
        Some(percent) => Ok((metric, percent)),
        None => Err(wrong(text, "a percentage above 0, up to 100, after the colon").into()),
    }
}

/// The metric of that name, or what there is.
pub fn metric(name: &str, flag: &str, recipe: &Recipe) -> Result<Metric, Failure> {
    if let Some(metric) = Metric::named(name, recipe) {
        return Ok(metric);
    }
    let known: Vec<&str> =
        Metric::FIXED.into_iter().chain(Metric::scores(recipe)).map(Metric::name).collect();
    let task = name.strip_prefix("score_").unwrap_or(name);
    let unpredicted = recipe.scores.not_predicted.get(task);
    let hint = match unpredicted {
        Some(reason) => Some(format!("`{task}` is not predicted: {reason}")),
        None => suggestion(name, known.iter().copied()),
    };
    let error =
        DocumentError::new("usage", "no objective of this name").field(flag).found(format!("`{name}`"));
    Err(error.allowed(known.join(", ")).maybe_hint(hint).into())
}
