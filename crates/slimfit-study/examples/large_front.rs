//! How long a study takes to keep and to give back a large front, and how far a search is that has found one: `cargo run --release -p slimfit-study --example
//! large_front -- 200000`.

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use slimfit_study::{Findings, LEASE, Natural, PointSet, SaveOutcome, SearchProgress, Study};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let points: usize = std::env::args().nth(1).as_deref().unwrap_or("200000").parse()?;
    let folder = tempfile::tempdir()?;
    let study = Study::create(folder.path())?;
    let front = made_up::front(points);
    let indices: Vec<Natural> = (0..points as u64).map(|place| Natural::from(place << 20)).collect();
    let cloud = made_up::cloud(100_000);
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &indices,
        cloud: &cloud,
        explanations: &[],
        references: &[],
    };
    let search = study.begin_search(&made_up::request(1))?;
    timed("written: store, front.json and front.csv", || study.finish_search(search.id, &findings))?;
    let read = timed("read back", || study.front())?;
    assert!(read.as_ref() == Some(&front), "the front comes back as it was");
    timed("head alone", || study.head())?;
    for name in ["study.sqlite", "study.sqlite-wal", "front.json", "front.csv"] {
        let bytes = std::fs::metadata(folder.path().join(name)).map_or(0, |metadata| metadata.len());
        println!("{name}: {:.1} MB, {} bytes a point", bytes as f64 / 1e6, bytes / points.max(1) as u64);
    }
    progress(&study, points)
}

/// Saves of an archive as large as the front: the first one, and one after a few points came and went.
fn progress(study: &Study, points: usize) -> Result<(), Box<dyn std::error::Error>> {
    let search = study.begin_search(&made_up::request(2))?.id;
    let mut worker = study.join_search(search, 1000, LEASE)?;
    let mut archive: Vec<(Natural, [f64; 4])> =
        (0..points as u64).map(|place| (Natural::from(place << 20), [place as f64; 4])).collect();
    for (what, changed) in [("save of the whole archive", 0), ("save after 20 changes", 20)] {
        for number in 0..changed.min(points) {
            archive[number * points / changed].1 = [0.5; 4];
        }
        worker.claim(1)?;
        let mut state = SearchProgress { archive: PointSet::new(4), ..SearchProgress::default() };
        archive.iter().for_each(|(index, values)| state.archive.push(index.clone(), values));
        let parts = study.progress(search)?.unwrap_or_default();
        state.done = parts.into_iter().map(|part| part.done).next().unwrap_or_default();
        let next = state.done.count();
        state.done.insert(next..next + 1);
        let outcome = timed(what, || worker.save(&state))?;
        assert_eq!(outcome, SaveOutcome::Kept);
    }
    let parts = timed("progress read back", || study.progress(search))?;
    assert_eq!(parts.map(|parts| parts[0].archive.len()), Some(points));
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    println!("{what}: {:.2} s", began.elapsed().as_secs_f64());
    done
}
