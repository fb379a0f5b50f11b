//! Axes of numbers: values, expressions and ranges, and which axis is known before which.

use super::conditions::Item;
use super::{Reader, Sources};
use crate::space::axes::{AnyAxis, Axis, AxisSet};
use crate::space::expression::Expression;
use crate::space::rules::Offers;
use crate::space::{Choice, Numbers};
use serde_json::Value;
use slimfit_document::DocumentError;
use std::collections::BTreeSet;

/// Values that one axis may offer.
const MAXIMUM_VALUES: usize = 10_000;
/// Passes through the layers of a point: far past what any law reaches.
const MAXIMUM_PASSES: u64 = 1000;

impl Reader<'_> {
    /// The values of an axis with numbers, and when they are offered. `always`: one that it has whatever the file says.
    pub(super) fn numbers(
        &self,
        sources: &Sources<'_>,
        axis: Axis,
        always: Option<Choice>,
    ) -> Result<(Numbers, Offers), DocumentError> {
        let (mut found, mut offers) = (Vec::from_iter(always), Offers::new(AnyAxis::Number(axis)));
        for (field, value) in sources.of(axis.name()) {
            for (field, value) in self.each(&field, value)? {
                let Item { field, value, when } = self.item(AnyAxis::Number(axis), field, value)?;
                let before = found.len();
                self.number(&field, &value, axis, &mut found)?;
                if found.len() > MAXIMUM_VALUES {
                    let error = self.document.error_at(&field, "too many values").code("axis-too-long");
                    return Err(error.allowed(format!("at most {MAXIMUM_VALUES} in one axis")));
                }
                offers.note(before, found.len(), when);
            }
        }
        self.distinct(axis, &found)?;
        offers.read_expressions(&found);
        Ok((found, offers))
    }

    /// One value of an axis, or a range of them.
    fn number(
        &self,
        field: &str,
        value: &Value,
        axis: Axis,
        into: &mut Numbers,
    ) -> Result<(), DocumentError> {
        match value {
            Value::Null if axis == Axis::Loops => into.push(Choice::Number(1)),
            Value::String(text) if axis == Axis::Loops => {
                if text != "none" {
                    let allowed = "`none`, a number of passes, a range or a list of them";
                    return Err(self.wrong(field, value, allowed));
                }
                into.push(Choice::Number(1));
            }
            Value::Number(_) => into.push(Choice::Number(self.whole(field, value)?)),
            Value::String(text) => {
                let expression = self.expression(field, text)?;
                if expression.axes() != AxisSet::default() && !Axis::BLOCK.contains(&axis) {
                    let message = format!("`{}` may not depend on axes", axis.name());
                    let error = self.document.error_at(field, message);
                    return Err(error.found(format!("`{text}`")).allowed("numbers and ranges"));
                }
                into.push(Choice::Expression(expression));
            }
            Value::Object(range) => self.range(field, range, axis, into)?,
            other => {
                return Err(self.wrong(
                    field,
                    other,
                    "a whole number, an expression, a range or a list of them",
                ));
            }
        }
        Ok(())
    }

    /// `{from, to, step}`, and with `times: axis` and `round: n` a range of ratios.
    fn range(
        &self,
        field: &str,
        range: &serde_json::Map<String, Value>,
        axis: Axis,
        into: &mut Numbers,
    ) -> Result<(), DocumentError> {
        const KEYS: [&str; 7] = ["from", "to", "step", "times", "round", "value", "when"];
        for key in range.keys() {
            if !KEYS.contains(&key.as_str()) {
                return Err(self.unknown(&format!("{field}.{key}"), "unknown field of a range", key, &KEYS));
            }
        }
        let number = |key: &str| -> Result<f64, DocumentError> {
            let place = format!("{field}.{key}");
            match range.get(key) {
                Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number > 0.0) {
                    Some(number) => Ok(number),
                    None => Err(self.wrong(&place, value, "a number above 0")),
                },
                None => Err(self
                    .document
                    .error_at(field, format!("missing field `{key}` of a range"))
                    .code("missing-field")),
            }
        };
        let (from, to, step) = (number("from")?, number("to")?, number("step")?);
        if from > to {
            let error = self.document.error_at(field, "the range is empty").code("empty-axis");
            return Err(error.found(format!("from {from} to {to}")).allowed("`from` at most `to`"));
        }
        let count = ((to - from) / step + 1e-9).floor();
        if count >= MAXIMUM_VALUES as f64 {
            let error = self.document.error_at(field, "too many values").code("axis-too-long");
            return Err(error.allowed(format!("at most {MAXIMUM_VALUES} in one axis")));
        }
        let base = match range.get("times") {
            None => None,
            Some(Value::String(text)) => Some(self.expression(&format!("{field}.times"), text)?),
            Some(other) => {
                return Err(self.wrong(&format!("{field}.times"), other, "an axis or an expression"));
            }
        };
        if base.is_some() && !Axis::BLOCK.contains(&axis) {
            return Err(self.document.error_at(field, format!("`{}` may not depend on axes", axis.name())));
        }
        let round = if range.contains_key("round") { Some(number("round")?) } else { None };
        for index in 0..=count as usize {
            let value = from + step * index as f64;
            match &base {
                Some(base) => {
                    // Ratios are rounded to a millionth, so that 2.0000000004 never appears.
                    let ratio = Expression::Number((value * 1e6).round() / 1e6);
                    let product = Expression::times(ratio, base.clone());
                    into.push(Choice::Expression(match round {
                        Some(unit) => Expression::Round(Box::new(product), unit),
                        None => product,
                    }));
                }
                None => {
                    let value = Value::from((value * 1e6).round() / 1e6);
                    into.push(Choice::Number(self.whole(field, &value)?));
                }
            }
        }
        Ok(())
    }

    /// Plain numbers of one axis must differ: a value that stands twice would count every point twice.
    fn distinct(&self, axis: Axis, numbers: &Numbers) -> Result<(), DocumentError> {
        let mut seen = BTreeSet::new();
        for option in numbers {
            if let Choice::Number(value) = option
                && !seen.insert(*value)
            {
                let field = format!("axes.{}", axis.name());
                return Err(self.document.error_at(&field, "the value stands twice").found(value));
            }
        }
        Ok(())
    }

    /// Numbers of passes through the layers have an end.
    pub(super) fn passes(&self, numbers: &[Numbers; Axis::COUNT]) -> Result<(), DocumentError> {
        for choice in &numbers[Axis::Loops as usize] {
            if let Choice::Number(passes) = choice
                && *passes > MAXIMUM_PASSES
            {
                let error = self.document.error_at("axes.loops", "too many passes through the layers");
                return Err(error.found(passes).allowed(format!("`none`, or at most {MAXIMUM_PASSES}")));
            }
        }
        Ok(())
    }

    /// The axes of a block such that each stands after those it names.
    pub(super) fn order(&self, numbers: &[Numbers; Axis::COUNT]) -> Result<[Axis; 5], DocumentError> {
        let mut order = Vec::with_capacity(Axis::BLOCK.len());
        while order.len() < Axis::BLOCK.len() {
            let free = |axis: &Axis| {
                let mut waits = false;
                for option in &numbers[*axis as usize] {
                    if let Choice::Expression(expression) = option {
                        let known = |axis| matches!(axis, AnyAxis::Number(axis) if order.contains(&axis));
                        waits |= !expression.axes().axes().all(known);
                    }
                }
                !order.contains(axis) && !waits
            };
            match Axis::BLOCK.into_iter().find(free) {
                Some(axis) => order.push(axis),
                None => {
                    let left: Vec<&str> = Axis::BLOCK
                        .iter()
                        .filter(|axis| !order.contains(axis))
                        .map(|axis| axis.name())
                        .collect();
                    let error = self.document.error_at(
                        &format!("axes.{}", left[0]),
                        "axes depend on each other in a circle, or on `layers` or `vocabulary_size`",
                    );
                    return Err(error
                        .code("cyclic-axes")
                        .found(left.join(", "))
                        .allowed("at least one of them without the others"));
                }
            }
        }
        Ok(order.try_into().expect("all five axes of a block were placed"))
    }
}
