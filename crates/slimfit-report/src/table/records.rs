//! The tables, from the records.

use super::{Cell, Table, number, text, whole};
use crate::ReportInput;
use crate::data::folded;
use crate::mark::source_name;
use slimfit_hardware::HardwareProfile;
use slimfit_quantity::Figure;
use slimfit_study::{ErrorSummary, Front, RunFigures, Verification};
use std::borrow::Cow;

/// Columns of a figure.
const FIGURE: [&str; 5] = ["value", "low", "high", "n", "source"];
/// Columns of a front that are text whatever they look like: an id may consist of digits.
const FRONT_TEXTS: [&str; 6] = ["id", "weights", "kv", "picks", "flags", "measured"];

/// Every table that has rows; that of the front as `front_csv`, which the caller made of `input.front`, holds it.
pub(crate) fn all<'a>(input: &'a ReportInput, front_csv: &'a str) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    if let Some(found) = &input.front {
        tables.push(front(front_csv));
        tables.push(noises(found));
        tables.push(existing(found));
    }
    if let Some(profile) = &input.profile {
        tables.extend([bandwidth(profile), throughput(profile), kernels(profile)]);
    }
    if let Some(verification) = &input.verification {
        tables.extend([errors(verification), cells(verification)]);
    }
    tables.extend([
        measurements(input),
        measured_operations(input),
        predicted_operations(input),
        references(input),
    ]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// The table of a front from its CSV, which names its columns: fields without line breaks, quoted where they hold a comma.
fn front(csv: &str) -> Table<'_> {
    let mut lines = csv.lines();
    let columns = lines.next().map(fields).unwrap_or_default();
    let texts: Vec<bool> = columns.iter().map(|column| FRONT_TEXTS.contains(&&**column)).collect();
    let row = |line| fields(line).into_iter().zip(&texts).map(|(field, text)| cell(field, *text)).collect();
    let rows = lines.map(row).collect();
    Table { name: "front", columns, rows }
}

fn cell(field: Cow<'_, str>, is_text: bool) -> Cell<'_> {
    match &*field {
        "" | "NaN" | "inf" | "-inf" => Cell::Nothing,
        _ if is_text => Cell::Text(field),
        "true" => Cell::Truth(true),
        "false" => Cell::Truth(false),
        _ => Cell::Number(field),
    }
}

fn fields(line: &str) -> Vec<Cow<'_, str>> {
    if !line.contains('"') {
        return line.split(',').map(Cow::Borrowed).collect();
    }
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(Cow::Owned(std::mem::take(&mut field))),
            other => field.push(other),
        }
    }
    fields.push(Cow::Owned(field));
    fields
}

fn noises(front: &Front) -> Table<'_> {
    let mut table = Table::new("quality-noises", &["noise", "nats", "source"]);
    if let Some(notes) = &front.head.quality {
        for term in std::iter::once(&notes.shape).chain(&notes.axes).chain([&notes.recipe]) {
            table.rows.push(vec![text(&term.name), number(term.nats), text(&term.source)]);
        }
    }
    table
}

/// Models that exist, one line for each objective in the format that is recommended for them.
fn existing(front: &Front) -> Table<'_> {
    let mut table = Table::new(
        "existing-models",
        &[
            "place",
            "name",
            "parameters",
            "weights",
            "kv",
            "threads",
            "keeps_limits",
            "objective",
            "value",
            "low",
            "high",
        ],
    );
    for (place, model) in front.head.existing.candidates.iter().enumerate() {
        let Some(best) = model.formats.first() else { continue };
        for (name, value) in &best.objectives {
            let interval = best.intervals.get(name);
            table.rows.push(vec![
                whole(place + 1),
                text(&model.name),
                whole(model.parameters.total),
                text(model.stored_as.as_deref().unwrap_or(best.weights.name())),
                text(best.kv.name()),
                whole(best.threads),
                Cell::Truth(model.keeps_limits),
                text(name),
                number(*value),
                number(interval.map(|interval| interval.low)),
                number(interval.map(|interval| interval.high)),
            ]);
        }
    }
    table
}

