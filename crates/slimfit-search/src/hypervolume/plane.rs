//! Hypervolume of two and of three objectives: a staircase in the plane, swept along the third.

use crate::dominance::order_key;
use std::collections::BTreeMap;

/// Two objectives.
pub(super) fn area(points: &[[f64; 2]], reference: [f64; 2]) -> f64 {
    let mut staircase = Staircase::new(reference);
    for point in points {
        staircase.insert(*point);
    }
    staircase.area
}

/// Three objectives: the area that points up to some third objective dominate, times how far it reaches.
pub(super) fn volume(points: &[[f64; 3]], reference: [f64; 3]) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_unstable_by(|a, b| a[2].total_cmp(&b[2]));
    let mut staircase = Staircase::new([reference[0], reference[1]]);
    let mut volume = 0.0;
    for (place, point) in sorted.iter().enumerate() {
        staircase.insert([point[0], point[1]]);
        let next = sorted.get(place + 1).map_or(reference[2], |next| next[2]);
        volume += staircase.area * (next - point[2]);
    }
    volume
}

/// Points of the plane of which none dominates another, and the area that they dominate.
struct Staircase {
    reference: [f64; 2],
    /// By their first objective; the second falls.
    steps: BTreeMap<u64, [f64; 2]>,
    area: f64,
}

impl Staircase {
    const fn new(reference: [f64; 2]) -> Self {
        Self { reference, steps: BTreeMap::new(), area: 0.0 }
    }

    fn insert(&mut self, [x, y]: [f64; 2]) {
        let key = order_key(x);
        let before = self.steps.range(..=key).next_back().map(|(_, step)| step[1]);
        let mut height = before.unwrap_or(self.reference[1]);
        if height <= y {
            return;
        }
        let mut from = x;
        loop {
            let next = self.steps.range(key..).next().map(|(next, step)| (*next, *step));
            let (until, next_height) = next.map_or(self.reference.into(), |(_, step)| step.into());
            self.area += (until - from) * (height - y);
            match next {
                Some((beaten, _)) if next_height >= y => {
                    self.steps.remove(&beaten);
                    (from, height) = (until, next_height);
                }
                _ => break,
            }
        }
        self.steps.insert(key, [x, y]);
    }
}
