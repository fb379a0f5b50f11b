//! Studies of older layouts, brought to this one. Each step is one transaction: a study is of one version or the other.

use super::{Store, schema};
use crate::findings::{self, Findings};
use crate::study::from_json;
use crate::{
    CloudPoint, Explanation, Front, Input, InputKind, ReferenceModel, RequestRecord, StudyError, searches,
};
use rusqlite::params;
use std::path::Path;

/// Kinds of records that version 1 kept beside a front, and that now belong to its finding.
const BESIDE_A_FRONT: &str = "('front', 'cloud', 'explanation', 'references')";

/// Version 1 had all records in one table, fronts as JSON among them; the records of a search came before its front.
pub(super) fn from_version_1(store: &Store, folder: &Path) -> Result<(), StudyError> {
    store.run("ALTER TABLE record RENAME TO old_record; DROP INDEX IF EXISTS record_kind;")?;
    store.run(schema::TABLES)?;
    let fronts = store.rows(
        "SELECT sequence, json, written FROM old_record WHERE kind = 'front' ORDER BY sequence",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
    )?;
    let newest = fronts.last().map(|(sequence, ..)| *sequence);
    let mut before = 0;
    for (sequence, json, written) in fronts {
        let front: Front = from_json(store, "front", &json)?;
        // Copies of inputs were overwritten by each search: they are those of the newest.
        let inputs = if newest == Some(sequence) { copies(folder, &front)? } else { Vec::new() };
        insert_search(store, &front, &inputs, &written, before, sequence)?;
        before = sequence;
    }
    store.run(&format!(
        "INSERT INTO record (kind, key, json, written)
         SELECT kind, key, json, written FROM old_record WHERE kind NOT IN {BESIDE_A_FRONT} ORDER BY sequence;
         DROP TABLE old_record;"
    ))
}

fn insert_search(
    store: &Store,
    front: &Front,
    inputs: &[Input],
    written: &str,
    after: i64,
    until: i64,
) -> Result<(), StudyError> {
    let head = &front.head;
    let request = RequestRecord {
        program_version: String::new(),
        engine: head.engine.clone(),
        tokens: head.recipe.tokens,
        objectives: head.objectives.iter().map(|objective| objective.name.clone()).collect(),
        limits: head.constraints.clone(),
        seed: 0,
        sample: 0,
        settings: "migrated from store version 1, which did not keep program version, seed and settings"
            .to_owned(),
        inputs: inputs.iter().map(Input::reference).collect(),
    };
    // An empty digest is that of no request: a migrated search is never taken up again.
    let request = crate::study::to_json(store, "search", &request)?;
    let search = searches::insert(store, "", &request, inputs)?;
    let newest_of = |kind: &str| {
        store.rows(
            "SELECT json FROM old_record WHERE sequence IN
             (SELECT max(sequence) FROM old_record WHERE kind = ?1 AND sequence > ?2 AND sequence < ?3 GROUP BY key)
             ORDER BY sequence",
            params![kind, after, until],
            |row| row.get::<_, String>(0),
        )
    };
    let cloud: Vec<CloudPoint> = match newest_of("cloud")?.pop() {
        Some(json) => from_json(store, "cloud", &json)?,
        None => Vec::new(),
    };
    let references: Vec<ReferenceModel> = match newest_of("references")?.pop() {
        Some(json) => from_json(store, "references", &json)?,
        None => Vec::new(),
    };
    let explanations: Vec<Explanation> = newest_of("explanation")?
        .iter()
        .map(|json| from_json(store, "explanation", json))
        .collect::<Result<_, _>>()?;
    let findings = Findings {
        front,
        complete: front.head.unvisited == 0,
        indices: &[],
        cloud: &cloud,
        explanations: &explanations,
        references: &references,
    };
    findings::insert(store, search, &findings)?;
    store.execute("UPDATE search SET began = ?2 WHERE id = ?1", params![search.0, written])?;
    store.execute("UPDATE finding SET written = ?2 WHERE search = ?1", params![search.0, written])?;
    Ok(())
}

/// Copies in the folder that are still those of the search.
fn copies(folder: &Path, front: &Front) -> Result<Vec<Input>, StudyError> {
    let head = &front.head;
    let mut inputs = Vec::new();
    for kind in InputKind::ALL {
        let path = folder.join(kind.file_name());
        if !path.is_file() {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| StudyError::Io { path: path.clone(), source })?;
        let name = match kind {
            InputKind::Profile => &head.profile.name,
            InputKind::Space => &head.space.name,
            InputKind::Workload => &head.workload,
            InputKind::Recipe => &head.recipe.name,
            InputKind::QualityTable => head.quality_table.as_ref().map_or(kind.name(), |table| &table.name),
        };
        let input = Input::new(kind, name, text);
        let known = match kind {
            InputKind::Space => Some(&head.space.sha256),
            InputKind::QualityTable => head.quality_table.as_ref().map(|table| &table.sha256),
            _ => None,
        };
        if known.is_none_or(|known| *known == input.reference().sha256) {
            inputs.push(input);
        }
    }
    Ok(inputs)
}
