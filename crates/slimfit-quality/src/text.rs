//! Text, not tokens: how many bytes of text one token stands for.

use crate::recipe::Text;

/// A workload's text. Tokens follow from the vocabulary that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadText {
    /// Bytes of the prompt.
    pub prompt_bytes: u64,
    /// Bytes of the answer.
    pub generated_bytes: u64,
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
