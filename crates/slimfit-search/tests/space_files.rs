//! Space and workload files: what is read, and how what is wrong is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use proptest::prelude::*;
use slimfit_arch::{FeedForward, Loops};
use slimfit_document::{Document, DocumentError};
use slimfit_formats::Loader;
use slimfit_quality::Assumption;
use slimfit_quantity::NumberFormat;
use slimfit_search::{SearchError, Space, Workload};

const SPACE: &str = "\
schema: slimfit/space/v1
name: small
description: A space for tests.
axes:
  layers: {from: 2, to: 6, step: 2}
  hidden_size: [128, 256]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: {from: 2, to: 3, step: 0.5, times: hidden_size, round: 64}
  gated: true
  window: [none, 1024, {size: 512, full_every: 3}]
  vocabulary_size: 1000
  tied_embeddings: [true, false]
  weights: [f32, q8_0]
  kv: f16
constraints:
  parameters: {min: 1M, max: 1_000_000_000}
exclude: [ffn > 700]
";

fn read(text: &str) -> Result<Space, SearchError> {
    Space::from_document(&Document::from_str(text, "small.yaml")?, &[])
}

fn error(from: &str, to: &str) -> DocumentError {
    let text = SPACE.replace(from, to);
    assert_ne!(text, SPACE, "`{from}` does not stand in the file");
    match read(&text) {
        Err(SearchError::Document(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("`{to}` was accepted"),
    }
}

#[test]
fn sizes_are_products_of_what_the_axes_offer() {
    let space = read(&SPACE.replace("1_000_000_000", "1B")).unwrap();
    assert_eq!(space.size(), 3 * 2 * 2 * 3 * 3 * 2 * 2);
    assert!(!space.vocabulary_is_axis());
}

#[test]
fn experts_share_out_the_width_of_the_dense_part() {
    let text = SPACE.replace("1_000_000_000", "1B");
    let text = text.replace(
        "  gated: true\n",
        "  gated: true\n  experts: [none, {count: 6, top_k: 3}, {count: 4, top_k: 1}]\n",
    );
    let space = read(&text).unwrap();
    assert_eq!(space.size(), 3 * 2 * 2 * 3 * 3 * 3 * 2 * 2);
    let (mut dense, mut mixtures, mut uneven) = (0, 0, 0);
    for index in 0..space.size() {
        let point = match space.point(index) {
            Ok(point) => point,
            Err(invalid) => {
                uneven += u64::from(invalid.reason().contains("top_k"));
                continue;
            }
        };
        point.architecture.validate().unwrap();
        match &point.architecture.layers[0].ffn {
            FeedForward::Dense(_) => dense += 1,
            FeedForward::Moe(moe) => {
                mixtures += 1;
                assert!(matches!((moe.experts, moe.top_k), (6, 3) | (4, 1)) && moe.normalise_top_k);
                assert!([256, 320, 384, 512, 640].contains(&(moe.top_k * moe.expert_size)), "{moe:?}");
            }
        }
    }
    // Of the widths that are not excluded, 256, 320, 384, 512 and 640, one is a multiple of 3.
    assert_eq!((mixtures * 5, uneven * 5), (dense * 6, dense * 4), "{dense} dense points");
}

#[test]
fn all_layers_run_as_often_as_the_file_says() {
    let text = SPACE
        .replace("1_000_000_000", "1B")
        .replace("exclude: [ffn > 700]", "exclude: [loops * layers > 12]");
    let text =
        text.replace("  gated: true\n", "  gated: true\n  loops: [none, 2, {from: 3, to: 5, step: 2}]\n");
    let space = read(&text).unwrap();
    assert_eq!((space.size(), space.passes()), (3 * 2 * 2 * 3 * 3 * 2 * 2 * 4, vec![1, 2, 3, 5]));
    let mut ids = std::collections::BTreeSet::new();
    for index in 0..space.size() {
        let point = space.point(index).unwrap();
        point.architecture.validate().unwrap();
        let stored = point.architecture.depth();
        let executed = point.architecture.execution_order().len() as u64;
        assert_eq!(executed, stored * space.passes()[space.inner(index % space.inner_size()).loops]);
        assert_eq!(point.architecture.loops.is_some(), executed > stored);
        let outside = space.outside(&point.architecture, point.weights, point.kv);
        assert!(!outside.iter().any(|found| found.axis.starts_with("loops")), "{outside:?}");
        ids.insert(point.architecture.id(point.weights, point.kv));
    }
    // 2.5 times 128 is 320, 3 times is 384: no two points are one model.
    assert_eq!(ids.len() as u64, space.size());

    let mut model = space.point(0).unwrap().architecture;
    model.loops = Some(Loops { first: 0, layers: 2, count: 4, immediate: false });
    let outside = space.outside(&model, NumberFormat::F32, NumberFormat::F16);
    let loops = outside.iter().find(|found| found.axis == "loops").unwrap();
    assert_eq!((loops.found.as_str(), loops.allowed.as_str()), ("4", "1, 2, 3, 5"));
    model.loops = Some(Loops { first: 1, layers: 1, count: 2, immediate: false });
    let outside = space.outside(&model, NumberFormat::F32, NumberFormat::F16);
    assert!(
        outside.iter().any(|found| found.axis.starts_with("loops") && found.allowed == "none"),
        "{outside:?}"
    );

    // Values of an assumption are part of the space only where that is let in.
    let text = SPACE.replace("exclude: [ffn > 700]", "assume: {loops: {loops: [2, 4]}}");
    let document = Document::from_str(&text, "small.yaml").unwrap();
    let passes = |assume: &[Assumption]| Space::from_document(&document, assume).unwrap().passes();
    assert_eq!((passes(&[]), passes(&[Assumption::Loops])), (vec![1], vec![1, 2, 4]));
}

#[test]
fn points_say_what_the_file_says() {
    let space = read(&SPACE.replace("1_000_000_000", "1B")).unwrap();
    let points: Vec<_> = (0..space.size()).filter_map(|index| space.point(index).ok()).collect();
    // ffn of 256 wide blocks: 512, 640 and 768, which is excluded.
    assert_eq!(points.len() as u64, space.size() * 5 / 6);
    for point in &points {
        point.architecture.validate().unwrap();
        let windows: Vec<_> = point.architecture.each_layer().map(|layer| layer.attention.window).collect();
        if windows.contains(&Some(512)) {
            let expected: Vec<_> = (1..=windows.len()).map(|layer| (layer % 3 != 0).then_some(512)).collect();
            assert_eq!(windows, expected);
        }
    }
    let ids: std::collections::BTreeSet<_> =
        points.iter().map(|point| point.architecture.id(point.weights, point.kv)).collect();
    // Two layers and a full one every third are two windowed layers: still another model than one with window 1024.
    assert_eq!(ids.len(), points.len());
}

#[test]
fn what_is_wrong_has_a_place_a_finding_and_what_is_allowed() {
    for (from, to, line, field, part) in [
        ("  layers:", "  layer:", 5, "axes.layer", "did you mean `layers`?"),
        ("[128, 256]", "[128, -256]", 6, "axes.hidden_size[1]", "a whole number"),
        ("[128, 256]", "[128, 128]", 6, "axes.hidden_size", "twice"),
        ("[128, 256]", "[]", 6, "axes.hidden_size", "empty"),
        ("head_size: 64", "head_size: 64.5", 7, "axes.head_size", "a whole number"),
        ("hidden_size / head_size", "hiden_size / head_size", 8, "axes.heads", "did you mean `hidden_size`?"),
        ("hidden_size / head_size", "hidden_size /", 8, "axes.heads", "the end"),
        ("[heads, heads / 2]", "[heads, kv_heads]", 9, "axes.kv_heads", "circle"),
        ("head_size: 64", "head_size: hidden_size / heads", 7, "axes.head_size", "circle"),
        ("from: 2, to: 3, step: 0.5", "from: 3, to: 2, step: 0.5", 10, "axes.ffn", "empty"),
        ("from: 2, to: 3, step: 0.5", "from: 2, to: 3, step: 0", 10, "axes.ffn.step", "above 0"),
        (
            "from: 2, to: 3, step: 0.5",
            "from: 2, to: 3, stop: 0.5",
            10,
            "axes.ffn.stop",
            "did you mean `step`?",
        ),
        ("gated: true", "gated: true\n  experts: {count: 4}", 12, "axes.experts", "top_k"),
        ("gated: true", "gated: true\n  experts: {count: 4, top_k: 5}", 12, "axes.experts.top_k", "4"),
        ("gated: true", "gated: true\n  experts: [none, 8]", 12, "axes.experts[1]", "count"),
        ("gated: true", "gated: true\n  loops: 0", 12, "axes.loops", "1 or more"),
        (
            "gated: true",
            "gated: true\n  loops: [none, two]",
            12,
            "axes.loops[1]",
            "`none`, a number of passes",
        ),
        ("gated: true", "gated: true\n  loops: [none, 1]", 12, "axes.loops", "twice"),
        ("gated: true", "gated: true\n  loops: 1001", 12, "axes.loops", "at most 1000"),
        ("gated: true", "gated: true\n  loops: heads", 12, "axes.loops", "a number of passes"),
        ("gated: true", "gated: true\n  loop: 2", 12, "axes.loop", "did you mean `loops`?"),
        ("gated: true", "gated: yes please", 11, "axes.gated", "true"),
        ("exclude:", "portable: [hf, llama]\nexclude:", 19, "portable[1]", "did you mean `llama.cpp`?"),
        ("exclude:", "portable: [hf, hf]\nexclude:", 19, "portable[1]", "twice"),
        ("size: 512", "sise: 512", 12, "axes.window[2].sise", "did you mean `size`?"),
        ("vocabulary_size: 1000", "vocabulary_size: heads * 9", 13, "axes.vocabulary_size", "may not depend"),
        ("q8_0]", "q8_1]", 15, "axes.weights[1]", "did you mean `q8_0`?"),
        ("kv: f16", "kv: q6_k", 16, "axes.kv", "not searchable"),
        ("min: 1M", "min: 2B", 18, "constraints.parameters", "nothing lies between"),
        ("min: 1M", "mim: 1M", 18, "constraints.parameters.mim", "did you mean `min`?"),
        ("exclude: [ffn > 700]", "exclude: [ffn > ]", 19, "exclude[0]", "the end"),
        ("exclude: [ffn > 700]", "per_layer: [fnn]", 19, "per_layer[0]", "did you mean `ffn`?"),
        ("exclude: [ffn > 700]", "per_layer: [ffn, weights]", 19, "per_layer[1]", "share this axis"),
        ("exclude: [ffn > 700]", "per_layer: [ffn, ffn]", 19, "per_layer[1]", "twice"),
        ("exclude: [ffn > 700]", "per_layer: [loops]", 19, "per_layer[0]", "share this axis"),
        ("exclude: [ffn > 700]", "per_layer: [heads]", 9, "axes.kv_heads", "put `kv_heads` into `per_layer`"),
        ("exclude: [ffn > 700]", "per_layer: [window]", 12, "axes.window", "`full_every`"),
    ] {
        let error = error(from, to);
        let text = error.to_string();
        assert_eq!(error.line, Some(line), "{text}");
        assert_eq!(error.field.as_deref(), Some(field), "{text}");
        assert!(text.contains(part), "{text}");
    }
    let own = "  gated: [true, false]\n  loops: [none, 2]";
    let text = SPACE.replace("  gated: true", own).replace("exclude: [ffn > 700]", "per_layer: [gated]");
    let told = read(&text).unwrap_err().to_string();
    for part in ["axes.loops", "2 passes beside `per_layer`", "run once"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(error("  kv: f16\n", "").to_string().contains("missing axis `kv`"));
    assert_eq!(error("space/v1", "space/v9").code, "schema-unknown");
    assert_eq!(error("from: 2, to: 6, step: 2", "from: 1, to: 100000, step: 1").code, "axis-too-long");
}

#[test]
fn unknown_names_are_told_with_the_nearest_one() {
    let text = Space::load("slm-egde", &[]).unwrap_err().to_string();
    assert!(text.contains("did you mean `slm-edge`?"), "{text}");
    let text = Workload::load("asistant").unwrap_err().to_string();
    assert!(text.contains("did you mean `assistant`?"), "{text}");
    assert!(Workload::load("nowhere/none.yaml").unwrap_err().to_string().contains("no such file"));
}

#[test]
fn a_workload_without_text_is_refused() {
    let text = "schema: slimfit/workload/v1\nname: x\ndescription: y\nprompt_bytes: 0\ngenerated_bytes: 3\n";
    let error = Workload::from_document(&Document::from_str(text, "w.yaml").unwrap()).unwrap_err();
    assert!(error.to_string().contains("`prompt_bytes`"), "{error}");
}

proptest! {
    /// Whatever replaces a piece of a good file, reading it returns: a space or an error with a line.
    #[test]
    fn no_text_breaks_the_reader(start in 0_usize..600, length in 0_usize..40, patch in "[ -~\n]{0,24}") {
        let start = start.min(SPACE.len());
        let end = (start + length).min(SPACE.len());
        let text = format!("{}{patch}{}", &SPACE[..start], &SPACE[end..]);
        match read(&text) {
            Ok(space) => {
                let _ = space.point(space.size() - 1);
            }
            Err(SearchError::Document(error)) => prop_assert!(error.line.is_some(), "{error}"),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn no_loader_holds_layers_that_differ() {
    let layered = SPACE.replace("axes:", "per_layer: [ffn]\naxes:").replace("exclude: [ffn > 700]\n", "");
    let refused = |text: &str| match read(text).unwrap_err() {
        SearchError::Document(error) => error,
        other => panic!("{other}"),
    };
    let silent = refused(&layered);
    assert_eq!(silent.field.as_deref(), Some("portable"));
    assert!(silent.to_string().contains("nothing that leaves out hf and llama.cpp"), "{silent}");
    let asked = refused(&format!("{layered}portable: [llama.cpp]\n"));
    assert!(asked.to_string().contains("`llama.cpp` beside `per_layer`"), "{asked}");
    let space = read(&format!("{layered}portable: []\n")).unwrap();
    assert!(!space.is_portable());
    let error = space.clone().held_by(vec![Loader::Transformers]).unwrap_err().to_string();
    assert!(error.contains("`hf` for space `small`"), "{error}");
    assert!(space.held_by(Vec::new()).is_ok());
}
