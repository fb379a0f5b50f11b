//! How long a report of a large study takes: `cargo run --release --example large_report -p slimfit-report [POINTS] [CLOUD]`.
#![allow(clippy::unwrap_used, reason = "an example that stops where something is wrong")]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use slimfit_report::{ReportInput, render_html, write_report};
use slimfit_study::{Findings, Input, InputKind, SearchRequest, Study};
use std::time::{Duration, Instant};

fn main() {
    let mut counts = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let (points, dominated) = (counts.next().unwrap_or(100_000), counts.next().unwrap_or(100_000));
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let full = ReportInput {
        front: Some(fixture::front(points)),
        cloud: fixture::cloud(dominated),
        ..fixture::full()
    };
    let front = full.front.as_ref().unwrap();
    let profile = full.profile.as_ref().unwrap();
    let request = SearchRequest {
        program_version: full.tool_version.clone(),
        inputs: vec![Input::new(InputKind::Profile, &profile.name, profile.to_yaml().unwrap())],
        engine: front.head.engine.clone(),
        tokens: front.head.recipe.tokens,
        objectives: front.head.objectives.iter().map(|objective| objective.name.clone()).collect(),
        limits: front.head.constraints.clone(),
        seed: 1,
        sample: dominated,
        settings: String::new(),
    };
    let search = study.begin_search(&request).unwrap();
    let findings = Findings {
        complete: true,
        front,
        indices: &[],
        cloud: &full.cloud,
        explanations: &full.explanations,
        references: &full.references,
    };
    timed("study written", || study.finish_search(search.id, &findings).unwrap());
    let (input, read) = timed("study read", || ReportInput::from_study(&study).unwrap());
    let (page, _) = timed("page alone", || render_html(&input).unwrap());
    let (files, written) =
        timed("all files", || write_report(&input, &folder.path().join("report")).unwrap());
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    println!("{points} points on the front, {dominated} beneath: page of {} bytes", page.len());
    println!("{} files of {bytes} bytes; from the study to files {:.2?}", files.len(), read + written);
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let made = act();
    println!("{what}: {:.2?}", started.elapsed());
    (made, started.elapsed())
}
