//! How many points a second the whole model of cost and quality takes on one core.

use crate::program::Program;
use crate::row::{Row, both};
use anyhow::{Context, Result};
use serde_json::json;
use slimfit_cost::CostModel;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::{ModelEvaluator, Point, SearchOptions, Space, Workload, for_each_point, search};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

/// As `slimfit search` has them unless told otherwise.
const RECIPE: &str = "gemstones";
const WORKLOAD: &str = "assistant";
const TOKENS: u64 = 100_000_000_000;
/// Seconds of a pass, at least.
const SECONDS: f64 = 1.0;
/// Points that are predicted with their terms.
const POINTS: usize = 500;

/// By the search, which settles many points at once, in a `large` space, where what it prepares does not count; one by one,
/// and as `explain` shows a point, in a `small` one.
pub fn rows(program: &Program, large: &str, small: &str) -> Result<Vec<Row>> {
    let cost = CostModel::new(&HardwareProfile::load(&program.profile)?)?;
    let quality = QualityModel::new(Recipe::builtin(RECIPE)?);
    let workload = Workload::load(WORKLOAD)?;
    let (large, space) = (Space::load(large, &[])?, Space::load(small, &[])?);
    let evaluator_of = |space: &Space| {
        let evaluator = ModelEvaluator::new(space, &cost, &quality, TOKENS, &workload);
        let objectives = evaluator.default_objectives(space);
        (evaluator.asked_for(&objectives, &[]), objectives)
    };
    let (searcher, objectives) = evaluator_of(&large);
    let (evaluator, _) = evaluator_of(&space);
    let options = SearchOptions {
        objectives,
        limits: Vec::new(),
        workers: 1,
        seed: 0,
        sample: 0,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    // Points that are none cost next to nothing, so they count for nothing.
    let by_parts = || {
        let outcome = search(&large, &searcher, &options)?;
        Ok(outcome.space_size - outcome.invalid - outcome.unvisited)
    };
    let one_by_one = || {
        let mut count = 0_u64;
        let _ = for_each_point(&space, &evaluator, &[], |found, _| {
            black_box(&found);
            count += 1;
            ControlFlow::Continue(())
        });
        Ok(count)
    };
    let valid = (0..space.size()).step_by((space.size() as usize / POINTS).max(1));
    let points: Vec<Point> = valid.filter_map(|index| space.point(index).ok()).collect();
    let alone = || {
        for point in &points {
            let run = workload.run_shape(evaluator.law(), point.architecture.vocabulary_size);
            let prediction = cost.predict(&point.architecture, point.weights, point.kv, run, None)?;
            let estimate =
                quality.estimate(&point.architecture, point.weights, point.kv, TOKENS, &workload.bytes());
            black_box((prediction, estimate.ok()));
        }
        Ok(points.len() as u64)
    };
    let what = |space: &Space, how: &str| format!("points of {} a second and core, {how}", space.name());
    Ok(vec![
        row(what(&large, "valid ones settled by parts and bounds"), Some(2e7), rates(by_parts)?),
        row(what(&space, "valid ones one by one"), Some(2e5), rates(one_by_one)?),
        row(what(&space, "with terms and intervals"), None, rates(alone)?),
    ])
}

/// Points a second in two passes.
fn rates(mut run: impl FnMut() -> Result<u64>) -> Result<[f64; 2]> {
    let mut pass = || -> Result<f64> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            count += run().context("a point of the space")?;
        }
        Ok(count as f64 / start.elapsed().as_secs_f64())
    };
    Ok([pass()?, pass()?])
}

fn row(what: String, goal: Option<f64>, rates: [f64; 2]) -> Row {
    Row {
        what,
        goal: goal.map_or_else(String::new, |goal| format!("≥ {goal:.0e}")),
        ours: both(rates, |rate| format!("{rate:.2e}")),
        peer: String::new(),
        met: goal.map(|goal| rates.iter().all(|rate| *rate >= goal)),
        remark: String::new(),
        figures: json!({"points_per_s": rates}),
    }
}
