//! How often a working set is gone through before it is read at the rate it keeps.
//!
//! A last cache that takes what the nearer ones throw out, and one that learns what to keep, hold after one pass over a
//! set of their own size only a part of what they hold in the end: rates were seen to rise for six passes, to twice the
//! first. A model that decodes an answer is past that after a few tokens, so what describes it is the rate in the end.

/// Passes after which no rate was seen to rise any more.
const PASSES: usize = 8;
/// Last caches' sizes from which on a set leaves nothing for its next pass.
const FAR: u64 = 8;

/// Passes over `working_set_bytes` before a pass that counts, where the last cache has `last_cache_bytes` (0: unknown).
pub fn settling_passes(working_set_bytes: u64, last_cache_bytes: u64) -> usize {
    if last_cache_bytes > 0 && working_set_bytes > FAR.saturating_mul(last_cache_bytes) { 1 } else { PASSES }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cache_keeps_has_nothing_to_settle() {
        let last = 32 << 20;
        assert_eq!(settling_passes(8 * last, last), PASSES);
        assert_eq!(settling_passes(8 * last + 1, last), 1);
        assert_eq!(settling_passes(1 << 30, 0), PASSES);
    }
}
