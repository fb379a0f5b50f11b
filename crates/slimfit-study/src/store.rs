//! The study's folder: an append-only SQLite store and the files people open.
//!
//! Nothing is ever overwritten in the store; the newest record of a kind and key stands. A run that is killed loses at
//! most the record it was writing.

use crate::{CloudPoint, Explanation, Front, Measurement, ReferenceModel, StudyError, Verification};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

const VERSION: i64 = 1;

/// An open study.
#[derive(Debug)]
pub struct Study {
    folder: PathBuf,
    file: PathBuf,
    connection: Connection,
}

impl Study {
    /// Opens the study in `folder`, or starts one there.
    ///
    /// # Errors
    /// When the folder cannot be made or written, or holds a store of another version.
    pub fn create(folder: &Path) -> Result<Self, StudyError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| StudyError::Io { path: folder.to_owned(), source })?;
        Self::connect(folder)
    }

    /// Opens an existing study.
    ///
    /// # Errors
    /// When `folder` holds none.
    pub fn open(folder: &Path) -> Result<Self, StudyError> {
        if !folder.join("study.sqlite").is_file() {
            return Err(StudyError::Missing(folder.to_owned()));
        }
        Self::connect(folder)
    }

    fn connect(folder: &Path) -> Result<Self, StudyError> {
        let file = folder.join("study.sqlite");
        let store = |source| StudyError::Store { path: file.clone(), source };
        let connection = Connection::open(&file).map_err(store)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(store)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(store)?;
        let found: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(store)?;
        match found {
            0 => {
                connection
                    .execute_batch(
                        "CREATE TABLE IF NOT EXISTS record (
                             sequence INTEGER PRIMARY KEY AUTOINCREMENT,
                             kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
                             written TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')));
                         CREATE INDEX IF NOT EXISTS record_kind ON record (kind, key, sequence);",
                    )
                    .map_err(store)?;
                connection.pragma_update(None, "user_version", VERSION).map_err(store)?;
            }
            VERSION => {}
            found => return Err(StudyError::Version { path: file, found, known: VERSION }),
        }
        Ok(Self { folder: folder.to_owned(), file, connection })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When the store cannot be written (a full disk, say).
    pub fn append<T: Serialize>(&self, kind: &str, key: &str, record: &T) -> Result<(), StudyError> {
        let json = serde_json::to_string(record).map_err(|source| StudyError::Record {
            path: self.file.clone(),
            kind: kind.to_owned(),
            source,
        })?;
        self.connection
            .execute("INSERT INTO record (kind, key, json) VALUES (?1, ?2, ?3)", params![kind, key, json])
            .map_err(|source| StudyError::Store { path: self.file.clone(), source })?;
        Ok(())
    }

    /// The newest record of `kind` and `key`.
    ///
    /// # Errors
    /// When the store or the record cannot be read.
    pub fn latest<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<T>, StudyError> {
        let json: Option<String> = self
            .connection
            .query_row(
                "SELECT json FROM record WHERE kind = ?1 AND key = ?2 ORDER BY sequence DESC LIMIT 1",
                params![kind, key],
                |row| row.get(0),
            )
            .optional()
            .map_err(|source| StudyError::Store { path: self.file.clone(), source })?;
        json.map(|json| self.parse(kind, &json)).transpose()
    }

    /// The newest record of every key of `kind`, in the order the keys first appeared.
    ///
    /// # Errors
    /// When the store or a record cannot be read.
    pub fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, StudyError> {
        let store = |source| StudyError::Store { path: self.file.clone(), source };
        let mut statement = self
            .connection
            .prepare(
                "SELECT json FROM record JOIN (SELECT MIN(sequence) AS first, MAX(sequence) AS last FROM record
                 WHERE kind = ?1 GROUP BY key) ON sequence = last ORDER BY first",
            )
            .map_err(store)?;
        let rows = statement.query_map(params![kind], |row| row.get::<_, String>(0)).map_err(store)?;
        rows.map(|json| self.parse(kind, &json.map_err(store)?)).collect()
    }

    fn parse<T: DeserializeOwned>(&self, kind: &str, json: &str) -> Result<T, StudyError> {
        serde_json::from_str(json).map_err(|source| StudyError::Record {
            path: self.file.clone(),
            kind: kind.to_owned(),
            source,
        })
    }

    /// Keeps the front: in the store, and as `front.json` and `front.csv`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn set_front(&self, front: &Front) -> Result<(), StudyError> {
        self.append("front", "", front)?;
        let json = serde_json::to_vec_pretty(front).map_err(|source| StudyError::Record {
            path: self.file.clone(),
            kind: "front".to_owned(),
            source,
        })?;
        slimfit_document::write_atomically(self.folder.join("front.json"), &json)?;
        slimfit_document::write_atomically(
            self.folder.join("front.csv"),
            crate::csv::front_csv(front).as_bytes(),
        )?;
        Ok(())
    }

    /// The front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn front(&self) -> Result<Option<Front>, StudyError> {
        self.latest("front", "")
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

    /// Every measurement.
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

    /// Keeps the terms of one prediction.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn add_explanation(&self, explanation: &Explanation) -> Result<(), StudyError> {
        self.append("explanation", &format!("{}/{}", explanation.id, explanation.phase), explanation)
    }

    /// The terms of every explained prediction.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn explanations(&self) -> Result<Vec<Explanation>, StudyError> {
        self.all("explanation")
    }

    /// Keeps the public models priced as reference marks.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_references(&self, references: &[ReferenceModel]) -> Result<(), StudyError> {
        self.append("references", "", &references)
    }

    /// The public models priced as reference marks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn references(&self) -> Result<Vec<ReferenceModel>, StudyError> {
        Ok(self.latest("references", "")?.unwrap_or_default())
    }

    /// Keeps the seeded sample of dominated points.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_cloud(&self, cloud: &[CloudPoint]) -> Result<(), StudyError> {
        self.append("cloud", "", &cloud)
    }

    /// The seeded sample of dominated points.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cloud(&self) -> Result<Vec<CloudPoint>, StudyError> {
        Ok(self.latest("cloud", "")?.unwrap_or_default())
    }

    /// Keeps a copy of an input (profile, space, workload, recipe) under its own name, `profile.yaml` say.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_input(&self, file_name: &str, text: &str) -> Result<(), StudyError> {
        slimfit_document::write_atomically(self.folder.join(file_name), text.as_bytes())?;
        Ok(())
    }

    /// The path of an input's copy.
    pub fn input(&self, file_name: &str) -> PathBuf {
        self.folder.join(file_name)
    }
}
