//! Regimes: the finitely many conditions under which rates are constant.

/// A thread count and a bin of working sets within which the read bandwidth hardly moves. For a fixed regime the cost
/// of a model is a sum over its operations; that is what an exact search rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    /// Threads.
    pub threads: u32,
    /// Working sets above this many bytes belong here,
    pub above_bytes: f64,
    /// up to this many.
    pub up_to_bytes: f64,
    /// Bytes per second that all threads together read.
    pub read_bytes_per_s: f64,
    /// Barrier after each operation, and its dispatch.
    pub overhead_seconds: f64,
}

impl Regime {
    /// A working set in its middle; of one without an end, its beginning.
    pub(crate) fn middle_bytes(&self) -> f64 {
        // Bins are narrow but for the first, which begins at nothing.
        let above = self.above_bytes.max(self.up_to_bytes / 2.0);
        if self.up_to_bytes >= u64::MAX as f64 { self.above_bytes } else { (above * self.up_to_bytes).sqrt() }
    }
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
