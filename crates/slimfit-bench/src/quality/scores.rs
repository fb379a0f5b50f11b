//! Q5 to Q7 and Q8b: benchmark scores of corpora and families that no fit has seen.

use super::baseline::{Size, constant};
use super::data::{Data, Published};
use super::goal::Goal;
use super::row::{self, Judged, Row};
use anyhow::{Context, Result};
use slimfit_quality::fit::{
    CURVE_SCALE, ScorePoint, TrainingRun, conformal_half_width, fit_curve, left_out, predicted_loss,
};
use slimfit_quality::{Recipe, ScoreCurve};

/// The setting of the first Open LLM Leaderboard.
pub const LEADERBOARD: &str = "openllm-v1";
/// Token counts that their source lists and that cannot be: left out of fits.
const DOUBTFUL: [&str; 1] = ["stablelm-alpha"];

/// A run, the score that was measured and what a curve reads of the run.
pub struct Scored {
    /// The model.
    pub run: TrainingRun,
    /// Loss by the recipe, or what stands in for it.
    pub loss: f64,
    /// Percent.
    pub score: f64,
}

/// Rows of a setting that have a score and a length.
pub fn scored(published: &[Published], setting: &str, task: &str, recipe: &Recipe) -> Vec<Scored> {
    let rows = published.iter().filter(|row| row.eval_setting.starts_with(setting));
    rows.filter(|row| !DOUBTFUL.contains(&row.family.as_str()))
        .filter_map(|row| {
            let (run, score) = (row.run()?, row.score(task)?);
            Some(Scored { loss: predicted_loss(recipe, &run), run, score })
        })
        .collect()
}

/// A curve to begin with.
pub fn curve(chance: f64) -> ScoreCurve {
    ScoreCurve {
        chance,
        steepness: 3.0,
        steepness_bounds: None,
        center: 2.3,
        center_bounds: None,
        residual: 0.0,
        evaluation: 0.0,
        across_recipes: None,
    }
}

/// Scores of each group by a curve through all others, with the interval that their own left-out errors promise.
pub fn judge(rows: &[Scored], start: &ScoreCurve) -> Result<Vec<Judged>> {
    let runs: Vec<&TrainingRun> = rows.iter().map(|row| &row.run).collect();
    let points = |kept: &[&TrainingRun]| -> Vec<ScorePoint> {
        kept.iter()
            .filter_map(|run| rows.iter().find(|row| std::ptr::eq(&row.run, *run)))
            .map(Scored::point)
            .collect()
    };
    let predict = |kept: &[&TrainingRun], dropped: &[&TrainingRun]| {
        let curve = fit_curve(start, &points(kept), CURVE_SCALE)?;
        Some(points(dropped).iter().map(|point| curve.percent(point.loss)).collect::<Vec<f64>>())
    };
    let predicted = left_out(&runs, predict).context("a curve finds no minimum")?;
    let promised = left_out(&runs, |kept, dropped| {
        let inner = left_out(kept, predict)?;
        let errors: Vec<f64> = inner
            .iter()
            .zip(points(kept))
            .map(|(predicted, point)| (predicted - point.score).abs())
            .collect();
        Some(vec![conformal_half_width(&errors); dropped.len()])
    })
    .context("a curve finds no minimum")?;
    Ok(judged(rows, &predicted, Some(&promised)))
}

impl Scored {
    fn point(&self) -> ScorePoint {
        ScorePoint { loss: self.loss, score: self.score }
    }
}

fn judged(rows: &[Scored], predicted: &[f64], promised: Option<&[f64]>) -> Vec<Judged> {
    rows.iter()
        .enumerate()
        .map(|(place, row)| Judged {
            group: row.run.group.clone(),
            class: String::new(),
            predicted: predicted[place],
            measured: row.score,
            promised: promised.map(|promised| promised[place]),
        })
        .collect()
}

