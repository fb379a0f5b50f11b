//! What points are held to: bounds on their parameters, and loaders.

use super::Reader;
use serde_json::Value;
use slimfit_document::DocumentError;
use slimfit_formats::Loader;
use slimfit_quantity::parse_count;
use std::collections::BTreeMap;

impl Reader<'_> {
    /// Loaders that points are held to.
    pub(super) fn loaders(&self, names: &[String]) -> Result<Vec<Loader>, DocumentError> {
        let mut loaders = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let field = format!("portable[{index}]");
            let Some(loader) = Loader::named(name) else {
                return Err(self.unknown(&field, "unknown loader", name, &Loader::ALL.map(Loader::name)));
            };
            if loaders.contains(&loader) {
                let error = self.document.error_at(&field, "the value stands twice");
                return Err(error.found(format!("`{name}`")));
            }
            loaders.push(loader);
        }
        Ok(loaders)
    }

    /// Least and most parameters: all of them, and those without embeddings.
    pub(super) fn parameter_bounds(
        &self,
        constraints: &BTreeMap<String, BTreeMap<String, Value>>,
    ) -> Result<[Option<(u64, u64)>; 2], DocumentError> {
        const NAMES: [&str; 2] = ["parameters", "non_embedding"];
        let mut found = [None; 2];
        for (name, bounds) in constraints {
            let field = format!("constraints.{name}");
            let Some(place) = NAMES.iter().position(|known| known == name) else {
                return Err(self.unknown(&field, "unknown constraint", name, &NAMES));
            };
            found[place] = Some(self.bounds(&field, bounds)?);
        }
        Ok(found)
    }

    /// `{min, max}`, each a number or a text such as `50M`.
    fn bounds(&self, field: &str, bounds: &BTreeMap<String, Value>) -> Result<(u64, u64), DocumentError> {
        let mut range = (0, u64::MAX);
        for (key, value) in bounds {
            let place = format!("{field}.{key}");
            let target = match key.as_str() {
                "min" => &mut range.0,
                "max" => &mut range.1,
                other => return Err(self.unknown(&place, "unknown bound", other, &["min", "max"])),
            };
            let found = match value {
                Value::String(text) => parse_count(text).ok(),
                number => number
                    .as_f64()
                    .filter(|number| number.fract() == 0.0 && *number >= 0.0)
                    .map(|number| number as u64),
            };
            *target = found.ok_or_else(|| self.wrong(&place, value, "a count such as 50M"))?;
        }
        if range.0 > range.1 {
            let error = self.document.error_at(field, "nothing lies between the bounds").code("empty-axis");
            return Err(error.found(format!("min {} above max {}", range.0, range.1)));
        }
        Ok(range)
    }
}
