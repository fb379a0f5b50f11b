//! The sections of the page, each written from the records alone.

pub(crate) mod compare;
pub(crate) mod device;
pub(crate) mod existing;
pub(crate) mod front;
pub(crate) mod model;
mod pair;
mod quality;
mod running;
mod studies;
pub(crate) mod summary;
pub(crate) mod trust;

use maud::{Markup, html};
use slimfit_quantity::Warning;
use slimfit_study::{Front, FrontPoint};

/// A part of the page that has nothing to show, and why.
fn nothing(words: &str) -> Markup {
    html! { p.nothing { (ticked(words)) } }
}

/// Text in which literals stand between backticks, as messages everywhere in this program have them.
fn ticked(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Warnings; `at` is the path of their list.
fn warnings(at: &str, warnings: &[Warning]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            ul.warnings {
                @for (index, warning) in warnings.iter().enumerate() {
                    li { strong { (warning.code) } ": " span data-source="read" data-at={ (at) "/" (index) "/message" } { (ticked(&warning.message)) } }
                }
            }
        }
    }
}

/// Points that were picked, the recommended one first.
pub(crate) fn picks(front: &Front) -> Vec<&FrontPoint> {
    let rank = |point: &FrontPoint| {
        let named = |name: &str| point.picks.iter().any(|pick| pick == name);
        if named("recommended") { 0 } else { 2 - u8::from(named("knee")) }
    };
    let mut picks: Vec<&FrontPoint> = front.points.iter().filter(|point| !point.picks.is_empty()).collect();
    picks.sort_by_key(|point| rank(point));
    picks
}

/// Why a point carries a pick's name.
fn pick_reason(pick: &str) -> Option<String> {
    // `fastest-on-2`: of one of several devices.
    let (pick, device) = match pick.rsplit_once("-on-") {
        Some((pick, device)) if device.parse::<usize>().is_ok() => (pick, Some(device)),
        _ => (pick, None),
    };
    let reason = match pick {
        "recommended" => Some("it is the search's recommendation"),
        "knee" => Some("it lies nearest to the corner where quality and every cost would be at their best"),
        "best-under-limits" => Some("no point that keeps the limits is predicted to have a lower loss"),
        "first-token-soonest" => Some("no point of the front is predicted to give its first token sooner"),
        "most-frugal" => Some("no point of the front is predicted to need less energy"),
        "fewest-parameters" => Some("no point of the front has fewer parameters"),
        "fastest" => Some("no point of the front is predicted to take less time per token"),
        "fastest-at-p95" => {
            Some("no point of the front is predicted to keep 95 of 100 tokens within less time")
        }
        "first-token-soonest-at-p95" => {
            Some("no point of the front is predicted to give 95 of 100 first tokens sooner")
        }
        "smallest" => Some("no point of the front is predicted to need less memory"),
        "best-quality" => Some("no point of the front is predicted to have a lower loss"),
        "cheapest-to-train" => Some("no point of the front takes less to train"),
        pick if pick.starts_with("best-") => {
            Some("no point of the front is predicted to score higher on this task")
        }
        _ => None,
    };
    reason.map(|reason| {
        device.map_or_else(|| reason.to_owned(), |device| format!("{reason} on device {device}"))
    })
}
