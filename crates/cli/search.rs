//! `slimfit search`.

use crate::engine::EngineArguments;
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::progress::Progress;
use crate::table::table;
use crate::{Outcome, date, device, interrupt};
use serde_json::json;
use slimfit_arch::FeedForward;
use slimfit_document::{Document, DocumentError, WrittenFile, sha256_hex, suggestion, write_atomically};
use slimfit_kernels::Isa;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_quantity::{format_bytes, format_count, format_seconds};
use slimfit_search::{Evaluator, Metric, ModelEvaluator, Space, Workload, for_each_point, shortlist};
use slimfit_study::{Front, FrontPoint, Study};
use slimfit_workflow::{SearchInputs, SearchSettings, search_into_study};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Points shown in the table.
const SHOWN: usize = 12;
/// Dominated points kept to draw the cloud.
const CLOUD: usize = 20_000;

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit search --space slm-edge --workload assistant --max-memory 512MiB --max-tpot 30ms --out reports/edge"
)]
pub struct Arguments {
    #[command(flatten)]
    what: What,
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
    /// What to minimise, in this order: `loss`, `ttft_seconds`, `tpot_seconds`, `memory_bytes`, `joules_per_token` …
    #[arg(long, value_delimiter = ',')]
    objectives: Vec<String>,
    /// Seed of the sample of dominated points.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The study's folder; `reports/<date>-<space>` unless said.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write every valid point of a small space as CSV.
    #[arg(long, value_name = "FILE.csv")]
    dump_all: Option<PathBuf>,
}

/// Space, use, training and limits: what `search` and `run` share.
#[derive(Debug, clap::Args)]
pub struct What {
    /// A built-in search space or a file.
    #[arg(long, default_value = "slm-demo")]
    space: String,
    /// A built-in workload or a file.
    #[arg(long, default_value = "assistant")]
    workload: String,
    /// A built-in quality recipe or a file.
    #[arg(long, default_value = "gemstones")]
    recipe: String,
    /// Training tokens, in the recipe's tokenizer: `100B`, `1T`.
    #[arg(long, default_value = "100B", value_parser = slimfit_quantity::parse_count)]
    tokens: u64,
    /// Let in weakly founded values that the space lists: `mqa`, `vocab`, `loops`.
    #[arg(long, value_delimiter = ',')]
    assume: Vec<String>,
    /// Most memory: `1GiB`.
    #[arg(long, value_name = "SIZE", value_parser = slimfit_quantity::parse_bytes)]
    max_memory: Option<u64>,
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
}

impl What {
    /// The space, with the assumptions asked for.
    pub fn space(&self) -> Result<Space, Failure> {
        let assume: Vec<&str> = self.assume.iter().map(String::as_str).collect();
        Ok(Space::load(&self.space, &assume)?)
    }

    /// The use.
    pub fn workload(&self) -> Result<Workload, Failure> {
        Ok(Workload::load(&self.workload)?)
    }

    /// The recipe and its text.
    pub fn recipe(&self) -> Result<(Recipe, String), Failure> {
        if let Some(text) = Recipe::builtin_text(&self.recipe) {
            return Ok((Recipe::builtin(&self.recipe)?, text.to_owned()));
        }
        if !self.recipe.contains(['/', '\\', '.']) && !Path::new(&self.recipe).exists() {
            return Recipe::builtin(&self.recipe)
                .map(|recipe| (recipe, String::new()))
                .map_err(Failure::from);
        }
        let document = Document::read(&self.recipe)?;
        Ok((Recipe::from_document(&document)?, document.text().to_owned()))
    }

