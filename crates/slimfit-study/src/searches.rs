//! Searches of a study: what each was asked for, and what became of it.

use crate::input::{self, Input, InputRef};
use crate::store::Store;
use crate::study::{from_json, to_json};
use crate::{Constraint, SearchHead, Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use slimfit_document::sha256_hex;

/// A search's number in its study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SearchId(pub i64);

impl std::fmt::Display for SearchId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Everything that decides a search's result. How long it may take, and on how many threads, does not.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// The program's version: another may count or price differently.
    pub program_version: String,
    /// Profile, space, workload, recipe and what else is read.
    pub inputs: Vec<Input>,
    /// The runtime that is priced.
    pub engine: String,
    /// Training tokens, in the recipe's tokenizer.
    pub tokens: u64,
    /// What is minimised or maximised, in order.
    pub objectives: Vec<String>,
    /// Limits that points keep.
    pub limits: Vec<Constraint>,
    /// Seed of the sample.
    pub seed: u64,
    /// Points of the sample.
    pub sample: u64,
    /// All other settings, in a text that is equal where they are.
    pub settings: String,
}

/// The request as the store has it: inputs by hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The program's version.
    pub program_version: String,
    /// The runtime that is priced.
    pub engine: String,
    /// Training tokens.
    pub tokens: u64,
    /// What is minimised or maximised, in order.
    pub objectives: Vec<String>,
    /// Limits that points keep.
    pub limits: Vec<Constraint>,
    /// Seed of the sample.
    pub seed: u64,
    /// Points of the sample.
    pub sample: u64,
    /// All other settings.
    pub settings: String,
    /// What was read.
    pub inputs: Vec<InputRef>,
}

/// A search and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// Its number.
    pub id: SearchId,
    /// What it was asked for.
    pub request: RequestRecord,
    /// When it began: UTC, `2026-01-31T12:00:00Z`.
    pub began: String,
    /// When its newest front was written.
    pub finished: Option<String>,
    /// Whether the search is finished: that front is of the whole space, to the distance that was wanted.
    pub complete: bool,
    /// The head of that front.
    pub head: Option<SearchHead>,
}

/// A search that was begun or taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunSearch {
    /// Its number.
    pub id: SearchId,
    /// Whether an earlier run left it unfinished.
    pub resumed: bool,
}

impl SearchRequest {
    /// The request with inputs by hash.
    pub fn record(&self) -> RequestRecord {
        RequestRecord {
            program_version: self.program_version.clone(),
            engine: self.engine.clone(),
            tokens: self.tokens,
            objectives: self.objectives.clone(),
            limits: self.limits.clone(),
            seed: self.seed,
            sample: self.sample,
            settings: self.settings.clone(),
            inputs: self.inputs.iter().map(Input::reference).collect(),
        }
    }
}

impl Study {
    /// Begins a search, or takes up the one of the very same request that was not finished. Its inputs are kept.
    ///
    /// Two processes that ask for the same at once get the same search.
    ///
    /// # Errors
    /// When the store or the copies of the inputs cannot be written.
    pub fn begin_search(&self, request: &SearchRequest) -> Result<BegunSearch, StudyError> {
        let json = to_json(&self.store, "search", &request.record())?;
        let digest = sha256_hex(json.as_bytes());
        let begun = self.store.write(|store| {
            let unfinished = store.first(
                "SELECT id FROM search WHERE digest = ?1
                 AND NOT EXISTS (SELECT 1 FROM finding WHERE search = search.id AND complete)
                 ORDER BY id DESC LIMIT 1",
                params![digest],
                |row| row.get(0),
            )?;
            if let Some(id) = unfinished {
                return Ok(BegunSearch { id: SearchId(id), resumed: true });
            }
            let id = insert(store, &digest, &json, &request.inputs)?;
            Ok(BegunSearch { id, resumed: false })
        })?;
        self.copy_inputs(&request.inputs)?;
        Ok(begun)
    }

    /// Every search, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn searches(&self) -> Result<Vec<SearchRecord>, StudyError> {
        let rows = self.store.rows(
            "SELECT search.id, request, began, finding.written, complete, head FROM search
             LEFT JOIN finding ON finding.id = (SELECT max(id) FROM finding WHERE search = search.id)
             ORDER BY search.id",
            [],
            |row| {
                Ok((
                    SearchId(row.get(0)?),
                    row.get::<_, String>(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get::<_, Option<bool>>(4)?,
                    row.get::<_, Option<String>>(5)?,
                ))
            },
        )?;
        rows.into_iter()
            .map(|(id, request, began, finished, complete, head)| {
                Ok(SearchRecord {
                    id,
                    request: from_json(&self.store, "search", &request)?,
                    began,
                    finished,
                    complete: complete.unwrap_or_default(),
                    head: head.map(|head| from_json(&self.store, "front", &head)).transpose()?,
                })
            })
            .collect()
    }
}

/// Whether the study has such a search.
pub(crate) fn check(store: &Store, search: SearchId) -> Result<(), StudyError> {
    match store.first("SELECT 1 FROM search WHERE id = ?1", params![search.0], |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(StudyError::NoSearch { path: store.file().to_owned(), found: search.0 }),
    }
}

/// Adds a search with its inputs.
pub(crate) fn insert(
    store: &Store,
    digest: &str,
    request: &str,
    inputs: &[Input],
) -> Result<SearchId, StudyError> {
    let id =
        store.insert("INSERT INTO search (digest, request) VALUES (?1, ?2)", params![digest, request])?;
    for input in inputs {
        let input = input::keep(store, input)?;
        store.execute(
            "INSERT OR IGNORE INTO search_input (search, input) VALUES (?1, ?2)",
            params![id, input],
        )?;
    }
    Ok(SearchId(id))
}
