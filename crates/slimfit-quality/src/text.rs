//! Text, not tokens: how many bytes of text one token stands for.

use crate::recipe::Text;
use slimfit_quantity::Predicted;

/// A workload's text. Tokens follow from the vocabulary that reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkloadText {
    /// Bytes of the prompt.
    pub prompt_bytes: u64,
    /// Bytes of the answer.
    pub generated_bytes: u64,
    /// What a tokenizer made of such text; none: what the recipe's table says of text like its own.
    pub tokenized: Option<TokenizedText>,
}

/// What one tokenizer makes of a text.
///
/// The recipe's table is scaled to go through it, so that other vocabularies follow. It decides tokens, and with them times
/// and what windows cut; the loss per byte stays the recipe's, since its loss was counted in its own text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenizedText {
    /// The tokenizer's vocabulary.
    pub vocabulary_size: u64,
    /// Bytes of text for each token, with the 90 % interval.
    pub bytes_per_token: Predicted,
}

impl WorkloadText {
    /// Text whose bytes per token are the recipe's.
    pub const fn new(prompt_bytes: u64, generated_bytes: u64) -> Self {
        Self { prompt_bytes, generated_bytes, tokenized: None }
    }

    /// The same as one tokenizer reads it.
    #[must_use]
    pub const fn tokenized(self, tokenized: TokenizedText) -> Self {
        Self { tokenized: Some(tokenized), ..self }
    }
}

impl TokenizedText {
    /// How many times the table's bytes stand in one token, and the relative standard deviation of that.
    pub(crate) fn scale(&self, table: &Text) -> (f64, f64) {
        let Predicted { value, low, high } = self.bytes_per_token;
        (value / table.bytes_per_token(self.vocabulary_size), (high - low) / (2.0 * crate::Z90 * value))
    }
}

impl Text {
    /// Bytes per token of a vocabulary: linear in ln V between the knots, and along the outer segments beyond them.
    pub fn bytes_per_token(&self, vocabulary: u64) -> f64 {
        let position = (vocabulary.max(1) as f64).ln();
        let last = self.knots.len() - 2;
        let segment = (0..last).find(|&index| position <= self.knots[index + 1][0].ln()).unwrap_or(last);
        let ([left, low], [right, high]) = (self.knots[segment], self.knots[segment + 1]);
        let slope = (high - low) / (right.ln() - left.ln());
        // A vocabulary of single bytes is the floor.
        (low + slope * (position - left.ln())).max(1.0)
    }
}
