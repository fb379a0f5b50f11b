//! What each command prints with `--json` is what `tests/schemas/` says, and what it says is so.

use crate::harness::{Slimfit, root, schema_names, validate};
use crate::measured::machine;
use serde_json::Value;
use std::path::Path;

#[test]
fn every_schema_is_itself_valid_and_accepts_no_empty_object() {
    let names = schema_names();
    assert!(names.len() >= 13, "{names:?}");
    for name in names.iter().filter(|name| *name != "common") {
        let errors = validate(name, &Value::Object(serde_json::Map::new()));
        assert!(!errors.is_empty(), "schema `{name}` accepts anything");
    }
}

#[test]
fn completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let object = Slimfit::new(["completions", shell, "--json"]).run().done().object("completions");
        assert!(object["script"].as_str().unwrap().contains("slimfit"), "{shell}");
    }
}

#[test]
fn models_have_the_published_counts() {
    let object = Slimfit::new(["models", "--json"]).run().done().object("models");
    let models = object["models"].as_array().unwrap();
    let families: std::collections::BTreeSet<&str> =
        models.iter().map(|model| model["family"].as_str().unwrap()).collect();
    assert!(families.len() >= 10, "{families:?}");
    for model in models.iter().filter(|model| model["rounded_to"] == 1) {
        let (ours, theirs) = (&model["parameters"]["total"], &model["published_parameters"]);
        // Some sources leave norms out; the formats' own table test knows which.
        let (ours, theirs) = (ours.as_u64().unwrap(), theirs.as_u64().unwrap());
        assert!(ours >= theirs && ours - theirs < ours / 1000, "{model}");
    }
}

#[test]
fn inspect_counts_tensors_and_bytes_that_add_up() {
    let object = Slimfit::new(["inspect", "smollm2-135m", "--json"]).run().done().object("inspect");
    assert_eq!(object["parameters"]["total"], 134_515_008);
    let sum: u64 = object["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| tensor["parameters"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 134_515_008);
    assert_eq!(object["bytes"]["weights"]["f32"], 4 * 134_515_008_u64);
    let per_token = object["bytes"]["kv_cache_per_token"].as_u64().unwrap();
    assert_eq!(object["bytes"]["kv_cache"], 512 * per_token);
    // Of its matrices only the 30 `down` ones have rows of whole blocks of 256 (1536 values; all others have 576).
    let norms = 61 * 576;
    let down = 30 * 576 * 1536;
    let apart = 134_515_008 - norms - down;
    assert_eq!(object["bytes"]["mixed"]["q4_k"], serde_json::json!({ "q8_0": apart }));
    assert_eq!(object["bytes"]["weights"]["q4_k"], apart / 32 * 34 + down / 256 * 144 + 4 * norms);
    assert_eq!(object["bytes"]["mixed"]["q4_0"], serde_json::Value::Null);
}

#[test]
fn space_tells_its_size_its_range_and_ten_points() {
    for (name, size) in [("slm-demo", 101_088_u64), ("slm-edge", 1_170_324_000)] {
        let object = Slimfit::new(["space", name, "--json"]).run().done().object("space-summary");
        assert_eq!(object["size"], size);
        assert!(object["possible"].as_u64().unwrap() < size);
        let product: u64 =
            object["axes"].as_array().unwrap().iter().map(|axis| axis["values"].as_u64().unwrap()).product();
        assert_eq!(product, size);
        let examples = object["examples"].as_array().unwrap();
        assert_eq!(examples.len(), 10);
        let parameters: Vec<u64> =
            examples.iter().map(|point| point["parameters"].as_u64().unwrap()).collect();
        assert!(parameters.is_sorted(), "{parameters:?}");
    }
    let text = Slimfit::new(["space", "slm-edge"]).run().done().stdout;
    assert!(
        text.contains("1\u{202f}170\u{202f}324\u{202f}000") && text.contains("left out without `--assume`"),
        "{text}"
    );
    let refused = Slimfit::new(["space", "slm-egde"]).run();
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("did you mean `slm-edge`?"), "{}", refused.stderr);
}

