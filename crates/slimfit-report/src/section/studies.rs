//! Compare: two studies side by side, in words and as tables.

use super::ticked;
use crate::differences::{against_noise, by, comparison_sentences, figure_label, unit_of};
use crate::mark::{figure, number, read, scroll, unavailable};
use crate::unit::{Unit, digits};
use maud::{Markup, html};
use slimfit_quantity::Source;
use slimfit_study::{Change, ComparedDevices, ComparedPick, Comparison, Condition};

/// Figures of devices that are listed: those that moved most.
const LISTED: usize = 40;

pub(super) fn compared(comparison: &Comparison) -> Markup {
    let (first, second) = (&comparison.first.label, &comparison.second.label);
    html! {
        h3 #compare-studies { "Two studies: " (read(first)) " and " (read(second)) }
        ul.sentences { @for sentence in comparison_sentences(comparison) { li data-source="read" { (ticked(&sentence)) } } }
        @if !comparison.conditions.is_empty() { (conditions(&comparison.conditions, first, second)) }
        @if let Some(fronts) = &comparison.fronts {
            @if !fronts.best.is_empty() { (scroll("Best values of two studies", &changes(&html! { "The best value of each objective" }, &fronts.best, (first, second)))) }
            @for pick in &fronts.picks { (picked(pick, first, second)) }
        }
        @for run in &comparison.runs {
            (scroll("A model that ran in both studies", &changes(&html! { (read(run.name.as_ref().unwrap_or(&run.id))) ", run with " (read(&run.conditions)) }, &run.changes, (first, second))))
        }
        @if let Some(devices) = &comparison.devices { (device(devices, first, second)) }
    }
}

fn conditions(conditions: &[Condition], first: &str, second: &str) -> Markup {
    let content = html! {
        table {
            caption { "What the two were given" }
            thead { tr { th scope="col" { "" } th scope="col" { (first) } th scope="col" { (second) } } }
            tbody { @for condition in conditions {
                tr { th scope="row" { (condition.what) } td { (read(&condition.first)) } td { (read(&condition.second)) } }
            } }
        }
    };
    scroll("What two studies were given", &content)
}

fn picked(pick: &ComparedPick, first: &str, second: &str) -> Markup {
    let caption = html! {
        (pick.pick) ": "
        @if pick.first == pick.second { (read(&pick.first)) " in both" } @else { (read(&pick.first)) " and " (read(&pick.second)) }
    };
    scroll("A pick in two studies", &changes(&caption, &pick.changes, (first, second)))
}

/// Both figures, each with its source, and what lies between them.
fn changes(caption: &Markup, changes: &[Change], (first, second): (&str, &str)) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { th scope="col" { "" } th scope="col" { (first) } th scope="col" { (second) } th scope="col" { "From the first to the second" } th scope="col" { "Against the noise" } } }
            tbody { @for change in changes {
                tr {
                    th scope="row" { (figure_label(&change.name)) }
                    td { (figure(unit_of(&change.name), &change.first)) }
                    td { (figure(unit_of(&change.name), &change.second)) }
                    td { @match change.ratio {
                        Some(ratio) => { (number(Source::Modelled, by(ratio))) }
                        None => { (unavailable("one of the two is 0")) }
                    } }
                    td { (against_noise(change)) }
                }
            } }
        }
    }
}

fn device(devices: &ComparedDevices, first: &str, second: &str) -> Markup {
    let parts = html! {
        table {
            caption { "Figures of the two devices: how much the second’s are of the first’s" }
            thead { tr { th scope="col" { "" } th scope="col" { "Figures in both" } th scope="col" { "More than the noise" } th scope="col" { "In the middle" } th scope="col" { "Least" } th scope="col" { "Most" } } }
            tbody { @for part in &devices.parts {
                tr {
                    th scope="row" { (part.part) }
                    td { (read(part.n)) } td { (read(part.beyond_noise)) }
                    @for ratio in [part.ratio, part.low, part.high] { td { (number(Source::Measured, format!("{} ×", digits(ratio)))) } }
                }
            } }
        }
    };
    let mut moved: Vec<_> = devices.figures.iter().filter(|figure| figure.beyond_noise).collect();
    moved.sort_by(|a, b| b.ratio.ln().abs().total_cmp(&a.ratio.ln().abs()));
    let unit = |part: &str| match part {
        "bandwidth" => Unit::BytesPerSecond,
        "peak" => Unit::OperationsPerSecond,
        "latency" | "kernels" | "overhead" => Unit::Seconds,
        _ => Unit::Plain,
    };
    let figures = html! {
        table {
            caption { "The figures that differ most, of " (read(moved.len())) " that differ by more than the noise" }
            thead { tr { th scope="col" { "Part" } th scope="col" { "Figure" } th scope="col" { (first) } th scope="col" { (second) } th scope="col" { "Second over first" } } }
            tbody { @for figure in moved.iter().take(LISTED) {
                tr {
                    td { (figure.part) } th scope="row" { (read(&figure.what)) }
                    @for value in [figure.first, figure.second] { td { (number(Source::Measured, unit(&figure.part).show(value))) } }
                    td { (number(Source::Measured, format!("{} ×", digits(figure.ratio)))) }
                }
            } }
        }
    };
    html! {
        @if !devices.parts.is_empty() { (scroll("Two devices by part", &parts)) }
        @if !moved.is_empty() { details { summary { "Which figures of the devices differ most" } (scroll("Figures of two devices", &figures)) } }
    }
}
