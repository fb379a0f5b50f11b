//! Mixtures of experts, loops and layers that differ as a user meets them.

use crate::harness::Slimfit;
use crate::measured::machine;
use serde_json::Value;
use std::path::Path;

const ATTENTION: &str = "{heads: 4, kv_heads: 2, head_size: 16, rope: {base: 10000}}";

/// A model file of `layers`, the last looped where `loops` says so.
fn write(folder: &Path, layers: &[String], loops: &str) {
    let layers = layers.join(",\n  ");
    let text = format!(
        "schema: slimfit/architecture/v1\nhidden_size: 64\nvocabulary_size: 97\ntied_embeddings: true\n{loops}layers: [\n  {layers}]\n"
    );
    std::fs::write(folder.join("model.yaml"), text).expect("the file is written");
}

fn layer(attention: &str, ffn: &str) -> String {
    format!("{{attention: {attention}, ffn: {{{ffn}}}}}")
}

fn measure(folder: &Path, more: &[&str]) -> crate::harness::Finished {
    let arguments =
        ["measure", "model.yaml", "--prompt", "8", "--generate", "3", "--rounds", "1", "--no-memory"];
    let arguments = arguments.iter().chain(more).chain(&["--json"]);
    Slimfit::new(arguments).folder(folder).run()
}

fn labels(measurement: &Value, phase: &str) -> Vec<String> {
    let operations = measurement["operations"].as_array().expect("operations");
    let of_phase = operations.iter().filter(|operation| operation["phase"] == phase);
    of_phase.map(|operation| operation["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_mixture_with_a_shared_part_and_a_dense_layer_of_other_heads_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let moe = "kind: moe, experts: 8, top_k: 2, expert_size: 32, shared_size: 64, shared_gate: true";
    let other = "{heads: 2, kv_heads: 1, head_size: 32, window: 4}";
    let layers = [layer(ATTENTION, moe), layer(other, "kind: dense, size: 96")];
    write(folder.path(), &layers, "");
    for weights in ["q8_0", "bf16"] {
        let object = measure(folder.path(), &["--weights", weights]).done().object("measure");
        for phase in ["prefill", "decode"] {
            let labels = labels(&object, phase);
            for label in ["router", "experts", "shared_scale", "shared_activation", "gate_up"] {
                assert!(labels.iter().any(|found| found == label), "`{label}` is not among {labels:?}");
            }
        }
        assert_eq!(object["measured"]["decode_tokens_per_s"]["source"], "measured");
    }
}

#[test]
fn loops_sets_how_often_a_looped_model_runs_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let layers = [layer(ATTENTION, "kind: dense, size: 96"), layer(ATTENTION, "kind: dense, size: 96")];
    write(folder.path(), &layers, "loops: {first: 1, layers: 1, count: 2}\n");
    let count = |more: &[&str]| {
        let object = measure(folder.path(), more).done().object("measure");
        (object["architecture"]["loops"]["count"].as_u64().expect("a count"), object["id"].clone())
    };
    let (own, id) = count(&[]);
    let (longer, other) = count(&["--loops", "5"]);
    assert_eq!((own, longer), (2, 5));
    assert_ne!(id, other, "another number of passes is another model");
    assert_eq!(count(&["--loops", "2"]).1, id);

    std::fs::write(folder.path().join("tokens.txt"), "1 2 3").unwrap();
    let logits = |file: &str, more: &[&str]| {
        let arguments = ["measure", "model.yaml", "--token-ids", "tokens.txt", "--logits", file];
        Slimfit::new(arguments.iter().chain(more)).folder(folder.path()).run().done();
        std::fs::read(folder.path().join(file)).expect("the logits")
    };
    let twice = logits("own.npy", &[]);
    assert_eq!(twice, logits("two.npy", &["--loops", "2"]));
    assert_ne!(twice, logits("three.npy", &["--loops", "3"]));
}

#[test]
fn loops_of_a_model_without_looped_layers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[layer(ATTENTION, "kind: dense, size: 96")], "");
    let finished = measure(folder.path(), &["--loops", "3"]);
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    let error = finished.object("error")["error"].clone();
    assert!(error["message"].as_str().is_some_and(|text| text.contains("`loops`")), "{error}");
    assert_eq!(measure(folder.path(), &["--loops", "0"]).code, 2);
}

