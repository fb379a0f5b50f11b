//! How to train a model: every number by a published law or setting, with where it comes from.
//!
//! Learning rate and batch follow the Step Law (`step_law.rs`), the constants around them are those of the suite that
//! continues it, the initial weights are Megatron's. Outside the range of the law its values are still given, as `modelled`,
//! and flagged: they are the best guess there is, and no more.

mod flags;
mod step_law;
#[cfg(test)]
mod tests;

use crate::EmitError;
use slimfit_arch::{Architecture, FeedForward, Positions};
use slimfit_document::DocumentError;
use slimfit_formats::training_recipe::{
    Batch, FittedRange, HyperparameterLaw, Initialisation, InitialisationScheme, LearningRate, Optimizer,
    OptimizerName, Schedule, Setting, TRAINING_RECIPE_SCHEMA, TrainedModel, TrainingRecipe,
};
use slimfit_quality::{Recipe, TrainingPlan};

/// Settings of the runs: Farseer is part II of the Step Law, by the same authors on the same set-up.
const FARSEER: &str = "Farseer: Li et al. 2025, Predictable Scale: Part II, arXiv 2506.10972, section 2.2; same set-up as the Step Law";
const FINAL: &str =
    "Step Law, arXiv 2503.04715v7, section 3.3.2: a fixed final rate instead of a tenth of the peak";
const MEGATRON: &str = "Megatron-LM: Shoeybi et al. 2019, arXiv 1909.08053, section 4.2, after GPT-2: \
                        0.02, over sqrt(2 layers) before residual sums";

/// The final learning rate of the runs that the law was fitted on.
const FINAL_LEARNING_RATE: f64 = 1e-5;
/// Their warm-up.
const WARM_UP_STEPS: u64 = 2000;
/// What part of a short training the warm-up takes at most: ours.
const WARM_UP_SHARE: u64 = 4;
/// The standard deviation of initial matrices.
const STANDARD_DEVIATION: f64 = 0.02;

/// What is to be trained, on how much, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct TrainingRequest<'a> {
    /// The model's name in the file.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What it is; validated.
    pub architecture: &'a Architecture,
    /// The quality recipe whose tokenizer `tokens` counts: the text is what models share.
    pub recipe: &'a Recipe,
    /// Tokens of that tokenizer.
    pub tokens: u64,
    /// Tokens of a training sequence.
    pub sequence_length: u64,
    /// Seed of the initial weights and the order of the data.
    pub seed: u64,
}

/// The training recipe of a model.
///
/// # Errors
/// When the text is shorter than one sequence, or the operations leave 64 bits.
pub fn training_recipe(request: &TrainingRequest<'_>) -> Result<TrainingRecipe, EmitError> {
    let TrainingRequest { architecture, recipe, .. } = *request;
    let parameters = architecture.parameters();
    let own = recipe.own_tokens(request.tokens, architecture.vocabulary_size);
    let tokens = own.round() as u64;
    let sequence_length = sequence_length(request);
    if tokens < sequence_length.value {
        let error = DocumentError::new("too-few-tokens", "the training is shorter than one sequence");
        let error = error.field("--tokens").found(format!("{tokens} tokens of this vocabulary"));
        return Err(error.allowed(format!("{} or more", sequence_length.value)).into());
    }
    let law = law(architecture, tokens);
    let flags = flags::Flags::of(request, &law, sequence_length.value);
    let batch = batch(&law, sequence_length.value);
    let steps = tokens.div_ceil(batch.tokens.value);
    let plan = TrainingPlan { context_tokens: sequence_length.value, rate: None };
    let flops = plan.cost(recipe, architecture, request.tokens)?.flops;
    let learning_rate = learning_rate(&law, architecture, steps);
    let flags = flags.finish(&learning_rate);
    let layers = architecture.execution_order().len() as f64;
    Ok(TrainingRecipe {
        schema: TRAINING_RECIPE_SCHEMA.to_owned(),
        model: TrainedModel {
            name: request.name.to_owned(),
            id: request.id.to_owned(),
            parameters,
            vocabulary_size: architecture.vocabulary_size,
        },
        tokens: Setting::given(tokens, tokens_origin(request)),
        steps: Setting::modelled(steps, "tokens over the tokens of a batch, rounded up"),
        sequence_length,
        batch,
        learning_rate,
        optimizer: optimizer(),
        initialisation: Initialisation {
            scheme: Setting::published(InitialisationScheme::DepthScaledNormal, MEGATRON),
            standard_deviation: Setting::published(STANDARD_DEVIATION, MEGATRON),
            residual_standard_deviation: Setting::published(
                STANDARD_DEVIATION / (2.0 * layers).sqrt(),
                MEGATRON,
            ),
            seed: Setting::given(request.seed, "chosen when the files were written"),
        },
        training_flops: Setting::modelled(
            flops,
            "counted on the architecture: 3 forward passes a token, output head and causal attention included; \
             no recomputation, no optimiser",
        ),
        law,
        flags,
    })
}

