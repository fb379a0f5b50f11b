//! One trunk after the other: counted, posed, solved, priced.

use super::census::{Census, Refused, of_nothing};
use super::layer::{Family, Layers, formats};
use super::model::{Counts, Trunk};
use super::pool::{FoundModel, Pool};
use super::problems::{Posed, Trial};
use super::quantity::{Quantity, quantities};
use super::solved::{Distance, counts_of};
use crate::layers::{Options, Solution, solve};
use crate::{Invalid, Metric, ModelEvaluator, SearchError, SearchOptions, Space};
use num_bigint::BigUint;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What one worker gathered.
pub(crate) struct Gathered {
    pub(crate) pool: Pool,
    pub(crate) all: BigUint,
    pub(crate) valid: BigUint,
    pub(crate) refused: Refused,
    /// Models that were priced.
    pub(crate) priced: u64,
    /// Valid models of trunks about which nothing is proven.
    pub(crate) unvisited: BigUint,
    /// Models that answered a problem and that a rule then refused, by the rule.
    pub(crate) refused_answers: BTreeMap<Invalid, u64>,
    /// The largest of all trunks; infinite where something is proven about none of some trunk's models.
    distance: f64,
    /// Labels of one set.
    most_labels: usize,
}

impl Gathered {
    pub(crate) fn new(objectives: &[Metric], most_labels: usize) -> Self {
        Self {
            pool: Pool::new(objectives),
            all: BigUint::ZERO,
            valid: BigUint::ZERO,
            refused: Refused::new(),
            priced: 0,
            unvisited: BigUint::ZERO,
            refused_answers: BTreeMap::new(),
            distance: 0.0,
            most_labels,
        }
    }

    /// Proven distance to the exact front; none where nothing is proven about some models.
    pub(crate) fn epsilon(&self) -> Option<f64> {
        self.distance.is_finite().then_some(self.distance)
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.pool.absorb(other.pool);
        self.all += other.all;
        self.valid += other.valid;
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        self.priced += other.priced;
        self.unvisited += other.unvisited;
        self.refuse_answers(other.refused_answers);
        self.distance = self.distance.max(other.distance);
    }

    /// Searches the models of a family; its layers, where it has some. `left`: families that share the time.
    pub(crate) fn family(
        &mut self,
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        options: &SearchOptions<'_>,
        (family, workers): (Family, usize),
        (left, stop): (usize, &AtomicBool),
    ) -> Result<Option<Layers>, SearchError> {
        let trunks: Vec<Trunk> = space
            .depths()
            .into_iter()
            .flat_map(|layers| space.tyings().iter().map(move |tied| Trunk { layers, tied: *tied }))
            .collect();
        let mut layers = match Layers::new(space, evaluator, family) {
            Ok(layers) => layers,
            Err(refused) => {
                for trunk in trunks {
                    let (all, reasons) = of_nothing(space, trunk, &refused);
                    self.all += all;
                    self.refuse(reasons);
                }
                return Ok(None);
            }
        };
        for (place, trunk) in trunks.iter().enumerate() {
            let census = layers.census(space, evaluator, family, *trunk)?;
            self.all += &census.all;
            self.valid += &census.valid;
            if census.valid > BigUint::ZERO {
                let deadline = options.deadline.map(|deadline| {
                    let share = (left * trunks.len() - place) as u32;
                    Instant::now() + deadline.saturating_duration_since(Instant::now()) / share.max(1)
                });
                let mut search = TrunkSearch {
                    space,
                    evaluator,
                    options,
                    family,
                    trunk: *trunk,
                    workers,
                    most_labels: self.most_labels,
                    deadline,
                    stop,
                };
                let found = search.run(&mut layers, &census, &mut self.pool)?;
                if found.distance.is_infinite() {
                    self.unvisited += &census.valid - BigUint::from(found.priced);
                }
                self.distance = self.distance.max(found.distance);
                self.priced += found.priced;
                self.refuse_answers(found.refused);
            }
            self.refuse(census.refused);
        }
        Ok(Some(layers))
    }

