//! Front: the interactive scatter, the sliders and the table.

use super::nothing;
use crate::ReportInput;
use crate::data::{by_weight, tied};
use crate::mark::{count, range, read, segment, source_name};
use crate::shape::{SHAPE_COLUMNS, leading, shape_cells};
use crate::unit::{Unit, is_maximised, objective_label, quantity};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count};
use slimfit_study::{Front, FrontPoint, Objective};
use std::collections::BTreeMap;

/// Rows written without the help of the page's script; it adds the others.
pub(crate) const WRITTEN_ROWS: usize = 100;

/// The sliders: name, label, the objectives it may limit.
const SLIDERS: [(&str, &str, &[&str]); 4] = [
    ("max_ttft", "Time to first token", &["ttft_seconds"]),
    ("max_tpot", "Time per token", &["tpot_seconds", "seconds_per_byte"]),
    ("max_memory", "Memory", &["memory_bytes"]),
    ("max_energy", "Energy per token", &["joules_per_token"]),
];

pub(crate) fn section(input: &ReportInput, left_out: usize) -> Markup {
    let front = input.front.as_ref();
    let points = front.map_or(0, |front| front.points.len());
    html! {
        section #front aria-labelledby="front-title" {
            h2 #front-title { "Front" }
            @match front {
                Some(front) if points > 0 => {
                    p { "Every mark is a model that is worth its cost; all values here are "
                        em { "predicted" } @if front.head.quality_table.is_some() { ", but for the measured scores that the search was given" }
                        ". Left and down is better unless an axis says otherwise." }
                    (missing_note(front))
                    (sliders(Some(front)))
                    (controls(front))
                    div #region hidden {
                        p #region-words role="status" {}
                        p.actions {
                            button #region-zoom type="button" { "Zoom to it" } " "
                            button #region-clear type="button" { "List all again" }
                        }
                    }
                    figure.chart {
                        div #pareto-chart role="img" aria-label="Scatter of the front; the table below holds the same values" {}
                        figcaption #pareto-caption {
                            "Filled: points of the front, large where a point stands for all that differ from it by less than the noise (≈), small where a cheaper one does. Ringed: picks, the recommended one thickest. "
                            "Diamonds: public models priced on the same device. "
                            @if !input.cloud.is_empty() { "Grey dust: a sample of dominated points." }
                            @else { "The study kept no dominated points to draw beneath." }
                            " Choose a mark to see all of it, with its intervals."
                        }
                    }
                }
                Some(_) => { (nothing("The front is empty, so there is nothing to draw.")) (sliders(front)) }
                None => { (nothing("This study holds no front yet.")) (sliders(None)) }
            }
            article #chosen.card role="region" aria-label="The chosen point" aria-live="polite" hidden {}
            (table(front))
            @if left_out > 0 {
                p.flag { "To keep this file small, " (count("/front/left_out", left_out as u64)) " points that tie with others are left out of this page; " code { "tables/front.csv" } " holds them all." }
            }
        }
    }
}

/// How many points lack an objective or hold no finite number for it.
pub(crate) fn broken(front: &Front) -> usize {
    let whole = |point: &&FrontPoint| {
        front
            .head
            .objectives
            .iter()
            .all(|objective| point.objectives.get(&objective.name).is_some_and(|value| value.is_finite()))
    };
    front.points.len() - front.points.iter().filter(whole).count()
}

/// Says which points cannot be drawn, and why.
fn missing_note(front: &Front) -> Markup {
    let broken = broken(front);
    html! {
        @if broken > 0 {
            p.flag { (count("/counts/broken", broken as u64)) " of " (count("/counts/points", front.points.len() as u64))
                " points lack an objective or hold no finite number for it: the table says unavailable there, and the chart leaves them out where that axis is shown." }
        }
        @if front.points.len() == 1 {
            p.flag { "The front holds a single point, so there is nothing to choose between." }
        }
    }
}

