//! Non-dominated sorting with crowding distances: NSGA-II's order (Deb, Pratap, Agarwal and Meyarivan 2002).

use super::random::Random;
use crate::dominance::non_dominated;

/// Where a point stands among others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    /// 0 on the front, 1 on the front of the rest, and so on.
    pub(super) rank: usize,
    /// How empty its surroundings on its front are; infinite at the ends.
    pub(super) crowding: f64,
}

impl Standing {
    pub(super) fn beats(&self, other: &Self) -> bool {
        (self.rank, -self.crowding) < (other.rank, -other.crowding)
    }
}

/// The standing of each of these points, all of whose numbers are minimised.
pub(super) fn standings(points: &[Vec<f64>]) -> Vec<Standing> {
    let dimensions = points.first().map_or(0, Vec::len);
    let mut standings = vec![Standing { rank: 0, crowding: 0.0 }; points.len()];
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut rank = 0;
    while !left.is_empty() && dimensions > 0 {
        let values: Vec<f64> = left.iter().flat_map(|&place| &points[place]).copied().collect();
        let front: Vec<usize> =
            non_dominated(&values, dimensions).into_iter().map(|place| left[place]).collect();
        for &place in &front {
            standings[place].rank = rank;
        }
        (0..dimensions).for_each(|axis| crowd(points, &front, axis, &mut standings));
        left.retain(|place| front.binary_search(place).is_err());
        rank += 1;
    }
    standings
}

/// Adds to each point of a front the gap that one axis leaves around it.
fn crowd(points: &[Vec<f64>], front: &[usize], axis: usize, standings: &mut [Standing]) {
    let mut order = front.to_vec();
    order.sort_by(|&a, &b| points[a][axis].total_cmp(&points[b][axis]).then(a.cmp(&b)));
    let (first, last) = (order[0], order[order.len() - 1]);
    let range = points[last][axis] - points[first][axis];
    for ends in [first, last] {
        standings[ends].crowding = f64::INFINITY;
    }
    for three in order.windows(3).filter(|_| range > 0.0) {
        standings[three[1]].crowding += (points[three[2]][axis] - points[three[0]][axis]) / range;
    }
}

/// The better of two drawn at random. There is at least one.
pub(super) fn tournament(standings: &[Standing], random: &mut Random) -> usize {
    let mut draw = || random.below(standings.len() as u64) as usize;
    let (a, b) = (draw(), draw());
    if standings[b].beats(&standings[a]) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_are_peeled_and_ends_come_before_the_crowded() {
        let points: Vec<Vec<f64>> = [[0.0, 4.0], [1.0, 1.0], [1.1, 0.9], [4.0, 0.0], [2.0, 2.0], [5.0, 5.0]]
            .map(|point| point.to_vec())
            .into();
        let standings = standings(&points);
        let ranks: Vec<usize> = standings.iter().map(|standing| standing.rank).collect();
        assert_eq!(ranks, [0, 0, 0, 0, 1, 2]);
        assert!(standings[0].crowding.is_infinite() && standings[3].crowding.is_infinite());
        assert!(standings[1].crowding.is_finite() && standings[1].crowding > 0.0);
        assert!(standings[0].beats(&standings[1]) && standings[1].beats(&standings[4]));
        let mut random = Random::new(1);
        let wins = (0..1000).filter(|_| tournament(&standings, &mut random) == 5).count();
        assert!(wins < 60, "the worst wins against itself alone: {wins}");
    }
}
