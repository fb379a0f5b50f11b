//! From a trunk to sums over layers: which problems, solved one by one, have its front between them.

use super::intervals::{Choice, Interval};
use super::layer::{Layers, Once, joined, once_bytes};
use super::model::Trunk;
use super::quantity::{Charge, Quantity, charged};
use crate::layers::{CountBound, DIMENSIONS, Direction, Limit, Positions, Problem};
use crate::space::Window;
use crate::{ModelEvaluator, SearchError, Space};
use slimfit_cost::{PROCESS_BYTES, RegimeId};

/// A problem, and what its answer means.
#[derive(Debug)]
pub(crate) struct Posed {
    pub(crate) problem: Problem,
    pub(crate) quantities: Vec<Quantity>,
    /// Layers behind the kinds of the problem: places in the family's list.
    pub(crate) layers: Vec<usize>,
}

/// A class of models whose corrections of quality are the same.
struct Class {
    layers: Vec<usize>,
    /// `(layers, at least so many)`
    bounds: Vec<(Vec<usize>, usize)>,
}

/// What is asked of one trunk.
pub(crate) struct Trial<'t> {
    pub(crate) space: &'t Space,
    pub(crate) evaluator: &'t ModelEvaluator<'t>,
    pub(crate) layers: &'t mut Layers,
    pub(crate) allowed: &'t [usize],
    pub(crate) trunk: Trunk,
    pub(crate) vocabulary: usize,
    pub(crate) asked: &'t [Quantity],
    /// Limits of quantities, at most.
    pub(crate) limits: &'t [(Quantity, f64)],
}

/// The problems of one class of models.
pub(crate) struct Posing {
    /// Together they have every model of the class that is on the front; nothing where they would be too many, or of too many
    /// quantities.
    pub(crate) exact: Option<Vec<Posed>>,
    /// One whose sums are bounds from below, of all models of the class.
    pub(crate) relaxed: Posed,
}

/// Problems that a class is split into at most: past this, one relaxed problem tells more in the same time.
const MOST_PROBLEMS: usize = 2000;
/// Sums of what models have once.
const MOST_CEILINGS: usize = 200;