    /// Training tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The limits given, for this space.
    pub fn limits(&self, space: &Space) -> Result<Vec<(Metric, f64)>, Failure> {
        let loss = if space.vocabulary_is_axis() { Metric::LossPerByte } else { Metric::Loss };
        let given = [
            ("--max-memory", Metric::MemoryBytes, self.max_memory.map(|bytes| bytes as f64)),
            ("--max-ttft", Metric::TtftSeconds, self.max_ttft),
            ("--max-tpot", Metric::TpotSeconds, self.max_tpot),
            ("--max-ttft-p95", Metric::TtftP95Seconds, self.max_ttft_p95),
            ("--max-tpot-p95", Metric::TpotP95Seconds, self.max_tpot_p95),
            ("--max-loss", loss, self.max_loss),
            ("--max-energy", Metric::JoulesPerToken, self.max_energy),
        ];
        let mut limits = Vec::new();
        for (flag, metric, value) in given {
            let Some(value) = value else { continue };
            if !(value.is_finite() && value > 0.0) {
                let error = DocumentError::new("usage", "a limit that nothing can keep").field(flag);
                return Err(error.found(value).allowed("a number above 0").into());
            }
            limits.push((metric, value));
        }
        Ok(limits)
    }
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let what = &arguments.what;
    let isa = Isa::selected()?;
    let space = what.space()?;
    let (recipe, recipe_text) = what.recipe()?;
    let profile = arguments.watts.applied(device::profile(arguments.profile.as_deref(), isa)?);
    let profile = arguments.calibration.applied(profile);
    let (engine, engine_options) = arguments.engine.resolve(&profile)?;
    let inputs = SearchInputs {
        profile,
        engine,
        engine_options,
        workload: what.workload()?,
        recipe,
        recipe_text,
        tokens: what.tokens(),
        space,
    };
    let limits = what.limits(&inputs.space)?;
    let objectives = objectives(&arguments.objectives)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new("reports").join(format!("{}-{}", date::today(), inputs.space.name())));
    let study = Study::create(&out)?;
    refuse_another(&study, &inputs)?;
    let progress = Progress::start(format!("search {}", inputs.space.name()));
    let settings = SearchSettings {
        objectives,
        limits: limits.clone(),
        seed: arguments.seed,
        sample: CLOUD,
        deadline: None,
        cancel: interrupt::flag(),
        progress: &|at| progress.count(at.visited, at.size, "points"),
    };
    let front = search_into_study(&inputs, &settings, &study)?;
    progress.finish(&format!("{} of {} points on the front", front.points.len(), front.head.space_size));
    let mut files = written(&out)?;
    if let Some(file) = &arguments.dump_all {
        files.push(dump(&inputs, &limits, file)?);
    }
    if output.is_json() {
        let mut fields =
            serde_json::to_value(&front.head).map_err(|error| Failure::internal(error.to_string()))?;
        fields["seed"] = json!(arguments.seed);
        fields["files"] = json!(files);
        output.object("search", "search", fields)?;
    } else {
        output.warnings(&front.head.warnings);
        output.text(&summary(&front))?;
        note(&format!("study in {}; `slimfit report --study {}` draws it", out.display(), out.display()));
    }
    Ok(interrupt::outcome())
}

fn objectives(names: &[String]) -> Result<Option<Vec<Metric>>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    let known = || Metric::ALL.into_iter().map(Metric::name);
    let metric = |name: &String| {
        Metric::named(name).ok_or_else(|| {
            DocumentError::new("usage", "no objective of this name")
                .field("--objectives")
                .found(format!("`{name}`"))
                .allowed(known().collect::<Vec<_>>().join(", "))
                .maybe_hint(suggestion(name, known()))
        })
    };
    Ok(Some(names.iter().map(metric).collect::<Result<_, _>>()?))
}

/// A folder that holds the study of other inputs stays as it is.
fn refuse_another(study: &Study, inputs: &SearchInputs) -> Result<(), Failure> {
    let Some(known) = study.front()? else { return Ok(()) };
    let head = &known.head;
    let same = head.space == inputs.space.named_hash()
        && head.profile.fingerprint_id == inputs.profile.fingerprint.id()
        && head.profile.name == inputs.profile.name
        && head.engine == inputs.engine.name()
        && head.workload == inputs.workload.name
        && head.recipe.name == inputs.recipe.name
        && head.recipe.tokens == inputs.tokens;
    if same {
        return Ok(());
    }
    let found = format!(
        "space `{}` on `{}`, engine `{}`, workload `{}`",
        head.space.name, head.profile.name, head.engine, head.workload
    );
    Err(slimfit_study::StudyError::OtherStudy { path: study.folder().to_owned(), found }.into())
}

/// The files that a search leaves for people.
fn written(out: &Path) -> Result<Vec<WrittenFile>, Failure> {
    let names =
        [("front.json", "front"), ("front.csv", "csv"), ("profile.yaml", "profile"), ("space.yaml", "space")];
    let more = [("workload.yaml", "workload"), ("recipe.yaml", "recipe")];
    names.iter().chain(&more).map(|(name, kind)| described(&out.join(name), kind)).collect()
}

fn described(path: &Path, kind: &str) -> Result<WrittenFile, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::from(
            DocumentError::new("file-unreadable", error.to_string()).file(path.display().to_string()),
        )
    })?;
    Ok(WrittenFile {
        path: path.display().to_string(),
        kind: kind.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256_hex(&bytes),
    })
}

