//! `slimfit quality`: what it prints, what it refuses, and that both say the same.

use crate::harness::{Finished, Slimfit, root, validate};
use serde_json::{Value, json};
use std::path::Path;

fn explain(arguments: &[&str]) -> Finished {
    Slimfit::new(["quality", "explain"].iter().chain(arguments).chain(&["--json"])).run()
}

fn explained(arguments: &[&str]) -> Value {
    explain(arguments).done().object("quality-explain")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Lines of a batch: estimates and errors, each of which keeps its schema.
fn batch(folder: &Path, rows: &str, more: &[&str]) -> (Finished, Vec<Value>) {
    std::fs::write(folder.join("rows.csv"), rows).expect("it can be written");
    let arguments = ["quality", "explain", "--batch", "rows.csv", "--json"];
    let finished = Slimfit::new(arguments.iter().chain(more)).folder(folder).run();
    let lines: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    for line in &lines {
        let kind = if line["schema"] == "slimfit/error/v1" { "error" } else { "quality-explain" };
        let errors = validate(kind, line);
        assert!(errors.is_empty(), "{}: {line}", errors.join("\n"));
    }
    (finished, lines)
}

#[test]
fn terms_sum_to_the_loss_and_the_parts_of_its_noise_to_its_interval() {
    let found = explained(&["smollm2-135m", "--tokens", "100B", "--weights", "q4_0", "--kv", "q8_0"]);
    let terms = found["terms"].as_array().unwrap();
    let sum: f64 = terms.iter().map(|term| number(&term["nats"])).sum();
    assert!((sum - number(&found["loss"]["value"])).abs() < 1e-9);
    assert!(terms.iter().all(|term| !term["source"].as_str().unwrap().is_empty()));
    let noise = &found["uncertainty"];
    let sigma = number(&noise["shape_sigma_nats"]).hypot(number(&noise["axis_sigma_nats"]));
    let half = number(&found["loss"]["high"]) - number(&found["loss"]["value"]);
    assert!((half - 1.645 * sigma).abs() < 1e-9, "{noise} {half}");
    assert!(number(&noise["recipe_sigma_nats"]) > sigma);
    let assumed = terms.iter().find(|term| term["name"] == "kv_format").unwrap();
    assert_eq!(assumed["assumed"], true, "{assumed}");
    assert!(found["not_predicted"].as_array().unwrap().iter().any(|task| task["task"] == "mmlu"));
    assert_eq!(found["scores"]["mmlu"], Value::Null);
}

#[test]
fn text_says_what_json_says() {
    let arguments = ["quality", "explain", "smollm2-135m", "--tokens", "100B", "--kv", "q8_0"];
    let text = Slimfit::new(arguments).run().done().stdout;
    let found = explained(&arguments[2..]);
    let loss = &found["loss"];
    let interval = format!(
        "{:.3} ({:.3}–{:.3}, 90 %)",
        number(&loss["value"]),
        number(&loss["low"]),
        number(&loss["high"])
    );
    assert!(text.contains(&interval), "{interval}\n{text}");
    let score = &found["scores"]["hellaswag"];
    let interval = format!(
        "HellaSwag {:.0} ({:.0}–{:.0}, 90 %; same-recipe ±{:.1})",
        number(&score["value"]),
        number(&score["low"]),
        number(&score["high"]),
        number(&score["same_recipe_points"])
    );
    assert!(text.contains(&interval), "{interval}\n{text}");
    for words in ["not predicted", "MMLU", "assumed: ", "width_depth", "bytes per token"] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_built_in_model_knows_its_training_and_others_must_say_theirs() {
    let own = explained(&["smollm2-135m"]);
    assert_eq!(own["tokens"], 2_000_000_000_000_u64);
    assert!(own["flags"].as_array().unwrap().contains(&json!("extrapolated")));
    assert!(
        own["warnings"][0]["message"].as_str().unwrap().contains("training tokens"),
        "{}",
        own["warnings"]
    );
    let folder = tempfile::tempdir().unwrap();
    let golden = std::fs::read_to_string(root().join("tests/golden/llama/config.json")).unwrap();
    std::fs::write(folder.path().join("config.json"), golden).unwrap();
    let model = folder.path().join("config.json");
    let error = explain(&[model.to_str().unwrap()]).refused("missing-tokens");
    assert!(error["hint"].as_str().unwrap().contains("--tokens"), "{error}");
}

#[test]
fn what_rests_on_one_ablation_needs_its_name() {
    // Gemma 2B has one key head and five times the recipe's vocabulary.
    let model = ["gemma-2b", "--tokens", "300B"];
    let error = explain(&model).refused("assumption");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("--assume mqa,vocab") && hint.contains("GQA paper"), "{hint}");
    explain(&[&model[..], &["--assume", "mqa"]].concat()).refused("assumption");
    let found = explained(&[&model[..], &["--assume", "mqa,vocab"]].concat());
    let names: Vec<&str> = found["assumptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|assumed| assumed["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["mqa", "vocab"]);
    assert!(found["flags"].as_array().unwrap().contains(&json!("assumed-vocab")));
    let error = explain(&["smollm2-135m", "--assume", "vocabulary"]).refused("assumption");
    assert!(error["hint"].as_str().unwrap().contains("`vocab`"), "{error}");
}

#[test]
fn an_anchor_moves_its_task_and_narrows_its_interval() {
    let model = ["smollm2-135m", "--recipe", "published"];
    let plain = explained(&model);
    let moved = explained(&[&model[..], &["--anchor", "smollm2-360m=hellaswag:54.5"]].concat());
    let half = |found: &Value| {
        let score = &found["scores"]["hellaswag"];
        (number(&score["high"]) - number(&score["low"])) / 2.0
    };
    assert!((half(&moved) - 5.2).abs() < 1e-6, "{}", half(&moved));
    assert!(half(&plain) > 7.0);
    assert_eq!(moved["scores"]["hellaswag"]["anchor"], "smollm2-360m");
    assert_eq!(moved["loss"], plain["loss"]);
    let anchor = &moved["anchors"][0];
    assert_eq!(anchor["tokens"], 4_000_000_000_000_u64);
    assert!((number(&anchor["shift_nats"]) - 0.7 * number(&anchor["residual_nats"])).abs() < 1e-12);
    // The anchor did better than the recipe says, so its sibling is expected to.
    let better = number(&anchor["percent"]) > number(&anchor["predicted_percent"]);
    let value = |found: &Value| number(&found["scores"]["hellaswag"]["value"]);
    assert_eq!(better, value(&moved) > value(&plain));
}

#[test]
fn anchors_that_say_nothing_are_refused() {
    for (anchor, words) in [
        ("smollm2-360m=hellaswag:30", "more than 31.0"),
        ("smollm2-360m=arc_challenge:40", "takes no anchor"),
        ("smollm2-360m=helaswag:54", "hellaswag"),
        ("smollm2-360m", "without `=`"),
        ("smollm2-36m=hellaswag:54", "smollm2-360m"),
        ("smollm2-360m@soon=hellaswag:54", "no count"),
    ] {
        let finished = explain(&["smollm2-135m", "--anchor", anchor]);
        assert_eq!(finished.code, 2, "{anchor}: {}", finished.stdout);
        let error = finished.object("error")["error"].clone();
        assert_eq!(error["field"], "--anchor", "{error}");
        assert!(error.to_string().contains(words), "{anchor}: {error}");
    }
    let warned = explained(&["smollm2-135m", "--anchor", "smollm2-360m=hellaswag:90"]);
    let codes: Vec<&Value> =
        warned["warnings"].as_array().unwrap().iter().map(|warning| &warning["code"]).collect();
    assert!(codes.contains(&&json!("anchor-implausible")), "{codes:?}");
}

#[test]
fn every_refusal_of_the_law_names_what_is_wrong() {
    let head = "layers,hidden_size,heads,ffn,vocabulary_size,experts,top_k,expert_size,window,loops,tokens,weights,kv";
    let rows = [
        ("1,64,1,256,50304,,,,,,100B,,", "", "non-embedding parameters"),
        ("200,8192,64,32768,50304,,,,,,100T,,", "", "non-embedding parameters"),
        ("30,576,9,1536,50304,,,,,,100M,,", "tokens", "training tokens"),
        ("600,576,9,1536,50304,,,,,,10T,,", "hidden_size", "width over depth"),
        ("30,576,9,1536,300001,,,,,,100B,,", "vocabulary_size", "vocabulary_size"),
        ("30,576,9,1536,50304,,,,100,,100B,,", "window", "windows"),
        ("30,576,9,,50304,129,2,64,,,100B,,", "experts", "experts"),
        ("30,576,9,1536,50304,,,,,9,100B,,", "loops", "passes"),
        ("30,576,9,1536,50304,,,,,,100B,,q4_0", "kv", "KV format"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let table: Vec<&str> = std::iter::once(head).chain(rows.iter().map(|(row, ..)| *row)).collect();
    let (finished, lines) = batch(folder.path(), &table.join("\n"), &["--assume", "loops,vocab"]);
    assert_eq!(finished.code, 2);
    assert_eq!(lines.len(), rows.len());
    for (place, (line, (row, field, words))) in lines.iter().zip(rows).enumerate() {
        let error = &line["error"];
        assert_eq!(error["code"], "quality", "{row}: {line}");
        assert_eq!((&error["line"], &error["file"]), (&json!(place + 2), &json!("rows.csv")));
        assert_eq!(error["field"].as_str().unwrap_or_default(), field, "{row}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{row}: {error}");
        assert!(error["allowed"].as_str().is_some_and(|allowed| !allowed.is_empty()), "{row}: {error}");
    }
}

#[test]
fn a_bad_row_leaves_the_others_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "name,model,layers,hidden_size,heads,kv_heads,ffn,vocabulary_size,tokens,recipe,weights\n\
                small,,30,576,9,3,1536,49152,100B,,\n\
                typo,,30,576,nine,3,1536,49152,100B,,\n\
                known,pythia-160m,,,,,,,,published,q8_0\n\
                both,pythia-160m,12,,,,,,,,\n\
                short,,30,576\n\
                stranger,pythia-16m,,,,,,,,,\n\
                recipe,,30,576,9,3,1536,49152,100B,publishd,\n\
                format,,30,576,9,3,1536,49152,100B,,q9\n\
                long,,30,576,9,3,1536,49152,,,\n\
                \"last, and quoted\",,30,576,9,3,1536,49152,3e11,,";
    let (finished, lines) = batch(folder.path(), rows, &[]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("7 of 10 rows were refused"), "{}", finished.stderr);
    let names: Vec<&str> = lines.iter().filter_map(|line| line["name"].as_str()).collect();
    assert_eq!(names, ["small", "known", "last, and quoted"]);
    assert_eq!((&lines[2]["recipe"], &lines[2]["weights"]), (&json!("published"), &json!("q8_0")));
    assert_eq!((&lines[0]["line"], &lines[9]["tokens"]), (&json!(2), &json!(300_000_000_000_u64)));
    let wrong = |place: usize| (lines[place]["error"]["line"].as_u64().unwrap(), &lines[place]["error"]);
    for (place, code, field) in [
        (1, "bad-cell", "heads"),
        (3, "bad-cell", "layers"),
        (4, "row-length", ""),
        (5, "unknown-model", "model"),
        (6, "quality", "recipe"),
        (7, "bad-cell", "weights"),
        (8, "missing-tokens", "tokens"),
    ] {
        let (line, error) = wrong(place);
        assert_eq!(line, place as u64 + 2, "{error}");
        assert_eq!(
            (&error["code"], error["field"].as_str().unwrap_or_default()),
            (&json!(code), field),
            "{error}"
        );
    }
    assert!(lines[5]["error"]["hint"].as_str().unwrap().contains("pythia-160m"), "{}", lines[5]);
    assert!(lines[6]["error"]["hint"].as_str().unwrap().contains("published"), "{}", lines[6]);
}

#[test]
fn a_batch_says_what_the_model_alone_says() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "name,layers,hidden_size,heads,kv_heads,head_size,ffn,vocabulary_size,tied_embeddings,tokens\n\
                smollm2-135m,30,576,9,3,64,1536,49152,True,2T\n";
    let (finished, lines) = batch(folder.path(), rows, &[]);
    finished.done();
    let alone = explained(&["smollm2-135m"]);
    for field in ["name", "parameters", "loss", "loss_per_byte", "scores", "terms", "effective_size", "flags"]
    {
        assert_eq!(lines[0][field], alone[field], "{field}");
    }
}

#[test]
fn layer_wise_heads_are_valued_by_their_sum_with_twice_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "layers,hidden_size,heads,head_size,ffn,vocabulary_size,tokens\n\
                16,1024,8;16*14;24,64,3072,50304,100B\n\
                16,1024,16,64,3072,50304,100B\n";
    let (finished, lines) = batch(folder.path(), rows, &[]);
    finished.done();
    let half = |line: &Value| number(&line["loss"]["high"]) - number(&line["loss"]["value"]);
    assert_eq!(lines[0]["parameters"]["total"], lines[1]["parameters"]["total"]);
    assert_eq!(lines[0]["loss"]["value"], lines[1]["loss"]["value"]);
    assert!((half(&lines[0]) - 2.0 * half(&lines[1])).abs() < 1e-9);
    assert_eq!(lines[0]["flags"], json!(["extrapolated"]));
    assert!(lines[0]["warnings"][0]["message"].as_str().unwrap().contains("unlike shape"), "{}", lines[0]);
}

