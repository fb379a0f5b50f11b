//! Kernels raced for a model's own products, as a profile does.

use anyhow::Result;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Tuning, tune};
use slimfit_quantity::median;
use slimfit_runtime::Model;
use std::time::{Duration, Instant};

/// Races kernels for the model's own products so long, says what won, and adds it to `tuning`.
///
/// # Errors
/// A kernel fails.
pub fn race(model: &Model, pool: &Pool, seconds: f64, tuning: &mut Tuning) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    let outcomes = tune(pool, &model.tuning_keys(), tuning, deadline, &mut |_, _| true)?;
    for outcome in &outcomes {
        tuning.choose(outcome);
        let gain = median(&outcome.default_seconds) / median(&outcome.seconds);
        eprintln!("{}: {} ({gain:.2} times {})", outcome.key, outcome.variant, outcome.default_variant);
    }
    Ok(())
}
