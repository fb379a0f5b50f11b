//! Values that are offered under conditions, and exclusions over all axes: what is left of a space, and how a file that is
//! wrong about them is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use proptest::prelude::*;
use slimfit_arch::{Architecture, FeedForward};
use slimfit_cost::CostModel;
use slimfit_document::{Document, DocumentError};
use slimfit_quality::{Assumption, QualityModel, Recipe};
use slimfit_quantity::NumberFormat;
use slimfit_search::{ModelEvaluator, Point, SearchError, Space, Workload, for_each_point};
use std::collections::BTreeSet;

/// The same axes with and without conditions.
const AXES: [(&str, &str, &str); 13] = [
    ("layers", "[6, 12]", "[6, 12]"),
    ("hidden_size", "[256, 512]", "[256, 512]"),
    ("head_size", "64", "64"),
    ("heads", "hidden_size / head_size", "hidden_size / head_size"),
    ("kv_heads", "[heads, {value: heads / 2, when: ffn > 1000}]", "[heads, heads / 2]"),
    (
        "ffn",
        "[1024, {from: 2, to: 4, step: 1, times: hidden_size, when: layers <= 6}]",
        "[1024, {from: 2, to: 4, step: 1, times: hidden_size}]",
    ),
    ("gated", "[true, {value: false, when: experts == none}]", "[true, false]"),
    ("experts", "[none, {count: 4, top_k: 2, when: hidden_size >= 512}]", "[none, {count: 4, top_k: 2}]"),
    (
        "window",
        "[none, {size: 512, full_every: 3, when: layers >= 12}]",
        "[none, {size: 512, full_every: 3}]",
    ),
    ("vocabulary_size", "[16384, {value: 32768, when: hidden_size >= 512}]", "[16384, 32768]"),
    ("tied_embeddings", "[true, {value: false, when: vocabulary_size < 20000}]", "[true, false]"),
    ("weights", "[q8_0, {value: q4_0, when: hidden_size >= 512 and layers >= 12}]", "[q8_0, q4_0]"),
    ("kv", "[f16, {value: f32, when: window == none or weights == q4_0}]", "[f16, f32]"),
];

const EXCLUSION: &str = "exclude: [experts == 4 and weights == q4_0]\n";

fn text(conditions: bool, more: &str) -> String {
    let mut text =
        "schema: slimfit/space/v1\nname: small\ndescription: A space for tests.\naxes:\n".to_owned();
    for (axis, with, without) in AXES {
        text += &format!("  {axis}: {}\n", if conditions { with } else { without });
    }
    text + more + if conditions { EXCLUSION } else { "" }
}

fn read(text: &str) -> Result<Space, SearchError> {
    Space::from_document(&Document::from_str(text, "small.yaml")?, &[Assumption::Vocabulary])
}

/// What the conditions above say, told of the model itself.
fn is_offered(architecture: &Architecture, weights: NumberFormat, kv: NumberFormat) -> bool {
    let first = &architecture.layers[0];
    let (layers, width) = (architecture.depth(), architecture.hidden_size);
    let (ffn, gated, experts) = match &first.ffn {
        FeedForward::Dense(mlp) => (mlp.size, mlp.gated, false),
        FeedForward::Moe(moe) => (moe.expert_size * moe.top_k, moe.gated, true),
    };
    let window = first.attention.window.is_some();
    let shared = first.attention.kv_heads < first.attention.heads;
    let (small, large) = (NumberFormat::Q4_0, NumberFormat::F32);
    (!shared || ffn > 1000)
        && (ffn == 1024 || layers <= 6)
        && (gated || !experts)
        && (!experts || width >= 512)
        && (!window || layers >= 12)
        && (architecture.vocabulary_size == 16_384 || width >= 512)
        && (architecture.tied_embeddings || architecture.vocabulary_size < 20_000)
        && (weights != small || (width >= 512 && layers >= 12))
        && (kv != large || !window || weights == small)
        && !(experts && weights == small)
}

