//! How far a search is, so that a killed one goes on where it was and ends as if nothing had happened.

use crate::findings::{blob, floats};
use crate::natural::Natural;
use crate::parts::{read_number, write_number};
use crate::store::Store;
use crate::study::{from_json, to_json};
use crate::units::Units;
use crate::{SearchId, Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Points in one row: a row that did not change is not written again.
const CHUNK: usize = 4096;

/// What a worker of a search knows after the units that it has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchProgress {
    /// The units that are done.
    pub done: Units,
    /// Points whose objectives were computed.
    pub evaluated: Natural,
    /// Points that are none, by reason.
    pub invalid: BTreeMap<String, Natural>,
    /// Points ruled out by a bound, by bound.
    pub pruned: BTreeMap<String, Natural>,
    /// Points that no other known point dominates.
    pub archive: PointSet,
    /// The seeded sample so far.
    pub sample: PointSet,
    /// Of the points that break a limit, the one that comes nearest.
    pub nearest_miss: Option<Miss>,
}

/// A point that breaks a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Miss {
    /// How far it lies beyond its worst limit, in the search's own measure.
    pub excess: f64,
    /// Its index in the space.
    pub index: Natural,
    /// Its values.
    pub values: Vec<f64>,
}

/// Points of a space with the same number of values each. Their order is kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointSet {
    columns: usize,
    indices: Vec<Natural>,
    values: Vec<f64>,
}

impl PointSet {
    /// An empty set of points with so many values each.
    pub const fn new(columns: usize) -> Self {
        Self { columns, indices: Vec::new(), values: Vec::new() }
    }

    /// Values of one point.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many points.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Adds a point.
    ///
    /// # Panics
    /// When it has another number of values than the set's points have.
    pub fn push(&mut self, index: Natural, values: &[f64]) {
        assert_eq!(values.len(), self.columns, "all points of a set have as many values");
        self.indices.push(index);
        self.values.extend_from_slice(values);
    }

    /// Every point: its index and its values.
    pub fn iter(&self) -> impl Iterator<Item = (&Natural, &[f64])> {
        (0..self.len()).map(|place| (&self.indices[place], self.values_of(place)))
    }

    fn values_of(&self, place: usize) -> &[f64] {
        &self.values[place * self.columns..][..self.columns]
    }

    /// Rows of [`CHUNK`] points: how many, their indices (length and big-endian bytes), all their values.
    fn encode(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.indices.chunks(CHUNK).enumerate().map(|(number, indices)| {
            let mut bytes = Vec::with_capacity(indices.len() * (10 + 8 * self.columns) + 10);
            write_number(&mut bytes, indices.len() as u64);
            for index in indices {
                write_number(&mut bytes, index.bytes().len() as u64);
                bytes.extend_from_slice(index.bytes());
            }
            let start = number * CHUNK * self.columns;
            bytes.extend(blob(self.values[start..][..indices.len() * self.columns].iter().copied()));
            bytes
        })
    }

    /// Adds the points of one row.
    fn decode(&mut self, mut bytes: &[u8]) -> Option<()> {
        let count = usize::try_from(read_number(&mut bytes)?).ok()?;
        for _ in 0..count {
            let length = usize::try_from(read_number(&mut bytes)?).ok()?;
            self.indices.push(Natural::from_bytes(bytes.get(..length)?));
            bytes = &bytes[length..];
        }
        let values = floats(bytes);
        (bytes.len() == 8 * count * self.columns).then(|| self.values.extend(values))
    }
}

impl SearchProgress {
    /// Adds the units and counts of another worker. Archives, samples and misses are the search's own to merge.
    pub fn add_counts(&mut self, other: &Self) {
        self.done.union(&other.done);
        self.evaluated.add(&other.evaluated);
        for (counts, others) in [(&mut self.invalid, &other.invalid), (&mut self.pruned, &other.pruned)] {
            for (name, count) in others {
                counts.entry(name.clone()).or_default().add(count);
            }
        }
    }
}

/// All but the points.
#[derive(Serialize, Deserialize)]
struct Counts {
    evaluated: Natural,
    invalid: BTreeMap<String, Natural>,
    pruned: BTreeMap<String, Natural>,
    archive_columns: usize,
    sample_columns: usize,
    miss: Option<Natural>,
}

