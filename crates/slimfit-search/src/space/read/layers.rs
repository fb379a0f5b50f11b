//! Axes that each layer chooses for itself, and what they cannot be combined with.

use super::Reader;
use crate::space::axes::{AXIS_NAMES, Axis};
use crate::space::{Choice, LayerAxis, MOST_LAYERS, Space};
use slimfit_document::DocumentError;
use std::collections::BTreeSet;

impl Reader<'_> {
    /// The axes that each layer chooses for itself, in one order.
    pub(super) fn per_layer(&self, names: &[String]) -> Result<Vec<LayerAxis>, DocumentError> {
        let known = LayerAxis::ALL.map(LayerAxis::name);
        let mut found = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            let field = format!("per_layer[{index}]");
            let Some(axis) = LayerAxis::ALL.into_iter().find(|axis| axis.name() == name) else {
                let message = if AXIS_NAMES.contains(&name.as_str()) {
                    "all layers of a model share this axis"
                } else {
                    "unknown axis"
                };
                return Err(self.unknown(&field, message, name, &known));
            };
            if !found.insert(axis) {
                return Err(self
                    .document
                    .error_at(&field, "the axis stands twice")
                    .found(format!("`{name}`")));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// What layers of their own cannot be combined with.
    pub(super) fn check_layers(&self, space: &Space) -> Result<(), DocumentError> {
        if let Some(passes) = space.passes().into_iter().find(|passes| *passes > 1) {
            let own = self.document.has("axes.loops");
            let field = if own { "axes.loops" } else { "assume.loops.loops" };
            let error = self.document.error_at(field, "layers of their own choice run once");
            return Err(error
                .found(format!("{passes} passes beside `per_layer`"))
                .allowed("`none`, or no `per_layer`"));
        }
        if let Some(layers) = space.depths().into_iter().find(|layers| *layers > MOST_LAYERS) {
            let error = self.document.error_at("axes.layers", "too many layers of their own choice");
            return Err(error.found(layers).allowed(format!("at most {MOST_LAYERS} beside `per_layer`")));
        }
        let own: Vec<&str> = space.per_layer.iter().map(|axis| axis.name()).collect();
        for axis in Axis::BLOCK.into_iter().filter(|axis| !own.contains(&axis.name())) {
            for option in &space.numbers[axis as usize] {
                let Choice::Expression(expression) = option else { continue };
                if let Some(other) = expression.axes().axes().find(|other| own.contains(&other.name())) {
                    let error = self.document.error_at(
                        &format!("axes.{}", axis.name()),
                        "what all layers share cannot depend on what each chooses for itself",
                    );
                    let hint = format!("put `{}` into `per_layer`, too", axis.name());
                    return Err(error.found(format!("an expression of `{}`", other.name())).hint(hint));
                }
            }
        }
        for offers in space.offers.iter().filter(|offers| !own.contains(&offers.axis.name())) {
            for when in &offers.conditions {
                let Some(other) = when.condition.axes.axes().find(|other| own.contains(&other.name())) else {
                    continue;
                };
                let error = self.document.error_at(
                    &when.field,
                    "what all layers share cannot depend on what each chooses for itself",
                );
                let found = format!("a condition of `{}` that names `{}`", offers.axis.name(), other.name());
                let hint = "`exclude` says which kinds of layers there are not";
                return Err(error.found(found).allowed("axes that are not in `per_layer`").hint(hint));
            }
        }
        let patterned = space.windows.iter().flatten().any(|window| window.full_every.is_some());
        if space.per_layer.contains(&LayerAxis::Window) && patterned {
            let error = self.document.error_at("axes.window", "a layer's own window has no `full_every`");
            let hint = "take `window` out of `per_layer` for windows in a fixed order";
            return Err(error.allowed("`none` and numbers of tokens beside `per_layer`").hint(hint));
        }
        if space.is_portable() {
            let error = self.document.error_at("portable", "no loader holds layers that differ");
            let names: Vec<&str> = space.portable().iter().map(|loader| loader.name()).collect();
            let found = if space.says_portable() {
                format!("`{}` beside `per_layer`", names.join(", "))
            } else {
                format!("`per_layer`, and nothing that leaves out {}", names.join(" and "))
            };
            return Err(error.found(found).allowed("`portable: []`, or no `per_layer`"));
        }
        Ok(())
    }
}
