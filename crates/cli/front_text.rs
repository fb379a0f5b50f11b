//! A front as text: the points that a person looks at first, and what ties with them.

use crate::table::table;
use serde_json::{Value, json};
use slimfit_quantity::{Source, format_bytes, format_count, format_duration, format_integer, format_seconds};
use slimfit_search::shortlist;
use slimfit_study::{Front, FrontPoint, Objective, SearchHead};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Points shown in the table.
const SHOWN: usize = 20;

/// How far the front may be from the exact one.
fn distance(head: &SearchHead) -> String {
    if head.measured_search.is_some() {
        return "the best of those that were measured".to_owned();
    }
    match head.epsilon {
        Some(0.0) => "exact for the model".to_owned(),
        Some(epsilon) => {
            format!("within {} % of the exact one in every objective", (1e6 * epsilon).round() / 1e4)
        }
        None => "interrupted, not exact".to_owned(),
    }
}

/// Where every point of the space went.
fn certificate(head: &SearchHead) -> String {
    if head.measured_search.is_some() {
        return format!(
            "{} of {} points evaluated",
            format_integer(&head.evaluated),
            format_integer(&head.space_size)
        );
    }
    let mut parts = vec![format!("{} evaluated", format_integer(&head.evaluated))];
    for bound in &head.pruned {
        let why = match bound.bound.as_str() {
            "dominated" => "ruled out, since points that were seen dominate them",
            "within epsilon" => "ruled out, since points that were seen are near enough",
            "limit" => "ruled out, since all of them break a limit",
            other => other,
        };
        parts.push(format!("{} {why}", format_integer(&bound.count)));
    }
    parts.push(format!("{} invalid", format_integer(&head.invalid)));
    if !head.unvisited.is_zero() {
        parts.push(format!("{} not visited", format_integer(&head.unvisited)));
    }
    format!("{} points = {}", format_integer(&head.space_size), parts.join(" + "))
}

