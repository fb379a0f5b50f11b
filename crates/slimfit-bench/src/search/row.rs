//! A line of the table.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The schema of the JSON object.
const SCHEMA: &str = "slimfit/bench-search/v1";

/// A figure beside its goal and the peer's.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// What it should reach; empty where nothing is asked.
    pub goal: String,
    /// Ours, both passes.
    pub ours: String,
    /// The peer's.
    pub peer: String,
    /// Whether the goal is reached, in both passes.
    pub met: Option<bool>,
    /// What a reader should know.
    pub remark: String,
    /// The same as numbers.
    pub figures: Value,
}

impl Row {
    fn verdict(&self) -> &'static str {
        match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        }
    }
}

/// For people.
pub fn text(rows: &[Row], versions: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["what", "goal", "ours", "peer", "verdict", "remark"]);
    for row in rows {
        table.add_row([&row.what, &row.goal, &row.ours, &row.peer, row.verdict(), &row.remark]);
    }
    let mut text = table.trim_fmt();
    let count = |met| rows.iter().filter(|row| row.met == Some(met)).count();
    let _ =
        write!(text, "\n{} goals met, {} missed. Two figures: test and retest.", count(true), count(false));
    if let Some(versions) = versions.as_object() {
        let named =
            versions.iter().map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")));
        let _ = write!(text, " Peers: {}.", named.collect::<Vec<_>>().join(", "));
    }
    text
}

/// For programs.
pub fn json(rows: &[Row], versions: &Value) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "what": row.what, "goal": row.goal, "ours": row.ours, "peer": row.peer, "met": row.met,
                "remark": row.remark, "figures": row.figures,
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "rows": rows, "peers": versions })
}

/// Seconds as people read them.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", 1e3 * seconds) } else { format!("{seconds:.2} s") }
}

/// Both passes.
pub fn both(passes: [f64; 2], shown: impl Fn(f64) -> String) -> String {
    passes.map(shown).join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_count_what_was_met_and_name_the_peers() {
        let row = |met| Row {
            what: "filter".to_owned(),
            goal: "faster".to_owned(),
            ours: both([0.5, 2.0], seconds),
            peer: String::new(),
            met,
            remark: String::new(),
            figures: json!({}),
        };
        let text = text(&[row(Some(true)), row(Some(false)), row(None)], &json!({"moocore": "0.3"}));
        assert!(text.contains("500.0 ms / 2.00 s"), "{text}");
        assert!(text.contains("1 goals met, 1 missed"), "{text}");
        assert!(text.contains("MISSED") && text.contains("Peers: moocore 0.3."), "{text}");
    }
}
