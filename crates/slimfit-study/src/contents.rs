//! What lies in a study, counted.

use crate::progress;
use crate::{InputRef, SearchRecord, Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};

/// What lies in a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyContents {
    /// Version of the layout.
    pub store_version: i64,
    /// Size of the store, its log left out.
    pub store_bytes: u64,
    /// Its searches, oldest first.
    pub searches: Vec<SearchContents>,
    /// Inputs that were ever kept, oldest first.
    pub inputs: Vec<InputRef>,
    /// Other records, by kind.
    pub records: Vec<RecordCount>,
}

/// What is kept of one search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchContents {
    /// The search.
    pub search: SearchRecord,
    /// Dominated points kept beside its newest front.
    pub sample_points: u64,
    /// Evaluations kept one by one.
    pub evaluations: u64,
    /// Work units done of a search that is not finished.
    pub units_done: u64,
}

/// How many records of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCount {
    /// The kind.
    pub kind: String,
    /// How many, replaced ones included.
    pub count: u64,
}

impl Study {
    /// Counts what lies in the study, all at one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn contents(&self) -> Result<StudyContents, StudyError> {
        self.store.read(|store| {
            let count = |statement: &str, id: i64| -> Result<u64, StudyError> {
                let found = store.first(statement, params![id], |row| row.get(0))?;
                Ok(found.unwrap_or_default())
            };
            let mut searches = Vec::new();
            for search in self.searches()? {
                let id = search.id;
                searches.push(SearchContents {
                    sample_points: count(
                        "SELECT count(*) FROM sample_point
                         WHERE finding = (SELECT max(id) FROM finding WHERE search = ?1)",
                        id.0,
                    )?,
                    evaluations: count("SELECT count(*) FROM evaluation WHERE search = ?1", id.0)?,
                    units_done: progress::all_done(store, id)?.count(),
                    search,
                });
            }
            let records =
                store.rows("SELECT kind, count(*) FROM record GROUP BY kind ORDER BY kind", [], |row| {
                    Ok(RecordCount { kind: row.get(0)?, count: row.get(1)? })
                })?;
            let pages: u64 = store.one("PRAGMA page_count")?;
            let page_bytes: u64 = store.one("PRAGMA page_size")?;
            Ok(StudyContents {
                store_version: store.one("PRAGMA user_version")?,
                store_bytes: pages * page_bytes,
                searches,
                inputs: self.inputs()?,
                records,
            })
        })
    }
}
