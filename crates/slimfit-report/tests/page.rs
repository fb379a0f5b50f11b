//! The page's structure, its honesty about what is missing, and its safety against what names may hold.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixture;

use sha2::{Digest, Sha256};
use slimfit_quantity::Source;
use slimfit_report::{ReportInput, render_html, write_report};
use slimfit_study::{
    Constraint, Findings, Front, Input, InputKind, QualityTableRef, SearchRequest, Study, TrainingRef,
};
use std::path::Path;

const LIMIT: usize = 3_000_000;

fn records(page: &str) -> serde_json::Value {
    let start = page.find("id=\"slimfit-data\">").expect("the page carries its records")
        + "id=\"slimfit-data\">".len();
    let end = start + page[start..].find("</script>").expect("the element ends");
    serde_json::from_str(&page[start..end]).unwrap()
}

/// The page without its scripts and styles: what a reader's eye or a screen reader meets.
fn without_scripts(page: &str) -> String {
    let mut text = page.to_owned();
    for element in ["script", "style"] {
        let (open, close) = (format!("<{element}"), format!("</{element}>"));
        while let Some(start) = text.find(&open) {
            let end = text[start..].find(&close).expect("the element ends") + start + close.len();
            text.replace_range(start..end, "");
        }
    }
    text
}

#[test]
fn the_page_has_the_parts_that_scripts_rely_on() {
    let input = fixture::full();
    let page = render_html(&input).unwrap();
    let mut from = 0;
    for id in ["summary", "front", "device", "model", "trust", "compare"] {
        let place =
            page[from..].find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section #{id}"));
        from += place;
    }
    for name in ["max_ttft", "max_tpot", "max_memory", "max_energy"] {
        assert!(page.contains(&format!("type=\"range\" name=\"{name}\"")), "{name}");
    }
    assert!(page.contains("<table id=\"front-table\">"));
    for key in ["id", "parameters", "loss", "ttft_seconds", "tpot_seconds", "memory_bytes"] {
        assert!(page.contains(&format!("data-key=\"{key}\" aria-sort=")), "{key}");
    }
    assert_eq!(page.matches("<tr data-id=").count(), 100, "the script writes the other rows");
    let data = records(&page);
    assert_eq!(data["schema"], "slimfit/report/v1");
    assert_eq!(data["front"]["points"].as_array().unwrap().len(), 240);
    assert_eq!(data["front"]["points"][0]["architecture"]["tied_embeddings"], true);
    assert_eq!(data["verification"]["predictions_sha256"], fixture::HASH);
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let page = render_html(&fixture::full()).unwrap();
    let markup = without_scripts(&page);
    for loads in ["src=", "@import", "url(", "<iframe", "<object", "<embed", "srcset"] {
        assert!(!markup.contains(loads), "{loads}");
    }
    assert!(!markup.contains("http://") && !markup.contains("https://"));
    assert_eq!(page.matches("<link").count(), 1);
    assert!(page.contains("<link rel=\"icon\" href=\"data:,\">"));
    assert!(page.contains("default-src 'none'"));
    let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn every_number_in_sight_says_where_it_comes_from() {
    let mut nan = fixture::full();
    if let Some(front) = &mut nan.front {
        front.points[3].objectives.insert("loss".to_owned(), f64::NAN);
    }
    let mut ranked = fixture::full();
    ranked.front.as_mut().unwrap().head.existing = fixture::candidates();
    let without = ReportInput { verification: None, ..fixture::full() };
    for input in [fixture::full(), nan, ranked, ReportInput::default(), without] {
        let page = without_scripts(&render_html(&input).unwrap());
        let body = &page[page.find("<body>").unwrap()..page.find("</body>").unwrap()];
        let mut open: Vec<(String, bool)> = Vec::new();
        let mut rest = body;
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            let sourced = open.iter().any(|(_, sourced)| *sourced);
            let shown = text.replace("&#", "");
            assert!(
                sourced || !shown.contains(|character: char| character.is_ascii_digit()),
                "a number without a source: `{}` in {:?}",
                text.trim(),
                open.iter().map(|(name, _)| name).collect::<Vec<_>>()
            );
            let end = start + rest[start..].find('>').unwrap();
            let tag = &rest[start + 1..end];
            let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap().to_owned();
            if tag.starts_with('/') {
                let closed = open.pop().unwrap();
                assert_eq!(closed.0, name, "elements close in order");
            } else if !["input", "br", "meta", "link"].contains(&name.as_str()) && !tag.starts_with('!') {
                open.push((name, tag.contains("data-source=")));
            }
            rest = &rest[end + 1..];
        }
    }
}