#[test]
fn a_table_without_json_has_one_line_a_row_and_errors_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "model,tokens\nsmollm2-135m,100B\nsmollm2-13m,100B\nsmollm2-360m,100B\n";
    std::fs::write(folder.path().join("rows.csv"), rows).unwrap();
    let finished = Slimfit::new(["quality", "explain", "--batch", "rows.csv"]).folder(folder.path()).run();
    assert_eq!(finished.code, 2);
    assert_eq!(finished.stdout.lines().count(), 3, "{}", finished.stdout);
    assert!(finished.stderr.contains("error: rows.csv:3: "), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint: did you mean `smollm2-135m`?"), "{}", finished.stderr);
}

#[test]
fn tables_that_are_none_are_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    for (text, code, words) in [
        ("layers,hidden,heads\n1,2,3\n", "unknown-column", "hidden_size"),
        ("layers,layers\n1,2\n", "duplicate-column", "layers"),
        ("layers,hidden_size\n", "no-rows", "no row"),
        ("", "no-rows", "no row"),
    ] {
        std::fs::write(folder.path().join("rows.csv"), text).unwrap();
        let arguments = ["quality", "explain", "--batch", "rows.csv", "--json"];
        let error = Slimfit::new(arguments).folder(folder.path()).run().refused(code);
        assert!(error.to_string().contains(words), "{text:?}: {error}");
        assert_eq!(error["file"], "rows.csv");
    }
    let arguments = ["quality", "explain", "--batch", "row.csv", "--json"];
    let error = Slimfit::new(arguments).folder(folder.path()).run().refused("file-missing");
    assert!(error["hint"].as_str().unwrap().contains("rows.csv"), "{error}");
    std::fs::write(folder.path().join("rows.csv"), b"layers\n\xff\n").unwrap();
    let arguments = ["quality", "explain", "--batch", "rows.csv", "--json"];
    let error = Slimfit::new(arguments).folder(folder.path()).run().refused("not-utf8");
    assert_eq!(error["line"], 2);
}

