//! A number or a choice with where it comes from.

use serde::{Deserialize, Serialize};

/// One setting of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub source: SettingSource,
    /// The publication, what was worked out how, or who chose it.
    pub citation: String,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// A publication says so for models like this one.
    Published,
    /// Worked out here: counted, or a published law outside the range it was fitted on.
    Modelled,
    /// Chosen by whoever asked for the recipe.
    Given,
}

impl<T> Setting<T> {
    /// What a publication says.
    pub fn published(value: T, citation: impl Into<String>) -> Self {
        Self { value, source: SettingSource::Published, citation: citation.into() }
    }

    /// What was worked out.
    pub fn modelled(value: T, citation: impl Into<String>) -> Self {
        Self { value, source: SettingSource::Modelled, citation: citation.into() }
    }

    /// What was chosen.
    pub fn given(value: T, citation: impl Into<String>) -> Self {
        Self { value, source: SettingSource::Given, citation: citation.into() }
    }
}

impl SettingSource {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Modelled => "modelled",
            Self::Given => "given",
        }
    }
}
