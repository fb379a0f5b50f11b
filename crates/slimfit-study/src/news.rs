//! What other workers of a search saved: a process at work hears of it, so that what one found rules out the same for all.

use crate::progress::{self, PointSet};
use crate::{SearchProgress, StudyError, Units, Worker};
use rusqlite::params;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What others saved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct News {
    /// All units that others have done.
    pub done: Units,
    /// Points of their archives that came or moved since. Some may have been told before.
    pub archives: Vec<PointSet>,
}

/// What a worker has heard: the store's version, and hashes of rows of points by progress and place.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    version: Option<i64>,
    rows: HashMap<(i64, i64), u64>,
}

impl Worker {
    /// What other workers, dead ones whose progress this one has not read included, saved since this was last asked; `None`
    /// where nobody wrote to the study since.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn news(&mut self) -> Result<Option<News>, StudyError> {
        // Changes when another connection commits.
        let version: i64 = self.store.one("PRAGMA data_version")?;
        if self.heard.version == Some(version) {
            return Ok(None);
        }
        let (search, known, heard) = (self.search, &self.known, &mut self.heard.rows);
        let news = self.store.read(|store| {
            let mut news = News::default();
            let rows: Vec<i64> =
                store
                    .rows("SELECT id FROM progress WHERE search = ?1", params![search.0], |row| row.get(0))?;
            for row in rows.into_iter().filter(|row| !known.contains(row)) {
                news.done.union(&progress::read_done(store, row)?);
                let points = progress::read_archive(store, row, |place, bytes| {
                    let mut hasher = DefaultHasher::new();
                    bytes.hash(&mut hasher);
                    let hash = hasher.finish();
                    heard.insert((row, place), hash) != Some(hash)
                })?;
                if !points.is_empty() {
                    news.archives.push(points);
                }
            }
            Ok(news)
        })?;
        self.heard.version = Some(version);
        Ok(Some(news))
    }

    /// Whether another worker of this search lives.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_company(&self) -> Result<bool, StudyError> {
        let others = self.store.first(
            "SELECT 1 FROM worker WHERE search = ?1 AND id <> ?2 LIMIT 1",
            params![self.search.0, self.id],
            |_| Ok(()),
        )?;
        Ok(others.is_some())
    }

    /// What all workers of the search but this one had done when they last saved, in parts whose units are disjoint: all but
    /// what [`progress`](Self::progress) gave and this one saved since. `None` for a search that is finished.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn others(&self) -> Result<Option<Vec<SearchProgress>>, StudyError> {
        progress::read_all(&self.store, self.search, &self.known)
    }
}
