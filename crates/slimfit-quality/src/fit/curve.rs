//! Fits the curve from loss to the score of a task.

use super::solve::{Observations, minimise};
use crate::recipe::ScoreCurve;

/// Errors of a score beyond this count linearly, points of 100: about what model families differ by.
pub const CURVE_SCALE: f64 = 4.0;

/// A loss and the score that was measured there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScorePoint {
    /// Nats per token of the recipe.
    pub loss: f64,
    /// Percent.
    pub score: f64,
}

/// The sigmoid through `points`: steepness and center move, the other fields of `start` stay. Errors beyond `scale` points
/// count linearly; [`CURVE_SCALE`] suits published models.
///
/// Nothing where no minimum is found.
pub fn fit_curve(start: &ScoreCurve, points: &[ScorePoint], scale: f64) -> Option<ScoreCurve> {
    let observations = CurveObservations { start: *start, points };
    let found = minimise(&observations, &[start.steepness.ln(), start.center], scale)?;
    Some(observations.curve(&found))
}

struct CurveObservations<'a> {
    start: ScoreCurve,
    points: &'a [ScorePoint],
}

impl CurveObservations<'_> {
    fn curve(&self, point: &[f64]) -> ScoreCurve {
        ScoreCurve {
            steepness: point[0].exp(),
            steepness_bounds: None,
            center: point[1],
            center_bounds: None,
            ..self.start
        }
    }
}

impl Observations for CurveObservations<'_> {
    type Point = ScoreCurve;

    fn point(&self, unknowns: &[f64]) -> ScoreCurve {
        self.curve(unknowns)
    }

    fn count(&self) -> usize {
        self.points.len()
    }

    fn residual(&self, index: usize, curve: &ScoreCurve, gradient: &mut [f64]) -> f64 {
        let ScorePoint { loss, score } = self.points[index];
        let predicted = curve.percent(loss);
        // The derivative of 1 / (1 + e^x) is -p (1 - p).
        let share = (predicted / 100.0 - curve.chance) / (1.0 - curve.chance);
        let slope = -100.0 * (1.0 - curve.chance) * share * (1.0 - share);
        gradient[0] = slope * curve.steepness * (loss - curve.center);
        gradient[1] = -slope * curve.steepness;
        predicted - score
    }
}