impl Trial<'_> {
    /// The problems of all classes of models.
    ///
    /// # Errors
    /// When the cost model does not know its own thread counts: a fault of this program.
    pub(crate) fn pose(&mut self) -> Result<Vec<Posing>, SearchError> {
        self.classes().into_iter().map(|class| self.class(&class)).collect()
    }

    fn classes(&self) -> Vec<Class> {
        let Self { evaluator, layers, allowed, asked, .. } = self;
        let layer = |place: &usize| &layers.layers[*place];
        let law = &evaluator.law;
        let quality = asked.contains(&Quantity::NonEmbedding);
        let sharing = |place: &usize| {
            let (ratio, single) = (layer(place).heads_per_kv_head(), layer(place).single_kv_head());
            if !quality {
                0
            } else if law.assumes_heads(ratio, single) {
                2
            } else {
                u8::from(ratio > 1)
            }
        };
        let mut sharings: Vec<u8> = allowed.iter().map(sharing).collect();
        sharings.sort_unstable();
        sharings.dedup();
        // Corrections that rise from class to class need no bound: a model of a lower class that is an answer of a higher one is
        // better than what it is charged.
        let nats =
            |place: &usize| law.heads_nats(layer(place).heads_per_kv_head(), layer(place).single_kv_head());
        let heads_rise = !quality
            || allowed.iter().all(|a| allowed.iter().all(|b| sharing(a) >= sharing(b) || nats(a) <= nats(b)));
        let cutting = |place: &usize| layers.pattern.is_none() && layer(place).cuts;
        let (_, every) = law.window_rule();
        let mut classes = Vec::new();
        for (place, most) in sharings.iter().enumerate() {
            let of_sharing: Vec<usize> =
                allowed.iter().copied().filter(|layer| sharing(layer) <= *most).collect();
            let has_it: Vec<usize> =
                of_sharing.iter().copied().filter(|layer| sharing(layer) == *most).collect();
            let mut bounds = Vec::new();
            if place > 0 && !heads_rise {
                bounds.push((has_it, 1));
            }
            let whole: Vec<usize> = of_sharing.iter().copied().filter(|layer| !cutting(layer)).collect();
            let cut: Vec<usize> = of_sharing.iter().copied().filter(cutting).collect();
            if !cut.is_empty() {
                let full: Vec<usize> =
                    of_sharing.iter().copied().filter(|place| layer(place).window.is_none()).collect();
                let mut with_cuts = bounds.clone();
                if law.window_correction() < 0.0 {
                    with_cuts.push((cut, 1));
                }
                with_cuts.push((full, self.trunk.layers.div_ceil(every) as usize));
                classes.push(Class { layers: of_sharing, bounds: with_cuts });
            }
            if !whole.is_empty() {
                classes.push(Class { layers: whole, bounds });
            }
        }
        classes
    }

    fn class(&mut self, class: &Class) -> Result<Posing, SearchError> {
        let groups = self.groups(&class.layers);
        let outer = self.layers.outer.part.working_set_bytes;
        let least = outer
            + self.extreme(&groups, |trial, place| trial.layers.layers[place].working_set_bytes, f64::min);
        let most = outer
            + self.extreme(&groups, |trial, place| trial.layers.layers[place].working_set_bytes, f64::max);
        let intervals = self.intervals(least, most)?;
        let ceilings = self.ceilings(&class.layers);
        let threads = self.evaluator.cost().thread_counts().count();
        let mut exact = Some(Vec::new());
        let mut possible: Vec<(usize, RegimeId)> = Vec::new();
        for (place, interval) in intervals.iter().enumerate() {
            for thread_place in 0..threads {
                if self.slower(&groups, thread_place, interval).is_none() {
                    continue;
                }
                possible.push((thread_place, interval.regimes[thread_place]));
                let Some(problems) = &mut exact else { continue };
                for ceiling in ceilings.iter().flatten() {
                    match self.posed(class, ceiling, thread_place, (&intervals, place)) {
                        Some(posed) if problems.len() < MOST_PROBLEMS => problems.extend(posed),
                        _ => {
                            exact = None;
                            break;
                        }
                    }
                }
            }
        }
        if ceilings.is_none() {
            exact = None;
        }
        // Every model has as much as the least of its layers once.
        let mut once = class.layers.iter().map(|place| self.layers.layers[*place].once.clone());
        let first = once.next().unwrap_or_default();
        let floor = once.fold(first, |a, b| a.iter().zip(&b).map(|(a, b)| *a.min(b)).collect());
        let relaxed =
            self.posed_within(class, (&floor, &class.layers), &Charge::Least(possible), [None; 2], &[]);
        Ok(Posing { exact, relaxed })
    }

    /// Groups of positions with the layers that may stand there; those that are shared out by a pattern are two.
    fn groups(&self, places: &[usize]) -> Vec<(u64, Vec<usize>)> {
        let depth = self.trunk.layers;
        let Some(pattern) = self.layers.pattern else { return vec![(depth, places.to_vec())] };
        let full = Window::full_layers(Some(pattern), depth);
        let with = |windowed: bool| -> Vec<usize> {
            let has = |place: &usize| self.layers.layers[*place].window.is_some() == windowed;
            places.iter().copied().filter(has).collect()
        };
        let groups = [(full, with(false)), (depth - full, with(true))];
        groups.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    /// The least or most of a sum over layers.
    pub(super) fn extreme(
        &mut self,
        groups: &[(u64, Vec<usize>)],
        mut of: impl FnMut(&mut Self, usize) -> f64,
        choose: fn(f64, f64) -> f64,
    ) -> f64 {
        let mut sum = 0.0;
        for (count, places) in groups {
            let mut chosen: Option<f64> = None;
            for place in places {
                let value = of(self, *place);
                chosen = Some(chosen.map_or(value, |chosen| choose(chosen, value)));
            }
            sum += *count as f64 * chosen.unwrap_or(0.0);
        }
        sum
    }

    /// Sums of what models have once: every set of layers has one of them. Nothing where they are too many.
    fn ceilings(&self, places: &[usize]) -> Option<Vec<Once>> {
        let once = |place: &usize| &self.layers.layers[*place].once;
        if !self.asked.contains(&Quantity::Memory) {
            let mut all = places.iter().map(once);
            let first = all.next().cloned().unwrap_or_default();
            return Some(vec![all.fold(first, |a, b| joined(&a, b))]);
        }
        let mut ceilings: Vec<Once> = Vec::new();
        for place in places {
            let with: Vec<Once> = ceilings.iter().map(|ceiling| joined(ceiling, once(place))).collect();
            for ceiling in with.into_iter().chain([once(place).clone()]) {
                if !ceilings.contains(&ceiling) {
                    ceilings.push(ceiling);
                }
            }
            if ceilings.len() > MOST_CEILINGS {
                return None;
            }
        }
        Some(ceilings)
    }

    /// The problem of models that have at most `ceiling` once; none where no model of the class has; nothing where it has too
    /// many quantities.
    fn posed(
        &mut self,
        class: &Class,
        ceiling: &Once,
        thread_place: usize,
        (intervals, place): (&[Interval], usize),
    ) -> Option<Option<Posed>> {
        let interval = &intervals[place];
        let suits = |place: &usize| {
            self.layers.layers[*place].once.iter().zip(ceiling).all(|(own, ceiling)| own <= ceiling)
        };
        let places: Vec<usize> = class.layers.iter().copied().filter(suits).collect();
        let empty = self.groups(&places).iter().any(|(_, kinds)| kinds.is_empty());
        let missing =
            |(of, least): &(Vec<usize>, usize)| *least > 0 && !of.iter().any(|place| places.contains(place));
        if empty || places.is_empty() || class.bounds.iter().any(missing) {
            return Some(None);
        }
        let groups = self.groups(&places);
        let working_set = |trial: &mut Self, place: usize| trial.layers.layers[place].working_set_bytes;
        let outer = self.layers.outer.part.working_set_bytes;
        let least = outer + self.extreme(&groups, working_set, f64::min);
        let most = outer + self.extreme(&groups, working_set, f64::max);
        if most <= interval.above || least > interval.up_to {
            return Some(None);
        }
        let Some(slower) = self.slower(&groups, thread_place, interval) else { return Some(None) };
        let choice = Choice { once: ceiling, groups: &groups };
        let mut below = intervals[..place].iter().filter(|below| below.up_to >= least);
        let mut above = intervals[place + 1..].iter().filter(|above| above.above < most);
        let within = [
            below
                .any(|below| self.undercharges(&choice, thread_place, interval, below))
                .then_some(interval.above.next_up()),
            above
                .any(|above| self.undercharges(&choice, thread_place, interval, above))
                .then_some(interval.up_to),
        ];
        let charge = interval.charge(thread_place);
        let posed = self.posed_within(class, (ceiling, &places), &charge, within, &slower);
        let turned = posed.problem.limits.iter().filter(|limit| {
            let most = posed.problem.directions[limit.quantity] == Direction::Most;
            if most { limit.most.is_some() } else { limit.least.is_some() }
        });
        (posed.quantities.len() + turned.count() <= DIMENSIONS).then_some(Some(posed))
    }

    fn posed_within(
        &mut self,
        class: &Class,
        (once, places): (&Once, &[usize]),
        charge: &Charge,
        [above, up_to]: [Option<f64>; 2],
        slower: &[usize],
    ) -> Posed {
        let mut quantities = self.asked.to_vec();
        let bounds = self.parameter_limits(places);
        if bounds != [None; 2] && !quantities.contains(&Quantity::NonEmbedding) {
            quantities.push(Quantity::NonEmbedding);
        }
        if above.is_some() || up_to.is_some() {
            quantities.push(Quantity::WorkingSet);
        }
        quantities.extend(slower.iter().map(|other| Quantity::Slower(*other)));
        let (mut kinds, mut fixed) = (vec![Vec::new(); places.len()], Vec::new());
        let mut limits = Vec::new();
        for (place, quantity) in quantities.iter().enumerate() {
            let values: Vec<f64> =
                places.iter().map(|layer| self.layer_value(*layer, *quantity, charge)).collect();
            let outer = self.outer_value(*quantity, charge, once);
            // What may be negative is counted from the least of all layers.
            let shift = match quantity {
                Quantity::Slower(_) => -values.iter().copied().fold(0.0, f64::min),
                _ => 0.0,
            };
            for (kind, value) in kinds.iter_mut().zip(&values) {
                kind.push(value + shift);
            }
            let shifted = self.trunk.layers as f64 * shift;
            let (own, mut least, mut most) = match quantity {
                Quantity::NonEmbedding => (outer, bounds[0], bounds[1]),
                Quantity::WorkingSet => (outer, above, up_to),
                Quantity::Slower(_) => (0.0, None, Some(shifted - outer)),
                _ => (outer, None, None),
            };
            for (_, limit) in self.limits.iter().filter(|(limited, _)| limited == quantity) {
                // Final values are rounded: what a limit leaves out is asked once more.
                let roomy = limit * (1.0 + 1e-9);
                most = Some(most.map_or(roomy, |most: f64| most.min(roomy)));
            }
            least = least.filter(|least| *least > 0.0);
            if least.is_some() || most.is_some() {
                limits.push(Limit { quantity: place, least, most });
            }
            fixed.push(own);
        }
        let kind_of = |layer: &usize| places.iter().position(|place| place == layer);
        let count_bounds = class.bounds.iter().map(|(of, least)| CountBound {
            kinds: of.iter().filter_map(kind_of).collect(),
            least: *least,
            most: self.trunk.layers as usize,
        });
        let groups = self.groups(places).into_iter().map(|(count, kinds)| Positions {
            count: count as usize,
            kinds: kinds.iter().filter_map(kind_of).collect(),
        });
        let direction = |quantity: &Quantity| match quantity {
            Quantity::NonEmbedding | Quantity::Active => Direction::Most,
            // One limit in a quantity's own direction needs no dimension more.
            Quantity::WorkingSet if up_to.is_none() => Direction::Most,
            _ => Direction::Least,
        };
        let problem = Problem {
            directions: quantities.iter().map(direction).collect(),
            kinds,
            fixed,
            positions: groups.collect(),
            count_bounds: count_bounds.collect(),
            limits,
        };
        Posed { problem, quantities, layers: places.to_vec() }
    }

    /// Bounds of parameters without embeddings that some model of these layers breaks.
    fn parameter_limits(&self, places: &[usize]) -> [Option<f64>; 2] {
        let vocabulary = self.evaluator.vocabularies[self.vocabulary].0;
        let hidden_size = self.layers.layers[0].block.hidden_size;
        let embedding = if self.trunk.tied { 1 } else { 2 } * vocabulary * hidden_size;
        let (own_least, own_most) = self.space.parameter_bounds(embedding);
        let (law_least, law_most) = self.evaluator.law.reachable_parameters();
        let (least, most) = (own_least.max(law_least), own_most.min(law_most));
        let sizes = || places.iter().map(|place| self.layers.layers[*place].parameters);
        let sum = |layer: u64| (self.layers.outer.parameters + self.trunk.layers * layer) as f64;
        let smallest = sum(sizes().min().unwrap_or(0));
        let largest = sum(sizes().max().unwrap_or(0));
        [(smallest < least).then_some(least), (largest > most).then_some(most)]
    }

    /// What a layer has of a quantity.
    pub(super) fn layer_value(&mut self, place: usize, quantity: Quantity, charge: &Charge) -> f64 {
        let evaluator = self.evaluator;
        let layer = &mut self.layers.layers[place];
        match quantity {
            Quantity::NonEmbedding | Quantity::Parameters => layer.parameters as f64,
            Quantity::Active => (layer.parameters - layer.idle) as f64,
            Quantity::Memory => layer.bytes as f64,
            Quantity::TrainingFlops => layer.flops,
            Quantity::File => layer.file_bytes as f64,
            Quantity::WorkingSet => layer.working_set_bytes,
            _ => charged(evaluator, quantity, charge, |place, regime| {
                layer.times(evaluator.cost(), place, regime)
            }),
        }
    }

    /// What a model has beside its layers.
    pub(super) fn outer_value(&mut self, quantity: Quantity, charge: &Charge, once: &[u64]) -> f64 {
        let evaluator = self.evaluator;
        let vocabulary = evaluator.vocabularies[self.vocabulary].0;
        let hidden_size = self.layers.layers[0].block.hidden_size;
        let tied = self.trunk.tied;
        let outer = &mut self.layers.outer;
        match quantity {
            Quantity::NonEmbedding | Quantity::Active => outer.parameters as f64,
            Quantity::Parameters => {
                (outer.parameters + if tied { 1 } else { 2 } * vocabulary * hidden_size) as f64
            }
            Quantity::Memory => {
                let thread = |place: usize| once_bytes(once, place);
                let once = match charge {
                    Charge::Exact { thread_place, .. } => thread(*thread_place),
                    Charge::Least(all) => all.iter().map(|(place, _)| thread(*place)).min().unwrap_or(0),
                };
                let stored = outer.part.layer_bytes + if tied { 0 } else { outer.part.head_bytes };
                (stored + once + PROCESS_BYTES) as f64
            }
            Quantity::TrainingFlops => outer.flops[usize::from(tied)],
            Quantity::File => outer.file_bytes[usize::from(tied)] as f64,
            Quantity::WorkingSet => outer.part.working_set_bytes,
            _ => charged(evaluator, quantity, charge, |place, regime| {
                outer.part.times(evaluator.cost(), place, regime)
            }),
        }
    }
}