/// The ids of all points that are searched.
fn searched(space: &Space) -> BTreeSet<String> {
    let cost = CostModel::new(&profile::synthetic(false)).unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let workload = Workload::load("assistant").unwrap();
    let evaluator = ModelEvaluator::new(space, &cost, &quality, 100_000_000_000, &workload);
    let mut ids = BTreeSet::new();
    let flow = for_each_point(space, &evaluator, &[], |found, _| {
        let Point { architecture, weights, kv, .. } = space.point(found.index).unwrap();
        assert!(ids.insert(architecture.id(weights, kv)), "a model stands twice");
        std::ops::ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    ids
}

#[test]
fn what_is_left_of_a_space_are_the_models_of_which_all_conditions_hold() {
    let (with, without) =
        (read(&text(true, "portable: []\n")).unwrap(), read(&text(false, "portable: []\n")).unwrap());
    assert_eq!(with.size(), without.size());
    let all = searched(&without);
    let (mut expected, mut inside) = (BTreeSet::new(), BTreeSet::new());
    for index in 0..without.size() {
        let Ok(Point { architecture, weights, kv, .. }) = without.point(index) else { continue };
        let id = architecture.id(weights, kv);
        if is_offered(&architecture, weights, kv) {
            expected.insert(id.clone());
        }
        if with.outside(&architecture, weights, kv).is_empty() {
            inside.insert(id);
        }
    }
    // No model lies outside that is one, whatever the law says of it.
    assert_eq!(inside, expected);
    let left: BTreeSet<String> = all.intersection(&expected).cloned().collect();
    assert!(left.len() > 50 && left.len() * 2 < all.len(), "{} of {}", left.len(), all.len());
    assert_eq!(searched(&with), left);
}

#[test]
fn a_value_that_stands_several_times_is_offered_where_any_of_its_conditions_holds() {
    // Four times 256 is 1024, too, which is always offered.
    let space = read(&text(true, "portable: []\n")).unwrap();
    let found = (0..space.size()).filter_map(|index| space.point(index).ok()).any(|point| {
        point.architecture.hidden_size == 256
            && point.architecture.depth() == 12
            && matches!(&point.architecture.layers[0].ffn, FeedForward::Dense(mlp) if mlp.size == 1024)
            && space.outside(&point.architecture, point.weights, point.kv).is_empty()
    });
    assert!(found);
    let either = text(false, "portable: []\n").replace(
        "[1024, {from: 2, to: 4, step: 1, times: hidden_size}]",
        "[{value: 1024, when: layers > 6}, {value: 4 * hidden_size, when: hidden_size < 512 and layers < 12}]",
    );
    let space = read(&either).unwrap();
    let cost = CostModel::new(&profile::synthetic(false)).unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let workload = Workload::load("assistant").unwrap();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, 100_000_000_000, &workload);
    let mut shapes = BTreeSet::new();
    let _ = for_each_point(&space, &evaluator, &[], |found, _| {
        let point = space.point(found.index).unwrap();
        if let FeedForward::Dense(mlp) = &point.architecture.layers[0].ffn {
            shapes.insert((point.architecture.hidden_size, point.architecture.depth(), mlp.size));
        }
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(shapes, BTreeSet::from([(256, 6, 1024), (256, 12, 1024), (512, 12, 1024)]));
}

#[test]
fn a_model_is_told_when_its_values_are_offered() {
    let (with, without) =
        (read(&text(true, "portable: []\n")).unwrap(), read(&text(false, "portable: []\n")).unwrap());
    let of = |wanted: &dyn Fn(&Point) -> bool| {
        let mut points = (0..without.size()).filter_map(|index| without.point(index).ok());
        let point = points.find(|point| wanted(point)).unwrap();
        with.outside(&point.architecture, point.weights, point.kv)
    };
    let plain = |point: &Point| {
        point.architecture.hidden_size == 256
            && point.architecture.depth() == 12
            && point.architecture.layers[0].attention.kv_heads == 4
            && matches!(&point.architecture.layers[0].ffn, FeedForward::Dense(mlp) if mlp.gated && mlp.size == 1024)
            && point.architecture.layers[0].attention.window.is_none()
            && point.architecture.tied_embeddings
            && point.kv == NumberFormat::F16
    };
    let q8 = |point: &Point| point.weights == NumberFormat::Q8_0;
    let told = of(&|point| plain(point) && q8(point) && point.architecture.vocabulary_size == 32_768);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].axis.as_str(), told[0].found.as_str()), ("vocabulary_size", "32768"));
    assert_eq!(told[0].nearest.as_deref(), Some("16384"));
    assert_eq!(told[0].allowed, "16384; 32768 only when hidden_size >= 512");
    let told = of(&|point| {
        plain(point) && point.weights == NumberFormat::Q4_0 && point.architecture.vocabulary_size == 16_384
    });
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].axis.as_str(), told[0].nearest.as_deref()), ("weights", Some("q8_0")));
    assert_eq!(told[0].allowed, "q8_0; q4_0 only when hidden_size >= 512 and layers >= 12");
    assert_eq!(of(&|point| plain(point) && q8(point) && point.architecture.vocabulary_size == 16_384), []);
}

