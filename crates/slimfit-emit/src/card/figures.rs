//! Predicted and measured figures, in tables of their own: no column holds both.

use super::numbers::{cells, value};
use super::{Card, CardFacts, MeasuredRun, NOT_RUN, text};
use slimfit_quantity::Figure;
use slimfit_study::{RunFigures, objective_label};

pub(super) fn predicted(card: &Card<'_>) -> String {
    let facts = card.facts;
    let mut section =
        "## Predicted\n\nWhat a model of the device and a law of quality say, with 90 % intervals. The loss \
                       is that of a model trained as below; none of these was trained.\n\n"
            .to_owned();
    section.push_str(&predicted_table(facts));
    for remark in &facts.remarks {
        section.push_str(&format!("\n{}\n", text::sentence(remark)));
    }
    if !facts.not_predicted.is_empty() {
        let tasks: Vec<String> = facts
            .not_predicted
            .iter()
            .map(|(task, reason)| format!("{} ({})", text::markdown(task), text::sentence(reason)))
            .collect();
        section.push_str(&format!("\nNot predicted: {}.\n", tasks.join("; ")));
    }
    section
}

/// What predictions are for, and the predictions.
pub(crate) fn predicted_table(facts: &CardFacts) -> String {
    let mut table = String::new();
    for (label, words) in &facts.setting {
        table.push_str(&format!("- {}: {}\n", text::markdown(label), text::sentence(words)));
    }
    if !facts.setting.is_empty() {
        table.push('\n');
    }
    let rows: Vec<Vec<String>> = facts
        .predicted
        .iter()
        .map(|predicted| {
            let [value, interval, source] = cells(&predicted.name, &predicted.figure);
            vec![text::markdown(&objective_label(&predicted.name)), value, interval, source]
        })
        .collect();
    table + &text::table(&["", "Predicted", "90 % interval", "Source"], &rows)
}

pub(super) fn measured(card: &Card<'_>) -> String {
    let facts = card.facts;
    if facts.measured.is_empty() {
        return format!("## Measured\n\nNothing: {}.\n", text::sentence(&facts.not_measured));
    }
    format!("## Measured\n\nRuns for real: medians with quartiles.\n{}", measured_runs(facts))
}

/// Each run: what ran where and how, and its figures.
pub(crate) fn measured_runs(facts: &CardFacts) -> String {
    let run = |run: &MeasuredRun| format!("\n{}:\n\n{}", text::sentence(&run.setting), table(run));
    facts.measured.iter().map(run).collect()
}

fn table(run: &MeasuredRun) -> String {
    type Pick = fn(&RunFigures) -> &Figure;
    let picks: [(&str, &str, Pick); 6] = [
        ("Time to first token", "ttft_seconds", |figures| &figures.ttft_seconds),
        ("Time per token", "tpot_seconds", |figures| &figures.tpot_seconds),
        ("Prompt", "prefill_tokens_per_s", |figures| &figures.prefill_tokens_per_s),
        ("Answer", "decode_tokens_per_s", |figures| &figures.decode_tokens_per_s),
        ("Peak memory", "peak_memory_bytes", |figures| &figures.peak_memory_bytes),
        ("Energy per token", "joules_per_token", |figures| &figures.joules_per_token),
    ];
    let rows: Vec<Vec<String>> = picks
        .into_iter()
        .filter(|(.., pick)| pick(&run.measured).reason.as_deref() != Some(NOT_RUN))
        .map(|(label, name, pick)| {
            let [measured, quartiles, source] = cells(name, pick(&run.measured));
            let predicted = match pick(&run.predicted).value {
                Some(predicted) if predicted.is_finite() => value(name, predicted),
                _ => "unavailable".to_owned(),
            };
            vec![label.to_owned(), measured, quartiles, source, predicted]
        })
        .collect();
    text::table(&["", "Measured", "Quartiles", "Source", "Predicted for this run"], &rows)
}