fn bandwidth(profile: &HardwareProfile) -> Table<'_> {
    let columns = ["kind", "pattern", "streams", "working_set_bytes", "threads", "huge_pages", "bytes_per_s"];
    let mut table = Table::new("bandwidth", &[&columns[..], &FIGURE[1..]].concat());
    for point in &profile.bandwidth {
        let mut row = vec![
            text(format!("{:?}", point.kind).to_lowercase()),
            text(&point.pattern),
            whole(point.streams),
            whole(point.working_set_bytes),
            whole(point.threads),
            Cell::Truth(point.huge_pages),
        ];
        row.extend(figure(&point.bytes_per_s));
        table.rows.push(row);
    }
    table
}

fn throughput(profile: &HardwareProfile) -> Table<'_> {
    let columns = ["type", "isa", "sequence", "threads", "clock_hz", "ops_per_s"];
    let mut table = Table::new("throughput", &[&columns[..], &FIGURE[1..]].concat());
    for peak in &profile.peak {
        let mut row = vec![
            text(crate::section::device::type_name(peak.number)),
            text(&peak.isa),
            text(&peak.sequence),
            whole(peak.threads),
            number(peak.clock_hz.value),
        ];
        row.extend(figure(&peak.ops_per_s));
        table.rows.push(row);
    }
    table
}

fn kernels(profile: &HardwareProfile) -> Table<'_> {
    let columns = ["operation", "variant", "format", "rows", "columns", "batch", "threads", "seconds"];
    let mut table = Table::new("kernels", &[&columns[..], &FIGURE[1..]].concat());
    for kernel in &profile.kernels {
        let mut row = vec![
            text(&kernel.operation),
            text(&kernel.variant),
            text(kernel.format.name()),
            whole(kernel.rows),
            whole(kernel.columns),
            whole(kernel.batch),
            whole(kernel.threads),
        ];
        row.extend(figure(&kernel.seconds));
        table.rows.push(row);
    }
    table
}

fn errors(verification: &Verification) -> Table<'_> {
    let mut table = Table::new(
        "errors",
        &[
            "phase",
            "normalised",
            "n",
            "mape",
            "bias",
            "p90",
            "within_10",
            "kendall_tau",
            "pair_accuracy",
            "coverage_90",
            "mean_interval_width",
            "retest_mape",
        ],
    );
    let mut push = |phase: &'static str, normalised: bool, summary: Option<ErrorSummary>| {
        if let Some(summary) = summary {
            table.rows.push(vec![
                text(phase),
                Cell::Truth(normalised),
                whole(summary.n),
                number(summary.mape),
                number(summary.bias),
                number(summary.p90),
                number(summary.within_10),
                number(summary.kendall_tau),
                number(summary.pair_accuracy),
                number(summary.coverage_90),
                number(summary.mean_interval_width),
                number(summary.retest_mape),
            ]);
        }
    };
    for (normalised, phases) in [(false, &verification.summary), (true, &verification.normalised)] {
        push("decode", normalised, phases.decode);
        push("prefill", normalised, phases.prefill);
        push("memory", normalised, phases.memory);
    }
    table
}

fn cells(verification: &Verification) -> Table<'_> {
    let mut table = Table::new(
        "verification",
        &[
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
        ],
    );
    for row in &verification.rows {
        table.rows.push(vec![
            text(&row.id),
            whole(row.parameters),
            text(row.weights.to_string()),
            text(row.kv.to_string()),
            whole(row.threads),
            text(&row.phase),
            whole(row.prompt_tokens),
            whole(row.depth_tokens),
            number(row.predicted.value),
            number(row.predicted.low),
            number(row.predicted.high),
            number(row.measured),
            number(row.retest),
            number(row.sentinel_ratio),
        ]);
    }
    table
}

