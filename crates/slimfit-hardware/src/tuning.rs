//! What the tuner chose on a machine, as a file: one for each fingerprint, `<folder>/tuning/<fingerprint>.yaml`.
//!
//! Keys and names are the kernels' own text. This crate keeps them and understands neither.

use crate::{Fingerprint, HardwareError};
use serde::{Deserialize, Serialize};
use slimfit_document::{Document, write_atomically};
use slimfit_quantity::Figure;
use std::path::{Path, PathBuf};

/// The version of tuning records.
pub const TUNING_SCHEMA: &str = "slimfit/tuning/v1";

/// Everything that was chosen on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningRecord {
    /// [`TUNING_SCHEMA`].
    pub schema: String,
    /// The machine, the cap on its instruction set included.
    pub fingerprint: Fingerprint,
    /// The program that chose: `slimfit 0.1.0`.
    pub tool: String,
    /// Choices, one for each key.
    #[serde(default)]
    pub choices: Vec<TuningChoice>,
}

/// The implementation that won for one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningChoice {
    /// What it was chosen for.
    pub key: String,
    /// Its name.
    pub variant: String,
    /// Its time for one product.
    pub seconds: Figure,
    /// The name of what would run without the choice.
    pub default_variant: String,
    /// That one's time in the same race.
    pub default_seconds: Figure,
    /// How many raced.
    pub candidates: u64,
}

impl TuningRecord {
    /// A record without choices.
    pub fn new(fingerprint: Fingerprint, tool: impl Into<String>) -> Self {
        Self { schema: TUNING_SCHEMA.to_owned(), fingerprint, tool: tool.into(), choices: Vec::new() }
    }

    /// Where the record of a machine lies among the profiles of `folder`.
    pub fn path(folder: impl AsRef<Path>, fingerprint: &Fingerprint) -> PathBuf {
        folder.as_ref().join("tuning").join(format!("{}.yaml", fingerprint.id()))
    }

    /// The record of a machine; nothing when it was never tuned.
    ///
    /// # Errors
    /// The file is damaged, of another version or of another machine.
    pub fn find(folder: impl AsRef<Path>, fingerprint: &Fingerprint) -> Result<Option<Self>, HardwareError> {
        let path = Self::path(folder, fingerprint);
        if !path.is_file() {
            return Ok(None);
        }
        let document = Document::read(&path)?;
        document.schema(&[TUNING_SCHEMA])?;
        let record: Self = document.parse()?;
        let differences = record.fingerprint.differences(fingerprint);
        if !differences.is_empty() {
            return Err(HardwareError::OtherMachine { differences: differences.join("; ") });
        }
        for (index, choice) in record.choices.iter().enumerate() {
            if record.choices[..index].iter().any(|other| other.key == choice.key) {
                return Err(document
                    .error_at(&format!("choices[{index}].key"), "this key was chosen for before")
                    .code("invalid-tuning")
                    .found(&choice.key)
                    .into());
            }
        }
        Ok(Some(record))
    }

    /// Takes a choice over, in place of an earlier one for the same key.
    pub fn choose(&mut self, choice: TuningChoice) {
        match self.choices.iter_mut().find(|known| known.key == choice.key) {
            Some(known) => *known = choice,
            None => self.choices.push(choice),
        }
    }

    /// Writes the record among the profiles of `folder`, whole or not at all, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<PathBuf, HardwareError> {
        let path = Self::path(folder, &self.fingerprint);
        let text = serde_yaml::to_string(self).expect("structs with named fields are always YAML");
        write_atomically(&path, text.as_bytes())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(model: u32) -> Fingerprint {
        Fingerprint {
            vendor: "v".to_owned(),
            family: 1,
            model,
            stepping: 0,
            cores: 2,
            isa: vec!["avx2".to_owned()],
            caches: Vec::new(),
        }
    }

    fn choice(key: &str, variant: &str) -> TuningChoice {
        TuningChoice {
            key: key.to_owned(),
            variant: variant.to_owned(),
            seconds: Figure::read(1e-6),
            default_variant: "plain".to_owned(),
            default_seconds: Figure::read(2e-6),
            candidates: 4,
        }
    }

    #[test]
    fn a_record_is_found_as_it_was_saved_and_by_its_machine_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = TuningRecord::new(fingerprint(1), "slimfit 0.1.0");
        record.choose(choice("a", "x"));
        record.choose(choice("b", "y"));
        record.choose(choice("a", "z"));
        assert_eq!(record.choices, [choice("a", "z"), choice("b", "y")]);
        let path = record.save(folder.path()).unwrap();
        assert_eq!(TuningRecord::find(folder.path(), &fingerprint(1)).unwrap(), Some(record));
        assert_eq!(TuningRecord::find(folder.path(), &fingerprint(2)).unwrap(), None);
        std::fs::copy(&path, TuningRecord::path(folder.path(), &fingerprint(2))).unwrap();
        let error = TuningRecord::find(folder.path(), &fingerprint(2)).unwrap_err();
        assert!(error.to_string().contains("model"), "{error}");
    }

    #[test]
    fn a_key_stands_once_and_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = TuningRecord::new(fingerprint(1), "slimfit 0.1.0");
        record.choices = vec![choice("a", "x"), choice("a", "y")];
        record.save(folder.path()).unwrap();
        let error = TuningRecord::find(folder.path(), &fingerprint(1)).unwrap_err();
        assert!(error.to_string().contains("chosen for before"), "{error}");
        record.schema = "slimfit/tuning/v9".to_owned();
        record.save(folder.path()).unwrap();
        assert!(TuningRecord::find(folder.path(), &fingerprint(1)).is_err());
    }
}
