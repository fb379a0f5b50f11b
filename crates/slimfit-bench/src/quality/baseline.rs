//! The plain predictions that a law must beat.

use super::row::{CONSTANT, Judged};
use anyhow::{Context, Result};
use slimfit_quality::fit::{Parameter, TrainingRun, leave_groups_out, left_out};
use slimfit_quality::{Recipe, Shape};

/// What a power law of size and data moves.
const POWER_LAW: [Parameter; 5] = [
    Parameter::Irreducible,
    Parameter::SizeFactor,
    Parameter::SizeExponent,
    Parameter::DataFactor,
    Parameter::DataExponent,
];

/// A size by which a baseline ranks.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// All parameters.
    Total,
    /// Parameters of the decoder's layers, as LiteTransformerSearch ranks.
    Decoder,
    /// FLOPs of training: 6 N D, N without embeddings.
    Compute,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Total, Self::Decoder, Self::Compute];

    /// As tables show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Total => "total parameters",
            Self::Decoder => "decoder parameters",
            Self::Compute => "6ND",
        }
    }

    /// Its value for a run.
    pub fn of(self, run: &TrainingRun) -> f64 {
        let Shape { non_embedding, embedding, .. } = run.shape;
        match self {
            Self::Total => (non_embedding + embedding) as f64,
            Self::Decoder => non_embedding as f64,
            Self::Compute => 6.0 * non_embedding as f64 * run.tokens as f64,
        }
    }
}

/// The mean of all other groups.
pub fn constant(runs: &[&TrainingRun], measured: &[f64]) -> Result<Vec<f64>> {
    let of = |run: &TrainingRun| {
        runs.iter().position(|other| std::ptr::eq(*other, run)).map_or(f64::NAN, |place| measured[place])
    };
    left_out(runs, |kept, dropped| {
        let mean = kept.iter().map(|run| of(run)).sum::<f64>() / kept.len() as f64;
        Some(vec![mean; dropped.len()])
    })
    .context("no mean")
}

/// Losses by power laws of one plain size and the data, each group predicted by the others.
pub fn losses(
    recipe: &Recipe,
    runs: &[&TrainingRun],
    class: &dyn Fn(&TrainingRun) -> String,
) -> Result<Vec<(&'static str, Vec<Judged>)>> {
    let mut plain = recipe.clone();
    plain.shape.width_depth_penalty.value = 0.0;
    plain.shape.embedding_credit.value = 0.0;
    plain.loss.interaction = None;
    let mut baselines = Vec::new();
    for size in Size::ALL {
        let counted: Vec<TrainingRun> = runs
            .iter()
            .map(|run| {
                let mut run = (*run).clone();
                let value = match size {
                    // The scale of sizes, so that the fit begins where it does for them.
                    Size::Compute => size.of(&run) / 6e10,
                    _ => size.of(&run),
                };
                (run.shape.non_embedding, run.shape.active, run.shape.embedding) =
                    (value as u64, value as u64, 0);
                run
            })
            .collect();
        let counted: Vec<&TrainingRun> = counted.iter().collect();
        let moved: &[Parameter] = match size {
            Size::Compute => &POWER_LAW[..3],
            _ => &POWER_LAW,
        };
        let mut recipe = plain.clone();
        if matches!(size, Size::Compute) {
            recipe.loss.data.factor.value = 1e-9;
        }
        let predicted = leave_groups_out(&recipe, &counted, moved).context(size.name())?;
        baselines.push((size.name(), judged(runs, &predicted, class)));
    }
    let measured: Vec<f64> = runs.iter().map(|run| run.loss).collect();
    baselines.push((CONSTANT, judged(runs, &constant(runs, &measured)?, class)));
    Ok(baselines)
}

/// Predicted losses beside the runs' own.
pub fn judged(
    runs: &[&TrainingRun],
    predicted: &[f64],
    class: &dyn Fn(&TrainingRun) -> String,
) -> Vec<Judged> {
    runs.iter()
        .zip(predicted)
        .map(|(run, predicted)| Judged {
            group: run.group.clone(),
            class: class(run),
            predicted: *predicted,
            measured: run.loss,
            promised: None,
        })
        .collect()
}
