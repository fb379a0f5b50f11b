//! Commands that behave and commands that do not.

use super::*;
use std::process::Command;

#[test]
fn a_command_that_prints_watts_is_a_meter_named_after_it() {
    let command = "while :; do echo '5 W'; sleep 0.02; done";
    let mut meter = CommandMeter::start(command).unwrap();
    assert_eq!(meter.name(), format!("command `{command}`"));
    let before = meter.joules(0.0).unwrap();
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(100));
    let joules = meter.joules(0.0).unwrap() - before;
    let seconds = start.elapsed().as_secs_f64();
    // Only what the two clocks read apart from each other separates them.
    assert!((joules / 5.0 - seconds).abs() < 0.05, "{joules} J in {seconds} s at 5 W");
    assert!(meter.interval_seconds() > 0.0);
}

#[test]
fn a_command_that_dies_half_way_is_an_error_with_its_last_complaint() {
    let mut meter =
        CommandMeter::start("echo '5 W'; echo '5 W'; sleep 0.1; echo 'plug unreachable' >&2").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        match meter.joules(0.0) {
            Err(error) if error.to_string().contains("plug unreachable") => break error,
            _ => assert!(Instant::now() < deadline, "it never ended"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(matches!(error, MeterError::Ended { .. }), "{error}");
}

#[test]
fn a_command_that_prints_garbage_is_an_error_that_shows_it() {
    let error = CommandMeter::start("echo '5 W'; echo oops; sleep 5").unwrap_err();
    assert!(error.to_string().contains("`oops`"), "{error}");
}

#[test]
fn a_command_that_does_not_exist_or_says_nothing_is_no_meter() {
    let missing = CommandMeter::start("slimfit-no-such-program").unwrap_err();
    assert!(matches!(missing, MeterError::Ended { .. }), "{missing}");
    let silent = CommandMeter::start_within("echo 5; sleep 60", 0.2).unwrap_err();
    assert!(silent.to_string().contains("fewer than two lines in 0.2 s"), "{silent}");
}

#[test]
fn what_a_command_started_ends_with_its_meter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let command = format!("(echo $$ > '{}'; while :; do echo 1; sleep 0.01; done) | cat", file.display());
    let meter = CommandMeter::start(&command).unwrap();
    let group = meter.child.id();
    drop(meter);
    // The loop's own shell is in the group, and a group that is empty has no number any more.
    let deadline = Instant::now() + Duration::from_secs(10);
    while Command::new("/bin/sh")
        .args(["-c", &format!("kill -0 -- -{group}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        assert!(Instant::now() < deadline, "group {group} is still alive");
        std::thread::sleep(Duration::from_millis(10));
    }
}