#[test]
fn names_are_text_whatever_they_hold() {
    const HOSTILE: &str = "\"><script>alert(1)</script>'&<img src=x onerror=alert(2)>`</script>";
    let mut input = fixture::full();
    let front = input.front.as_mut().unwrap();
    front.head.space.name = HOSTILE.to_owned();
    front.head.workload = HOSTILE.to_owned();
    front.head.warnings[0].message = HOSTILE.to_owned();
    front.points[0].picks = vec![HOSTILE.to_owned()];
    front.points[1].flags = vec![HOSTILE.to_owned()];
    front.points[2].id = HOSTILE.to_owned();
    input.references[0].name = HOSTILE.to_owned();
    input.references[0].scores[0].source = HOSTILE.to_owned();
    input.measurements[0].name = Some(HOSTILE.to_owned());
    input.measurements[0].operations[0].name = HOSTILE.to_owned();
    let explained = &mut input.explanations[0].operations[0];
    explained.name = HOSTILE.to_owned();
    explained.bound = HOSTILE.to_owned();
    input.command = HOSTILE.to_owned();
    input.tool_version = HOSTILE.to_owned();
    let profile = input.profile.as_mut().unwrap();
    profile.name = HOSTILE.to_owned();
    profile.kernels[0].variant = HOSTILE.to_owned();
    let page = render_html(&input).unwrap();
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x"));
    assert!(without_scripts(&page).contains("&lt;script&gt;alert(1)"));
    assert_eq!(records(&page)["references"][0]["name"], HOSTILE);
    let folder = tempfile::tempdir().unwrap();
    for file in write_report(&input, folder.path()).unwrap().iter().filter(|file| file.kind == "svg") {
        let svg = std::fs::read_to_string(&file.path).unwrap();
        assert!(!svg.contains("<script") && !svg.contains("<img"), "{}", file.path);
    }
}

#[test]
fn missing_and_broken_values_are_said_and_never_a_panic() {
    let mut input = fixture::full();
    let front = input.front.as_mut().unwrap();
    front.points[0].objectives.insert("loss".to_owned(), f64::NAN);
    front.points[1].objectives.insert("tpot_seconds".to_owned(), f64::INFINITY);
    front.points[2].objectives.remove("memory_bytes");
    front.points[3].intervals.clear();
    front.points[4].objectives.insert("tpot_seconds".to_owned(), 0.0);
    input.cloud[0].objectives[0] = f64::NAN;
    input.explanations[0].operations[0].seconds = f64::NAN;
    let profile = input.profile.as_mut().unwrap();
    profile.kernels[0].seconds.value = Some(0.0);
    profile.bandwidth[0].bytes_per_s.value = Some(f64::NAN);
    input.verification.as_mut().unwrap().rows[0].measured = f64::NAN;
    let folder = tempfile::tempdir().unwrap();
    let files = write_report(&input, folder.path()).unwrap();
    assert!(files.iter().filter(|file| file.kind == "png").count() == 4);
    let page = without_scripts(&std::fs::read_to_string(folder.path().join("report.html")).unwrap());
    assert!(page.contains("points lack an objective or hold no finite number"), "the page says so");
    assert!(!page.contains("NaN") && !page.contains(">inf"));

    let empty = render_html(&ReportInput::default()).unwrap();
    for words in [
        "holds no search result yet",
        "holds no front yet",
        "holds no hardware profile",
        "Nothing was run in this study",
    ] {
        assert!(empty.contains(words), "{words}");
    }

    let none = Front { points: Vec::new(), ..fixture::front(2) };
    let page = render_html(&ReportInput { front: Some(none), ..fixture::full() }).unwrap();
    assert!(page.contains("The front is empty"));

    let one = ReportInput { front: Some(fixture::front(1)), ..fixture::full() };
    assert!(render_html(&one).unwrap().contains("a single point"));
    write_report(&one, folder.path()).unwrap();

    let bare = ReportInput {
        front: Some(Front { points: fixture::front(3).points, ..bare_front() }),
        ..ReportInput::default()
    };
    write_report(&bare, folder.path()).unwrap();
}

