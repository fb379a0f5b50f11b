//! What a search knows of quality beside the loss: scores, trainings, measured tables, and what it refuses to compare.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use slimfit_cost::CostModel;
use slimfit_document::{Document, DocumentError};
use slimfit_quality::{Anchor, QualityModel, Recipe, TrainingPlan, TrainingRate};
use slimfit_quantity::Source;
use slimfit_search::{
    Evaluator, ExtraRows, Found, Metric, ModelEvaluator, Outcome, QualityTable, SearchError, SearchOptions,
    Space, Workload, dominates, enumerate, for_each_point, search,
};
use slimfit_study::{Front, ProfileRef, front_csv};
use std::ops::ControlFlow;

const TOKENS: u64 = 100_000_000_000;

const SPACE: &str = "
schema: slimfit/space/v1
name: small
description: One vocabulary, a few shapes.
axes:
  layers: [8, 12, 16]
  hidden_size: [256, 320, 384]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: [2 * hidden_size, 4 * hidden_size]
  gated: true
  window: none
  vocabulary_size: 32768
  tied_embeddings: [true, false]
  weights: [bf16, q8_0]
  kv: f16
constraints:
  non_embedding: {min: 5M}
";

struct World {
    cost: CostModel,
    quality: QualityModel,
    workload: Workload,
}

fn world() -> World {
    World {
        cost: CostModel::new(&profile::synthetic(false)).unwrap(),
        quality: QualityModel::new(Recipe::builtin("gemstones").unwrap()),
        workload: Workload::load("voice-command").unwrap(),
    }
}

impl World {
    fn evaluator(&self, space: &Space) -> ModelEvaluator<'_> {
        ModelEvaluator::new(space, &self.cost, &self.quality, TOKENS, &self.workload)
    }
}

fn space_of(text: &str) -> Space {
    Space::from_document(&Document::from_str(text, "small.yaml").unwrap(), &[]).unwrap()
}

fn metric(name: &str) -> Metric {
    Metric::named(name, &Recipe::builtin("gemstones").unwrap()).unwrap()
}

fn options(objectives: &[Metric], limits: &[(Metric, f64)]) -> SearchOptions<'static> {
    SearchOptions {
        objectives: objectives.to_vec(),
        limits: limits.to_vec(),
        workers: 2,
        seed: 1,
        sample: 100,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    }
}

fn indices(outcome: &Outcome) -> Vec<u64> {
    let mut indices: Vec<u64> = outcome.front.iter().map(|found| found.index).collect();
    indices.sort_unstable();
    indices
}

/// The front as every point against every other gives it, scores turned round by hand.
fn brute_force(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    objectives: &[Metric],
    limits: &[(Metric, f64)],
) -> Vec<u64> {
    let mut points: Vec<(u64, Vec<f64>)> = Vec::new();
    let _ = for_each_point(space, evaluator, limits, |found, feasible| {
        if feasible {
            let value = |metric: &Metric| {
                let value = found.values[metric.column()];
                if metric.name().starts_with("score_") { -value } else { value }
            };
            points.push((found.index, objectives.iter().map(value).collect()));
        }
        ControlFlow::Continue(())
    });
    let front = points.iter().filter(|(_, point)| !points.iter().any(|(_, other)| dominates(other, point)));
    let mut front: Vec<u64> = front.map(|(index, _)| *index).collect();
    front.sort_unstable();
    front
}

fn front(evaluator: &ModelEvaluator<'_>, space: &Space, options: &SearchOptions<'_>) -> (Outcome, Front) {
    let outcome = search(space, evaluator, options).unwrap();
    let profile =
        ProfileRef { fingerprint_id: "0".to_owned(), sha256: "0".to_owned(), name: "made up".to_owned() };
    let (front, _) = evaluator.front(space, &outcome, options, profile).unwrap();
    (outcome, front)
}

