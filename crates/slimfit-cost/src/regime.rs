//! Regimes: the finitely many conditions under which rates are constant.

/// A thread count and a bin of working sets within which the read bandwidth hardly moves. For a fixed regime the cost
/// of a model is a sum over its operations; that is what an exact search rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    /// Threads.
    pub threads: u32,
    /// Working sets up to this many bytes belong here (and above the previous bin's limit).
    pub up_to_bytes: f64,
    /// Bytes per second that all threads together read.
    pub read_bytes_per_s: f64,
    /// Barrier after each operation, and its dispatch.
    pub overhead_seconds: f64,
}

/// Names a regime of one cost model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegimeId(pub(crate) usize);

impl RegimeId {
    /// Its place in the model's list of regimes.
    pub const fn index(self) -> usize {
        self.0
    }
}
