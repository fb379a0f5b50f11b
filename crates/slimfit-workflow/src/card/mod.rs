//! What a model card says of a model: figures of a study, or predictions of a model that no study holds, and how to train
//! it. The card itself is worded in `slimfit-emit`.

mod of_model;
mod of_study;
#[cfg(test)]
mod tests;

pub use of_model::{ModelFacts, describe_model};
pub use of_study::StudyFacts;

use slimfit_cost::RunShape;
use slimfit_emit::card::{CardFacts, PredictedFigure, UseTokens};
use slimfit_formats::TrainingRecipe;
use slimfit_quantity::Figure;

/// What a card says, and the recipe that it shows.
#[derive(Debug, Clone)]
pub struct Described {
    /// What the model is worth and costs.
    pub facts: CardFacts,
    /// How to train it.
    pub training: TrainingRecipe,
}

/// What a reader looks for first: a card has a line for each, even where there is no figure.
const BASIC: [&str; 5] = ["loss", "ttft_seconds", "tpot_seconds", "memory_bytes", "joules_per_token"];

/// A line for each of the basic quantities that `predicted` lacks.
fn with_missing(
    mut predicted: Vec<PredictedFigure>,
    reason: impl Fn(&str) -> String,
) -> Vec<PredictedFigure> {
    for name in BASIC {
        let quantity = |known: &PredictedFigure| known.name.split('@').next() == Some(name);
        // Where vocabularies differ the loss is counted per byte of text.
        let per_byte = name == "loss" && predicted.iter().any(|known| known.name == "loss_per_byte");
        if !per_byte && !predicted.iter().any(quantity) {
            let figure = Figure::unavailable(reason(name));
            predicted.push(PredictedFigure { name: name.to_owned(), figure });
        }
    }
    predicted
}

fn use_tokens(run: RunShape) -> UseTokens {
    UseTokens { prompt: run.prompt_tokens, generated: run.generated_tokens, depth: run.depth_tokens }
}

fn workload_words(name: &str, run: RunShape) -> String {
    format!(
        "`{name}`: a prompt of {} tokens, an answer of {} at a depth of {}",
        run.prompt_tokens, run.generated_tokens, run.depth_tokens
    )
}