#[test]
fn a_score_is_maximised_and_its_front_is_that_of_the_loss() {
    let world = world();
    let space = space_of(SPACE);
    let evaluator = world.evaluator(&space);
    let score = metric("score_hellaswag");
    let objectives = [score, Metric::TpotSeconds, Metric::MemoryBytes];
    let by_score = search(&space, &evaluator, &options(&objectives, &[])).unwrap();
    // Every score falls as the loss rises: without measured values both rank alike.
    let losses = [Metric::Loss, Metric::TpotSeconds, Metric::MemoryBytes];
    let by_loss = search(&space, &evaluator, &options(&losses, &[])).unwrap();
    assert_eq!(indices(&by_score), indices(&by_loss));
    assert_eq!(indices(&by_score), brute_force(&space, &evaluator, &objectives, &[]));
    let values: Vec<f64> = by_score.front.iter().map(|found| found.values[score.column()]).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "the best score comes first");

    let (_, front) = front(&evaluator, &space, &options(&objectives, &[]));
    assert_eq!(front.head.objectives[0].direction, "max");
    let best = front.points.iter().find(|point| point.picks.contains(&"best-hellaswag".to_owned())).unwrap();
    assert_eq!(best.objectives["score_hellaswag"], values[0]);
    assert!(best.relative_noise["score_hellaswag"] > 0.0);
    let interval = best.intervals["score_hellaswag"];
    assert!(interval.high - interval.low > 3.0 * best.relative_noise["score_hellaswag"]);
}

#[test]
fn a_least_score_is_kept_and_what_misses_it_is_told() {
    let world = world();
    let space = space_of(SPACE);
    let evaluator = world.evaluator(&space);
    let score = metric("score_hellaswag");
    let objectives = [Metric::Loss, Metric::MemoryBytes];
    let all = search(&space, &evaluator, &options(&objectives, &[])).unwrap();
    let highest =
        all.front.iter().map(|found| found.values[score.column()]).fold(f64::NEG_INFINITY, f64::max);
    let lowest = all.front.iter().map(|found| found.values[score.column()]).fold(f64::INFINITY, f64::min);
    let least = (highest + lowest) / 2.0;
    let kept = search(&space, &evaluator, &options(&objectives, &[(score, least)])).unwrap();
    assert!(!kept.front.is_empty() && kept.front.len() < all.front.len());
    assert!(kept.front.iter().all(|found| found.values[score.column()] >= least));

    let (outcome, front) = front(&evaluator, &space, &options(&objectives, &[(score, highest + 1.0)]));
    assert!(outcome.front.is_empty());
    let miss = front.head.nearest_miss.unwrap();
    assert_eq!((miss.breaks.len(), miss.breaks[0].name.as_str()), (1, "score_hellaswag"));
    assert_eq!(miss.breaks[0].value, highest, "the nearest miss has the highest score");
}

#[test]
fn anchors_move_scores_in_the_search_as_in_an_estimate() {
    let mut world = world();
    let space = space_of(SPACE);
    let small = Document::from_str(
        "{hidden_size: 576, vocabulary_size: 49152, tied_embeddings: true, layers: [{repeat: 30,
          attention: {heads: 9, kv_heads: 3, head_size: 64, rope: {base: 10000}}, ffn: {kind: dense, size: 1536}}]}",
        "sibling.yaml",
    );
    let anchor = Anchor {
        model: "sibling".to_owned(),
        architecture: small.unwrap().parse().unwrap(),
        tokens: 600_000_000_000,
        task: "hellaswag".to_owned(),
        percent: 42.1,
    };
    world.quality = world.quality.anchored(&[anchor]).unwrap();
    let evaluator = world.evaluator(&space);
    let (hellaswag, piqa) = (metric("score_hellaswag"), metric("score_piqa"));
    let mut moved = 0;
    let _ = for_each_point(&space, &evaluator, &[], |found, _| {
        let point = space.point(found.index).unwrap();
        let estimate = world
            .quality
            .estimate(&point.architecture, point.weights, point.kv, TOKENS, &world.workload.bytes())
            .unwrap();
        for (metric, task) in [(hellaswag, "hellaswag"), (piqa, "piqa")] {
            assert_eq!(found.values[metric.column()], estimate.scores[task].percent.value, "{point:?}");
        }
        let curve = &world.quality.recipe().scores.tasks["hellaswag"];
        moved += u32::from(curve.percent(estimate.loss.value) != found.values[hellaswag.column()]);
        ControlFlow::Continue(())
    });
    assert!(moved > 50, "{moved}");
}

