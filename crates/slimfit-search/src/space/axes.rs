//! The axes of a search space: those with numbers, and all that a condition may name.

use crate::space::LayerAxis;

/// An axis with numbers. What the expression of a value may name.
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

/// Any axis: what a condition may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AnyAxis {
    Number(Axis),
    Gated,
    Experts,
    Window,
    TiedEmbeddings,
    Weights,
    Kv,
}

impl AnyAxis {
    /// Those without numbers of their own, in the order of their places.
    const OTHERS: [Self; 6] =
        [Self::Gated, Self::Experts, Self::Window, Self::TiedEmbeddings, Self::Weights, Self::Kv];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Axis::ALL.into_iter().map(Self::Number).chain(Self::OTHERS)
    }

    /// Its name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Number(axis) => axis.name(),
            Self::Gated => "gated",
            Self::Experts => EXPERTS,
            Self::Window => "window",
            Self::TiedEmbeddings => "tied_embeddings",
            Self::Weights => "weights",
            Self::Kv => "kv",
        }
    }

    /// The axis of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|axis| axis.name() == name)
    }

    const fn place(self) -> usize {
        match self {
            Self::Number(axis) => axis as usize,
            Self::Gated => Axis::COUNT,
            Self::Experts => Axis::COUNT + 1,
            Self::Window => Axis::COUNT + 2,
            Self::TiedEmbeddings => Axis::COUNT + 3,
            Self::Weights => Axis::COUNT + 4,
            Self::Kv => Axis::COUNT + 5,
        }
    }
}

impl From<LayerAxis> for AnyAxis {
    fn from(axis: LayerAxis) -> Self {
        match axis {
            LayerAxis::Heads => Self::Number(Axis::Heads),
            LayerAxis::KvHeads => Self::Number(Axis::KvHeads),
            LayerAxis::Ffn => Self::Number(Axis::Ffn),
            LayerAxis::Gated => Self::Gated,
            LayerAxis::Window => Self::Window,
            LayerAxis::Experts => Self::Experts,
        }
    }
}

/// A set of axes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AxisSet(u16);

impl AxisSet {
    /// What shapes a layer beside the hidden size, its window aside: points of one sheet differ in nothing else.
    pub(crate) const LAYER: Self = Self::of(&[
        AnyAxis::Number(Axis::HeadSize),
        AnyAxis::Number(Axis::Heads),
        AnyAxis::Number(Axis::KvHeads),
        AnyAxis::Number(Axis::Ffn),
        AnyAxis::Gated,
        AnyAxis::Experts,
    ]);
    /// What a block has beside its window.
    pub(crate) const BLOCK: Self = Self(Self::LAYER.0 | Self::of(&[AnyAxis::Number(Axis::HiddenSize)]).0);
    /// Every axis.
    pub(crate) const ALL: Self = Self(u16::MAX);

    const fn of(axes: &[AnyAxis]) -> Self {
        let (mut set, mut place) = (0, 0);
        while place < axes.len() {
            set |= 1 << axes[place].place();
            place += 1;
        }
        Self(set)
    }

    pub(crate) const fn insert(&mut self, axis: AnyAxis) {
        self.0 |= 1 << axis.place();
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn contains(self, axis: AnyAxis) -> bool {
        self.0 & (1 << axis.place()) != 0
    }

    /// Whether `other` has all of its axes.
    pub(crate) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether both have some axis.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn axes(self) -> impl Iterator<Item = AnyAxis> {
        AnyAxis::all().filter(move |axis| self.contains(*axis))
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
