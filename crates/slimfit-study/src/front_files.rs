//! `front.json` and `front.csv`: the newest front as people and scripts open it.
//!
//! They change with the store, or neither does: the new files are written under other names before the commit, where a full
//! disk shows, and get their own names after it. A process that dies between the two leaves that to the next that opens the
//! study.

use crate::csv::write_front_csv;
use crate::store::Store;
use crate::{Front, StudyError};
use serde::Serialize;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 2] = ["json", "csv"];
const PREFIX: &str = ".front-";

/// Writes both files of a finding under names that say which it is.
pub(crate) fn prepare(folder: &Path, finding: i64, front: &Front) -> Result<(), StudyError> {
    let [json, csv] = ENDINGS.map(|ending| prepared(folder, finding, ending));
    // A fault is told by the names that people know.
    let named = |ending: &str| {
        let path = folder.join(format!("front.{ending}")).display().to_string();
        move |error: slimfit_document::DocumentError| error.file(path)
    };
    slimfit_document::stream_in_place(json, |writer| write_json(writer, front)).map_err(named("json"))?;
    slimfit_document::stream_in_place(csv, |writer| write_front_csv(writer, front)).map_err(named("csv"))?;
    Ok(())
}

/// Gives the prepared files of a finding that is committed their names.
fn publish(folder: &Path, finding: i64) -> Result<(), StudyError> {
    for ending in ENDINGS {
        let path = folder.join(format!("front.{ending}"));
        match std::fs::rename(prepared(folder, finding, ending), &path) {
            // A process died after the first of them.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(|source| StudyError::Io { path, source })?,
        }
    }
    Ok(())
}

/// Removes the prepared files of a finding that was not committed.
pub(crate) fn discard(folder: &Path, finding: i64) {
    for ending in ENDINGS {
        let _ = std::fs::remove_file(prepared(folder, finding, ending));
    }
}

/// Gives the prepared files of the newest finding their names, and removes others: after a commit, and for a process that
/// died.
pub(crate) fn settle(store: &Store, folder: &Path) -> Result<(), StudyError> {
    let left = findings_left(folder)?;
    if left.is_empty() {
        return Ok(());
    }
    // With the write lock nobody is between preparing and committing.
    store.write(|store| {
        let newest: Option<i64> = store.one("SELECT max(id) FROM finding")?;
        for finding in findings_left(folder)? {
            if Some(finding) == newest {
                publish(folder, finding)?;
            } else {
                discard(folder, finding);
            }
        }
        Ok(())
    })
}

fn prepared(folder: &Path, finding: i64, ending: &str) -> PathBuf {
    folder.join(format!("{PREFIX}{finding}.{ending}"))
}

/// Findings that have prepared files.
fn findings_left(folder: &Path) -> Result<Vec<i64>, StudyError> {
    let fail = |source| StudyError::Io { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let number = name.to_str().and_then(|name| {
            let (number, ending) = name.strip_prefix(PREFIX)?.split_once('.')?;
            ENDINGS.contains(&ending).then(|| number.parse::<i64>().ok()).flatten()
        });
        found.extend(number);
    }
    Ok(found)
}

/// Points of a front whose records all stand in `front.json`. Of a larger one it has those that stand for their ties and those
/// that were picked: three kilobytes for each of hundreds of thousands of points serve nobody, and `front.csv` has them all.
const MOST_LISTED: usize = 50_000;

/// The head's fields first, each on a line of its own, then the points, one a line: as long as the front is, and no longer
/// than it has to be.
fn write_json(writer: &mut dyn Write, front: &Front) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Head<'a> {
        schema: &'a str,
        #[serde(flatten)]
        head: &'a crate::SearchHead,
    }
    let head = serde_json::to_string_pretty(&Head { schema: &front.schema, head: &front.head })?;
    let head = head.strip_suffix("\n}").expect("an object of several lines");
    let all = front.points.len() <= MOST_LISTED;
    let listed = front.points.iter().filter(|point| all || point.representative || !point.picks.is_empty());
    let how = if all { "all" } else { "representatives" };
    write!(writer, "{head},\n  \"listed\": \"{how}\",\n  \"points\": [")?;
    let mut line = Vec::new();
    for (place, point) in listed.enumerate() {
        line.clear();
        line.extend_from_slice(if place == 0 { b"\n    " } else { b",\n    " });
        serde_json::to_writer(&mut line, point)?;
        writer.write_all(&line)?;
    }
    writer.write_all(if front.points.is_empty() { b"]\n}\n" } else { b"\n  ]\n}\n" })
}
