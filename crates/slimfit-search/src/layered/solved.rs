//! From the sums of an answer to models, and what they prove.

use super::model::Counts;
use super::problems::Posed;
use super::quantity::Quantity;
use crate::layers::Label;
use crate::{Metric, ModelEvaluator, Values};
use slimfit_quality::Shape;
use slimfit_quantity::NumberFormat;

/// How often the model of a label has each layer of its family.
pub(crate) fn counts_of(layers: usize, places: &[usize], label: &Label) -> Counts {
    let mut counts = vec![0_u8; layers];
    for group in &label.counts {
        for (place, count) in places.iter().zip(group) {
            counts[*place] += count;
        }
    }
    counts.into_boxed_slice()
}

/// By what factor answers may be worse than some model that they cover, in any objective.
pub(crate) struct Distance<'d> {
    evaluator: &'d ModelEvaluator<'d>,
    objectives: &'d [Metric],
    vocabulary: usize,
    formats: (NumberFormat, NumberFormat),
    /// Distance of the sums.
    epsilon: f64,
    pub(crate) factor: f64,
}

impl<'d> Distance<'d> {
    pub(crate) fn new(
        evaluator: &'d ModelEvaluator<'d>,
        objectives: &'d [Metric],
        (vocabulary, formats): (usize, (NumberFormat, NumberFormat)),
        epsilon: f64,
    ) -> Self {
        Self { evaluator, objectives, vocabulary, formats, epsilon, factor: 1.0 }
    }

    /// Looks at an answer, with its true values and its shape.
    pub(crate) fn see(&mut self, values: &Values, posed: &Posed, label: &Label, shape: &Shape) {
        let charge = |quantity: Quantity| {
            let place = posed.quantities.iter().position(|known| *known == quantity);
            place.map_or(f64::INFINITY, |place| label.sums[place])
        };
        for metric in self.objectives {
            let value = values[metric.column()];
            let charged = match metric {
                Metric::Loss | Metric::LossPerByte | Metric::Score(_) => {
                    let factor = self.quality(*metric, value, values, shape);
                    self.factor = self.factor.max(factor);
                    continue;
                }
                Metric::TtftSeconds | Metric::TtftP95Seconds => charge(Quantity::Prefill),
                Metric::TpotSeconds | Metric::TpotP95Seconds => charge(Quantity::Decode),
                Metric::SecondsPerByte => {
                    let (_, _, bytes_per_token) = self.evaluator.vocabularies[self.vocabulary];
                    charge(Quantity::Decode) / bytes_per_token
                }
                Metric::MemoryBytes => charge(Quantity::Memory),
                Metric::JoulesPerToken => charge(Quantity::Joules),
                Metric::Parameters => charge(Quantity::Parameters),
                Metric::FileBytes => charge(Quantity::File),
                Metric::TrainingFlops => charge(Quantity::TrainingFlops),
                Metric::TrainingSeconds => {
                    charge(Quantity::TrainingFlops) * self.evaluator.training_rates().0
                }
                Metric::TrainingCost => charge(Quantity::TrainingFlops) * self.evaluator.training_rates().1,
                Metric::OnDevice(_) => unreachable!("several devices are refused"),
            };
            // Values are rounded to 40 digits.
            self.factor = self.factor.max(value / charged * (1.0 - 1e-11) * (1.0 + self.epsilon));
        }
    }

    /// The same of what follows from parameters.
    fn quality(&self, metric: Metric, value: f64, values: &Values, shape: &Shape) -> f64 {
        if self.epsilon == 0.0 {
            return 1.0;
        }
        let law = &self.evaluator.law;
        let (_, most) = law.reachable_parameters();
        let grown = |parameters: u64| (parameters as f64 * (1.0 + self.epsilon)).ceil() as u64;
        let non_embedding = grown(shape.non_embedding).min(most as u64).max(shape.non_embedding);
        let active = grown(shape.active).min(non_embedding);
        let better = Shape { non_embedding, active, ..*shape };
        let Ok(best) = law.loss(&better, self.formats.0, self.formats.1) else { return f64::INFINITY };
        let best = best.nats;
        let irreducible = law.irreducible_nats();
        match metric {
            Metric::Score(_) => {
                let curves = self.evaluator.score_curves();
                let known = curves.iter().find(|(known, ..)| *known == metric);
                known.map_or(f64::INFINITY, |(_, curve, shift)| curve.percent(best + shift) / value)
            }
            _ => (values[Metric::Loss.column()] - irreducible) / (best - irreducible),
        }
    }
}
