//! `study show` and `study export`, and studies that cannot be read or written.

use crate::harness::{Slimfit, validate};
use crate::measured::{Machine, machine};
use serde_json::Value;

fn shown(machine: &Machine) -> Value {
    let arguments = ["study", "show", "study", "--check", "--json"];
    Slimfit::new(arguments).folder(machine.folder()).run().done().object("study")
}

#[test]
fn show_lists_every_search_with_the_hashes_of_what_it_read() {
    let machine = machine();
    let first = shown(&machine);
    let searches = first["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 1, "{first}");
    assert_eq!(searches[0]["state"], "finished");
    let front = machine.json("study/front.json");
    assert_eq!(
        searches[0]["front"]["front_size"].as_u64().unwrap(),
        front["points"].as_array().unwrap().len() as u64
    );
    let of_kind = |kind: &str| {
        let inputs = searches[0]["inputs"].as_array().unwrap();
        inputs.iter().find(|input| input["kind"] == kind).unwrap()["sha256"].clone()
    };
    assert_eq!(of_kind("space"), front["space"]["sha256"]);
    for kind in ["profile", "workload", "recipe"] {
        let copy = std::fs::read(machine.folder().join(format!("study/{kind}.yaml"))).unwrap();
        assert_eq!(of_kind(kind), slimfit_document::sha256_hex(&copy), "{kind}");
    }

    // A search with another limit stands beside it, and is the one that is shown from now on.
    let again = ["search", "--max-memory", "128MiB", "--out", "study"];
    Slimfit::new(again).folder(machine.folder()).run().done();
    let second = shown(&machine);
    let searches = second["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 2);
    assert_eq!(searches[0], first["searches"][0], "the first search is as it was");
    assert_eq!(searches[1]["constraints"][0]["name"], "memory_bytes");
    let newest = machine.json("study/front.json")["front_size"].clone();
    assert_eq!(searches[1]["front"]["front_size"], newest);
    let text = Slimfit::new(["study", "show", "study"]).folder(machine.folder()).run().done().stdout;
    assert!(text.contains("space") && text.contains("finished"), "{text}");
}

#[test]
fn the_front_is_exported_as_csv_json_and_parquet() {
    let machine = machine();
    let front = machine.json("study/front.json");
    let points = front["points"].as_array().unwrap();
    let export = |format: &str, table: &str| {
        let file = format!("{table}.{format}");
        let arguments =
            ["study", "export", "--study", "study", "--format", format, "--table", table, "--out"];
        let command = Slimfit::new(arguments).argument(&file).argument("--json").folder(machine.folder());
        let object = command.run().done().object("study-export");
        assert_eq!(object["files"][0]["kind"], format);
        (object, std::fs::read(machine.folder().join(&file)).unwrap())
    };
    let (object, csv) = export("csv", "front");
    assert_eq!(object["rows"].as_u64().unwrap(), points.len() as u64);
    let mut lines = csv::Reader::from_reader(csv.as_slice());
    let loss = lines.headers().unwrap().iter().position(|name| name == "loss").unwrap();
    let rows: Vec<csv::StringRecord> = lines.records().map(Result::unwrap).collect();
    for (row, point) in rows.iter().zip(points) {
        assert_eq!(Some(&row[0]), point["id"].as_str());
        assert_eq!(row[loss].parse::<f64>().unwrap(), point["objectives"]["loss"].as_f64().unwrap());
        assert!(row[1].parse::<u64>().is_ok(), "every point has its place in the space");
    }
    let (_, json) = export("json", "front");
    let json: Value = serde_json::from_slice(&json).unwrap();
    let errors = validate("study-table", &json);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    for (row, point) in json["rows"].as_array().unwrap().iter().zip(points) {
        assert_eq!((&row["id"], &row["loss"]), (&point["id"], &point["objectives"]["loss"]));
    }
    let (object, parquet) = export("parquet", "sample");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert!(object["rows"].as_u64().unwrap() > 0);

    let arguments =
        ["study", "export", "--study", "study", "--format", "csv", "--json", "--out", "x.csv", "--table"];
    let refused = |table: &str| Slimfit::new(arguments).argument(table).folder(machine.folder()).run();
    refused("measurements").refused("no-rows");
    refused("beauty").refused("usage");
    refused("front").done();
    let unknown = Slimfit::new(arguments).argument("front").argument("--search=9").folder(machine.folder());
    assert!(unknown.run().refused("study")["message"].as_str().unwrap().contains("no search 9"));
    assert!(!machine.folder().join("x.csv.tmp").exists());
}

#[test]
fn studies_of_other_programs_and_versions_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let show = |path: &str| Slimfit::new(["study", "show", path, "--json"]).folder(folder.path()).run();
    assert!(show("none").refused("study")["message"].as_str().unwrap().contains("none"));
    std::fs::create_dir(folder.path().join("text")).unwrap();
    std::fs::write(
        folder.path().join("text/study.sqlite"),
        "no database at all, but a longer text".repeat(9),
    )
    .unwrap();
    let error = show("text").refused("study");
    assert!(
        error["file"].as_str().unwrap().ends_with("study.sqlite") && error["hint"].is_string(),
        "{error}"
    );
    // A later version: the number in the file's header that SQLite keeps for its user.
    drop(slimfit_study::Study::create(&folder.path().join("later")).unwrap());
    let file = folder.path().join("later/study.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&77_u32.to_be_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let error = show("later").refused("study-version");
    assert_eq!((&error["found"], &error["allowed"]), (&"77".into(), &"1 to 2".into()));
    assert!(std::fs::read(&file).unwrap() == bytes, "it stays as it is");
}

/// The system refuses to make any file longer than so many blocks of 512 bytes, as a full disk or a quota would.
#[cfg(unix)]
#[test]
fn a_disk_without_room_is_said_as_such_and_nothing_is_lost() {
    let machine = machine();
    let before = std::fs::read(machine.folder().join("study/front.json")).unwrap();
    let shown_before = shown(&machine)["searches"][0]["front"].clone();
    let mut refused = 0;
    for blocks in [8, 100, 400] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let output = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_slimfit")])
            .args(["search", "--max-memory", "300MiB", "--out", "study", "--json"])
            .current_dir(machine.folder())
            .output()
            .unwrap();
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        if output.status.success() {
            continue;
        }
        refused += 1;
        assert_eq!(output.status.code(), Some(2), "{blocks}: {error}");
        assert!(validate("error", &error).is_empty(), "{error}");
        let error = &error["error"];
        assert!(
            ["write-failed", "disk-full"].contains(&error["code"].as_str().unwrap()),
            "{blocks}: {error}"
        );
        assert!(error["file"].as_str().unwrap().contains("study") && error["hint"].is_string(), "{error}");
        assert!(std::fs::read(machine.folder().join("study/front.json")).unwrap() == before, "{blocks}");
        assert_eq!(shown(&machine)["searches"][0]["front"], shown_before, "{blocks}");
    }
    assert!(refused >= 2, "the limits were too high to bind");
    let again = ["search", "--max-memory", "300MiB", "--out", "study"];
    Slimfit::new(again).folder(machine.folder()).run().done();
    assert!(
        shown(&machine)["searches"].as_array().unwrap().iter().any(|search| search["state"] == "finished")
    );
}
