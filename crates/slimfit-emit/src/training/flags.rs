//! What a trainer must know before relying on the numbers.

use super::{TrainingRequest, step_law};
use slimfit_arch::{Architecture, FeedForward, NormKind, NormPlacement};
use slimfit_formats::training_recipe::{
    FittedRange, HyperparameterLaw, LearningRate, SettingSource, TrainingFlag,
};
use slimfit_quantity::format_count;

/// The list under construction.
pub(super) struct Flags(Vec<TrainingFlag>);

impl Flags {
    /// What the request and the reach of the law say.
    pub(super) fn of(request: &TrainingRequest<'_>, law: &HyperparameterLaw, sequence_length: u64) -> Self {
        let mut flags = Self(Vec::new());
        flags.range("parameters without embeddings", law.parameters);
        flags.range("training tokens", law.tokens);
        flags.network(request.architecture);
        if sequence_length != step_law::SEQUENCE_LENGTH {
            let fitted = step_law::SEQUENCE_LENGTH;
            flags.push(
                "sequence-length",
                format!("the law was fitted on sequences of {fitted} tokens; these have {sequence_length}"),
            );
        }
        flags
    }

    /// With what became of the learning rate.
    pub(super) fn finish(mut self, rate: &LearningRate) -> Vec<TrainingFlag> {
        if rate.peak.value >= step_law::HIGHEST_TRIED {
            let highest = step_law::HIGHEST_TRIED;
            self.push(
                "learning-rate-capped",
                format!("the law asks for more than {highest}, the highest rate that its authors tried"),
            );
        }
        if rate.warm_up_steps.source == SettingSource::Modelled {
            self.push(
                "short-training",
                "the published warm-up would take more than a quarter of the steps: it is shortened to that"
                    .to_owned(),
            );
        }
        self.0
    }

    fn range(&mut self, what: &str, range: FittedRange) {
        if range.holds() {
            return;
        }
        let [value, low, high] = [range.value, range.low, range.high].map(|count| format_count(count as f64));
        self.push(
            "extrapolated",
            format!("{value} {what}: the law was fitted on {low} to {high}; try rates and batches of half and twice"),
        );
    }

    fn network(&mut self, architecture: &Architecture) {
        let mut dense = architecture.layers.iter().filter_map(|run| match &run.ffn {
            FeedForward::Dense(mlp) => Some(mlp.gated),
            FeedForward::Moe(_) => None,
        });
        if architecture.layers.iter().any(|run| matches!(run.ffn, FeedForward::Moe(_))) {
            self.push(
                "mixture-of-experts",
                "N counts all experts, as in the mixtures of 2.15B parameters and 2B to 20B tokens that the law was \
                 checked on; a mixture also needs a loss that balances its experts, whose weight no law gives"
                    .to_owned(),
            );
        }
        if architecture.loops.is_some_and(|loops| loops.count > 1) {
            self.push(
                "looped-layers",
                "N counts stored parameters once; how often a layer runs is no part of the law".to_owned(),
            );
        }
        let pre = architecture.norm_placement == NormPlacement::Pre;
        let root = architecture.norm.kind == NormKind::Rms;
        if !pre || !root || dense.any(|gated| !gated) {
            self.push(
                "other-network",
                "the law was fitted on models with RMS norms before both parts of a layer and gated feed-forward \
                 parts; this one is built differently"
                    .to_owned(),
            );
        }
    }

    fn push(&mut self, code: &str, message: String) {
        self.0.push(TrainingFlag { code: code.to_owned(), message });
    }
}
