//! `slimfit quality explain MODEL`.

use super::question::{Candidate, QuestionArguments, bytes_per_token, no_tokens, trained_on};
use super::{batch, row, show};
use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use slimfit_formats::load_model;
use std::path::{Path, PathBuf};

const EXAMPLE: &str = "Example:\n  slimfit quality explain smollm2-135m --anchor smollm2-360m=hellaswag:54.5\n  \
                       slimfit quality explain --batch models.csv --recipe published --json > estimates.jsonl";

/// Arguments of `quality explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLE,
    after_long_help = format!("Columns of `--batch` (with a default after the dash; an empty cell takes it):\n{}\n\n\
        Fields of layers take one value, or one for each layer: `12;16*3` is 12 once and 16 three times.\n\
        Norms are counted as RMS norms without biases.\n\n{EXAMPLE}", row::help())
)]
pub struct Arguments {
    /// A `config.json` or its folder, a `.gguf`, a slimfit architecture file, or a built-in name.
    #[arg(required_unless_present = "batch", conflicts_with = "batch")]
    model: Option<String>,
    /// One model a row instead; `--help` lists the columns. With `--json` it prints a line of JSON for each.
    #[arg(long, value_name = "FILE.csv")]
    batch: Option<PathBuf>,
    /// Bytes per token of the model's tokenizer on your text, as `quality tokens` measures them.
    #[arg(long, value_name = "BYTES", conflicts_with = "batch")]
    bytes_per_token: Option<String>,
    #[command(flatten)]
    question: QuestionArguments,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let mut question = arguments.question.read()?;
    let Some(reference) = &arguments.model else {
        let file = arguments.batch.as_deref().unwrap_or(Path::new(""));
        return batch::run(file, &mut question, output);
    };
    let measured = match arguments.bytes_per_token.as_deref() {
        None => None,
        Some(text) => Some(bytes_per_token(text).ok_or_else(|| {
            slimfit_document::DocumentError::new("usage", "no number of bytes per token")
                .field("--bytes-per-token")
                .found(format!("`{text}`"))
                .allowed("1 to 64")
        })?),
    };
    let model = load_model(reference)?;
    let candidate = Candidate {
        tokens: question.tokens.or_else(|| trained_on(&model)).ok_or_else(no_tokens)?,
        name: Some(model.name),
        architecture: model.architecture,
        recipe: None,
        weights: question.weights,
        kv: question.kv,
        bytes_per_token: measured,
    };
    let valued = question.value(candidate)?;
    if output.is_json() {
        output.object("quality-explain", "quality explain", show::fields(&valued)?)?;
    } else {
        output.warnings(&show::warnings(&valued));
        output.text(&show::text(&valued))?;
    }
    Ok(Outcome::Done)
}