const SPACE: &str = "schema: slimfit/space/v1
name: mixtures
description: Dense models and mixtures of experts.
axes:
  layers: [8, 12]
  hidden_size: [256, 320]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: heads
  ffn: 3 * hidden_size
  gated: true
  experts: [none, {count: 8, top_k: 2}, {count: 16, top_k: 4}]
  window: none
  vocabulary_size: 32768
  tied_embeddings: true
  weights: q8_0
  kv: f16
portable: [hf]
constraints:
  non_embedding: {min: 5M}
";

#[test]
fn a_space_of_mixtures_is_searched_run_and_written_out() {
    let machine = machine();
    std::fs::write(machine.folder().join("mixtures.yaml"), SPACE).unwrap();
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(machine.folder()).run().done();
    let head =
        run(&["search", "--space", "mixtures.yaml", "--out", "mixtures", "--dump-all", "all.csv", "--json"])
            .object("search");
    assert_eq!(head["space_size"], 12);
    let dumped = std::fs::read_to_string(machine.folder().join("all.csv")).unwrap();
    let of = |experts: &str| dumped.lines().filter(|line| line.split(',').nth(8) == Some(experts)).count();
    assert!(of("1") > 0 && of("8") > 0 && of("16") > 0, "{dumped}");

    // More parameters for the same time: mixtures stand on the front.
    let front = machine.json("mixtures/front.json");
    let mixture = |point: &&Value| point["architecture"]["layers"][0]["ffn"]["kind"] == "moe";
    let found = front["points"].as_array().unwrap().iter().find(mixture).expect("a mixture on the front");
    let id = found["id"].as_str().unwrap();
    assert!(found["parameters"]["active"].as_u64() < found["parameters"]["total"].as_u64());

    let object = run(&["emit", "--study", "mixtures", "--pick", id, "--out", "emitted-mixture", "--json"])
        .object("emit");
    let read = run(&["inspect", "emitted-mixture", "--json"]).object("inspect");
    assert_eq!(read["parameters"], object["emitted"][0]["parameters"]);

    let arguments =
        ["verify", "--space", "mixtures.yaml", "--samples", "4", "--depth", "16", "--prompt", "16"];
    let verified = run(&arguments.iter().chain(&["--no-memory", "--json"]).copied().collect::<Vec<_>>())
        .object("verify");
    assert_eq!(verified["skipped"].as_array().map(Vec::len), Some(0), "{}", verified["skipped"]);
    let ran = |row: &&Value| row["architecture"]["layers"][0]["ffn"]["kind"] == "moe";
    assert!(verified["rows"].as_array().unwrap().iter().any(|row| ran(&row)), "no mixture was run");
}

