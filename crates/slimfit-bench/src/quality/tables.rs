//! What the benchmark prints.

use super::coefficients::Coefficients;
use super::goal::Verdict;
use super::row::Row;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The schema of the JSON object.
const SCHEMA: &str = "slimfit/bench-quality/v1";

/// For people.
pub fn text(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["", "what", "figure", "goal", "found", "90 % interval", "verdict", "n", "baselines"]);
    for row in rows {
        let shown = |value: f64| shown(row, value);
        let baselines: Vec<String> = row
            .baselines
            .iter()
            .map(|(name, value)| format!("{name} {}", value.map_or_else(|| "–".to_owned(), shown)))
            .collect();
        table.add_row([
            row.id.to_owned(),
            row.what.clone(),
            row.figure.to_owned(),
            row.goal.map_or_else(String::new, |goal| goal.text()),
            shown(row.value),
            row.interval
                .map_or_else(|| "–".to_owned(), |[low, high]| format!("{} … {}", shown(low), shown(high))),
            verdict(row).map_or("", Verdict::name).to_owned(),
            row.n.to_string(),
            baselines.join("; "),
        ]);
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    for row in rows.iter().filter(|row| !row.remark.is_empty()) {
        let _ = writeln!(text, "{}: {}: {}", row.id, row.what, row.remark);
    }
    let count = |wanted: Verdict| rows.iter().filter(|row| verdict(row) == Some(wanted)).count();
    let _ = write!(
        text,
        "{} goals met, {} met as rounded to the goal's own decimals, {} missed.\n\
         Every prediction is by a fit that has not seen its shape, size, family or fold; intervals draw those with\n\
         replacement.",
        count(Verdict::Met),
        count(Verdict::MetAsRounded),
        count(Verdict::Missed)
    );
    text
}

/// For programs.
pub fn json(rows: &[Row], coefficients: Option<&Coefficients>) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let baselines: serde_json::Map<String, Value> =
                row.baselines.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            json!({
                "id": row.id,
                "what": row.what,
                "figure": row.figure,
                "goal": row.goal.map(|goal| goal.text()),
                "value": row.value,
                "low": row.interval.map(|interval| interval[0]),
                "high": row.interval.map(|interval| interval[1]),
                "n": row.n,
                "verdict": verdict(row).map(Verdict::name),
                "baselines": baselines,
                "remark": row.remark,
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "rows": rows, "coefficients": coefficients.map(Coefficients::json) })
}

fn verdict(row: &Row) -> Option<Verdict> {
    row.goal.map(|goal| goal.verdict(row.value))
}

fn shown(row: &Row, value: f64) -> String {
    if row.figure.contains("pairs") {
        format!("{value:.0}")
    } else if row.figure.contains("points") || row.figure.contains('%') && !row.figure.contains("coverage") {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}
