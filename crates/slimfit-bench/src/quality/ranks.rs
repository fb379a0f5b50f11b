//! Q8: checkpoints of Pythia, ranked by a recipe that was fitted to none of them.

use super::baseline::Size;
use super::data::{Data, Pythia};
use super::goal::Goal;
use super::row::{self, Judged, Row};
use anyhow::Result;
use slimfit_quality::Recipe;
use slimfit_quality::fit::predicted_loss;

/// What a task reads of a checkpoint.
type Accuracy = fn(&Pythia) -> f64;

/// Earlier checkpoints have learnt too little to be ranked, billions of tokens.
const FIRST: f64 = 5.0;
/// Runs with other batch sizes are repetitions of the same models.
const REPETITION: &str = "MtokBS";

/// The rows.
pub fn rows(data: &Data) -> Result<Vec<Row>> {
    let (published, gemstones) = (Recipe::builtin("published")?, Recipe::builtin("gemstones")?);
    let checkpoints: Vec<&Pythia> = data
        .pythia
        .iter()
        .filter(|row| row.tokens_billions > FIRST && !row.model.contains(REPETITION))
        .collect();
    let judged = |predict: &dyn Fn(&Pythia) -> f64, measured: fn(&Pythia) -> f64| -> Vec<Judged> {
        let rows = checkpoints.iter();
        rows.map(|row| Judged {
            group: row.model.clone(),
            class: String::new(),
            predicted: predict(row),
            measured: measured(row),
            promised: None,
        })
        .collect()
    };
    let tasks: [(&str, Accuracy); 3] =
        [("LAMBADA", |row| row.lambada_acc), ("PIQA", |row| row.piqa), ("ARC-e", |row| row.arc_easy)];
    let mut rows = Vec::new();
    for (task, measured) in tasks {
        let by_law = |recipe: &Recipe| judged(&|row| -predicted_loss(recipe, &row.run()), measured);
        let by_size = |size: Size| judged(&|row| size.of(&row.run()), measured);
        let mut baselines: Vec<_> = Size::ALL.iter().map(|size| (size.name(), by_size(*size))).collect();
        baselines.push(("recipe gemstones", by_law(&gemstones)));
        let what = format!("Pythia checkpoints, {task}, recipe published, nothing fitted");
        let goal = Some(Goal::at_least(0.98, 2));
        rows.extend(Row::new("Q8", what, ("Spearman", row::spearman), goal, &by_law(&published), &baselines));
    }
    Ok(rows)
}
