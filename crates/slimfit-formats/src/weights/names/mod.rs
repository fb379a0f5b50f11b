//! Where the tensors of an architecture lie in files: names, and which stored rows are theirs.

pub(crate) mod gguf;
pub(crate) mod huggingface;

/// A place where a tensor may lie: one stored tensor, or one for each of its equal pieces.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Rows,
    /// Whether stored rows are its columns (`Conv1D` of GPT-2).
    pub(crate) transposed: bool,
    /// Whether each of its pieces, of which there may be one, is stored by itself.
    pub(crate) apart: bool,
}

/// Which rows of the stored tensor are the tensor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// `size` rows from `first` on, then as many `stride` rows further on, …
    Runs {
        /// Where the first run begins.
        first: u64,
        /// Rows of a run.
        size: u64,
        /// Rows from one run to the next.
        stride: u64,
    },
    /// Heads of this many rows, whose first half lies on even rows and second half on odd ones.
    Interleaved {
        /// Rows of a head.
        head: u64,
    },
}

impl Rows {
    /// All rows from `first` on.
    pub(crate) const fn from(first: u64) -> Self {
        Self::Runs { first, size: u64::MAX, stride: 0 }
    }

    /// The stored row of a row.
    pub(crate) fn of(self, row: u64) -> u64 {
        match self {
            Self::Runs { first, size, stride } => {
                (row / size).saturating_mul(stride).saturating_add(first).saturating_add(row % size)
            }
            Self::Interleaved { head } => {
                let (start, place, half) = (row / head * head, row % head, head / 2);
                if place < half { start + 2 * place } else { start + 2 * (place - half) + 1 }
            }
        }
    }

    /// How many rows from this one on lie below each other.
    pub(crate) fn run(self, row: u64) -> u64 {
        match self {
            Self::Runs { size, .. } => size - row % size,
            Self::Interleaved { .. } => 1,
        }
    }
}

impl Place {
    pub(crate) fn whole(name: impl Into<String>) -> Self {
        Self::rows(name, Rows::from(0))
    }

    pub(crate) fn rows(name: impl Into<String>, rows: Rows) -> Self {
        Self { names: vec![name.into()], rows, transposed: false, apart: false }
    }

    /// One stored tensor for each piece.
    pub(crate) fn pieces(names: impl Iterator<Item = String>) -> Self {
        Self { names: names.collect(), rows: Rows::from(0), transposed: false, apart: true }
    }
}

/// Whether a stored tensor only holds what follows from the config: divisors of rotary frequencies, which are read with
/// the metadata, and masks and frequencies that old checkpoints keep.
pub(super) fn is_computed(name: &str) -> bool {
    let rest = name.split_once('/').map_or(name, |(_, rest)| rest);
    name.starts_with("rope_freqs.")
        || name.starts_with("rope_factors_")
        || rest.ends_with("rotary_emb.inv_freq")
        || matches!(rest, "attn.bias" | "attention.bias" | "attn.attention.bias")
        || rest.ends_with(".masked_bias")
}
