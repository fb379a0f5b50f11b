//! Each table of the page for spreadsheets (RFC 4180), in SI base units and full precision.

use crate::ReportInput;
use slimfit_quantity::{Figure, Source};
use slimfit_study::{RunFigures, front_csv};

/// File name and text of every table that has rows.
pub(crate) fn all(input: &ReportInput) -> Vec<(&'static str, String)> {
    let mut tables = Vec::new();
    if let Some(front) = &input.front {
        tables.push(("front.csv", front_csv(front)));
    }
    if let Some(profile) = &input.profile {
        let mut bandwidth = Table::new(&[
            "kind",
            "pattern",
            "streams",
            "working_set_bytes",
            "threads",
            "huge_pages",
            "bytes_per_s",
            "low",
            "high",
            "n",
            "source",
        ]);
        for point in &profile.bandwidth {
            let mut row = vec![
                format!("{:?}", point.kind).to_lowercase(),
                point.pattern.clone(),
                point.streams.to_string(),
                point.working_set_bytes.to_string(),
                point.threads.to_string(),
                point.huge_pages.to_string(),
            ];
            row.extend(figure(&point.bytes_per_s));
            bandwidth.row(&row);
        }
        tables.push(("bandwidth.csv", bandwidth.text));
        let mut kernels = Table::new(&[
            "operation",
            "variant",
            "format",
            "rows",
            "columns",
            "batch",
            "threads",
            "seconds",
            "low",
            "high",
            "n",
            "source",
        ]);
        for kernel in &profile.kernels {
            let mut row = vec![
                kernel.operation.clone(),
                kernel.variant.clone(),
                kernel.format.to_string(),
                kernel.rows.to_string(),
                kernel.columns.to_string(),
                kernel.batch.to_string(),
                kernel.threads.to_string(),
            ];
            row.extend(figure(&kernel.seconds));
            kernels.row(&row);
        }
        tables.push(("kernels.csv", kernels.text));
    }
    if let Some(verification) = &input.verification {
        let mut table = Table::new(&[
            "id",
            "parameters",
            "weights",
            "kv",
            "threads",
            "phase",
            "prompt_tokens",
            "depth_tokens",
            "predicted",
            "predicted_low",
            "predicted_high",
            "measured",
            "retest",
            "sentinel_ratio",
        ]);
        for row in &verification.rows {
            table.row(&[
                row.id.clone(),
                row.parameters.to_string(),
                row.weights.to_string(),
                row.kv.to_string(),
                row.threads.to_string(),
                row.phase.clone(),
                row.prompt_tokens.to_string(),
                row.depth_tokens.to_string(),
                row.predicted.value.to_string(),
                row.predicted.low.to_string(),
                row.predicted.high.to_string(),
                row.measured.to_string(),
                row.retest.map_or_else(String::new, |retest| retest.to_string()),
                row.sentinel_ratio.to_string(),
            ]);
        }
        tables.push(("verification.csv", table.text));
    }
    if !input.measurements.is_empty() {
        tables.push(("measurements.csv", measurements(input)));
    }
    tables
}

/// One line for each figure: measured and predicted never share a column, nor a line.
fn measurements(input: &ReportInput) -> String {
    let mut table = Table::new(&[
        "id",
        "name",
        "weights",
        "kv",
        "threads",
        "isa",
        "prompt_tokens",
        "generated_tokens",
        "depth_tokens",
        "quantity",
        "value",
        "low",
        "high",
        "n",
        "source",
    ]);
    for run in &input.measurements {
        for figures in [&run.measured, &run.predicted] {
            for (name, value) in quantities(figures) {
                let mut row = vec![
                    run.id.clone(),
                    run.name.clone().unwrap_or_default(),
                    run.weights.to_string(),
                    run.kv.to_string(),
                    run.threads.to_string(),
                    run.isa.clone(),
                    run.prompt_tokens.to_string(),
                    run.generated_tokens.to_string(),
                    run.depth_tokens.to_string(),
                    name.to_owned(),
                ];
                row.extend(figure(value));
                table.row(&row);
            }
        }
    }
    table.text
}

fn quantities(run: &RunFigures) -> [(&'static str, &Figure); 6] {
    [
        ("prefill_tokens_per_s", &run.prefill_tokens_per_s),
        ("decode_tokens_per_s", &run.decode_tokens_per_s),
        ("ttft_seconds", &run.ttft_seconds),
        ("tpot_seconds", &run.tpot_seconds),
        ("peak_memory_bytes", &run.peak_memory_bytes),
        ("joules_per_token", &run.joules_per_token),
    ]
}

fn figure(figure: &Figure) -> [String; 5] {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let source: Source = figure.source;
    [
        number(figure.value),
        number(figure.low),
        number(figure.high),
        figure.n.to_string(),
        crate::mark::source_name(source).to_owned(),
    ]
}

struct Table {
    text: String,
}

impl Table {
    fn new(columns: &[&str]) -> Self {
        Self { text: format!("{}\n", columns.join(",")) }
    }

    fn row(&mut self, cells: &[String]) {
        let quoted: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.text.push_str(&quoted.join(","));
        self.text.push('\n');
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn cells_with_separators_are_quoted() {
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
