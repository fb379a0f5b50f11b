//! Ranks existing models on a device without a search.

use super::{ExistingModels, RankingOptions, rank};
use crate::WorkflowError;
use crate::search_study::engine_warnings;
use slimfit_cost::{CostError, CostModel, Engine, EngineOptions};
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{Anchor, QualityModel, Recipe};
use slimfit_quantity::{NumberFormat, Warning};
use slimfit_search::{Appraiser, Metric, Workload};
use slimfit_study::Candidates;

/// Which models are ranked, for which device and use.
#[derive(Debug, Clone)]
pub struct RankingInputs {
    /// The models.
    pub models: ExistingModels,
    /// The device.
    pub profile: HardwareProfile,
    /// The runtime that is priced.
    pub engine: Engine,
    /// How another runtime than ours is priced.
    pub engine_options: EngineOptions,
    /// The use.
    pub workload: Workload,
    /// What predicts quality where none was published.
    pub recipe: Recipe,
    /// Siblings of known score.
    pub anchors: Vec<Anchor>,
    /// Training tokens of models whose own are not known.
    pub tokens: Option<u64>,
    /// Weight formats that models may run in.
    pub weights: Vec<NumberFormat>,
    /// KV formats.
    pub kv: Vec<NumberFormat>,
    /// Limits to keep.
    pub limits: Vec<(Metric, f64)>,
}

/// Existing models in order.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The models.
    pub candidates: Candidates,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
}

/// Ranks models by quality under limits. Compared with each other, time to the first token, time per byte of text, memory, and
/// energy where it can be had, count as costs.
///
/// # Errors
/// When the device cannot be priced, a limit is of something that it does not tell, or none of the models can be priced.
pub fn rank_existing(inputs: &RankingInputs) -> Result<Ranking, WorkflowError> {
    let cost = CostModel::for_engine(&inputs.profile, inputs.engine, inputs.engine_options)?;
    for (metric, _) in &inputs.limits {
        match metric {
            Metric::TtftSeconds | Metric::TtftP95Seconds if !cost.has_prefill() => {
                return Err(CostError::Prefill.into());
            }
            Metric::JoulesPerToken => drop(cost.energy()?),
            _ => {}
        }
        if metric.is_percentile() {
            cost.tails()?;
        }
    }
    let quality = QualityModel::new(inputs.recipe.clone()).anchored(&inputs.anchors)?;
    let mut costs =
        vec![Metric::TtftSeconds, Metric::TpotSeconds, Metric::MemoryBytes, Metric::JoulesPerToken];
    costs.retain(|metric| match metric {
        Metric::TtftSeconds => cost.has_prefill(),
        Metric::JoulesPerToken => cost.has_power(),
        _ => true,
    });
    let appraiser = Appraiser::new(&cost, &quality, &inputs.workload);
    let options = RankingOptions {
        weights: &inputs.weights,
        kv: &inputs.kv,
        limits: &inputs.limits,
        costs,
        tokens: inputs.tokens,
    };
    let candidates = rank(&inputs.models, &appraiser, &options, None)?;
    Ok(Ranking { candidates, warnings: engine_warnings(&cost, &inputs.profile) })
}
