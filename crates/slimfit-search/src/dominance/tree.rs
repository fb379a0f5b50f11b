//! A k-d tree that tells whether any of its points dominates another.

use super::{at_most, at_most_all, dominates, dominates_all};

/// A static k-d tree over points that answers: does any of them dominate this one?
#[derive(Debug, Default)]
pub(crate) struct DominanceTree {
    dimensions: usize,
    /// Points in leaf order, `dimensions` values each.
    values: Vec<f64>,
    nodes: Vec<Node>,
    /// Smallest and largest corner of each node, `2 · dimensions` values each.
    corners: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    start: usize,
    end: usize,
    /// The second child; the first follows its parent. 0 for leaves.
    second: usize,
}

const LEAF: usize = 16;

impl DominanceTree {
    /// Builds a tree over `values`, `dimensions` to a point.
    pub(crate) fn new(mut values: Vec<f64>, dimensions: usize) -> Self {
        let count = values.len() / dimensions;
        let mut order: Vec<usize> = (0..count).collect();
        let mut tree = Self { dimensions, values: Vec::new(), nodes: Vec::new(), corners: Vec::new() };
        if count > 0 {
            tree.build(&values, &mut order, 0);
        }
        let sorted =
            order.iter().flat_map(|&point| values[point * dimensions..][..dimensions].to_vec()).collect();
        values.clear();
        tree.values = sorted;
        tree
    }

    fn build(&mut self, values: &[f64], order: &mut [usize], start: usize) {
        let dimensions = self.dimensions;
        let node = self.nodes.len();
        self.nodes.push(Node { start, end: start + order.len(), second: 0 });
        let corner = self.corners.len();
        self.corners.resize(corner + 2 * dimensions, 0.0);
        let mut widest = (0, -1.0);
        for axis in 0..dimensions {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for &point in order.iter() {
                let value = values[point * dimensions + axis];
                low = low.min(value);
                high = high.max(value);
            }
            self.corners[corner + axis] = low;
            self.corners[corner + dimensions + axis] = high;
            // Relative width: objectives differ by twelve orders of magnitude.
            let width = (high - low) / (high.abs() + low.abs()).max(f64::MIN_POSITIVE);
            if width > widest.1 {
                widest = (axis, width);
            }
        }
        if order.len() <= LEAF {
            return;
        }
        let half = order.len() / 2;
        order.select_nth_unstable_by(half, |&a, &b| {
            values[a * dimensions + widest.0].total_cmp(&values[b * dimensions + widest.0])
        });
        let (near, far) = order.split_at_mut(half);
        self.build(values, near, start);
        self.nodes[node].second = self.nodes.len();
        self.build(values, far, start + half);
    }

    /// Some point of the tree that dominates `point`, where it is found within so many nodes, which are counted down.
    pub(crate) fn dominator_within(&self, point: &[f64], left: &mut usize) -> Option<&[f64]> {
        match self.dimensions {
            2 => self.dominator_of::<2>(point, left),
            3 => self.dominator_of::<3>(point, left),
            4 => self.dominator_of::<4>(point, left),
            5 => self.dominator_of::<5>(point, left),
            _ => self.dominator_in(point, left),
        }
    }

    /// [`DominanceTree::dominator_in`] for a known number of objectives, compared all at once.
    fn dominator_of<const D: usize>(&self, point: &[f64], left: &mut usize) -> Option<&[f64]> {
        let (point, _) = point.as_chunks::<D>();
        let point = point.first()?;
        let (corners, _) = self.corners.as_chunks::<D>();
        let (values, _) = self.values.as_chunks::<D>();
        let mut stack = [0_usize; 64];
        let mut depth = usize::from(!self.nodes.is_empty());
        while depth > 0 && *left > 0 {
            depth -= 1;
            *left -= 1;
            let index = stack[depth];
            if !at_most_all(&corners[2 * index], point) {
                continue;
            }
            let node = self.nodes[index];
            if dominates_all(&corners[2 * index + 1], point) {
                return Some(&values[node.start]);
            }
            if node.second == 0 {
                if let Some(other) =
                    values[node.start..node.end].iter().find(|other| dominates_all(other, point))
                {
                    return Some(other);
                }
            } else {
                stack[depth] = node.second;
                stack[depth + 1] = index + 1;
                depth += 2;
            }
        }
        None
    }

    fn dominator_in(&self, point: &[f64], left: &mut usize) -> Option<&[f64]> {
        let dimensions = self.dimensions;
        let mut stack = [0_usize; 64];
        let mut depth = usize::from(!self.nodes.is_empty());
        while depth > 0 && *left > 0 {
            depth -= 1;
            *left -= 1;
            let index = stack[depth];
            let corners = &self.corners[index * 2 * dimensions..][..2 * dimensions];
            let (low, high) = corners.split_at(dimensions);
            if !at_most(low, point) {
                continue;
            }
            let node = self.nodes[index];
            if dominates(high, point) {
                return Some(&self.values[node.start * dimensions..][..dimensions]);
            }
            if node.second == 0 {
                let leaf = &self.values[node.start * dimensions..node.end * dimensions];
                if let Some(other) = leaf.chunks_exact(dimensions).find(|other| dominates(other, point)) {
                    return Some(other);
                }
            } else {
                stack[depth] = node.second;
                stack[depth + 1] = index + 1;
                depth += 2;
            }
        }
        None
    }
}
