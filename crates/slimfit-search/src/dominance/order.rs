//! Points sorted by all objectives in turn, equal ones together.

use super::compare;

/// A number as an integer that orders alike; zeros of either sign are one.
pub(crate) fn key(value: f64) -> u64 {
    // Adding +0 leaves every number but -0 as it is.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// Places of points, sorted, in groups of equal points.
pub(super) struct Ordered {
    places: Vec<u32>,
    /// Where each group begins, and the end of the last.
    starts: Vec<u32>,
}

impl Ordered {
    /// Sorts the points at `places`.
    pub(super) fn new<const D: usize>(points: &[[f64; D]], places: Vec<u32>) -> Self {
        let point = |(_, place): &(u64, u32)| &points[*place as usize];
        let first = |place: u32| (key(points[place as usize][0]), place);
        let mut keyed: Vec<(u64, u32)> = places.into_iter().map(first).collect();
        keyed.sort_unstable();
        for alike in keyed.chunk_by_mut(|a, b| a.0 == b.0) {
            alike.sort_unstable_by(|a, b| compare(point(a), point(b)));
        }
        let mut starts = Vec::with_capacity(keyed.len() + 1);
        let mut start = 0;
        for alike in keyed.chunk_by(|a, b| point(a) == point(b)) {
            starts.push(start);
            start += alike.len() as u32;
        }
        starts.push(start);
        Self { places: keyed.into_iter().map(|(_, place)| place).collect(), starts }
    }

    fn groups(&self) -> usize {
        self.starts.len() - 1
    }

    /// A place of each different point, in order.
    pub(super) fn representatives(&self) -> impl Iterator<Item = u32> {
        self.starts[..self.groups()].iter().map(|start| self.places[*start as usize])
    }

    /// All places of the groups that are kept, ascending.
    pub(super) fn places(&self, keep: &[bool]) -> Vec<usize> {
        let range = |group: usize| self.starts[group] as usize..self.starts[group + 1] as usize;
        let kept = (0..self.groups()).filter(|group| keep[*group]);
        let mut places: Vec<usize> =
            kept.flat_map(|group| &self.places[range(group)]).map(|place| *place as usize).collect();
        places.sort_unstable();
        places
    }
}
