//! Published files run as `transformers` runs them: tiny random models of many families, their weights as a class of that
//! library wrote them, and the logits that it computed. `tests/golden/make.py` makes them.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use serde::Deserialize;
use slimfit_arch::FeedForward;
use slimfit_formats::{LoadedModel, ModelWeights, load_model};
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::{PlanError, PlanOptions};
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{Model, RuntimeError, Session};
use slimfit_testing::reference;
use std::path::{Path, PathBuf};

/// How far a logit may be from the right one, as a share of the largest logit at its position.
const BOUND: f64 = 1e-4;

/// What `logits.json` holds.
#[derive(Deserialize)]
struct Golden {
    tokens: Vec<u32>,
    /// One row for each token: what follows it.
    logits: Vec<Vec<f64>>,
}

fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut folders: Vec<_> = std::fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn read(folder: &Path) -> (LoadedModel, ModelWeights, Golden) {
    let model = load_model(folder.to_str().unwrap()).unwrap();
    let weights = ModelWeights::open(&model)
        .unwrap_or_else(|error| panic!("{error}"))
        .unwrap_or_else(|| panic!("{} holds no weights", folder.display()));
    let golden = serde_json::from_slice(&std::fs::read(folder.join("logits.json")).unwrap()).unwrap();
    (model, weights, golden)
}

/// None where an axis has no kernel, which only models of slimfit's own class may have.
fn load(model: &LoadedModel, weights: &ModelWeights, golden: &Golden, isa: Isa, chunk: u64) -> Option<Model> {
    let context = golden.tokens.len() as u64;
    let options =
        PlanOptions { chunk, ..PlanOptions::new(NumberFormat::F32, NumberFormat::F32, isa, 1, context) };
    match Model::load(&model.architecture, options, weights) {
        Ok(loaded) => Some(loaded),
        Err(RuntimeError::Plan(PlanError::NoKernel { .. })) if model.family == "slimfit" => None,
        Err(error) => panic!("`{}`: {error}", model.name),
    }
}

/// The largest difference, as a share of the largest logit of the row.
fn difference(found: &[f32], right: &[f64]) -> f64 {
    assert_eq!(found.len(), right.len());
    let largest = right.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    // `max` would lose a NaN.
    let number = |share: f64| if share.is_nan() { f64::INFINITY } else { share };
    let apart = |(&found, right): (&f32, &f64)| number((f64::from(found) - right).abs() / largest);
    found.iter().zip(right).map(apart).fold(0.0, f64::max)
}

#[test]
fn every_family_gives_the_logits_of_transformers_on_every_instruction_set() {
    let pool = Pool::new(1).unwrap();
    let (mut wrong, mut worst) = (Vec::new(), 0.0_f64);
    for folder in folders() {
        let (model, weights, golden) = read(&folder);
        assert_eq!(golden.logits.len(), golden.tokens.len());
        for isa in Isa::available() {
            let Some(loaded) = load(&model, &weights, &golden, isa, 7) else { continue };
            let mut session = Session::new(&loaded, &pool).unwrap();
            let mut check = |how: &str, position: usize, found: &[f32]| {
                let error = difference(found, &golden.logits[position]);
                worst = worst.max(error);
                if error > BOUND {
                    let (name, isa) = (&model.name, isa.name());
                    wrong.push(format!("`{name}` on {isa}, {how}, after token {position}: {error:.1e}"));
                }
            };
            for (position, &token) in golden.tokens.iter().enumerate() {
                check("token by token", position, session.decode(token).unwrap());
            }
            for position in 0..golden.tokens.len() {
                session.reset();
                check("as a prompt", position, session.prefill(&golden.tokens[..=position]).unwrap());
            }
        }
    }
    println!("worst of all: {worst:.1e}");
    assert!(wrong.is_empty(), "allowed are {BOUND:.0e}:\n{}", wrong.join("\n"));
}

#[test]
fn the_reference_gives_the_logits_of_our_own_class_where_there_are_no_kernels() {
    let (mut without, mut worst) = (0, 0.0_f64);
    for folder in folders() {
        let (model, weights, golden) = read(&folder);
        if model.family != "slimfit" {
            continue;
        }
        without += usize::from(load(&model, &weights, &golden, Isa::best(), 7).is_none());
        let values = |tensor: &slimfit_arch::Tensor| {
            let mut values = vec![0.0; tensor.parameters() as usize];
            weights.read(tensor, 0, &mut values).unwrap();
            values
        };
        let found = reference::forward(&model.architecture, &values, &golden.tokens);
        for (position, (found, right)) in found.iter().zip(&golden.logits).enumerate() {
            let found: Vec<f32> = found.iter().map(|&logit| logit as f32).collect();
            let error = difference(&found, right);
            worst = worst.max(error);
            assert!(error <= 1e-5, "`{}` after token {position}: {error:.1e}", model.name);
        }
    }
    println!("worst of all: {worst:.1e}");
    assert!(without >= 3, "{without} golden models have an axis without kernels");
}

#[test]
fn the_golden_models_cover_what_sets_families_apart() {
    let models: Vec<LoadedModel> =
        folders().iter().map(|folder| load_model(folder.to_str().unwrap()).unwrap()).collect();
    for family in ["llama", "qwen2", "qwen3", "mistral", "mixtral", "gemma2", "phi3"] {
        assert!(models.iter().any(|model| model.family == family), "no golden `{family}`");
    }
    let has = |what: &str, test: &dyn Fn(&slimfit_arch::LayerRun) -> bool| {
        let found = models.iter().any(|model| model.architecture.layers.iter().any(test));
        assert!(found, "no golden model with {what}");
    };
    has("grouped queries", &|layer| (2..layer.attention.heads).contains(&layer.attention.kv_heads));
    has("one key head", &|layer| layer.attention.kv_heads == 1);
    has("a window shorter than the prompt", &|layer| {
        layer.attention.window.is_some_and(|window| window < 20)
    });
    has("capped scores", &|layer| layer.attention.softcap.is_some());
    has("scaled rotation", &|layer| layer.attention.rope.as_ref().is_some_and(|rope| rope.scaling.is_some()));
    has("experts", &|layer| matches!(layer.ffn, FeedForward::Moe(_)));
    assert!(models.iter().any(|model| model.architecture.tied_embeddings));
    assert!(models.iter().any(|model| !model.architecture.tied_embeddings));
}
