//! What searches found, in compact rows: fronts of hundreds of thousands of points are written and read in a second or so.

use crate::front_files;
use crate::natural::Natural;
use crate::parts::{PartReader, PartWriter};
use crate::progress;
use crate::store::Store;
use crate::study::{from_json, to_json};
use crate::{
    CloudPoint, DevicePoint, Explanation, Front, FrontPoint, Interval, ParameterCounts, ReferenceModel,
    SearchHead, SearchId, Study, StudyError, searches,
};
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};
use slimfit_quantity::Source;
use std::cell::Cell;
use std::collections::BTreeMap;

/// The schema name of `front.json`.
pub const FRONT_SCHEMA: &str = "slimfit/front/v1";

/// What a search leaves when it ends or is stopped.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'a> {
    /// The front.
    pub front: &'a Front,
    /// Whether the search is finished: all of the space was looked at, to the distance that was wanted. One that is not can
    /// be taken up again.
    pub complete: bool,
    /// Where its points lie in the space, in the same order; empty where they have no place there.
    pub indices: &'a [Natural],
    /// The seeded sample of dominated points.
    pub cloud: &'a [CloudPoint],
    /// The terms of the predictions of the most telling points.
    pub explanations: &'a [Explanation],
    /// Public models priced as reference marks.
    pub references: &'a [ReferenceModel],
}

/// What few points have, or what is a name and no number.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct More {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    relative_noise: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, Source>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    picks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    by_device: Vec<DevicePoint>,
}

impl Study {
    /// Keeps what a search found, all of it or nothing: in the store, and as `front.json` and `front.csv`.
    ///
    /// Of a search that is finished already, by another process say, nothing is kept twice: `false` is returned.
    ///
    /// # Errors
    /// When there is no such search, a point names a foreign objective, or a file cannot be written: the store and the file
    /// are as before then.
    pub fn finish_search(&self, search: SearchId, findings: &Findings<'_>) -> Result<bool, StudyError> {
        let front = findings.front;
        assert!(
            findings.indices.is_empty() || findings.indices.len() == front.points.len(),
            "each point of a front has one index"
        );
        let prepared = Cell::new(None);
        let done = self.store.write(|store| {
            searches::check(store, search)?;
            if progress::is_finished(store, search)? {
                return Ok(());
            }
            let finding = insert(store, search, findings)?;
            if findings.complete {
                progress::forget(store, search)?;
            }
            prepared.set(Some(finding));
            front_files::prepare(&self.folder, finding, front)
        });
        match (prepared.get(), done) {
            (Some(_), Ok(())) => front_files::settle(&self.store, &self.folder).map(|()| true),
            (Some(finding), Err(error)) => {
                front_files::discard(&self.folder, finding);
                Err(error)
            }
            (None, done) => done.map(|()| false),
        }
    }

    /// The head of the newest front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn head(&self) -> Result<Option<SearchHead>, StudyError> {
        Ok(newest(&self.store, None)?.map(|(_, head)| head))
    }

    /// The newest front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn front(&self) -> Result<Option<Front>, StudyError> {
        self.store.read(|store| newest(store, None)?.map(|found| read_front(store, found)).transpose())
    }

    /// The newest front of one search.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn front_of(&self, search: SearchId) -> Result<Option<Front>, StudyError> {
        self.store
            .read(|store| newest(store, Some(search))?.map(|found| read_front(store, found)).transpose())
    }

    /// Where the points of a search's newest front lie in its space, in the front's order; empty where that is not known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn indices_of(&self, search: SearchId) -> Result<Vec<Natural>, StudyError> {
        let Some((finding, _)) = newest(&self.store, Some(search))? else { return Ok(Vec::new()) };
        let rows = self.store.rows(
            "SELECT point FROM front_point WHERE finding = ?1 ORDER BY place",
            params![finding],
            |row| row.get::<_, Option<Vec<u8>>>(0),
        )?;
        let indices: Option<Vec<Natural>> =
            rows.into_iter().map(|row| Some(Natural::from_bytes(&row?))).collect();
        Ok(indices.unwrap_or_default())
    }

    /// The seeded sample of dominated points beside the newest front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cloud(&self) -> Result<Vec<CloudPoint>, StudyError> {
        let Some((finding, _)) = newest(&self.store, None)? else { return Ok(Vec::new()) };
        sample(&self.store, finding)
    }

    /// The head of a search's newest front, and the seeded sample of dominated points beside it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cloud_of(&self, search: SearchId) -> Result<Option<(SearchHead, Vec<CloudPoint>)>, StudyError> {
        let Some((finding, head)) = newest(&self.store, Some(search))? else { return Ok(None) };
        Ok(Some((head, sample(&self.store, finding)?)))
    }

    /// The terms of every prediction explained beside the newest front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn explanations(&self) -> Result<Vec<Explanation>, StudyError> {
        self.beside("explanation")
    }

    /// The public models priced as reference marks of the newest front.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn references(&self) -> Result<Vec<ReferenceModel>, StudyError> {
        self.beside("reference")
    }

    fn beside<T: serde::de::DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, StudyError> {
        let rows = self.store.rows(
            "SELECT json FROM record WHERE finding = (SELECT max(id) FROM finding) AND kind = ?1
             ORDER BY sequence",
            params![kind],
            |row| row.get::<_, String>(0),
        )?;
        rows.iter().map(|json| from_json(&self.store, kind, json)).collect()
    }
}

