//! Conditions that hold for nothing.

use super::{Reader, Sources};
use crate::space::assignment::Assignment;
use crate::space::axes::{AnyAxis, Axis, AxisSet};
use crate::space::rules::{Offers, When};
use crate::space::{Choice, Space};
use slimfit_document::DocumentError;

/// Combinations of values that are tried: past this it is not told.
const MOST_TRIED: usize = 100_000;
/// Values that are listed before a range stands for them.
const LISTED: usize = 6;

impl Reader<'_> {
    /// Refuses a condition that no values of the axes which it names fulfil: what it is about would never be offered.
    pub(super) fn check_offers(&self, space: &Space, sources: &Sources<'_>) -> Result<(), DocumentError> {
        for offers in &space.offers {
            for (place, when) in offers.conditions.iter().enumerate() {
                if !may_hold(space, sources, offers, place) {
                    let axis = offers.axis.name();
                    let error = self
                        .document
                        .error_at(&when.field, format!("`{axis}` {} is never offered", when.values));
                    let named: Vec<&str> = when.condition.axes.axes().map(AnyAxis::name).collect();
                    let allowed = match named.as_slice() {
                        [] => "a condition that names an axis".to_owned(),
                        _ => format!("a condition that holds for some values of {}", named.join(", ")),
                    };
                    let error = error.code("never-offered").found(format!("`{}`", when.condition.text));
                    return Err(error.allowed(allowed).maybe_hint(offered(space, when)));
                }
            }
        }
        Ok(())
    }
}

/// The numbers that the axes of a condition offer, where they are no expressions.
fn offered(space: &Space, when: &When) -> Option<String> {
    let mut told = Vec::new();
    for axis in when.condition.axes.axes() {
        let AnyAxis::Number(number) = axis else { continue };
        let plain = |choice: &Choice| match choice {
            Choice::Number(value) => Some(*value),
            Choice::Expression(_) => None,
        };
        let Some(values) = space.numbers[number as usize].iter().map(plain).collect::<Option<Vec<u64>>>()
        else {
            continue;
        };
        let values = if values.len() <= LISTED {
            values.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
        } else {
            let (least, most) = (values.iter().min()?, values.iter().max()?);
            format!("{} values from {least} to {most}", values.len())
        };
        told.push(format!("`{}` offers {values}", axis.name()));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// Whether some values of the named axes fulfil a condition, or there are too many to tell.
fn may_hold(space: &Space, sources: &Sources<'_>, offers: &Offers, condition: usize) -> bool {
    let when = &offers.conditions[condition];
    let axes = with_expressions(space, when.condition.axes);
    if axes.axes().any(|axis| sources.has_more(axis.name())) {
        return true;
    }
    // Those of a block in an order in which expressions know what they name.
    let block = space.order.into_iter().map(AnyAxis::Number);
    let others = AnyAxis::all()
        .filter(|axis| !matches!(axis, AnyAxis::Number(number) if Axis::BLOCK.contains(number)));
    let axes: Vec<AnyAxis> = block.chain(others).filter(|axis| axes.contains(*axis)).collect();
    let places: Vec<Vec<usize>> = axes
        .iter()
        .map(|axis| {
            let own = |place: &usize| {
                *axis != offers.axis || offers.of(*place).is_some_and(|other| other.field == when.field)
            };
            (0..space.length(*axis)).filter(own).collect()
        })
        .collect();
    let tried = places.iter().try_fold(1_usize, |all, places| all.checked_mul(places.len()));
    if tried.is_none_or(|tried| tried > MOST_TRIED) {
        return true;
    }
    let mut digits = vec![0; axes.len()];
    loop {
        let mut point = Assignment::UNKNOWN;
        for ((axis, places), digit) in axes.iter().zip(&places).zip(&digits) {
            space.assign(*axis, places[*digit], &mut point);
        }
        let whole = |axis: &AnyAxis| {
            let AnyAxis::Number(axis) = axis else { return true };
            let value = point.numbers[*axis as usize];
            value >= 1.0 && value.fract() == 0.0
        };
        if axes.iter().all(whole) && when.condition.holds(&point) {
            return true;
        }
        let more = |(place, digit): &(usize, &usize)| *digit + 1 < places[*place].len();
        let Some(place) = digits.iter().enumerate().find(more).map(|(place, _)| place) else { return false };
        digits[place] += 1;
        digits[..place].fill(0);
    }
}

/// Axes, and those that their expressions name.
fn with_expressions(space: &Space, axes: AxisSet) -> AxisSet {
    let mut all = axes;
    loop {
        let before = all;
        for axis in Axis::BLOCK.into_iter().filter(|axis| before.contains(AnyAxis::Number(*axis))) {
            for choice in &space.numbers[axis as usize] {
                if let Choice::Expression(expression) = choice {
                    all = all.with(expression.axes());
                }
            }
        }
        if all == before {
            return all;
        }
    }
}
