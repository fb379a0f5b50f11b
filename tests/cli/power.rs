//! Energy in what the commands print: measured by a command, modelled from given watts, or left out and said so.

use crate::harness::Slimfit;
use crate::measured::machine;
use serde_json::Value;

const MEASURE: [&str; 9] =
    ["measure", "smallest.json", "--prompt", "8", "--generate", "8", "--rounds", "2", "--json"];

/// What `measure` prints with more arguments.
fn measured(arguments: &[&str]) -> Value {
    let machine = machine();
    machine.write_smallest();
    let all = MEASURE.iter().chain(&["--no-memory"]).chain(arguments);
    Slimfit::new(all).folder(machine.folder()).run().done().object("measure")
}

#[test]
fn search_drops_energy_with_a_warning_where_nothing_tells_power_and_takes_given_watts() {
    let machine = machine();
    let search = |arguments: &[&str]| {
        let all = ["search", "--json"].iter().chain(arguments);
        Slimfit::new(all).folder(machine.folder()).run().done().object("search")
    };
    let names = |head: &Value| -> Vec<String> {
        let objectives = head["objectives"].as_array().unwrap().iter();
        objectives.map(|objective| objective["name"].as_str().unwrap().to_owned()).collect()
    };
    let warned = |head: &Value| head["warnings"].as_array().unwrap().iter().any(|w| w["code"] == "no-energy");
    let plain = search(&["--out", "plain"]);
    let metered = !machine.profile["power"]["idle_watts"]["value"].is_null();
    assert_eq!(names(&plain).iter().any(|name| name == "joules_per_token"), metered);
    assert_eq!(warned(&plain), !metered);
    let given = search(&["--out", "given", "--power-watts", "2.5,6.5", "--max-energy", "5"]);
    assert!(names(&given).iter().any(|name| name == "joules_per_token"));
    assert!(!warned(&given));
    let front = machine.json("given/front.json");
    for point in front["points"].as_array().unwrap() {
        let objectives = &point["objectives"];
        let (joules, seconds) = (&objectives["joules_per_token"], &objectives["tpot_seconds"]);
        let watts = joules.as_f64().unwrap() / seconds.as_f64().unwrap();
        assert!((watts / 6.5 - 1.0).abs() < 1e-9, "{watts} W");
    }
    let kept = std::fs::read_to_string(machine.folder().join("given/profile.yaml")).unwrap();
    assert!(kept.contains("watts given by the user: 2.5 W idle, 6.5 W loaded"));
}

#[test]
fn given_watts_make_modelled_joules_that_name_them() {
    let object = measured(&["--power-watts", "2.5,6.5"]);
    let predicted = &object["predicted"]["joules_per_token"];
    assert_eq!(predicted["source"], "modelled");
    assert!(predicted["citation"].as_str().unwrap().contains("2.5 W idle, 6.5 W loaded"), "{predicted}");
    let found = &object["measured"]["joules_per_token"];
    assert_eq!(found["source"], "unavailable");
    assert!(found["reason"].as_str().unwrap().contains("given"), "{found}");
}

#[test]
#[cfg(unix)]
fn a_power_command_measures_the_joules_of_a_token() {
    let object = measured(&["--power-command", "while :; do echo '5 W'; sleep 0.02; done"]);
    let joules = &object["measured"]["joules_per_token"];
    assert_eq!(joules["source"], "measured", "{joules}");
    let watts =
        joules["value"].as_f64().unwrap() / object["measured"]["tpot_seconds"]["value"].as_f64().unwrap();
    // The energy of a run holds what lies between its sentinels, a little more than its tokens.
    assert!(watts > 4.0, "{watts} W");
}

#[test]
#[cfg(unix)]
fn a_power_command_that_prints_no_power_leaves_joules_unavailable_with_what_it_printed() {
    let object = measured(&["--power-command", "echo lost"]);
    let joules = &object["measured"]["joules_per_token"];
    assert_eq!(joules["source"], "unavailable");
    assert!(joules["reason"].as_str().unwrap().contains("`lost`"), "{joules}");
}

#[test]
fn impossible_watts_and_two_sources_of_power_are_refused() {
    for arguments in [
        ["profile", "--power-watts", "6.5,2.5"].as_slice(),
        &["search", "--power-watts", "6.5"],
        &["run", "--power-watts", "2,5", "--power-command", "cat"],
    ] {
        let finished = Slimfit::new(arguments.iter().chain(&["--json"])).run();
        assert_eq!(finished.code, 2, "{arguments:?}: {} {}", finished.stdout, finished.stderr);
        assert!(
            finished.stdout.contains("power-watts") || finished.stdout.contains("2.7,6.5"),
            "{}",
            finished.stdout
        );
    }
}

#[test]
fn a_battery_lasts_as_long_as_its_requests_let_it() {
    let machine = machine();
    machine.write_smallest();
    let explain = |more: &[&str]| {
        let arguments = ["explain", "smallest.json", "--prompt=64", "--generate=16", "--json"];
        Slimfit::new(arguments.iter().chain(more)).folder(machine.folder()).run()
    };
    let given = ["--power-watts=2,6", "--battery=18Wh"];
    let back_to_back = explain(&given).done().object("explain")["battery"].clone();
    let hours = back_to_back["hours"]["value"].as_f64().unwrap();
    assert!((hours - 3.0).abs() < 1e-9, "always at work at 6 W, 18 Wh last 3 h, not {hours}");
    assert_eq!(back_to_back["hours"]["source"], "modelled");
    let rarely = explain(&[&given[..], &["--requests-per-hour=2", "--wake-up=2s"]].concat());
    let rarely = rarely.done().object("explain")["battery"].clone();
    let hours = rarely["hours"]["value"].as_f64().unwrap();
    assert!((8.9..9.0).contains(&hours), "nearly always idle at 2 W: {hours}");
    assert!(rarely["wake_up_joules"]["value"].as_f64().unwrap() > 11.9);
    let error = explain(&["--battery=18Wh"]);
    assert_eq!(error.code, 2, "no meter and no watts: {}", error.stdout);
    assert!(explain(&["--battery=18parsecs", "--power-watts=2,6"]).stdout.contains("18parsecs"));
}