/// One line for each figure: measured and predicted never share a column, nor a line.
fn measurements(input: &ReportInput) -> Table<'_> {
    let columns = [
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
    ];
    let mut table = Table::new("measurements", &[&columns[..], &FIGURE[..]].concat());
    for run in &input.measurements {
        for figures in [&run.measured, &run.predicted] {
            for (name, value) in quantities(figures) {
                let mut row = vec![
                    text(&run.id),
                    run.name.as_deref().map_or(Cell::Nothing, text),
                    text(run.weights.to_string()),
                    text(run.kv.to_string()),
                    whole(run.threads),
                    text(&run.isa),
                    whole(run.prompt_tokens),
                    whole(run.generated_tokens),
                    whole(run.depth_tokens),
                    text(name),
                ];
                row.extend(figure(value));
                table.rows.push(row);
            }
        }
    }
    table
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

fn measured_operations(input: &ReportInput) -> Table<'_> {
    let mut table = Table::new(
        "measured-operations",
        &["id", "phase", "operation", "variant", "seconds", "share_of_time", "share_of_roofline"],
    );
    for run in &input.measurements {
        for operation in &run.operations {
            table.rows.push(vec![
                text(&run.id),
                text(&operation.phase),
                text(&operation.name),
                text(&operation.variant),
                number(operation.seconds),
                number(operation.share_of_time),
                number(operation.share_of_roofline),
            ]);
        }
    }
    table
}

/// The predicted operations of the picks; those that differ only in their layer share a line, which counts them.
fn predicted_operations(input: &ReportInput) -> Table<'_> {
    let mut table = Table::new(
        "predicted-operations",
        &[
            "id",
            "phase",
            "operation",
            "kind",
            "layers",
            "bytes",
            "flops",
            "memory_seconds",
            "compute_seconds",
            "overhead_seconds",
            "seconds",
            "bound",
        ],
    );
    for explanation in &input.explanations {
        for (operation, layers) in folded(explanation) {
            table.rows.push(vec![
                text(&explanation.id),
                text(&explanation.phase),
                text(operation.name),
                text(operation.kind),
                whole(layers.len()),
                number(operation.bytes),
                number(operation.flops),
                number(operation.memory_seconds),
                number(operation.compute_seconds),
                number(operation.overhead_seconds),
                number(operation.seconds),
                text(operation.bound),
            ]);
        }
    }
    table
}

/// Public models, one line for each predicted objective and each published score.
fn references(input: &ReportInput) -> Table<'_> {
    let mut table = Table::new(
        "public-models",
        &["name", "parameters", "weights", "threads", "quantity", "value", "source", "citation"],
    );
    for model in &input.references {
        let mut push = |quantity: &'_ str, value: f64, source: &'static str, citation: Cell<'_>| {
            let citation = match citation {
                Cell::Text(words) => text(words.into_owned()),
                _ => Cell::Nothing,
            };
            table.rows.push(vec![
                text(&model.name),
                whole(model.parameters),
                text(&model.weights),
                whole(model.threads),
                text(quantity.to_owned()),
                number(value),
                text(source),
                citation,
            ]);
        };
        for (name, value) in &model.objectives {
            push(name, *value, "modelled", Cell::Nothing);
        }
        if let Some(tokens) = model.training_tokens {
            push("training_tokens", tokens, "published", Cell::Nothing);
        }
        for score in &model.scores {
            push(&format!("score_{}", score.task), score.percent, "published", text(score.source.as_str()));
        }
    }
    table
}

fn figure(figure: &Figure) -> [Cell<'static>; 5] {
    [
        number(figure.value),
        number(figure.low),
        number(figure.high),
        whole(figure.n),
        text(source_name(figure.source)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_keeps_its_columns_and_an_id_of_digits_stays_text() {
        let table = front(
            "id,loss,picks,representative,flags\n123456789012,3.25,\"knee, smallest\",true,\nab,NaN,,false,\"a \"\"b\"\"\"\n",
        );
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        let first = serde_json::json!({ "id": "123456789012", "loss": 3.25, "picks": "knee, smallest", "representative": true, "flags": null });
        assert_eq!(json[0], first);
        assert_eq!((&json[1]["loss"], &json[1]["flags"]), (&serde_json::Value::Null, &"a \"b\"".into()));
    }
}
