//! Searches spaces and prints how long each takes, what bounds ruled out, and how large the front is.
//!
//! `cargo run --release -p slimfit-search --example spaces -- [--profile FILE] [--check] [--seconds N] [--passes 0.1,0.01,0] [--objectives loss,tpot_seconds] [--study DIR] [SPACE…]`;
//! without a profile a made-up device. With a study the search is one that can be killed, and the store's size is printed.

#[path = "../tests/profile/mod.rs"]
mod profile;

use slimfit_cost::CostModel;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::{
    Evaluator, LayerOptions, ModelEvaluator, SearchOptions, Space, Workload, enumerate, search,
    search_layers, search_with_journal,
};
use slimfit_study::{LEASE, SearchRequest, Study};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut spaces: Vec<String> = std::env::args().skip(1).collect();
    let mut device = profile::synthetic(false);
    if let Some(place) = spaces.iter().position(|argument| argument == "--profile") {
        device = HardwareProfile::load(&spaces[place + 1])?;
        spaces.drain(place..place + 2);
    }
    let mut limit = None;
    if let Some(place) = spaces.iter().position(|argument| argument == "--seconds") {
        limit = Some(Duration::from_secs_f64(spaces[place + 1].parse()?));
        spaces.drain(place..place + 2);
    }
    let mut passes = vec![0.0];
    if let Some(place) = spaces.iter().position(|argument| argument == "--passes") {
        passes = spaces[place + 1].split(',').map(str::parse).collect::<Result<_, _>>()?;
        spaces.drain(place..place + 2);
    }
    let mut asked = None;
    if let Some(place) = spaces.iter().position(|argument| argument == "--objectives") {
        asked = Some(spaces[place + 1].clone());
        spaces.drain(place..place + 2);
    }
    let mut folder = None;
    if let Some(place) = spaces.iter().position(|argument| argument == "--study") {
        folder = Some(spaces[place + 1].clone());
        spaces.drain(place..place + 2);
    }
    let checked = spaces.iter().position(|argument| argument == "--check").map(|place| spaces.remove(place));
    if spaces.is_empty() {
        spaces = Space::builtin_names().map(str::to_owned).collect();
    }
    let cost = CostModel::new(&device)?;
    let quality = QualityModel::new(Recipe::builtin("gemstones")?);
    let workload = Workload::load("assistant")?;
    for name in &spaces {
        let space = Space::load(name, &[])?;
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, 100_000_000_000, &workload);
        let objectives = match &asked {
            None => evaluator.default_objectives(&space),
            Some(names) => {
                let known = |name: &str| {
                    let metric = evaluator.metrics().iter().find(|metric| metric.name() == name);
                    metric.copied().ok_or_else(|| format!("no objective is called {name}"))
                };
                names.split(',').map(known).collect::<Result<_, _>>()?
            }
        };
        let evaluator = evaluator.asked_for(&objectives, &[]);
        let options = SearchOptions {
            objectives,
            limits: Vec::new(),
            workers: std::thread::available_parallelism()?.get(),
            seed: 0,
            sample: 20_000,
            passes: passes.clone(),
            deadline: limit.map(|limit| Instant::now() + limit),
            cancel: None,
            progress: None,
        };
        if space.is_layered() {
            let outcome = search_layers(&space, &evaluator, &options, LayerOptions::default())?;
            println!(
                "{name}: {} models in {:.2} s, {} evaluated, {} unvisited, front {}, distance {:?}",
                outcome.space_size,
                outcome.duration.as_secs_f64(),
                outcome.evaluated,
                outcome.unvisited,
                outcome.front.len(),
                outcome.epsilon,
            );
            continue;
        }
        let outcome = match &folder {
            None => search(&space, &evaluator, &options)?,
            Some(folder) => {
                let study = Study::create(Path::new(folder))?;
                let id = study.begin_search(&request(name, &passes))?.id;
                let join = |units| study.join_search(id, units, LEASE);
                let outcome =
                    search_with_journal(&space, &evaluator, &options, join, |at| println!("{name}: {at:?}"))?;
                let (mut points, mut seconds) = (0, 0.0);
                for part in study.progress(id)?.unwrap_or_default() {
                    points += part.archive.len();
                    seconds += part.seconds;
                }
                let bytes = study.contents()?.store_bytes;
                println!("{name}: {points} points kept in {bytes} bytes, {seconds:.2} s at work");
                outcome.ok_or("another process finished it")?
            }
        };
        let seconds = outcome.duration.as_secs_f64();
        println!(
            "{name}: {} points in {seconds:.2} s ({:.2e}/s), {} evaluated, {} invalid, front {}, distance {:?}",
            outcome.space_size,
            outcome.space_size as f64 / seconds,
            outcome.evaluated,
            outcome.invalid,
            outcome.front.len(),
            outcome.epsilon,
        );
        if checked.is_some() {
            let all = enumerate(&space, &evaluator, &options)?;
            let same = all.front == outcome.front;
            let seconds = all.duration.as_secs_f64();
            println!("    one by one in {seconds:.2} s: front {}, the same: {same}", all.front.len());
        }
        if outcome.unvisited > 0 {
            println!("    {} unvisited", outcome.unvisited);
        }
        for bound in &outcome.pruned {
            println!("    {} pruned: {}", bound.count, bound.bound);
        }
        for reason in &outcome.invalid_by {
            println!("    {} {}", reason.count, reason.reason);
        }
    }
    Ok(())
}

/// What sets a search apart from others here.
fn request(space: &str, passes: &[f64]) -> SearchRequest {
    SearchRequest {
        program_version: String::new(),
        inputs: Vec::new(),
        engine: String::new(),
        tokens: 0,
        objectives: Vec::new(),
        limits: Vec::new(),
        seed: 0,
        sample: 0,
        settings: format!("{space} {passes:?}"),
    }
}
