//! Filters of different points that are sorted by all objectives in turn: one, two and three objectives.

use super::order::key;

/// One objective: the first of different points.
pub(super) fn one(points: &[[f64; 1]]) -> Vec<bool> {
    (0..points.len()).map(|place| place == 0).collect()
}

/// Two objectives: a point stays when it is less in the second than every earlier one. O(n).
pub(super) fn two(points: &[[f64; 2]]) -> Vec<bool> {
    let mut least = None;
    let mut stays = |second: f64| {
        let stays = least.is_none_or(|least| second < least);
        if stays {
            least = Some(second);
        }
        stays
    };
    points.iter().map(|point| stays(point[1])).collect()
}

/// Three objectives: a point stays when every earlier one that is at most as large in the second is larger in the third.
/// O(n log n).
pub(super) fn three(points: &[[f64; 3]]) -> Vec<bool> {
    let ranks = ranks(points.iter().map(|point| point[1]));
    let mut least = PrefixMinimum::default();
    least.clear(points.len());
    let mut stays = |point: &[f64; 3], rank: u32| {
        let stays = !least.is_at_most(rank, point[2]);
        if stays {
            least.lower(rank, point[2]);
        }
        stays
    };
    points.iter().zip(&ranks).map(|(point, rank)| stays(point, *rank)).collect()
}

/// Ranks from 1; equal values share one.
fn ranks(values: impl ExactSizeIterator<Item = f64>) -> Vec<u32> {
    let mut ranks = vec![0; values.len()];
    let mut keyed: Vec<(u64, u32)> = values.zip(0..).map(|(value, place)| (key(value), place)).collect();
    keyed.sort_unstable();
    let (mut rank, mut last) = (0, None);
    for (key, place) in keyed {
        if last != Some(key) {
            rank += 1;
            last = Some(key);
        }
        ranks[place as usize] = rank;
    }
    ranks
}

/// The least value among ranks up to one: a Fenwick tree.
#[derive(Default)]
pub(super) struct PrefixMinimum {
    /// `tree[i]` covers the `i & -i` ranks that end with `i`.
    tree: Vec<f64>,
    /// Ranks that hold something; infinity alone would not tell a value that is infinite from none.
    lowest: u32,
}

impl PrefixMinimum {
    /// Forgets everything and holds ranks from 1 to `most`.
    pub(super) fn clear(&mut self, most: usize) {
        self.tree.clear();
        self.tree.resize(most + 1, f64::INFINITY);
        self.lowest = u32::MAX;
    }

    /// Notes a value.
    pub(super) fn lower(&mut self, rank: u32, value: f64) {
        self.lowest = self.lowest.min(rank);
        let mut place = rank as usize;
        while place < self.tree.len() && value < self.tree[place] {
            self.tree[place] = value;
            // What covers more holds no more.
            place += place & place.wrapping_neg();
        }
    }

    /// Whether some value noted at a rank up to `rank` is at most `value`.
    pub(super) fn is_at_most(&self, rank: u32, value: f64) -> bool {
        if rank < self.lowest {
            return false;
        }
        let mut place = rank as usize;
        while place > 0 {
            if self.tree[place] <= value {
                return true;
            }
            place &= place - 1;
        }
        false
    }
}