#[test]
fn looped_points_are_found_where_they_are_assumed_measured_and_refused_by_name_where_no_class_holds_them() {
    let machine = machine();
    let text = SPACE.replace(", {count: 8, top_k: 2}, {count: 16, top_k: 4}", "");
    let text = text.replace("name: mixtures", "name: looped").replace("portable: [hf]", "portable: []");
    let listed = format!("{text}assume:\n  loops: {{loops: [2, 4]}}\n");
    let own = text.replace("  hidden_size:", "  loops: 2\n  hidden_size:");
    std::fs::write(machine.folder().join("looped.yaml"), &listed).unwrap();
    std::fs::write(machine.folder().join("own.yaml"), &own).unwrap();
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(machine.folder()).run();
    let search = |space: &str, out: &str, more: &[&str]| {
        let arguments = ["search", "--space", space, "--out", out, "--json"];
        run(&[&arguments[..], more].concat()).done().object("search")
    };
    let looped = |front: &Value| -> Vec<Value> {
        let points = front["points"].as_array().unwrap().iter();
        points.filter(|point| !point["architecture"]["loops"].is_null()).cloned().collect()
    };

    let plain = search("looped.yaml", "without", &[]);
    assert_eq!(plain["space_size"], 4);
    assert!(looped(&machine.json("without/front.json")).is_empty());
    // What a file offers without asking is refused with the option that lets it in.
    let refused = search("own.yaml", "refused", &[]);
    assert_eq!((&refused["invalid"], &refused["front_size"]), (&4.into(), &0.into()), "{refused}");
    let reasons = refused["invalid_by"].to_string();
    assert!(reasons.contains("needs --assume loops"), "{reasons}");

    let head = search("looped.yaml", "with", &["--assume", "loops", "--dump-all", "all.csv"]);
    assert_eq!(head["space_size"], 12);
    let warned = head["warnings"].as_array().unwrap().iter();
    let warned = warned.filter(|warning| warning["code"] == "assumption-loops").count();
    assert_eq!(warned, 1, "{}", head["warnings"]);
    let found = looped(&machine.json("with/front.json"));
    let point = found.first().expect("a looped point on the front");
    assert!(point["flags"].as_array().unwrap().iter().any(|flag| flag == "assumed-loops"), "{point}");
    let depth = point["architecture"]["layers"][0]["repeat"].as_u64();
    assert_eq!(point["architecture"]["loops"]["layers"].as_u64(), depth);
    let dumped = std::fs::read_to_string(machine.folder().join("all.csv")).unwrap();
    let columns: Vec<&str> = dumped.lines().next().unwrap().split(',').collect();
    let place = columns.iter().position(|column| *column == "loops").expect("a column for passes");
    let of = |passes: &str| dumped.lines().filter(|line| line.split(',').nth(place) == Some(passes)).count();
    assert_eq!((of("1"), of("2"), of("4")), (4, 4, 4), "{dumped}");
    // The same file names points of the space.
    let table = "layers,hidden_size,loops,loss\n8,256,2,3.25\n8,256,1,3.5\n";
    std::fs::write(machine.folder().join("table.csv"), table).unwrap();
    let more = ["--assume", "loops", "--quality-table", "table.csv"];
    assert_eq!(search("looped.yaml", "measured", &more)["quality_table"]["points"], 2);

    let text = run(&["space", "looped.yaml", "--assume", "loops"]).done().stdout;
    assert!(text.contains("loops 3") && text.contains("run 2×") && text.contains("in force"), "{text}");
    let id = point["id"].as_str().unwrap();
    let emit = ["emit", "--study", "with", "--pick", id, "--out", "emitted-loop", "--json"];
    let error = run(&[&emit[..], &["--standard-only"]].concat());
    assert_eq!(error.code, 2, "{}", error.stdout);
    let message = error.object("error")["error"]["message"].to_string();
    assert!(message.contains("loops"), "{message}");
    let object = run(&emit).done().object("emit");
    let emitted = &object["emitted"][0];
    assert_eq!(emitted["class"], "SlimfitForCausalLM");
    assert!(emitted["why"].as_str().unwrap().contains("`loops` must be"), "{emitted}");
    let read = run(&["inspect", "emitted-loop", "--json"]).done().object("inspect");
    assert_eq!((&read["parameters"], &read["family"]), (&emitted["parameters"], &"slimfit".into()));
    assert_eq!(read["architecture"]["loops"], point["architecture"]["loops"]);

    let mut architecture = point["architecture"].clone();
    architecture["schema"] = "slimfit/architecture/v1".into();
    std::fs::write(machine.folder().join("model.json"), architecture.to_string()).unwrap();
    let measured = ["measure", "model.json", "--weights", "q8_0", "--prompt", "16", "--generate", "4"];
    let measured = run(&[&measured[..], &["--rounds", "1", "--no-memory", "--json"]].concat());
    let measured = measured.done().object("measure");
    assert_eq!(measured["id"], point["id"]);
    assert_eq!(measured["measured"]["decode_tokens_per_s"]["source"], "measured");
    assert_eq!(measured["predicted"]["decode_tokens_per_s"]["source"], "modelled");
}
