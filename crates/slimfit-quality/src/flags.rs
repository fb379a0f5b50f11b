//! What a reader must know about an estimate.

/// A set of remarks on an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// Outside the box in which the law was fitted: the interval is doubled.
    pub const EXTRAPOLATED: Self = Self(1);
    /// One key head for all query heads, or nearly so.
    pub const ASSUMED_MQA: Self = Self(2);
    /// Layers that run several times.
    pub const ASSUMED_LOOPS: Self = Self(4);
    /// A vocabulary far from the recipe's.
    pub const ASSUMED_VOCABULARY: Self = Self(8);
    /// Windows shorter than the text.
    pub const ASSUMED_WINDOW: Self = Self(16);
    /// A KV format without a published measurement.
    pub const ASSUMED_KV: Self = Self(32);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::EXTRAPOLATED, "extrapolated"),
        (Self::ASSUMED_MQA, "assumed-mqa"),
        (Self::ASSUMED_LOOPS, "assumed-loops"),
        (Self::ASSUMED_VOCABULARY, "assumed-vocab"),
        (Self::ASSUMED_WINDOW, "assumed-window"),
        (Self::ASSUMED_KV, "assumed-kv"),
    ];

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// `flag` where `set` holds, nothing otherwise.
    #[must_use]
    pub const fn when(set: bool, flag: Self) -> Self {
        if set { flag } else { Self(0) }
    }

    /// Names as records hold them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}
