//! Pointer chase: a random cyclic permutation with one element per cache line, so that every step waits for the one
//! before and no prefetcher guesses the next.

/// Bytes of a cache line, the distance between two elements of the cycle.
pub const LINE_BYTES: usize = 64;

const STRIDE: usize = LINE_BYTES / size_of::<usize>();

/// Links the lines of `buffer` into one random cycle (Sattolo's shuffle): the first word of each line becomes the
/// index of the next line's first word. Returns the lines linked.
pub fn link_cycle(buffer: &mut [usize], seed: u64) -> usize {
    let lines = buffer.len() / STRIDE;
    let mut order: Vec<usize> = (0..lines).collect();
    let mut state = seed;
    for last in (1..lines).rev() {
        let partner = ((u128::from(next(&mut state)) * last as u128) >> 64) as usize;
        order.swap(last, partner);
    }
    // Sattolo's result is a map of one cycle: line i leads to line order[i].
    for (line, target) in order.into_iter().enumerate() {
        buffer[line * STRIDE] = target * STRIDE;
    }
    lines
}

/// Takes `steps` steps from the word at `start`, each a load that depends on the last; returns where it ends.
///
/// # Panics
/// When the buffer holds no cycle of [`link_cycle`] and a link leads outside.
pub fn walk_cycle(buffer: &[usize], start: usize, steps: usize) -> usize {
    let mut position = start;
    for _ in 0..steps {
        // The bounds check hangs off the loaded value beside the chain, so it adds nothing to a step.
        position = buffer[position];
    }
    position
}

/// SplitMix64 (Steele, Lea and Flood 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
