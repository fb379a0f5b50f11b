//! What is asked of every model: recipe, training, formats, workload, anchors and assumptions.

use crate::failure::Failure;
use slimfit_arch::Architecture;
use slimfit_document::DocumentError;
use slimfit_formats::{LoadedModel, load_model};
use slimfit_quality::{
    Anchor, AnchorModel, Assumption, QualityEstimate, QualityModel, TokenizedText, WorkloadText,
};
use slimfit_quantity::{NumberFormat, Predicted};
use slimfit_search::Workload;
use std::collections::HashMap;

/// Arguments that hold for every model.
#[derive(Debug, clap::Args)]
pub struct QuestionArguments {
    /// A built-in quality recipe or a file: `gemstones` ranks shapes, `published` compares with the first Open LLM
    /// Leaderboard.
    #[arg(long, default_value = "gemstones")]
    recipe: String,
    /// Training tokens, in the recipe's tokenizer: `100B`, `1T`; of a built-in model, what it was trained on unless said.
    #[arg(long, value_parser = slimfit_quantity::parse_count)]
    tokens: Option<u64>,
    /// Format of the weights.
    #[arg(long, default_value = "bf16")]
    weights: NumberFormat,
    /// Format of the KV cache.
    #[arg(long, default_value = "f16")]
    kv: NumberFormat,
    /// A built-in workload or a file: what windows must cover; `assistant` unless said.
    #[arg(long, conflicts_with_all = ["prompt_bytes", "generated_bytes"])]
    workload: Option<String>,
    /// Bytes of the prompt, instead of a workload.
    #[arg(long, value_name = "SIZE", requires = "generated_bytes", value_parser = slimfit_quantity::parse_bytes)]
    prompt_bytes: Option<u64>,
    /// Bytes of the answer.
    #[arg(long, value_name = "SIZE", requires = "prompt_bytes", value_parser = slimfit_quantity::parse_bytes)]
    generated_bytes: Option<u64>,
    /// A sibling of known score: `smollm2-360m@4T=hellaswag:54.5`; may be repeated. Its training tokens can be left out
    /// where the built-in model knows them. The score must be one of the recipe's setting.
    #[arg(long, value_name = "MODEL[@TOKENS]=TASK:SCORE")]
    anchor: Vec<String>,
    /// Let in what rests on a single ablation: `loops`, `mqa`, `vocab`.
    #[arg(long, value_delimiter = ',')]
    assume: Vec<String>,
}

/// The same, read, with the models of quality that were needed so far.
pub struct Question {
    recipe: String,
    pub tokens: Option<u64>,
    pub weights: NumberFormat,
    pub kv: NumberFormat,
    pub text: WorkloadText,
    anchors: Vec<Anchor>,
    assume: Vec<Assumption>,
    models: HashMap<String, QualityModel>,
}

/// One model to value.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub name: Option<String>,
    pub architecture: Architecture,
    pub recipe: Option<String>,
    pub tokens: u64,
    pub weights: NumberFormat,
    pub kv: NumberFormat,
    /// Measured with its own tokenizer.
    pub bytes_per_token: Option<f64>,
}

/// A model with its estimate and what valued it.
pub struct Valued {
    pub candidate: Candidate,
    pub text: WorkloadText,
    pub model: QualityModel,
    pub estimate: QualityEstimate,
}

impl QuestionArguments {
    /// Reads everything but other recipes that rows may name.
    pub fn read(&self) -> Result<Question, Failure> {
        let text = match (self.prompt_bytes, self.generated_bytes) {
            (Some(prompt_bytes), Some(generated_bytes)) => WorkloadText::new(prompt_bytes, generated_bytes),
            _ => Workload::load(self.workload.as_deref().unwrap_or("assistant"))?.bytes(),
        };
        let assume = self.assume.iter().map(|name| Assumption::named(name));
        let anchors = self.anchor.iter().map(|text| Anchor::parse(text, anchor_model));
        let mut question = Question {
            recipe: self.recipe.clone(),
            tokens: self.tokens,
            weights: self.weights,
            kv: self.kv,
            text,
            assume: assume.collect::<Result<_, _>>()?,
            anchors: anchors.collect::<Result<_, Failure>>()?,
            models: HashMap::new(),
        };
        let recipe = question.recipe.clone();
        question.model(&recipe)?;
        Ok(question)
    }
}

/// Finds an anchor's model; built-in ones know their training.
fn anchor_model(reference: &str) -> Result<AnchorModel, Failure> {
    let found = load_model(reference).map_err(|error| error.into_document().field("--anchor"))?;
    Ok(AnchorModel { tokens: trained_on(&found), architecture: found.architecture })
}

/// Tokens that a model was trained on, where it is built in and they were published.
pub fn trained_on(model: &LoadedModel) -> Option<u64> {
    model.published.and_then(|published| published.tokens)
}

impl Question {
    /// The model of quality of a recipe, anchored.
    fn model(&mut self, recipe: &str) -> Result<&QualityModel, Failure> {
        if !self.models.contains_key(recipe) {
            let model = QualityModel::new(super::recipe(recipe)?.0).anchored(&self.anchors)?;
            self.models.insert(recipe.to_owned(), model);
        }
        Ok(&self.models[recipe])
    }

    /// Values one model.
    pub fn value(&mut self, candidate: Candidate) -> Result<Valued, Failure> {
        let recipe = candidate.recipe.clone().unwrap_or_else(|| self.recipe.clone());
        let model = self.model(&recipe)?.clone();
        let mut text = self.text;
        if let Some(value) = candidate.bytes_per_token {
            text = text.tokenized(TokenizedText {
                vocabulary_size: candidate.architecture.vocabulary_size,
                bytes_per_token: Predicted { value, low: value, high: value },
            });
        }
        let Candidate { architecture, weights, kv, tokens, .. } = &candidate;
        let estimate = model.estimate(architecture, *weights, *kv, *tokens, &text)?;
        estimate.allow(&self.assume)?;
        Ok(Valued { text, candidate, model, estimate })
    }
}

/// Bytes per token as a user gives them: at least a byte, and no more than any tokenizer makes.
pub fn bytes_per_token(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value| (1.0..=64.0).contains(value))
}

/// What the training of a model must say.
pub fn no_tokens() -> DocumentError {
    DocumentError::new("missing-tokens", "how long the model trains is not known")
        .field("tokens")
        .hint("`--tokens 100B` says it, in the recipe's tokenizer")
}
