//! Coefficients of fits to all runs, as the shipped recipes hold them.

use super::data::Data;
use super::losses::candidates;
use super::row;
use super::scores::{LEADERBOARD, Scored, curve, judge, scored};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use slimfit_quality::fit::{
    CURVE_SCALE, Parameter, ScorePoint, TrainingRun, bootstrap, conformal_half_width, fit_curve, fit_law,
    leave_groups_out,
};
use slimfit_quality::{Recipe, Z90};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Draws of an interval.
const SAMPLES: usize = 400;

/// A fitted number.
#[derive(Debug, Clone)]
pub struct Fitted {
    recipe: &'static str,
    field: String,
    value: f64,
    bounds: Option<[f64; 2]>,
    shipped: Option<f64>,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Coefficients(Vec<Fitted>);

impl Coefficients {
    /// For people.
    pub fn text(&self) -> String {
        let mut text =
            String::from("coefficients of fits to all runs, 5 and 95 % bounds, what is shipped:\n");
        for Fitted { recipe, field, value, bounds, shipped } in &self.0 {
            let _ = write!(text, "{recipe} {field} {value:.5}");
            if let Some([low, high]) = bounds {
                let _ = write!(text, " [{low:.5}, {high:.5}]");
            }
            let _ = match shipped {
                Some(shipped) => writeln!(text, " shipped {shipped}"),
                None => writeln!(text),
            };
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let of = |fitted: &Fitted| {
            let Fitted { recipe, field, value, bounds, shipped } = fitted;
            json!({ "recipe": recipe, "field": field, "value": value, "bounds": bounds, "shipped": shipped })
        };
        self.0.iter().map(of).collect()
    }
}

/// Fits everything.
pub fn all(data: &Data) -> Result<Coefficients> {
    let mut found = gemstones_law(data)?;
    let gemstones = Recipe::builtin("gemstones")?;
    for (task, shipped) in &gemstones.scores.tasks {
        let rows: Vec<Scored> = data
            .gemstones
            .iter()
            .filter_map(|run| {
                Some(Scored { run: run.clone(), loss: run.loss, score: *run.scores.get(task)? })
            })
            .collect();
        found.extend(curves("gemstones", task, shipped.chance, &rows, Some(shipped))?);
    }
    let published = Recipe::builtin("published")?;
    for (task, chance) in [("hellaswag", 0.25), ("arc_challenge", 0.25), ("winogrande", 0.5)] {
        let rows = scored(&data.published, LEADERBOARD, task, &published);
        found.extend(curves("published", task, chance, &rows, published.scores.tasks.get(task))?);
    }
    Ok(Coefficients(found))
}

fn gemstones_law(data: &Data) -> Result<Vec<Fitted>> {
    let start = Recipe::builtin("gemstones")?;
    let runs: Vec<&TrainingRun> = data.gemstones.iter().collect();
    let candidates = candidates(&start, true);
    let joined = candidates.iter().find(|candidate| candidate.name == "joined").context("no such form")?;
    let values = |mut recipe: Recipe| -> Vec<f64> {
        Parameter::WHOLE.map(|parameter| parameter.coefficient(&mut recipe).value).to_vec()
    };
    let fitted = values(fit_law(&joined.recipe, &runs, &joined.moved).context("no minimum")?);
    let mut groups: BTreeMap<&str, Vec<&TrainingRun>> = BTreeMap::new();
    for run in &runs {
        groups.entry(&run.group).or_default().push(run);
    }
    let groups: Vec<Vec<&TrainingRun>> = groups.into_values().collect();
    let bounds = bootstrap(groups.len(), SAMPLES, 1, |places| {
        let drawn: Vec<&TrainingRun> =
            places.iter().flat_map(|place| groups[*place].iter().copied()).collect();
        fit_law(&joined.recipe, &drawn, &joined.moved).map(values)
    })
    .context("no intervals")?;
    let shipped = values(start.clone());
    let mut found: Vec<Fitted> = (0..fitted.len())
        .map(|place| Fitted {
            recipe: "gemstones",
            field: Parameter::WHOLE[place].field().to_owned(),
            value: fitted[place],
            bounds: Some(bounds[place]),
            shipped: Some(shipped[place]),
        })
        .collect();
    let left_out = leave_groups_out(&joined.recipe, &runs, &joined.moved).context("no minimum")?;
    let errors: Vec<f64> = left_out.iter().zip(&runs).map(|(loss, run)| (loss - run.loss).abs()).collect();
    found.push(Fitted {
        recipe: "gemstones",
        field: "noise.shape".to_owned(),
        value: conformal_half_width(&errors) / Z90,
        bounds: None,
        shipped: Some(start.noise.shape.value),
    });
    Ok(found)
}

fn curves(
    recipe: &'static str,
    task: &str,
    chance: f64,
    rows: &[Scored],
    shipped: Option<&slimfit_quality::ScoreCurve>,
) -> Result<Vec<Fitted>> {
    let start = curve(chance);
    let mut groups: BTreeMap<&str, Vec<ScorePoint>> = BTreeMap::new();
    for row in rows {
        groups.entry(&row.run.group).or_default().push(ScorePoint { loss: row.loss, score: row.score });
    }
    let groups: Vec<Vec<ScorePoint>> = groups.into_values().collect();
    let fit = |points: &[ScorePoint]| {
        fit_curve(&start, points, CURVE_SCALE).map(|curve| vec![curve.steepness, curve.center])
    };
    let fitted = fit(&groups.concat()).context("no minimum")?;
    let bounds = bootstrap(groups.len(), SAMPLES, 1, |places| {
        fit(&places.iter().flat_map(|place| groups[*place].iter().copied()).collect::<Vec<ScorePoint>>())
    })
    .context("no intervals")?;
    let judged = judge(rows, &start)?;
    let errors: Vec<f64> = judged.iter().map(|row| (row.predicted - row.measured).abs()).collect();
    let of = |name: &str, value, bounds, shipped| Fitted {
        recipe,
        field: format!("scores.tasks.{task}.{name}"),
        value,
        bounds,
        shipped,
    };
    Ok(vec![
        of("steepness", fitted[0], Some(bounds[0]), shipped.map(|curve| curve.steepness)),
        of("center", fitted[1], Some(bounds[1]), shipped.map(|curve| curve.center)),
        of(
            "residual",
            row::mean_absolute(&judged).context("no rows")?,
            None,
            shipped.map(|curve| curve.residual),
        ),
        of(
            "across_recipes",
            conformal_half_width(&errors),
            None,
            shipped.and_then(|curve| curve.across_recipes),
        ),
    ])
}
