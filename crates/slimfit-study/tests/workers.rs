//! Searches that are killed at any moment, and searches of several processes: always the same result, nothing lost, nothing
//! counted twice.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod made_up;
mod toy;

use slimfit_study::{Claim, Findings, Front, SaveOutcome, SearchId, Study, StudyError, Units};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use toy::{Pace, UNITS};

const FOLDER: &str = "SLIMFIT_TEST_STUDY";
const SEED: &str = "SLIMFIT_TEST_SEED";
const PAUSE: &str = "SLIMFIT_TEST_PAUSE_MICROSECONDS";

/// This test binary again, running one of its ignored tests as a process of its own.
fn process(name: &str, folder: &Path, seed: u64, pace: Pace) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .env(PAUSE, pace.0.as_micros().to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is set by the test that starts this process"))
}

/// Same draws in every run; printed when a test fails.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn read_front(folder: &Path) -> Option<Front> {
    let bytes = std::fs::read(folder.join("front.json")).ok()?;
    Some(serde_json::from_slice(&bytes).expect("`front.json` is always whole"))
}

#[test]
#[ignore = "a process of the tests below"]
fn searching_process() {
    let pace = Pace(Duration::from_micros(told(PAUSE).parse().unwrap()));
    let own = toy::search(Path::new(&told(FOLDER)), told(SEED).parse().unwrap(), pace);
    println!("own units: {own}");
}

#[test]
fn a_search_killed_again_and_again_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let seed = 20_261_126;
    println!("seed {seed}");
    let (mut draws, mut kills) = (Draws(seed), 0);
    let (mut saved, mut advances, mut idle) = (0, 0, 0);
    // The search pauses for 0.6 s in all, and lives are short: many end before they get to work. On a slow machine they
    // are given longer until one gets on.
    loop {
        let mut child = process("searching_process", folder.path(), 1, Pace(Duration::from_millis(2)));
        std::thread::sleep(Duration::from_micros(draws.below(60_000 + 30_000 * idle)));
        if kills < 120 {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        // Whatever was cut off, the study is whole, and no unit that was done is undone.
        if folder.path().join("study.sqlite").is_file() {
            let study = Study::open(folder.path()).unwrap();
            study.check().unwrap();
            if study.searches().unwrap().first().is_some_and(|search| search.complete) {
                break;
            }
            let done = toy::merged(study.progress(SearchId(1)).unwrap().unwrap()).done.count();
            assert!(done >= saved, "{done} units are done where {saved} were");
            (advances, idle) = if done > saved { (advances + 1, 0) } else { (advances, idle + 1) };
            saved = done;
        }
        assert!(output.status.code().is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        kills += 1;
    }
    assert!(advances >= 3, "only {advances} lives got on");
    println!("killed {kills} times, of which {advances} lives got on");
    assert!(kills >= 5, "only {kills} kills");
    let study = Study::open(folder.path()).unwrap();
    let (front, indices) = toy::front(&toy::undisturbed());
    assert!(study.front().unwrap().unwrap() == front);
    assert_eq!(study.indices_of(SearchId(1)).unwrap(), indices);
    assert_eq!(study.searches().unwrap().len(), 1, "every life took up the same search");
    assert!(read_front(folder.path()).unwrap() == front);
    assert!(study.progress(SearchId(1)).unwrap().is_none());
    // Lock files of the dead are swept up.
    drop(study.join_search(SearchId(1), UNITS, slimfit_study::LEASE).unwrap());
    let left = std::fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".lock"));
    assert_eq!(left.count(), 0);
}

#[test]
#[ignore = "a process of the test below"]
fn finishing_process() {
    let study = Study::create(Path::new(&told(FOLDER))).unwrap();
    let begun = study.begin_search(&made_up::request(told(SEED).parse().unwrap())).unwrap();
    let front = made_up::front(1500 + begun.id.0 as usize);
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &[],
        cloud: &[],
        explanations: &[],
        references: &[],
    };
    println!("finishing");
    study.finish_search(begun.id, &findings).unwrap();
}

#[test]
fn a_process_killed_while_it_writes_a_front_leaves_the_old_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let seed = 7;
    println!("seed {seed}");
    let (mut draws, mut kills) = (Draws(seed), 0);
    for round in 0..16 {
        let mut child = process("finishing_process", folder.path(), round, Pace(Duration::ZERO));
        std::thread::sleep(Duration::from_micros(draws.below(200_000)));
        child.kill().unwrap();
        kills += u32::from(child.wait().unwrap().code().is_none());
        if !folder.path().join("study.sqlite").is_file() {
            continue;
        }
        let study = Study::open(folder.path()).unwrap();
        study.check().unwrap();
        for search in study.searches().unwrap() {
            let front = study.front_of(search.id).unwrap();
            assert!(front.is_none_or(|front| front == made_up::front(1500 + search.id.0 as usize)));
        }
        let (stored, file) = (study.front().unwrap(), read_front(folder.path()));
        assert!(stored == file, "round {round}: the file is not of the newest front");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with(".front-")).collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
    assert!(kills >= 4, "only {kills} kills");
}

