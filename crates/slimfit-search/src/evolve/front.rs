//! The measured front as it is recorded.

use super::{Evolution, EvolveOptions};
use crate::table::{BoundTable, MeasuredValue};
use crate::{Metric, ModelEvaluator, Outcome, SearchError, Space};
use slimfit_quantity::Warning;
use slimfit_study::{CloudPoint, Front, ProfileRef, SurrogateErrors};

/// Warnings of a search that stopped early; a measured front says more exactly what it is.
const REPLACED: [&str; 2] = ["search-stopped", "empty-front"];

impl ModelEvaluator<'_> {
    /// The record of a front that was measured, and the other measured points under it. Each measured value says that it
    /// is one; `half_width` gives half of the 90 % interval of one, by the number of its point.
    ///
    /// # Errors
    /// When a point of the front can be searched but not predicted: a fault of this program.
    pub fn measured_front(
        &self,
        space: &Space,
        evolution: &Evolution,
        options: &EvolveOptions<'_>,
        profile: ProfileRef,
        half_width: &dyn Fn(u64, Metric) -> f64,
    ) -> Result<(Front, Vec<CloudPoint>), SearchError> {
        let entries = evolution.front.iter().map(|found| {
            let value = |metric: &Metric| MeasuredValue {
                metric: *metric,
                value: found.values[metric.column()],
                half_width: half_width(found.index, *metric),
            };
            (found.index, options.measures.iter().map(value).collect())
        });
        let evaluator = self.clone().measured_by(BoundTable::of_points(entries));
        let evaluated = evolution.evaluations.len() as u64;
        let outcome = Outcome {
            front: evolution.front.clone(),
            sample: evolution.dominated.clone(),
            space_size: space.size(),
            invalid: 0,
            invalid_by: Vec::new(),
            evaluated,
            pruned: Vec::new(),
            unvisited: space.size() - evaluated,
            epsilon: None,
            nearest_miss: evolution.nearest_miss,
            duration: evolution.duration,
        };
        let (mut front, cloud) = evaluator.front(space, &outcome, &options.question(), profile)?;
        let warnings = &mut front.head.warnings;
        warnings.retain(|warning| !REPLACED.contains(&warning.code.as_str()));
        warnings.extend(warning(evolution, options));
        Ok((front, cloud))
    }
}

impl Evolution {
    /// The errors of model and surrogate as records hold them.
    pub fn surrogate_errors(&self) -> Vec<SurrogateErrors> {
        self.errors
            .iter()
            .map(|error| SurrogateErrors {
                name: error.metric.name().to_owned(),
                n: error.measured as u64,
                model_bias: error.model_bias,
                model: error.model,
                corrected: error.corrected,
                foretold: error.foretold,
            })
            .collect()
    }

    /// Evaluations that failed.
    pub fn failed(&self) -> usize {
        self.evaluations.iter().filter(|evaluated| evaluated.measured.is_err()).count()
    }
}

/// What the reader of a measured front must know.
fn warning(evolution: &Evolution, options: &EvolveOptions<'_>) -> Vec<Warning> {
    let (count, failed) = (evolution.evaluations.len(), evolution.failed());
    let names: Vec<String> = options.measures.iter().map(|metric| format!("`{}`", metric.name())).collect();
    let mut warnings = vec![Warning::new(
        "measured-front",
        format!(
            "the front is that of {} measured points ({}): nothing is proven about points that were not measured",
            count - failed,
            names.join(", ")
        ),
    )];
    if failed > 0 {
        let mut reasons =
            evolution.evaluations.iter().filter_map(|evaluated| evaluated.measured.as_ref().err());
        let last = reasons.next_back().map_or("", String::as_str);
        let message = format!("{failed} of {count} evaluations failed, the last one with: {last}");
        warnings.push(Warning::new("evaluations-failed", message));
    }
    if evolution.front.is_empty() {
        let message = match (count, evolution.nearest_miss) {
            (0, _) => {
                "no point was measured: no point of the space is valid and keeps the limits on what is predicted, or there was no time"
            }
            (_, Some(_)) => "no measured point keeps all limits: `nearest_miss` comes nearest",
            (_, None) => "every evaluation failed",
        };
        warnings.push(Warning::new("empty-front", message));
    }
    warnings
}
