use super::*;
use slimfit_document::Document;

const TEXT: WorkloadText = WorkloadText::new(1200, 400);

fn architecture(hidden: u64, layers: u64) -> Architecture {
    let heads = hidden / 64;
    let text = format!(
        "{{hidden_size: {hidden}, vocabulary_size: 50304, tied_embeddings: true, layers: [{{repeat: {layers},
          attention: {{heads: {heads}, kv_heads: {heads}, head_size: 64, rope: {{base: 10000}}}},
          ffn: {{kind: dense, size: {}}}}}]}}",
        hidden * 8 / 3
    );
    Document::from_str(&text, "test.yaml").unwrap().parse().unwrap()
}

fn model(recipe: &str) -> QualityModel {
    QualityModel::new(Recipe::builtin(recipe).unwrap())
}

fn anchor(hidden: u64, layers: u64, task: &str, percent: f64) -> Anchor {
    Anchor {
        model: format!("{hidden}x{layers}"),
        architecture: architecture(hidden, layers),
        tokens: 300_000_000_000,
        task: task.to_owned(),
        percent,
    }
}

fn score(model: &QualityModel, of: &Architecture, task: &str) -> crate::Score {
    model.estimate(of, NumberFormat::F16, NumberFormat::F16, 100_000_000_000, &TEXT).unwrap().scores[task]
}

fn parsed(text: &str) -> Result<Anchor, QualityError> {
    Anchor::parse(text, |name| match name {
        "known" => Ok(AnchorModel { architecture: architecture(576, 30), tokens: Some(600_000_000_000) }),
        _ => Ok(AnchorModel { architecture: architecture(576, 30), tokens: None }),
    })
}

fn refused(error: QualityError) -> DocumentError {
    let QualityError::Document(error) = error else { panic!("{error}") };
    assert_eq!((error.code.as_str(), error.field.as_deref()), ("anchor", Some("--anchor")), "{error}");
    error
}

#[test]
fn an_anchor_moves_its_task_by_its_share_of_the_residual_and_nothing_else() {
    for recipe in ["gemstones", "published"] {
        let plain = model(recipe);
        let sibling = anchor(960, 32, "hellaswag", 54.5);
        let moved = plain.anchored(std::slice::from_ref(&sibling)).unwrap();
        let [shift] = moved.anchors() else { panic!("one anchor") };
        let curve = &plain.recipe().scores.tasks["hellaswag"];
        let estimate = |of: &Architecture, tokens| {
            let found = plain.estimate(of, NumberFormat::F16, NumberFormat::F16, tokens, &TEXT);
            found.unwrap()
        };
        let predicted = estimate(&sibling.architecture, sibling.tokens).loss.value;
        assert!((shift.residual_nats - (curve.nats(54.5) - predicted)).abs() < 1e-12);
        assert!((shift.shift_nats - 0.7 * shift.residual_nats).abs() < 1e-12);
        assert!((shift.predicted_percent - curve.percent(predicted)).abs() < 1e-9);

        let candidate = architecture(768, 24);
        let before = estimate(&candidate, 100_000_000_000);
        let after =
            moved.estimate(&candidate, NumberFormat::F16, NumberFormat::F16, 100_000_000_000, &TEXT).unwrap();
        assert_eq!((before.loss, before.sigma, &before.terms), (after.loss, after.sigma, &after.terms));
        let expected = curve.percent(before.loss.value + shift.shift_nats);
        assert!((after.scores["hellaswag"].percent.value - expected).abs() < 1e-9);
        for (task, score) in before.scores.iter().filter(|(task, _)| *task != "hellaswag") {
            assert_eq!(score, &after.scores[task], "{task}");
        }
    }
}

#[test]
fn an_anchored_interval_is_as_narrow_as_was_measured_and_no_narrower() {
    for recipe in ["gemstones", "published"] {
        let plain = model(recipe);
        let moved = plain.anchored(&[anchor(960, 32, "hellaswag", 54.5)]).unwrap();
        let half = |model: &QualityModel, of: &Architecture| {
            let percent = score(model, of, "hellaswag").percent;
            percent.high - percent.value
        };
        let near = architecture(768, 24);
        assert!(half(&plain, &near) >= 8.2 - 1e-9);
        assert!((half(&moved, &near) - 5.2).abs() < 1e-9);
        // 12 layers of 320 have a twentieth of the anchor's parameters.
        let far = architecture(320, 12);
        assert!((half(&moved, &far) - 6.7).abs() < 1e-9);
    }
}

