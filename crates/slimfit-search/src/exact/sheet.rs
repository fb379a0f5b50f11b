//! A sheet: all points that differ in nothing but the heads and the feed-forward part of their layers.
//!
//! Everything additive about such a point is a number of its attention plus a number of its feed-forward part. The sheet
//! holds both lists for one depth and number of passes, and trees of their least and largest over ranges, from which bounds of
//! whole boxes follow. What occurs once for a model counts on the attention's side. What depends on
//! the device has lists for each.
//!
//! A sheet of several depths holds what the shallowest has where less is better, and what the deepest has where more is: no
//! point of them has less of the former or more of the latter.

use std::ops::Range;

/// Attentions of the smallest box.
pub(crate) const ROWS: usize = 4;
/// Feed-forward parts of the smallest box.
pub(crate) const COLUMNS: usize = 4;

/// One list, and its least over the nodes of a tree of ranges.
#[derive(Debug, Default)]
pub(crate) struct Least {
    pub(crate) values: Vec<f64>,
    tree: Vec<f64>,
}

impl Least {
    /// Fills it with the values of some places; all others count as infinite.
    pub(crate) fn fill(&mut self, places: &Places, mut value: impl FnMut(usize) -> f64) {
        let Places { count, leaf, .. } = *places;
        self.values.clear();
        self.values.resize(count, f64::INFINITY);
        let leaves = leaves(count, leaf);
        self.tree.clear();
        self.tree.resize(2 * leaves, f64::INFINITY);
        let chunks = self.values.chunks_mut(leaf).zip(&mut self.tree[leaves..]).zip(&places.wanted);
        for (number, ((values, least), _)) in chunks.enumerate().filter(|(_, (_, wanted))| **wanted) {
            for (place, slot) in values.iter_mut().enumerate() {
                *slot = value(number * leaf + place);
                *least = least.min(*slot);
            }
        }
        for node in (1..leaves).rev() {
            self.tree[node] = self.tree[2 * node].min(self.tree[2 * node + 1]);
        }
    }

    pub(crate) fn over(&self, node: usize) -> f64 {
        self.tree[node]
    }
}

/// Which places of a list are wanted, by leaves of its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    count: usize,
    leaf: usize,
    wanted: Vec<bool>,
}

impl Places {
    /// Those of some nodes.
    pub(crate) fn of<'n>(count: usize, leaf: usize, nodes: impl Iterator<Item = &'n Node>) -> Self {
        let mut wanted = vec![false; count.div_ceil(leaf)];
        for node in nodes.filter(|node| !node.places.is_empty()) {
            wanted[node.places.start / leaf..node.places.end.div_ceil(leaf)].fill(true);
        }
        Self { count, leaf, wanted }
    }
}

/// Leaves of the tree over `count` values, a power of two.
pub(crate) fn leaves(count: usize, leaf: usize) -> usize {
    count.div_ceil(leaf).max(1).next_power_of_two()
}

/// A node of a tree, and the places that it covers.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) node: usize,
    pub(crate) places: Range<usize>,
    /// Places that a full node of this height covers.
    span: usize,
    leaf: usize,
    count: usize,
}

impl Node {
    /// The root over `count` values.
    pub(crate) fn root(count: usize, leaf: usize) -> Self {
        Self { node: 1, places: 0..count, span: leaves(count, leaf) * leaf, leaf, count }
    }

    /// Whether it has no children.
    pub(crate) fn is_leaf(&self) -> bool {
        self.span <= self.leaf
    }

    /// Its halves; the second may cover nothing.
    pub(crate) fn halves(&self) -> [Self; 2] {
        let span = self.span / 2;
        let start = self.places.start;
        let half = |node: usize, start: usize| Self {
            node,
            places: start.min(self.count)..(start + span).min(self.count),
            span,
            leaf: self.leaf,
            count: self.count,
        };
        [half(2 * self.node, start), half(2 * self.node + 1, start + span)]
    }
}

