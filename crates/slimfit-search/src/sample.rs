//! A seeded sample of the points that are not on the front, to draw the cloud under it.

use crate::archive::Found;
use crate::{Evaluator, Metric, SearchOptions, Space};
use std::collections::HashSet;

/// Points of one block in a sample.
const OF_BLOCK: u64 = 16;
/// Blocks that are tried for each point that is wanted.
const TRIES: u64 = 4;

/// Up to `options.sample` valid points off the front that keep all limits, drawn from all of the space: blocks at random, and of each
/// some depths, passes and tyings in one pair of formats, so that a block is priced once.
pub(crate) fn sample<E: Evaluator>(
    space: &Space,
    evaluator: &E,
    options: &SearchOptions<'_>,
    front: &[Found],
) -> Vec<Found> {
    let (blocks, inner_size) = (space.blocks(), space.inner_size());
    let depths = (space.tyings().len() * space.depths().len() * space.passes().len()) as u64;
    let formats = inner_size / depths;
    let mut found: Vec<Found> = Vec::new();
    // What was drawn, or may not be.
    let mut seen: HashSet<u64> = front.iter().map(|found| found.index).collect();
    for attempt in 0..TRIES * options.sample as u64 {
        if found.len() >= options.sample {
            break;
        }
        let hash = mix(attempt ^ mix(options.seed));
        let number = hash % blocks;
        let Ok(mut prepared) = space.block(number).and_then(|block| evaluator.prepare(space, &block)) else {
            continue;
        };
        let format = mix(hash) % formats;
        for draw in 0..OF_BLOCK.min(depths) {
            let inner = format * depths + mix(hash ^ mix(draw)) % depths;
            let index = number * inner_size + inner;
            let mut values = Metric::UNKNOWN;
            if !seen.insert(index)
                || evaluator.evaluate(&mut prepared, space.inner(inner), &mut values).is_err()
                || options.limits.iter().any(|(metric, limit)| !metric.keeps(values[metric.column()], *limit))
            {
                continue;
            }
            found.push(Found { index, values });
        }
    }
    found.truncate(options.sample);
    found.sort_by_key(|found| found.index);
    found
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose output bits look random.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
