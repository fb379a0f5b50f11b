//! A search that is not finished: how far it is, and the points that it has so far.

use crate::ReportInput;
use crate::mark::{count, number, read};
use crate::unit::{Unit, objective_label};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_integer};
use slimfit_study::RunningSearch;

/// A part of the summary that the page's script keeps up to date where the page is live.
pub(crate) fn panel(input: &ReportInput) -> Markup {
    html! {
        div #running hidden[input.running.is_none()] {
            h3 { "A search that is not finished" }
            p #running-words role="status" { @if let Some(running) = &input.running { (words(running)) } }
            figure.chart {
                div #running-chart role="img" aria-label="Scatter of the points that the search has so far" {}
                figcaption { "Points that nothing found so far beats, by the first two objectives; all values are " em { "predicted" } " unless the search measures. The front may still move." }
            }
        }
    }
}

fn words(running: &RunningSearch) -> Markup {
    let labels: Vec<String> =
        running.objectives.iter().map(|name| objective_label(name).to_lowercase()).collect();
    let counted = |name: &str, text: String| number(format!("/running/{name}"), Source::Measured, text);
    html! {
        "Search " (read("/running/id", running.id.to_string()))
        " of " (read("/running/space", running.space.as_deref().unwrap_or("a space")))
        " for " (labels.join(", ")) ", begun " (read("/running/began", &running.began)) ": "
        (counted("settled", format_integer(&running.settled)))
        @if let Some(size) = &running.size { " of " (count("/running/size", size)) }
        " points settled"
        @if running.passes > 1 { " in pass " (read("/running/passes", running.passes)) }
        ", " (counted("known", format_integer(running.known))) " kept, after "
        (counted("seconds", Unit::Duration.show(running.seconds))) " of work. "
        @if running.at_work { "It is at work." } @else { "No process is at work on it: the same command takes it up where it is." }
    }
}
