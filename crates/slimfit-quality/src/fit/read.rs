//! Training runs as a table: one run a line, architecture fields as columns.

use super::run::TrainingRun;
use crate::QualityError;
use csv::StringRecord;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Mlp, Moe, Norm, NormPlacement,
    Positions, QkNorm, Rope, Scales,
};
use slimfit_document::{DocumentError, suggestion};
use std::collections::BTreeMap;
use std::path::Path;

const REQUIRED: [&str; 6] = ["hidden_size", "layers", "heads", "vocabulary_size", "tokens", "loss"];
const OPTIONAL: [&str; 12] = [
    "name",
    "group",
    "kv_heads",
    "head_size",
    "ffn",
    "gated",
    "tied_embeddings",
    "embedding_size",
    "experts",
    "top_k",
    "expert_size",
    "shared_size",
];
/// Columns with measured scores begin with it: `score_hellaswag`, in percent.
const SCORE: &str = "score_";

/// Reads training runs from a CSV file with a head line.
///
/// Columns: `hidden_size`, `layers`, `heads`, `vocabulary_size`, `tokens`, `loss` (nats per token on held-out text) and
/// `ffn`, or `experts`, `top_k` and `expert_size`; where they differ from what is usual `kv_heads` (`heads`),
/// `head_size` (`hidden_size / heads`), `gated` (`true`), `tied_embeddings` (`false`), `embedding_size`,
/// `shared_size`; `group` where runs of several shapes belong together, and `score_<task>` in percent.
///
/// # Errors
/// File, line and column of what cannot be a run.
pub fn read_runs(path: &Path) -> Result<Vec<TrainingRun>, QualityError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        DocumentError::new("read-failed", format!("the training runs cannot be read: {error}"))
            .file(path.display().to_string())
    })?;
    parse_runs(&text, &path.display().to_string())
}

/// The same from a text in memory; `origin` is the name that errors give it.
///
/// # Errors
/// As [`read_runs`].
pub fn parse_runs(text: &str, origin: &str) -> Result<Vec<TrainingRun>, QualityError> {
    let table = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        DocumentError::new("syntax", format!("not a table: {error}")).file(origin).at(line, 1)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| table(&error))?.clone();
    let columns = columns(&head).map_err(|error| error.file(origin).at(1, 1))?;
    let mut runs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| table(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { columns: &columns, record: &record };
        runs.push(row.run().map_err(|error| error.file(origin).at(line, 1))?);
    }
    if runs.is_empty() {
        let empty = DocumentError::new("empty", "the table holds no training run");
        return Err(empty.file(origin).hint("one line for each run below the head line").into());
    }
    Ok(runs)
}

fn columns(head: &StringRecord) -> Result<BTreeMap<String, usize>, DocumentError> {
    let known = || REQUIRED.into_iter().chain(OPTIONAL);
    let mut columns = BTreeMap::new();
    for (place, name) in head.iter().enumerate() {
        let is_score = name.strip_prefix(SCORE).is_some_and(|task| !task.is_empty());
        if !is_score && !known().any(|known| known == name) {
            let error =
                DocumentError::new("unknown-field", "no such column").field(name).found(format!("`{name}`"));
            let allowed = known().collect::<Vec<_>>().join(", ");
            return Err(error
                .allowed(format!("{allowed}, {SCORE}<task>"))
                .maybe_hint(suggestion(name, known())));
        }
        if columns.insert(name.to_owned(), place).is_some() {
            return Err(DocumentError::new("duplicate-key", format!("the column `{name}` stands twice")));
        }
    }
    for name in REQUIRED {
        if !columns.contains_key(name) {
            let error = DocumentError::new("missing-field", "the column is missing").field(name);
            return Err(error.allowed(REQUIRED.join(", ")).hint("the first line names the columns"));
        }
    }
    Ok(columns)
}

struct Row<'a> {
    columns: &'a BTreeMap<String, usize>,
    record: &'a StringRecord,
}