fn controls(front: &Front) -> Markup {
    let objectives = &front.head.objectives;
    let place = |wanted: &[&str], otherwise: usize| {
        wanted
            .iter()
            .find_map(|name| objectives.iter().position(|objective| quantity(&objective.name) == *name))
            .unwrap_or(otherwise.min(objectives.len().saturating_sub(1)))
    };
    let x = place(&["tpot_seconds", "seconds_per_byte", "ttft_seconds"], 0);
    let y = place(
        &["loss", "loss_per_byte"],
        objectives.iter().position(|objective| is_maximised(&objective.name)).unwrap_or(1),
    );
    let colour = place(&["memory_bytes", "ttft_seconds"], 2);
    html! {
        div.controls {
            (choice("axis-x", "Across", objectives, x, false))
            (choice("axis-y", "Up", objectives, y, false))
            (choice("axis-colour", "Colour", objectives, colour, true))
            label { input #log-x type="checkbox" checked; " log across" }
            label { input #log-y type="checkbox"; " log up" }
            label { input #show-intervals type="checkbox"; " intervals" }
            label { input #show-references type="checkbox" checked; " public models" }
            button #select-box type="button" aria-pressed="false" { "Select a region" }
            button #zoom-reset type="button" hidden { "Reset zoom" }
            span #colour-scale.scale {}
        }
    }
}

fn choice(id: &str, label: &str, objectives: &[Objective], chosen: usize, none: bool) -> Markup {
    html! {
        label { (label) " "
            select id=(id) {
                @for (index, objective) in objectives.iter().enumerate() {
                    option value=(objective.name) selected[index == chosen] { (objective_label(&objective.name)) }
                }
                @if none { option value="" { "none" } }
            }
        }
    }
}

fn sliders(front: Option<&Front>) -> Markup {
    html! {
        fieldset.sliders {
            legend { "Budgets: what no longer fits turns grey" }
            @for (name, label, objectives) in SLIDERS {
                @let limited = objectives.iter().find_map(|objective| bounds(front, objective));
                div.slider {
                    label for=(name) { (label) (of_device(limited)) }
                    @match limited {
                        Some((objective, low, high)) => {
                            input id=(name) type="range" name=(name) data-objective=(objective)
                                min=(low) max=(high) step="any" value=(high) aria-describedby={ (name) "-value" };
                            output id={ (name) "-value" } for=(name) data-source="read" data-at={ "/live/limits/" (segment(objective)) "/limit" } { "no limit" }
                        }
                        None => {
                            input id=(name) type="range" name=(name) min="0" max="1" step="any" value="1" disabled
                                aria-describedby={ (name) "-value" };
                            output id={ (name) "-value" } for=(name) data-source="unavailable" data-at="/objectives" { "unavailable: no point holds it" }
                        }
                    }
                }
            }
            div.outcome role="status" aria-live="polite" {
                p #recommendation {}
                p #public-answer {}
                p { span #fit-count data-source="measured" data-at="/live/budget" {} " " button #budgets-clear type="button" { "Clear budgets" } }
            }
        }
    }
}

/// An objective of the front with its finite range there. Of several devices' own, that of the first.
fn bounds<'a>(front: Option<&'a Front>, wanted: &str) -> Option<(&'a str, f64, f64)> {
    let front = front?;
    let mut objectives = front.head.objectives.iter().map(|objective| objective.name.as_str());
    let objective = objectives.find(|name| quantity(name) == wanted)?;
    let values: Vec<f64> = front
        .points
        .iter()
        .filter_map(|point| point.objectives.get(objective).copied())
        .filter(|value| value.is_finite())
        .collect();
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some((objective, low, high))
}

/// `, device 1` where a slider limits what is of one device.
fn of_device(limited: Option<(&str, f64, f64)>) -> String {
    let device = limited.and_then(|(objective, ..)| objective.split_once('@'));
    device.map_or_else(String::new, |(_, device)| format!(", device {device}"))
}

fn table(front: Option<&Front>) -> Markup {
    let none = Vec::new();
    let objectives = front.map_or(&none, |front| &front.head.objectives);
    let points: Vec<&FrontPoint> = front.map(by_weight).unwrap_or_default();
    let tied = front.map(tied).unwrap_or_default();
    let ties = points.iter().filter(|point| !point.representative && point.picks.is_empty()).count();
    let first = objectives.first().map_or("", |objective| objective.name.as_str());
    let content = html! {
        table #front-table {
            caption { "The front, objectives predicted unless marked as measured, with the interval that should hold nine of ten" }
            thead {
                tr {
                    (heading("id", "Model", first))
                    (heading("parameters", "Parameters", first))
                    @for objective in objectives {
                        (heading(&objective.name, &objective_label(&objective.name), first))
                    }
                    @for (key, label) in SHAPE_COLUMNS { (heading(key, label, first)) }
                    (heading("weights", "Weights / KV", first))
                    (heading("threads", "Threads", first))
                    (heading("tie", "Tie group", first))
                }
            }
            tbody {
                @for point in points.iter().take(WRITTEN_ROWS) { (row(front, point, &tied)) }
            }
        }
    };
    html! {
        @if ties > 0 {
            p.controls {
                label { input #show-ties type="checkbox"; span { "also list points that tie with a cheaper one" } }
                span.small { (count("/counts/tied", ties as u64)) " of them differ from it by less than the noise of the prediction" }
            }
        }
        @if points.is_empty() { (nothing("The table is empty: there is no point to list.")) }
        (crate::mark::scroll("Table of the front", &content))
        @if points.len() > WRITTEN_ROWS {
            noscript { p.flag { "Without scripts, only the first of the " (count("/counts/points", points.len() as u64)) " points are listed; " code { "tables/front.csv" } " holds them all." } }
        }
    }
}

fn heading(key: &str, label: &str, sorted: &str) -> Markup {
    html! {
        th scope="col" data-key=(key) aria-sort=(match (key == sorted, is_maximised(key)) { (false, _) => "none", (true, true) => "descending", (true, false) => "ascending" }) {
            button type="button" { (label) }
        }
    }
}

/// One row. `front.js` writes the same for the rows it adds; the browser test compares the two.
fn row(front: Option<&Front>, point: &FrontPoint, tied: &BTreeMap<u64, u64>) -> Markup {
    let objectives = front.map(|front| front.head.objectives.as_slice()).unwrap_or_default();
    html! {
        tr data-id=(point.id) data-under={ "/front/points/id=" (segment(&point.id)) } data-tie=(point.tie_group) class=[(!point.picks.is_empty()).then_some("picked")] hidden[!point.representative && point.picks.is_empty()] {
            td data-value=(point.id) { (read("id", &point.id))
                @for pick in &point.picks { " " span.badge { (pick) } }
                @for flag in &point.flags { " " span.badge.warn { (flag) } }
            }
            td data-value=(point.parameters.total) { (read("parameters/total", format_count(point.parameters.total as f64))) }
            @for objective in objectives { (objective_cell(point, &objective.name)) }
            @for (index, text) in shape_cells(&point.architecture).iter().enumerate() { td data-value=[leading(text)] { (read(format!("shape/{index}"), text)) } }
            td data-value={ (point.weights) " / " (point.kv) } { (read("weights kv", format!("{} / {}", point.weights, point.kv))) }
            td data-value=(point.threads) { (read("threads", point.threads)) }
            td data-value=(point.tie_group) { (read("tie_group tied", tie_text(point, tied))) }
        }
    }
}

/// `3`, or `3 ≈7` where seven other points tie with the cheapest of group 3.
fn tie_text(point: &FrontPoint, tied: &BTreeMap<u64, u64>) -> String {
    match tied.get(&point.tie_group) {
        Some(others) if point.representative && *others > 0 => format!("{} ≈{others}", point.tie_group),
        _ => point.tie_group.to_string(),
    }
}

fn objective_cell(point: &FrontPoint, name: &str) -> Markup {
    let unit = Unit::of_objective(name);
    let source = point.sources.get(name).copied().unwrap_or(Source::Modelled);
    html! {
        @match point.objectives.get(name) {
            Some(value) if value.is_finite() => {
                td data-value=(value) { span data-source=(source_name(source)) data-at={ "objectives/" (segment(name)) } { (unit.show(*value))
                    @if let Some(range) = point.intervals.get(name).and_then(|interval| range(unit, interval.low, interval.high)) {
                        " " span.range { (range) }
                    }
                } }
            }
            _ => { td data-value="" { span.unavailable data-source="unavailable" data-at={ "objectives/" (segment(name)) } { "unavailable" } } }
        }
    }
}
