//! Streams, exit codes and help.

use crate::harness::{Slimfit, commands};

#[test]
fn help_goes_to_stdout_and_shows_an_example_for_every_command() {
    let commands = commands();
    assert!(commands.iter().any(|name| name == "completions"), "{commands:?}");
    for name in commands {
        let finished = Slimfit::new([name.as_str(), "--help"]).run().done();
        assert!(
            finished.stdout.contains("Example:\n  slimfit"),
            "`{name} --help` has no example:\n{}",
            finished.stdout
        );
        assert_eq!(finished.stderr, "");
    }
}

#[test]
fn the_version_is_the_crate_s() {
    let finished = Slimfit::new(["--version"]).run().done();
    assert_eq!(finished.stdout.trim(), concat!("slimfit ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_misspelt_command_is_refused_with_the_nearest() {
    let finished = Slimfit::new(["complations"]).run();
    assert_eq!(finished.code, 2);
    assert!(
        finished.stderr.contains("`completions`") || finished.stderr.contains("'completions'"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stdout, "");
}

#[test]
fn with_json_a_usage_error_is_one_object_on_stdout() {
    let finished = Slimfit::new(["completions", "tcsh", "--json"]).run();
    let error = finished.refused("usage");
    assert_eq!(error["found"], "tcsh");
    assert!(error["allowed"].as_str().unwrap().contains("zsh"), "{error}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Slimfit::new(["completions", "bash"]).spawn();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_is_coloured_when_nobody_looks() {
    let finished = Slimfit::new(["completions", "--help"]).run().done();
    assert!(!finished.stdout.contains('\u{1b}'));
}