#[test]
fn a_space_counts_what_its_conditions_take_away() {
    let space = read(&text(true, "portable: []\n")).unwrap();
    let summary = space.summary(10, 1);
    let count = |part: &str| {
        let reason = summary.invalid_by.iter().find(|reason| reason.reason.contains(part));
        reason.unwrap_or_else(|| panic!("{part}: {:?}", summary.invalid_by)).count.to_f64()
    };
    for part in [
        "ffn 2 to 4 times hidden_size is offered only when layers <= 6",
        "experts {count: 4, top_k: 2} is offered only when hidden_size >= 512",
        "window {size: 512, full_every: 3} is offered only when layers >= 12",
        "vocabulary_size 32768 is offered only when hidden_size >= 512",
        "gated false is offered only when experts == none",
        "excluded: experts == 4 and weights == q4_0",
    ] {
        assert!(count(part) > 0.0);
    }
    let refused: f64 = summary.invalid_by.iter().map(|reason| reason.count.to_f64()).sum();
    assert_eq!(refused + summary.possible.to_f64(), space.size() as f64);
    let offered = (0..space.size()).filter_map(|index| space.point(index).ok());
    let offered = offered.filter(|point| is_offered(&point.architecture, point.weights, point.kv)).count();
    assert_eq!(summary.possible.to_f64(), offered as f64);
    assert_eq!(summary.examples.len(), 10);
    assert!(summary.examples.iter().all(|point| is_offered(&point.architecture, point.weights, point.kv)));
}

#[test]
fn layers_of_their_own_choice_are_held_to_conditions_one_by_one() {
    let layered =
        text(true, "per_layer: [kv_heads, ffn]\nportable: []\n").replace("layers: [6, 12]", "layers: [2, 3]");
    let layered = layered.replace("layers <= 6", "layers <= 2").replace("layers >= 12", "layers >= 3");
    let summary = read(&layered).unwrap().summary(10, 1);
    let mut total = summary.possible.clone();
    for reason in &summary.invalid_by {
        total.add(&reason.count);
    }
    assert_eq!(total, summary.size);
    assert_eq!(summary.examples.len(), 10);
    for point in &summary.examples {
        for run in &point.architecture.layers {
            let FeedForward::Dense(mlp) = &run.ffn else { continue };
            let shared = run.attention.kv_heads < run.attention.heads;
            assert!(!shared || mlp.size > 1000, "{point:?}");
            assert!(mlp.size == 1024 || point.architecture.depth() <= 2, "{point:?}");
        }
    }
}

