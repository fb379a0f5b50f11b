//! Every architecture comes back from its config; what contradicts it, or is not known, is refused by name.

use super::{CUSTOM_MODEL_TYPE, custom_config_json};
use crate::config_out::HeldBy;
use crate::{FormatsError, builtin, huggingface};
use serde_json::{Value, json};
use slimfit_arch::{Architecture, Loops};
use slimfit_document::DocumentError;

/// Layers of three shapes, one of them a mixture, the first two looped; constants and positions of every sort.
fn unlike() -> Architecture {
    serde_json::from_value(json!({
        "hidden_size": 64, "vocabulary_size": 100, "embedding_size": 32,
        "layers": [
            {"repeat": 2,
             "attention": {"heads": 4, "kv_heads": 2, "head_size": 16, "window": 8, "qk_norm": "each_head",
                           "rope": {"base": 1e6, "rotated": 8, "interleaved": true,
                                    "scaling": {"kind": "long_rope", "short_factor": [1.0, 1.1, 1.2, 1.3],
                                                "long_factor": [1.0, 2.0, 4.0, 8.0], "original_context": 64,
                                                "attention_factor": 1.190_238_071}}},
             "ffn": {"kind": "moe", "experts": 6, "top_k": 2, "expert_size": 24, "shared_size": 40}},
            {"attention": {"heads": 6, "kv_heads": 1, "head_size": 8, "bias": {"qkv": true, "output": false}},
             "ffn": {"kind": "dense", "size": 96, "gated": false, "activation": "relu_squared"}},
        ],
        "positions": {"kind": "learned", "context": 128, "offset": 2},
        "norm": {"kind": "layer", "epsilon": 1.192_092_9e-7},
        "norm_placement": "sandwich",
        "head_bias": true,
        "scales": {"residual": 0.22, "logit_softcap": 30.0},
        "loops": {"first": 0, "layers": 2, "count": 3},
    }))
    .unwrap()
}

fn read(config: &Value) -> Result<huggingface::HuggingFaceModel, FormatsError> {
    huggingface::read_config(&config.to_string(), "config.json")
}

fn refused(changes: Value) -> DocumentError {
    let mut config = custom_config_json(&unlike(), None);
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    read(&config).unwrap_err().into_document()
}

#[test]
fn every_architecture_comes_back_the_same() {
    let models = builtin::models().iter().map(|model| model.architecture.clone()).chain([unlike()]);
    for architecture in models {
        let config = custom_config_json(&architecture, Some(4096));
        let model = read(&config).unwrap_or_else(|error| panic!("{error}\n{config}"));
        assert_eq!(model.architecture, architecture.normalised());
        assert_eq!((model.family.as_str(), model.context), (CUSTOM_MODEL_TYPE, Some(4096)));
    }
}

#[test]
fn sizes_that_tools_look_for_are_the_largest_of_any_layer() {
    let config = custom_config_json(&unlike(), None);
    for (name, value) in [
        ("num_hidden_layers", 3),
        ("num_attention_heads", 6),
        ("num_key_value_heads", 2),
        ("head_dim", 16),
        ("intermediate_size", 96),
        ("num_experts", 6),
        ("vocab_size", 100),
        ("max_position_embeddings", 128),
    ] {
        assert_eq!(config[name], value, "{name}");
    }
    assert_eq!(config["auto_map"]["AutoModelForCausalLM"], "modeling_slimfit.SlimfitForCausalLM");
}

#[test]
fn what_contradicts_the_architecture_is_refused_by_name() {
    let error = refused(json!({ "hidden_size": 128 }));
    assert_eq!(error.field.as_deref(), Some("hidden_size"));
    assert_eq!((error.found.as_deref(), error.allowed.as_deref()), (Some("128"), Some("64")));
    assert_eq!(refused(json!({ "tie_word_embeddings": true })).field.as_deref(), Some("tie_word_embeddings"));
    assert_eq!(refused(json!({ "sliding_window": 8 })).field.as_deref(), Some("sliding_window"));
    // What the library adds when it saves says nothing about the model.
    let mut config = custom_config_json(&unlike(), None);
    for (name, value) in [
        ("dtype", json!("float32")),
        ("initializer_range", json!(0.02)),
        ("router_aux_loss_coef", json!(0.001)),
        ("transformers_version", json!("5.0.0")),
        ("use_cache", json!(true)),
    ] {
        config[name] = value;
    }
    assert_eq!(read(&config).unwrap().architecture, unlike().normalised());
}

#[test]
fn an_architecture_that_is_unknown_or_impossible_is_refused_at_its_field() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut own = custom_config_json(&unlike(), None)["architecture"].clone();
        change(&mut own);
        refused(json!({ "architecture": own }))
    };
    let field = |error: DocumentError| error.field.clone().unwrap_or_default();
    let unknown = changed(&|own| own["twist"] = 1.into());
    assert!(
        field(unknown.clone()).starts_with("architecture") && unknown.to_string().contains("twist"),
        "{unknown}"
    );
    let impossible = changed(&|own| own["layers"][0]["attention"]["kv_heads"] = 3.into());
    assert_eq!(field(impossible), "architecture.layers[0].attention.kv_heads");
    let schema = changed(&|own| own["schema"] = "slimfit/architecture/v2".into());
    assert_eq!(field(schema), "architecture.schema");
    assert_eq!(field(refused(json!({ "architecture": null }))), "architecture");
}

#[test]
fn the_class_is_slimfits_own_only_where_no_other_holds_the_model() {
    let smollm = builtin::find("smollm2-135m").unwrap().architecture.clone();
    let held = HeldBy::narrowest(&smollm);
    assert_eq!((held.class_name(), held.reason()), ("LlamaForCausalLM", None));
    assert_eq!(held.config_json(&smollm, 512)["model_type"], "llama");
    let loops = Some(Loops { first: 0, layers: 30, count: 2, immediate: false });
    let looped = Architecture { loops, ..smollm };
    let held = HeldBy::narrowest(&looped);
    assert_eq!(held.class_name(), "SlimfitForCausalLM");
    assert_eq!(held.reason().unwrap().axis(), "loops");
    assert_eq!(held.config_json(&looped, 512)["architecture"]["loops"]["count"], 2);
}
