//! A scan that drops what a few strong points dominate.
//!
//! Which points are strong is asked of a sample: those that together dominate most of it. That looks at order alone, so
//! objectives of any scale are alike, and where nothing dominates nothing is spent but the sample.

use super::dominates_all;

const SAMPLE: usize = 512;
const WORDS: usize = SAMPLE / 64;
/// Points that one scan compares with.
const STRONG: usize = 8;
/// Below this many points the exact methods are as fast.
const FEW: usize = 2048;

type Bits = [u64; WORDS];

/// Places of the points that the strong ones leave, ascending.
pub(super) fn survivors<const D: usize>(points: &[[f64; D]], count: u32) -> Vec<u32> {
    let mut places: Vec<u32> = Vec::new();
    let mut all = true;
    loop {
        let left = if all { count as usize } else { places.len() };
        let place = |at: usize| if all { at as u32 } else { places[at] };
        let (strong, share) = if left < FEW {
            (Vec::new(), 0.0)
        } else {
            strongest(&sample(left).map(|at| points[place(at) as usize]).collect::<Vec<_>>())
        };
        // A scan costs about what a level of a sort costs.
        if share < 0.1 {
            return if all { (0..count).collect() } else { places };
        }
        let stays = |place: &u32| !strong.iter().any(|other| dominates_all(other, &points[*place as usize]));
        if all {
            places = (0..count).filter(stays).collect();
            all = false;
        } else {
            places.retain(stays);
        }
    }
}

/// Spread over all of `count`, off any pattern that points may lie in.
fn sample(count: usize) -> impl Iterator<Item = usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..SAMPLE).map(move |place| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (low, high) = (place * count / SAMPLE, (place + 1) * count / SAMPLE);
        low + (state >> 33) as usize % (high - low)
    })
}

/// The points of a sample that together dominate most of it, and the share that they dominate.
fn strongest<const D: usize>(sample: &[[f64; D]]) -> (Vec<[f64; D]>, f64) {
    let mut beaten: Vec<Bits> = vec![[0; WORDS]; sample.len()];
    for (strong, bits) in sample.iter().zip(&mut beaten) {
        for (place, other) in sample.iter().enumerate() {
            bits[place / 64] |= u64::from(dominates_all(strong, other)) << (place % 64);
        }
    }
    let mut covered: Bits = [0; WORDS];
    let mut chosen = Vec::new();
    while chosen.len() < STRONG {
        let gain = |bits: &Bits| -> u32 {
            bits.iter().zip(&covered).map(|(new, old)| (new & !old).count_ones()).sum()
        };
        let Some((best, gain)) = beaten.iter().map(gain).enumerate().max_by_key(|(_, gain)| *gain) else {
            break;
        };
        if (gain as usize) < SAMPLE / 64 {
            break;
        }
        chosen.push(sample[best]);
        for (covered, new) in covered.iter_mut().zip(&beaten[best]) {
            *covered |= new;
        }
    }
    let beaten: u32 = covered.iter().map(|word| word.count_ones()).sum();
    (chosen, f64::from(beaten) / SAMPLE as f64)
}