#[test]
fn inspect_reads_back_what_it_printed() {
    let folder = tempfile::tempdir().unwrap();
    let first = Slimfit::new(["inspect", "qwen2.5-0.5b", "--json"]).run().done().object("inspect");
    let mut architecture = first["architecture"].clone();
    architecture["schema"] = "slimfit/architecture/v1".into();
    let file = folder.path().join("architecture.json");
    std::fs::write(&file, architecture.to_string()).unwrap();
    let second = Slimfit::new(["inspect".as_ref(), file.as_os_str(), "--json".as_ref()])
        .run()
        .done()
        .object("inspect");
    assert_eq!((&second["id"], &second["parameters"]), (&first["id"], &first["parameters"]));
}

#[test]
fn profile_prints_the_tree_of_its_file() {
    let machine = machine();
    let printed = &machine.profile;
    let file = machine.folder().join(printed["file"].as_str().unwrap());
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("schema: slimfit/profile/v1\n"), "{}", &text[..200]);
    for secret in ["HOSTNAME", "HOME", "USER"].iter().filter_map(|name| std::env::var(name).ok()) {
        assert!(secret.len() < 5 || !text.contains(&secret), "the profile holds `{secret}`");
    }
}

#[test]
fn search_counts_every_point_and_its_front_keeps_the_limits() {
    let machine = machine();
    let arguments = ["search", "--max-memory", "128MiB", "--out", "limited", "--json"];
    let head = Slimfit::new(arguments).folder(machine.folder()).run().done().object("search");
    let count = |name: &str| head[name].as_u64().unwrap();
    let pruned: u64 =
        head["pruned"].as_array().unwrap().iter().map(|bound| bound["count"].as_u64().unwrap()).sum();
    assert_eq!(count("space_size"), count("invalid") + count("evaluated") + pruned + count("unvisited"));
    let front = machine.json("limited/front.json");
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let points = front["points"].as_array().unwrap();
    assert_eq!(points.len() as u64, count("front_size"));
    assert!(points.len() > 10, "{}", points.len());
    assert!(
        points.iter().all(|point| point["objectives"]["memory_bytes"].as_f64().unwrap() <= 134_217_728.0)
    );
}

#[test]
fn searching_twice_finds_the_same() {
    let machine = machine();
    for folder in ["first", "second"] {
        Slimfit::new(["search", "--out", folder]).folder(machine.folder()).run().done();
    }
    let points = |folder: &str| machine.json(&format!("{folder}/front.json"))["points"].clone();
    assert!(points("first") == points("second"), "the two fronts differ");
}

#[test]
fn a_limit_that_nothing_keeps_names_the_nearest_miss() {
    let arguments = ["search", "--max-memory", "1MiB", "--out", "impossible", "--json"];
    let machine = machine();
    let head = Slimfit::new(arguments).folder(machine.folder()).run().done().object("search");
    assert_eq!(head["front_size"], 0);
    let broken = &head["nearest_miss"]["breaks"][0];
    assert_eq!(broken["name"], "memory_bytes");
    assert!(broken["value"].as_f64().unwrap() > 1_048_576.0);
}

#[test]
fn a_front_of_allowed_distance_says_so_and_is_smaller() {
    let machine = machine();
    let head = |more: &[&str], out: &str| {
        let arguments = [&["search", "--out", out, "--json"], more].concat();
        Slimfit::new(arguments).folder(machine.folder()).run().done().object("search")
    };
    let exact = head(&[], "exact");
    let near = head(&["--epsilon", "0.05"], "near");
    assert_eq!((&near["exact"], &near["epsilon"]), (&Value::Bool(false), &serde_json::json!(0.05)));
    assert_eq!((&exact["exact"], &exact["epsilon"]), (&Value::Bool(true), &serde_json::json!(0.0)));
    assert!(near["front_size"].as_u64().unwrap() < exact["front_size"].as_u64().unwrap());
    assert!(near["warnings"].to_string().contains("search-within-epsilon"), "{}", near["warnings"]);
    // Enough time for all passes, the exact one included.
    let timed = head(&["--max-seconds", "100s"], "timed");
    assert_eq!((&timed["epsilon"], &timed["front_size"]), (&exact["epsilon"], &exact["front_size"]));
    let refused = ["search", "--epsilon", "1.5", "--out", "refused", "--json"];
    let error = Slimfit::new(refused).folder(machine.folder()).run();
    assert_eq!(error.code, 2);
    assert!(error.stdout.contains("epsilon"), "{}", error.stdout);
}

