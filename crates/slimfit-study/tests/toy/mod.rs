//! A small search that looks at every point of a made-up space, saving now and then: whatever happens to it on the way,
//! it must find the same.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use crate::made_up;
use slimfit_study::{
    Claim, Findings, Front, Miss, Natural, PassCounts, PointSet, SaveOutcome, SearchId, SearchProgress,
    Study, Units, Worker,
};
use std::path::Path;
use std::time::Duration;

/// Work units of the space.
pub const UNITS: u64 = 300;
/// Points of a unit.
const POINTS: u64 = 40;
/// Points of the sample.
const SAMPLE: usize = 50;
/// Values of a point.
const COLUMNS: usize = 3;

/// A pause after every unit, so that a process is met in the middle of things.
#[derive(Debug, Clone, Copy)]
pub struct Pace(pub Duration);

fn mixed(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Beyond 64 bits, as large spaces are.
fn index(number: u64) -> Natural {
    Natural::from((1_u128 << 90) + u128::from(number))
}

fn number(index: &Natural) -> u64 {
    (index.to_u128().unwrap() - (1 << 90)) as u64
}

fn values(number: u64) -> [f64; COLUMNS] {
    [1, 2, 3].map(|salt| (mixed(number * 4 + salt) % 10_000) as f64 / 10_000.0)
}

pub fn empty() -> SearchProgress {
    SearchProgress {
        passes: vec![PassCounts::default()],
        archive: PointSet::new(COLUMNS),
        sample: PointSet::new(COLUMNS),
        ..SearchProgress::default()
    }
}

/// Looks at every point of a unit.
pub fn visit(unit: u64, state: &mut SearchProgress) {
    let count = |name: &str, counts: &mut std::collections::BTreeMap<String, Natural>| {
        counts.entry(name.to_owned()).or_default().add(&Natural::from(1_u64));
    };
    for number in unit * POINTS..(unit + 1) * POINTS {
        match mixed(number) % 10 {
            0 => count("broken", &mut state.passes[0].invalid),
            1 => count("bounded", &mut state.passes[0].pruned),
            _ => {
                state.passes[0].evaluated.add(&Natural::from(1_u64));
                let values = values(number);
                let excess = values[0] - 0.8;
                if excess > 0.0 {
                    offer_miss(state, Miss { excess, index: index(number), values: values.to_vec() });
                    continue;
                }
                state.archive.push(index(number), &values);
                state.sample.push(index(number), &values);
            }
        }
    }
    state.done.insert(unit..unit + 1);
    trim(state);
}

fn offer_miss(state: &mut SearchProgress, miss: Miss) {
    if state.nearest_miss.as_ref().is_none_or(|best| (miss.excess, &miss.index) < (best.excess, &best.index))
    {
        state.nearest_miss = Some(miss);
    }
}

/// Keeps of the archive what nothing dominates, and of the sample the points with the smallest hashes.
fn trim(state: &mut SearchProgress) {
    let dominates = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
    let mut kept = PointSet::new(COLUMNS);
    for (index, values) in state.archive.iter() {
        if !state.archive.iter().any(|(_, other)| dominates(other, values)) {
            kept.push(index.clone(), values);
        }
    }
    state.archive = kept;
    let mut drawn: Vec<(&Natural, &[f64])> = state.sample.iter().collect();
    drawn.sort_by_key(|(index, _)| (mixed(number(index) ^ 0x5a5a), number(index)));
    let mut sample = PointSet::new(COLUMNS);
    for (index, values) in drawn.into_iter().take(SAMPLE) {
        sample.push(index.clone(), values);
    }
    state.sample = sample;
}

/// What several workers know, together.
pub fn merged(parts: Vec<SearchProgress>) -> SearchProgress {
    let mut whole = empty();
    for part in parts {
        assert!(part.done.without(&whole.done) == part.done, "a unit is done by one worker");
        whole.add_counts(&part);
        for (set, points) in [(&mut whole.archive, &part.archive), (&mut whole.sample, &part.sample)] {
            for (index, values) in points.iter() {
                set.push(index.clone(), values);
            }
        }
        if let Some(miss) = part.nearest_miss {
            offer_miss(&mut whole, miss);
        }
    }
    trim(&mut whole);
    whole
}

/// The same without an order that depends on who did what when.
pub fn sorted(mut state: SearchProgress) -> SearchProgress {
    for set in [&mut state.archive, &mut state.sample] {
        let mut points: Vec<(Natural, Vec<f64>)> =
            set.iter().map(|(index, values)| (index.clone(), values.to_vec())).collect();
        points.sort_by(|a, b| a.0.cmp(&b.0));
        *set = PointSet::new(COLUMNS);
        for (index, values) in points {
            set.push(index, &values);
        }
    }
    state
}

/// What nothing interrupted.
pub fn undisturbed() -> SearchProgress {
    let mut state = empty();
    (0..UNITS).for_each(|unit| visit(unit, &mut state));
    sorted(state)
}

/// Works until nothing is left, and returns how many units it did itself.
pub fn work(worker: &mut Worker, pace: Pace) -> u64 {
    let mut state = merged(worker.progress().unwrap());
    let mut own = 0;
    loop {
        match worker.claim(3).unwrap() {
            Claim::Units(units) => {
                for unit in units.iter() {
                    visit(unit, &mut state);
                    std::thread::sleep(pace.0);
                }
                match worker.save(&state).unwrap() {
                    SaveOutcome::Kept => own += units.count(),
                    SaveOutcome::Lost(_) => state = merged(worker.progress().unwrap()),
                    SaveOutcome::Finished => return own,
                }
            }
            Claim::Wait => std::thread::sleep(Duration::from_millis(2)),
            Claim::Done | Claim::Finished => return own,
        }
    }
}

/// The front as the study keeps it: the archive's points by index, with made-up shapes.
pub fn front(state: &SearchProgress) -> (Front, Vec<Natural>) {
    let mut front = made_up::front(0);
    let indices: Vec<Natural> = state.archive.iter().map(|(index, _)| index.clone()).collect();
    front.points = indices.iter().map(|index| made_up::point(number(index))).collect();
    front.head.front_size = indices.len() as u64;
    (front, indices)
}

/// The whole search of a process: begin or take up, work, finish. Returns the units it did itself.
pub fn search(folder: &Path, seed: u64, pace: Pace) -> u64 {
    let study = Study::create(folder).unwrap();
    let begun = study.begin_search(&made_up::request(seed)).unwrap();
    let mut worker = study.join_search(begun.id, UNITS, slimfit_study::LEASE).unwrap();
    let own = work(&mut worker, pace);
    finish(&study, begun.id);
    own
}

/// Puts the parts of all workers together and keeps the front, unless another process has.
pub fn finish(study: &Study, search: SearchId) {
    let Some(parts) = study.progress(search).unwrap() else { return };
    let state = sorted(merged(parts));
    assert_eq!(state.done, Units::from(0..UNITS));
    assert_eq!(state, undisturbed());
    let (front, indices) = front(&state);
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &indices,
        cloud: &[],
        explanations: &[],
        references: &[],
    };
    study.finish_search(search, &findings).unwrap();
}
