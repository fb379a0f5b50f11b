//! The record as tables for people.

use crate::record::{ModelCell, Record};
use crate::targets::Row;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use slimfit_bench::test::Test;
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

/// Products of many tokens.
pub fn products(record: &Record) -> Table {
    let mut table = table(&[
        "weights",
        "variant",
        "tokens",
        "rows",
        "columns",
        "threads",
        "Gop/s",
        "± %",
        "retest %",
        "share",
        "peak",
        "instructions",
    ]);
    for cell in &record.products {
        table.add_row(vec![
            cell.weights.to_string(),
            cell.variant.clone(),
            cell.tokens.to_string(),
            cell.rows.to_string(),
            cell.columns.to_string(),
            cell.threads.to_string(),
            giga(&cell.ops_per_s),
            spread(&cell.ops_per_s),
            format!("{:.1}", 100.0 * cell.retest_error),
            value(&cell.share, 3),
            format!("{:.1}", cell.peak_ops_per_s * 1e-9),
            cell.peak.clone(),
        ]);
    }
    table
}

/// Products in f32.
pub fn float_products(record: &Record) -> Table {
    let mut table = table(&[
        "variant",
        "best peer",
        "tokens",
        "rows",
        "columns",
        "threads",
        "GFLOP/s",
        "± %",
        "retest %",
        "of peak",
        "peer's",
        "ratio",
    ]);
    for cell in &record.float_products {
        let of_peak = cell.ops_per_s.value.map(|rate| rate / cell.peak_ops_per_s);
        table.add_row(vec![
            cell.variant.clone(),
            format!("{:?}", cell.peer).to_lowercase(),
            cell.tokens.to_string(),
            cell.rows.to_string(),
            cell.columns.to_string(),
            cell.threads.to_string(),
            giga(&cell.ops_per_s),
            spread(&cell.ops_per_s),
            format!("{:.1}", 100.0 * cell.retest_error),
            of_peak.map_or_else(|| "–".to_owned(), |share| format!("{share:.2}")),
            format!("{:.1}", cell.peer_ops_per_s * 1e-9),
            format!("{:.2}", cell.ratio),
        ]);
    }
    table
}

/// Attention of one layer.
pub fn attention(record: &Record) -> Table {
    let mut table = table(&[
        "heads", "variant", "tokens", "depth", "threads", "µs", "± %", "retest %", "rate", "share",
        "sentinel",
    ]);
    for cell in &record.attention {
        let unit = if cell.tokens == 1 { "GB/s" } else { "GFLOP/s" };
        table.add_row(vec![
            format!("{}/{} of {}", cell.heads, cell.kv_heads, cell.head_size),
            cell.variant.clone(),
            cell.tokens.to_string(),
            cell.depth.to_string(),
            cell.threads.to_string(),
            cell.seconds.value.map_or_else(|| "–".to_owned(), |seconds| format!("{:.1}", seconds * 1e6)),
            spread(&cell.seconds),
            format!("{:.1}", 100.0 * cell.retest_error),
            format!("{} {unit}", giga(&cell.work_per_s)),
            value(&cell.share, 2),
            format!("{:.1} {unit}", cell.sentinel_per_s * 1e-9),
        ]);
    }
    table
}

/// Peak memory.
pub fn memory(record: &Record) -> Table {
    let mut table =
        table(&["model", "weights", "threads", "matrices MiB", "cache MiB", "peak MiB", "beyond MiB"]);
    let mebibytes = |bytes: f64| format!("{:.1}", bytes / f64::from(1 << 20));
    for cell in &record.memory {
        let beyond = cell.peak_bytes as f64 - (cell.weight_bytes + cell.kv_bytes) as f64;
        table.add_row(vec![
            cell.model.clone(),
            cell.weights.to_string(),
            cell.threads.to_string(),
            mebibytes(cell.weight_bytes as f64),
            mebibytes(cell.kv_bytes as f64),
            mebibytes(cell.peak_bytes as f64),
            mebibytes(beyond),
        ]);
    }
    table
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

/// In billions.
fn giga(figure: &Figure) -> String {
    figure.value.map_or_else(|| "–".to_owned(), |value| format!("{:.1}", value * 1e-9))
}

/// Half the distance of the quartiles, in per cent of the value.
fn spread(figure: &Figure) -> String {
    match (figure.value, figure.low, figure.high) {
        (Some(value), Some(low), Some(high)) => format!("{:.1}", 50.0 * (high - low).abs() / value),
        _ => "–".to_owned(),
    }
}
