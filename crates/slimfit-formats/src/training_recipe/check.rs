//! What no training can do: numbers out of range, and numbers that contradict each other.

use super::{FittedRange, Setting, TrainingRecipe};
use slimfit_document::{Document, DocumentError};
use std::fmt::Display;

pub(super) fn check(recipe: &TrainingRecipe, document: &Document) -> Result<(), DocumentError> {
    let checks = Checks { document };
    let TrainingRecipe { model, tokens, sequence_length, batch, steps, learning_rate, .. } = recipe;
    let parameters = &model.parameters;
    let sum = parameters.embedding.checked_add(parameters.non_embedding);
    if parameters.total == 0 || sum != Some(parameters.total) {
        return Err(checks.wrong(
            "model.parameters.total",
            parameters.total,
            "the sum of `embedding` and `non_embedding`, above 0",
        ));
    }
    checks.some("model.vocabulary_size", model.vocabulary_size)?;
    for (field, setting) in [
        ("tokens", tokens),
        ("sequence_length", sequence_length),
        ("batch.sequences", &batch.sequences),
        ("batch.tokens", &batch.tokens),
        ("steps", steps),
    ] {
        checks.said(field, setting)?;
        checks.some(&format!("{field}.value"), setting.value)?;
    }
    let in_batch = u128::from(batch.sequences.value) * u128::from(sequence_length.value);
    if u128::from(batch.tokens.value) != in_batch {
        let allowed = format!("{in_batch}: `batch.sequences` times `sequence_length`");
        return Err(checks.wrong("batch.tokens.value", batch.tokens.value, &allowed));
    }
    let needed = tokens.value.div_ceil(batch.tokens.value);
    if steps.value != needed {
        let allowed = format!("{needed}: `tokens` over `batch.tokens`, rounded up");
        return Err(checks.wrong("steps.value", steps.value, &allowed));
    }
    checks.said("learning_rate.schedule", &learning_rate.schedule)?;
    checks.positive("learning_rate.peak", &learning_rate.peak)?;
    checks.positive("learning_rate.final", &learning_rate.r#final)?;
    if learning_rate.r#final.value >= learning_rate.peak.value {
        let allowed = format!("below `learning_rate.peak`, {}", learning_rate.peak.value);
        return Err(checks.wrong("learning_rate.final.value", learning_rate.r#final.value, &allowed));
    }
    checks.said("learning_rate.warm_up_steps", &learning_rate.warm_up_steps)?;
    if learning_rate.warm_up_steps.value >= steps.value {
        let allowed = format!("fewer than `steps`, {}", steps.value);
        return Err(checks.wrong(
            "learning_rate.warm_up_steps.value",
            learning_rate.warm_up_steps.value,
            &allowed,
        ));
    }
    checks.constants(recipe)
}

/// Errors at places of the document.
struct Checks<'a> {
    document: &'a Document,
}

impl Checks<'_> {
    fn constants(&self, recipe: &TrainingRecipe) -> Result<(), DocumentError> {
        let TrainingRecipe { optimizer, initialisation, law, .. } = recipe;
        self.said("optimizer.name", &optimizer.name)?;
        for (field, beta) in [("optimizer.beta1", &optimizer.beta1), ("optimizer.beta2", &optimizer.beta2)] {
            self.said(field, beta)?;
            if !(0.0..1.0).contains(&beta.value) {
                return Err(self.wrong(&format!("{field}.value"), beta.value, "0 to below 1"));
            }
        }
        self.positive("optimizer.epsilon", &optimizer.epsilon)?;
        self.positive("optimizer.gradient_clip_norm", &optimizer.gradient_clip_norm)?;
        self.said("optimizer.weight_decay", &optimizer.weight_decay)?;
        if !(0.0..=1.0).contains(&optimizer.weight_decay.value) {
            return Err(self.wrong("optimizer.weight_decay.value", optimizer.weight_decay.value, "0 to 1"));
        }
        self.said("initialisation.scheme", &initialisation.scheme)?;
        self.said("initialisation.seed", &initialisation.seed)?;
        self.positive("initialisation.standard_deviation", &initialisation.standard_deviation)?;
        self.positive(
            "initialisation.residual_standard_deviation",
            &initialisation.residual_standard_deviation,
        )?;
        self.positive("training_flops", &recipe.training_flops)?;
        for (field, range) in [("law.parameters", &law.parameters), ("law.tokens", &law.tokens)] {
            let FittedRange { low, high, .. } = *range;
            if low > high {
                return Err(self.wrong(&format!("{field}.low"), low, &format!("at most `high`, {high}")));
            }
        }
        let extrapolated = !law.parameters.holds() || !law.tokens.holds();
        if law.extrapolated != extrapolated {
            let allowed = format!("{extrapolated}: whether a `value` lies outside its range");
            return Err(self.wrong("law.extrapolated", law.extrapolated, &allowed));
        }
        Ok(())
    }

    fn positive(&self, field: &str, setting: &Setting<f64>) -> Result<(), DocumentError> {
        self.said(field, setting)?;
        if setting.value.is_finite() && setting.value > 0.0 {
            return Ok(());
        }
        Err(self.wrong(&format!("{field}.value"), setting.value, "a number above 0"))
    }

    fn some(&self, field: &str, value: u64) -> Result<(), DocumentError> {
        if value > 0 { Ok(()) } else { Err(self.wrong(field, value, "1 or more")) }
    }

    /// A number without a word on where it comes from is what these files exist to avoid.
    fn said<T>(&self, field: &str, setting: &Setting<T>) -> Result<(), DocumentError> {
        if !setting.citation.trim().is_empty() {
            return Ok(());
        }
        Err(self.wrong(&format!("{field}.citation"), "nothing", "where the value comes from"))
    }

    fn wrong(&self, field: &str, found: impl Display, allowed: &str) -> DocumentError {
        let error = self.document.error_at(field, "no training can be like this");
        error.code("training-recipe").found(found).allowed(allowed)
    }
}