/// A front without a single objective.
fn bare_front() -> Front {
    let mut front = fixture::front(3);
    front.head.objectives.clear();
    front
}

#[test]
fn the_page_says_how_sure_quality_is_and_what_is_not_predicted() {
    let page = without_scripts(&render_html(&fixture::full()).unwrap());
    let trust =
        &page[page.find("<section id=\"trust\"").unwrap()..page.find("<section id=\"compare\"").unwrap()];
    for words in [
        "uncertain in three ways",
        "leave one shape out",
        "an ablation",
        "between families",
        "mmlu",
        "rank correlation 0.67",
    ] {
        assert!(trust.contains(words), "{words}");
    }
    let mut old = fixture::full();
    old.front.as_mut().unwrap().head.quality = None;
    assert!(render_html(&old).unwrap().contains("do not say how sure the quality figures are"));
}

#[test]
fn ties_are_marked_with_how_many_they_are() {
    let page = render_html(&fixture::full()).unwrap();
    // Points come in fours, the first of each stands for the others.
    assert!(without_scripts(&page).contains("7 ≈3</span>"));
    let data = records(&page);
    let tied = |point: &serde_json::Value| {
        (point["representative"].as_bool().unwrap(), point["tied"].as_u64().unwrap())
    };
    for point in data["front"]["points"].as_array().unwrap() {
        assert!(matches!(tied(point), (true, 3) | (false, 0)), "{point}");
    }
    let columns = ReportInput { front: Some(fixture::front(4000)), ..fixture::full() };
    let more = records(&render_html(&columns).unwrap())["front"]["more"].clone();
    let texts = more["texts"].as_array().unwrap();
    assert!(more["shape"].as_array().unwrap().iter().all(|places| {
        places.as_array().unwrap().iter().all(|place| (place.as_u64().unwrap() as usize) < texts.len())
    }));
    assert!(more["tied"].as_array().unwrap().iter().all(|tied| [3, -1].contains(&tied.as_i64().unwrap())));
}

#[test]
fn measured_scores_and_trainings_are_shown_as_what_they_are() {
    let mut input = fixture::full();
    let front = input.front.as_mut().unwrap();
    front.head.objectives = ["score_hellaswag", "training_cost", "tpot_seconds"]
        .map(|name| {
            let mut objective = fixture::objective(name, "percent");
            if name.starts_with("score_") {
                "max".clone_into(&mut objective.direction);
            }
            objective
        })
        .to_vec();
    front.head.constraints = vec![Constraint { name: "score_hellaswag".to_owned(), limit: 35.0 }];
    front.head.quality_table = Some(QualityTableRef {
        name: "scores.csv".to_owned(),
        sha256: fixture::HASH.to_owned(),
        measured: vec!["score_hellaswag".to_owned()],
        setting: Some("0-shot".to_owned()),
        points: 1,
        ignored: 2,
    });
    front.head.training = Some(TrainingRef {
        context_tokens: 2048,
        flops_per_s: Some(4e14),
        gpus: Some(8),
        price_per_gpu_hour: Some(2.5),
    });
    for (index, point) in front.points.iter_mut().enumerate() {
        point.objectives.insert("score_hellaswag".to_owned(), 40.0 + index as f64 / 100.0);
        point.objectives.insert("training_cost".to_owned(), 1234.0);
    }
    let picked = front.points.iter_mut().find(|point| point.picks.contains(&"knee".to_owned())).unwrap();
    picked.objectives.insert("score_hellaswag".to_owned(), 47.3);
    picked.sources.insert("score_hellaswag".to_owned(), Source::Measured);
    picked.picks.push("best-hellaswag".to_owned());
    let page = without_scripts(&render_html(&input).unwrap());
    for words in [
        "/objectives/score_hellaswag\">47.3 %</span>",
        "a measured score stands in its place",
        "≥ 35.0 %",
        "data-key=\"score_hellaswag\" aria-sort=\"descending\"",
        "score higher on this task",
        "scores.csv",
        "400 TFLOP/s",
        "accelerators together sustain",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let folder = tempfile::tempdir().unwrap();
    write_report(&input, folder.path()).unwrap();
    let svg = std::fs::read_to_string(folder.path().join("pareto.svg")).unwrap();
    assert!(svg.contains("more is better"));
}

#[test]
fn a_half_written_study_gives_a_page_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let input = ReportInput::from_study(&study).unwrap();
    assert!(render_html(&input).unwrap().contains("holds no search result yet"));

    let full = fixture::full();
    let profile = full.profile.as_ref().unwrap();
    let front = full.front.as_ref().unwrap();
    let request = SearchRequest {
        program_version: full.tool_version.clone(),
        inputs: vec![Input::new(InputKind::Profile, &profile.name, profile.to_yaml().unwrap())],
        engine: front.head.engine.clone(),
        tokens: front.head.recipe.tokens,
        objectives: front.head.objectives.iter().map(|objective| objective.name.clone()).collect(),
        limits: front.head.constraints.clone(),
        seed: 1,
        sample: 4000,
        settings: String::new(),
    };
    let search = study.begin_search(&request).unwrap();
    let findings = Findings {
        complete: true,
        front,
        indices: &[],
        cloud: &full.cloud,
        explanations: &full.explanations,
        references: &full.references,
    };
    study.finish_search(search.id, &findings).unwrap();
    for measurement in &full.measurements {
        study.add_measurement(measurement).unwrap();
    }
    let input = ReportInput::from_study(&study).unwrap();
    assert!(input.front == full.front, "the front comes back whole");
    assert!(input.profile == full.profile, "the profile comes back whole");
    assert!(
        input.cloud == full.cloud && input.references == full.references,
        "what lies beside it comes back"
    );
    assert!(input.explanations == full.explanations, "the terms of predictions come back");
    let page = render_html(&input).unwrap();
    assert!(page.contains("No predictions were checked on this device"));
}

