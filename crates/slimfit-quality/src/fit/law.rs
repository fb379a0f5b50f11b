//! Fits the law to training runs: soft-L1 on the logarithm of the loss.

use super::parameter::Parameter;
use super::run::TrainingRun;
use super::solve::{Observations, minimise};
use crate::formula::Formula;
use crate::recipe::Recipe;

/// Errors of ln(loss) beyond this count linearly: about what details of training are worth.
pub const SOFT_L1_SCALE: f64 = 0.005;
/// Parameters at which a fitted size term is its factor.
const SIZE_REFERENCE: f64 = 1e8;
/// Tokens at which a fitted data term is its factor.
const DATA_REFERENCE: f64 = 1e10;

/// The recipe's loss for a run, by the same formula as [`Law::base`](crate::Law::base); no limits are applied.
pub fn predicted_loss(recipe: &Recipe, run: &TrainingRun) -> f64 {
    Formula::of(recipe).nats(&run.shape, run.tokens as f64) + heads_nats(recipe, run)
}

/// A copy of `recipe` whose `moved` coefficients meet the losses of `runs` best; all others stay. Where the runs leave a
/// coefficient open, it stays near the recipe's.
///
/// Nothing where no minimum is found.
pub fn fit_law(recipe: &Recipe, runs: &[&TrainingRun], moved: &[Parameter]) -> Option<Recipe> {
    let mut start = rescaled(Formula::of(recipe));
    let offsets: Vec<f64> = runs.iter().map(|run| heads_nats(recipe, run)).collect();
    let mut ratios: Vec<f64> = runs
        .iter()
        .zip(&offsets)
        .map(|(run, offset)| run.loss / (start.nats(&run.shape, run.tokens as f64) + offset))
        .collect();
    ratios.sort_by(f64::total_cmp);
    // Another tokenizer or other text moves all of the loss: begin at the runs' level.
    let level = ratios[ratios.len() / 2];
    for parameter in Parameter::LEVEL.iter().filter(|parameter| moved.contains(parameter)) {
        let value = level * parameter.get(&start);
        parameter.set(&mut start, value);
    }
    let observations = LawObservations {
        observed: runs
            .iter()
            .zip(&offsets)
            .map(|(run, offset)| Observed {
                run,
                ln_aspect: run.shape.ln_width_over_depth(),
                ln_tokens: (run.tokens as f64).ln(),
                ln_loss: run.loss.ln(),
                offset: *offset,
            })
            .collect(),
        start,
        moved,
    };
    let point: Vec<f64> = moved.iter().map(|parameter| to_point(*parameter, parameter.get(&start))).collect();
    let found = minimise(&observations, &point, SOFT_L1_SCALE)?;
    let formula = observations.formula(&found);
    let mut fitted = recipe.clone();
    fitted.loss.size.reference = SIZE_REFERENCE;
    fitted.loss.data.reference = DATA_REFERENCE;
    // The factors belong to the references, moved or not.
    for parameter in moved.iter().chain(&Parameter::LEVEL) {
        parameter.coefficient(&mut fitted).value = parameter.get(&formula);
    }
    Some(fitted)
}

fn heads_nats(recipe: &Recipe, run: &TrainingRun) -> f64 {
    recipe.heads_correction(&run.shape).map_or(0.0, |correction| correction.value)
}

/// The same formula with its factors at the references of fitted recipes.
fn rescaled(mut formula: Formula) -> Formula {
    formula.size_factor = formula.size_nats(SIZE_REFERENCE.ln());
    formula.data_factor = formula.data_nats(DATA_REFERENCE.ln());
    formula.ln_size_reference = SIZE_REFERENCE.ln();
    formula.ln_data_reference = DATA_REFERENCE.ln();
    formula
}

/// Positive coefficients are moved by their logarithm; one that is 0 begins small enough not to count.
fn to_point(parameter: Parameter, value: f64) -> f64 {
    if parameter.is_positive() { value.max(1e-3).ln() } else { value }
}

struct Observed<'a> {
    run: &'a TrainingRun,
    ln_aspect: f64,
    ln_tokens: f64,
    ln_loss: f64,
    offset: f64,
}

struct LawObservations<'a> {
    observed: Vec<Observed<'a>>,
    start: Formula,
    moved: &'a [Parameter],
}

impl LawObservations<'_> {
    fn formula(&self, point: &[f64]) -> Formula {
        let mut formula = self.start;
        for (parameter, value) in self.moved.iter().zip(point) {
            parameter.set(&mut formula, if parameter.is_positive() { value.exp() } else { *value });
        }
        formula
    }
}

impl Observations for LawObservations<'_> {
    type Point = Formula;

    fn point(&self, unknowns: &[f64]) -> Formula {
        self.formula(unknowns)
    }

    fn count(&self) -> usize {
        self.observed.len()
    }

    fn residual(&self, index: usize, formula: &Formula, gradient: &mut [f64]) -> f64 {
        let Observed { run, ln_aspect, ln_tokens, ln_loss, offset } = &self.observed[index];
        let counted = formula.counted(&run.shape);
        let credited = counted + formula.embedding_credit * run.shape.embedding as f64;
        let effective = credited.ln() + formula.ln_penalty(*ln_aspect);
        let (size, data) = (formula.size_nats(effective), formula.data_nats(*ln_tokens));
        let joined = formula.joined(size, data);
        let nats = formula.irreducible + joined + offset;
        // Derivatives of the joined terms with respect to the logarithms of size, data and effective size.
        let size_share = (size / joined).powf(1.0 / formula.interaction);
        let (by_size, by_data) = (joined * size_share, joined * (1.0 - size_share));
        let by_effective = -formula.size_exponent * by_size;
        let distance = ln_aspect - formula.width_depth_optimum;
        let penalty = formula.width_depth_penalty;
        for (parameter, slot) in self.moved.iter().zip(gradient) {
            let change = match parameter {
                Parameter::Irreducible => formula.irreducible,
                Parameter::SizeFactor => by_size,
                Parameter::SizeExponent => by_effective * (effective - formula.ln_size_reference),
                Parameter::DataFactor => by_data,
                Parameter::DataExponent => {
                    -formula.data_exponent * by_data * (ln_tokens - formula.ln_data_reference)
                }
                Parameter::Interaction => {
                    let mean = size_share * size.ln() + (1.0 - size_share) * data.ln();
                    joined * (joined.ln() - mean)
                }
                Parameter::WidthDepthPenalty => -by_effective * penalty * distance * distance,
                Parameter::WidthDepthOptimum => 2.0 * by_effective * penalty * distance,
                Parameter::EmbeddingCredit => by_effective * (credited - counted) / credited,
                Parameter::ExpertExponent => {
                    let (active, total) = formula.active_and_total(&run.shape);
                    by_effective * counted / credited * (total / active).ln()
                }
            };
            *slot = change / nats;
        }
        nats.ln() - ln_loss
    }
}
