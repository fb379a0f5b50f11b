//! Schedules of made-up tasks.

use super::*;
use std::cell::Cell as Shared;

fn task<'a>(name: &str, log: &Log, take: impl FnMut() -> f64 + 'a) -> Task<'a> {
    let beside = Beside::near(0);
    Task { name: name.to_owned(), take: Box::new(take), beside, log: log.clone(), settling: 1 }
}

fn steady<'a>() -> SentinelRun<'a> {
    Box::new(|| 1.0)
}

/// One pool of one thread on a steady machine.
fn alone<'a>() -> Sentinels<'a> {
    Sentinels { near: vec![steady()], far: vec![steady()], barriers: vec![None], threads: vec![1] }
}

#[test]
fn every_task_is_measured_even_without_time_left() {
    let logs: Vec<Log> = (0..3).map(|_| Log::default()).collect();
    let mut tasks: Vec<Task<'_>> = logs.iter().map(|log| task("a", log, || 2.0)).collect();
    let mut seen = Vec::new();
    let quality = measure(&mut tasks, &alone(), Instant::now(), (0.2, 0.8), &mut |_, share| {
        seen.push(share);
        true
    })
    .unwrap();
    assert!(logs.iter().all(|log| log.figure().value == Some(2.0) && log.figure().n >= 1));
    assert_eq!((quality.flagged, quality.repeated), (0, 0));
    assert_eq!(quality.drift.value, Some(0.0));
    assert!(seen.iter().all(|share| (0.2..=0.8).contains(share)) && seen.is_sorted());
}

#[test]
fn a_cell_that_does_not_repeat_is_flagged_kept_and_measured_again() {
    let (log, calm) = (Log::default(), Log::default());
    let calls = Shared::new(0);
    let mut tasks = vec![
        task("steady", &calm, || 1.0),
        task("jumpy", &log, || {
            calls.set(calls.get() + 1);
            if calls.get() <= 1 + MOST_SAMPLES { 1.0 } else { 2.0 }
        }),
    ];
    let deadline = Instant::now() + Duration::from_millis(500);
    let quality = measure(&mut tasks, &alone(), deadline, (0.0, 1.0), &mut |_, _| true).unwrap();
    assert_eq!(quality.repeated, 1);
    assert_eq!(quality.flagged, 2 * MOST_SAMPLES as u64);
    assert_eq!(log.figure().n, 3 * MOST_SAMPLES as u64, "flagged samples are kept, and two visits agree now");
    assert_eq!(calm.figure().n, 2 * MOST_SAMPLES as u64, "what agreed is not measured again");
}

#[test]
fn what_runs_on_several_threads_is_measured_wherever_they_are_found() {
    // Threads are moved every 40 looks: samples tell where they were taken.
    let looks = Shared::new(0_usize);
    let far = || looks.get() / 40 % 2 == 1;
    let barrier = || {
        looks.set(looks.get() + 1);
        if far() { 190e-9 } else { 40e-9 }
    };
    let sentinels = Sentinels {
        near: vec![steady(), steady()],
        far: vec![steady(), steady()],
        barriers: vec![None, Some(Box::new(barrier))],
        threads: vec![1, 2],
    };
    let (one, two) = (Log::default(), Log::default());
    let mut tasks = vec![task("one", &one, || 1.0)];
    tasks.extend(
        (0..20)
            .map(|_| Task { beside: Beside::near(1), ..task("two", &two, || if far() { 5.0 } else { 3.0 }) }),
    );
    let deadline = Instant::now() + Duration::from_millis(2000);
    let quality = measure(&mut tasks, &sentinels, deadline, (0.0, 1.0), &mut |_, _| true).unwrap();
    assert!(!quality.looks[0].1.are_two() && quality.looks[1].1.are_two());
    let figures = |view: View<'_>| (two.figure_in(view, 2), one.figure_in(view, 1));
    let [(usual, alone), (other, nothing)] =
        [View::usual(&quality.looks), View::other(&quality.looks)].map(figures);
    let mut values = [usual.value.unwrap(), other.value.unwrap()];
    values.sort_by(f64::total_cmp);
    assert_eq!(values, [3.0, 5.0]);
    assert!(usual.low == usual.high && other.low == other.high, "no sample is of both: {usual:?} {other:?}");
    assert_eq!((alone.value, nothing.value), (Some(1.0), None));
}

