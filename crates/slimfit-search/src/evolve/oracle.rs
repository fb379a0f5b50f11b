//! Who measures.

use crate::SearchError;

/// Measures points of a space, some at a time.
pub trait Oracle {
    /// What ends the search: an oracle that cannot go on. What it said before is the caller's to keep.
    type Error: From<SearchError>;

    /// Measures these points, by their numbers in the space: one answer to each, in their order.
    ///
    /// # Errors
    /// When the oracle cannot go on. A point that cannot be measured is an [`Answer::Failed`].
    fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, Self::Error>;
}

/// What an oracle says of one point.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The value of each measured metric, in the order of
    /// [`EvolveOptions::measures`](super::EvolveOptions::measures); finite and above 0.
    Values(Vec<f64>),
    /// It cannot be measured, and why. It counts as an evaluation and is not asked for again.
    Failed(String),
    /// It was not got to, since time was up or the user stopped: no evaluation. The search ends.
    Unanswered,
}

/// One point that an oracle answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Its number in the space.
    pub index: u64,
    /// Measured values in the order of [`EvolveOptions::measures`](super::EvolveOptions::measures), or why there are
    /// none.
    pub measured: Result<Vec<f64>, String>,
    /// What the surrogate foretold of each, before the point was measured; nothing before it had seen any.
    pub foretold: Option<Vec<f64>>,
    /// Whether it was measured and keeps every limit.
    pub feasible: bool,
}