    pub(crate) fn refuse_answers(&mut self, reasons: BTreeMap<Invalid, u64>) {
        for (reason, count) in reasons {
            *self.refused_answers.entry(reason).or_default() += count;
        }
    }

    fn refuse(&mut self, reasons: Refused) {
        for (reason, count) in reasons {
            *self.refused.entry(reason).or_default() += count;
        }
    }
}

/// What the search of a trunk found beside models.
struct TrunkFound {
    /// Proven distance; infinite where nothing is proven.
    distance: f64,
    /// Models that were priced.
    priced: u64,
    /// Answers that a rule refused, by the rule.
    refused: BTreeMap<Invalid, u64>,
}

/// The answers to the problems of a trunk.
struct Answers<'p> {
    /// Those that were priced.
    seen: HashSet<Counts>,
    /// Those that a rule refused, which the sums of their problem do not tell: what they stand for is not known.
    refused: HashMap<Counts, Invalid>,
    pool: &'p mut Pool,
}

/// The search of one trunk.
struct TrunkSearch<'s> {
    space: &'s Space,
    evaluator: &'s ModelEvaluator<'s>,
    options: &'s SearchOptions<'s>,
    family: Family,
    trunk: Trunk,
    workers: usize,
    most_labels: usize,
    deadline: Option<Instant>,
    stop: &'s AtomicBool,
}

