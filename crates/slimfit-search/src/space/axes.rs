//! The axes of a search space.

/// An axis with numbers. What an expression may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// Width of the residual stream.
    HiddenSize,
    /// Values of a head.
    HeadSize,
    /// Query heads.
    Heads,
    /// Key and value heads.
    KvHeads,
    /// Inner width of the feed-forward part.
    Ffn,
    /// Layers.
    Layers,
    /// Passes through all of them.
    Loops,
    /// Rows of the embedding table.
    VocabularySize,
}

impl Axis {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// All of them, those of a block first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::HiddenSize,
        Self::HeadSize,
        Self::Heads,
        Self::KvHeads,
        Self::Ffn,
        Self::Layers,
        Self::Loops,
        Self::VocabularySize,
    ];
    /// Those that shape a layer: they may be expressions over each other.
    pub const BLOCK: [Self; 5] = [Self::HiddenSize, Self::HeadSize, Self::Heads, Self::KvHeads, Self::Ffn];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HiddenSize => "hidden_size",
            Self::HeadSize => "head_size",
            Self::Heads => "heads",
            Self::KvHeads => "kv_heads",
            Self::Ffn => "ffn",
            Self::Layers => "layers",
            Self::Loops => LOOPS,
            Self::VocabularySize => "vocabulary_size",
        }
    }

    /// The axis of that name.
    pub fn numeric(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|axis| axis.name() == name)
    }
}

/// An axis that a file may leave out: every point is dense then.
pub(crate) const EXPERTS: &str = "experts";
/// Another one: the layers of every point run once.
pub(crate) const LOOPS: &str = "loops";

/// The names of all axes, in the order files list them.
pub(crate) const AXIS_NAMES: [&str; 14] = [
    "layers",
    LOOPS,
    "hidden_size",
    "heads",
    "kv_heads",
    "head_size",
    "ffn",
    "gated",
    EXPERTS,
    "window",
    "vocabulary_size",
    "tied_embeddings",
    "weights",
    "kv",
];
