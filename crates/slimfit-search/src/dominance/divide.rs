//! The filter of four and more objectives: divide and conquer (Kung, Luccio and Preparata, 1975; Jensen, 2003).
//!
//! Points are different and sorted by all objectives in turn, so one dominates another exactly where it comes before it
//! and is at most as large in every objective but the first. The first half of the points is filtered, the second asks
//! what stayed of it, and what stays of the second is filtered. To ask in more than three objectives, both sides are split
//! at the median of one of them: what lies below need not be compared in it with what lies above. To ask in three is a
//! sweep in the order of one, for the least value of the last by rank of the one between.

use super::order::key;
use super::sweep::PrefixMinimum;

/// Up to so many points are compared each with each.
const FEW: usize = 48;
/// Up to so many pairs of an asking and an asked point are compared one by one, where three, four and more objectives
/// are left: splits are the dearer the more are left.
const FEW_PAIRS: [usize; 3] = [8_000, 300_000, 1_000_000];

/// Which points stay: O(n logᴰ⁻² n).
pub(super) fn divide<const D: usize>(points: &[[f64; D]]) -> Vec<bool> {
    let mut divide = Divide {
        points,
        stays: vec![true; points.len()],
        rank: vec![0; points.len()],
        least: PrefixMinimum::default(),
    };
    let all = Side { swept: sorted(points, D - 3), ranked: sorted(points, D - 2) };
    divide.solve(0, points.len(), all);
    divide.stays
}

/// The value of an objective, and the point that has it.
type Keyed = (f64, u32);

fn sorted<const D: usize>(points: &[[f64; D]], axis: usize) -> Vec<Keyed> {
    let mut keyed: Vec<(u64, u32)> =
        points.iter().zip(0..).map(|(point, place)| (key(point[axis]), place)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, place)| (points[place as usize][axis], place)).collect()
}

/// Some points, by the last objective but two, in which sweeps go, and by the last but one, which they rank.
struct Side {
    swept: Vec<Keyed>,
    ranked: Vec<Keyed>,
}

impl Side {
    fn len(&self) -> usize {
        self.swept.len()
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.swept.iter().map(|(_, place)| *place as usize)
    }

    fn of(&self, chosen: impl Fn(usize) -> bool) -> Self {
        let of = |list: &[Keyed]| list.iter().filter(|(_, place)| chosen(*place as usize)).copied().collect();
        Self { swept: of(&self.swept), ranked: of(&self.ranked) }
    }

    fn retain(&mut self, chosen: impl Fn(usize) -> bool) {
        self.swept.retain(|(_, place)| chosen(*place as usize));
        self.ranked.retain(|(_, place)| chosen(*place as usize));
    }
}

struct Divide<'a, const D: usize> {
    points: &'a [[f64; D]],
    stays: Vec<bool>,
    /// Of a point of either side, among the points that are asked; scratch of a sweep.
    rank: Vec<u32>,
    least: PrefixMinimum,
}

impl<const D: usize> Divide<'_, D> {
    /// Filters the points of `all`, which lie from `start` to `end`, among themselves.
    fn solve(&mut self, start: usize, end: usize, mut all: Side) {
        if all.len() <= FEW {
            self.each_with_each(&all);
            return;
        }
        let middle = start.midpoint(end);
        let mut after = all.of(|place| place >= middle);
        all.retain(|place| place < middle);
        let mut before = all;
        // The recursion consumes what it filters; the sorted lists are needed once more.
        self.solve(start, middle, before.of(|_| true));
        before.retain(|place| self.stays[place]);
        self.ask(1, &before, &after);
        drop(before);
        after.retain(|place| self.stays[place]);
        self.solve(middle, end, after);
    }

    fn each_with_each(&mut self, all: &Side) {
        let mut places: Vec<usize> = all.places().collect();
        places.sort_unstable();
        let mut kept: Vec<[f64; D]> = Vec::with_capacity(places.len());
        for place in places {
            let point = &self.points[place];
            if kept.iter().any(|other| reaches(other, point)) {
                self.stays[place] = false;
            } else {
                kept.push(*point);
            }
        }
    }

    /// Drops points of `after` that some point of `before` dominates; it is known to be at most as large in all
    /// objectives before `axis`.
    fn ask(&mut self, axis: usize, before: &Side, after: &Side) {
        if before.len() * after.len() <= FEW_PAIRS[(D - axis - 3).min(2)] {
            let asked: Vec<[f64; D]> = before.places().map(|place| self.points[place]).collect();
            // Both go by the same objective, so each asks but a beginning.
            let mut reach = 0;
            for place in after.places() {
                let point = &self.points[place];
                while asked.get(reach).is_some_and(|other| other[D - 3] <= point[D - 3]) {
                    reach += 1;
                }
                self.stays[place] &= !asked[..reach].iter().any(|other| reaches(other, point));
            }
            return;
        }
        if axis == D - 3 {
            self.sweep(before, after);
            return;
        }
        let points = self.points;
        let value = |place: usize| points[place][axis];
        let mut values: Vec<f64> = before.places().chain(after.places()).map(value).collect();
        let middle = values.len() / 2;
        let median = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
        drop(values);
        self.ask(
            axis + 1,
            &before.of(|place| value(place) <= median),
            &after.of(|place| value(place) >= median),
        );
        self.ask(axis, &before.of(|place| value(place) < median), &after.of(|place| value(place) < median));
        let above = after.of(|place| value(place) > median && self.stays[place]);
        self.ask(axis, &before.of(|place| value(place) > median), &above);
    }

    /// The same for the last three objectives.
    fn sweep(&mut self, before: &Side, after: &Side) {
        let mut asked = 0;
        for (value, place) in &after.ranked {
            while let Some((earlier, place)) = before.ranked.get(asked)
                && earlier <= value
            {
                asked += 1;
                self.rank[*place as usize] = asked as u32;
            }
            self.rank[*place as usize] = asked as u32;
        }
        for (_, place) in &before.ranked[asked..] {
            // Larger than all that ask.
            self.rank[*place as usize] = 0;
        }
        self.least.clear(asked);
        let mut next = 0;
        for (value, place) in &after.swept {
            while let Some((earlier, place)) = before.swept.get(next)
                && earlier <= value
            {
                next += 1;
                let place = *place as usize;
                if self.rank[place] > 0 {
                    self.least.lower(self.rank[place], self.points[place][D - 1]);
                }
            }
            let place = *place as usize;
            if self.least.is_at_most(self.rank[place], self.points[place][D - 1]) {
                self.stays[place] = false;
            }
        }
    }
}

/// Whether `a` is at most as large in every objective but the first.
fn reaches<const D: usize>(a: &[f64; D], b: &[f64; D]) -> bool {
    (1..D).fold(true, |all, axis| all & (a[axis] <= b[axis]))
}
