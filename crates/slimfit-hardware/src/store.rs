//! The folder of profiles measured here, `hardware-profiles/local/`.

use crate::{Fingerprint, HardwareError, HardwareProfile};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A profile and its file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProfile {
    /// Where it lies.
    pub path: PathBuf,
    /// The profile.
    pub profile: HardwareProfile,
}

/// A file of the folder that could not be read as a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct SkippedProfile {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: HardwareError,
}

/// What the folder holds for one machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LocalProfiles {
    /// The newest profile of the fingerprint.
    pub newest: Option<StoredProfile>,
    /// Profiles of other fingerprints.
    pub others: usize,
    /// Files that are no profiles.
    pub skipped: Vec<SkippedProfile>,
}

/// Looks through a folder (which need not exist) for the newest profile of a machine: the latest `created`, and of
/// equal ones the file changed last.
pub fn find_local(folder: impl AsRef<Path>, fingerprint: &Fingerprint) -> LocalProfiles {
    let mut found = LocalProfiles::default();
    let mut newest: Option<(String, SystemTime)> = None;
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"))
        .collect();
    paths.sort();
    for path in paths {
        let profile = match HardwareProfile::load(&path) {
            Ok(profile) => profile,
            Err(error) => {
                found.skipped.push(SkippedProfile { path, error });
                continue;
            }
        };
        if !profile.matches(fingerprint) {
            found.others += 1;
            continue;
        }
        let changed =
            path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let age = (profile.provenance.created.clone(), changed);
        if newest.as_ref().is_none_or(|newest| age > *newest) {
            newest = Some(age);
            found.newest = Some(StoredProfile { path, profile });
        }
    }
    found
}

/// Writes a profile under its own name, `<fingerprint>-<time>.yaml`, and returns the path.
///
/// # Errors
/// When it breaks a rule or cannot be written.
pub fn save_local(folder: impl AsRef<Path>, profile: &HardwareProfile) -> Result<PathBuf, HardwareError> {
    let time: String = profile.provenance.created.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = folder.as_ref().join(format!("{}-{time}.yaml", profile.fingerprint.id()));
    profile.save(&path)?;
    Ok(path)
}
