//! What the benchmark prints.

use super::data::Data;
use super::evaluation::{Errors, Judged, LeftOut, interval, quantile, repeated, scaled};
use super::form::Form;
use comfy_table::{ContentArrangement, Table, presets};
use slimfit_cost::{Coefficient, EngineCoefficients};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.to_vec());
    table
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What was read and left out, and the impossible rows.
pub fn left_out(data: &Data) -> String {
    let mut text = format!("{} decode rates; left out:", data.rates.len());
    for (reason, count) in &data.left_out {
        let _ = write!(text, " {count} {reason};");
    }
    text.push('\n');
    for (device, label, share) in &data.impossible {
        let _ = writeln!(
            text,
            "impossible, check the build or the data sheet: {device}, {label}: {:.2} of the data sheet's bandwidth",
            share
        );
    }
    text
}

/// A goal.
struct Goal {
    what: &'static str,
    ratios: Vec<(usize, f64)>,
    goal: String,
    value: fn(&Errors) -> f64,
    limit: Option<f64>,
    shown: fn(f64) -> String,
}

/// The goals, each judged.
pub fn targets(data: &Data, judged: &[Judged]) -> Table {
    let ratios = |keep: &dyn Fn(&Judged) -> bool| {
        judged.iter().filter(|row| keep(row)).map(|row| (row.device, row.ratio)).collect::<Vec<_>>()
    };
    let direct = |row: &Judged| data.rates[row.rate].direct;
    let client = |row: &Judged| data.devices[row.device].engine.class == "x86_client";
    let optional = |value: fn(&Judged) -> Option<f64>| {
        judged.iter().filter_map(|row| Some((row.device, value(row)?))).collect::<Vec<_>>()
    };
    let plain = |factor: f64| format!("{factor:.2}");
    let goals = [
        Goal {
            what: "decode, profile alone: median error",
            ratios: ratios(&|_| true),
            goal: "≤ 20 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.20),
            shown: percent,
        },
        Goal {
            what: "decode, profile alone: geometric mean of max(p/m, m/p)",
            ratios: ratios(&|_| true),
            goal: "≤ 1.30".to_owned(),
            value: |errors| errors.geometric,
            limit: Some(1.30),
            shown: plain,
        },
        Goal {
            what: "the same, without front ends: median error",
            ratios: ratios(&direct),
            goal: "≤ 20 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.20),
            shown: percent,
        },
        Goal {
            what: "the same, without front ends: geometric mean",
            ratios: ratios(&direct),
            goal: "≤ 1.30".to_owned(),
            value: |errors| errors.geometric,
            limit: Some(1.30),
            shown: plain,
        },
        Goal {
            what: "x86 clients: median error",
            ratios: ratios(&client),
            goal: "≤ 15 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.15),
            shown: percent,
        },
        Goal {
            what: "x86 clients, without front ends: median error",
            ratios: ratios(&|row| client(row) && direct(row)),
            goal: "≤ 15 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.15),
            shown: percent,
        },
        Goal {
            what: "one measured bandwidth given: median error",
            ratios: optional(|row| row.measured_ratio),
            goal: "≤ 12 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.12),
            shown: percent,
        },
        Goal {
            what: "the same, each device scaled to its own median",
            ratios: scaled(&optional(|row| row.measured_ratio)),
            goal: String::new(),
            value: |errors| errors.median,
            limit: None,
            shown: percent,
        },
        Goal {
            what: "joules per token, loaded watts given: median error",
            ratios: optional(|row| row.joules_ratio),
            goal: "≤ 25 %".to_owned(),
            value: |errors| errors.median,
            limit: Some(0.25),
            shown: percent,
        },
        Goal {
            what: "bias (geometric mean of p/m)",
            ratios: ratios(&|_| true),
            goal: String::new(),
            value: |errors| errors.bias,
            limit: None,
            shown: plain,
        },
    ];
    let mut rows = table(&["what", "goal", "found", "90 % interval", "verdict", "rates", "devices"]);
    for goal in goals {
        let Some(errors) = Errors::of(&goal.ratios) else {
            rows.add_row([goal.what, &goal.goal, "nothing to judge by", "–", "–", "0", "0"]);
            continue;
        };
        let value = (goal.value)(&errors);
        let verdict = match goal.limit {
            Some(limit) if value <= limit => "met",
            Some(_) => "missed",
            None => "–",
        };
        rows.add_row([
            goal.what.to_owned(),
            goal.goal,
            (goal.shown)(value),
            interval(&goal.ratios, goal.value).map_or_else(
                || "–".to_owned(),
                |(low, high)| format!("{} … {}", (goal.shown)(low), (goal.shown)(high)),
            ),
            verdict.to_owned(),
            errors.n.to_string(),
            errors.devices.to_string(),
        ]);
    }
    rows
}

