//! Columns of `--batch` beside those of an architecture.

use slimfit_document::DocumentError;
use slimfit_quality::table::{ARCHITECTURE_COLUMNS, Column, Row};
use slimfit_quantity::NumberFormat;
use std::str::FromStr;

/// What a row says beside its architecture. The default stands after the dash.
pub const COLUMNS: [Column; 7] = [
    ("name", "what the row is called in the output"),
    ("model", "a built-in model or a file, instead of the architecture's columns"),
    (
        "tokens",
        "training tokens in the recipe's tokenizer - --tokens, or what the built-in model was trained on",
    ),
    ("weights", "weight format - --weights"),
    ("kv", "KV format - --kv"),
    ("recipe", "quality recipe - --recipe"),
    ("bytes_per_token", "measured with the model's own tokenizer - the recipe's table"),
];

/// The number format in a cell.
pub fn format(row: &Row<'_>, column: &str) -> Result<Option<NumberFormat>, DocumentError> {
    let allowed = NumberFormat::ALL.map(NumberFormat::name).join(", ");
    row.cell(column, &allowed, |text| NumberFormat::from_str(text).ok())
}

/// The columns as the help lists them.
pub fn help() -> String {
    let lines =
        COLUMNS.iter().chain(&ARCHITECTURE_COLUMNS).map(|(name, what)| format!("  {name:<16} {what}"));
    lines.collect::<Vec<_>>().join("\n")
}
