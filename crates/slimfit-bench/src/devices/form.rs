//! Which parts the formula has beside bandwidth, kernels and layers: one is taken up only where it pays on devices that the
//! fit has not seen.

/// A form of the formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What a front end shows is taken for the engine's own time.
    Plain,
    /// Front ends take seconds of their own for each token.
    FrontEnds,
}

impl Form {
    /// All of them, the simplest first.
    pub const ALL: [Self; 2] = [Self::Plain, Self::FrontEnds];

    /// What it adds, for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "nothing beside the engine",
            Self::FrontEnds => "seconds of front ends",
        }
    }
}