#[test]
fn a_task_without_a_prediction_is_no_metric() {
    assert_eq!(Metric::named("score_mmlu", &Recipe::builtin("gemstones").unwrap()), None);
    assert_eq!(Metric::named("score_piqa", &Recipe::builtin("published").unwrap()), None);
}

#[test]
fn trainings_are_objectives_and_limits_and_need_a_rate_for_time_and_money() {
    let world = world();
    let space = space_of(SPACE);
    let rate = TrainingRate { flops_per_s: 4e14, gpus: 8, price_per_gpu_hour: Some(2.0) };
    let plan = TrainingPlan { rate: Some(rate), ..TrainingPlan::default() };
    let evaluator = world.evaluator(&space).trained_on(plan);
    let objectives = [Metric::Loss, Metric::TrainingCost];
    let all = search(&space, &evaluator, &options(&objectives, &[])).unwrap();
    assert_eq!(indices(&all), brute_force(&space, &evaluator, &objectives, &[]));
    for found in &all.front {
        let [flops, seconds, money] = [Metric::TrainingFlops, Metric::TrainingSeconds, Metric::TrainingCost]
            .map(|metric| found.values[metric.column()]);
        assert_eq!(seconds, flops / 4e14);
        assert!((money / (seconds / 3600.0 * 8.0 * 2.0) - 1.0).abs() < 1e-12);
    }
    let dearest =
        all.front.iter().map(|found| found.values[Metric::TrainingCost.column()]).fold(0.0, f64::max);
    let limits = [(Metric::TrainingCost, dearest / 2.0)];
    let (kept, front) = front(&evaluator, &space, &options(&objectives, &limits));
    assert!(!kept.front.is_empty() && kept.front.len() < all.front.len());
    let training = front.head.training.unwrap();
    assert_eq!((training.gpus, training.price_per_gpu_hour), (Some(8), Some(2.0)));
    assert!(front.points.iter().any(|point| point.picks.contains(&"cheapest-to-train".to_owned())));

    let plain = world.evaluator(&space);
    for (metric, flag) in
        [(Metric::TrainingSeconds, "--training-flops-per-s"), (Metric::TrainingCost, "--price-per-gpu-hour")]
    {
        let error = search(&space, &plain, &options(&[Metric::Loss, metric], &[])).unwrap_err().to_string();
        assert!(error.contains(metric.name()) && error.contains(flag), "{error}");
    }
    assert!(search(&space, &plain, &options(&[Metric::TrainingFlops], &[])).is_ok());
}

#[test]
fn figures_per_token_are_no_objectives_where_vocabularies_differ() {
    let world = world();
    let space = space_of(&SPACE.replace("vocabulary_size: 32768", "vocabulary_size: [32768, 49152]"));
    let evaluator = world.evaluator(&space);
    for (objectives, limits, instead) in [
        (vec![Metric::Loss], vec![], "loss_per_byte"),
        (vec![Metric::LossPerByte], vec![(Metric::Loss, 3.0)], "loss_per_byte"),
        (vec![Metric::LossPerByte, Metric::TpotSeconds], vec![], "seconds_per_byte"),
    ] {
        match search(&space, &evaluator, &options(&objectives, &limits)) {
            Err(SearchError::Tokenizers { allowed, vocabularies, .. }) => {
                assert_eq!((allowed.as_str(), vocabularies.as_str()), (instead, "32768, 49152"));
            }
            other => panic!("{objectives:?} {limits:?}: {other:?}"),
        }
    }
    // A limit on the time of a token compares nothing with anything.
    let limits = [(Metric::TpotSeconds, 1.0)];
    assert!(search(&space, &evaluator, &options(&[Metric::LossPerByte], &limits)).is_ok());
}

