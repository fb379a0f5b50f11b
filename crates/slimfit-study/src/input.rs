//! The inputs of searches: kept word for word, each content once.

use crate::store::Store;
use crate::{Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use slimfit_document::sha256_hex;
use std::path::PathBuf;

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// A hardware profile.
    Profile,
    /// A search space.
    Space,
    /// A workload.
    Workload,
    /// A quality recipe.
    Recipe,
    /// A table of measured scores.
    QualityTable,
}

impl InputKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Profile, Self::Space, Self::Workload, Self::Recipe, Self::QualityTable];

    /// Its name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Space => "space",
            Self::Workload => "workload",
            Self::Recipe => "recipe",
            Self::QualityTable => "quality-table",
        }
    }

    /// The name of its copy in the study's folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Profile => "profile.yaml",
            Self::Space => "space.yaml",
            Self::Workload => "workload.yaml",
            Self::Recipe => "recipe.yaml",
            Self::QualityTable => "quality-table.csv",
        }
    }

    /// The name of the copy of one of several inputs of the kind, from 0: `profile.yaml`, `profile-2.yaml` …
    pub fn file_name_of(self, place: usize) -> String {
        match (place, self.file_name().split_once('.')) {
            (1.., Some((stem, ending))) => format!("{stem}-{}.{ending}", place + 1),
            _ => self.file_name().to_owned(),
        }
    }
}

/// An input as a search gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// Its own name.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// An input as a study lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRef {
    /// What it is.
    pub kind: InputKind,
    /// Its own name.
    pub name: String,
    /// SHA-256 of its text, in hex.
    pub sha256: String,
}

impl Input {
    /// Takes an input.
    pub fn new(kind: InputKind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, name: name.into(), text: text.into() }
    }

    /// Name and hash.
    pub fn reference(&self) -> InputRef {
        InputRef { kind: self.kind, name: self.name.clone(), sha256: sha256_hex(self.text.as_bytes()) }
    }
}

impl Study {
    /// Keeps an input: in the store, and as the copy of its kind in the folder.
    ///
    /// # Errors
    /// When the store or the copy cannot be written.
    pub fn keep_input(&self, input: &Input) -> Result<(), StudyError> {
        self.store.write(|store| keep(store, input))?;
        self.copy_inputs(std::slice::from_ref(input))
    }

    /// Copies inputs into the folder: several of a kind under numbers of their own.
    pub(crate) fn copy_inputs(&self, inputs: &[Input]) -> Result<(), StudyError> {
        for (place, input) in inputs.iter().enumerate() {
            let before = inputs[..place].iter().filter(|other| other.kind == input.kind).count();
            slimfit_document::write_atomically(self.input_of(input.kind, before), input.text.as_bytes())?;
        }
        Ok(())
    }

    /// The path of the copy of the newest input of a kind, the first of several.
    pub fn input(&self, kind: InputKind) -> PathBuf {
        self.input_of(kind, 0)
    }

    /// The path of the copy of one of several inputs of a kind that a search had, from 0.
    pub fn input_of(&self, kind: InputKind, place: usize) -> PathBuf {
        self.folder.join(kind.file_name_of(place))
    }

    /// Every input that was ever kept, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn inputs(&self) -> Result<Vec<InputRef>, StudyError> {
        let rows = self.store.rows("SELECT kind, name, sha256 FROM input ORDER BY id", [], triple)?;
        rows.into_iter().map(|row| reference(&self.store, row)).collect()
    }

    /// The text of an input.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn input_text(&self, input: &InputRef) -> Result<Option<String>, StudyError> {
        self.store.first(
            "SELECT text FROM input WHERE kind = ?1 AND name = ?2 AND sha256 = ?3",
            params![input.kind.name(), input.name, input.sha256],
            |row| row.get(0),
        )
    }
}

type Triple = (String, String, String);

pub(crate) fn triple(row: &rusqlite::Row<'_>) -> Result<Triple, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

pub(crate) fn reference(store: &Store, (kind, name, sha256): Triple) -> Result<InputRef, StudyError> {
    let known = InputKind::ALL.into_iter().find(|known| known.name() == kind);
    let kind = known
        .ok_or_else(|| StudyError::damaged(store.file(), format!("an input of unknown kind `{kind}`")))?;
    Ok(InputRef { kind, name, sha256 })
}

/// The number of an input's row; added where its content is new.
pub(crate) fn keep(store: &Store, input: &Input) -> Result<i64, StudyError> {
    let reference = input.reference();
    let key = params![reference.kind.name(), reference.name, reference.sha256];
    let select = "SELECT id FROM input WHERE kind = ?1 AND name = ?2 AND sha256 = ?3";
    if let Some(known) = store.first(select, key, |row| row.get(0))? {
        return Ok(known);
    }
    store.insert(
        "INSERT INTO input (kind, name, sha256, text) VALUES (?1, ?2, ?3, ?4)",
        params![reference.kind.name(), reference.name, reference.sha256, input.text],
    )
}
