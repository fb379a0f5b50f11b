//! Configs with field sets like those that authors publish, and every way in which one is refused.

use super::{known_families, read_config};
use crate::FormatsError;
use proptest::prelude::*;
use serde_json::{Value, json};
use slimfit_arch::{
    Activation, Architecture, FeedForward, NormKind, NormPlacement, Positions, QkNorm, RopeScaling,
};
use slimfit_quantity::NumberFormat;

fn read(config: &Value) -> Result<super::HuggingFaceModel, FormatsError> {
    read_config(&config.to_string(), "config.json")
}

fn architecture(config: &Value) -> Architecture {
    read(config).unwrap().architecture
}

fn refused(config: &Value) -> slimfit_document::DocumentError {
    read(config).unwrap_err().into_document()
}

fn llama() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0,
        "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041, "is_llama_config": true,
        "intermediate_size": 1536, "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 9,
        "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
        "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.40.1", "use_cache": true, "vocab_size": 49152,
        "transformers.js_config": {"dtype": "q4"},
    })
}

fn with(mut config: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// Field sets like those that authors publish, retyped, with the published totals.
fn published() -> Vec<(Value, u64)> {
    vec![
        (llama(), 134_515_008),
        (
            json!({
                "apply_residual_connection_post_layernorm": false, "attention_dropout": 0.0,
                "attention_softmax_in_fp32": true, "bias_dropout_fusion": true, "hidden_dropout": 0.0,
                "layer_norm_epsilon": 1e-05, "masked_softmax_fusion": true, "model_type": "bloom", "n_embed": 1024,
                "n_inner": null, "n_layer": 24, "num_attention_heads": 16, "offset_alibi": 100, "pretraining_tp": 1,
                "seq_length": 2048, "skip_bias_add": true, "skip_bias_add_qkv": false, "unk_token_id": 0,
                "vocab_size": 250880,
            }),
            559_214_592,
        ),
        (
            json!({
                "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
                "embd_pdrop": 0.1, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
                "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1,
                "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
                "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257,
            }),
            124_439_808,
        ),
        (
            json!({
                "attention_layers": ["global", "local", "global", "local", "global", "local", "global", "local",
                    "global", "local", "global", "local"],
                "attention_types": [[["global", "local"], 6]], "activation_function": "gelu_new",
                "attention_dropout": 0, "embed_dropout": 0, "gradient_checkpointing": false, "hidden_size": 768,
                "intermediate_size": null, "layer_norm_epsilon": 1e-05, "max_position_embeddings": 2048,
                "model_type": "gpt_neo", "num_heads": 12, "num_layers": 12, "resid_dropout": 0, "vocab_size": 50257,
                "window_size": 256,
            }),
            125_198_592,
        ),
        (
            json!({
                "architectures": ["GPTNeoXForCausalLM"], "hidden_act": "gelu", "hidden_size": 512,
                "intermediate_size": 2048, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
                "model_type": "gpt_neox", "num_attention_heads": 8, "num_hidden_layers": 6, "rotary_emb_base": 10000,
                "rotary_pct": 0.25, "tie_word_embeddings": false, "torch_dtype": "float16",
                "use_parallel_residual": true, "vocab_size": 50304,
            }),
            70_426_624,
        ),
        (
            json!({
                "_remove_final_layer_norm": false, "activation_dropout": 0.0, "activation_function": "relu",
                "do_layer_norm_before": false, "dropout": 0.1, "ffn_dim": 4096, "hidden_size": 1024, "init_std": 0.02,
                "layerdrop": 0.0, "max_position_embeddings": 2048, "model_type": "opt", "num_attention_heads": 16,
                "num_hidden_layers": 24, "prefix": "</s>", "vocab_size": 50272, "word_embed_proj_dim": 512,
            }),
            331_196_416,
        ),
        (
            json!({
                "attention_dropout": 0.0, "auto_map": {"AutoConfig": "configuration_phi.PhiConfig"}, "embd_pdrop": 0.0,
                "hidden_act": "gelu_new", "hidden_size": 2560, "intermediate_size": 10240, "layer_norm_eps": 1e-05,
                "max_position_embeddings": 2048, "model_type": "phi", "num_attention_heads": 32,
                "num_hidden_layers": 32, "num_key_value_heads": 32, "partial_rotary_factor": 0.4,
                "qk_layernorm": false, "resid_pdrop": 0.1, "rope_scaling": null, "rope_theta": 10000.0,
                "tie_word_embeddings": false, "vocab_size": 51200,
            }),
            2_779_683_840,
        ),
        (
            json!({
                "alibi": false, "apply_residual_connection_post_layernorm": false, "bias": false, "hidden_size": 4544,
                "layer_norm_epsilon": 1e-05, "model_type": "falcon", "multi_query": true,
                "new_decoder_architecture": false, "num_attention_heads": 71, "num_hidden_layers": 32,
                "parallel_attn": true, "vocab_size": 65024,
            }),
            6_921_720_704,
        ),
        (
            json!({
                "hidden_act": "silu", "hidden_size": 2560, "intermediate_size": 6912, "max_position_embeddings": 4096,
                "model_type": "stablelm", "norm_eps": 1e-05, "num_attention_heads": 32, "num_heads": 32,
                "num_hidden_layers": 32, "num_key_value_heads": 32, "rope_pct": 0.25, "rope_theta": 10000,
                "rotary_scaling_factor": 1.0, "tie_word_embeddings": false, "use_cache": true, "vocab_size": 50304,
            }),
            2_795_443_200,
        ),
        (
            json!({
                "attn_logit_softcapping": 50.0, "cache_implementation": "hybrid", "final_logit_softcapping": 30.0,
                "head_dim": 256, "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
                "hidden_size": 2304, "intermediate_size": 9216, "max_position_embeddings": 8192,
                "model_type": "gemma2", "num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4,
                "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096,
                "torch_dtype": "float32", "vocab_size": 256000,
            }),
            2_614_341_888,
        ),
        (
            json!({
                "attention_bias": false, "cache_implementation": "hybrid", "head_dim": 256,
                "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
                "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
                "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256,
                "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": null, "rope_theta": 1000000,
                "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144,
            }),
            999_885_952,
        ),
        (
            json!({
                "decoder_sparse_step": 1, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5632,
                "max_position_embeddings": 8192, "max_window_layers": 21, "model_type": "qwen2_moe",
                "moe_intermediate_size": 1408, "norm_topk_prob": false, "num_attention_heads": 16, "num_experts": 60,
                "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 16,
                "output_router_logits": false, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
                "router_aux_loss_coef": 0.001, "shared_expert_intermediate_size": 5632, "sliding_window": 32768,
                "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936,
            }),
            14_315_784_192,
        ),
    ]
}

#[test]
fn configs_with_the_fields_that_authors_publish_count_to_the_published_totals() {
    for (config, total) in published() {
        let model = read(&config).unwrap_or_else(|error| panic!("{}: {error}", config["model_type"]));
        assert_eq!(model.architecture.parameters().total, total, "{}", model.family);
    }
    let model = read(&llama()).unwrap();
    assert_eq!((model.family.as_str(), model.context), ("llama", Some(8192)));
    assert_eq!(model.weights_format, Some(NumberFormat::Bf16));
}

#[test]
fn missing_fields_take_the_defaults_of_their_class_and_null_is_a_value() {
    let mistral = architecture(&json!({"model_type": "mistral"}));
    assert_eq!(mistral.layers[0].attention.window, Some(4096));
    assert_eq!(mistral.layers[0].attention.kv_heads, 8);
    let open =
        architecture(&json!({"model_type": "mistral", "sliding_window": null, "num_key_value_heads": null}));
    assert_eq!((open.layers[0].attention.window, open.layers[0].attention.kv_heads), (None, 32));
    let gemma = architecture(&json!({"model_type": "gemma2"}));
    assert!(gemma.tied_embeddings);
    assert_eq!((gemma.layers.len(), gemma.layers[0].attention.window), (26, Some(4096)));
    assert_eq!(gemma.scales.logit_softcap, Some(30.0));
    assert_eq!(gemma.layers[0].attention.scale, None, "256 under the root is the head size");
    assert_eq!(
        refused(&json!({"model_type": "llama", "hidden_size": null})).field.as_deref(),
        Some("hidden_size")
    );
}

#[test]
fn what_logits_need_is_read() {
    let phi = architecture(&published()[6].0);
    assert_eq!(phi.norm_placement, NormPlacement::ParallelOneNorm);
    assert!(phi.head_bias && phi.layers[0].attention.bias.output);
    assert_eq!(phi.layers[0].attention.rope.as_ref().unwrap().rotated, Some(32));
    let neo = architecture(&published()[3].0);
    assert_eq!((neo.layers.len(), neo.layers[1].attention.window), (12, Some(256)));
    assert_eq!(neo.layers[0].attention.scale, Some(1.0));
    let bloom = architecture(&published()[1].0);
    assert_eq!((bloom.positions, bloom.embedding_norm), (Positions::Alibi, true));
    let FeedForward::Dense(mlp) = &bloom.layers[0].ffn else { panic!("BLOOM is dense") };
    assert_eq!((mlp.activation, mlp.bias), (Activation::GeluTanh, true));
    let olmo = architecture(&json!({"model_type": "olmo", "clip_qkv": 8.0}));
    assert_eq!((olmo.norm.kind, olmo.layers[0].attention.qkv_clip), (NormKind::LayerPlain, Some(8.0)));
    let cohere = architecture(&json!({"model_type": "cohere", "use_qk_norm": true}));
    assert_eq!((cohere.layers[0].attention.qk_norm, cohere.scales.logits), (QkNorm::EachHead, Some(0.0625)));
    let falcon = json!({"model_type": "falcon", "alibi": true, "multi_query": false, "parallel_attn": false});
    assert_eq!(architecture(&falcon).positions, Positions::ScaledAlibi);
    assert_eq!(architecture(&falcon).layers[0].attention.kv_heads, 71);
    let smol = architecture(&json!({"model_type": "smollm3"}));
    let rotates: Vec<bool> = smol.each_layer().map(|run| run.attention.rope.is_some()).collect();
    assert_eq!(rotates[..5], [true, true, true, false, true]);
}

#[test]
fn rotary_scaling_is_read_in_the_old_and_the_new_form() {
    let parameters = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let old = with(llama(), json!({"rope_scaling": parameters, "rope_theta": 500000.0}));
    let mut newer = llama();
    newer.as_object_mut().unwrap().remove("rope_theta");
    newer["rope_parameters"] = with(parameters, json!({"rope_theta": 500000.0}));
    assert_eq!(architecture(&old), architecture(&newer));
    let rope = architecture(&old).layers[0].attention.rope.clone().unwrap();
    assert!(matches!(rope.scaling, Some(RopeScaling::Llama3 { factor: 32.0, original_context: 8192, .. })));

    let yarn = with(
        llama(),
        json!({"rope_scaling": {"type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 2048}}),
    );
    let rope = architecture(&yarn).layers[0].attention.rope.clone().unwrap();
    assert!(matches!(
        rope.scaling,
        Some(RopeScaling::Yarn { attention_factor: Some(1.0), beta_fast: 32.0, .. })
    ));

    let lists = vec![1.0; 48];
    let phi = json!({"model_type": "phi3", "max_position_embeddings": 131072, "rope_scaling": {"type": "su",
        "short_factor": lists, "long_factor": lists}});
    let rope = architecture(&phi).layers[0].attention.rope.clone().unwrap();
    let Some(RopeScaling::LongRope { attention_factor, original_context, .. }) = rope.scaling else {
        panic!("{rope:?}")
    };
    assert_eq!(original_context, 4096);
    assert!((attention_factor - (1.0_f64 + 32.0_f64.ln() / 4096.0_f64.ln()).sqrt()).abs() < 1e-12);

    let error = refused(&with(llama(), json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})));
    assert_eq!(error.found.as_deref(), Some("nothing"));
    let error = refused(&with(llama(), json!({"rope_scaling": {"type": "xpos", "factor": 8.0}})));
    assert_eq!(error.found.as_deref(), Some("xpos"));
}

#[test]
fn unknown_model_types_are_refused_by_name_with_the_known_ones() {
    let error = refused(&json!({"model_type": "lama"}));
    assert_eq!((error.found.as_deref(), error.field.as_deref()), (Some("lama"), Some("model_type")));
    assert!(error.allowed.as_deref().unwrap().contains("llama, "), "{error}");
    assert_eq!(error.hint.as_deref(), Some("did you mean `llama`?"));
    let error = refused(&json!({"model_type": "mamba"}));
    assert!(error.hint.as_deref().unwrap().contains("recurrent state"), "{error}");
    let error = refused(&json!({"model_type": "gemma3", "text_config": {}, "vision_config": {}}));
    assert!(error.hint.as_deref().unwrap().contains("text_config"), "{error}");
    let error = refused(&json!({"hidden_size": 8}));
    assert!(error.allowed.as_deref().unwrap().contains("model_type"), "{error}");
}

#[test]
fn a_model_without_layers_is_refused_at_its_own_field() {
    let error = refused(&with(llama(), json!({"num_hidden_layers": 0})));
    assert_eq!(error.field.as_deref(), Some("num_hidden_layers"));
    assert_eq!((error.found.as_deref(), error.allowed.as_deref()), (Some("0"), Some("at least 1 layer")));
}

#[test]
fn unknown_fields_that_change_the_shape_are_refused_and_others_ignored() {
    for field in [
        "q_lora_rank",
        "num_experts",
        "moe_intermediate_size",
        "vision_config",
        "sliding_window",
        "conv_size",
    ] {
        let error = refused(&with(llama(), json!({field: 64})));
        assert_eq!((error.code.as_str(), error.field.as_deref()), ("unknown_field", Some(field)));
    }
    let off =
        json!({"q_lora_rank": null, "num_experts": 0, "sliding_window": null, "use_expert_bias": false});
    let harmless = json!({"_name_or_path": "x", "max_length": 20, "num_labels": 2, "classifier_dropout": 0.1,
        "quantization_config": {"bits": 4}, "unsloth_version": "2024.9", "temperature": 0.6});
    assert_eq!(architecture(&with(with(llama(), off), harmless.clone())), architecture(&llama()));
    assert_eq!(read(&with(llama(), harmless)).unwrap().weights_format, None, "quantised some other way");
}

#[test]
fn contradictions_and_impossible_sizes_name_their_field() {
    let field = |changes: Value| refused(&with(llama(), changes)).field.clone().unwrap_or_default();
    assert_eq!(field(json!({"num_attention_heads": 7})), "num_attention_heads");
    assert_eq!(field(json!({"num_attention_heads": 0})), "num_attention_heads");
    assert_eq!(field(json!({"num_hidden_layers": 1_000_000_000_000_u64})), "num_hidden_layers");
    assert_eq!(field(json!({"hidden_size": -576})), "hidden_size");
    assert_eq!(field(json!({"hidden_size": "576"})), "hidden_size");
    assert_eq!(field(json!({"hidden_size": 576.5})), "hidden_size");
    assert_eq!(field(json!({"tie_word_embeddings": 1})), "tie_word_embeddings");
    assert_eq!(field(json!({"hidden_act": "xielu"})), "hidden_act");
    assert_eq!(field(json!({"architectures": ["LlamaForSequenceClassification"]})), "architectures[0]");
    let error = refused(&with(llama(), json!({"num_key_value_heads": 4})));
    assert!(error.message.contains("layers[0].attention.kv_heads"), "{error}");
    let error = refused(&with(llama(), json!({"vocab_size": u64::MAX})));
    assert!(error.message.contains("overflow"), "{error}");
    let mixtral = json!({"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3});
    assert!(refused(&mixtral).message.contains("top_k"));
    let kinds = json!({"model_type": "qwen2", "num_hidden_layers": 3, "layer_types": ["full_attention"]});
    assert_eq!(refused(&kinds).field.as_deref(), Some("layer_types"));
}

#[test]
fn files_that_are_no_config_are_refused_clearly() {
    let message = |text: &str| read_config(text, "config.json").unwrap_err().to_string();
    assert!(
        message("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
            .to_lowercase()
            .contains("lfs")
    );
    assert!(message("{\"model_type\": \"llama\", \"rms_norm_eps\": NaN}").contains("config.json"));
    assert!(message("[]").contains("object"));
    let marked = format!("\u{feff}{}", llama());
    assert_eq!(read_config(&marked, "config.json").unwrap().architecture, architecture(&llama()));
}

#[test]
fn every_family_reads_its_defaults() {
    for family in known_families() {
        // These have no usable defaults: their configs list every layer or constant.
        if ["openelm", "minicpm", "slimfit"].contains(&family) {
            assert!(read(&json!({"model_type": family})).is_err());
            continue;
        }
        let model = read(&json!({"model_type": family})).unwrap_or_else(|error| panic!("{family}: {error}"));
        assert!(model.architecture.parameters().total > 100_000, "{family}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_u64..200).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_]{0,12}".prop_map(Value::from),
        prop::collection::vec(0_u64..9, 0..9).prop_map(Value::from),
        Just(json!({"rope_type": "yarn", "factor": 0.0})),
        Just(json!([[["global", "local"], 18_446_744_073_709_551_615_u64]])),
    ]
}

const FIELDS: &[&str] = &[
    "hidden_size",
    "n_embd",
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "num_attention_heads",
    "n_head",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "sliding_window_pattern",
    "layer_types",
    "rope_scaling",
    "rope_parameters",
    "rope_theta",
    "partial_rotary_factor",
    "num_experts",
    "num_local_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "mlp_only_layers",
    "decoder_sparse_step",
    "attention_types",
    "no_rope_layers",
    "num_query_heads",
    "num_kv_heads",
    "ffn_multipliers",
    "ffn_dim_divisor",
    "model_dim",
    "word_embed_proj_dim",
    "rms_norm_eps",
    "hidden_act",
    "scale_depth",
    "rotary_dim",
];

proptest! {
    #[test]
    fn no_config_makes_a_reader_panic(
        family in prop::sample::select(known_families().collect::<Vec<_>>()),
        fields in prop::collection::vec((prop::sample::select(FIELDS), any_value()), 0..6),
    ) {
        let mut config = json!({"model_type": family});
        for (name, value) in fields {
            config[name] = value;
        }
        if let Ok(model) = read(&config) {
            prop_assert_eq!(model.architecture.validate(), Ok(()));
        }
    }
}