#[test]
fn the_loss_per_byte_divides_by_the_recipes_tokens_and_times_by_the_candidates() {
    let world = world();
    let space = space_of(&SPACE.replace("vocabulary_size: 32768", "vocabulary_size: [32768, 49152]"));
    let evaluator = world.evaluator(&space);
    let text = &world.quality.recipe().text;
    let _ = for_each_point(&space, &evaluator, &[], |found, _| {
        let vocabulary = space.point(found.index).unwrap().architecture.vocabulary_size;
        let value = |metric: Metric| found.values[metric.column()];
        assert_eq!(value(Metric::LossPerByte), value(Metric::Loss) / text.bytes_per_token(50_304));
        let per_byte = value(Metric::TpotSeconds) / text.bytes_per_token(vocabulary);
        assert!((value(Metric::SecondsPerByte) / per_byte - 1.0).abs() < 1e-11);
        ControlFlow::Continue(())
    });
    // The prompt is so many bytes: the larger vocabulary reads it in fewer tokens.
    let tokens = |vocabulary| world.workload.run_shape(evaluator.law(), vocabulary).prompt_tokens;
    assert!(tokens(49_152) < tokens(32_768));
}

/// Points of the space in order, with their ids.
fn points(space: &Space, evaluator: &ModelEvaluator<'_>) -> Vec<(Found, String)> {
    let mut points = Vec::new();
    let _ = for_each_point(space, evaluator, &[], |found, _| {
        let point = space.point(found.index).unwrap();
        points.push((found, point.architecture.id(point.weights, point.kv)));
        ControlFlow::Continue(())
    });
    points
}

fn table(text: &str) -> Result<QualityTable, SearchError> {
    QualityTable::from_text(text, "scores.csv", "scores.csv", &Recipe::builtin("gemstones").unwrap())
}

#[test]
fn measured_losses_replace_predictions_in_dominance_and_in_the_record() {
    let world = world();
    let space = space_of(SPACE);
    let plain = world.evaluator(&space);
    let objectives = [Metric::Loss, Metric::TpotSeconds, Metric::MemoryBytes];
    let before = search(&space, &plain, &options(&objectives, &[])).unwrap();
    let points = points(&space, &plain);
    // One that was dominated is measured far better, one of the front far worse.
    let hidden = points.iter().find(|(found, _)| !indices(&before).contains(&found.index)).unwrap();
    let shown = points.iter().find(|(found, _)| found.index == before.front[0].index).unwrap();
    let text = format!("id,loss,sigma\n{},1.9,0.01\n{},9.5,\n", hidden.1, shown.1);
    let table = table(&text).unwrap();
    let bound = table.bind(&space, &plain, ExtraRows::Refuse).unwrap();
    assert_eq!((bound.points(), bound.ignored()), (2, 0));
    let level = (1.9 + 9.5 - hidden.0.values[0] - shown.0.values[0]) / 2.0;
    assert!((bound.levels()[0].mean_difference - level).abs() < 1e-12);

    let evaluator = world.evaluator(&space).measured_by(bound);
    let (outcome, front) = front(&evaluator, &space, &options(&objectives, &[]));
    assert_eq!(
        indices(&outcome),
        brute_force(&space, &evaluator, &objectives, &[]),
        "exact with measured scores"
    );
    let found = indices(&outcome);
    assert!(found.contains(&hidden.0.index) && !found.contains(&shown.0.index));
    let point = front.points.iter().find(|point| point.id == hidden.1).unwrap();
    assert_eq!(point.objectives["loss"], 1.9);
    assert_eq!(point.sources["loss"], Source::Measured);
    assert!((point.intervals["loss"].high - 1.9 - 1.645 * 0.01).abs() < 1e-12);
    assert!(front.points.iter().filter(|point| !point.sources.is_empty()).count() == 1);
    let csv = front_csv(&front);
    assert!(csv.lines().next().unwrap().ends_with(",measured,loops"));
    assert_eq!(csv.lines().filter(|line| line.ends_with(",loss,1")).count(), 1);
}