#[test]
fn every_valid_point_can_be_written_out() {
    let machine = machine();
    let arguments = ["search", "--out", "dumped", "--dump-all", "all.csv", "--json"];
    let head = Slimfit::new(arguments).folder(machine.folder()).run().done().object("search");
    let text = std::fs::read_to_string(machine.folder().join("all.csv")).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert!(columns.starts_with(&["id", "layers"]), "{columns:?}");
    let objectives: Vec<usize> = head["objectives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|objective| columns.iter().position(|column| objective["name"] == **column).unwrap())
        .collect();
    let points: Vec<(&str, Vec<f64>)> = lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0], objectives.iter().map(|&column| cells[column].parse().unwrap()).collect())
        })
        .collect();
    // Bounds leave some valid points unseen, and nothing else does.
    let seen = head["evaluated"].as_u64().unwrap();
    let pruned: u64 =
        head["pruned"].as_array().unwrap().iter().map(|bound| bound["count"].as_u64().unwrap()).sum();
    assert!((seen..=seen + pruned).contains(&(points.len() as u64)), "{} {head}", points.len());
    // The front is that of the dump, by the definition.
    let front = machine.json("dumped/front.json");
    let front: std::collections::BTreeSet<&str> =
        front["points"].as_array().unwrap().iter().map(|point| point["id"].as_str().unwrap()).collect();
    let (on, off): (Vec<_>, Vec<_>) = points.iter().partition(|(id, _)| front.contains(id));
    assert_eq!(on.len(), front.len());
    let dominates = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
    let dominated = |point: &[f64]| on.iter().any(|(_, other)| dominates(other, point));
    assert!(on.iter().all(|(_, point)| !dominated(point)));
    assert!(off.iter().all(|(_, point)| dominated(point)));
}

