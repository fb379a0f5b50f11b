//! Every built-in architecture against the figure its authors or hosts publish.

use super::{find, hint, models};
use slimfit_arch::NormPlacement;
use std::collections::BTreeSet;

#[test]
fn every_count_equals_the_published_one() {
    let mut wrong = Vec::new();
    for model in models() {
        model.architecture.validate().unwrap();
        let tensors = model.architecture.tensors();
        let norms: u64 =
            tensors.iter().filter(|tensor| tensor.role.is_norm()).map(|tensor| tensor.parameters()).sum();
        let mut counted = model.architecture.parameters().total;
        if model.parameters.without_norms {
            counted -= norms;
        }
        let published = &model.parameters;
        if 2 * counted.abs_diff(published.total) >= published.rounded_to.max(2) {
            wrong.push(format!("{}: {counted}, {} by {}", model.name, published.total, published.source));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_list_is_wide_and_unambiguous() {
    let exact = models().iter().filter(|model| model.parameters.rounded_to == 1).count();
    let families: BTreeSet<_> = models().iter().map(|model| model.family.as_str()).collect();
    assert!(exact >= 80, "{exact} models with an exact figure");
    assert!(families.len() >= 25, "{families:?}");
    let mut seen = BTreeSet::new();
    for model in models() {
        assert_eq!(model.name, model.name.to_ascii_lowercase());
        assert!(model.parameters.source.len() > 5);
        assert_eq!(model.architecture, model.architecture.normalised(), "{}", model.name);
        let names: BTreeSet<_> = model.names().map(str::to_ascii_lowercase).collect();
        for name in names {
            assert!(seen.insert(name.clone()), "`{name}` names two models");
        }
    }
}

#[test]
fn names_are_found_in_any_case_and_by_repository() {
    for name in ["smollm2-135m", "SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M", "huggingfacetb/smollm2-135m"] {
        assert_eq!(find(name).unwrap().name, "smollm2-135m");
    }
    for name in [
        "smollm2-360m",
        "mobilellm-125m",
        "qwen2.5-0.5b",
        "tinyllama-1.1b",
        "llama-3.2-1b",
        "gemma-3-270m",
        "opt-350m",
    ] {
        assert_eq!(find(name).unwrap().name, name);
    }
    assert!(find("smollm2").is_none());
    assert_eq!(
        hint("smolm2-135m"),
        "did you mean `smollm2-135m`? `slimfit models` lists the built-in models"
    );
}

#[test]
fn the_odd_ones_are_told_apart() {
    let opt = &find("opt-350m").unwrap().architecture;
    assert_eq!(
        (opt.embedding_size, opt.norm_placement, opt.final_norm),
        (Some(512), NormPlacement::Post, false)
    );
    let shared = &find("mobilellm-125m-ls").unwrap().architecture;
    assert_eq!(shared.execution_order().len(), 60);
    assert_eq!(shared.kv_values_per_token(), 60 * 2 * 192);
    let pythia = find("pythia-160m").unwrap().architecture.parameters();
    assert_eq!(pythia.non_embedding, 85_056_000, "the README gives it beside the total");
    let mixtral = find("mixtral-8x7b").unwrap().architecture.parameters();
    assert_eq!(mixtral.active, 12_879_925_248, "two of eight experts");
}
