//! Working sets, cut into intervals of one regime for each thread count: which thread counts a model there may take, and
//! whether models from elsewhere may stand beside those of an interval.

use super::layer::Once;
use super::problems::Trial;
use super::quantity::{Charge, Quantity};
use crate::SearchError;
use slimfit_cost::RegimeId;

/// Working sets in which every thread count has one regime.
#[derive(Debug, Clone)]
pub(super) struct Interval {
    /// Working sets above this,
    pub(super) above: f64,
    /// up to this.
    pub(super) up_to: f64,
    /// By place of the thread count.
    pub(super) regimes: Vec<RegimeId>,
}

/// Quantities that hang on thread count and regime.
const CHARGED: [Quantity; 4] = [Quantity::Decode, Quantity::Prefill, Quantity::Joules, Quantity::Memory];

impl Interval {
    pub(super) fn charge(&self, thread_place: usize) -> Charge {
        Charge::Exact { thread_place, regimes: self.regimes.clone() }
    }
}

/// What models of a problem may be made of.
pub(super) struct Choice<'c> {
    /// What each of them is charged once.
    pub(super) once: &'c Once,
    /// Groups of positions with the layers that may stand there.
    pub(super) groups: &'c [(u64, Vec<usize>)],
}

impl Trial<'_> {
    /// Working sets from `least` to `most`, cut wherever some thread count changes its regime.
    pub(super) fn intervals(&self, least: f64, most: f64) -> Result<Vec<Interval>, SearchError> {
        let cost = self.evaluator.cost();
        let mut ends: Vec<f64> = Vec::new();
        for threads in cost.thread_counts() {
            for regime in cost.regimes_between(threads, least, most)? {
                ends.push(cost.regimes()[regime.index()].up_to_bytes);
            }
        }
        ends.retain(|end| *end < most);
        ends.push(most);
        ends.sort_by(f64::total_cmp);
        ends.dedup();
        let mut above = 0.0;
        let mut intervals = Vec::new();
        for end in ends.into_iter().filter(|end| *end >= least) {
            let regimes = cost.thread_counts().map(|threads| cost.regime(threads, end));
            intervals.push(Interval { above, up_to: end, regimes: regimes.collect::<Result<_, _>>()? });
            above = end;
        }
        Ok(intervals)
    }

    /// Thread counts that may be faster than the one at a place somewhere in an interval; nothing where one always is.
    pub(super) fn slower(
        &mut self,
        groups: &[(u64, Vec<usize>)],
        thread_place: usize,
        interval: &Interval,
    ) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        let charge = interval.charge(thread_place);
        for other in (0..interval.regimes.len()).filter(|other| *other != thread_place) {
            let outer = self.outer_value(Quantity::Slower(other), &charge, &[]);
            let value = |trial: &mut Self, place| trial.layer_value(place, Quantity::Slower(other), &charge);
            if outer + self.extreme(groups, value, f64::min) > 0.0 {
                return None;
            }
            if outer + self.extreme(groups, value, f64::max) > 0.0 {
                found.push(other);
            }
        }
        Some(found)
    }

    /// Whether some model of another interval may take more of something than it is charged in `interval` with that thread
    /// count.
    pub(super) fn undercharges(
        &mut self,
        choice: &Choice<'_>,
        thread_place: usize,
        interval: &Interval,
        elsewhere: &Interval,
    ) -> bool {
        let here = interval.charge(thread_place);
        let asked: Vec<Quantity> = CHARGED.into_iter().filter(|known| self.asked.contains(known)).collect();
        (0..elsewhere.regimes.len()).any(|taken| {
            self.slower(choice.groups, taken, elsewhere).is_some()
                && asked.iter().any(|quantity| {
                    // Whatever the count, TPOT is no longer than with this one.
                    let taken = if *quantity == Quantity::Decode { thread_place } else { taken };
                    let there = elsewhere.charge(taken);
                    let outer = self.outer_value(*quantity, &there, choice.once)
                        - self.outer_value(*quantity, &here, choice.once);
                    let value = |trial: &mut Self, place| {
                        trial.layer_value(place, *quantity, &there)
                            - trial.layer_value(place, *quantity, &here)
                    };
                    outer + self.extreme(choice.groups, value, f64::max) > 0.0
                })
        })
    }
}
