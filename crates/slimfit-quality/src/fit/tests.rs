use super::*;
use crate::{QualityError, QualityModel, Recipe, WorkloadText};
use slimfit_document::Document;
use slimfit_quantity::NumberFormat;

const TEXT: WorkloadText = WorkloadText::new(1200, 400);

fn base() -> Recipe {
    Recipe::builtin("gemstones").unwrap()
}

fn provenance() -> Provenance {
    Provenance { name: "mine".to_owned(), file: "runs.csv".to_owned(), sha256: "0123456789abcdef".to_owned() }
}

const SHAPES: [(u64, u64); 10] = [
    (256, 4),
    (256, 24),
    (384, 12),
    (512, 6),
    (512, 40),
    (768, 12),
    (768, 24),
    (1024, 6),
    (1024, 48),
    (1536, 16),
];

/// A table of runs whose losses `recipe` gives, at three lengths each.
fn table(recipe: &Recipe, shapes: &[(u64, u64)], lengths: &[u64]) -> String {
    let mut text = String::from("hidden_size,layers,heads,ffn,vocabulary_size,tokens,loss,score_hellaswag\n");
    for (width, layers) in shapes {
        for tokens in lengths {
            let row = |loss: f64, score: f64| {
                format!("{width},{layers},{},{},32000,{tokens},{loss},{score}\n", width / 64, 4 * width)
            };
            let head = text.lines().next().unwrap().to_owned() + "\n";
            let run = parse_runs(&(head + &row(1.0, 30.0)), "t.csv").unwrap().remove(0);
            let loss = predicted_loss(recipe, &run);
            text += &row(loss, recipe.scores.tasks["hellaswag"].percent(loss));
        }
    }
    text
}

fn runs(recipe: &Recipe, shapes: &[(u64, u64)], lengths: &[u64]) -> Vec<TrainingRun> {
    parse_runs(&table(recipe, shapes, lengths), "runs.csv").unwrap()
}

const LENGTHS: [u64; 3] = [10_000_000_000, 40_000_000_000, 160_000_000_000];

/// A recipe unlike the base in everything that a fit may move.
fn other() -> Recipe {
    let mut recipe = base();
    recipe.vocabulary_size = 32_000;
    for (parameter, value) in Parameter::WHOLE.iter().zip([1.9, 1.1, 0.25, 0.6, 0.4, 0.7, 0.09, 3.1, 0.3]) {
        parameter.coefficient(&mut recipe).value = value;
    }
    recipe
}