/// Curves on ln of a plain size instead of the loss, and the mean.
fn baselines(rows: &[Scored], chance: f64) -> Result<Vec<(&'static str, Vec<Judged>)>> {
    let mut baselines = Vec::new();
    for size in Size::ALL {
        let sized: Vec<Scored> = rows
            .iter()
            .map(|row| Scored { run: row.run.clone(), loss: -size.of(&row.run).ln(), score: row.score })
            .collect();
        let middle = sized.iter().map(|row| row.loss).sum::<f64>() / sized.len() as f64;
        let start = ScoreCurve { steepness: 0.4, center: middle, ..curve(chance) };
        baselines.push((size.name(), judge(&sized, &start)?));
    }
    let runs: Vec<&TrainingRun> = rows.iter().map(|row| &row.run).collect();
    let measured: Vec<f64> = rows.iter().map(|row| row.score).collect();
    baselines.push((row::CONSTANT, judged(rows, &constant(&runs, &measured)?, None)));
    Ok(baselines)
}

/// The rows.
pub fn rows(data: &Data) -> Result<Vec<Row>> {
    let recipe = Recipe::builtin("published")?;
    let mut rows = open_lm(data)?;
    let mut add =
        |id, task: &str, setting: &str, chance, figures: &[(&'static str, row::Statistic, Option<Goal>)]| {
            let scored = scored(&data.published, setting, task, &recipe);
            let (judged, baselines) = (judge(&scored, &curve(chance))?, baselines(&scored, chance)?);
            for (figure, statistic, goal) in figures {
                let what = format!("{task}, leave one family out, {setting}");
                rows.extend(Row::new(id, what, (figure, *statistic), *goal, &judged, &baselines));
            }
            anyhow::Ok(())
        };
    let error = |limit| ("MAE, points", row::mean_absolute as row::Statistic, limit);
    let rank = |limit| ("Spearman", row::spearman as row::Statistic, limit);
    let inside = |limit| ("coverage of the 90 % interval", row::coverage as row::Statistic, limit);
    add(
        "Q6",
        "hellaswag",
        LEADERBOARD,
        0.25,
        &[
            error(Some(Goal::at_most(3.9, 1))),
            ("0.9 quantile, points", row::quantile_90, Some(Goal::at_most(8.2, 1))),
            rank(Some(Goal::at_least(0.94, 2))),
            inside(Some(Goal::between(0.82, 0.97, 2))),
        ],
    )?;
    add(
        "Q7",
        "arc_challenge",
        LEADERBOARD,
        0.25,
        &[error(Some(Goal::at_most(3.4, 1))), rank(None), inside(None)],
    )?;
    add(
        "Q7",
        "winogrande",
        LEADERBOARD,
        0.5,
        &[error(Some(Goal::at_most(2.4, 1))), rank(None), inside(None)],
    )?;
    add("Q8b", "hellaswag", "mobilellm-0shot", 0.25, &[rank(None), error(None)])?;
    Ok(rows)
}

/// Q5: loss on one text to scores, one corpus held out.
fn open_lm(data: &Data) -> Result<Vec<Row>> {
    let Some(shape) = data.gemstones.first() else { return Ok(Vec::new()) };
    let scored = |score: &dyn Fn(&super::data::OpenLm) -> f64| -> Vec<Scored> {
        let rows = data.open_lm.iter();
        rows.map(|row| {
            // The curve reads the measured loss; the run only says which corpus.
            let run = TrainingRun { group: row.dataset.clone(), ..shape.clone() };
            Scored { run, loss: row.loss_c4_val, score: 100.0 * score(row) }
        })
        .collect()
    };
    let error = ("MAE, points", row::mean_absolute as row::Statistic);
    let mut rows = Vec::new();
    // 0.243: what the mean of the tasks tends to at high loss (1 − 0.757, Gadre 2024).
    let all = scored(&|row| row.avg46);
    let hellaswag = scored(&|row| row.hellaswag);
    for (what, scored, chance) in [
        ("open_lm, one corpus held out: measured loss on C4 to the mean of 46 tasks", all, 0.243),
        ("open_lm, one corpus held out: measured loss on C4 to HellaSwag", hellaswag, 0.25),
    ] {
        let runs: Vec<&TrainingRun> = scored.iter().map(|row| &row.run).collect();
        let measured: Vec<f64> = scored.iter().map(|row| row.score).collect();
        let constant = judged(&scored, &constant(&runs, &measured)?, None);
        rows.extend(Row::new(
            "Q5",
            what,
            error,
            None,
            &judge(&scored, &curve(chance))?,
            &[(row::CONSTANT, constant)],
        ));
    }
    Ok(rows)
}
