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

/// Text with a number in it, where the number comes from, and the record that holds it (see [`segment`]).
pub(crate) fn number(at: impl Render, source: Source, text: impl Render) -> Markup {
    html! { span data-source=(source_name(source)) data-at=(at) { (text) } }
}

/// A value read from an input, or counted exactly from one.
pub(crate) fn read(at: impl Render, text: impl Render) -> Markup {
    number(at, Source::Read, text)
}

/// A value read from an input, set as code.
pub(crate) fn code(at: impl Render, text: impl Render) -> Markup {
    html! { code data-source="read" data-at=(at) { (text) } }
}

/// A checksum.
pub(crate) fn hash(at: impl Render, text: impl Render) -> Markup {
    html! { code.hash data-source="read" data-at=(at) { (text) } }
}

/// A whole number, read or counted, to its last digit.
pub(crate) fn count(at: impl Render, value: impl Display) -> Markup {
    read(at, format_integer(value))
}

/// One part of the path to a record, as it stands between the slashes of `data-at`.
///
/// A path leads through the page's records (`script#slimfit-data`): `/profile/kernels/3/seconds`, and within a list of
/// things that have an id `/front/points/id=0123456789ab/objectives/loss`. Without a slash in front it goes on from the
/// nearest `data-under` around it. Several paths, where a text shows several records, stand apart by spaces; what would
/// break that is percent-encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte) {
            part.push(char::from(byte));
        } else {
            part.push_str(&format!("%{byte:02X}"));
        }
    }
    part
}

/// A prediction with its interval, on one line; what is missing or no number is called unavailable.
pub(crate) fn predicted(
    at: impl Render,
    unit: Unit,
    value: Option<f64>,
    interval: Option<&Interval>,
) -> Markup {
    match value {
        Some(value) if value.is_finite() => html! {
            span data-source="modelled" data-at=(at) {
                (unit.show(value))
                @if let Some(range) = interval.and_then(|interval| range(unit, interval.low, interval.high)) {
                    " " span.range { (range) }
                }
            }
        },
        Some(_) => unavailable(at, "the record holds no finite number"),
        None => unavailable(at, "the record does not hold it"),
    }
}

/// A figure with its spread, sample count or reason.
pub(crate) fn figure(at: impl Render, unit: Unit, figure: &Figure) -> Markup {
    match figure.value {
        Some(value) if value.is_finite() && figure.source != Source::Unavailable => html! {
            span data-source=(source_name(figure.source)) data-at=(at) title=[figure.citation.as_deref()] {
                (unit.show(value))
                @if let (Some(low), Some(high)) = (figure.low, figure.high) {
                    @if let Some(range) = range(unit, low, high) { " " span.range { (range) } }
                }
                @if figure.source == Source::Measured && figure.n > 0 { " " span.range { "n " (figure.n) } }
            }
        },
        _ => unavailable(at, figure.reason.as_deref().unwrap_or("no reason was recorded")),
    }
}

/// A figure's central value alone, for running text; its spread stands in a table.
pub(crate) fn central(at: impl Render, unit: Unit, figure: &Figure) -> Markup {
    match figure.value {
        Some(value) if value.is_finite() => number(at, figure.source, unit.show(value)),
        _ => unavailable(at, figure.reason.as_deref().unwrap_or("no reason was recorded")),
    }
}

/// Unavailable, with its reason in sight; `at` is where the record would hold it.
pub(crate) fn unavailable(at: impl Render, reason: &str) -> Markup {
    html! { span.unavailable data-source="unavailable" data-at=(at) { "unavailable: " (reason) } }
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

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn a_name_cannot_leave_its_part_of_a_path() {
        assert_eq!(segment("0123456789ab"), "0123456789ab");
        assert_eq!(segment("tpot_seconds@2"), "tpot_seconds@2");
        assert_eq!(segment("a/b c=\"é%"), "a%2Fb%20c%3D%22%C3%A9%25");
    }
}