fn refusal(result: Result<Fitted, QualityError>) -> FitRefusal {
    match result {
        Err(QualityError::FitRefused { refusal, .. }) => refusal,
        Ok(_) => panic!("it was fitted"),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_whole_fit_finds_the_law_that_made_the_losses() {
    let fitted = fit(&base(), &runs(&other(), &SHAPES, &LENGTHS), Form::Whole, &provenance()).unwrap();
    assert!(fitted.left_out.mean_absolute < 2e-3, "{:?}", fitted.left_out);
    assert_eq!(fitted.recipe.as_ref().map(|recipe| recipe.anchors.is_none()), Some(true));
    assert_eq!(fitted.left_out.spearman.map(|rho| rho > 0.999), Some(true));
    for (coefficient, truth) in fitted
        .coefficients
        .iter()
        .zip(Parameter::WHOLE.map(|parameter| parameter.coefficient(&mut other()).value))
    {
        let name = coefficient.parameter.field();
        assert!((coefficient.value / truth - 1.0).abs() < 0.1, "{name}: {} {truth}", coefficient.value);
        assert!(coefficient.low <= coefficient.value && coefficient.value <= coefficient.high, "{name}");
    }
}

#[test]
fn a_level_fit_moves_three_numbers_and_keeps_the_rest() {
    let mut level = base();
    level.vocabulary_size = 32_000;
    level.loss.irreducible.value = 2.2;
    level.loss.size.factor.value *= 0.8;
    let fitted =
        fit(&base(), &runs(&level, &SHAPES[..4], &LENGTHS[..2]), Form::Level, &provenance()).unwrap();
    let recipe = fitted.recipe.unwrap();
    assert!((recipe.loss.irreducible.value - 2.2).abs() < 0.1, "{}", recipe.loss.irreducible.value);
    assert_eq!(recipe.loss.size.exponent, base().loss.size.exponent);
    assert_eq!(recipe.shape, base().shape);
    assert!(fitted.left_out.mean_absolute < 0.01, "{:?}", fitted.left_out);
    assert!(recipe.noise.shape.value >= base().noise.shape.value, "few groups promise no more than the base");
}

#[test]
fn a_fitted_recipe_is_a_recipe_like_any_other() {
    let runs = runs(&other(), &SHAPES, &LENGTHS);
    let fitted = fit(&base(), &runs, Form::Whole, &provenance()).unwrap();
    let recipe = fitted.recipe.unwrap();
    let text = recipe.to_yaml().unwrap();
    assert_eq!(Recipe::from_document(&Document::from_str(&text, "mine.yaml").unwrap()).unwrap(), recipe);
    assert_eq!((recipe.name.as_str(), recipe.vocabulary_size), ("mine", 32_000));
    assert!(text.contains("runs.csv (0123456789ab)"), "{text}");
    assert!(recipe.scores.tasks.contains_key("hellaswag"));
    assert!(recipe.scores.not_predicted["piqa"].contains("8 groups"));
    let curve = recipe.scores.tasks["hellaswag"];
    assert!(curve.residual < 0.2, "{curve:?}");
    assert!(recipe.validity.non_embedding[1] < 1e9 && recipe.validity.tokens[0] > 9e9);
    // The law that a search asks and the formula that was fitted are one.
    let law = QualityModel::new(recipe.clone()).law(runs[7].tokens, &TEXT);
    let found = law.loss(&runs[7].shape, NumberFormat::F32, NumberFormat::F32).unwrap();
    assert!((found.nats - predicted_loss(&recipe, &runs[7])).abs() < 1e-12);
}

#[test]
fn every_recipe_that_is_built_in_can_be_written_and_read_back() {
    for name in Recipe::builtin_names() {
        let recipe = Recipe::builtin(name).unwrap();
        let text = recipe.to_yaml().unwrap();
        assert_eq!(Recipe::from_document(&Document::from_str(&text, "copy.yaml").unwrap()).unwrap(), recipe);
    }
}

#[test]
fn what_is_too_little_or_too_narrow_is_refused_by_name() {
    let law = base();
    let try_fit = |runs: &[TrainingRun], form| refusal(fit(&base(), runs, form, &provenance()));
    let all = runs(&law, &SHAPES, &LENGTHS);
    assert_eq!(try_fit(&all[..2], Form::Level), FitRefusal::TooFewRuns);
    assert_eq!(try_fit(&all[..9], Form::Whole), FitRefusal::TooFewRuns);
    assert_eq!(try_fit(&all[..3], Form::Level), FitRefusal::TooFewShapes);
    assert_eq!(try_fit(&all[..21], Form::Whole), FitRefusal::TooFewShapes);
    let near: Vec<(u64, u64)> = (0..8).map(|more| (512, 12 + more)).collect();
    assert_eq!(try_fit(&runs(&law, &near, &LENGTHS), Form::Level), FitRefusal::NarrowSizes);
    assert_eq!(try_fit(&runs(&law, &SHAPES, &LENGTHS[..1]), Form::Level), FitRefusal::NarrowTokens);
    let alike: Vec<(u64, u64)> = (4..14).map(|layers| (64 * layers, layers)).collect();
    assert_eq!(try_fit(&runs(&law, &alike, &LENGTHS), Form::Whole), FitRefusal::NarrowShapes);
    let mut mixed = all.clone();
    mixed[5].shape.vocabulary_size = 50_304;
    assert_eq!(try_fit(&mixed, Form::Level), FitRefusal::SeveralVocabularies);
    let many: Vec<(u64, u64)> = SHAPES.into_iter().chain([(640, 20), (896, 30)]).collect();
    assert_eq!(try_fit(&runs(&law, &many, &LENGTHS), Form::LogQuadratic), FitRefusal::SeveralLengths);
    let mut noise = all.clone();
    for (place, run) in noise.iter_mut().enumerate() {
        run.loss = if place % 2 == 0 { 2.9 } else { 3.1 };
    }
    assert_eq!(try_fit(&noise, Form::Level), FitRefusal::NoBetterThanTheMean);
    for refusal in FitRefusal::ALL {
        assert!(!refusal.subject().is_empty());
    }
}

#[test]
fn a_suite_of_one_length_is_judged_by_a_surface() {
    let shapes: Vec<(u64, u64)> =
        (2..8).flat_map(|width| (1..6).map(move |depth| (64 * width, 3 * depth))).collect();
    let suite = runs(&base(), &shapes, &LENGTHS[..1]);
    let fitted = fit(&base(), &suite, Form::LogQuadratic, &provenance()).unwrap();
    assert!(fitted.recipe.is_none() && fitted.coefficients.is_empty());
    assert!(fitted.left_out.mean_absolute < 0.02, "{:?}", fitted.left_out);
    assert!(fitted.left_out.kendall_tau.unwrap() > 0.95);
}

#[test]
fn a_table_that_cannot_be_runs_names_the_place() {
    let head = "hidden_size,layers,heads,ffn,vocabulary_size,tokens,loss";
    for (text, line, field, words) in [
        (format!("{head}\n512,12,8,2048,32000,1e10,3.1\n512,12,8,2048,32000,1e10,\n"), 3, "loss", "missing"),
        (format!("{head}\n512,12,8,2048,32000,1e10,-3\n"), 2, "loss", "`-3`"),
        (format!("{head}\n512,12.5,8,2048,32000,1e10,3\n"), 2, "layers", "whole number"),
        (format!("{head}\n512,12,7,2048,32000,1e10,3\n"), 2, "head_size", "no whole number"),
        (
            format!("{head},expert_size\n512,12,8,2048,32000,1e10,3,256\n"),
            2,
            "expert_size",
            "no layer has experts",
        ),
        (format!("{head},colour\n512,12,8,2048,32000,1e10,3,red\n"), 1, "colour", "no column of this name"),
        (format!("{head},fnn\n512,12,8,2048,32000,1e10,3,1\n"), 1, "fnn", "did you mean `ffn`?"),
        (
            "layers,heads,ffn,vocabulary_size,tokens,loss\n1,1,1,1,1,1\n".to_owned(),
            1,
            "hidden_size",
            "missing",
        ),
        (
            format!("{head},tied_embeddings\n512,12,8,2048,32000,1e10,3,maybe\n"),
            2,
            "tied_embeddings",
            "true, false",
        ),
        (format!("{head},score_piqa\n512,12,8,2048,32000,1e10,3,101\n"), 2, "score_piqa", "at most 100"),
    ] {
        let QualityError::Document(error) = parse_runs(&text, "runs.csv").unwrap_err() else {
            panic!("{text}")
        };
        assert_eq!((error.line, error.field.as_deref()), (Some(line), Some(field)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for text in ["", "hidden_size,layers,heads,ffn,vocabulary_size,tokens,loss\n"] {
        assert!(parse_runs(text, "runs.csv").is_err(), "{text}");
    }
    let error = parse_runs(&format!("{head}\n512,12\n"), "runs.csv").unwrap_err().to_string();
    assert!(error.starts_with("runs.csv:2:"), "{error}");
    assert!("leval".parse::<Form>().unwrap_err().to_string().contains("did you mean `level`?"));
}

#[test]
fn half_a_conformal_interval_is_an_error_that_was_seen() {
    let errors: Vec<f64> = (1..=20).map(f64::from).collect();
    // The 19th of 20: ceil(0.9 * 21).
    assert_eq!(conformal_half_width(&errors), 19.0);
    assert_eq!(conformal_half_width(&[3.0, 1.0]), 3.0);
}

#[test]
fn counts_of_runs_are_written_as_people_write_them() {
    let text = |tokens: &str| {
        format!("hidden_size,layers,heads,ffn,vocabulary_size,tokens,loss\n512,8,8,2048,50304,{tokens},3.9\n")
    };
    for tokens in ["2B", "2000M", "2e9", "2000000000"] {
        assert_eq!(parse_runs(&text(tokens), "runs.csv").unwrap()[0].tokens, 2_000_000_000, "{tokens}");
    }
    for tokens in ["0B", "2Q", "-1B", "2.5"] {
        let error = parse_runs(&text(tokens), "runs.csv").unwrap_err().to_string();
        assert!(error.contains("runs.csv:2") && error.contains("tokens"), "{tokens}: {error}");
    }
}