impl TrunkSearch<'_> {
    fn run(
        &mut self,
        layers: &mut Layers,
        census: &Census,
        pool: &mut Pool,
    ) -> Result<TrunkFound, SearchError> {
        let metrics: Vec<Metric> = {
            let limits = self.options.limits.iter().map(|(metric, _)| *metric);
            self.options.objectives.iter().copied().chain(limits).collect()
        };
        let experts = layers.layers.iter().any(|layer| layer.idle > 0);
        let asked = quantities(&metrics, experts);
        let limits = self.linear_limits();
        let mut trial = Trial {
            space: self.space,
            evaluator: self.evaluator,
            layers: &mut *layers,
            allowed: &census.layers,
            trunk: self.trunk,
            vocabulary: self.family.vocabulary,
            asked: &asked,
            limits: &limits,
        };
        let posings = trial.pose()?;
        let mut answers = Answers { seen: HashSet::new(), refused: HashMap::new(), pool };
        let mut refused: BTreeMap<Invalid, u64> = BTreeMap::new();
        let mut worst: f64 = 0.0;
        for posing in posings {
            let exact = match posing.exact {
                Some(problems) => self.exact(layers, &problems, &mut answers)?,
                None => false,
            };
            if exact {
                continue;
            }
            answers.refused.clear();
            let solution = solve(&posing.relaxed.problem, &self.solver(false))?;
            let distance = self.price(layers, &posing.relaxed, &solution, &mut answers)?;
            worst = worst.max(distance);
            for (_, reason) in answers.refused.drain() {
                *refused.entry(reason).or_default() += 1;
            }
        }
        Ok(TrunkFound { distance: worst, priced: answers.seen.len() as u64, refused })
    }

    fn solver(&self, exact: bool) -> Options<'_> {
        let wanted = self.options.passes.last().copied().unwrap_or(0.0);
        Options {
            most_labels: self.most_labels,
            finest_epsilon: if wanted > 0.0 { wanted } else { super::USUAL_EPSILON },
            workers: self.workers,
            deadline: self.deadline,
            cancel: self.options.cancel,
            exact,
        }
    }

    /// Whether the problems have exact answers; what they have is priced.
    fn exact(
        &self,
        layers: &mut Layers,
        problems: &[Posed],
        answers: &mut Answers<'_>,
    ) -> Result<bool, SearchError> {
        // Half of the time is left for an answer that is not exact.
        let half =
            |deadline: Instant| Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let deadline = self.deadline.map(half);
        let (mut exact, mut labels) = (true, 0);
        for posed in problems {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let solution = solve(&posed.problem, &Options { deadline, ..self.solver(true) })?;
            if !solution.exact {
                if solution.stopped
                    && self.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
                {
                    self.stop.store(true, Ordering::Relaxed);
                }
                return Ok(false);
            }
            // A charge above what a model takes is a ceiling above its own; one below is a border that rounding crossed.
            // Answers of many problems that overlap are no shorter way than one that covers all.
            labels += solution.labels.len();
            if labels > 2 * self.most_labels {
                return Ok(false);
            }
            let distance = self.price(layers, posed, &solution, answers)?;
            exact &= distance <= 1e-9;
        }
        Ok(exact)
    }

    /// Limits of what is a sum: at most.
    fn linear_limits(&self) -> Vec<(Quantity, f64)> {
        let (_, _, bytes_per_token) = self.evaluator.vocabularies[self.family.vocabulary];
        let (seconds, price) = self.evaluator.training_rates();
        let limit = |(metric, limit): &(Metric, f64)| match metric {
            Metric::TtftSeconds => Some((Quantity::Prefill, *limit)),
            Metric::TpotSeconds => Some((Quantity::Decode, *limit)),
            Metric::SecondsPerByte => Some((Quantity::Decode, limit * bytes_per_token)),
            Metric::MemoryBytes => Some((Quantity::Memory, *limit)),
            Metric::JoulesPerToken => Some((Quantity::Joules, *limit)),
            Metric::Parameters => Some((Quantity::Parameters, *limit)),
            Metric::FileBytes => Some((Quantity::File, *limit)),
            Metric::TrainingFlops => Some((Quantity::TrainingFlops, *limit)),
            Metric::TrainingSeconds => Some((Quantity::TrainingFlops, limit / seconds)),
            Metric::TrainingCost => Some((Quantity::TrainingFlops, limit / price)),
            // Losses follow from sums: the models beyond are left out once they are priced.
            Metric::Loss | Metric::LossPerByte | Metric::Score(_) => None,
            Metric::TtftP95Seconds | Metric::TpotP95Seconds | Metric::OnDevice(_) => None,
        };
        self.options.limits.iter().filter_map(limit).collect()
    }

    /// Prices the answers of a problem and offers them; by how much they may be worse than some model that they cover,
    /// infinite where a rule refuses one of them.
    fn price(
        &self,
        layers: &mut Layers,
        posed: &Posed,
        solution: &Solution,
        answers: &mut Answers<'_>,
    ) -> Result<f64, SearchError> {
        if solution.epsilon.is_infinite() && solution.labels.is_empty() {
            return Ok(f64::INFINITY);
        }
        let Self { space, evaluator, family, trunk, .. } = *self;
        let mut distance = Distance::new(
            evaluator,
            &self.options.objectives,
            (family.vocabulary, formats(space, family)),
            solution.epsilon,
        );
        for label in &solution.labels {
            let counts = counts_of(layers.layers.len(), &posed.layers, label);
            let valued =
                layers.value(space, evaluator, (&counts, trunk), family.vocabulary, formats(space, family));
            let values = match valued {
                Ok((values, _)) => values,
                Err(reason) => {
                    distance.factor = f64::INFINITY;
                    answers.refused.insert(counts, reason);
                    continue;
                }
            };
            distance.see(
                &values,
                posed,
                label,
                &layers.shape(&counts, trunk, evaluator.vocabularies[family.vocabulary].0),
            );
            if !answers.seen.insert(counts.clone()) {
                continue;
            }
            let keeps = |(metric, limit): &(Metric, f64)| metric.keeps(values[metric.column()], *limit);
            if self.options.limits.iter().all(keeps) {
                answers.pool.offer(FoundModel { family, trunk, counts, values });
            }
        }
        Ok(distance.factor - 1.0)
    }
}

#[cfg(test)]
mod tests;