/// Hashes of the rows that lie in the store, by set and place.
pub(crate) type Saved = HashMap<(&'static str, i64), u64>;

const SETS: [&str; 2] = ["archive", "sample"];

/// Replaces the content of row `id` of `progress`; rows of points that `saved` says are the same stay. Returns what is
/// saved then.
pub(crate) fn write(
    store: &Store,
    id: i64,
    progress: &SearchProgress,
    saved: &Saved,
) -> Result<Saved, StudyError> {
    let counts = Counts {
        evaluated: progress.evaluated.clone(),
        invalid: progress.invalid.clone(),
        pruned: progress.pruned.clone(),
        archive_columns: progress.archive.columns,
        sample_columns: progress.sample.columns,
        miss: progress.nearest_miss.as_ref().map(|miss| miss.index.clone()),
    };
    let miss = progress
        .nearest_miss
        .as_ref()
        .map(|miss| blob(std::iter::once(miss.excess).chain(miss.values.iter().copied())));
    store.execute(
        "UPDATE progress SET done = ?2, counts = ?3, miss = ?4,
         saved = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ?1",
        params![id, progress.done.encode(), to_json(store, "progress", &counts)?, miss],
    )?;
    let mut now = Saved::new();
    for (set, points) in SETS.into_iter().zip([&progress.archive, &progress.sample]) {
        let mut rows = 0_i64;
        for bytes in points.encode() {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let hash = hasher.finish();
            if saved.get(&(set, rows)) != Some(&hash) {
                store.execute(
                    "INSERT INTO progress_points (progress, name, place, points) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET points = excluded.points",
                    params![id, set, rows, bytes],
                )?;
            }
            now.insert((set, rows), hash);
            rows += 1;
        }
        store.execute(
            "DELETE FROM progress_points WHERE progress = ?1 AND name = ?2 AND place >= ?3",
            params![id, set, rows],
        )?;
    }
    Ok(now)
}

/// Removes rows of `progress` with their points.
pub(crate) fn remove(store: &Store, id: i64) -> Result<(), StudyError> {
    store.execute("DELETE FROM progress_points WHERE progress = ?1", params![id])?;
    store.execute("DELETE FROM progress WHERE id = ?1", params![id])?;
    Ok(())
}

/// The content of row `id` of `progress`.
pub(crate) fn read(store: &Store, id: i64) -> Result<SearchProgress, StudyError> {
    let row: Option<(Vec<u8>, String, Option<Vec<u8>>)> =
        store.first("SELECT done, counts, miss FROM progress WHERE id = ?1", params![id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let broken = || StudyError::damaged(store.file(), format!("progress {id} cannot be read"));
    let (done, counts, miss) = row.ok_or_else(broken)?;
    let counts: Counts = from_json(store, "progress", &counts)?;
    let mut sets = [PointSet::new(counts.archive_columns), PointSet::new(counts.sample_columns)];
    for (set, name) in sets.iter_mut().zip(SETS) {
        let rows = store.rows(
            "SELECT points FROM progress_points WHERE progress = ?1 AND name = ?2 ORDER BY place",
            params![id, name],
            |row| row.get::<_, Vec<u8>>(0),
        )?;
        for row in rows {
            set.decode(&row).ok_or_else(broken)?;
        }
    }
    let [archive, sample] = sets;
    let nearest_miss = match (counts.miss, miss) {
        (Some(index), Some(bytes)) => {
            let values = floats(&bytes);
            let (excess, values) = values.split_first().ok_or_else(broken)?;
            Some(Miss { excess: *excess, index, values: values.to_vec() })
        }
        _ => None,
    };
    Ok(SearchProgress {
        done: Units::decode(&done).ok_or_else(broken)?,
        evaluated: counts.evaluated,
        invalid: counts.invalid,
        pruned: counts.pruned,
        archive,
        sample,
        nearest_miss,
    })
}

/// The done units of row `id` of `progress`.
pub(crate) fn read_done(store: &Store, id: i64) -> Result<Units, StudyError> {
    let done: Option<Vec<u8>> =
        store.first("SELECT done FROM progress WHERE id = ?1", params![id], |row| row.get(0))?;
    done.and_then(|done| Units::decode(&done))
        .ok_or_else(|| StudyError::damaged(store.file(), format!("progress {id} cannot be read")))
}

/// The units that anyone has done.
pub(crate) fn all_done(store: &Store, search: SearchId) -> Result<Units, StudyError> {
    let rows = store.rows("SELECT done FROM progress WHERE search = ?1", params![search.0], |row| {
        row.get::<_, Vec<u8>>(0)
    })?;
    let mut done = Units::new();
    for row in rows {
        let units = Units::decode(&row)
            .ok_or_else(|| StudyError::damaged(store.file(), "the done units of a search cannot be read"))?;
        done.union(&units);
    }
    Ok(done)
}

/// Whether the whole space of a search was looked at and its front is kept.
pub(crate) fn is_finished(store: &Store, search: SearchId) -> Result<bool, StudyError> {
    let found =
        store.first("SELECT 1 FROM finding WHERE search = ?1 AND complete", params![search.0], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Forgets how far a search was: its front says it all.
pub(crate) fn forget(store: &Store, search: SearchId) -> Result<(), StudyError> {
    for statement in [
        "DELETE FROM claim WHERE search = ?1",
        "DELETE FROM progress_points WHERE progress IN (SELECT id FROM progress WHERE search = ?1)",
        "DELETE FROM progress WHERE search = ?1",
        "DELETE FROM worker WHERE search = ?1",
    ] {
        store.execute(statement, params![search.0])?;
    }
    Ok(())
}

impl Study {
    /// How far a search is: what each of its workers, dead ones included, had done when it last saved. Their units are
    /// disjoint. `None` for a search that is finished: its front has all of it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn progress(&self, search: SearchId) -> Result<Option<Vec<SearchProgress>>, StudyError> {
        self.store.read(|store| {
            if is_finished(store, search)? {
                return Ok(None);
            }
            let rows: Vec<i64> = store.rows(
                "SELECT id FROM progress WHERE search = ?1 ORDER BY id",
                params![search.0],
                |row| row.get(0),
            )?;
            rows.into_iter().map(|id| read(store, id)).collect::<Result<_, _>>().map(Some)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_any_index_and_value_go_there_and_back() {
        let mut points = PointSet::new(3);
        for place in 0..2 * CHUNK as u128 + 5 {
            let index = Natural::from(place << (place % 100));
            points.push(index, &[place as f64, -0.0, f64::INFINITY]);
        }
        let rows: Vec<Vec<u8>> = points.encode().collect();
        assert_eq!(rows.len(), 3);
        let mut back = PointSet::new(3);
        for row in &rows {
            back.decode(row).expect("a whole row");
        }
        assert_eq!(back, points);
        assert!(PointSet::new(3).decode(&rows[2][..rows[2].len() - 1]).is_none());
        assert!(PointSet::new(2).decode(&rows[2]).is_none());
    }
}