/// Adds the rows of one finding, and returns its number.
pub(crate) fn insert(store: &Store, search: SearchId, findings: &Findings<'_>) -> Result<i64, StudyError> {
    let front = findings.front;
    let finding = store.insert(
        "INSERT INTO finding (search, complete, head) VALUES (?1, ?2, ?3)",
        params![search.0, findings.complete, to_json(store, "front", &front.head)?],
    )?;
    let names: Vec<&str> = front.head.objectives.iter().map(|objective| objective.name.as_str()).collect();
    let mut parts = PartWriter::new(store);
    for (place, point) in front.points.iter().enumerate() {
        insert_point(store, finding, place, point, findings.indices.get(place), &names, &mut parts)?;
    }
    for (place, point) in findings.cloud.iter().enumerate() {
        store.execute(
            "INSERT INTO sample_point (finding, place, parameters, objectives) VALUES (?1, ?2, ?3, ?4)",
            params![finding, place as i64, point.parameters, blob(point.objectives.iter().copied())],
        )?;
    }
    for explanation in findings.explanations {
        let key = format!("{}/{}", explanation.id, explanation.phase);
        insert_record(store, finding, "explanation", &key, &to_json(store, "explanation", explanation)?)?;
    }
    for model in findings.references {
        insert_record(store, finding, "reference", &model.name, &to_json(store, "reference", model)?)?;
    }
    Ok(finding)
}

fn insert_record(store: &Store, finding: i64, kind: &str, key: &str, json: &str) -> Result<(), StudyError> {
    store.execute(
        "INSERT INTO record (finding, kind, key, json) VALUES (?1, ?2, ?3, ?4)",
        params![finding, kind, key, json],
    )?;
    Ok(())
}

fn insert_point(
    store: &Store,
    finding: i64,
    place: usize,
    point: &FrontPoint,
    index: Option<&Natural>,
    names: &[&str],
    parts: &mut PartWriter<'_>,
) -> Result<(), StudyError> {
    let mut keys = point.objectives.keys().chain(point.intervals.keys());
    if let Some(found) = keys.find(|key| !names.contains(&key.as_str())) {
        return Err(StudyError::ForeignObjective {
            id: point.id.clone(),
            found: found.clone(),
            allowed: names.join(", "),
        });
    }
    let value = |name: &&str| point.objectives.get(*name).copied().unwrap_or(ABSENT);
    let interval = |name: &&str| {
        point.intervals.get(*name).map_or([ABSENT; 2], |interval| [interval.low, interval.high])
    };
    let more = More {
        relative_noise: point.relative_noise.clone(),
        sources: point.sources.clone(),
        picks: point.picks.clone(),
        flags: point.flags.clone(),
        by_device: point.by_device.clone(),
    };
    let more = if more == More::default() { None } else { Some(to_json(store, "front", &more)?) };
    let counts = point.parameters;
    store.execute(
        "INSERT INTO front_point VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            finding,
            place as i64,
            index.map(Natural::bytes),
            point.id,
            parts.encode(&point.architecture)?,
            point.weights.name(),
            point.kv.name(),
            counts.total,
            counts.non_embedding,
            counts.embedding,
            counts.active,
            point.threads,
            blob(names.iter().map(value)),
            blob(names.iter().flat_map(interval)),
            point.tie_group,
            point.representative,
            more,
        ],
    )?;
    Ok(())
}

