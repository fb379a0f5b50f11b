//! The two kinds of work that a plan is run for.

/// Which part of a run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A prompt, in chunks, to the last token's logits.
    Prefill,
    /// One generated token.
    Decode,
}

impl Phase {
    /// The name in tables, records and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}
