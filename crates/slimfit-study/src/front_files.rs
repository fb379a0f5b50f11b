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