#[test]
fn two_processes_share_a_search_and_count_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let pace = Pace(Duration::from_millis(2));
    let children = [(); 2].map(|()| process("searching_process", folder.path(), 1, pace));
    let own = children.map(|child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let line = text.lines().find_map(|line| line.split("own units: ").nth(1)).unwrap();
        line.parse::<u64>().unwrap()
    });
    assert!(own.iter().all(|own| *own > 0), "{own:?}");
    assert_eq!(own.iter().sum::<u64>(), UNITS, "each unit is done by one of them: {own:?}");
    let study = Study::open(folder.path()).unwrap();
    study.check().unwrap();
    assert_eq!(study.searches().unwrap().len(), 1);
    // Both checked the merged counts, archive, sample and miss against the undisturbed run before they finished.
    assert!(study.front().unwrap().unwrap() == toy::front(&toy::undisturbed()).0);
}

#[test]
fn a_worker_that_sleeps_past_its_lease_loses_its_claims_and_goes_on_from_what_it_saved() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let search = study.begin_search(&made_up::request(1)).unwrap().id;
    let mut slow = study.join_search(search, UNITS, Duration::ZERO).unwrap();
    let Claim::Units(first) = slow.claim(2).unwrap() else { panic!("units are free") };
    let mut state = toy::empty();
    first.iter().for_each(|unit| toy::visit(unit, &mut state));
    assert_eq!(slow.save(&state).unwrap(), SaveOutcome::Kept);
    let Claim::Units(second) = slow.claim(4).unwrap() else { panic!("units are free") };
    second.iter().for_each(|unit| toy::visit(unit, &mut state));

    // Its lease is over at once, though its process lives.
    let mut quick = study.join_search(search, UNITS, slimfit_study::LEASE).unwrap();
    assert!(quick.progress().unwrap().is_empty(), "the living one's progress stays its own");
    assert_eq!(quick.claim(3).unwrap(), Claim::Units(second.first(3)));
    let mut other = toy::empty();
    second.first(3).iter().for_each(|unit| toy::visit(unit, &mut other));
    assert_eq!(quick.save(&other).unwrap(), SaveOutcome::Kept);
    assert_eq!(quick.save(&other).unwrap(), SaveOutcome::Kept, "saving the same again changes nothing");

    assert_eq!(slow.save(&state).unwrap(), SaveOutcome::Lost(second.clone()));
    let back = toy::merged(slow.progress().unwrap());
    assert_eq!(back.done, first);
    toy::work(&mut quick, Pace(Duration::ZERO));
    toy::work(&mut slow, Pace(Duration::ZERO));
    toy::finish(&study, search);
    assert_eq!(slow.claim(1).unwrap(), Claim::Finished);
    assert_eq!(slow.save(&back).unwrap(), SaveOutcome::Finished);
}

#[test]
fn claims_of_the_dead_are_free_at_once_and_what_they_saved_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let search = study.begin_search(&made_up::request(1)).unwrap().id;
    let mut first = study.join_search(search, 10, slimfit_study::LEASE).unwrap();
    let mut state = toy::empty();
    assert_eq!(first.claim(4).unwrap(), Claim::Units(Units::from(0..4)));
    (0..2).for_each(|unit| toy::visit(unit, &mut state));
    assert_eq!(first.save(&state).unwrap(), SaveOutcome::Kept);
    assert_eq!(first.claim(100).unwrap(), Claim::Units(Units::from(4..10)));
    assert_eq!(first.claim(1).unwrap(), Claim::Wait);
    drop(first);
    let mut second = study.join_search(search, 10, slimfit_study::LEASE).unwrap();
    assert_eq!(second.progress().unwrap(), [state.clone()]);
    assert_eq!(second.claim(100).unwrap(), Claim::Units(Units::from(2..10)));
    (2..10).for_each(|unit| toy::visit(unit, &mut state));
    assert_eq!(second.save(&state).unwrap(), SaveOutcome::Kept);
    assert_eq!(second.claim(1).unwrap(), Claim::Done);
    assert_eq!(study.progress(search).unwrap().unwrap(), [state]);
    assert!(matches!(
        study.join_search(SearchId(9), 1, slimfit_study::LEASE),
        Err(StudyError::NoSearch { found: 9, .. })
    ));
}