#[test]
fn thousands_of_rows_take_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = "layers,hidden_size,heads,ffn,vocabulary_size,tokens\n".to_owned();
    for layers in 10..60 {
        for heads in 6..26 {
            rows += &format!("{layers},{},{heads},{},50304,{}B\n", 64 * heads, 192 * heads, 50 + heads);
        }
    }
    let (finished, lines) = batch(folder.path(), &rows, &["--recipe", "published"]);
    assert_eq!(lines.len(), 1000);
    finished.done();
    // More layers of the same width never lose.
    let losses: Vec<f64> = lines.iter().step_by(20).map(|line| number(&line["loss"]["value"])).collect();
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

#[test]
fn measured_bytes_per_token_decide_tokens_and_not_the_loss_per_byte() {
    let plain = explained(&["smollm2-135m", "--tokens", "100B"]);
    let measured = explained(&["smollm2-135m", "--tokens", "100B", "--bytes-per-token", "2"]);
    assert_eq!(measured["bytes_per_token"]["value"], 2.0);
    assert_eq!(measured["bytes_per_token"]["source"], "read");
    assert_eq!(measured["loss_per_byte"], plain["loss_per_byte"]);
    let bytes = number(&measured["workload"]["prompt_bytes"]);
    assert_eq!(number(&measured["workload"]["prompt_tokens"]), (bytes / 2.0).ceil());
    for wrong in ["0.5", "many", "-3", "NaN"] {
        explain(&["smollm2-135m", "--bytes-per-token", wrong]).refused("usage");
    }
}