fn tokens_origin(request: &TrainingRequest<'_>) -> String {
    let (tokens, recipe) = (request.tokens, request.recipe);
    let chosen = format!("{tokens} tokens of the quality recipe `{}`", recipe.name);
    if recipe.vocabulary_size == request.architecture.vocabulary_size {
        return chosen;
    }
    format!(
        "{chosen}, whose vocabulary is {}: the same bytes of text in this vocabulary",
        recipe.vocabulary_size
    )
}

fn sequence_length(request: &TrainingRequest<'_>) -> Setting<u64> {
    let wanted = request.sequence_length;
    if let Positions::Learned { context, .. } = request.architecture.positions
        && context < wanted
    {
        return Setting::modelled(context, format!("the {context} positions that the model learns"));
    }
    if wanted == step_law::SEQUENCE_LENGTH {
        Setting::published(wanted, FARSEER)
    } else {
        Setting::given(wanted, "the sequences that the study counts trainings with")
    }
}

/// The law at this model, mixtures by all of their experts.
fn law(architecture: &Architecture, tokens: u64) -> HyperparameterLaw {
    let mixture = architecture.layers.iter().any(|run| matches!(run.ffn, FeedForward::Moe(_)));
    let parameters = FittedRange {
        value: architecture.parameters().non_embedding,
        low: step_law::LEAST_PARAMETERS,
        high: if mixture { step_law::MOST_PARAMETERS_OF_MIXTURES } else { step_law::MOST_PARAMETERS },
    };
    let tokens = FittedRange { value: tokens, low: step_law::LEAST_TOKENS, high: step_law::MOST_TOKENS };
    HyperparameterLaw {
        name: "Step Law".to_owned(),
        citation: step_law::CITATION.to_owned(),
        peak_learning_rate: step_law::PEAK_LEARNING_RATE.to_owned(),
        batch_tokens: step_law::BATCH_TOKENS.to_owned(),
        extrapolated: !parameters.holds() || !tokens.holds(),
        parameters,
        tokens,
    }
}

fn batch(law: &HyperparameterLaw, sequence_length: u64) -> Batch {
    let wanted = step_law::batch_tokens(law.tokens.value as f64);
    let sequences = ((wanted / sequence_length as f64).round() as u64).max(1);
    let citation = format!("{}: {}, to whole sequences", step_law::CITATION, step_law::BATCH_TOKENS);
    if law.tokens.holds() {
        return Batch {
            tokens: Setting::published(sequences * sequence_length, citation.as_str()),
            sequences: Setting::published(sequences, citation),
        };
    }
    let citation = format!("extrapolated from the {citation}");
    Batch {
        tokens: Setting::modelled(sequences * sequence_length, citation.as_str()),
        sequences: Setting::modelled(sequences, citation),
    }
}

fn learning_rate(law: &HyperparameterLaw, architecture: &Architecture, steps: u64) -> LearningRate {
    let wanted = step_law::peak_learning_rate(law.parameters.value as f64, law.tokens.value as f64);
    let citation = format!("{}: {}", step_law::CITATION, step_law::PEAK_LEARNING_RATE);
    let peak = if wanted > step_law::HIGHEST_TRIED {
        let capped = format!(
            "the highest rate of the grids that the law was fitted on; {citation} would give {wanted:.3e}"
        );
        Setting::modelled(step_law::HIGHEST_TRIED, capped)
    } else if law.extrapolated {
        Setting::modelled(wanted, format!("extrapolated from the {citation}"))
    } else if architecture.loops.is_some_and(|loops| loops.count > 1) {
        Setting::modelled(wanted, format!("{citation}; the law knows no looped layers"))
    } else {
        Setting::published(wanted, citation)
    };
    let tenth = peak.value / 10.0;
    let last = if tenth < FINAL_LEARNING_RATE {
        Setting::modelled(tenth, "a tenth of the peak, which is lower than the published final rate")
    } else {
        Setting::published(FINAL_LEARNING_RATE, FINAL)
    };
    let longest = steps / WARM_UP_SHARE;
    let warm_up_steps = if WARM_UP_STEPS <= longest {
        Setting::published(WARM_UP_STEPS, FARSEER)
    } else {
        let citation = format!("a quarter of the steps; {FARSEER} has {WARM_UP_STEPS} in longer trainings");
        Setting::modelled(longest, citation)
    };
    LearningRate {
        peak,
        r#final: last,
        schedule: Setting::published(Schedule::Cosine, FARSEER),
        warm_up_steps,
    }
}

fn optimizer() -> Optimizer {
    Optimizer {
        name: Setting::published(OptimizerName::Adamw, FARSEER),
        beta1: Setting::published(0.9, FARSEER),
        beta2: Setting::published(0.95, FARSEER),
        epsilon: Setting::published(1e-8, FARSEER),
        weight_decay: Setting::published(0.1, FARSEER),
        gradient_clip_norm: Setting::published(1.0, FARSEER),
    }
}
