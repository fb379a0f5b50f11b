//! `slimfit quality fit`.

use super::recipe;
use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use serde_json::{Value, json};
use slimfit_document::{DocumentError, WrittenFile, sha256_hex};
use slimfit_quality::fit::{FitErrors, Fitted, Form, Provenance, parse_runs};
use slimfit_quality::{QualityError, Recipe};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `quality fit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The table has one training run a line: hidden_size, layers, heads, ffn, vocabulary_size, tokens, loss (nats\n\
                  per token on held-out text); where they are not the usual kv_heads, head_size, gated, tied_embeddings,\n\
                  embedding_size; experts, top_k, expert_size, shared_size; group; score_<task> in percent.\n\n\
                  Examples:\n  slimfit quality fit --data runs.csv\n  \
                  slimfit quality fit --data runs.csv --form whole --out mine.yaml && slimfit search --recipe mine.yaml"
)]
pub struct Arguments {
    /// The training runs, as CSV with a head line.
    #[arg(long, value_name = "FILE.csv")]
    data: PathBuf,
    /// `level` (3 runs) moves the irreducible loss and the factors of size and data; `whole` (8 shapes) the exponents and
    /// shape terms too; `log-quadratic` judges a suite of one training length and makes no recipe.
    #[arg(long, default_value = "level")]
    form: String,
    /// The recipe that gives whatever the runs do not: a built-in one or a file.
    #[arg(long, default_value = "gemstones")]
    recipe: String,
    /// The new recipe's name; that of the table's file unless said.
    #[arg(long)]
    name: Option<String>,
    /// Write the recipe here, for `slimfit search --recipe`.
    #[arg(long, value_name = "FILE.yaml")]
    out: Option<PathBuf>,
}

/// Fits, judges, and writes only then.
pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let form: Form = arguments.form.parse()?;
    if form == Form::LogQuadratic && arguments.out.is_some() {
        let error = DocumentError::new("usage", "the log-quadratic form makes no recipe").field("--out");
        let error = error.found("`--form log-quadratic`").allowed("`--form level`, `--form whole`");
        return Err(error.hint("it holds for the shapes and the length of its own suite alone").into());
    }
    let (base, _) = recipe(&arguments.recipe)?;
    let origin = arguments.data.display().to_string();
    let bytes = std::fs::read(&arguments.data).map_err(|error| {
        DocumentError::new("read-failed", format!("the training runs cannot be read: {error}")).file(&origin)
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| DocumentError::new("not-utf8", "not a UTF-8 text file").file(&origin))?;
    let part = |part: Option<&std::ffi::OsStr>| {
        part.map_or_else(|| "runs".to_owned(), |part| part.to_string_lossy().into_owned())
    };
    let provenance = Provenance {
        name: arguments.name.clone().unwrap_or_else(|| part(arguments.data.file_stem())),
        file: part(arguments.data.file_name()),
        sha256: sha256_hex(text.as_bytes()),
    };
    let runs = parse_runs(&text, &origin)?;
    let fitted = slimfit_quality::fit::fit(&base, &runs, form, &provenance)
        .map_err(|error| refused(error, &origin))?;
    let files = match (&arguments.out, &fitted.recipe) {
        (Some(path), Some(recipe)) => vec![write(path, recipe)?],
        _ => Vec::new(),
    };
    if output.is_json() {
        output.object("quality-fit", "quality fit", fields(&base, &fitted, &provenance, &files))?;
    } else {
        output.text(&words(&base, &fitted, &files))?;
    }
    Ok(Outcome::Done)
}

/// What is too little or too narrow names the table that it stands in.
fn refused(error: QualityError, origin: &str) -> Failure {
    let QualityError::FitRefused { refusal, found, allowed, hint } = error else { return error.into() };
    let message = format!("these training runs cannot be fitted: {}", refusal.subject());
    let error = DocumentError::new("quality", message).file(origin).found(found).allowed(allowed);
    error.hint(hint).into()
}

fn write(path: &Path, recipe: &Recipe) -> Result<WrittenFile, Failure> {
    Ok(WrittenFile::write(path, "recipe", recipe.to_yaml()?.as_bytes())?)
}

fn fields(base: &Recipe, fitted: &Fitted, provenance: &Provenance, files: &[WrittenFile]) -> Value {
    let errors = |errors: &FitErrors| {
        json!({
            "n": errors.n,
            "mean_absolute_nats": errors.mean_absolute,
            "quantile_90_nats": errors.quantile_90,
            "mean_relative": errors.mean_relative,
            "spearman": errors.spearman,
            "kendall_tau": errors.kendall_tau,
        })
    };
    let coefficients: Vec<Value> = fitted
        .coefficients
        .iter()
        .map(|found| {
            json!({
                "field": found.parameter.field(),
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "base": found.base,
            })
        })
        .collect();
    json!({
        "form": fitted.form.name(),
        "base": base.name,
        "data": { "file": provenance.file, "sha256": provenance.sha256 },
        "runs": fitted.predicted.len(),
        "groups": fitted.groups,
        "left_out": errors(&fitted.left_out),
        "mean_of_others": errors(&fitted.mean),
        "predicted_nats": fitted.predicted,
        "coefficients": coefficients,
        "recipe": fitted.recipe.as_ref().map(|recipe| json!({
            "name": recipe.name,
            "vocabulary_size": recipe.vocabulary_size,
            "sigma_shape_nats": recipe.noise.shape.value,
            "scores": recipe.scores.tasks.keys().collect::<Vec<_>>(),
        })),
        "files": files,
    })
}

fn words(base: &Recipe, fitted: &Fitted, files: &[WrittenFile]) -> String {
    let FitErrors { n, mean_absolute, quantile_90, kendall_tau, .. } = fitted.left_out;
    let mut text = format!(
        "{n} runs in {} groups, form {}, on `{}`.\n\
         Left out one group at a time, runs are predicted within {mean_absolute:.4} nats in the mean, 90 % within \
         {quantile_90:.4};\nKendall {}. The mean of the other groups is off by {:.4} nats.\n",
        fitted.groups,
        fitted.form,
        base.name,
        kendall_tau.map_or_else(|| "unknown".to_owned(), |tau| format!("{tau:.3}")),
        fitted.mean.mean_absolute,
    );
    if fitted.coefficients.is_empty() {
        text.push_str(
            "No recipe: the log-quadratic form holds for the shapes and the length of its own suite alone.\n",
        );
        return text;
    }
    let mut rows = table(&["coefficient", "value", "5 %", "95 %", "base"]);
    for found in &fitted.coefficients {
        let numbers = [found.value, found.low, found.high, found.base].map(|number| format!("{number:.4}"));
        rows.add_row([vec![found.parameter.field().to_owned()], numbers.to_vec()].concat());
    }
    let _ = writeln!(text, "\n{}", rows.trim_fmt());
    if let Some(recipe) = &fitted.recipe {
        let tasks: Vec<&str> = recipe.scores.tasks.keys().map(String::as_str).collect();
        let tasks = if tasks.is_empty() {
            "none: the runs have no scores of 8 groups".to_owned()
        } else {
            tasks.join(", ")
        };
        let _ = writeln!(text, "\nScores that it predicts: {tasks}.");
    }
    match files.first() {
        Some(file) => {
            let _ = writeln!(
                text,
                "Written: {}; use it with `slimfit search --recipe {}`.",
                file.path, file.path
            );
        }
        None => text.push_str("Not written: name a file with `--out FILE.yaml`.\n"),
    }
    text
}
