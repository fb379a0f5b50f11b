//! What it takes to train a model: operations, and with a device's rate time and money.
//!
//! Operations are counted on the architecture, not by a rule of thumb. One training token costs three forward passes of
//! it (the backward pass has a product with the weights and one with the activations for each of the forward pass), and
//! a forward pass is every matrix product that the token visits, the output head, and causal attention over a training
//! sequence:
//!
//! ```text
//! training_flops = 3 · forward_flops(context) / context · own_tokens
//!                = 6 · (weights visited, loops as often as they run) · own_tokens          products, head included
//!                + 12 · heads · head_size · (mean keys that a query sees) · own_tokens      per layer: attention
//! own_tokens     = tokens · bytes_per_token(recipe's vocabulary) / bytes_per_token(own vocabulary)
//! ```
//!
//! Embedding look-ups, norms and non-linearities are left out, as are recomputed activations and the optimiser. The
//! text is what candidates share, so a vocabulary with more bytes per token trains on fewer tokens.

use crate::recipe::Recipe;
use slimfit_arch::{Architecture, ArchitectureError};

/// Tokens of a training sequence unless said otherwise: a usual length for small models. Attention grows with it.
pub const TRAINING_CONTEXT: u64 = 2048;

/// How a training is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingPlan {
    /// Tokens of a training sequence.
    pub context_tokens: u64,
    /// What it runs on, where the user said so.
    pub rate: Option<TrainingRate>,
}

/// What a training runs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingRate {
    /// Operations per second that all accelerators sustain together, above 0.
    pub flops_per_s: f64,
    /// How many accelerators that is, at least 1.
    pub gpus: u64,
    /// Price of an hour of one of them, above 0, in the user's currency.
    pub price_per_gpu_hour: Option<f64>,
}

/// What the training of one model takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingCost {
    /// Operations; a multiply-add counts 2.
    pub flops: f64,
    /// Seconds at the given rate.
    pub seconds: Option<f64>,
    /// Money at the given rate and price, in the user's currency.
    pub money: Option<f64>,
}

impl Default for TrainingPlan {
    fn default() -> Self {
        Self { context_tokens: TRAINING_CONTEXT, rate: None }
    }
}

impl TrainingPlan {
    /// What it takes to train `architecture` on the text of `tokens` tokens of the recipe's tokenizer.
    ///
    /// # Errors
    /// When the context is 0, or the operations of one sequence leave 64 bits.
    pub fn cost(
        &self,
        recipe: &Recipe,
        architecture: &Architecture,
        tokens: u64,
    ) -> Result<TrainingCost, ArchitectureError> {
        let forward = architecture.forward_flops(self.context_tokens)?;
        Ok(self.cost_of_forward(recipe, forward, architecture.vocabulary_size, tokens))
    }

    /// The same, told what a forward pass over one training sequence takes.
    pub fn cost_of_forward(
        &self,
        recipe: &Recipe,
        forward_flops: u64,
        vocabulary: u64,
        tokens: u64,
    ) -> TrainingCost {
        let forward = forward_flops as f64 / self.context_tokens as f64;
        let flops = 3.0 * forward * recipe.own_tokens(tokens, vocabulary);
        let seconds = self.rate.map(|rate| flops / rate.flops_per_s);
        let money = self
            .rate
            .zip(seconds)
            .and_then(|(rate, seconds)| Some(seconds / 3600.0 * rate.gpus as f64 * rate.price_per_gpu_hour?));
        TrainingCost { flops, seconds, money }
    }
}

impl Recipe {
    /// Tokens that `tokens` tokens of the recipe's tokenizer are in another vocabulary: the same bytes of text.
    pub fn own_tokens(&self, tokens: u64, vocabulary: u64) -> f64 {
        let bytes = |vocabulary| self.text.bytes_per_token(vocabulary);
        tokens as f64 * bytes(self.vocabulary_size) / bytes(vocabulary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_document::Document;

    const TOKENS: u64 = 100_000_000_000;

    fn architecture(vocabulary: u64, more: &str) -> Architecture {
        let text = format!(
            "{{hidden_size: 576, vocabulary_size: {vocabulary}, tied_embeddings: true, {more}layers: [{{repeat: 30,
              attention: {{heads: 9, kv_heads: 3, head_size: 64, rope: {{base: 10000}}}},
              ffn: {{kind: dense, size: 1536}}}}]}}"
        );
        Document::from_str(&text, "test.yaml").unwrap().parse().unwrap()
    }

    fn cost(plan: TrainingPlan, architecture: &Architecture) -> TrainingCost {
        plan.cost(&Recipe::builtin("gemstones").unwrap(), architecture, TOKENS).unwrap()
    }

    #[test]
    fn six_operations_a_visited_weight_and_token_and_the_attention_beside() {
        let small = architecture(50_304, "");
        // Without norms: 30 layers of 2·576² + 2·576·192 + 3·576·1536, and the head.
        let weights = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536) + 50_304 * 576_u64;
        let products = 6.0 * weights as f64 * TOKENS as f64;
        // A query of a sequence of 2048 sees 1024.5 keys on average.
        let attention = 30.0 * 12.0 * 576.0 * 1024.5 * TOKENS as f64;
        let found = cost(TrainingPlan::default(), &small).flops;
        assert!((found / (products + attention) - 1.0).abs() < 1e-12, "{found} {products} {attention}");
    }

    #[test]
    fn loops_are_paid_as_often_as_they_run() {
        let plan = TrainingPlan { context_tokens: 1, rate: None };
        let once = cost(plan, &architecture(50_304, "")).flops;
        let twice = cost(plan, &architecture(50_304, "loops: {first: 0, layers: 30, count: 2}, ")).flops;
        let head = 6.0 * 50_304.0 * 576.0 * TOKENS as f64;
        assert!(((twice - head) / (once - head) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_larger_vocabulary_reads_the_same_text_in_fewer_tokens() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        assert_eq!(recipe.own_tokens(TOKENS, 50_304), TOKENS as f64);
        let bytes =
            |vocabulary| recipe.own_tokens(TOKENS, vocabulary) * recipe.text.bytes_per_token(vocabulary);
        assert!((bytes(96_256) / bytes(8192) - 1.0).abs() < 1e-12);
        assert!(recipe.own_tokens(TOKENS, 96_256) < TOKENS as f64);
    }

    #[test]
    fn time_and_money_follow_from_rate_and_price_and_are_absent_without() {
        let small = architecture(50_304, "");
        let plain = cost(TrainingPlan::default(), &small);
        assert_eq!((plain.seconds, plain.money), (None, None));
        let mut rate = TrainingRate { flops_per_s: 1e15, gpus: 4, price_per_gpu_hour: None };
        let plan = |rate| TrainingPlan { rate: Some(rate), ..TrainingPlan::default() };
        let timed = cost(plan(rate), &small);
        assert_eq!((timed.seconds, timed.money), (Some(plain.flops / 1e15), None));
        rate.price_per_gpu_hour = Some(2.5);
        let priced = cost(plan(rate), &small).money.unwrap();
        assert!((priced / (plain.flops / 1e15 / 3600.0 * 4.0 * 2.5) - 1.0).abs() < 1e-12);
        let none = TrainingPlan { context_tokens: 0, rate: None };
        assert!(none.cost(&Recipe::builtin("gemstones").unwrap(), &small, TOKENS).is_err());
    }
}
