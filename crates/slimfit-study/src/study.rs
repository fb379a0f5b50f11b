//! The study's folder: an append-only SQLite store and the files people open.
//!
//! Nothing that was found is ever overwritten in the store; the newest record of a kind and key stands. A run that is
//! killed loses at most the record it was writing.

use crate::store::{Durability, Store};
use crate::{Measurement, StudyError, Verification, front_files};
use rusqlite::params;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// An open study.
#[derive(Debug)]
pub struct Study {
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
}

impl Study {
    /// Opens the study in `folder`, or starts one there.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or holds what is no study, or one of a newer version.
    pub fn create(folder: &Path) -> Result<Self, StudyError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| StudyError::Io { path: folder.to_owned(), source })?;
        Self::connect(folder)
    }

    /// Opens an existing study. One of an older version is migrated.
    ///
    /// # Errors
    /// When `folder` holds none, or one of a newer version.
    pub fn open(folder: &Path) -> Result<Self, StudyError> {
        if !folder.join("study.sqlite").is_file() {
            return Err(StudyError::Missing(folder.to_owned()));
        }
        Self::connect(folder)
    }

    fn connect(folder: &Path) -> Result<Self, StudyError> {
        let store = Store::open(folder, Durability::Synced)?;
        front_files::settle(&store, folder)?;
        Ok(Self { folder: folder.to_owned(), store })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks through the whole store for damage, and for rows that name others which are missing.
    ///
    /// # Errors
    /// [`StudyError::Damaged`] with the first problem; when the store cannot be read.
    pub fn check(&self) -> Result<(), StudyError> {
        let found: String = self.store.one("PRAGMA integrity_check(1)")?;
        if found != "ok" {
            return Err(StudyError::damaged(self.store.file(), found));
        }
        let orphan: Option<String> = self.store.first("PRAGMA foreign_key_check", [], |row| row.get(0))?;
        match orphan {
            Some(table) => Err(StudyError::damaged(
                self.store.file(),
                format!("a row of `{table}` names one that is missing"),
            )),
            None => Ok(()),
        }
    }

    /// Changes with every front that was written and every record that was kept; not with the progress of a search.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn revision(&self) -> Result<String, StudyError> {
        let newest = |statement: &str| -> Result<i64, StudyError> {
            Ok(self.store.first(statement, [], |row| row.get::<_, Option<i64>>(0))?.flatten().unwrap_or(0))
        };
        let front = newest("SELECT max(id) FROM finding")?;
        let record = newest("SELECT max(sequence) FROM record")?;
        Ok(format!("{front}.{record}"))
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When the store cannot be written (a full disk, say).
    pub fn append<T: Serialize>(&self, kind: &str, key: &str, record: &T) -> Result<(), StudyError> {
        let json = to_json(&self.store, kind, record)?;
        self.store
            .execute("INSERT INTO record (kind, key, json) VALUES (?1, ?2, ?3)", params![kind, key, json])?;
        Ok(())
    }

    /// The newest record of `kind` and `key`.
    ///
    /// # Errors
    /// When the store or the record cannot be read.
    pub fn latest<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<T>, StudyError> {
        let json: Option<String> = self.store.first(
            "SELECT json FROM record WHERE kind = ?1 AND key = ?2 ORDER BY sequence DESC LIMIT 1",
            params![kind, key],
            |row| row.get(0),
        )?;
        json.map(|json| from_json(&self.store, kind, &json)).transpose()
    }

    /// The newest record of every key of `kind`, in the order the keys first appeared.
    ///
    /// # Errors
    /// When the store or a record cannot be read.
    pub fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, StudyError> {
        let rows = self.store.rows(
            "SELECT json FROM record JOIN (SELECT MIN(sequence) AS first, MAX(sequence) AS last FROM record
             WHERE kind = ?1 GROUP BY key) ON sequence = last ORDER BY first",
            params![kind],
            |row| row.get::<_, String>(0),
        )?;
        rows.iter().map(|json| from_json(&self.store, kind, json)).collect()
    }

    /// Keeps one measurement.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn add_measurement(&self, measurement: &Measurement) -> Result<(), StudyError> {
        let key = format!(
            "{}/{}/{}/{}/{}",
            measurement.id,
            measurement.threads,
            measurement.prompt_tokens,
            measurement.generated_tokens,
            measurement.depth_tokens
        );
        self.append("measurement", &key, measurement)
    }

    /// The newest measurement of each model and setting.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn measurements(&self) -> Result<Vec<Measurement>, StudyError> {
        self.all("measurement")
    }

    /// Keeps what `verify` found.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_verification(&self, verification: &Verification) -> Result<(), StudyError> {
        self.append("verification", "", verification)
    }

    /// What `verify` found.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn verification(&self) -> Result<Option<Verification>, StudyError> {
        self.latest("verification", "")
    }
}

pub(crate) fn to_json<T: Serialize>(store: &Store, kind: &str, record: &T) -> Result<String, StudyError> {
    serde_json::to_string(record).map_err(|source| StudyError::Record {
        path: store.file().to_owned(),
        kind: kind.to_owned(),
        source,
    })
}

pub(crate) fn from_json<T: DeserializeOwned>(store: &Store, kind: &str, json: &str) -> Result<T, StudyError> {
    serde_json::from_str(json).map_err(|source| StudyError::Record {
        path: store.file().to_owned(),
        kind: kind.to_owned(),
        source,
    })
}