#[test]
fn measure_puts_the_prediction_beside_the_run() {
    let machine = machine();
    let arguments =
        ["measure", "smallest.json", "--prompt", "16", "--generate", "4", "--rounds", "1", "--json"];
    machine.write_smallest();
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("measure");
    for name in
        ["prefill_tokens_per_s", "decode_tokens_per_s", "ttft_seconds", "tpot_seconds", "peak_memory_bytes"]
    {
        assert_eq!(object["measured"][name]["source"], "measured", "{name}");
        assert_eq!(object["predicted"][name]["source"], "modelled", "{name}: {}", object["predicted"][name]);
    }
    assert_eq!(object["measured"]["joules_per_token"]["source"], "unavailable");
    let shares: f64 = object["operations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|operation| operation["phase"] == "decode")
        .map(|operation| operation["share_of_time"].as_f64().unwrap())
        .sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
}

#[test]
fn the_terms_of_an_explanation_add_up_to_the_prediction() {
    let machine = machine();
    machine.write_smallest();
    let explain = |more: &[&str]| {
        let arguments = ["explain", "smallest.json", "--generate=5", "--json"];
        Slimfit::new(arguments.iter().chain(more)).folder(machine.folder()).run()
    };
    let object = explain(&["--prompt=600", "--depth=40"]).done().object("explain");
    assert_eq!(object["phases"][1]["depth_tokens"], 42, "the mean over five tokens");
    for (place, name) in ["ttft_seconds", "tpot_seconds"].into_iter().enumerate() {
        let predicted = object["predicted"][name]["value"].as_f64().unwrap();
        let operations = object["phases"][place]["operations"].as_array().unwrap();
        let sum: f64 = operations.iter().map(|operation| operation["seconds"].as_f64().unwrap()).sum();
        assert!((sum / predicted - 1.0).abs() < 1e-9, "{name}: {sum} and {predicted}");
        let shares: f64 = operations.iter().map(|operation| operation["share"].as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }
    let threads = object["threads"].as_u64().unwrap();
    let by_threads = object["by_threads"].as_array().unwrap();
    let best = by_threads
        .iter()
        .min_by(|a, b| a["tpot_seconds"].as_f64().unwrap().total_cmp(&b["tpot_seconds"].as_f64().unwrap()));
    assert_eq!(best.unwrap()["threads"], threads);
    let only = explain(&["--threads=1", "--prompt=0"]).done().object("explain");
    assert_eq!(only["phases"].as_array().map(Vec::len), Some(1), "no prompt, no prefill");
    assert_eq!(explain(&["--threads=999"]).code, 2);
}

#[test]
fn without_a_profile_the_prediction_is_unavailable_with_the_reason() {
    let machine = machine();
    machine.write_smallest();
    let file = machine.folder().join("smallest.json");
    let arguments: [&std::ffi::OsStr; 8] = [
        "measure".as_ref(),
        file.as_os_str(),
        "--prompt=8".as_ref(),
        "--generate=2".as_ref(),
        "--rounds=1".as_ref(),
        "--no-memory".as_ref(),
        "--weights=q4_0".as_ref(),
        "--json".as_ref(),
    ];
    let object = Slimfit::new(arguments).run().done().object("measure");
    let reason = object["predicted"]["tpot_seconds"]["reason"].as_str().unwrap();
    assert!(reason.contains("slimfit profile"), "{reason}");
}

#[test]
fn every_weight_and_cache_format_is_predicted_and_runs() {
    let machine = machine();
    machine.write_smallest();
    for (weights, kv) in [("f16", "f32"), ("q4_k", "q8_0"), ("q6_k", "f16"), ("q8_0", "q8_0")] {
        let arguments = ["measure", "smallest.json", "--prompt=8", "--generate=2", "--rounds=1", "--json"];
        let object = Slimfit::new(arguments)
            .argument(format!("--weights={weights}"))
            .argument(format!("--kv={kv}"))
            .folder(machine.folder())
            .run()
            .done()
            .object("measure");
        assert_eq!((&object["weights"], &object["kv"]), (&weights.into(), &kv.into()));
        for name in ["prefill_tokens_per_s", "decode_tokens_per_s", "peak_memory_bytes"] {
            assert_eq!(object["measured"][name]["source"], "measured", "{name} in {weights}");
            assert_eq!(object["predicted"][name]["source"], "modelled", "{name} in {weights}");
        }
    }
}

#[test]
fn logits_of_given_tokens_are_a_numpy_file_and_repeat() {
    let machine = machine();
    machine.write_smallest();
    std::fs::write(machine.folder().join("tokens.txt"), "1, 2 3\n4").unwrap();
    let logits = |file: &str, seed: &str| {
        let arguments =
            ["measure", "smallest.json", "--token-ids", "tokens.txt", "--logits", file, "--seed", seed];
        Slimfit::new(arguments).folder(machine.folder()).run().done();
        std::fs::read(machine.folder().join(file)).unwrap()
    };
    let first = logits("a.npy", "1");
    assert!(first.starts_with(b"\x93NUMPY"));
    let vocabulary = 32768;
    assert_eq!(first.len() % 64, 0);
    assert!(first.len() > 4 * 4 * vocabulary && first.len() < 4 * 4 * vocabulary + 256);
    assert!(first == logits("b.npy", "1"), "the same seed gave other logits");
    assert!(first != logits("c.npy", "2"), "another seed gave the same logits");
}

#[test]
fn verify_prints_what_it_predicted_and_ran_and_checks_what_is_required() {
    let machine = machine();
    let arguments = ["verify", "--samples", "2", "--depth", "32", "--prompt", "16", "--no-memory", "--json"];
    let requirements = ["--require", "summary.decode.n>=2", "--require", "normalised.prefill.mape<=1000"];
    let finished = Slimfit::new(arguments.iter().chain(&requirements)).folder(machine.folder()).run().done();
    let object = finished.object("verify");
    assert_eq!(object["rows"].as_array().unwrap().len(), 4);
    assert!(object["required"].as_array().unwrap().iter().all(|required| required["holds"] == true));
    let failing = Slimfit::new(arguments.iter().chain(&["--require", "summary.decode.mape<=0"]))
        .folder(machine.folder());
    assert_eq!(failing.run().code, 1);
}

#[test]
fn emit_writes_a_config_with_exactly_our_count() {
    let machine = machine();
    let out = machine.folder().join("emitted-model");
    let arguments = ["emit", "--study", "study", "--pick", "knee", "--out", "emitted-model", "--json"];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("emit");
    let ours = &object["emitted"][0]["parameters"]["total"];
    let read =
        Slimfit::new(["inspect".as_ref(), out.as_os_str(), "--json".as_ref()]).run().done().object("inspect");
    assert_eq!(&read["parameters"]["total"], ours);
    assert_files_are_as_described(machine.folder(), &object);
    // A second time the folder is not empty: nothing is written over.
    let again = Slimfit::new(arguments).folder(machine.folder()).run();
    assert_eq!(again.code, 2, "{}", again.stdout);
}

#[test]
fn report_writes_the_page_and_the_files_it_names() {
    let machine = machine();
    let arguments = ["report", "--study", "study", "--out", "report", "--json"];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("report");
    assert_files_are_as_described(machine.folder(), &object);
    let page = std::fs::read_to_string(machine.folder().join("report/report.html")).unwrap();
    assert!(page.contains("id=\"slimfit-data\"") && page.contains("id=\"front-table\""));
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}

fn assert_files_are_as_described(folder: &Path, object: &Value) {
    for file in object["files"].as_array().expect("a list of files") {
        let path = folder.join(file["path"].as_str().expect("a path"));
        let bytes =
            std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len();
        assert_eq!(file["bytes"], bytes, "{}", path.display());
    }
}

#[test]
fn measure_says_when_a_config_lies_without_its_weights() {
    let golden = root().join("tests/golden/gpt2");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.join("config.json"), folder.path().join("config.json")).unwrap();
    let measure = || {
        let arguments = ["measure", "config.json", "--prompt=8", "--generate=2", "--rounds=1", "--no-memory"];
        Slimfit::new(arguments).folder(folder.path()).argument("--json").run().done()
    };
    let without = measure();
    let object = without.object("measure");
    assert_eq!(object["weights_source"], "seeded");
    assert_eq!(object["warnings"][0]["code"], "random-weights");
    assert!(without.stderr.contains("`model.safetensors`"), "{}", without.stderr);

    std::fs::copy(golden.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let object = measure().object("measure");
    assert_eq!(object["weights_source"], "file");
    assert_eq!(object["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_profile_is_checked_in_seconds_and_compared_with_another() {
    let machine = machine();
    let file = machine.profile_file.to_str().unwrap();
    let profile_command = |more: &[&str]| {
        let arguments = ["profile", "--json"];
        Slimfit::new(arguments.iter().chain(more)).folder(machine.folder()).run()
    };
    let checked = profile_command(&["--check", file]);
    let object = checked.object("profile-check");
    assert_eq!(checked.code, i32::from(object["holds"] == false), "{}", checked.stderr);
    let rows = object["checks"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["now_per_s"]["source"] == "measured"), "{rows:?}");
    assert!(rows.iter().any(|row| row["what"] == "read") && rows.iter().any(|row| row["what"] == "f32"));
    assert!(rows.iter().all(|row| row["effect"].is_number() == (row["what"] == "barrier")), "{rows:?}");

    let object = profile_command(&["--compare", file, file]).done().object("profile-compare");
    assert_eq!(object["same_machine"], true);
    let rows = object["differences"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.iter().all(|row| row["ratio"] == 1.0 && row["beyond_noise"] == false));
    let error = profile_command(&["--check", "no-such-device"]).refused("unknown-profile");
    assert!(error["found"].as_str().unwrap().contains("no-such-device"), "{error}");
}
