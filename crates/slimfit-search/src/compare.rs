//! Two models beside each other: which is better in what, by how much, and whether that is more than noise.
//!
//! Whether one dominates the other goes by central values, as the front does; noise only annotates.

use crate::Metric;
use crate::ties::Noisy;
use slimfit_study::{FrontPoint, Interval};

/// What a model reaches in one objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// The objective.
    pub metric: Metric,
    /// The value.
    pub value: f64,
    noise: Noisy,
}

/// Two models in one objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The objective.
    pub metric: Metric,
    /// What the model reaches.
    pub model: f64,
    /// What the other reaches.
    pub other: f64,
    /// 90 % interval of [`Difference::ratio`] where the objective is a cost, of [`Difference::difference`] where it is a
    /// quality.
    pub interval: Interval,
    /// Whether the two differ by less than their joint noise.
    pub tied: bool,
}

/// Two models in all objectives that both have a value in.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Objective by objective.
    pub differences: Vec<Difference>,
    /// The loss that nothing falls below, nats per token and per byte: ratios of losses count above it.
    floor: (f64, f64),
}

impl Standing {
    /// A value with its 90 % interval; `relative`: half of that against the model it is compared with, where it is another.
    pub fn new(metric: Metric, value: f64, interval: Option<Interval>, relative: Option<f64>) -> Self {
        Self { metric, value, noise: Noisy::new(metric, value, interval, relative) }
    }

    /// What a point of a front reaches, where that is one of its objectives.
    pub fn of_point(point: &FrontPoint, metric: Metric) -> Option<Self> {
        let name = metric.name();
        let value = *point.objectives.get(name)?;
        let relative = point.relative_noise.get(name).copied();
        Some(Self::new(metric, value, point.intervals.get(name).copied(), relative))
    }

    /// The same per so many tokens' bytes: a cost per token of unlike vocabularies compares only so.
    #[must_use]
    pub fn per_byte(self, metric: Metric, bytes_per_token: f64) -> Self {
        let value = self.value / bytes_per_token;
        // A factor leaves the logarithm's half-width as it is.
        Self { metric, value, noise: Noisy { value: value.ln(), ..self.noise } }
    }
}

impl Difference {
    fn of(model: &Standing, other: &Standing) -> Self {
        let (half, middle) =
            (model.noise.half_width.hypot(other.noise.half_width), model.noise.value - other.noise.value);
        let interval = if model.metric.is_quality() {
            Interval { low: middle - half, high: middle + half }
        } else {
            Interval { low: (middle - half).exp(), high: (middle + half).exp() }
        };
        let tied = middle.abs() <= half;
        Self { metric: model.metric, model: model.value, other: other.value, interval, tied }
    }

    /// The model's value less the other's.
    pub fn difference(&self) -> f64 {
        self.model - self.other
    }

    /// The model's value over the other's.
    pub fn ratio(&self) -> f64 {
        self.model / self.other
    }

    /// How much better the other is, less than 0 where it is worse: what dominance goes by.
    pub fn lead(&self) -> f64 {
        self.metric.minimised(self.model) - self.metric.minimised(self.other)
    }

    /// The same as the logarithm of a ratio; that of losses counts above the floor.
    fn log_lead(&self, floor: f64) -> f64 {
        let (model, other) = (self.model - floor, self.other - floor);
        let (model, other) =
            if model > 0.0 && other > 0.0 { (model, other) } else { (self.model, self.other) };
        let ratio = (model / other).ln();
        if self.metric.is_maximised() { -ratio } else { ratio }
    }
}

impl Comparison {
    /// Compares in every objective that both have; `irreducible` and `bytes_per_token` are the recipe's.
    pub fn new(model: &[Standing], other: &[Standing], irreducible: f64, bytes_per_token: f64) -> Self {
        let differences = model
            .iter()
            .filter_map(|model| {
                let other = other.iter().find(|other| other.metric == model.metric)?;
                Some(Difference::of(model, other))
            })
            .collect();
        Self { differences, floor: (irreducible, irreducible / bytes_per_token) }
    }

    /// Whether the other is at least as good in everything and better in something.
    pub fn is_dominated(&self) -> bool {
        self.differences.iter().all(|difference| difference.lead() >= 0.0)
            && self.differences.iter().any(|difference| difference.lead() > 0.0)
    }

    /// Whether the model is at least as good in everything and better in something.
    pub fn dominates(&self) -> bool {
        self.differences.iter().all(|difference| difference.lead() <= 0.0)
            && self.differences.iter().any(|difference| difference.lead() < 0.0)
    }

    /// Whether the two are equal in everything.
    pub fn is_equal(&self) -> bool {
        self.differences.iter().all(|difference| difference.lead() == 0.0)
    }

    /// Whether all differences are within the noise.
    pub fn is_tied(&self) -> bool {
        self.differences.iter().all(|difference| difference.tied)
    }

    /// The smallest logarithm of a ratio by which the other is better: the larger, the clearer it dominates; below 0 where it
    /// does not.
    pub fn margin(&self) -> f64 {
        self.log_leads().fold(f64::INFINITY, f64::min)
    }

    /// The same the other way round: by how much the model is better.
    pub fn margin_of_model(&self) -> f64 {
        self.log_leads().map(|lead| -lead).fold(f64::INFINITY, f64::min)
    }

