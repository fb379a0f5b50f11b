//! What is measured: each file makes the tasks of one part of the profile.

pub(crate) mod bandwidth;
pub(crate) mod hand_over;
pub(crate) mod kernels;
pub(crate) mod latency;
pub(crate) mod overhead;
pub(crate) mod peak;
pub(crate) mod sequence;
pub(crate) mod streaming;
pub(crate) mod tails;

use crate::ProbeError;
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, HugePages};
use slimfit_kernels::pool::Pool;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every cell.
    Full,
    /// Fewer shapes, batches and address streams, where the budget is short.
    Short,
}

/// One pool for each thread count, ascending.
pub(crate) struct Pools(Vec<Pool>);

impl Pools {
    pub fn new(counts: &[u32]) -> Result<Self, ProbeError> {
        Ok(Self(counts.iter().map(|count| Pool::new(*count as usize)).collect::<Result<_, _>>()?))
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Pool> {
        self.0.iter()
    }
}

impl Drop for Pools {
    /// Each pool restores the affinity that it found, so the last one made goes first.
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// `1 thread`, `2 threads`.
pub(crate) fn threads_in_words(pool: &Pool) -> String {
    match pool.threads() {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    }
}

/// Whether a loop of this tier may run under a cap.
pub(crate) fn admitted(tier: Isa, cap: Isa) -> bool {
    tier <= cap && tier.is_available()
}

pub(crate) fn buffer(bytes: usize, pages: HugePages) -> Result<Buffer, ProbeError> {
    Buffer::new(bytes, pages).map_err(|source| ProbeError::Memory { bytes, source })
}