/// Which forms were chosen without each device, and how far publications of one thing differ.
pub fn choices(data: &Data, folds: &[LeftOut], all: Form) -> String {
    let mut text = String::from("form, chosen by the other devices:");
    for form in Form::ALL {
        let count = folds.iter().filter(|fold| fold.form == form).count();
        let _ = write!(text, " {} for {count};", form.name());
    }
    let _ = writeln!(text, " of all devices: {}", all.name());
    let factors: Vec<(f64, f64)> = repeated(data).into_iter().map(|factor| (factor - 1.0, 1.0)).collect();
    if !factors.is_empty() {
        let _ = writeln!(
            text,
            "published more than once (device, model, format, threads): {} pairs, {} apart in the median, {} at most",
            factors.len(),
            percent(quantile(&factors, 0.5)),
            percent(quantile(&factors, 1.0)),
        );
    }
    text
}

/// Errors of every device, the worst first.
pub fn by_device(data: &Data, judged: &[Judged]) -> Table {
    let mut devices: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
    for row in judged {
        devices.entry(row.device).or_default().push((row.device, row.ratio));
    }
    let mut errors: Vec<(usize, Errors)> =
        devices.into_iter().filter_map(|(device, ratios)| Some((device, Errors::of(&ratios)?))).collect();
    errors.sort_by(|a, b| b.1.geometric.total_cmp(&a.1.geometric));
    let mut rows =
        table(&["device left out", "class", "rates", "p/m", "max(p/m, m/p)", "p/m, bandwidth measured"]);
    for (place, errors) in errors {
        let measured: Vec<(usize, f64)> = judged
            .iter()
            .filter(|row| row.device == place)
            .filter_map(|row| Some((place, row.measured_ratio?)))
            .collect();
        let measured =
            Errors::of(&measured).map_or_else(|| "–".to_owned(), |errors| format!("{:.2}", errors.bias));
        let device = &data.devices[place];
        rows.add_row([
            device.id.clone(),
            device.engine.class.clone(),
            errors.n.to_string(),
            format!("{:.2}", errors.bias),
            format!("{:.2}", errors.geometric),
            measured,
        ]);
    }
    rows
}

/// Every rate, by device.
pub fn by_rate(data: &Data, judged: &[Judged]) -> Table {
    let mut rows = table(&["device left out", "threads", "model", "p/m", "p/m, bandwidth measured"]);
    for row in judged {
        let rate = &data.rates[row.rate];
        rows.add_row([
            data.devices[row.device].id.clone(),
            rate.threads.to_string(),
            rate.label.clone(),
            format!("{:.2}", row.ratio),
            row.measured_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    rows
}

/// The coefficients fitted on all devices.
pub fn coefficients(fitted: &EngineCoefficients) -> Table {
    let mut rows = table(&["coefficient", "value", "low", "high", "devices"]);
    let mut add = |name: String, entry: &Coefficient| {
        let spell = |value: f64| {
            if !(1e-2..=1e4).contains(&value) { format!("{value:.2e}") } else { format!("{value:.3}") }
        };
        rows.add_row([name, spell(entry.value), spell(entry.low), spell(entry.high), entry.n.to_string()]);
    };
    let maps = [
        ("bandwidth_share", &fitted.bandwidth_share),
        ("bandwidth_falloff", &fitted.bandwidth_falloff),
        ("bytes_per_cycle", &fitted.bytes_per_cycle),
        ("format_factor", &fitted.format_factor),
        ("prefill_multiply_adds_per_cycle", &fitted.prefill_multiply_adds_per_cycle),
        ("interval_factor", &fitted.interval_factor),
    ];
    for (name, map) in maps {
        for (key, entry) in map {
            add(format!("{name}.{key}"), entry);
        }
    }
    for (name, entry) in [
        ("measured_share", &fitted.measured_share),
        ("layer_seconds", &fitted.layer_seconds),
        ("front_end_seconds", &fitted.front_end_seconds),
        ("measured_interval_factor", &fitted.measured_interval_factor),
    ] {
        add(name.to_owned(), entry);
    }
    rows
}
