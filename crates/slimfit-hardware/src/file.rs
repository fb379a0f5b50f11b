//! Profiles as files.

use crate::fingerprint::hex;
use crate::{HardwareError, HardwareProfile, PROFILE_SCHEMA};
use sha2::{Digest, Sha256};
use slimfit_document::{Document, write_atomically};
use std::path::Path;

impl HardwareProfile {
    /// Reads and validates a profile.
    ///
    /// # Errors
    /// [`HardwareError::Document`] with file, line and column.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HardwareError> {
        Self::from_document(&Document::read(path)?)
    }

    /// Reads and validates a profile.
    ///
    /// # Errors
    /// [`HardwareError::Document`] with line and column.
    pub fn from_document(document: &Document) -> Result<Self, HardwareError> {
        document.schema(&[PROFILE_SCHEMA])?;
        let profile: Self = document.parse()?;
        match profile.faults().into_iter().next() {
            None => Ok(profile),
            Some(fault) => Err(document
                .error_at(&fault.field, fault.message)
                .code("invalid-profile")
                .found(fault.found)
                .allowed(fault.allowed)
                .into()),
        }
    }

    /// The profile as YAML text.
    ///
    /// # Errors
    /// [`HardwareError::Invalid`] when it breaks a rule: what would not load is not written.
    pub fn to_yaml(&self) -> Result<String, HardwareError> {
        if let Some(fault) = self.faults().into_iter().next() {
            return Err(HardwareError::Invalid(fault));
        }
        Ok(self.yaml())
    }

    fn yaml(&self) -> String {
        serde_yaml::to_string(self).expect("structs with named fields are always YAML")
    }

    /// SHA-256 of the YAML text, in hex.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(self.yaml()))
    }

    /// Writes the profile, whole or not at all.
    ///
    /// # Errors
    /// When it breaks a rule or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), HardwareError> {
        write_atomically(path, self.to_yaml()?.as_bytes())?;
        Ok(())
    }
}
