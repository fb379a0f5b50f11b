//! Folders for tests that need this machine's profile. It is measured once for a build of the binary, in a few seconds,
//! and every test gets a copy of its own: runners start a process for each test.

use crate::harness::Slimfit;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// A folder with a local profile and, in `study`, a search of the demo space.
pub struct Machine {
    folder: tempfile::TempDir,
    /// What `profile --json` printed.
    pub profile: Value,
    /// The local profile's file.
    pub profile_file: PathBuf,
}

/// A copy of the measured folder.
pub fn machine() -> Machine {
    let measured = measured();
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(&measured, folder.path());
    let text = std::fs::read_to_string(folder.path().join("profile.json")).expect("what the profile printed");
    let profile: Value = serde_json::from_str(&text).expect("JSON");
    let profile_file = folder.path().join(profile["file"].as_str().expect("the file's name"));
    Machine { folder, profile, profile_file }
}

impl Machine {
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A JSON file of the folder.
    pub fn json(&self, file: &str) -> Value {
        let path = self.folder().join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes the smallest point of the front as `smallest.json`: a model that runs in a moment.
    pub fn write_smallest(&self) {
        let front = self.json("study/front.json");
        let points = front["points"].as_array().expect("points");
        let smallest =
            points.iter().min_by_key(|point| point["parameters"]["total"].as_u64()).expect("a point");
        let mut architecture = smallest["architecture"].clone();
        architecture["schema"] = "slimfit/architecture/v1".into();
        std::fs::write(self.folder().join("smallest.json"), architecture.to_string())
            .expect("the file is written");
    }
}

/// The folder that is copied: measured by whichever test comes first.
fn measured() -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_slimfit")).expect("the binary is there");
    let changed =
        binary.modified().expect("a time").duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let wanted = place.join(format!("measured-{changed}"));
    if wanted.is_dir() {
        return wanted;
    }
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let finished = Slimfit::new(["profile", "--budget", "8", "--json"]).folder(folder.path()).run().done();
    finished.object("profile");
    std::fs::write(folder.path().join("profile.json"), &finished.stdout).expect("the file is written");
    Slimfit::new(["search", "--out", "study"]).folder(folder.path()).run().done();
    // Another process may have been faster: either folder will do.
    if std::fs::rename(folder.path(), &wanted).is_err() {
        assert!(wanted.is_dir(), "{} cannot be made", wanted.display());
    }
    wanted
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder is made");
    for entry in std::fs::read_dir(from).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("the file is copied");
        }
    }
}