impl Row<'_> {
    /// The text of a field; nothing where it is blank or the column is missing.
    fn text(&self, name: &str) -> Option<&str> {
        let place = *self.columns.get(name)?;
        self.record.get(place).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str, low: f64, high: f64) -> Result<Option<f64>, DocumentError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number > low && number <= high => Ok(Some(number)),
            _ => {
                let error = DocumentError::new("out-of-range", "not a possible value").field(name);
                let allowed = if high.is_finite() {
                    format!("a number above {low}, at most {high}")
                } else {
                    format!("a number above {low}")
                };
                Err(error.found(format!("`{text}`")).allowed(allowed))
            }
        }
    }

    fn count(&self, name: &str) -> Result<Option<u64>, DocumentError> {
        // Tokens are often written as 100B or 1e11.
        if let Some(text) = self.text(name)
            && text.ends_with(char::is_alphabetic)
            && let Ok(count @ 1..) = slimfit_quantity::parse_count(text)
        {
            return Ok(Some(count));
        }
        let number = self.number(name, 0.0, 1e18)?;
        match number {
            Some(number) if number.fract() != 0.0 => {
                let error = DocumentError::new("wrong-type", "not a whole number").field(name);
                Err(error.found(number).allowed("a whole number above 0"))
            }
            _ => Ok(number.map(|number| number as u64)),
        }
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, DocumentError> {
        value.ok_or_else(|| {
            DocumentError::new("missing-field", "a value is missing").field(name).allowed("a number above 0")
        })
    }

    fn flag(&self, name: &str, otherwise: bool) -> Result<bool, DocumentError> {
        match self.text(name) {
            None => Ok(otherwise),
            Some(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(false),
            Some(text) => {
                let error = DocumentError::new("wrong-type", "neither yes nor no").field(name);
                Err(error.found(format!("`{text}`")).allowed("true, false"))
            }
        }
    }

    fn feed_forward(&self) -> Result<FeedForward, DocumentError> {
        let gated = self.flag("gated", true)?;
        if let Some(experts) = self.count("experts")?.filter(|experts| *experts > 1) {
            return Ok(FeedForward::Moe(Moe {
                experts,
                top_k: self.required("top_k", self.count("top_k")?)?,
                expert_size: self.required("expert_size", self.count("expert_size")?)?,
                gated,
                activation: Activation::default(),
                shared_size: self.count("shared_size")?.unwrap_or(0),
                shared_gate: false,
                normalise_top_k: false,
                router_bias: false,
            }));
        }
        let size = self.required("ffn", self.count("ffn")?)?;
        Ok(FeedForward::Dense(Mlp { size, gated, activation: Activation::default(), bias: false }))
    }

    fn architecture(&self) -> Result<Architecture, DocumentError> {
        let hidden_size = self.required("hidden_size", self.count("hidden_size")?)?;
        let heads = self.required("heads", self.count("heads")?)?;
        let head_size = match self.count("head_size")? {
            Some(size) => size,
            None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
            None => {
                let error = DocumentError::new("missing-field", "a value is missing").field("head_size");
                return Err(
                    error.hint("`hidden_size` is no multiple of `heads`, so each head's size must be said")
                );
            }
        };
        let attention = Attention {
            heads,
            kv_heads: self.count("kv_heads")?.unwrap_or(heads),
            head_size,
            window: None,
            rope: Some(Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None }),
            bias: AttentionBias::default(),
            qk_norm: QkNorm::None,
            scale: None,
            softcap: None,
            qkv_clip: None,
        };
        let repeat = self.required("layers", self.count("layers")?)?;
        Ok(Architecture {
            hidden_size,
            vocabulary_size: self.required("vocabulary_size", self.count("vocabulary_size")?)?,
            tied_embeddings: self.flag("tied_embeddings", false)?,
            embedding_size: self.count("embedding_size")?,
            layers: vec![LayerRun { repeat, attention, ffn: self.feed_forward()? }],
            positions: Positions::default(),
            norm: Norm::default(),
            norm_placement: NormPlacement::default(),
            embedding_norm: false,
            final_norm: true,
            head_bias: false,
            scales: Scales::default(),
            loops: None,
        })
    }

    fn run(&self) -> Result<TrainingRun, DocumentError> {
        let tokens = self.required("tokens", self.count("tokens")?)?;
        let loss = self.required("loss", self.number("loss", 0.0, 20.0)?)?;
        let mut run = TrainingRun::of(&self.architecture()?, tokens, loss)
            .map_err(|error| DocumentError::new("architecture", error.to_string()))?;
        if let Some(group) = self.text("group") {
            run.group = group.to_owned();
        }
        for name in self.columns.keys() {
            let Some(task) = name.strip_prefix(SCORE) else { continue };
            if let Some(score) = self.number(name, 0.0, 100.0)? {
                run.scores.insert(task.to_owned(), score);
            }
        }
        Ok(run)
    }
}
