//! `slimfit quality tokens`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::{Output, note};
use serde_json::{Value, json};
use slimfit_document::{DocumentError, read_text};
use slimfit_quality::{MeasuredText, QualityModel, WorkloadText};
use slimfit_quantity::{Predicted, format_bytes, format_count};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokenizers::Tokenizer;

/// Unknown tokens past this share make the count meaningless.
const MOST_UNKNOWN: f64 = 0.01;

/// Arguments of `quality tokens`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit quality tokens --tokenizer tokenizer.json --text sample.txt\n  slimfit quality explain my-model --tokens 100B --bytes-per-token 3.92"
)]
pub struct Arguments {
    /// The `tokenizer.json` of a model on Hugging Face.
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Text as the model will read it, UTF-8; several files count together.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    text: Vec<PathBuf>,
    /// The recipe whose table stands beside the measurement.
    #[arg(long, default_value = "gemstones")]
    recipe: String,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let (recipe, _) = super::recipe(&arguments.recipe)?;
    let (tokenizer, unknown_id) = read_tokenizer(&arguments.tokenizer)?;
    let texts = arguments.text.iter().map(read_text).collect::<Result<Vec<_>, _>>()?;
    for (text, file) in texts.iter().zip(&arguments.text) {
        if text.trim().is_empty() {
            return Err(DocumentError::new("text-too-short", "the text is empty").file(name(file)).into());
        }
    }
    let mut unknown = 0;
    let pieces: Vec<&str> = texts.iter().map(String::as_str).collect();
    let measured = MeasuredText::of(&pieces, |piece| {
        crate::interrupt::check()?;
        let encoding = tokenizer.encode_fast(piece, false).map_err(|error| {
            let error =
                DocumentError::new("tokenizer", format!("the tokenizer cannot read the text: {error}"));
            Failure::from(error.file(name(&arguments.tokenizer)))
        })?;
        unknown += encoding.get_ids().iter().filter(|id| Some(**id) == unknown_id).count();
        Ok::<_, Failure>(encoding.len())
    })?;
    let vocabulary = tokenizer.get_vocab_size(true) as u64;
    let unknown_share = unknown as f64 / measured.tokens as f64;
    let model = QualityModel::new(recipe);
    let law = model.law(1, &WorkloadText::new(0, 0));
    let table = law.bytes_per_token_interval(vocabulary);
    let ratio = measured.bytes_per_token.value / table.value;
    let mut warnings = Vec::new();
    if unknown_share > MOST_UNKNOWN {
        let message = format!(
            "{:.1} % of the tokens stand for text that the tokenizer does not know: bytes per token say little",
            100.0 * unknown_share
        );
        warnings.push(slimfit_quantity::Warning::new("unknown-tokens", message));
    }
    let Predicted { value, low, high } = measured.bytes_per_token;
    if output.is_json() {
        // The figure's bounds are the quartiles of the chunks, as of everything measured.
        let mut figure = json!(measured.chunks.figure());
        figure["value"] = json!(value);
        let files = texts.iter().zip(&arguments.text);
        let fields = json!({
            "warnings": warnings,
            "tokenizer": name(&arguments.tokenizer),
            "vocabulary_size": vocabulary,
            "files": files.map(|(text, file)| json!({ "path": name(file), "bytes": text.len() })).collect::<Vec<_>>(),
            "bytes": measured.bytes,
            "tokens": measured.tokens,
            "unknown_share": unknown_share,
            "bytes_per_token": figure,
            "interval_90": { "low": low, "high": high },
            "table": {
                "recipe": model.recipe().name,
                "bytes_per_token": table.figure(),
                "source": model.recipe().text.source,
            },
            "ratio_to_table": ratio,
        });
        output.object("quality-tokens", "quality tokens", fields)?;
        return Ok(Outcome::Done);
    }
    output.warnings(&warnings);
    let summary = &measured.chunks.summary;
    output.text(&format!(
        "{}: vocabulary of {vocabulary}\n\
         {} of text in {} chunks became {} tokens\n\n\
         bytes per token  {value:.3} ({low:.3}–{high:.3}, 90 %; quartiles of the chunks {:.2}–{:.2})\n\
         recipe `{}`  {:.3} ({:.3}–{:.3}, 90 %) for this vocabulary: {}\n\
         this text        {ratio:.2} of the table\n",
        name(&arguments.tokenizer),
        format_bytes(measured.bytes as f64),
        measured.chunks.samples.len(),
        format_count(measured.tokens as f64),
        summary.lower_quartile,
        summary.upper_quartile,
        model.recipe().name,
        table.value,
        table.low,
        table.high,
        model.recipe().text.source,
    ))?;
    note(&format!(
        "`slimfit quality explain MODEL --bytes-per-token {value:.3}` uses it, and so does a search whose workload file says\n\
         tokenizer: {{vocabulary_size: {vocabulary}, bytes_per_token: {value:.3}}}"
    ));
    Ok(Outcome::Done)
}

/// The tokenizer, and the id of its unknown token where it has one.
fn read_tokenizer(path: &Path) -> Result<(Tokenizer, Option<u32>), Failure> {
    let text = read_text(path)?;
    let wrong = |message: String| DocumentError::new("tokenizer", message).file(name(path));
    const HINT: &str = "`tokenizer.json` lies beside the model's `config.json`; `tokenizer_config.json`, `vocab.json` and \
                        `tokenizer.model` are other files";
    let tree: Value = serde_json::from_str(&text).map_err(|error| {
        let place = (error.line().max(1) as u64, error.column().max(1) as u64);
        wrong(format!("not JSON: {error}")).at(place.0, place.1).hint(HINT)
    })?;
    let Some(model) = tree.get("model").filter(|model| model.is_object()) else {
        return Err(wrong("not a tokenizer: it has no `model`".to_owned()).field("model").hint(HINT).into());
    };
    let mut tokenizer = Tokenizer::from_str(&text)
        .map_err(|error| wrong(format!("not a tokenizer that can be read: {error}")).hint(HINT))?;
    // Files often carry the settings of their last training batch, which would cut or fill the text.
    tokenizer
        .with_truncation(None)
        .map_err(|error| wrong(format!("the tokenizer cannot read without limit: {error}")))?
        .with_padding(None);
    let by_name =
        model.get("unk_token").and_then(Value::as_str).and_then(|token| tokenizer.token_to_id(token));
    let by_id = model.get("unk_id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    Ok((tokenizer, by_name.or(by_id)))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