#[test]
fn a_measured_point_is_the_nearest_miss_where_bounds_that_know_predictions_would_leave_it_out() {
    let world = world();
    let space = space_of(SPACE);
    let plain = world.evaluator(&space);
    // One of the largest models, measured just beyond a limit that no prediction comes near.
    let mut last = 0;
    let _ = for_each_point(&space, &plain, &[], |found, _| {
        last = found.index;
        ControlFlow::Continue(())
    });
    let point = space.point(last).unwrap();
    let text = format!("id,loss\n{},1.9\n", point.architecture.id(point.weights, point.kv));
    let bound = table(&text).unwrap().bind(&space, &plain, ExtraRows::Refuse).unwrap();
    let evaluator = world.evaluator(&space).measured_by(bound);
    let options = options(&[Metric::Loss, Metric::MemoryBytes], &[(Metric::Loss, 1.8)]);
    let (found, all) =
        (search(&space, &evaluator, &options).unwrap(), enumerate(&space, &evaluator, &options).unwrap());
    assert_eq!(found.nearest_miss.map(|miss| miss.index), Some(last));
    assert_eq!(found.nearest_miss, all.nearest_miss);
}

#[test]
fn rows_name_points_by_axes_and_what_a_table_leaves_open_must_be_single() {
    let world = world();
    let space = space_of(SPACE);
    let evaluator = world.evaluator(&space);
    let header = "layers,hidden_size,kv_heads,ffn,tied_embeddings,weights,score_hellaswag";
    let text = format!("{header}\n12,384,3,1536,true,q8_0,55.5\n16,320,5,640,false,bf16,30\n");
    let bound = table(&text).unwrap().bind(&space, &evaluator, ExtraRows::Refuse).unwrap();
    assert_eq!(bound.points(), 2);
    let evaluator = world.evaluator(&space).measured_by(bound);
    let score = metric("score_hellaswag");
    let mut seen = Vec::new();
    let _ = for_each_point(&space, &evaluator, &[], |found, _| {
        let point = space.point(found.index).unwrap();
        if [55.5, 30.0].contains(&found.values[score.column()]) {
            let layer = &point.architecture.layers[0];
            seen.push((
                point.architecture.depth(),
                point.architecture.hidden_size,
                layer.attention.kv_heads,
                point.weights.name(),
            ));
        }
        ControlFlow::Continue(())
    });
    seen.sort_unstable();
    assert_eq!(seen, [(12, 384, 3, "q8_0"), (16, 320, 5, "bf16")]);
    let objectives = [score, Metric::MemoryBytes];
    let (outcome, front) = front(&evaluator, &space, &options(&objectives, &[]));
    assert_eq!(indices(&outcome), brute_force(&space, &evaluator, &objectives, &[]));
    let best = &front.points[0];
    assert_eq!(
        (best.objectives["score_hellaswag"], best.sources["score_hellaswag"]),
        (55.5, Source::Measured)
    );
    assert!(best.relative_noise.is_empty(), "a measured score has its own interval");

    let open = "layers,hidden_size,kv_heads,score_hellaswag\n12,384,3,55.5\n";
    let error = refused(
        table(open).and_then(|table| table.bind(&space, &world.evaluator(&space), ExtraRows::Refuse)),
    );
    assert_eq!((error.code.as_str(), error.line), ("ambiguous-row", Some(2)));
    assert!(error.allowed.as_ref().unwrap().contains("ffn, tied_embeddings, weights"), "{error}");
}

