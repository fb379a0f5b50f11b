//! What a choice was made for.

use crate::Isa;
use slimfit_quantity::NumberFormat;
use std::fmt;
use std::str::FromStr;

/// A product on a machine. Equal keys choose alike; a model's products take the choice of the nearest key.
///
/// Written `gemv q4_0 1536x576 1 tokens 128 MiB 2 threads avx512`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TuningKey {
    /// How the matrix is stored.
    pub format: NumberFormat,
    /// Rows of the matrix.
    pub rows: u64,
    /// Columns of the matrix.
    pub columns: u64,
    /// Tokens; 1 is a product with a vector.
    pub tokens: usize,
    /// Bytes of all matrices that a step reads, this one among them: whether they come from memory or from a cache.
    pub working_set_bytes: u64,
    /// Threads.
    pub threads: usize,
    /// The cap on the instruction set.
    pub isa: Isa,
}

/// A choice for a shape further away than this factor, over all dimensions, says nothing.
const FURTHEST: f64 = 64.0;

impl TuningKey {
    /// How far another key's shape is from this one, as the logarithm of a factor; nothing when it is of another
    /// kernel, or too far.
    pub(crate) fn distance(&self, other: &Self) -> Option<f64> {
        let same = |key: &Self| (key.format, key.tokens == 1, key.threads, key.isa);
        if same(self) != same(other) {
            return None;
        }
        let factor = |a: u64, b: u64| (a.max(1) as f64 / b.max(1) as f64).ln().abs();
        let shape = factor(self.rows, other.rows) + factor(self.columns, other.columns);
        // Of many tokens the products bind, not where the matrix comes from.
        let place = if self.tokens == 1 {
            factor(self.working_set_bytes, other.working_set_bytes)
        } else {
            factor(self.tokens as u64, other.tokens as u64)
        };
        (shape + place <= FURTHEST.ln()).then_some(shape + place)
    }
}

impl fmt::Display for TuningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}x{} {} tokens {} MiB {} threads {}",
            if self.tokens == 1 { "gemv" } else { "gemm" },
            self.format,
            self.rows,
            self.columns,
            self.tokens,
            self.working_set_bytes >> 20,
            self.threads,
            self.isa
        )
    }
}

/// Text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no key of a tuning")]
pub struct NoKey {
    /// The text.
    pub text: String,
}

impl FromStr for TuningKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        parse(text).filter(|key| key.to_string() == text).ok_or_else(|| NoKey { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<TuningKey> {
    let words: Vec<&str> = text.split(' ').collect();
    let [_, format, matrix, tokens, _, mebibytes, _, threads, _, isa] = *words.as_slice() else {
        return None;
    };
    let (rows, columns) = matrix.split_once('x')?;
    Some(TuningKey {
        format: format.parse().ok()?,
        rows: rows.parse().ok()?,
        columns: columns.parse().ok()?,
        tokens: tokens.parse().ok()?,
        working_set_bytes: mebibytes.parse::<u64>().ok()?.checked_mul(1 << 20)?,
        threads: threads.parse().ok()?,
        isa: isa.parse().ok()?,
    })
}
