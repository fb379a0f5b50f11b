//! The front as a table for spreadsheets.

use crate::{Front, FrontPoint};
use slimfit_quantity::Source;
use std::io::{Error, Write};

/// One line a point: id, shape columns, counts, threads, objectives with their intervals, picks and flags, which
/// objectives are measured instead of modelled, and how often looped layers run. Of several devices, last, for each its
/// threads, and its value of each objective that is the worst over them.
pub fn front_csv(front: &Front) -> String {
    let mut bytes = Vec::new();
    write_front_csv(&mut bytes, front).expect("memory takes every byte");
    String::from_utf8(bytes).expect("text was written")
}

/// The same, line by line.
pub(crate) fn write_front_csv(writer: &mut dyn Write, front: &Front) -> Result<(), Error> {
    let objectives: Vec<&str> =
        front.head.objectives.iter().map(|objective| objective.name.as_str()).collect();
    write!(
        writer,
        "id,layers,hidden_size,vocabulary_size,tied_embeddings,weights,kv,parameters,non_embedding,active,threads"
    )?;
    for name in &objectives {
        write!(writer, ",{name},{name}_low,{name}_high")?;
    }
    write!(writer, ",tie_group,representative,picks,flags,measured,loops")?;
    let worst = front.worst_of_devices();
    for device in 1..=front.head.profiles.len() {
        write!(writer, ",threads@{device}")?;
        for name in &worst {
            write!(writer, ",{name}@{device}")?;
        }
    }
    writeln!(writer)?;
    for point in &front.points {
        write!(
            writer,
            "{},{},{},{},{},{},{},{},{},{},{}",
            point.id,
            point.architecture.depth(),
            point.architecture.hidden_size,
            point.architecture.vocabulary_size,
            point.architecture.tied_embeddings,
            point.weights,
            point.kv,
            point.parameters.total,
            point.parameters.non_embedding,
            point.parameters.active,
            point.threads
        )?;
        for name in &objectives {
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let interval = point.intervals.get(*name);
            write!(
                writer,
                ",{},{},{}",
                number(point.objectives.get(*name).copied()),
                number(interval.map(|interval| interval.low)),
                number(interval.map(|interval| interval.high))
            )?;
        }
        write!(
            writer,
            ",{},{},{},{},{},{}",
            point.tie_group,
            point.representative,
            point.picks.join(" "),
            point.flags.join(" "),
            measured(point).join(" "),
            point.architecture.loops.map_or(1, |loops| loops.count)
        )?;
        for device in &point.by_device {
            write!(writer, ",{}", device.threads)?;
            for name in &worst {
                write!(writer, ",{}", device.objectives[*name])?;
            }
        }
        writeln!(writer)?;
    }
    Ok(())
}

fn measured(point: &FrontPoint) -> Vec<&str> {
    let sources = point.sources.iter().filter(|(_, source)| **source == Source::Measured);
    sources.map(|(name, _)| name.as_str()).collect()
}