fn refused<T: std::fmt::Debug>(result: Result<T, SearchError>) -> DocumentError {
    match result {
        Err(SearchError::Document(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_names_no_candidate_is_an_error_by_line_unless_it_is_to_be_ignored() {
    let world = world();
    let space = space_of(SPACE);
    let evaluator = world.evaluator(&space);
    let id = &points(&space, &evaluator)[0].1;
    let text = format!("id,loss\n{id},2.5\n0123456789ab,2.4\n");
    let error = refused(table(&text).unwrap().bind(&space, &evaluator, ExtraRows::Refuse));
    assert_eq!((error.code.as_str(), error.line), ("no-such-point", Some(3)));
    assert!(error.hint.as_ref().unwrap().contains("--quality-table-extra ignore"));
    let bound = table(&text).unwrap().bind(&space, &evaluator, ExtraRows::Ignore).unwrap();
    assert_eq!((bound.points(), bound.ignored()), (1, 1));

    // A table of another space altogether has no effect, which nobody asked for.
    let text = "id,loss\n0123456789ab,2.4\n";
    let error = refused(table(text).unwrap().bind(&space, &evaluator, ExtraRows::Ignore));
    assert_eq!(error.code, "quality-table");

    // Too small for any law of quality: a point of the axes, and no candidate.
    let wide = space_of(&SPACE.replace("layers: [8, 12, 16]", "layers: [2, 12]"));
    let evaluator = world.evaluator(&wide);
    let text = "layers,hidden_size,kv_heads,ffn,tied_embeddings,weights,loss\n2,256,4,512,true,bf16,4.0\n";
    let error = refused(table(text).unwrap().bind(&wide, &evaluator, ExtraRows::Refuse));
    assert!(error.message.contains("no candidate: non_embedding parameters outside"), "{error}");
}

#[test]
fn a_point_stands_in_a_table_once() {
    let world = world();
    let space = space_of(SPACE);
    let evaluator = world.evaluator(&space);
    let id = &points(&space, &evaluator)[3].1;
    let text = format!("id,loss\n{id},2.5\n{id},2.5\n");
    let error = refused(table(&text).unwrap().bind(&space, &evaluator, ExtraRows::Ignore));
    assert_eq!((error.code.as_str(), error.line), ("duplicate-row", Some(3)));
    assert!(error.found.as_ref().unwrap().contains("line 2"));
}

#[test]
fn a_loss_per_token_says_nothing_where_vocabularies_differ() {
    let world = world();
    let space = space_of(&SPACE.replace("vocabulary_size: 32768", "vocabulary_size: [32768, 49152]"));
    let evaluator = world.evaluator(&space);
    let id = &points(&space, &evaluator)[0].1;
    let result = table(&format!("id,loss\n{id},2.5\n")).unwrap().bind(&space, &evaluator, ExtraRows::Refuse);
    assert!(matches!(result, Err(SearchError::Tokenizers { .. })), "{result:?}");
    let text = format!("id,loss_per_byte\n{id},0.6\n");
    assert_eq!(table(&text).unwrap().bind(&space, &evaluator, ExtraRows::Refuse).unwrap().points(), 1);
}

#[test]
fn every_fault_of_a_table_is_told_with_line_and_column() {
    const ID: &str = "0123456789ab";
    let cases = [
        ("id,loss\n".to_owned(), "empty-table", None, "no row"),
        ("".to_owned(), "usage", Some(1), "no column names the points"),
        (format!("loss\n2.5\n{ID}"), "usage", Some(1), "no column names the points"),
        (format!("id\n{ID}\n"), "missing-field", Some(1), "no column holds a measured score"),
        (format!("id,layers,loss\n{ID},8,2.5\n"), "usage", Some(1), "both by `id` and by axes"),
        (format!("id,loss,loss\n{ID},2.5,2.5\n"), "duplicate-column", Some(1), "twice"),
        (format!("id,los\n{ID},2.5\n"), "unknown-name", Some(1), "did you mean `loss`"),
        (format!("id,score_mmlu\n{ID},30\n"), "unknown-name", Some(1), "`mmlu` is not predicted"),
        (format!("id,loss,loss_per_byte\n{ID},2.5,0.6\n"), "usage", Some(1), "one quantity"),
        (
            format!("id,loss,score_piqa,sigma\n{ID},2.5,60,0.1\n"),
            "unknown-name",
            Some(1),
            "loss_sigma, score_piqa_sigma",
        ),
        (format!("id,loss\n{ID},2.5\n{ID},\n"), "wrong-value", Some(3), "lacks what others measured"),
        (format!("id,loss\n{ID},2.5,1\n"), "syntax", Some(2), "another number of cells"),
        (format!("id,loss\n{ID},-1\n"), "wrong-value", Some(2), "nats above 0"),
        (format!("id,loss\n{ID},nan\n"), "wrong-value", Some(2), "nats above 0"),
        (format!("id,score_piqa\n{ID},101\n"), "wrong-value", Some(2), "0 to 100"),
        (format!("id,loss,sigma\n{ID},2.5,-1\n"), "wrong-value", Some(2), "0 or more"),
        ("id,loss\nXYZ,2.5\n".to_owned(), "wrong-value", Some(2), "12 hex digits"),
        ("layers,weights,loss\n8,q9_0,2.5\n".to_owned(), "wrong-value", Some(2), "unknown number format"),
        ("layers,window,loss\n8,wide,2.5\n".to_owned(), "wrong-value", Some(2), "512/4"),
        ("layers,gated,loss\n8,yes,2.5\n".to_owned(), "wrong-value", Some(2), "true, false"),
        ("layers,loss\n8.5,2.5\n".to_owned(), "wrong-value", Some(2), "a whole number"),
        (
            format!("id,score_piqa,setting\n{ID},60,0-shot\nab{ID},60,5-shot\n")
                .replace("ab0123456789ab", "ab3456789abc"),
            "wrong-value",
            Some(3),
            "several settings",
        ),
    ];
    for (text, code, line, part) in cases {
        let error = refused(table(&text));
        assert_eq!((error.code.as_str(), error.line), (code, line), "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.file.as_deref(), Some("scores.csv"));
    }
    // Spaces, quotes, a byte order mark and line ends of either kind are fine.
    let table = table("\u{feff}id, score_piqa ,setting\r\n\"0123456789ab\", 61.5 ,0-shot\r\n").unwrap();
    assert_eq!((table.measured().len(), table.setting()), (1, Some("0-shot")));
}

#[test]
fn shipped_spaces_leave_single_ablations_out_unless_assumed() {
    let world = world();
    for name in Space::builtin_names() {
        let space = Space::load(name, &[]).unwrap();
        if space.is_layered() {
            // Its kinds of layers are few, and none is such a value.
            continue;
        }
        let evaluator = world.evaluator(&space);
        let (mut candidates, mut refused) = (0, 0);
        // Some blocks of every kind, whole.
        let stride = usize::try_from(space.blocks() / 600).unwrap().max(83) | 1;
        for block in (0..space.blocks()).step_by(stride) {
            let Ok(mut prepared) = space.block(block).and_then(|block| evaluator.prepare(&space, &block))
            else {
                continue;
            };
            for inner in 0..space.inner_size() {
                let mut values = Metric::UNKNOWN;
                match evaluator.evaluate(&mut prepared, space.inner(inner), &mut values) {
                    Ok(()) => {
                        let point = space.point(block * space.inner_size() + inner).unwrap();
                        let attention = &point.architecture.layers[0].attention;
                        assert!(attention.heads == 1 || attention.kv_heads > 1, "{name}: {point:?}");
                        assert!(attention.heads / attention.kv_heads <= 8, "{name}: {point:?}");
                        assert!((25_152..=100_608).contains(&point.architecture.vocabulary_size));
                        assert!(point.architecture.loops.is_none());
                        candidates += 1;
                    }
                    Err(invalid) => refused += u64::from(invalid.reason().contains("--assume")),
                }
            }
        }
        assert!(candidates > 100, "{name}");
        // Some blocks of every space but the demo's smallest have a single key head: they are counted as such.
        assert!(refused > 0 || name == "slm-demo", "{name}: nothing was refused");
    }
}
