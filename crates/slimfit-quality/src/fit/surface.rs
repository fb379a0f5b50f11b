//! The log-quadratic form: loss as a quadratic function of logarithms of sizes and widths.
//!
//! It knows no training length and nothing outside the suite it was fitted to. What it is good for: to rank the shapes of
//! one suite, and to say how well any form could.

use super::cross::left_out;
use super::errors::FitErrors;
use super::normal::NormalEquations;
use super::run::TrainingRun;

/// Terms of the smallest form: a constant, and each of two features with its square and their product.
pub(super) const SMALLEST_TERMS: usize = 6;
/// Folds in which a form is chosen.
const CHOICE_FOLDS: usize = 8;

/// A logarithm that the surface is quadratic in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Non-embedding parameters that a token visits.
    NonEmbedding,
    /// Embedding parameters.
    Embedding,
    /// Layers.
    Layers,
    /// Width of the residual stream.
    Width,
    /// Mean inner width of the feed-forward parts.
    FfnSize,
    /// Width of the embedding table.
    EmbeddingSize,
}

impl Feature {
    /// Its value for a run.
    pub fn of(self, run: &TrainingRun) -> f64 {
        let value = match self {
            Self::NonEmbedding => run.shape.active as f64,
            Self::Embedding => run.shape.embedding as f64,
            Self::Layers => run.shape.layers as f64,
            Self::Width => run.shape.hidden_size as f64,
            Self::FfnSize => run.ffn_size,
            Self::EmbeddingSize => run.embedding_size as f64,
        };
        value.max(1.0).ln()
    }
}

/// Features and how much their coefficients are held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurfaceForm {
    /// What it is quadratic in.
    pub features: &'static [Feature],
    /// Ridge: share of the mean square of a standardised column that is added to it.
    pub ridge: f64,
}

impl SurfaceForm {
    /// The forms among which a suite chooses.
    pub fn candidates() -> impl Iterator<Item = Self> {
        use Feature::{Embedding, EmbeddingSize, FfnSize, Layers, NonEmbedding, Width};
        const SETS: [&[Feature]; 5] = [
            &[NonEmbedding, Layers],
            &[NonEmbedding, Layers, Width, FfnSize],
            &[NonEmbedding, Layers, Width, FfnSize, EmbeddingSize],
            &[NonEmbedding, Layers, Width, EmbeddingSize, Embedding],
            &[NonEmbedding, Layers, Width, FfnSize, EmbeddingSize, Embedding],
        ];
        const RIDGES: [f64; 3] = [1e-8, 1e-6, 1e-4];
        SETS.into_iter().flat_map(|features| RIDGES.into_iter().map(move |ridge| Self { features, ridge }))
    }

    /// The candidate that predicts left-out parts of `runs` best. To judge the choice itself, give it the runs of a training
    /// fold.
    pub fn choose(runs: &[&TrainingRun]) -> Option<Self> {
        let mut parts: Vec<TrainingRun> = runs.iter().map(|run| (*run).clone()).collect();
        for (place, run) in parts.iter_mut().enumerate() {
            run.group = (place % CHOICE_FOLDS).to_string();
        }
        let parts: Vec<&TrainingRun> = parts.iter().collect();
        let measured: Vec<f64> = parts.iter().map(|run| run.loss).collect();
        let mut best: Option<(f64, Self)> = None;
        for form in Self::candidates() {
            let Some(predicted) = left_out(&parts, |kept, dropped| form.predict(kept, dropped)) else {
                continue;
            };
            let Some(errors) = FitErrors::of(&predicted, &measured) else { continue };
            if best.is_none_or(|(least, _)| errors.mean_absolute < least) {
                best = Some((errors.mean_absolute, form));
            }
        }
        best.map(|(_, form)| form)
    }

    fn predict(self, kept: &[&TrainingRun], dropped: &[&TrainingRun]) -> Option<Vec<f64>> {
        let surface = Surface::fit(self, kept)?;
        Some(dropped.iter().map(|run| surface.loss(run)).collect())
    }
}

/// A fitted surface.
#[derive(Debug, Clone)]
pub struct Surface {
    form: SurfaceForm,
    /// Mean and spread of each feature in the runs; a spread of 0 takes the feature out.
    scales: Vec<(f64, f64)>,
    coefficients: Vec<f64>,
}

impl Surface {
    /// The least-squares surface of `runs`.
    ///
    /// Nothing where the runs are fewer than its terms, or the equations have no solution.
    pub fn fit(form: SurfaceForm, runs: &[&TrainingRun]) -> Option<Self> {
        let count = runs.len() as f64;
        let scales: Vec<(f64, f64)> = form
            .features
            .iter()
            .map(|feature| {
                let values: Vec<f64> = runs.iter().map(|run| feature.of(run)).collect();
                let mean = values.iter().sum::<f64>() / count;
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
                (mean, variance.sqrt())
            })
            .collect();
        let mut surface = Self { form, scales, coefficients: Vec::new() };
        let terms = surface.terms(runs.first()?).len();
        if runs.len() <= terms {
            return None;
        }
        let mut equations = NormalEquations::new(terms);
        for run in runs {
            equations.add(&surface.terms(run), run.loss);
        }
        for term in 1..terms {
            equations.add_ridge(term, form.ridge * count);
        }
        surface.coefficients = equations.solve(0.0)?;
        Some(surface)
    }

    /// The loss of a run's shape.
    pub fn loss(&self, run: &TrainingRun) -> f64 {
        self.terms(run).iter().zip(&self.coefficients).map(|(term, factor)| term * factor).sum()
    }

    /// The constant, the standardised features, their squares and products.
    fn terms(&self, run: &TrainingRun) -> Vec<f64> {
        let values: Vec<f64> = self
            .form
            .features
            .iter()
            .zip(&self.scales)
            .filter(|(_, (_, spread))| *spread > 1e-9)
            .map(|(feature, (mean, spread))| (feature.of(run) - mean) / spread)
            .collect();
        let mut terms = vec![1.0];
        for (place, value) in values.iter().enumerate() {
            terms.push(*value);
            terms.extend(values[place..].iter().map(|other| value * other));
        }
        terms
    }
}