#[test]
fn a_candidate_follows_the_anchor_that_is_nearest_in_size() {
    let small = anchor(576, 24, "hellaswag", 45.0);
    let large = anchor(2048, 24, "hellaswag", 70.0);
    let plain = model("gemstones");
    let both = plain.anchored(&[small.clone(), large.clone()]).unwrap();
    for (candidate, near) in [(architecture(640, 24), small), (architecture(1792, 24), large)] {
        let alone = plain.anchored(&[near]).unwrap();
        assert_eq!(score(&both, &candidate, "hellaswag"), score(&alone, &candidate, "hellaswag"));
    }
}

#[test]
fn an_anchor_is_read_with_and_without_its_tokens() {
    let own = parsed("known=hellaswag:54.5").unwrap();
    assert_eq!((own.model.as_str(), own.task.as_str(), own.percent), ("known", "hellaswag", 54.5));
    assert_eq!(own.tokens, 600_000_000_000);
    assert_eq!(parsed("known@300B=hellaswag:54.5").unwrap().tokens, 300_000_000_000);
    for (text, message) in [
        ("known", "without `=`"),
        ("known=54.5", "has no `:`"),
        ("known=hellaswag:high", "is no number"),
        ("known=hellaswag:NaN", "is no number"),
        ("known@many=hellaswag:54.5", "no count"),
        ("=hellaswag:54.5", "without a model"),
    ] {
        let error = refused(parsed(text).unwrap_err());
        assert!(error.message.contains(message), "{error}");
        assert!(error.allowed.as_deref().is_some_and(|allowed| allowed.contains("=TASK:SCORE")), "{error}");
    }
    let error = refused(parsed("other=hellaswag:54.5").unwrap_err());
    assert!(
        error.hint.as_deref().is_some_and(|hint| hint.contains("`other@300B=hellaswag:54.5`")),
        "{error}"
    );
}

#[test]
fn anchors_that_say_nothing_are_refused_with_the_reason() {
    let plain = model("gemstones");
    let refusal = |anchor: Anchor| refused(plain.anchored(&[anchor]).unwrap_err()).to_string();
    for (task, percent, words) in [
        ("hellaswag", 31.0, "more than 31.0"),
        ("hellaswag", 12.0, "more than 31.0"),
        ("hellaswag", 100.0, "less than 100"),
        ("arc_challenge", 40.0, "`arc_challenge` takes no anchor"),
        ("winogrande", 60.0, "within their noise"),
        ("piqa", 70.0, "was not measured"),
        ("mmlu", 60.0, "depends on the data"),
        ("helaswag", 54.0, "did you mean `hellaswag`?"),
    ] {
        let found = refusal(anchor(960, 32, task, percent));
        assert!(found.contains(words), "{task}: {found}");
    }
    let tiny = refusal(anchor(64, 2, "hellaswag", 40.0));
    assert!(tiny.contains("does not reach the anchor `64x2`"), "{tiny}");
}

#[test]
fn a_recipe_without_anchors_says_so() {
    let text = Recipe::builtin_text("gemstones").unwrap();
    let start = text.find("\nanchors:").unwrap();
    let recipe = Recipe::from_document(&Document::from_str(&text[..start], "own.yaml").unwrap()).unwrap();
    let error = QualityModel::new(recipe).anchored(&[anchor(960, 32, "hellaswag", 54.5)]).unwrap_err();
    assert!(refused(error).message.contains("says nothing about anchors"));
}

#[test]
fn an_anchor_far_from_the_law_is_known_for_one() {
    let moved = |percent| {
        let plain = model("gemstones");
        let found = plain.anchored(&[anchor(960, 32, "hellaswag", percent)]).unwrap();
        found.anchors()[0].is_implausible(plain.recipe())
    };
    assert!(!moved(54.5));
    assert!(moved(85.0));
}
