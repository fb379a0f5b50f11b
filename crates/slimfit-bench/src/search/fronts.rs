//! Exact fronts beside what optimisers find in at least ten times the time, and beside brute force.

use crate::formula::{self, Formula};
use crate::peer::Peer;
use crate::program::Program;
use crate::row::{Row, both, seconds};
use crate::table::PointTable;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use slimfit_search::{LogScale, Metric, SearchOptions, enumerate, non_dominated};
use std::collections::HashSet;

/// What peers call their optimisers.
const OPTIMISERS: [&str; 3] = ["pymoo NSGA-II", "Optuna NSGA-II", "Optuna TPE"];
/// How many times our time a peer gets, at least.
const TIMES: f64 = 10.0;

/// What is minimised, and what we found.
struct Problem<'a> {
    name: &'a str,
    /// As the peer reads it.
    description: Value,
    dimensions: usize,
    /// Objectives of the point of that number.
    objectives: &'a dyn Fn(usize) -> Vec<f64>,
    /// Objectives of our front.
    front: Vec<f64>,
    /// Ours, both passes.
    seconds: [f64; 2],
}

/// The formula's space, enumerated.
pub fn of_formula(peer: &mut Peer, peer_seconds: f64) -> Result<Vec<Row>> {
    let space = formula::space()?;
    let options = SearchOptions {
        objectives: formula::METRICS.to_vec(),
        limits: Vec::new(),
        workers: std::thread::available_parallelism()?.get(),
        seed: 0,
        sample: 0,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    let mut passes = [0.0; 2];
    let mut front = Vec::new();
    for pass in &mut passes {
        let outcome = enumerate(&space, &Formula, &options)?;
        *pass = outcome.duration.as_secs_f64();
        let objectives =
            |values: &slimfit_search::Values| formula::METRICS.map(|metric: Metric| values[metric.column()]);
        front = outcome.front.iter().flat_map(|found| objectives(&found.values)).collect();
    }
    let all: Vec<f64> =
        (0..space.size() as usize).flat_map(|place| formula::objectives(formula::genes(place))).collect();
    let kept = kept_by_moocore(peer, &all, formula::DIMENSIONS)?;
    let brute_force: Vec<f64> =
        kept.iter().flat_map(|place| formula::objectives(formula::genes(*place))).collect();
    let problem = Problem {
        name: "formula",
        description: json!({"kind": "formula", "counts": formula::COUNTS}),
        dimensions: formula::DIMENSIONS,
        objectives: &|place| formula::objectives(formula::genes(place)).to_vec(),
        seconds: passes,
        front,
    };
    let same =
        points(&problem.front, 3) == points(&brute_force, 3) && problem.front.len() == brute_force.len();
    let mut rows = vec![beside_brute_force(&problem, space.size() as usize, same)];
    rows.extend(beside_optimisers(peer, &problem, peer_seconds)?);
    Ok(rows)
}

/// A space of models, searched by the program; peers look its points up in a table, which costs them next to nothing.
pub fn of_space(peer: &mut Peer, program: &Program, space: &str, peer_seconds: f64) -> Result<Vec<Row>> {
    let dump = peer.file("dump.csv");
    let searched = program.search(space, &[], None, None)?;
    let retest = program.search(space, &[], Some(&dump), None)?;
    let objectives = searched.objectives()?;
    let dimensions = objectives.len();
    let table = PointTable::read(&dump, &objectives)?;
    let point = |row: usize| table.values[row * dimensions..][..dimensions].to_vec();
    let ids: HashSet<String> = retest.front_ids()?.into_iter().collect();
    let own: Vec<usize> = (0..table.ids.len()).filter(|row| ids.contains(&table.ids[*row])).collect();
    let same = own == kept_by_moocore(peer, &table.values, dimensions)? && own.len() == ids.len();
    let codes = peer.write("codes", table.codes.iter().map(|code| code.to_le_bytes()))?;
    let values = peer.write("values", table.values.iter().map(|value| value.to_le_bytes()))?;
    let problem = Problem {
        name: space,
        description: json!({"kind": "table", "codes": codes, "values": values, "axes": table.axes}),
        dimensions,
        objectives: &point,
        front: own.iter().flat_map(|row| point(*row)).collect(),
        seconds: [searched.number("seconds")?, retest.number("seconds")?],
    };
    let mut rows = vec![beside_brute_force(&problem, table.ids.len(), same)];
    rows.extend(beside_optimisers(peer, &problem, peer_seconds)?);
    Ok(rows)
}

fn kept_by_moocore(peer: &mut Peer, values: &[f64], dimensions: usize) -> Result<Vec<usize>> {
    let file = peer.write("points", values.iter().map(|value| value.to_le_bytes()))?;
    let out = peer.file("kept");
    peer.ask(&json!({"do": "non_dominated", "file": file, "dimensions": dimensions, "out": out}))?;
    peer.ask(&json!({"do": "forget"}))?;
    peer.places("kept")
}

/// Different points of a front.
fn points(front: &[f64], dimensions: usize) -> HashSet<Vec<u64>> {
    front.chunks_exact(dimensions).map(|point| point.iter().map(|value| value.to_bits()).collect()).collect()
}

fn beside_brute_force(problem: &Problem<'_>, size: usize, same: bool) -> Row {
    let found = problem.front.len() / problem.dimensions;
    Row {
        what: format!("front of {}, {} objectives", problem.name, problem.dimensions),
        goal: "brute force's".to_owned(),
        ours: both(problem.seconds, seconds),
        peer: "moocore over all points".to_owned(),
        met: Some(same),
        remark: format!("{found} of {size} points{}", if same { "" } else { ", NOT THE SAME" }),
        figures: json!({"ours_seconds": problem.seconds, "front": found, "points": size, "same": same}),
    }
}

fn beside_optimisers(peer: &mut Peer, problem: &Problem<'_>, peer_seconds: f64) -> Result<Vec<Row>> {
    let given = peer_seconds.max(TIMES * problem.seconds[0].max(problem.seconds[1]));
    let mut found = Vec::new();
    for optimiser in OPTIMISERS {
        let runs = [1, 2].map(|seed| optimised(peer, problem, optimiser, given, seed));
        let [first, second] = runs;
        found.push([first?, second?]);
    }
    let mut fronts: Vec<&[f64]> = found.iter().flatten().map(|run| run.front.as_slice()).collect();
    fronts.push(&problem.front);
    let scale = LogScale::of_union(&fronts, problem.dimensions)?;
    let own = scale.hypervolume(&problem.front);
    let exact = points(&problem.front, problem.dimensions);
    let row = |(optimiser, runs): (&str, &[Run; 2])| {
        let volumes = [&runs[0], &runs[1]].map(|run| scale.hypervolume(&run.front));
        let shares = [&runs[0], &runs[1]].map(|run| {
            let hit = points(&run.front, problem.dimensions).intersection(&exact).count();
            hit as f64 / exact.len() as f64
        });
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let seconds = [runs[0].seconds, runs[1].seconds];
        let evaluations = [runs[0].evaluations, runs[1].evaluations];
        Row {
            what: format!("hypervolume of {}, {optimiser}", problem.name),
            goal: "≥ the peer's".to_owned(),
            ours: format!("{own:.5}"),
            peer: both(volumes, |volume| format!("{volume:.5}")),
            // Beyond this sums of the same points in another order could differ.
            met: Some(volumes.iter().all(|volume| own >= volume - 1e-12)),
            remark: format!(
                "{} of our front in {} s, {} evaluations",
                both(shares, percent),
                both(seconds, |seconds| format!("{seconds:.1}")),
                both(evaluations, |count| format!("{count}")),
            ),
            figures: json!({
                "ours": own, "peer": volumes, "share_of_front": shares, "peer_seconds": seconds,
                "evaluations": evaluations,
            }),
        }
    };
    Ok(OPTIMISERS.into_iter().zip(&found).map(row).collect())
}

/// What an optimiser found with one seed.
struct Run {
    front: Vec<f64>,
    seconds: f64,
    evaluations: f64,
}

fn optimised(
    peer: &mut Peer,
    problem: &Problem<'_>,
    optimiser: &str,
    seconds: f64,
    seed: u64,
) -> Result<Run> {
    let answer = peer.ask(&json!({
        "do": "optimise", "with": optimiser, "problem": problem.description, "seconds": seconds, "seed": seed,
        "places": peer.file("places"), "objectives": peer.file("objectives"),
    }))?;
    let values: Vec<f64> = peer.places("places")?.into_iter().flat_map(problem.objectives).collect();
    // A peer that minimised something else would prove nothing.
    let theirs = peer.values("objectives")?;
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * a.abs();
    anyhow::ensure!(
        values.len() == theirs.len() && values.iter().zip(&theirs).all(close),
        "{optimiser} saw other objectives of {} than slimfit",
        problem.name
    );
    let kept = non_dominated(&values, problem.dimensions);
    let number =
        |name: &str| answer[name].as_f64().with_context(|| format!("{optimiser} does not say `{name}`"));
    Ok(Run {
        front: kept
            .into_iter()
            .flat_map(|place| values[place * problem.dimensions..][..problem.dimensions].to_vec())
            .collect(),
        seconds: number("seconds")?,
        evaluations: number("evaluations")?,
    })
}
