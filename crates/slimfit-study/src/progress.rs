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
use std::sync::atomic::{AtomicU64, Ordering};

/// Points in one row: a row that did not change is not written again.
const CHUNK: usize = 4096;

/// What a worker of a search knows after the units that it has done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchProgress {
    /// The units that are done.
    pub done: Units,
    /// What became of their points, by pass over the space.
    pub passes: Vec<PassCounts>,
    /// Points that no other known point dominates, and perhaps some more.
    pub archive: PointSet,
    /// The seeded sample so far.
    pub sample: PointSet,
    /// Of the points that break a limit, the one that comes nearest.
    pub nearest_miss: Option<Miss>,
    /// Seconds at work.
    pub seconds: f64,
}

/// What became of the points that one pass over the space came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PassCounts {
    /// Points whose objectives were computed.
    pub evaluated: Natural,
    /// Points that are none, by reason.
    pub invalid: BTreeMap<String, Natural>,
    /// Points ruled out by a bound, by bound.
    pub pruned: BTreeMap<String, Natural>,
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
    lineage: Lineage,
}

/// Tells sets apart: two states of one are the same but for points that came behind.
#[derive(Debug)]
struct Lineage(u64);

impl Default for Lineage {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Lineage {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Lineage {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl PointSet {
    /// An empty set of points with so many values each.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
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

    /// Rows of [`CHUNK`] points from the one of that number on: how many, their indices (length and big-endian bytes), all
    /// their values.
    fn encode(&self, first: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.indices.chunks(CHUNK).enumerate().skip(first).map(|(number, indices)| {
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
    /// Adds the units, counts and time of another worker. Archives, samples and misses are the search's own to merge.
    pub fn add_counts(&mut self, other: &Self) {
        self.done.union(&other.done);
        self.seconds += other.seconds;
        if self.passes.len() < other.passes.len() {
            self.passes.resize_with(other.passes.len(), PassCounts::default);
        }
        for (pass, others) in self.passes.iter_mut().zip(&other.passes) {
            pass.add(others);
        }
    }
}

impl PassCounts {
    /// Adds the counts of others.
    pub fn add(&mut self, other: &Self) {
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
    passes: Vec<PassCounts>,
    seconds: f64,
    archive_columns: usize,
    sample_columns: usize,
    miss: Option<Natural>,
}

/// What lies in the store.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// Hashes of the rows, by set and place.
    rows: HashMap<(&'static str, i64), u64>,
    /// Lineage of each set, and how many points it had.
    sets: HashMap<&'static str, (u64, usize)>,
}

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
        passes: progress.passes.clone(),
        seconds: progress.seconds,
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
    let mut now = Saved::default();
    for (set, points) in SETS.into_iter().zip([&progress.archive, &progress.sample]) {
        // Rows that were full are as they were.
        let full = match saved.sets.get(set) {
            Some((lineage, length)) if *lineage == points.lineage.0 => length / CHUNK,
            _ => 0,
        };
        let mut rows = full as i64;
        let same = (0..rows).filter_map(|row| Some(((set, row), *saved.rows.get(&(set, row))?)));
        now.rows.extend(same);
        now.sets.insert(set, (points.lineage.0, points.len()));
        for bytes in points.encode(full) {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let hash = hasher.finish();
            if saved.rows.get(&(set, rows)) != Some(&hash) {
                store.execute(
                    "INSERT INTO progress_points (progress, name, place, points) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET points = excluded.points",
                    params![id, set, rows, bytes],
                )?;
            }
            now.rows.insert((set, rows), hash);
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
        passes: counts.passes,
        archive,
        sample,
        nearest_miss,
        seconds: counts.seconds,
    })
}

/// The archive of row `id` of `progress`, but for the rows of points that `wanted` declines by place and content.
pub(crate) fn read_archive(
    store: &Store,
    id: i64,
    mut wanted: impl FnMut(i64, &[u8]) -> bool,
) -> Result<PointSet, StudyError> {
    let broken = || StudyError::damaged(store.file(), format!("progress {id} cannot be read"));
    let counts: Option<String> =
        store.first("SELECT counts FROM progress WHERE id = ?1", params![id], |row| row.get(0))?;
    let counts: Counts = from_json(store, "progress", &counts.ok_or_else(broken)?)?;
    let mut points = PointSet::new(counts.archive_columns);
    let rows = store.rows(
        "SELECT place, points FROM progress_points WHERE progress = ?1 AND name = ?2 ORDER BY place",
        params![id, SETS[0]],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
    )?;
    for (place, row) in rows {
        if wanted(place, &row) {
            points.decode(&row).ok_or_else(broken)?;
        }
    }
    Ok(points)
}

/// The content of all rows of a search but these, at one moment; nothing of one that is finished.
pub(crate) fn read_all(
    store: &Store,
    search: SearchId,
    but: &[i64],
) -> Result<Option<Vec<SearchProgress>>, StudyError> {
    store.read(|store| {
        if is_finished(store, search)? {
            return Ok(None);
        }
        let rows: Vec<i64> = store.rows(
            "SELECT id FROM progress WHERE search = ?1 ORDER BY id",
            params![search.0],
            |row| row.get(0),
        )?;
        let wanted = rows.into_iter().filter(|id| !but.contains(id));
        wanted.map(|id| read(store, id)).collect::<Result<_, _>>().map(Some)
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
        read_all(&self.store, search, &[])
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
        let rows: Vec<Vec<u8>> = points.encode(0).collect();
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