#[test]
fn a_workload_says_what_windows_must_cover() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "layers,hidden_size,heads,ffn,window,full_every,vocabulary_size,tokens\n\
                30,576,9,1536,512,6,50304,100B\n30,576,9,1536,512,,50304,100B\n";
    let (short, lines) = batch(folder.path(), rows, &["--prompt-bytes", "800", "--generated-bytes", "200"]);
    short.done();
    assert!(lines.iter().all(|line| line["flags"] == json!([])), "{lines:?}");
    let (long, lines) = batch(folder.path(), rows, &["--prompt-bytes", "8kB", "--generated-bytes", "200"]);
    assert_eq!(long.code, 2);
    assert_eq!(lines[0]["flags"], json!(["assumed-window"]));
    assert_eq!(lines[1]["error"]["field"], "window");
    let error = explain(&["smollm2-135m", "--prompt-bytes", "800"]);
    assert_eq!(error.code, 2, "a prompt without an answer is half a workload");
}

const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
  "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
  "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "the": 1, "cat": 2, "sat": 3}, "unk_token": "<unk>"}}"#;

fn tokens(folder: &Path, more: &[&str]) -> Finished {
    let arguments = ["quality", "tokens", "--tokenizer", "tokenizer.json", "--json"];
    Slimfit::new(arguments.iter().chain(more)).folder(folder).run()
}

