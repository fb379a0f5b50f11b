//! LTS: models of WikiText-103, ten folds, the form of the surface chosen inside each training fold.

use super::baseline::{Size, constant};
use super::data::Data;
use super::goal::Goal;
use super::row::{self, Judged, Row};
use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use slimfit_quality::fit::{Surface, SurfaceForm, TrainingRun, left_out};

/// Parts of which one is predicted by the others.
const FOLDS: usize = 10;

/// The rows.
pub fn rows(data: &Data) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, tau, error) in [
        ("GPT-2", Goal::at_least(0.95, 2), Goal::at_most(1.65, 2)),
        ("Transformer-XL", Goal::at_least(0.90, 2), Goal::at_most(2.45, 2)),
    ] {
        let mut runs = data.lts.get(name).cloned().with_context(|| format!("no runs of {name}"))?;
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
        for (place, run) in order.iter().enumerate() {
            runs[*run].group = (place % FOLDS).to_string();
        }
        let runs: Vec<&TrainingRun> = runs.iter().collect();
        let predicted = left_out(&runs, |kept, dropped| {
            let surface = Surface::fit(SurfaceForm::choose(kept)?, kept)?;
            Some(dropped.iter().map(|run| surface.loss(run)).collect())
        })
        .context("no surface")?;
        let judged = |predicted: &[f64]| -> Vec<Judged> {
            let rows = runs.iter().zip(predicted).enumerate();
            rows.map(|(place, (run, predicted))| Judged {
                // Each model is drawn by itself.
                group: place.to_string(),
                class: String::new(),
                predicted: *predicted,
                measured: run.loss,
                promised: None,
            })
            .collect()
        };
        let sized = |size: Size| judged(&runs.iter().map(|run| -size.of(run)).collect::<Vec<f64>>());
        let measured: Vec<f64> = runs.iter().map(|run| run.loss).collect();
        let mean = judged(&constant(&runs, &measured)?);
        // All were trained alike, so that 6ND ranks as the decoder's parameters do.
        let sizes: Vec<_> = Size::ALL[..2].iter().map(|size| (size.name(), sized(*size))).collect();
        let judged = judged(&predicted);
        let what = format!("LTS, {name} on WikiText-103, {FOLDS} folds, form chosen inside each");
        rows.extend(Row::new("LTS", what.clone(), ("Kendall", row::kendall_tau), Some(tau), &judged, &sizes));
        rows.extend(Row::new(
            "LTS",
            what,
            ("perplexity MAPE, %", row::perplexity_error),
            Some(error),
            &judged,
            &[(row::CONSTANT, mean)],
        ));
    }
    Ok(rows)
}