#[test]
fn a_large_study_stays_below_three_megabytes() {
    let page = render_html(&fixture::full()).unwrap();
    assert!(page.len() < LIMIT, "{} bytes", page.len());
    let large =
        ReportInput { front: Some(fixture::front(8_000)), cloud: fixture::cloud(100_000), ..fixture::full() };
    let page = render_html(&large).unwrap();
    assert!(page.len() < LIMIT, "{} bytes", page.len());
    let front = &records(&page)["front"];
    let (full, columns) =
        (front["points"].as_array().unwrap().len(), front["more"]["id"].as_array().unwrap().len());
    let left_out = front["left_out"].as_u64().unwrap() as usize;
    assert!(full > 100 && columns > 1_000, "{full} in full, {columns} as columns");
    assert_eq!(full + columns + left_out, 8_000);
    assert!(without_scripts(&page).contains("points that tie with others are left out of this page"));
}

#[test]
fn no_folder_and_no_host_reaches_the_page() {
    let mut input = fixture::full();
    input.command = "slimfit report --study /home/someone/secret-folder/study".to_owned();
    let page = render_html(&input).unwrap();
    assert!(!page.contains("secret-folder") && !page.contains("/home/"));
    assert!(page.contains("slimfit report --study study"));
    if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        let host = host.trim();
        assert!(host.len() < 5 || !page.contains(host), "{host}");
    }
}

#[test]
fn existing_models_are_ranked_with_their_reasons_and_without_the_folders_of_their_files() {
    let mut input = fixture::full();
    input.front.as_mut().unwrap().head.existing = fixture::candidates();
    let page = without_scripts(&render_html(&input).unwrap());
    let section =
        &page[page.find("Models that exist, ranked").unwrap()..page.find("Made by slimfit").unwrap()];
    for part in [
        "id=\"candidates-table\"",
        "best-known",
        "54.3",
        "Leaderboard of tests",
        "breaks a limit",
        "data-at=\"limit\">100 MiB</span>",
        "predicted to be beaten by ",
        "a new model, point ",
        "broken.gguf: damaged",
    ] {
        assert!(section.contains(part), "no `{part}` in {section}");
    }
    assert!(!page.contains("secret-folder") && !render_html(&input).unwrap().contains("secret-folder"));
    // Every number of it has a source, as the rest of the page.
    assert!(!without_scripts(&render_html(&fixture::full()).unwrap()).contains("Models that exist, ranked"));
}

