//! Points as genomes: a digit for each axis, and how digits vary.
//!
//! A point's number is a mixed-radix number over its axes (`space/point.rs`). Changing digits reaches every point, and not
//! every point that is reached is one: whoever varies asks, and tries again.

use super::random::Random;
use crate::Space;

/// The axes in the order of digits, the last one running fastest. Numbers, which have an order in their lists, are
/// mostly changed to a neighbour.
const DIGITS: [(&str, bool); 14] = [
    ("hidden_size", true),
    ("head_size", true),
    ("heads", true),
    ("kv_heads", true),
    ("ffn", true),
    ("gated", false),
    ("window", false),
    ("experts", false),
    ("weights", false),
    ("kv", false),
    ("vocabulary_size", true),
    ("tied_embeddings", false),
    ("layers", true),
    ("loops", true),
];

pub(super) type Genome = [usize; DIGITS.len()];

/// Chance that a number goes to a neighbour or one further rather than anywhere.
const NEAR: f64 = 0.7;
/// Axes that a mutation changes on average.
const CHANGES: f64 = 1.5;

/// What may vary.
#[derive(Debug, Clone)]
pub(super) struct Genetics {
    lengths: Genome,
    /// Places of axes that offer a choice.
    free: Vec<usize>,
}

impl Genetics {
    pub(super) fn new(space: &Space) -> Self {
        let offered = space.axis_lengths();
        let length = |name: &str| {
            let found = offered.iter().find(|(known, _)| *known == name);
            found.map_or(1, |(_, length)| *length)
        };
        let lengths = DIGITS.map(|(name, _)| length(name));
        let size: u64 = lengths.iter().map(|length| *length as u64).product();
        assert_eq!(size, space.size(), "the digits of a point are those of its number");
        let free = (0..lengths.len()).filter(|place| lengths[*place] > 1).collect();
        Self { lengths, free }
    }

    pub(super) fn genome(&self, mut index: u64) -> Genome {
        let mut genome = [0; DIGITS.len()];
        for place in (0..genome.len()).rev() {
            let length = self.lengths[place] as u64;
            genome[place] = (index % length) as usize;
            index /= length;
        }
        genome
    }

    pub(super) fn index(&self, genome: &Genome) -> u64 {
        let digits = genome.iter().zip(self.lengths);
        digits.fold(0, |index, (digit, length)| index * length as u64 + *digit as u64)
    }

    /// Digits from either parent.
    pub(super) fn crossed(&self, a: &Genome, b: &Genome, random: &mut Random) -> Genome {
        let mut child = *a;
        for &place in &self.free {
            if random.chance(0.5) {
                child[place] = b[place];
            }
        }
        child
    }

    /// Changes at least one digit.
    pub(super) fn mutate(&self, genome: &mut Genome, random: &mut Random) {
        if self.free.is_empty() {
            return;
        }
        let certain = self.free[random.below(self.free.len() as u64) as usize];
        let chance = (CHANGES - 1.0) / self.free.len() as f64;
        for &place in &self.free {
            if place == certain || random.chance(chance) {
                genome[place] = self.changed(place, genome[place], random);
            }
        }
    }

    /// Another digit.
    fn changed(&self, place: usize, digit: usize, random: &mut Random) -> usize {
        let length = self.lengths[place];
        if DIGITS[place].1 && length > 2 && random.chance(NEAR) {
            let step = 1 + usize::from(random.chance(0.3));
            let (down, up) = (digit.checked_sub(step), Some(digit + step).filter(|digit| *digit < length));
            if let Some(near) = if random.chance(0.5) { down.or(up) } else { up.or(down) } {
                return near;
            }
        }
        let other = random.below(length as u64 - 1) as usize;
        if other < digit { other } else { other + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_point() {
        let space = Space::load("slm-demo", &[]).unwrap();
        let genetics = Genetics::new(&space);
        let mut random = Random::new(5);
        for _ in 0..500 {
            let index = random.below(space.size());
            let genome = genetics.genome(index);
            assert_eq!(genetics.index(&genome), index);
            let inner = space.inner(index % space.inner_size());
            assert_eq!(
                [genome[8], genome[9], genome[10], genome[11], genome[12], genome[13]],
                [inner.weights, inner.kv, inner.vocabulary, inner.tied, inner.layers, inner.loops]
            );
            // A digit of one axis changed moves that axis and, of a block, no other number that does not follow from it.
            if let Ok(block) = space.block(index / space.inner_size()) {
                let mut other = genome;
                other[5] = 0;
                if let Ok(same) = space.block(genetics.index(&other) / space.inner_size()) {
                    assert_eq!(
                        (block.hidden_size, block.heads, block.ffn),
                        (same.hidden_size, same.heads, same.ffn)
                    );
                }
            }
        }
    }

    #[test]
    fn a_mutation_changes_something_and_stays_in_the_space() {
        let space = Space::load("slm-demo", &[]).unwrap();
        let genetics = Genetics::new(&space);
        let mut random = Random::new(1);
        for _ in 0..2000 {
            let before = genetics.genome(random.below(space.size()));
            let mut after = before;
            genetics.mutate(&mut after, &mut random);
            assert_ne!(after, before);
            assert!(genetics.index(&after) < space.size());
            let child = genetics.crossed(&before, &after, &mut random);
            assert!(child.iter().zip(before).zip(after).all(|((child, a), b)| *child == a || *child == b));
        }
    }
}
