//! Sets of work units: which parts of a search are done, claimed or free.

use crate::parts::{read_number, write_number};
use std::ops::Range;

/// A set of work units as ascending ranges that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Units(Vec<Range<u64>>);

impl Units {
    /// No units.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    /// Every unit, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// Whether a unit is among them.
    pub fn contains(&self, unit: u64) -> bool {
        let after = self.0.partition_point(|range| range.start <= unit);
        after > 0 && unit < self.0[after - 1].end
    }

    /// Adds the units of a range.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let last = self.0.partition_point(|known| known.start <= range.end);
        let mut whole = range;
        if first < last {
            whole.start = whole.start.min(self.0[first].start);
            whole.end = whole.end.max(self.0[last - 1].end);
        }
        self.0.splice(first..last, [whole]);
    }

    /// Adds the units of another set.
    pub fn union(&mut self, other: &Self) {
        for range in &other.0 {
            self.insert(range.clone());
        }
    }

    /// The units that `other` does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut taken = other.0.iter().peekable();
        for range in &self.0 {
            let mut start = range.start;
            while taken.next_if(|taken| taken.end <= start).is_some() {}
            let mut rest = taken.clone();
            while let Some(hole) = rest.next_if(|hole| hole.start < range.end) {
                if start < hole.start {
                    left.push(start..hole.start);
                }
                start = start.max(hole.end);
            }
            if start < range.end {
                left.push(start..range.end);
            }
        }
        Self(left)
    }

    /// The first `count` of them.
    #[must_use]
    pub fn first(&self, count: u64) -> Self {
        let (mut left, mut taken) = (count, Vec::new());
        for range in &self.0 {
            let length = left.min(range.end - range.start);
            if length == 0 {
                break;
            }
            taken.push(range.start..range.start + length);
            left -= length;
        }
        Self(taken)
    }

    /// Distances from border to border, as LEB128.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (mut bytes, mut at) = (Vec::new(), 0);
        for border in self.0.iter().flat_map(|range| [range.start, range.end]) {
            write_number(&mut bytes, border - at);
            at = border;
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (mut units, mut at) = (Self::new(), 0_u64);
        while !bytes.is_empty() {
            let start = at.checked_add(read_number(&mut bytes)?)?;
            at = start.checked_add(read_number(&mut bytes)?)?;
            units.insert(start..at);
        }
        Some(units)
    }
}

impl From<Range<u64>> for Units {
    fn from(range: Range<u64>) -> Self {
        let mut units = Self::new();
        units.insert(range);
        units
    }
}

impl FromIterator<Range<u64>> for Units {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut units = Self::new();
        for range in ranges {
            units.insert(range);
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A set of units below 48 from the bits of `mask`.
    fn units(mask: u64) -> (Units, BTreeSet<u64>) {
        let members: BTreeSet<u64> = (0..48).filter(|bit| mask >> bit & 1 == 1).collect();
        (members.iter().map(|unit| *unit..unit + 1).collect(), members)
    }

    #[test]
    fn sets_of_ranges_are_sets() {
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Runs of units, not single ones.
            (state >> 16) & (state >> 17) | (state >> 19)
        };
        for _ in 0..500 {
            let ((a, in_a), (b, in_b)) = (units(draw()), units(draw()));
            assert_eq!(a.iter().collect::<BTreeSet<_>>(), in_a);
            assert_eq!(a.count(), in_a.len() as u64);
            assert!(a.ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "{a:?}");
            let mut both = a.clone();
            both.union(&b);
            assert_eq!(both.iter().collect::<BTreeSet<_>>(), &in_a | &in_b);
            assert!(both.ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "{both:?}");
            assert_eq!(a.without(&b).iter().collect::<BTreeSet<_>>(), &in_a - &in_b);
            assert!((0..50).all(|unit| a.contains(unit) == in_a.contains(&unit)));
            assert_eq!(
                a.first(5).iter().collect::<Vec<_>>(),
                in_a.iter().copied().take(5).collect::<Vec<_>>()
            );
            assert_eq!(Units::decode(&a.encode()), Some(a));
        }
    }

    #[test]
    fn the_largest_units_fit() {
        let all = Units::from(0..u64::MAX);
        assert_eq!(all.count(), u64::MAX);
        assert_eq!(Units::decode(&all.encode()), Some(all.clone()));
        assert_eq!(all.without(&Units::from(5..u64::MAX - 1)).ranges(), [0..5, u64::MAX - 1..u64::MAX]);
        assert!(Units::decode(&[0x80]).is_none());
    }
}