fn error(from: &str, to: &str) -> DocumentError {
    let whole = text(true, "");
    let text = whole.replace(from, to);
    assert_ne!(text, whole, "`{from}` does not stand in the file");
    match read(&text) {
        Err(SearchError::Document(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("`{to}` was accepted"),
    }
}

#[test]
fn what_is_wrong_with_a_condition_has_a_place_a_finding_and_what_is_allowed() {
    for (from, to, line, field, part) in [
        ("when: ffn > 1000", "when: fnn > 1000", 9, "axes.kv_heads[1].when", "did you mean `ffn`?"),
        ("when: ffn > 1000", "when: ffn >", 9, "axes.kv_heads[1].when", "the end"),
        ("when: ffn > 1000", "when: true", 9, "axes.kv_heads[1].when", "a condition such as"),
        ("when: ffn > 1000", "when: [ffn > 1000]", 9, "axes.kv_heads[1].when", "a condition such as"),
        (
            "when: ffn > 1000",
            "when: ffn > 100000",
            9,
            "axes.kv_heads[1].when",
            "`kv_heads` heads / 2 is never offered",
        ),
        ("when: layers <= 6", "when: layers < 6", 10, "axes.ffn[1].when", "`layers` offers 6, 12"),
        ("value: false, when: experts == none", "value: false", 11, "axes.gated[1]", "missing field `when`"),
        (
            "value: false, when: experts == none",
            "when: experts == none",
            11,
            "axes.gated[1]",
            "missing field `value`",
        ),
        ("value: false, when", "vaule: false, when", 11, "axes.gated[1]", "true, false"),
        (
            "value: false, when",
            "value: [false], when",
            11,
            "axes.gated[1].value",
            "each value of a list its own",
        ),
        ("value: false, when", "value: flase, when", 11, "axes.gated[1].value", "true, false"),
        ("value: false, when", "value: true, when", 11, "axes.gated[1].value", "joined by `or`"),
        ("experts == none}", "experts == 5}", 11, "axes.gated[1].when", "never offered"),
        ("experts == none}", "experts == q4_0}", 11, "axes.gated[1].when", "a number format"),
        ("experts == none}", "experts}", 11, "axes.gated[1].when", "a comparison such as"),
        (
            "{count: 4, top_k: 2, when",
            "{value: none, count: 4, when",
            12,
            "axes.experts[1].count",
            "nothing but `when`",
        ),
        (
            "{count: 4, top_k: 2, when",
            "{count: 4, topk: 2, when",
            12,
            "axes.experts[1].topk",
            "did you mean `top_k`?",
        ),
        (
            "{size: 512, full_every: 3, when",
            "{size: 512, full: 3, when",
            13,
            "axes.window[1].full",
            "full_every",
        ),
        (
            "vocabulary_size < 20000",
            "vocabulary_size < 2000",
            15,
            "axes.tied_embeddings[1].when",
            "never offered",
        ),
        ("weights == q4_0}", "weights == q4_1}", 17, "axes.kv[1].when", "did you mean `q4_0`?"),
        ("weights == q4_0}", "weights > q4_0}", 17, "axes.kv[1].when", "`==` or `!=`"),
        ("experts == 4 and", "gated == 4 and", 18, "exclude[0]", "`true` or `false`"),
        ("experts == 4 and", "expert == 4 and", 18, "exclude[0]", "did you mean `experts`?"),
        ("exclude:", "per_layer: [ffn, kv_heads, window]\nexclude:", 17, "axes.kv[1].when", "`exclude` says"),
    ] {
        let error = error(from, to);
        let told = error.to_string();
        assert_eq!(error.line, Some(line), "{to}: {told}");
        assert_eq!(error.field.as_deref(), Some(field), "{to}: {told}");
        assert!(told.contains(part), "{to}: {told}");
    }
}

#[test]
fn values_of_assumptions_have_conditions_too_and_count_before_they_are_let_in() {
    let assumed = text(false, "assume: {loops: {loops: [{value: 2, when: layers <= 6}]}}\nportable: []\n")
        .replace("[f16, f32]", "[f16, {value: f32, when: loops != none}]");
    let document = Document::from_str(&assumed, "small.yaml").unwrap();
    let space = |assume: &[Assumption]| Space::from_document(&document, assume).unwrap();
    let kv = |space: &Space| -> BTreeSet<String> {
        let points = (0..space.size()).filter_map(|index| space.point(index).ok());
        let inside =
            points.filter(|point| space.outside(&point.architecture, point.weights, point.kv).is_empty());
        inside
            .map(|point| {
                format!(
                    "{} {:?} {}",
                    point.kv,
                    point.architecture.loops.map(|loops| loops.count),
                    point.architecture.depth()
                )
            })
            .collect()
    };
    assert_eq!(kv(&space(&[])), BTreeSet::from(["f16 None 12", "f16 None 6"].map(str::to_owned)));
    assert_eq!(
        kv(&space(&[Assumption::Loops])),
        BTreeSet::from(["f16 None 12", "f16 None 6", "f16 Some(2) 6", "f32 Some(2) 6"].map(str::to_owned))
    );
}

proptest! {
    /// Whatever replaces a piece of a good file, reading it returns: a space or an error with a line.
    #[test]
    fn no_text_breaks_the_reader(start in 0_usize..1300, length in 0_usize..40, patch in "[ -~\n]{0,24}") {
        let whole = text(true, "");
        let start = start.min(whole.len());
        let end = (start + length).min(whole.len());
        match read(&format!("{}{patch}{}", &whole[..start], &whole[end..])) {
            Ok(space) if space.size() < 100_000 => {
                let summary = space.summary(0, 0);
                let refused: f64 = summary.invalid_by.iter().map(|reason| reason.count.to_f64()).sum();
                prop_assert_eq!(refused + summary.possible.to_f64(), space.size() as f64);
            }
            Ok(_) => {}
            Err(SearchError::Document(error)) => prop_assert!(error.line.is_some(), "{error}"),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
