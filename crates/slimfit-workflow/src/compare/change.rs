//! One quantity of both sides.

use slimfit_quantity::{Figure, Source};
use slimfit_study::{Change, Side};

/// The two figures; `widened` is the share by which both intervals grow before they are held against each other.
pub(super) fn change(
    name: &str,
    (first, second): (&Figure, &Figure),
    maximised: bool,
    widened: f64,
) -> Option<Change> {
    let (before, after) = (first.value?, second.value?);
    let bounds = |figure: &Figure, value: f64| {
        let (low, high) = (figure.low.unwrap_or(value), figure.high.unwrap_or(value));
        (low / (1.0 + widened), high * (1.0 + widened))
    };
    let ((low, high), (other_low, other_high)) = (bounds(first, before), bounds(second, after));
    let known = before == after || (tells_noise(first) && tells_noise(second));
    let beyond_noise = known.then_some(other_low > high || other_high < low);
    Some(Change {
        name: name.to_owned(),
        first: first.clone(),
        second: second.clone(),
        ratio: ratio(before, after),
        beyond_noise,
        better: (beyond_noise == Some(true)).then(|| better(before, after, maximised)),
    })
}

/// Whether a figure says how uncertain it is: one sample does not, nor does a prediction without its interval.
fn tells_noise(figure: &Figure) -> bool {
    match figure.source {
        Source::Measured => figure.n > 1,
        Source::Modelled => figure.low.is_some() && figure.high.is_some(),
        _ => true,
    }
}

/// Second over first, where that means something.
pub(super) fn ratio(first: f64, second: f64) -> Option<f64> {
    Some(second / first).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
}

pub(super) fn better(first: f64, second: f64, maximised: bool) -> Side {
    if (second > first) == maximised { Side::Second } else { Side::First }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(low: f64, value: f64, high: f64) -> Figure {
        Figure { low: Some(low), high: Some(high), ..Figure::read(value) }
    }

    #[test]
    fn intervals_that_overlap_are_noise() {
        let of = |second, widened| {
            change("tpot_seconds", (&figure(0.9, 1.0, 1.1), &second), false, widened).unwrap()
        };
        let near = of(figure(1.05, 1.2, 1.3), 0.0);
        assert_eq!((near.ratio, near.beyond_noise, near.better), (Some(1.2), Some(false), None));
        let far = of(figure(1.15, 1.2, 1.3), 0.0);
        assert_eq!((far.beyond_noise, far.better), (Some(true), Some(Side::First)));
        assert_eq!(
            of(figure(1.15, 1.2, 1.3), 0.1).beyond_noise,
            Some(false),
            "within what the machine itself moved"
        );
        let single = Figure { source: Source::Measured, n: 1, ..figure(2.0, 2.0, 2.0) };
        assert_eq!(
            (of(single.clone(), 0.0).beyond_noise, of(single, 0.0).better),
            (None, None),
            "one sample has no spread"
        );
        let faster = change("decode", (&figure(1.0, 1.0, 1.0), &figure(2.0, 2.0, 2.0)), true, 0.0).unwrap();
        assert_eq!(faster.better, Some(Side::Second));
    }

    #[test]
    fn what_is_missing_is_not_compared() {
        let missing = Figure::unavailable("no meter");
        assert_eq!(change("joules", (&missing, &figure(1.0, 1.0, 1.0)), false, 0.0), None);
        let zero = change("x", (&figure(0.0, 0.0, 0.0), &figure(1.0, 1.0, 1.0)), false, 0.0).unwrap();
        assert_eq!((zero.ratio, zero.beyond_noise), (None, Some(true)));
    }
}