/// Two lists whose sums are a quantity of points.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) rows: Least,
    pub(crate) columns: Least,
}

impl Pair {
    /// At least this in a box.
    pub(crate) fn least(&self, row: &Node, column: &Node) -> f64 {
        self.rows.over(row.node) + self.columns.over(column.node)
    }
}

/// Times of one thread count in one regime.
#[derive(Debug, Default)]
pub(crate) struct RegimeTimes {
    pub(crate) decode: Pair,
    pub(crate) prefill: Pair,
    /// Joules of decoding, where they are asked for.
    pub(crate) joules: Pair,
}

/// What one thread count takes on this sheet.
#[derive(Debug, Default)]
pub(crate) struct ThreadSheet {
    /// Working sets up to which each regime reaches that points of the sheet lie in, ascending.
    pub(crate) up_to_bytes: Vec<f64>,
    /// One entry for each of them.
    pub(crate) regimes: Vec<RegimeTimes>,
    /// How many they are; more entries are left from earlier sheets.
    pub(crate) used: usize,
    /// Scratch of the two sides.
    pub(crate) row_scratch: Least,
    pub(crate) column_scratch: Least,
}

/// What the points of a sheet take on one device.
#[derive(Debug, Default)]
pub(crate) struct DeviceSheet {
    /// Bytes that each token touches again.
    pub(crate) working_set: Pair,
    /// The same, negative.
    pub(crate) minus_working_set: Pair,
    /// Resident bytes without scratch.
    pub(crate) memory: Pair,
    /// Resident bytes of the process itself.
    pub(crate) process_bytes: f64,
    pub(crate) threads: Vec<ThreadSheet>,
}

/// All points of one number of passes, and of one depth or a range of them, that share everything but the shape of their layers.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    /// Parameters without embeddings, negative so that the least is the most.
    pub(crate) minus_parameters: Pair,
    /// The same, positive.
    pub(crate) parameters: Pair,
    /// Parameters that a token visits, negative.
    pub(crate) minus_active: Pair,
    /// Operations of the training, where they are asked for.
    pub(crate) training_flops: Pair,
    /// Bytes of the tensors in a file, where they are asked for.
    pub(crate) file: Pair,
    /// Nats of the heads.
    pub(crate) heads_nats: Least,
    /// Whether times are lower bounds only: of layers that run several times.
    pub(crate) looped: bool,
    /// One for each device.
    pub(crate) devices: Vec<DeviceSheet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_cover_every_place_once_and_know_the_least_of_what_they_cover() {
        for count in [1_usize, 3, 8, 9, 31, 64, 65] {
            let value = |place: usize| ((place * 7919 + 13) % 101) as f64;
            let mut least = Least::default();
            least.fill(&Places::of(count, 8, [Node::root(count, 8)].iter()), value);
            let mut seen = vec![0_u32; count];
            let mut open = vec![Node::root(count, 8)];
            while let Some(node) = open.pop() {
                let expected = node.places.clone().map(value).fold(f64::INFINITY, f64::min);
                assert_eq!(least.over(node.node), expected, "{count} {node:?}");
                if node.is_leaf() {
                    node.places.for_each(|place| seen[place] += 1);
                } else {
                    open.extend(node.halves());
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{count}: {seen:?}");
        }
    }

    #[test]
    fn places_that_are_not_wanted_are_infinite() {
        let [left, right] = Node::root(30, 4).halves();
        let mut least = Least::default();
        least.fill(&Places::of(30, 4, [left.halves()[1].clone(), right.clone()].iter()), |place| {
            assert!(place >= 8, "{place}");
            place as f64
        });
        assert_eq!((least.over(left.node), least.over(right.node), least.over(1)), (8.0, 16.0, 8.0));
        assert_eq!(least.over(left.halves()[0].node), f64::INFINITY);
    }
}
