//! Compare: two studies side by side, in words and as tables.

use super::ticked;
use crate::differences::{against_noise, comparison_sentences, figure_label, unit_of};
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
        h3 #compare-studies { "Two studies: " (read("/comparison/first/label", first)) " and " (read("/comparison/second/label", second)) }
        ul.sentences { @for (index, sentence) in comparison_sentences(comparison).iter().enumerate() { li { (read(format!("/sentences/{index}"), ticked(sentence))) } } }
        @if !comparison.conditions.is_empty() { (conditions(&comparison.conditions, first, second)) }
        @if let Some(fronts) = &comparison.fronts {
            @if !fronts.best.is_empty() { (scroll("Best values of two studies", &changes("/comparison/fronts/best", &html! { "The best value of each objective" }, &fronts.best, (first, second)))) }
            @for (index, pick, names) in distinct(&fronts.picks) { (picked(index, pick, &names, first, second)) }
        }
        @for (index, run) in comparison.runs.iter().enumerate() {
            @let at = format!("/comparison/runs/{index}");
            @let named = if run.name.is_some() { "name" } else { "id" };
            (scroll("A model that ran in both studies", &changes(&format!("{at}/changes"), &html! { (read(format!("{at}/{named}"), run.name.as_ref().unwrap_or(&run.id))) ", run with " (read(format!("{at}/conditions"), &run.conditions)) }, &run.changes, (first, second))))
        }
        @if let Some(devices) = &comparison.devices { (device(devices, first, second)) }
    }
}

fn conditions(conditions: &[Condition], first: &str, second: &str) -> Markup {
    let content = html! {
        table {
            caption { "What the two were given" }
            thead { tr { th scope="col" { "What" } th scope="col" { (first) } th scope="col" { (second) } } }
            tbody { @for (index, condition) in conditions.iter().enumerate() {
                tr data-under=(format!("/comparison/conditions/{index}")) { th scope="row" { (condition.what) } td { (read("first", &condition.first)) } td { (read("second", &condition.second)) } }
            } }
        }
    };
    scroll("What two studies were given", &content)
}

/// Each pair of points once, with all names that it carries.
fn distinct(picks: &[ComparedPick]) -> Vec<(usize, &ComparedPick, String)> {
    let pair = |pick: &ComparedPick| (pick.first.clone(), pick.second.clone());
    let first_of = |pick: &ComparedPick| picks.iter().position(|known| pair(known) == pair(pick));
    let names = |pick: &ComparedPick| {
        let same = picks.iter().filter(|other| pair(other) == pair(pick));
        same.map(|pick| pick.pick.as_str()).collect::<Vec<_>>().join(", ")
    };
    let own = picks.iter().enumerate().filter(|(index, pick)| first_of(pick) == Some(*index));
    own.map(|(index, pick)| (index, pick, names(pick))).collect()
}

fn picked(index: usize, pick: &ComparedPick, names: &str, first: &str, second: &str) -> Markup {
    let at = format!("/comparison/fronts/picks/{index}");
    let id = |side: &str, id: &str| read(format!("{at}/{side}"), id);
    let caption = html! {
        (names) ": "
        @if pick.first == pick.second { (id("first", &pick.first)) " in both" } @else { (id("first", &pick.first)) " and " (id("second", &pick.second)) }
    };
    scroll(
        "A pick in two studies",
        &changes(&format!("{at}/changes"), &caption, &pick.changes, (first, second)),
    )
}

/// Both figures, each with its source, and what lies between them; `at` is the path of the list.
fn changes(at: &str, caption: &Markup, changes: &[Change], (first, second): (&str, &str)) -> Markup {
    html! {
        table {
            caption { (caption) }
            thead { tr { th scope="col" { "Quantity" } th scope="col" { (first) } th scope="col" { (second) } th scope="col" { "Second over first" } th scope="col" { "Against the noise" } } }
            tbody { @for (index, change) in changes.iter().enumerate() {
                tr data-under=(format!("{at}/{index}")) {
                    th scope="row" { (figure_label(&change.name)) }
                    td { (figure("first", unit_of(&change.name), &change.first)) }
                    td { (figure("second", unit_of(&change.name), &change.second)) }
                    td { @match change.ratio {
                        Some(ratio) => { (number("ratio", source(change), format!("{} ×", digits(ratio)))) }
                        None => { (unavailable("ratio", "one of the two is 0")) }
                    } }
                    td { (against_noise(change)) }
                }
            } }
        }
    }
}

/// What is computed from two measurements is measured; a prediction in it makes it one.
fn source(change: &Change) -> Source {
    if change.first.source == change.second.source { change.first.source } else { Source::Modelled }
}

fn device(devices: &ComparedDevices, first: &str, second: &str) -> Markup {
    let parts = html! {
        table {
            caption { "Figures of the two devices: how much the second’s are of the first’s" }
            thead { tr { th scope="col" { "Part" } th scope="col" { "Figures in both" } th scope="col" { "More than the noise" } th scope="col" { "In the middle" } th scope="col" { "Least" } th scope="col" { "Most" } } }
            tbody { @for (index, part) in devices.parts.iter().enumerate() {
                tr data-under=(format!("/comparison/devices/parts/{index}")) {
                    th scope="row" { (part.part) }
                    td { (read("n", part.n)) } td { (read("beyond_noise", part.beyond_noise)) }
                    @for (name, ratio) in [("ratio", part.ratio), ("low", part.low), ("high", part.high)] { td { (number(name, part.source, format!("{} ×", digits(ratio)))) } }
                }
            } }
        }
    };
    let mut moved: Vec<_> =
        devices.figures.iter().enumerate().filter(|(_, figure)| figure.beyond_noise).collect();
    moved.sort_by(|(_, a), (_, b)| b.ratio.ln().abs().total_cmp(&a.ratio.ln().abs()));
    let unit = |part: &str| match part {
        "bandwidth" => Unit::BytesPerSecond,
        "peak" => Unit::OperationsPerSecond,
        "latency" | "kernels" | "overhead" => Unit::Seconds,
        _ => Unit::Plain,
    };
    let figures = html! {
        table {
            caption { "The figures that differ most" }
            thead { tr { th scope="col" { "Part" } th scope="col" { "Figure" } th scope="col" { (first) } th scope="col" { (second) } th scope="col" { "Second over first" } } }
            tbody { @for (index, figure) in moved.iter().take(LISTED) {
                tr data-under=(format!("/comparison/devices/figures/{index}")) {
                    td { (figure.part) } th scope="row" { (read("what", &figure.what)) }
                    @for (side, value) in [("first", figure.first), ("second", figure.second)] { td { (number(side, figure.source, unit(&figure.part).show(value))) } }
                    td { (number("ratio", figure.source, format!("{} ×", digits(figure.ratio)))) }
                }
            } }
        }
    };
    html! {
        @if !devices.parts.is_empty() { (scroll("Two devices by part", &parts)) }
        @if !moved.is_empty() { details { summary { "Which figures of the devices differ most" } (scroll("Figures of two devices", &figures)) } }
    }
}