/// The points that a person looks at first, at most 20 and the knee before all others; with `ties` also those that
/// cannot be told apart from them.
pub fn summary(front: &Front, ties: bool) -> String {
    let mut text = String::new();
    let head = &front.head;
    let _ = writeln!(
        text,
        "{}: front of {} points, {}\n{}",
        head.space.name,
        head.front_size,
        distance(head),
        certificate(head),
    );
    if let Some(miss) = &head.nearest_miss {
        let _ = writeln!(text, "no point keeps every limit; `{}` comes nearest:", miss.id);
        for broken in &miss.breaks {
            let (value, limit) = (spoken(&broken.name, broken.value), spoken(&broken.name, broken.limit));
            let _ = writeln!(text, "  {} is {value}, limit {limit}", broken.name);
        }
        return text;
    }
    if front.points.is_empty() {
        for reason in &head.invalid_by {
            let _ = writeln!(text, "  {} points are no candidates: {}", reason.count, reason.reason);
        }
        return text;
    }
    let sizes = group_sizes(front);
    let columns: Vec<&Objective> = head.objectives.iter().collect();
    let mut heads = vec!["pick", "ties", "parameters", "weights", "kv", "threads"];
    let labels: Vec<String> = columns.iter().map(|objective| label(&objective.name)).collect();
    heads.extend(labels.iter().map(String::as_str));
    heads.push("id");
    let mut rows = table(&heads);
    let shown = shortlist(front, SHOWN);
    for &place in &shown {
        let point = &front.points[place];
        rows.add_row(row(point, &tie_mark(front, point, &sizes), &columns));
        let members = front.points.iter().enumerate().filter(|(other, member)| {
            ties && point.representative && member.tie_group == point.tie_group && *other != place
        });
        for (_, member) in members {
            rows.add_row(row(member, "≈", &columns));
        }
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    text.push_str(&devices(head));
    let tied = front.points.iter().filter(|point| !point.representative).count();
    if tied > 0 && !ties {
        let _ = writeln!(
            text,
            "≈N: N more points differ by less than the noise of the prediction, and this one is the cheapest of them; `--show-ties` lists them"
        );
    }
    if front.points.iter().any(|point| !point.sources.is_empty()) {
        let source = if head.measured_search.is_some() { "evaluator" } else { "table of measured scores" };
        let _ = writeln!(text, "(measured): from the {source}; all else is predicted");
    }
    text
}

/// Which devices the columns are of, where there are several.
fn devices(head: &SearchHead) -> String {
    if head.profiles.is_empty() {
        return String::new();
    }
    let named =
        head.profiles.iter().enumerate().map(|(place, profile)| format!("@{} {}", place + 1, profile.name));
    let named = named.collect::<Vec<_>>().join(", ");
    let each = head.objectives.iter().any(|objective| objective.by_device.is_some());
    let how = if each { "too" } else { "the worst over them" };
    format!("devices: {named}; threads are those of each, times, memory and energy {how}\n")
}

/// The same points for scripts.
pub fn shortlist_value(front: &Front) -> Value {
    let sizes = group_sizes(front);
    let points = shortlist(front, SHOWN).into_iter().map(|place| {
        let point = &front.points[place];
        let mut value = json!({
            "id": point.id,
            "picks": point.picks,
            "objectives": point.objectives,
            "sources": point.sources,
            "tie_group": point.tie_group,
            "representative": point.representative,
            "ties": sizes[&point.tie_group] - 1,
        });
        if !point.by_device.is_empty() {
            value["by_device"] = json!(point.by_device);
        }
        value
    });
    points.collect()
}

fn group_sizes(front: &Front) -> BTreeMap<u64, u64> {
    let mut sizes = BTreeMap::new();
    for point in &front.points {
        *sizes.entry(point.tie_group).or_insert(0) += 1;
    }
    sizes
}

/// `≈7` where seven points cannot be told apart from a representative; `≈ID` names the representative of another.
fn tie_mark(front: &Front, point: &FrontPoint, sizes: &BTreeMap<u64, u64>) -> String {
    if point.representative {
        let others = sizes[&point.tie_group] - 1;
        return if others == 0 { String::new() } else { format!("≈{others}") };
    }
    let representative = front
        .points
        .iter()
        .find(|other| other.representative && other.tie_group == point.tie_group)
        .map_or("", |other| other.id.as_str());
    format!("≈{representative}")
}

fn row(point: &FrontPoint, ties: &str, columns: &[&Objective]) -> Vec<String> {
    let mut cells = vec![
        point.picks.join(", "),
        ties.to_owned(),
        format_count(point.parameters.total as f64),
        point.weights.name().to_owned(),
        point.kv.name().to_owned(),
        threads(point),
    ];
    cells.extend(columns.iter().map(|objective| {
        let Some(value) = point.objectives.get(&objective.name) else { return "–".to_owned() };
        let measured = point.sources.get(&objective.name) == Some(&Source::Measured);
        format!("{}{}", short(&objective.name, *value), if measured { " (measured)" } else { "" })
    }));
    cells.push(point.id.clone());
    cells
}

/// Threads it runs best with, on each of several devices.
fn threads(point: &FrontPoint) -> String {
    if point.by_device.is_empty() {
        return point.threads.to_string();
    }
    let each: Vec<String> = point.by_device.iter().map(|device| device.threads.to_string()).collect();
    each.join(" / ")
}

/// What a table calls an objective.
pub fn label(name: &str) -> String {
    if let Some((quantity, device)) = name.split_once('@') {
        return format!("{} @{device}", label(quantity));
    }
    match name {
        "loss" => "loss",
        "loss_per_byte" => "loss per byte",
        "ttft_seconds" => "TTFT",
        "tpot_seconds" => "per token",
        "seconds_per_byte" => "per byte",
        "ttft_p95_seconds" => "TTFT p95",
        "tpot_p95_seconds" => "token p95",
        "memory_bytes" => "memory",
        "file_bytes" => "file",
        "joules_per_token" => "energy per token",
        "training_flops" => "training FLOP",
        "training_seconds" => "training",
        "training_cost" => "training cost",
        name => return name.strip_prefix("score_").unwrap_or(name).replace('_', " "),
    }
    .to_owned()
}

/// A value of an objective, three digits of a loss.
fn short(name: &str, value: f64) -> String {
    match name {
        "loss" => format!("{value:.3}"),
        name => spoken(name, value),
    }
}

/// A value of an objective in the unit that its name ends with.
pub fn spoken(name: &str, value: f64) -> String {
    let name = name.split_once('@').map_or(name, |(quantity, _)| quantity);
    if name == "training_seconds" {
        format_duration(value)
    } else if name.ends_with("_seconds") || name == "seconds_per_byte" {
        format_seconds(value)
    } else if name.ends_with("_bytes") {
        format_bytes(value)
    } else if name == "parameters" {
        format_count(value)
    } else if name == "training_flops" || name.starts_with("joules") {
        format!("{value:.3e}")
    } else if name == "training_cost" {
        format!("{value:.0}")
    } else if name.starts_with("score_") {
        format!("{value:.1} %")
    } else {
        format!("{value:.4}")
    }
}
