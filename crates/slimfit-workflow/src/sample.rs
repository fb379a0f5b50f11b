//! Draws architectures from spaces, spread evenly over the logarithm of their size.

use crate::WorkflowError;
use slimfit_search::{Evaluator, Metric, ModelEvaluator, Point, Space};

/// Draws looked at for each architecture wanted; enough that a size is met within a few percent.
const DRAWS_PER_SAMPLE: usize = 40;
/// Draws after which a space is taken to hold nothing.
const MOST_DRAWS: usize = 200_000;

/// A small counter-based generator (SplitMix64): the same seed draws the same points on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// `count` valid points of `space`, their sizes spread evenly in the logarithm, no two alike.
///
/// # Errors
/// When no valid point is met.
pub(crate) fn sample(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    count: usize,
    seed: u64,
) -> Result<Vec<(Point, u64)>, WorkflowError> {
    let mut random = Random::new(seed);
    let mut drawn: Vec<(u64, u64)> = Vec::new();
    for _ in 0..MOST_DRAWS {
        if drawn.len() >= count * DRAWS_PER_SAMPLE {
            break;
        }
        let index = random.next() % space.size().max(1);
        if let Some(parameters) = valid_parameters(space, evaluator, index) {
            drawn.push((parameters, index));
        }
    }
    drawn.sort_unstable();
    drawn.dedup();
    let (Some(&(least, _)), Some(&(most, _))) = (drawn.first(), drawn.last()) else {
        return Err(WorkflowError::NothingToRun {
            space: space.name().to_owned(),
            reason: format!("{MOST_DRAWS} draws met no valid point"),
        });
    };
    let mut chosen = Vec::new();
    for place in 0..count {
        if drawn.is_empty() {
            break;
        }
        // The middles of `count` equal stretches of the logarithm.
        let share = (place as f64 + 0.5) / count as f64;
        let wanted = (least as f64) * (most as f64 / least as f64).powf(share);
        let distance = |parameters: u64| (parameters as f64 / wanted).ln().abs();
        let nearest = (0..drawn.len())
            .min_by(|&a, &b| distance(drawn[a].0).total_cmp(&distance(drawn[b].0)))
            .expect("there are draws left");
        let (parameters, index) = drawn.remove(nearest);
        if let Ok(point) = space.point(index) {
            chosen.push((point, parameters));
        }
    }
    Ok(chosen)
}

fn valid_parameters(space: &Space, evaluator: &ModelEvaluator<'_>, index: u64) -> Option<u64> {
    let inner_size = space.inner_size().max(1);
    let block = space.block(index / inner_size).ok()?;
    let mut prepared = evaluator.prepare(space, &block).ok()?;
    let mut values = Metric::UNKNOWN;
    evaluator.evaluate(&mut prepared, space.inner(index % inner_size), &mut values).ok()?;
    Some(values[Metric::Parameters.column()] as u64)
}
