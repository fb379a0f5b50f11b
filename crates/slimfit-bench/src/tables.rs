//! The record as tables for people.

use crate::record::{ModelCell, Record, Test};
use crate::targets::Row;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use slimfit_quantity::Figure;

/// Whole models: a row for each test.
pub fn models(record: &Record) -> Table {
    let mut table = table(&[
        "model",
        "weights",
        "threads",
        "test",
        "tokens/s",
        "± %",
        "retest %",
        "share",
        "sentinel",
        "llama.cpp",
        "± %",
        "fa",
        "other fa",
        "ratio",
    ]);
    for cell in &record.models {
        let (unit, scale) = match cell.test {
            Test::Decode { .. } => ("GB/s", 1e-9),
            Test::Prefill { .. } => ("Gop/s", 1e-9),
        };
        let mut row = vec![
            cell.model.clone(),
            cell.weights.to_string(),
            cell.threads.to_string(),
            cell.test.to_string(),
            value(&cell.tokens_per_s, 1),
            spread(&cell.tokens_per_s),
            format!("{:.1}", 100.0 * cell.retest_error),
            value(&cell.share, 2),
            format!("{:.1} {unit}", cell.sentinel_per_s * scale),
        ];
        row.extend(llama(cell));
        row.push(format!(
            "{:.1}{}",
            100.0 * (cell.disturbance.others + cell.disturbance.stolen),
            if cell.is_disturbed() { " !" } else { "" }
        ));
        row.push(cell.exchange.map_or_else(
            || "–".to_owned(),
            |exchange| {
                format!("{:.1} GB/s {:.0} ns", exchange.bytes_per_s * 1e-9, exchange.barrier_seconds * 1e9)
            },
        ));
        table.add_row(row);
    }
    table
}

fn llama(cell: &ModelCell) -> [String; 5] {
    match &cell.llama {
        None => std::array::from_fn(|_| "–".to_owned()),
        Some(llama) => [
            value(&llama.tokens_per_s, 1),
            spread(&llama.tokens_per_s),
            if llama.flash_attention { "on" } else { "off" }.to_owned(),
            format!("{:.1}", llama.other_tokens_per_s),
            format!("{:.2}", llama.ratio),
        ],
    }
}

/// Goals beside what was measured.
pub fn targets(rows: &[Row]) -> Table {
    let mut table =
        table(&["goal for", "goal", "cells", "geometric mean", "minimum", "verdict", "lowest cell"]);
    for row in rows {
        table.add_row(vec![
            row.what.clone(),
            row.goal.clone(),
            row.cells.to_string(),
            format!("{:.3}", row.mean),
            format!("{:.3}", row.minimum),
            if row.reached { "OK" } else { "short" }.to_owned(),
            row.worst.clone(),
        ]);
    }
    table
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.iter().copied());
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn value(figure: &Figure, digits: usize) -> String {
    figure.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// Half the distance of the quartiles, in per cent of the value.
fn spread(figure: &Figure) -> String {
    match (figure.value, figure.low, figure.high) {
        (Some(value), Some(low), Some(high)) => format!("{:.1}", 50.0 * (high - low).abs() / value),
        _ => "–".to_owned(),
    }
}