/// Every valid point of the space, one a line.
fn dump(inputs: &SearchInputs, limits: &[(Metric, f64)], file: &Path) -> Result<WrittenFile, Failure> {
    /// Past this a CSV helps nobody.
    const MOST: u64 = 2_000_000;
    let space = &inputs.space;
    if space.size() > MOST {
        let error = DocumentError::new("usage", "the space is too large to write out").field("--dump-all");
        return Err(error
            .found(format!("{} points", space.size()))
            .allowed(format!("at most {MOST}"))
            .into());
    }
    let cost = inputs.cost()?;
    let quality = QualityModel::new(inputs.recipe.clone());
    let evaluator = ModelEvaluator::new(space, &cost, &quality, inputs.tokens, &inputs.workload);
    let metrics = evaluator.metrics().to_vec();
    let mut text = String::from(
        "id,layers,hidden_size,heads,kv_heads,head_size,ffn,gated,experts,top_k,window,vocabulary_size,tied_embeddings,weights,kv",
    );
    for metric in &metrics {
        let _ = write!(text, ",{}", metric.name());
    }
    text.push_str(",feasible\n");
    let visited = for_each_point(space, &evaluator, limits, |found, feasible| {
        let Ok(point) = space.point(found.index) else { return ControlFlow::Continue(()) };
        let architecture = &point.architecture;
        let attention = &architecture.layers[0].attention;
        // As the axes say it: experts share out `ffn`, and a dense part is one expert that everyone visits.
        let (ffn, gated, experts, top_k) = match &architecture.layers[0].ffn {
            FeedForward::Dense(mlp) => (mlp.size, mlp.gated, 1, 1),
            FeedForward::Moe(moe) => (moe.top_k * moe.expert_size, moe.gated, moe.experts, moe.top_k),
        };
        let _ = write!(
            text,
            "{},{},{},{},{},{},{ffn},{gated},{experts},{top_k},{},{},{},{},{}",
            architecture.id(point.weights, point.kv),
            architecture.depth(),
            architecture.hidden_size,
            attention.heads,
            attention.kv_heads,
            attention.head_size,
            attention.window.map_or_else(String::new, |window| window.to_string()),
            architecture.vocabulary_size,
            architecture.tied_embeddings,
            point.weights.name(),
            point.kv.name()
        );
        for metric in &metrics {
            let _ = write!(text, ",{}", found.values[*metric as usize]);
        }
        let _ = writeln!(text, ",{feasible}");
        if interrupt::check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if visited.is_break() {
        return Err(Failure::Interrupted);
    }
    write_atomically(file, text.as_bytes())?;
    described(file, "csv")
}

/// The points that a person looks at first.
fn summary(front: &Front) -> String {
    let mut text = String::new();
    let head = &front.head;
    let _ = writeln!(
        text,
        "{}: {} points, {} evaluated, {} invalid; front of {} ({})",
        head.space.name,
        head.space_size,
        head.evaluated,
        head.invalid,
        head.front_size,
        if head.exact { "exact for the model" } else { "interrupted, not exact" }
    );
    if let Some(miss) = &head.nearest_miss {
        let _ = writeln!(text, "no point keeps every limit; `{}` comes nearest:", miss.id);
        for broken in &miss.breaks {
            let (value, limit) = (spoken(&broken.name, broken.value), spoken(&broken.name, broken.limit));
            let _ = writeln!(text, "  {} is {value}, limit {limit}", broken.name);
        }
        return text;
    }
    if front.points.is_empty() {
        for reason in &head.invalid_by {
            let _ = writeln!(text, "  {} points are no candidates: {}", reason.count, reason.reason);
        }
        return text;
    }
    // Percentiles have a column where the search was asked for them.
    let percentiles: Vec<(&str, &str)> =
        [("ttft_p95_seconds", "TTFT p95"), ("tpot_p95_seconds", "token p95")]
            .into_iter()
            .filter(|(name, _)| head.objectives.iter().any(|objective| objective.name == *name))
            .collect();
    let mut heads = vec!["pick", "parameters", "weights", "kv", "threads", "loss", "TTFT", "per token"];
    heads.extend(percentiles.iter().map(|(_, label)| *label));
    heads.extend(["memory", "id"]);
    let mut rows = table(&heads);
    for place in shortlist(front, SHOWN) {
        rows.add_row(row(&front.points[place], &percentiles));
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    text
}

fn row(point: &FrontPoint, percentiles: &[(&str, &str)]) -> Vec<String> {
    let value = |names: &[&str]| names.iter().find_map(|name| point.objectives.get(*name).copied());
    let seconds = |names: &[&str]| value(names).map_or_else(|| "–".to_owned(), format_seconds);
    let mut cells = vec![
        point.picks.join(", "),
        format_count(point.parameters.total as f64),
        point.weights.name().to_owned(),
        point.kv.name().to_owned(),
        point.threads.to_string(),
        value(&["loss", "loss_per_byte"]).map_or_else(|| "–".to_owned(), |loss| format!("{loss:.3}")),
        seconds(&["ttft_seconds"]),
        seconds(&["tpot_seconds", "seconds_per_byte"]),
    ];
    cells.extend(percentiles.iter().map(|(name, _)| seconds(&[name])));
    cells.push(value(&["memory_bytes"]).map_or_else(|| "–".to_owned(), format_bytes));
    cells.push(point.id.clone());
    cells
}

/// A value of an objective in the unit that its name ends with.
fn spoken(name: &str, value: f64) -> String {
    if name.ends_with("_seconds") || name == "seconds_per_byte" {
        format_seconds(value)
    } else if name.ends_with("_bytes") {
        format_bytes(value)
    } else {
        format!("{value:.4}")
    }
}