/// The newest finding, of one search or of all: its number and its head.
fn newest(store: &Store, search: Option<SearchId>) -> Result<Option<(i64, SearchHead)>, StudyError> {
    let found: Option<(i64, String)> = store.first(
        "SELECT id, head FROM finding WHERE ?1 IS NULL OR search = ?1 ORDER BY id DESC LIMIT 1",
        params![search.map(|search| search.0)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    found.map(|(finding, head)| Ok((finding, from_json(store, "front", &head)?))).transpose()
}

fn read_front(store: &Store, (finding, head): (i64, SearchHead)) -> Result<Front, StudyError> {
    let names: Vec<String> = head.objectives.iter().map(|objective| objective.name.clone()).collect();
    let mut parts = PartReader::new(store);
    let mut ready = store
        .connection()
        .prepare_cached(
            "SELECT id, architecture, weights, kv, parameters, non_embedding, embedding, active, threads,
             objectives, intervals, tie_group, representative, more
             FROM front_point WHERE finding = ?1 ORDER BY place",
        )
        .map_err(|source| store.error(source))?;
    let mut rows = ready.query(params![finding]).map_err(|source| store.error(source))?;
    let mut points = Vec::new();
    while let Some(row) = rows.next().map_err(|source| store.error(source))? {
        points.push(read_point(store, row, &names, &mut parts)?);
    }
    Ok(Front { schema: FRONT_SCHEMA.to_owned(), head, points })
}

fn read_point(
    store: &Store,
    row: &Row<'_>,
    names: &[String],
    parts: &mut PartReader<'_>,
) -> Result<FrontPoint, StudyError> {
    let get = |column: usize| row.get_ref(column).map_err(|source| store.error(source));
    let bytes =
        |column: usize| get(column)?.as_blob().map_err(|error| store.error(rusqlite::Error::from(error)));
    let text = |column: usize| row.get::<_, String>(column).map_err(|source| store.error(source));
    let number = |column: usize| row.get::<_, u64>(column).map_err(|source| store.error(source));
    let format = |column: usize| {
        text(column)?.parse().map_err(|error| StudyError::damaged(store.file(), format!("{error}")))
    };
    let (values, bounds) = (floats(bytes(9)?), floats(bytes(10)?));
    if values.len() != names.len() || bounds.len() != 2 * names.len() {
        return Err(StudyError::damaged(
            store.file(),
            "a point has another number of objectives than its front",
        ));
    }
    let more: Option<String> = row.get(13).map_err(|source| store.error(source))?;
    let more: More = more.map(|more| from_json(store, "front", &more)).transpose()?.unwrap_or_default();
    let pairs = names.iter().zip(bounds.chunks_exact(2));
    Ok(FrontPoint {
        id: text(0)?,
        architecture: parts.decode(bytes(1)?)?,
        weights: format(2)?,
        kv: format(3)?,
        parameters: ParameterCounts {
            total: number(4)?,
            non_embedding: number(5)?,
            embedding: number(6)?,
            active: number(7)?,
        },
        threads: row.get(8).map_err(|source| store.error(source))?,
        objectives: names
            .iter()
            .zip(&values)
            .filter(|(_, value)| !value.is_nan())
            .map(|(name, value)| (name.clone(), *value))
            .collect(),
        intervals: pairs
            .filter(|(_, bounds)| !bounds[0].is_nan())
            .map(|(name, bounds)| (name.clone(), Interval { low: bounds[0], high: bounds[1] }))
            .collect(),
        relative_noise: more.relative_noise,
        sources: more.sources,
        tie_group: number(11)?,
        representative: row.get(12).map_err(|source| store.error(source))?,
        picks: more.picks,
        flags: more.flags,
        by_device: more.by_device,
    })
}

fn sample(store: &Store, finding: i64) -> Result<Vec<CloudPoint>, StudyError> {
    store.rows(
        "SELECT parameters, objectives FROM sample_point WHERE finding = ?1 ORDER BY place",
        params![finding],
        |row| Ok(CloudPoint { parameters: row.get(0)?, objectives: floats(row.get_ref(1)?.as_blob()?) }),
    )
}

/// Stands for a value that a point does not have; values that are no numbers do not occur.
const ABSENT: f64 = f64::NAN;

/// Little-endian.
pub(crate) fn blob(values: impl Iterator<Item = f64>) -> Vec<u8> {
    values.flat_map(f64::to_le_bytes).collect()
}

/// Little-endian.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f64> {
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
}
