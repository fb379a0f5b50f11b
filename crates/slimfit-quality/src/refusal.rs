//! Why the law does not reach a model.

/// The rule that a model breaks. Small enough that a search can count millions of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Too few non-embedding parameters.
    TooSmall,
    /// Too many non-embedding parameters.
    TooLarge,
    /// Too few training tokens per parameter.
    TooFewTokens,
    /// Too narrow or too wide for its depth.
    WidthDepth,
    /// Too large a vocabulary.
    Vocabulary,
    /// Windows in an arrangement that was never measured.
    Window,
    /// Too many experts.
    Experts,
    /// Too many passes.
    Loops,
    /// A weight format with too few bits or no measurement.
    WeightFormat,
    /// A KV format with no measurement.
    KvFormat,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::TooSmall,
        Self::TooLarge,
        Self::TooFewTokens,
        Self::WidthDepth,
        Self::Vocabulary,
        Self::Window,
        Self::Experts,
        Self::Loops,
        Self::WeightFormat,
        Self::KvFormat,
    ];

    /// The field that it is about, where it is one.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::TooSmall | Self::TooLarge => None,
            Self::TooFewTokens => Some("tokens"),
            Self::WidthDepth => Some("hidden_size"),
            Self::Vocabulary => Some("vocabulary_size"),
            Self::Window => Some("window"),
            Self::Experts => Some("experts"),
            Self::Loops => Some("loops"),
            Self::WeightFormat => Some("weights"),
            Self::KvFormat => Some("kv"),
        }
    }

    /// The reason as a search counts it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooSmall => "quality: too few non-embedding parameters",
            Self::TooLarge => "quality: too many non-embedding parameters",
            Self::TooFewTokens => "quality: too few training tokens per parameter",
            Self::WidthDepth => "quality: width over depth out of range",
            Self::Vocabulary => "quality: vocabulary too large",
            Self::Window => "quality: window arrangement never measured",
            Self::Experts => "quality: too many experts",
            Self::Loops => "quality: too many loops",
            Self::WeightFormat => "quality: weight format never measured",
            Self::KvFormat => "quality: KV format never measured",
        }
    }
}