#[test]
fn a_real_tokenizer_is_measured_beside_the_table() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    std::fs::write(folder.path().join("one.txt"), "the cat sat ".repeat(500)).unwrap();
    std::fs::write(folder.path().join("two.txt"), "the cat sat ".repeat(100)).unwrap();
    let found = tokens(folder.path(), &["--text", "one.txt", "two.txt"]).done().object("quality-tokens");
    assert_eq!((&found["bytes"], &found["tokens"]), (&json!(7200), &json!(1800)));
    assert_eq!(found["bytes_per_token"]["value"], 4.0);
    assert_eq!(found["bytes_per_token"]["source"], "measured");
    assert!(found["bytes_per_token"]["n"].as_u64().unwrap() >= 30);
    assert!(number(&found["interval_90"]["low"]) <= 4.0 && number(&found["interval_90"]["high"]) >= 4.0);
    assert_eq!((&found["vocabulary_size"], &found["unknown_share"]), (&json!(4), &json!(0.0)));
    assert_eq!(found["warnings"], json!([]));
    let arguments = ["quality", "tokens", "--tokenizer", "tokenizer.json", "--text", "one.txt"];
    let text = Slimfit::new(arguments).folder(folder.path()).run().done();
    assert!(text.stdout.contains("bytes per token  4.000"), "{}", text.stdout);
    assert!(text.stderr.contains("--bytes-per-token 4.000"), "{}", text.stderr);

    std::fs::write(folder.path().join("other.txt"), "the dog ran ".repeat(500)).unwrap();
    let unknown = tokens(folder.path(), &["--text", "other.txt"]).done().object("quality-tokens");
    assert_eq!(unknown["warnings"][0]["code"], "unknown-tokens");
    assert!((number(&unknown["unknown_share"]) - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn byte_level_tokenizers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    // `Ġ` is a space in the alphabet of byte-level BPE.
    let tokenizer = r#"{"version": "1.0", "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0,
      "direction": "Right"}, "padding": null, "added_tokens": [], "normalizer": null,
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
      "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true,
      "trim_offsets": true, "use_regex": true}, "model": {"type": "BPE", "dropout": null,
      "unk_token": null, "fuse_unk": false, "byte_fallback": false, "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4},
      "merges": ["a b", "Ġ ab"]}}"#;
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
    std::fs::write(folder.path().join("text.txt"), "ab ".repeat(2000)).unwrap();
    let found = tokens(folder.path(), &["--text", "text.txt"]).done().object("quality-tokens");
    // 2000 words of three bytes are one token each, and one space is left over at the end.
    assert_eq!((&found["bytes"], &found["tokens"]), (&json!(6000), &json!(2001)));
}

#[test]
fn what_is_no_tokenizer_or_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.txt"), "the cat sat ".repeat(500)).unwrap();
    for (tokenizer, words) in [
        ("{\"version\": \"1.0\",", "not JSON"),
        ("{\"vocab_size\": 50304}", "no `model`"),
        ("{\"version\": \"1.0\", \"model\": {\"type\": \"Magic\"}}", "not a tokenizer that can be read"),
    ] {
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
        let error = tokens(folder.path(), &["--text", "text.txt"]).refused("tokenizer");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["file"], "tokenizer.json");
        assert!(error["hint"].as_str().unwrap().contains("tokenizer_config.json"), "{error}");
    }
    std::fs::write(folder.path().join("tokenizer.json"), TOKENIZER).unwrap();
    std::fs::write(folder.path().join("empty.txt"), " \n").unwrap();
    std::fs::write(folder.path().join("short.txt"), "the cat sat").unwrap();
    std::fs::write(folder.path().join("binary.txt"), b"the cat\n\xff\xfe").unwrap();
    let error = tokens(folder.path(), &["--text", "text.txt", "empty.txt"]).refused("text-too-short");
    assert_eq!(error["file"], "empty.txt");
    tokens(folder.path(), &["--text", "short.txt"]).refused("text-too-short");
    let error = tokens(folder.path(), &["--text", "binary.txt"]).refused("not-utf8");
    assert_eq!((&error["line"], &error["file"]), (&json!(2), &json!("binary.txt")));
    tokens(folder.path(), &["--text", "missing.txt"]).refused("file-missing");
}
