//! One operation of a plan, bound to slots and buffers, and the shape a plan is run with.

use crate::Buffer;
use slimfit_kernels::Operation;

/// Which token rows of a step an operation works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRows {
    /// Every token.
    All,
    /// The last one only: its row of the input becomes row 0 of the output.
    Last,
    /// Row 0 of buffers that hold one row from here on.
    First,
}

/// What of a model a step belongs to. For one hidden size no part depends on what another one chooses, so a model of equal
/// layers costs the sum of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelPart {
    /// Embedding, final norm and head: once, and independent of the layers.
    Outer,
    /// A layer's matrices of the attention, and norms of the residual stream: depend on the hidden size and the heads.
    Projections,
    /// A layer's rotation, cache and attention: depend on heads, KV format and window, and not on the hidden size.
    Mixing,
    /// A layer's feed-forward part: depends on the hidden size and its own shape.
    FeedForward,
}

/// One operation with everything it reads and writes. Indices point into the plan's slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it is in tables: `attention_norm`, `qkv`, `attention`, `gate_up`, `head` …
    pub label: &'static str,
    /// The stored layer it belongs to.
    pub layer: Option<u64>,
    /// What of the model it belongs to.
    pub part: ModelPart,
    /// What it does.
    pub operation: Operation,
    /// Which tokens it works on.
    pub rows: TokenRows,
    /// What it reads; token ids for `embed`. `experts`, and an `activate` that scales, read [`Buffer::Routing`], too.
    pub input: Buffer,
    /// What it writes or adds to.
    pub output: Buffer,
    /// Its matrix; for experts the stacked gate and up matrices.
    pub matrix: Option<usize>,
    /// The experts' down matrices.
    pub second_matrix: Option<usize>,
    /// Its vectors. `norm`: weight, bias. `matmul`, `route`: bias. `embed`: position table. `rotate_store`: query norm
    /// weight and bias, key norm weight and bias.
    pub vectors: [Option<usize>; 4],
    /// Its cache: `rotate_store` and `attend`.
    pub kv: Option<usize>,
    /// Its rotary table: `rotate_store`.
    pub rope: Option<usize>,
}

/// How many tokens a step computes and how many the cache already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Tokens computed: 1 when decoding, a chunk of the prompt in prefill.
    pub tokens: u64,
    /// Position of the first of them: tokens in the cache before the step.
    pub first_position: u64,
}

impl Shape {
    /// Decoding one token with `depth` in the cache.
    pub const fn decode(depth: u64) -> Self {
        Self { tokens: 1, first_position: depth }
    }

    /// The chunks of a prompt of `tokens` from an empty cache.
    pub fn prefill(tokens: u64, chunk: u64) -> Vec<Self> {
        (0..tokens)
            .step_by(chunk.max(1) as usize)
            .map(|first| Self { tokens: chunk.max(1).min(tokens - first), first_position: first })
            .collect()
    }

    /// Keys that all tokens of the step see together, each token itself included.
    pub fn keys_seen(&self, window: Option<u64>) -> u64 {
        let window = window.unwrap_or(u64::MAX);
        let first = self.first_position + 1;
        let last = self.first_position + self.tokens;
        // Tokens below the window see all before them, the others exactly the window.
        let growing = last.min(window.saturating_sub(1).max(first - 1)) + 1 - first;
        let sum_growing = growing * (first + first + growing).saturating_sub(1) / 2;
        sum_growing + (self.tokens - growing) * window.min(last)
    }

    /// Distinct keys read by the step.
    pub fn keys_read(&self, window: Option<u64>) -> u64 {
        let last = self.first_position + self.tokens;
        match window {
            Some(window) => last.min(window + self.tokens - 1),
            None => last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_seen_agrees_with_counting_token_by_token() {
        for tokens in 1..40 {
            for first_position in [0, 1, 5, 31, 100] {
                for window in [None, Some(1), Some(2), Some(7), Some(32), Some(1000)] {
                    let shape = Shape { tokens, first_position };
                    let counted: u64 = (first_position..first_position + tokens)
                        .map(|position| (position + 1).min(window.unwrap_or(u64::MAX)))
                        .sum();
                    assert_eq!(shape.keys_seen(window), counted, "{shape:?} {window:?}");
                }
            }
        }
    }

    #[test]
    fn prefill_is_cut_into_chunks_that_cover_the_prompt() {
        let chunks = Shape::prefill(1100, 512);
        assert_eq!(chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [512, 512, 76]);
        assert_eq!(chunks[2].first_position, 1024);
        assert!(Shape::prefill(0, 512).is_empty());
    }
}
