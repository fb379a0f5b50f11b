//! Searches the built-in spaces on a made-up device and prints how long each takes.
//!
//! `cargo run --release -p slimfit-search --example enumerate [SPACE…]`

#[path = "../tests/profile/mod.rs"]
mod profile;

use slimfit_cost::CostModel;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::{ModelEvaluator, SearchOptions, Space, Workload, non_dominated, search, shortlist};
use slimfit_study::ProfileRef;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    for dimensions in [2, 3, 4] {
        let values: Vec<f64> = (0..1_000_000 * dimensions).map(|_| random()).collect();
        let start = Instant::now();
        let kept = non_dominated(&values, dimensions).len();
        println!(
            "filter: 10^6 random points × {dimensions}: {kept} kept in {:.3} s",
            start.elapsed().as_secs_f64()
        );
        // On a sphere's corner nothing dominates.
        let sphere: Vec<f64> = (0..100_000)
            .flat_map(|_| {
                let point: Vec<f64> = (0..dimensions).map(|_| random() + 1e-3).collect();
                let norm = point.iter().map(|x| x * x).sum::<f64>().sqrt();
                point.into_iter().map(move |x| 1.0 - x / norm).collect::<Vec<_>>()
            })
            .collect();
        let start = Instant::now();
        let kept = non_dominated(&sphere, dimensions).len();
        println!(
            "filter: 10^5 on a sphere × {dimensions}: {kept} kept in {:.3} s",
            start.elapsed().as_secs_f64()
        );
    }
    let cost = CostModel::new(&profile::synthetic(false))?;
    let quality = QualityModel::new(Recipe::builtin("gemstones")?);
    let workload = Workload::load("assistant")?;
    let named: Vec<String> = std::env::args().skip(1).collect();
    let all: Vec<String> = Space::builtin_names().map(str::to_owned).collect();
    for name in if named.is_empty() { &all } else { &named } {
        let space = Space::load(name, &[])?;
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, 100_000_000_000, &workload);
        let options = SearchOptions {
            objectives: evaluator.default_objectives(&space),
            limits: Vec::new(),
            workers: std::thread::available_parallelism()?.get(),
            seed: 0,
            sample: 20_000,
            deadline: None,
            cancel: None,
            progress: None,
        };
        let outcome = search(&space, &evaluator, &options)?;
        let searched = outcome.duration.as_secs_f64();
        println!(
            "{name}: {} points, {} evaluated, front {}, {searched:.2} s, {:.2e} points/s",
            outcome.space_size,
            outcome.evaluated,
            outcome.front.len(),
            outcome.space_size as f64 / searched
        );
        for reason in &outcome.invalid_by {
            println!("    {} {}", reason.count, reason.reason);
        }
        let start = Instant::now();
        let device =
            ProfileRef { fingerprint_id: String::new(), sha256: String::new(), name: "made up".to_owned() };
        let (front, _) = evaluator.front(&space, &outcome, &options, device)?;
        let groups = front.points.iter().filter(|point| point.representative).count();
        println!(
            "    described in {:.2} s, {groups} tie groups, peak memory {} MiB",
            start.elapsed().as_secs_f64(),
            front.head.peak_memory_bytes.unwrap_or(0) >> 20
        );
        for place in shortlist(&front, 10) {
            let point = &front.points[place];
            let attention = &point.architecture.layers[0].attention;
            println!(
                "    {:>4}M L{:<2} d{:<4} h{:<2} kv{:<2} hs{} w {} {} tied {} x{} {:?} {:?} {:?}",
                point.parameters.total / 1_000_000,
                point.architecture.depth(),
                point.architecture.hidden_size,
                attention.heads,
                attention.kv_heads,
                attention.head_size,
                point.weights,
                point.kv,
                point.architecture.tied_embeddings,
                point.threads,
                point.objectives,
                point.picks,
                point.flags,
            );
        }
    }
    Ok(())
}