#[test]
fn files_are_what_the_list_says_and_the_same_each_time() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = write_report(&fixture::full(), first.path()).unwrap();
    let again = write_report(&fixture::full(), second.path()).unwrap();
    let names: Vec<_> =
        files.iter().map(|file| Path::new(&file.path).file_name().unwrap().to_str().unwrap()).collect();
    for name in [
        "pareto.png",
        "pareto.svg",
        "predicted-vs-measured.png",
        "roofline.svg",
        "bandwidth.png",
        "front.csv",
        "front.json",
        "front.md",
        "throughput.json",
        "errors.md",
        "public-models.csv",
        "predicted-operations.json",
        "measured-operations.md",
        "quality-noises.csv",
        "report.html",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for (one, other) in files.iter().zip(&again) {
        let bytes = std::fs::read(&one.path).unwrap();
        assert_eq!(bytes.len() as u64, one.bytes);
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((&digest, &one.sha256), (&one.sha256, &other.sha256), "{}", one.path);
        match one.kind.as_str() {
            "png" => {
                assert_eq!((&bytes[1..4], &bytes[16..24]), (&b"PNG"[..], &[0, 0, 7, 128, 0, 0, 4, 176][..]))
            }
            "svg" => assert!(bytes.starts_with(b"<svg")),
            "csv" => assert!(bytes.contains(&b',')),
            "json" => {
                let rows: Vec<serde_json::Map<String, serde_json::Value>> =
                    serde_json::from_slice(&bytes).unwrap();
                let csv = std::fs::read_to_string(one.path.replace(".json", ".csv")).unwrap();
                assert_eq!(rows.len(), csv.lines().count() - 1, "{}", one.path);
                assert_eq!(rows[0].len(), csv.lines().next().unwrap().split(',').count(), "{}", one.path);
            }
            "markdown" => assert!(bytes.starts_with(b"| ") && bytes.windows(5).any(|part| part == b"| ---")),
            _ => assert!(bytes.starts_with(b"<!DOCTYPE html>")),
        }
    }
}

#[test]
fn the_words_and_markup_of_a_small_report() {
    let input = ReportInput { front: Some(fixture::front(6)), cloud: fixture::cloud(5), ..fixture::full() };
    let page = without_scripts(&render_html(&input).unwrap()).replace("><", ">\n<");
    insta::assert_snapshot!(page);
}

#[test]
fn vendored_files_are_the_ones_whose_checksums_are_stated() {
    for folder in ["vendor", "tests/vendor"] {
        stated_checksums_hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    }
}

fn stated_checksums_hold(folder: &Path) {
    let list = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let stated: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once("  ")).collect();
    for (digest, name) in &stated {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(*digest, found, "{name}");
    }
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, stated.len() + 2, "every file but README.md and SHA256SUMS is listed");
}

#[test]
fn two_studies_stand_side_by_side_in_words_and_tables() {
    let page = render_html(&fixture::full()).unwrap();
    let part = page.split("id=\"compare-studies\"").nth(1).unwrap();
    for words in [
        "Best time per token: 10.0 ms in <code>board</code>, 20.0 ms in <code>&lt;script&gt;old&lt;/script&gt;</code>: \
         2.00 times as much, more than the noise, better in <code>board</code>.",
        "0 models of <code>board</code> are beaten by one of",
        "231 the other way round",
        "Loss is not compared: only the first has it.",
        "The same in both at best: memory.",
        "Another model: 0123456789ab in <code>board</code>, ba9876543210 in",
        "a difference below 12.0 % counts as noise",
        "decode 100 tok/s in <code>board</code>, 96.0 tok/s in",
        "4.00 % less, within the noise",
    ] {
        assert!(part.contains(words), "{words}");
    }
    assert!(!page.contains("<script>old"), "names are text");
}

#[test]
fn a_search_that_is_not_finished_says_how_far_it_is() {
    let unfinished = ReportInput { running: Some(fixture::studies::running()), ..ReportInput::default() };
    let page = render_html(&unfinished).unwrap();
    for words in [
        "1\u{202f}000\u{202f}000",
        "250\u{202f}000",
        "in pass",
        "It is at work.",
        "&lt;b&gt;mine&lt;/b&gt;",
        "\"units\":{",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("connect-src"), "a file asks nobody");
    let finished = render_html(&ReportInput::default()).unwrap();
    assert!(finished.contains("<div id=\"running\" hidden>"));
}
