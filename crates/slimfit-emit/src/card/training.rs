//! How to train the model, from its recipe.

use super::numbers::flops;
use super::{Card, text};
use slimfit_formats::training_recipe::{Setting, TrainingRecipe};
use slimfit_quantity::{format_count, format_integer};

pub(super) fn section(card: &Card<'_>) -> String {
    let recipe = card.training;
    let (rows, citations) = rows(recipe);
    let mut section = format!(
        "## How to train\n\n`training.yaml` holds these settings for a trainer.\n\n{}\n",
        text::table(&["", "Setting", "Source"], &rows)
    );
    for (number, citation) in (1..).zip(&citations) {
        section.push_str(&format!("{number}. {}\n", text::sentence(citation)));
    }
    if !recipe.flags.is_empty() {
        section.push_str("\nBefore relying on them:\n\n");
    }
    for flag in &recipe.flags {
        section.push_str(&format!(
            "- **{}**: {}\n",
            text::markdown(&flag.code),
            text::sentence(&flag.message)
        ));
    }
    section
}

/// Rows whose last cell is a source with the number of its citation, and the citations, each once.
fn rows(recipe: &TrainingRecipe) -> (Vec<Vec<String>>, Vec<String>) {
    let mut rows = Rows::default();
    let rate = &recipe.learning_rate;
    rows.add("Tokens", format_count(recipe.tokens.value as f64), &recipe.tokens);
    rows.add("Sequence", format!("{} tokens", recipe.sequence_length.value), &recipe.sequence_length);
    let batch = &recipe.batch;
    let words = format!(
        "{} tokens: {} sequences",
        format_integer(batch.tokens.value),
        format_integer(batch.sequences.value)
    );
    rows.add("Batch", words, &batch.tokens);
    rows.add("Steps", format_integer(recipe.steps.value), &recipe.steps);
    rows.add("Peak learning rate", format!("{:.3e}", rate.peak.value), &rate.peak);
    let warm_up = format!("{} steps, linear", format_integer(rate.warm_up_steps.value));
    rows.add("Warm-up", warm_up, &rate.warm_up_steps);
    rows.add("Schedule", format!("cosine to {:e}", rate.r#final.value), &rate.r#final);
    let optimizer = &recipe.optimizer;
    let words = format!(
        "AdamW, β {} and {}, ε {:e}",
        optimizer.beta1.value, optimizer.beta2.value, optimizer.epsilon.value
    );
    rows.add("Optimiser", words, &optimizer.name);
    let words = format!(
        "{}; gradients clipped to {}",
        optimizer.weight_decay.value, optimizer.gradient_clip_norm.value
    );
    rows.add("Weight decay", words, &optimizer.weight_decay);
    let initial = &recipe.initialisation;
    let words = format!(
        "normal, σ {}; {:.2e} before residual sums; seed {}",
        initial.standard_deviation.value, initial.residual_standard_deviation.value, initial.seed.value
    );
    rows.add("Initial weights", words, &initial.scheme);
    rows.add("Operations", flops(recipe.training_flops.value), &recipe.training_flops);
    (rows.rows, rows.citations)
}

#[derive(Default)]
struct Rows {
    rows: Vec<Vec<String>>,
    citations: Vec<String>,
}

impl Rows {
    fn add<T>(&mut self, label: &str, words: String, setting: &Setting<T>) {
        let known = self.citations.iter().position(|citation| *citation == setting.citation);
        let place = known.unwrap_or_else(|| {
            self.citations.push(setting.citation.clone());
            self.citations.len() - 1
        });
        let source = format!("{} ({})", setting.source.name(), place + 1);
        self.rows.push(vec![label.to_owned(), words, source]);
    }
}