#[test]
fn where_threads_never_lie_still_every_task_has_its_turn() {
    // They are moved during every visit, now one way and now the other.
    let looks = Shared::new(0_usize);
    let barrier = || {
        looks.set(looks.get() + 1);
        if [0, 1].contains(&(looks.get() % 4)) { 190e-9 } else { 40e-9 }
    };
    let sentinels = Sentinels { barriers: vec![Some(Box::new(barrier))], threads: vec![2], ..alone() };
    let logs: Vec<Log> = (0..20).map(|_| Log::default()).collect();
    let mut tasks: Vec<Task<'_>> = logs.iter().map(|log| task("two", log, || 1.0)).collect();
    let deadline = Instant::now() + Duration::from_millis(500);
    let quality = measure(&mut tasks, &sentinels, deadline, (0.0, 1.0), &mut |_, _| true).unwrap();
    assert!(quality.looks[0].1.are_two());
    assert!(Instant::now() < deadline, "all had their turns in time");
    assert!(logs.iter().all(|log| log.figure().n >= 2 * MOST_SAMPLES as u64));
}

#[test]
fn one_hiccup_is_no_drift() {
    let mut rates = vec![100.0; 40];
    rates[7] = 1.0;
    let figure = drift(&[rates, vec![100.0, 102.0, 104.0]]);
    assert!(figure.value.is_some_and(|value| (0.02..0.04).contains(&value)), "{figure:?}");
    assert_eq!(drift(&[vec![1.0]]).value, None);
}

#[test]
fn the_caller_can_stop() {
    let mut tasks = vec![task("a", &Log::default(), || 1.0), task("b", &Log::default(), || 1.0)];
    let deadline = Instant::now() + Duration::from_secs(60);
    let result = measure(&mut tasks, &alone(), deadline, (0.0, 1.0), &mut |name, _| name != "b");
    assert!(matches!(result, Err(ProbeError::Stopped)));
}

#[test]
fn what_a_neighbour_slowed_is_measured_again_and_left_out() {
    // In three of eleven visits the machine has half its speed, before, meanwhile and after.
    let visits = Shared::new(0_usize);
    let slow = || visits.get() * 7 % 11 < 3;
    let near = || if slow() { 0.5 } else { 1.0 };
    let sentinels = Sentinels { near: vec![Box::new(near)], ..alone() };
    let logs: Vec<Log> = (0..20).map(|_| Log::default()).collect();
    let mut tasks: Vec<Task<'_>> =
        logs.iter().map(|log| task("cell", log, || if slow() { 2.0 } else { 1.0 })).collect();
    let deadline = Instant::now() + Duration::from_secs(2);
    let quality = measure(&mut tasks, &sentinels, deadline, (0.0, 1.0), &mut |_, _| {
        visits.set(visits.get() + 1);
        true
    })
    .unwrap();
    assert!(quality.repeated > 0 && quality.flagged > 0 && quality.drift.value == Some(1.0));
    for log in &logs {
        let figure = log.figure();
        assert_eq!((figure.low, figure.value, figure.high), (Some(1.0), Some(1.0), Some(1.0)), "{figure:?}");
    }
}

#[test]
fn a_cell_that_was_only_seen_slowed_keeps_what_was_seen() {
    let slow = Shared::new(false);
    let near = || if slow.get() { 0.5 } else { 1.0 };
    let sentinels = Sentinels { near: vec![Box::new(near)], ..alone() };
    let logs: Vec<Log> = (0..3).map(|_| Log::default()).collect();
    let mut tasks: Vec<Task<'_>> =
        logs.iter().map(|log| task("cell", log, || if slow.get() { 2.0 } else { 1.0 })).collect();
    tasks[2].name = "slow".to_owned();
    measure(&mut tasks, &sentinels, Instant::now(), (0.0, 1.0), &mut |name, _| {
        slow.set(name == "slow");
        true
    })
    .unwrap();
    assert_eq!(logs[2].figure().value, Some(2.0));
}
