//! What a model is used for: bytes of text in and out.

use crate::SearchError;
use serde::Deserialize;
use slimfit_cost::RunShape;
use slimfit_document::{Document, suggestion};
use slimfit_quality::{Law, TokenizedText, WorkloadText};
use slimfit_quantity::Predicted;
use std::path::Path;

/// The schema name that workload files carry.
pub const WORKLOAD_SCHEMA: &str = "slimfit/workload/v1";

const BUILTIN: [(&str, &str); 4] = [
    ("voice-command", include_str!("../../../search-spaces/workloads/voice-command.yaml")),
    ("assistant", include_str!("../../../search-spaces/workloads/assistant.yaml")),
    ("control-loop", include_str!("../../../search-spaces/workloads/control-loop.yaml")),
    ("summary", include_str!("../../../search-spaces/workloads/summary.yaml")),
];

/// A workload file, as it is written. Tokens follow from each candidate's vocabulary.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    schema: String,
    /// Its name.
    pub name: String,
    /// What a user does.
    pub description: String,
    /// Bytes of the prompt.
    pub prompt_bytes: u64,
    /// Bytes of the answer.
    pub generated_bytes: u64,
    /// Bytes of text in the cache when the answer begins; absent: the prompt.
    #[serde(default)]
    pub depth_bytes: Option<u64>,
    /// What a tokenizer makes of such text; absent: what the recipe's table says.
    #[serde(default)]
    pub tokenizer: Option<TokenizerText>,
    #[serde(skip)]
    text: String,
}

/// Bytes per token as `slimfit quality tokens` measures them on the user's own text.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerText {
    /// Rows of the tokenizer's vocabulary.
    pub vocabulary_size: u64,
    /// Bytes of text for each token.
    pub bytes_per_token: f64,
}

impl Workload {
    /// Names of the built-in workloads.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// A built-in workload, or a file where `reference` is no built-in name.
    ///
    /// # Errors
    /// When the name is neither, or the file is no valid workload.
    pub fn load(reference: &str) -> Result<Self, SearchError> {
        if let Some((_, text)) = BUILTIN.iter().find(|(known, _)| *known == reference) {
            let origin = format!("search-spaces/workloads/{reference}.yaml");
            return Self::from_document(&Document::from_str(text, &origin)?);
        }
        let looks_like_a_name = !reference.contains(['/', '\\', '.']);
        if looks_like_a_name && !Path::new(reference).exists() {
            return Err(SearchError::Unknown {
                kind: "workload",
                found: reference.to_owned(),
                allowed: Self::builtin_names().collect::<Vec<_>>().join(", "),
                hint: suggestion(reference, Self::builtin_names()),
            });
        }
        Self::from_document(&Document::read(reference)?)
    }

    /// A workload of nothing but bytes of text in and out; `depth_bytes`: in the cache when the answer begins, the prompt
    /// unless said.
    ///
    /// # Errors
    /// When there are none of them, or too many.
    pub fn of_bytes(
        prompt_bytes: u64,
        generated_bytes: u64,
        depth_bytes: Option<u64>,
    ) -> Result<Self, SearchError> {
        let (at, depth) = depth_bytes.map_or_else(Default::default, |bytes| {
            (format!("-at-{bytes}"), format!("depth_bytes: {bytes}\n"))
        });
        let text = format!(
            "schema: {WORKLOAD_SCHEMA}\nname: {prompt_bytes}-in-{generated_bytes}-out{at}\ndescription: Bytes of text in and out, \
             as a command line gave them.\nprompt_bytes: {prompt_bytes}\ngenerated_bytes: {generated_bytes}\n{depth}"
        );
        Self::from_document(&Document::from_str(&text, "the command line")?)
    }

    /// Reads a workload file.
    ///
    /// # Errors
    /// What the document says that no workload can say, with its place.
    pub fn from_document(document: &Document) -> Result<Self, SearchError> {
        /// The longest text: 64 MiB.
        const MOST: u64 = 64 << 20;
        document.schema(&[WORKLOAD_SCHEMA])?;
        let mut workload: Self = document.parse()?;
        let lengths = [
            ("prompt_bytes", Some(workload.prompt_bytes)),
            ("generated_bytes", Some(workload.generated_bytes)),
            ("depth_bytes", workload.depth_bytes),
        ];
        for (field, bytes) in lengths {
            if let Some(bytes) = bytes
                && !(1..=MOST).contains(&bytes)
            {
                let error = document.error_at(field, "out of range").found(bytes);
                return Err(error.allowed(format!("1 to {MOST} bytes")).into());
            }
        }
        if let Some(tokenizer) = workload.tokenizer {
            if !(256..=300_000).contains(&tokenizer.vocabulary_size) {
                let error = document.error_at("tokenizer.vocabulary_size", "out of range");
                return Err(error.found(tokenizer.vocabulary_size).allowed("256 to 300000").into());
            }
            if !(1.0..=64.0).contains(&tokenizer.bytes_per_token) {
                let error = document.error_at("tokenizer.bytes_per_token", "out of range");
                let error = error.found(tokenizer.bytes_per_token).allowed("1 to 64");
                return Err(error.hint("`slimfit quality tokens` measures it").into());
            }
        }
        document.text().clone_into(&mut workload.text);
        Ok(workload)
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the quality model asks of it.
    pub fn bytes(&self) -> WorkloadText {
        let text = WorkloadText::new(self.prompt_bytes, self.generated_bytes);
        let Some(TokenizerText { vocabulary_size, bytes_per_token: value }) = self.tokenizer else {
            return text;
        };
        let bytes_per_token = Predicted { value, low: value, high: value };
        text.tokenized(TokenizedText { vocabulary_size, bytes_per_token })
    }

    /// Its tokens for a vocabulary.
    pub fn run_shape(&self, law: &Law, vocabulary: u64) -> RunShape {
        let (prompt_tokens, generated_tokens) = law.workload_tokens(vocabulary);
        let depth_tokens = match self.depth_bytes {
            Some(bytes) => law.text_tokens(vocabulary, bytes),
            None => prompt_tokens,
        };
        RunShape { prompt_tokens, generated_tokens, depth_tokens }
    }
}