    fn log_leads(&self) -> impl Iterator<Item = f64> {
        self.differences.iter().map(|difference| {
            let floor = match difference.metric {
                Metric::Loss => self.floor.0,
                Metric::LossPerByte => self.floor.1,
                _ => 0.0,
            };
            difference.log_lead(floor)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::point;
    use slimfit_quality::Recipe;

    fn compared(model: &[(Metric, f64, f64)], other: &[(Metric, f64, f64)]) -> Comparison {
        let standings = |values: &[(Metric, f64, f64)]| -> Vec<Standing> {
            let point = point("any", values);
            values.iter().map(|(metric, ..)| Standing::of_point(&point, *metric).unwrap()).collect()
        };
        Comparison::new(&standings(model), &standings(other), 1.5, 4.0)
    }

    #[test]
    fn a_model_is_dominated_by_what_is_nowhere_worse_and_somewhere_better() {
        let model = [(Metric::Loss, 3.0, 0.0), (Metric::TpotSeconds, 0.01, 0.0)];
        for (other, dominated, dominates) in [
            ([(Metric::Loss, 2.9, 0.0), (Metric::TpotSeconds, 0.01, 0.0)], true, false),
            ([(Metric::Loss, 2.9, 0.0), (Metric::TpotSeconds, 0.02, 0.0)], false, false),
            ([(Metric::Loss, 3.0, 0.0), (Metric::TpotSeconds, 0.01, 0.0)], false, false),
            ([(Metric::Loss, 3.1, 0.0), (Metric::TpotSeconds, 0.01, 0.0)], false, true),
        ] {
            let comparison = compared(&model, &other);
            assert_eq!(
                (comparison.is_dominated(), comparison.dominates()),
                (dominated, dominates),
                "{other:?}"
            );
        }
        assert!(compared(&model, &model).is_equal());
    }

    #[test]
    fn the_margin_is_the_smallest_log_ratio_and_losses_count_above_the_floor() {
        let model = [(Metric::Loss, 3.5, 0.0), (Metric::TpotSeconds, 0.03, 0.0)];
        let other = [(Metric::Loss, 2.5, 0.0), (Metric::TpotSeconds, 0.01, 0.0)];
        // (3.5 − 1.5) / (2.5 − 1.5) is 2, and the times' ratio 3.
        assert!((compared(&model, &other).margin() - 2_f64.ln()).abs() < 1e-12);
        assert!(compared(&other, &model).margin() < 0.0);
        assert!((compared(&other, &model).margin_of_model() - 2_f64.ln()).abs() < 1e-12);
        let per_byte = |value| [(Metric::LossPerByte, value, 0.0)];
        // The floor is 0.375 a byte.
        let margin = compared(&per_byte(0.875), &per_byte(0.625)).margin();
        assert!((margin - 2_f64.ln()).abs() < 1e-12, "{margin}");
    }

    #[test]
    fn a_higher_score_is_better() {
        let score = Metric::named("score_hellaswag", &Recipe::builtin("gemstones").unwrap()).unwrap();
        let comparison = compared(&[(score, 40.0, 3.0)], &[(score, 44.0, 4.0)]);
        assert!(comparison.is_dominated() && !comparison.dominates());
        assert!((comparison.margin() - 1.1_f64.ln()).abs() < 1e-12);
        let difference = comparison.differences[0];
        assert_eq!(difference.difference(), -4.0);
        // The half-widths 3 and 4 join to 5.
        assert_eq!((difference.interval.low, difference.interval.high, difference.tied), (-9.0, 1.0, true));
    }

    #[test]
    fn noise_of_costs_is_that_of_their_ratio() {
        let comparison = compared(&[(Metric::TpotSeconds, 0.02, 0.0)], &[(Metric::TpotSeconds, 0.01, 0.005)]);
        let difference = comparison.differences[0];
        let half = 3_f64.ln() / 2.0;
        assert_eq!(difference.ratio(), 2.0);
        assert!((difference.interval.low - 2.0 * (-half).exp()).abs() < 1e-12);
        assert!((difference.interval.high - 2.0 * half.exp()).abs() < 1e-12);
        assert!(!difference.tied && !comparison.is_tied());
        let near = compared(&[(Metric::TpotSeconds, 0.011, 0.0)], &[(Metric::TpotSeconds, 0.01, 0.005)]);
        assert!(near.is_dominated() && near.is_tied());
    }

    #[test]
    fn a_cost_per_token_compares_by_the_bytes_of_a_token() {
        let interval = Some(Interval { low: 0.009, high: 0.011 });
        let standing = Standing::new(Metric::TpotSeconds, 0.01, interval, None);
        let per_byte = standing.per_byte(Metric::SecondsPerByte, 4.0);
        assert_eq!((per_byte.metric, per_byte.value), (Metric::SecondsPerByte, 0.0025));
        let interval = Some(Interval { low: 0.009 / 4.0, high: 0.011 / 4.0 });
        let same = Standing::new(Metric::SecondsPerByte, 0.0025, interval, None);
        assert!((per_byte.noise.half_width - same.noise.half_width).abs() < 1e-12);
    }

    #[test]
    fn objectives_that_only_one_has_are_left_out() {
        let comparison = compared(
            &[(Metric::Loss, 3.0, 0.0), (Metric::MemoryBytes, 1e8, 0.0)],
            &[(Metric::Loss, 3.0, 0.0)],
        );
        assert_eq!(comparison.differences.len(), 1);
    }
}
