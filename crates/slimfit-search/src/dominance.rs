//! Dominance: which points no other point beats. All objectives are minimised.
//!
//! `a` dominates `b` when it is at most `b` in every objective and less in at least one; equal points do not dominate
//! each other, so all of them stay.

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

    /// Some point of the tree that dominates `point`.
    pub(crate) fn dominator(&self, point: &[f64]) -> Option<&[f64]> {
        self.dominator_within(point, &mut usize::MAX.clone())
    }

    /// The same, where it is found within so many nodes, which are counted down.
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

/// [`at_most`] without a branch for each objective.
fn at_most_all<const D: usize>(a: &[f64; D], b: &[f64; D]) -> bool {
    let mut all = true;
    for axis in 0..D {
        all &= a[axis] <= b[axis];
    }
    all
}

/// [`dominates`] without a branch for each objective.
fn dominates_all<const D: usize>(a: &[f64; D], b: &[f64; D]) -> bool {
    let (mut all, mut less) = (true, false);
    for axis in 0..D {
        all &= a[axis] <= b[axis];
        less |= a[axis] < b[axis];
    }
    all & less
}

/// Whether `a` is at most `b` in every objective.
pub(crate) fn at_most(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Whether `a` dominates `b`.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut less = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        less |= a < b;
    }
    less
}

/// Places of the points that no other point dominates, ascending. `values` holds `dimensions` objectives to a point, no
/// NaN among them.
///
/// Sorted by all objectives in turn, a point can only be dominated by an earlier one, so every point is asked once
/// against the survivors before it. Survivors lie in k-d trees whose sizes double (Bentley and Saxe), so that each is
/// rebuilt into a tree a logarithmic number of times.
pub fn non_dominated(values: &[f64], dimensions: usize) -> Vec<usize> {
    if dimensions == 0 {
        return Vec::new();
    }
    let point = |place: usize| &values[place * dimensions..][..dimensions];
    let mut order: Vec<usize> = (0..values.len() / dimensions).collect();
    order.sort_unstable_by(|&a, &b| compare(point(a), point(b)).then(a.cmp(&b)));
    // The first objective never decides among earlier points, so trees hold the others; of two equal points the second
    // has the fate of the first.
    let mut survivors = Survivors::new(dimensions);
    let mut kept: Vec<usize> = Vec::new();
    let mut previous: Option<(usize, bool)> = None;
    for place in order {
        let keep = match previous {
            Some((before, fate)) if point(before) == point(place) => fate,
            _ => {
                let keep = !survivors.dominate(point(place));
                if keep {
                    survivors.insert(point(place));
                }
                keep
            }
        };
        previous = Some((place, keep));
        if keep {
            kept.push(place);
        }
    }
    kept.sort_unstable();
    kept
}

/// Points by all objectives in turn.
pub(crate) fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.total_cmp(b))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// A set that grows: a short list and trees of doubling sizes.
struct Survivors {
    dimensions: usize,
    recent: Vec<f64>,
    trees: Vec<Option<DominanceTree>>,
    /// Points that dominated lately: the next point is often beaten by the same ones.
    strong: Vec<f64>,
    next_strong: usize,
}

const RECENT: usize = 64;
const STRONG: usize = 16;

impl Survivors {
    fn new(dimensions: usize) -> Self {
        Self { dimensions, recent: Vec::new(), trees: Vec::new(), strong: Vec::new(), next_strong: 0 }
    }

    fn dominate(&mut self, point: &[f64]) -> bool {
        let dimensions = self.dimensions;
        if self.strong.chunks_exact(dimensions).any(|other| dominates(other, point)) {
            return true;
        }
        if let Some(other) = self.recent.chunks_exact(dimensions).find(|other| dominates(other, point)) {
            let other = other.to_vec();
            self.remember(&other);
            return true;
        }
        // The largest tree is the likeliest to answer.
        for tree in self.trees.iter().rev().flatten() {
            if let Some(other) = tree.dominator(point) {
                let other = other.to_vec();
                self.remember(&other);
                return true;
            }
        }
        false
    }

    fn remember(&mut self, point: &[f64]) {
        if self.strong.len() < STRONG * self.dimensions {
            self.strong.extend_from_slice(point);
        } else {
            let start = self.next_strong * self.dimensions;
            self.strong[start..start + self.dimensions].copy_from_slice(point);
            self.next_strong = (self.next_strong + 1) % STRONG;
        }
    }

    fn insert(&mut self, point: &[f64]) {
        self.recent.extend_from_slice(point);
        if self.recent.len() < RECENT * self.dimensions {
            return;
        }
        let mut values = std::mem::take(&mut self.recent);
        for slot in &mut self.trees {
            match slot.take() {
                Some(tree) => values.extend_from_slice(&tree.values),
                None => {
                    *slot = Some(DominanceTree::new(values, self.dimensions));
                    return;
                }
            }
        }
        self.trees.push(Some(DominanceTree::new(values, self.dimensions)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute_force(values: &[f64], dimensions: usize) -> Vec<usize> {
        let points: Vec<&[f64]> = values.chunks_exact(dimensions).collect();
        (0..points.len())
            .filter(|&place| !points.iter().any(|other| dominates(other, points[place])))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_filter_is_brute_force(
            dimensions in 1_usize..6,
            coarse in any::<bool>(),
            raw in prop::collection::vec(0.0_f64..1.0, 0..1500),
        ) {
            // Coarse values make ties and equal points likely.
            let mut values: Vec<f64> = raw.iter().map(|value| if coarse { (value * 4.0).floor() } else { *value }).collect();
            values.truncate(values.len() / dimensions * dimensions);
            prop_assert_eq!(non_dominated(&values, dimensions), brute_force(&values, dimensions));
        }
    }

    #[test]
    fn a_front_of_thousands_is_kept_whole_and_the_points_behind_it_are_not() {
        // On the plane x + y + z = 1 nothing dominates; each point shifted outwards is dominated.
        let mut values = Vec::new();
        for i in 0..60 {
            for j in 0..60 - i {
                let (x, y) = (i as f64, j as f64);
                values.extend([x, y, 60.0 - x - y]);
                values.extend([x + 0.5, y + 0.5, 60.0 - x - y]);
            }
        }
        let kept = non_dominated(&values, 3);
        assert_eq!(kept.len(), values.len() / 6);
        assert!(kept.iter().all(|place| place % 2 == 0));
    }
}
