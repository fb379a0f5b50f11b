//! What a front's record says of its quality figures and of the training beside the points.

use crate::{ModelEvaluator, SearchOptions};
use slimfit_quality::NoiseSource;
use slimfit_quantity::Warning;
use slimfit_study::{AnchorRef, NoiseTerm, NotPredictedTask, QualityNotes, TrainingRef};

impl ModelEvaluator<'_> {
    /// The three noises, and the tasks without a prediction.
    pub(crate) fn quality_notes(&self) -> QualityNotes {
        let recipe = self.quality.recipe();
        let noises = recipe.noises();
        let term =
            |noise: NoiseSource| NoiseTerm { name: noise.name, nats: noise.nats, source: noise.source };
        let unknown = recipe.scores.not_predicted.iter();
        QualityNotes {
            shape: term(noises.shape),
            axes: noises.axes.into_iter().map(term).collect(),
            recipe: term(noises.recipe),
            not_predicted: unknown
                .map(|(task, reason)| NotPredictedTask { task: task.clone(), reason: reason.clone() })
                .collect(),
        }
    }

    /// The anchors in force.
    pub(crate) fn anchor_refs(&self) -> Vec<AnchorRef> {
        let anchors = self.quality.anchors().iter();
        anchors
            .map(|shift| AnchorRef {
                model: shift.anchor.model.clone(),
                tokens: shift.anchor.tokens,
                task: shift.anchor.task.clone(),
                percent: shift.anchor.percent,
                predicted_percent: shift.predicted_percent,
                shift_nats: shift.shift_nats,
                source: shift.source.clone(),
            })
            .collect()
    }

    /// Anchors whose score lies so far from the law that it was most probably measured in another setting.
    pub(crate) fn anchor_warnings(&self) -> Vec<Warning> {
        let recipe = self.quality.recipe();
        let far = self.quality.anchors().iter().filter(|shift| shift.is_implausible(recipe));
        far.map(|shift| {
            let message = format!(
                "the anchor `{}` scores {} on `{}`, where {:.1} is predicted: so far off, it was most probably measured in another setting",
                shift.anchor.model, shift.anchor.percent, shift.anchor.task, shift.predicted_percent
            );
            Warning::new("anchor-implausible", message)
        })
        .collect()
    }

    /// How the training was counted, where somebody asked for it.
    pub(crate) fn training_ref(&self, options: &SearchOptions<'_>) -> Option<TrainingRef> {
        let limits = options.limits.iter().map(|(metric, _)| metric);
        let asked = options.objectives.iter().chain(limits).any(|metric| metric.is_training());
        asked.then(|| TrainingRef {
            context_tokens: self.training.context_tokens,
            flops_per_s: self.training.rate.map(|rate| rate.flops_per_s),
            gpus: self.training.rate.map(|rate| rate.gpus),
            price_per_gpu_hour: self.training.rate.and_then(|rate| rate.price_per_gpu_hour),
        })
    }
}
