//! Labels in a tree of boxes, so that pairs of boxes can be ruled out at once.

use super::labels::Labels;

/// Labels of the smallest box.
pub(crate) const LEAF: usize = 32;

/// A box: which places it covers, and the least that its labels have of each quantity.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) low: Vec<f64>,
    /// Its halves.
    pub(crate) children: Option<(usize, usize)>,
}

impl Node {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// A tree; node 0 is its root.
#[derive(Debug, Default)]
pub(crate) struct Boxes {
    /// Labels by place.
    pub(crate) order: Vec<u32>,
    pub(crate) nodes: Vec<Node>,
}

impl Boxes {
    pub(crate) fn new(labels: &Labels) -> Self {
        let mut boxes = Self { order: Vec::new(), nodes: Vec::new() };
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        boxes.build(labels, &mut order, 0);
        boxes.order = order;
        boxes
    }

    fn build(&mut self, labels: &Labels, order: &mut [u32], start: usize) -> usize {
        let dimensions = labels.dimensions;
        let (mut low, mut high) = (vec![f64::INFINITY; dimensions], vec![f64::NEG_INFINITY; dimensions]);
        for &label in order.iter() {
            for (axis, &value) in labels.value(label as usize).iter().enumerate() {
                low[axis] = low[axis].min(value);
                high[axis] = high[axis].max(value);
            }
        }
        // Relative: units differ.
        let width = |axis: usize| (high[axis] - low[axis]) / low[axis].abs().max(high[axis].abs()).max(1.0);
        let widest = (0..dimensions).max_by(|&a, &b| width(a).total_cmp(&width(b)).then(b.cmp(&a)));
        let node = self.nodes.len();
        self.nodes.push(Node { start, end: start + order.len(), low, children: None });
        if order.len() > LEAF
            && let Some(axis) = widest
        {
            let half = order.len() / 2;
            let key = |label: u32| labels.value(label as usize)[axis];
            order.select_nth_unstable_by(half, |&a, &b| key(a).total_cmp(&key(b)).then(a.cmp(&b)));
            let (near, far) = order.split_at_mut(half);
            let first = self.build(labels, near, start);
            let second = self.build(labels, far, start + half);
            self.nodes[node].children = Some((first, second));
        }
        node
    }

    /// Nodes of at most `size` labels, or smallest ones, which together cover all.
    pub(crate) fn level(&self, size: usize) -> Vec<usize> {
        let mut open = vec![0];
        let mut level = Vec::new();
        while let Some(node) = open.pop() {
            match self.nodes[node].children {
                Some((first, second)) if self.nodes[node].len() > size => open.extend([second, first]),
                _ => level.push(node),
            }
        }
        level
    }

    /// The smallest box that covers a place.
    pub(crate) fn leaf(&self, place: usize) -> usize {
        let mut node = 0;
        while let Some((first, second)) = self.nodes[node].children {
            node = if place < self.nodes[first].end { first } else { second };
        }
        node
    }
}
