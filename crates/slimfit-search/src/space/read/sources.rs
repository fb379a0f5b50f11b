//! Where the values of each axis stand: in its own list, and in those of the assumptions in force.

use super::{Reader, SpaceFile};
use crate::space::axes::{AXIS_NAMES, EXPERTS, LOOPS};
use serde_json::Value;
use slimfit_document::DocumentError;
use slimfit_quality::Assumption;
use std::collections::BTreeSet;

pub(super) struct Sources<'f> {
    file: &'f SpaceFile,
    assume: &'f BTreeSet<Assumption>,
}

impl<'f> Sources<'f> {
    /// The lists of a file, each of an axis that there is.
    ///
    /// # Errors
    /// When an axis or an assumption is unknown, or an axis is missing.
    pub(super) fn new(
        reader: &Reader<'_>,
        file: &'f SpaceFile,
        assume: &'f BTreeSet<Assumption>,
    ) -> Result<Self, DocumentError> {
        for name in file.axes.keys() {
            if !AXIS_NAMES.contains(&name.as_str()) {
                return Err(reader.unknown(&format!("axes.{name}"), "unknown axis", name, &AXIS_NAMES));
            }
        }
        for name in AXIS_NAMES {
            if ![EXPERTS, LOOPS].contains(&name) && !file.axes.contains_key(name) {
                let error = reader.document.error_at("axes", format!("missing axis `{name}`"));
                let allowed = format!("the axes {}", AXIS_NAMES.join(", "));
                return Err(error.code("missing-field").allowed(allowed));
            }
        }
        for (name, axes) in &file.assume {
            let names = Assumption::ALL.map(Assumption::name);
            if !names.contains(&name.as_str()) {
                return Err(reader.unknown(&format!("assume.{name}"), "unknown assumption", name, &names));
            }
            for axis in axes.keys() {
                if !AXIS_NAMES.contains(&axis.as_str()) {
                    let field = format!("assume.{name}.{axis}");
                    return Err(reader.unknown(&field, "unknown axis", axis, &AXIS_NAMES));
                }
            }
        }
        Ok(Self { file, assume })
    }

    /// The lists of one axis with their fields: its own, then what the assumptions in force add.
    pub(super) fn of(&self, axis: &str) -> Vec<(String, &'f Value)> {
        let own = self.file.axes.get(axis).map(|value| (format!("axes.{axis}"), value));
        let added = self
            .file
            .assume
            .iter()
            .filter(|(name, _)| self.assume.iter().any(|assumption| assumption.name() == *name))
            .filter_map(|(name, axes)| axes.get(axis).map(|value| (format!("assume.{name}.{axis}"), value)));
        own.into_iter().chain(added).collect()
    }

    /// Whether an assumption that is not in force has values of an axis.
    pub(super) fn has_more(&self, axis: &str) -> bool {
        let in_force = |name: &str| self.assume.iter().any(|assumption| assumption.name() == name);
        self.file.assume.iter().any(|(name, axes)| !in_force(name) && axes.contains_key(axis))
    }
}
