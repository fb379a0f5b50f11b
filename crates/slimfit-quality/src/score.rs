//! From loss to benchmark scores.

use crate::estimate::Z90;
use crate::recipe::{Recipe, ScoreCurve};
use slimfit_quantity::Predicted;

/// A predicted score, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Central value and 90 % interval against models of any recipe.
    pub percent: Predicted,
    /// Half the 90 % interval against models of the same recipe, points.
    pub same_recipe_points: f64,
}

impl ScoreCurve {
    /// The score at a loss, percent.
    pub fn percent(&self, nats: f64) -> f64 {
        100.0 * (self.chance + (1.0 - self.chance) / (1.0 + (self.steepness * (nats - self.center)).exp()))
    }

    /// The loss at which the score is `percent`, nats: the inverse of [`ScoreCurve::percent`] between guessing and 100.
    pub fn nats(&self, percent: f64) -> f64 {
        let above = (percent / 100.0 - self.chance) / (1.0 - self.chance);
        self.center + (1.0 / above - 1.0).ln() / self.steepness
    }

    /// The score at a loss whose noise is `sigma` within the recipe and `recipe_sigma` between recipes.
    ///
    /// Across recipes the interval is the one that left-out families of published models showed for this task, where that is
    /// known: it holds what recipes do. Only a noisier loss widens it. Without one, the recipes' noise counts, and what was
    /// seen for the best known task is the least.
    pub(crate) fn score(&self, nats: f64, sigma: f64, recipe_sigma: f64, across_recipes: f64) -> Score {
        let wide = match self.across_recipes {
            Some(seen) => self.half_points(nats, sigma).max(seen),
            None => self.half_points(nats, sigma.hypot(recipe_sigma)).max(across_recipes),
        };
        self.with_half(nats, sigma, wide)
    }

    /// The score beside an anchor, at the moved loss. `across_recipes` is the quantile of errors that were seen, which hold
    /// the curve's own and what remains between recipes, so only the model's own noise can widen it.
    pub(crate) fn anchored_score(&self, nats: f64, sigma: f64, across_recipes: f64) -> Score {
        let own = Self { residual: 0.0, ..*self }.half_points(nats, sigma);
        self.with_half(nats, sigma, own.max(across_recipes))
    }

    /// Half the 90 % interval at a loss of that noise: of the loss, of the curve and of the benchmark itself.
    fn half_points(&self, nats: f64, noise: f64) -> f64 {
        let shift = (self.percent(nats - noise) - self.percent(nats + noise)) / 2.0;
        // The mean absolute error of a normal distribution is 0.8 standard deviations.
        let curve = self.residual / 0.798;
        Z90 * (shift * shift + curve * curve + self.evaluation * self.evaluation).sqrt()
    }

    fn with_half(&self, nats: f64, sigma: f64, wide: f64) -> Score {
        let value = self.percent(nats);
        Score {
            percent: Predicted { value, low: (value - wide).max(0.0), high: (value + wide).min(100.0) },
            same_recipe_points: self.half_points(nats, sigma),
        }
    }
}

impl Recipe {
    /// Standard deviation between models of unlike recipes, nats.
    pub fn recipe_sigma(&self) -> f64 {
        self.noise.recipe.value.hypot(self.noise.level.value)
    }
}
