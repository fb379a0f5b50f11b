//! `slimfit study show`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use serde_json::{Value, json};
use slimfit_quantity::{format_bytes, format_count};
use slimfit_study::{SearchContents, Study, StudyContents};
use std::path::PathBuf;

/// Digits of a hash that tell inputs apart for people.
const SHORT: usize = 12;

/// Arguments of `study show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  slimfit study show reports/2026-01-31-run --check")]
pub struct Arguments {
    /// The study's folder.
    study: PathBuf,
    /// Look through the whole store for damage too.
    #[arg(long)]
    check: bool,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let study = Study::open(&arguments.study)?;
    if arguments.check {
        study.check()?;
    }
    let contents = study.contents()?;
    if output.is_json() {
        output.object("study", "study show", value(arguments, &contents))?;
        return Ok(Outcome::Done);
    }
    output.text(&text(arguments, &contents))?;
    Ok(Outcome::Done)
}

fn value(arguments: &Arguments, contents: &StudyContents) -> Value {
    let searches: Vec<Value> = contents.searches.iter().map(search_value).collect();
    json!({
        "study": arguments.study,
        "store_version": contents.store_version,
        "store_bytes": contents.store_bytes,
        "checked": arguments.check,
        "searches": searches,
        "inputs": contents.inputs,
        "records": contents.records,
    })
}

fn search_value(kept: &SearchContents) -> Value {
    let (search, request) = (&kept.search, &kept.search.request);
    let front = search.head.as_ref().map(|head| {
        json!({
            "front_size": head.front_size,
            "space_size": head.space_size,
            "invalid": head.invalid,
            "evaluated": head.evaluated,
            "pruned": head.pruned,
            "unvisited": head.unvisited,
            "exact": head.exact,
            "epsilon": head.epsilon,
            "seconds": head.seconds,
        })
    });
    json!({
        "search": search.id,
        "state": state(kept),
        "began": search.began,
        "finished": search.finished,
        "program_version": request.program_version,
        "engine": request.engine,
        "objectives": request.objectives,
        "constraints": request.limits,
        "tokens": request.tokens,
        "seed": request.seed,
        "settings": request.settings,
        "inputs": request.inputs,
        "front": front,
        "sample_points": kept.sample_points,
        "evaluations": kept.evaluations,
        "units_done": kept.units_done,
    })
}

/// How far a search is, in a word.
fn state(kept: &SearchContents) -> &'static str {
    match (kept.search.complete, kept.search.finished.is_some()) {
        (true, _) => "finished",
        (false, true) => "stopped",
        (false, false) => "unfinished",
    }
}

fn text(arguments: &Arguments, contents: &StudyContents) -> String {
    let mut text = format!(
        "{}: store version {}, {}{}\n",
        arguments.study.display(),
        contents.store_version,
        format_bytes(contents.store_bytes as f64),
        if arguments.check { ", whole" } else { "" },
    );
    let mut searches = table(&[
        "search",
        "state",
        "began",
        "engine",
        "objectives",
        "front",
        "of points",
        "sample",
        "evaluations",
    ]);
    for kept in &contents.searches {
        let (search, head) = (&kept.search, kept.search.head.as_ref());
        let absent = || "-".to_owned();
        searches.add_row(vec![
            search.id.to_string(),
            state(kept).to_owned(),
            search.began.clone(),
            search.request.engine.clone(),
            search.request.objectives.join(" "),
            head.map_or_else(absent, |head| head.front_size.to_string()),
            head.map_or_else(absent, |head| format_count(head.space_size.to_f64())),
            kept.sample_points.to_string(),
            kept.evaluations.to_string(),
        ]);
    }
    let mut inputs = table(&["input", "name", "sha256"]);
    for input in &contents.inputs {
        let short = input.sha256.get(..SHORT).unwrap_or(&input.sha256);
        inputs.add_row(vec![input.kind.name(), input.name.as_str(), short]);
    }
    let mut records = table(&["records", "count"]);
    for record in &contents.records {
        records.add_row(vec![record.kind.clone(), record.count.to_string()]);
    }
    let parts = [
        (contents.searches.is_empty(), "no search", searches),
        (contents.inputs.is_empty(), "no inputs", inputs),
        (contents.records.is_empty(), "no records", records),
    ];
    for (empty, none, rows) in parts {
        text.push('\n');
        text.push_str(&if empty { none.to_owned() } else { rows.trim_fmt() });
        text.push('\n');
    }
    text
}
