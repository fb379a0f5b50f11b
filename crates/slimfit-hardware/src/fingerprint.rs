//! Whether a profile belongs to this machine.

use crate::{Fingerprint, HardwareError, HardwareProfile};
use sha2::{Digest, Sha256};
use std::fmt::{Debug, Write};

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Fingerprint {
    /// The first 12 hex digits of the SHA-256 of the canonical form: every field in its order, as JSON.
    pub fn id(&self) -> String {
        let canonical = serde_json::to_vec(self).expect("numbers, text and lists are always JSON");
        hex(&Sha256::digest(canonical)[..6])
    }

    /// What differs from `here`, field by field; empty when the two are equal.
    pub fn differences(&self, here: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |name: &str, profile: &dyn Debug, here: &dyn Debug| {
            let (profile, here) = (format!("{profile:?}"), format!("{here:?}"));
            if profile != here {
                found.push(format!("{name}: {profile} in the profile, {here} here"));
            }
        };
        compare("vendor", &self.vendor, &here.vendor);
        compare("family", &self.family, &here.family);
        compare("model", &self.model, &here.model);
        compare("stepping", &self.stepping, &here.stepping);
        compare("cores", &self.cores, &here.cores);
        compare("isa", &self.isa, &here.isa);
        compare("caches", &self.caches, &here.caches);
        found
    }
}

impl HardwareProfile {
    /// Whether the profile was measured on a machine of this fingerprint, with the same ISA cap.
    pub fn matches(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint
    }

    /// Nothing when the profile belongs to this machine.
    ///
    /// # Errors
    /// [`HardwareError::OtherMachine`], which names every field that differs.
    pub fn require_machine(&self, here: &Fingerprint) -> Result<(), HardwareError> {
        let differences = self.fingerprint.differences(here);
        if differences.is_empty() {
            return Ok(());
        }
        Err(HardwareError::OtherMachine { differences: differences.join("; ") })
    }
}
