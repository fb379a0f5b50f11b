//! `front.json` and `front.csv`: the newest front as people and scripts open it.

use crate::csv::write_front_csv;
use crate::{Front, StudyError};
use serde::Serialize;
use std::io::{Error, Write};
use std::path::Path;

/// Replaces both files, each whole or not at all.
pub(crate) fn write(folder: &Path, front: &Front) -> Result<(), StudyError> {
    slimfit_document::stream_atomically(folder.join("front.json"), |writer| write_json(writer, front))?;
    slimfit_document::stream_atomically(folder.join("front.csv"), |writer| write_front_csv(writer, front))?;
    Ok(())
}

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
    write!(writer, "{head},\n  \"points\": [")?;
    let mut line = Vec::new();
    for (place, point) in front.points.iter().enumerate() {
        line.clear();
        line.extend_from_slice(if place == 0 { b"\n    " } else { b",\n    " });
        serde_json::to_writer(&mut line, point)?;
        writer.write_all(&line)?;
    }
    writer.write_all(if front.points.is_empty() { b"]\n}\n" } else { b"\n  ]\n}\n" })
}
