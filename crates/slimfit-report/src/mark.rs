//! Numbers on the page: each stands in an element that says where it comes from.

use crate::unit::Unit;
use maud::{Markup, Render, html};
use slimfit_quantity::{Figure, Source, format_integer};
use slimfit_study::Interval;
use std::fmt::Display;

/// The contract's word for a source.
pub(crate) const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Measured => "measured",
        Source::Read => "read",
        Source::Published => "published",
        Source::Modelled => "modelled",
        Source::Unavailable => "unavailable",
    }
}

/// Text with a number in it, and where the number comes from.
pub(crate) fn number(source: Source, text: impl Render) -> Markup {
    html! { span data-source=(source_name(source)) { (text) } }
}

/// A value read from an input, or counted exactly from one.
pub(crate) fn read(text: impl Render) -> Markup {
    number(Source::Read, text)
}

/// A whole number, read or counted, to its last digit.
pub(crate) fn count(value: impl Display) -> Markup {
    read(format_integer(value))
}

/// A prediction with its interval, on one line; what is missing or no number is called unavailable.
pub(crate) fn predicted(unit: Unit, value: Option<f64>, interval: Option<&Interval>) -> Markup {
    match value {
        Some(value) if value.is_finite() => html! {
            span data-source="modelled" {
                (unit.show(value))
                @if let Some(range) = interval.and_then(|interval| range(unit, interval.low, interval.high)) {
                    " " span.range { (range) }
                }
            }
        },
        Some(_) => unavailable("the record holds no finite number"),
        None => unavailable("the record does not hold it"),
    }
}

/// A figure with its spread, sample count or reason.
pub(crate) fn figure(unit: Unit, figure: &Figure) -> Markup {
    match figure.value {
        Some(value) if value.is_finite() && figure.source != Source::Unavailable => html! {
            span data-source=(source_name(figure.source)) title=[figure.citation.as_deref()] {
                (unit.show(value))
                @if let (Some(low), Some(high)) = (figure.low, figure.high) {
                    @if let Some(range) = range(unit, low, high) { " " span.range { (range) } }
                }
                @if figure.source == Source::Measured && figure.n > 0 { " " span.range { "n " (figure.n) } }
            }
        },
        _ => unavailable(figure.reason.as_deref().unwrap_or("no reason was recorded")),
    }
}

/// A figure's central value alone, for running text; its spread stands in a table.
pub(crate) fn central(unit: Unit, figure: &Figure) -> Markup {
    match figure.value {
        Some(value) if value.is_finite() => number(figure.source, unit.show(value)),
        _ => unavailable(figure.reason.as_deref().unwrap_or("no reason was recorded")),
    }
}

/// Unavailable, with its reason in sight.
pub(crate) fn unavailable(reason: &str) -> Markup {
    html! { span.unavailable data-source="unavailable" { "unavailable: " (reason) } }
}

/// `11.0–14.1 ms`, or nothing where both ends read alike or are no numbers.
pub(crate) fn range(unit: Unit, low: f64, high: f64) -> Option<String> {
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let (low, high) = (unit.show(low), unit.show(high));
    if low == high {
        return None;
    }
    match (low.rsplit_once(' '), high.rsplit_once(' ')) {
        (Some((number, unit_low)), Some((_, unit_high))) if unit_low == unit_high => {
            Some(format!("{number}\u{2013}{high}"))
        }
        _ => Some(format!("{low}\u{2013}{high}")),
    }
}

/// A wide table's own scrolling box, reachable by keyboard.
pub(crate) fn scroll(label: &str, content: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (content) } }
}
