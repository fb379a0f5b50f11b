use super::*;
use slimfit_document::Document;
use slimfit_formats::training_recipe::SettingSource;

fn model(hidden: u64, depth: u64, vocabulary: u64, more: &str) -> Architecture {
    let text = format!(
        "{{hidden_size: {hidden}, vocabulary_size: {vocabulary}, tied_embeddings: true, {more}layers: [{{repeat: {depth},
          attention: {{heads: {}, kv_heads: 2, head_size: 64, rope: {{base: 10000}}}},
          ffn: {{kind: dense, size: {}}}}}]}}",
        hidden / 64,
        hidden * 3
    );
    Document::from_str(&text, "test.yaml").unwrap().parse().unwrap()
}

fn mixture() -> Architecture {
    let mut model = model(512, 12, 50_304, "");
    let text = "{kind: moe, experts: 16, top_k: 2, expert_size: 1024}";
    model.layers[0].ffn = Document::from_str(text, "test.yaml").unwrap().parse().unwrap();
    model
}

fn recipe_of(architecture: &Architecture, tokens: u64) -> TrainingRecipe {
    let recipe = Recipe::builtin("gemstones").unwrap();
    let request = TrainingRequest {
        name: "test",
        id: "0123456789ab",
        architecture,
        recipe: &recipe,
        tokens,
        sequence_length: 2048,
        seed: 7,
    };
    let made = training_recipe(&request).unwrap();
    // Whatever is made must pass the reader's own checks.
    let text = made.to_yaml().unwrap();
    let read = TrainingRecipe::from_document(&Document::from_str(&text, "training.yaml").unwrap());
    assert_eq!(read.unwrap(), made, "{text}");
    made
}

fn codes(recipe: &TrainingRecipe) -> Vec<&str> {
    recipe.flags.iter().map(|flag| flag.code.as_str()).collect()
}

#[test]
fn inside_the_law_every_number_is_published_or_counted_and_nothing_is_flagged() {
    // 30 layers of 768: 189M parameters without embeddings.
    let model = model(768, 30, 50_304, "");
    let recipe = recipe_of(&model, 20_000_000_000);
    assert!(!recipe.law.extrapolated && recipe.flags.is_empty(), "{:?}", recipe.flags);
    let non_embedding = model.parameters().non_embedding as f64;
    let wanted = 1.79 * non_embedding.powf(-0.713) * 2e10_f64.powf(0.307);
    assert!((recipe.learning_rate.peak.value / wanted - 1.0).abs() < 1e-12);
    // 0.58 · (2e10)^0.571 = 441 892 tokens, 215.8 sequences.
    assert_eq!((recipe.batch.sequences.value, recipe.batch.tokens.value), (216, 442_368));
    assert_eq!(recipe.steps.value, 45_212);
    assert_eq!((recipe.learning_rate.r#final.value, recipe.learning_rate.warm_up_steps.value), (1e-5, 2000));
    for source in [
        recipe.learning_rate.peak.source,
        recipe.learning_rate.r#final.source,
        recipe.batch.tokens.source,
        recipe.sequence_length.source,
        recipe.optimizer.beta2.source,
        recipe.initialisation.residual_standard_deviation.source,
    ] {
        assert_eq!(source, SettingSource::Published);
    }
    assert_eq!(recipe.initialisation.seed.value, 7);
    let residual = recipe.initialisation.residual_standard_deviation.value;
    assert!((residual - 0.02 / 60_f64.sqrt()).abs() < 1e-15);
}

#[test]
fn operations_are_six_for_each_visited_weight_and_token_and_the_attention() {
    let model = model(768, 30, 50_304, "");
    let recipe = recipe_of(&model, 20_000_000_000);
    let exact = 3.0 * model.forward_flops(2048).unwrap() as f64 / 2048.0 * 2e10;
    assert!((recipe.training_flops.value / exact - 1.0).abs() < 1e-12);
    let rule_of_thumb = 6.0 * model.parameters().total as f64 * 2e10;
    assert!((1.0..1.3).contains(&(recipe.training_flops.value / rule_of_thumb)));
}

#[test]
fn outside_the_law_its_values_are_modelled_and_flagged() {
    let small = recipe_of(&model(256, 8, 50_304, ""), 500_000_000);
    assert!(small.law.extrapolated);
    assert_eq!(codes(&small), ["extrapolated", "extrapolated"]);
    for source in [small.learning_rate.peak.source, small.batch.tokens.source] {
        assert_eq!(source, SettingSource::Modelled);
    }
    assert!(small.flags[0].message.contains("60.0M to 1.07B"), "{}", small.flags[0].message);
    // What a vocabulary adds to the tokens is no extrapolation.
    let near = recipe_of(&model(768, 30, 49_152, ""), 100_000_000_000);
    assert!(near.tokens.value > near.law.tokens.high && !near.law.extrapolated);
    // Data alone inside: the batch is the law's, the rate is not.
    let inside = recipe_of(&model(256, 8, 50_304, ""), 10_000_000_000);
    assert_eq!(inside.batch.tokens.source, SettingSource::Published);
    assert_eq!(inside.learning_rate.peak.source, SettingSource::Modelled);
}

#[test]
fn a_rate_that_nobody_tried_is_capped() {
    // 5M parameters on 100 billion tokens: the law says 0.07.
    let tiny = recipe_of(&model(256, 6, 50_304, ""), 100_000_000_000);
    assert_eq!(tiny.learning_rate.peak.value, 0.0221);
    assert!(codes(&tiny).contains(&"learning-rate-capped"), "{:?}", tiny.flags);
    assert!(tiny.learning_rate.peak.citation.contains("would give"), "{}", tiny.learning_rate.peak.citation);
}

#[test]
fn mixtures_count_all_experts_and_loops_are_flagged() {
    let mixture = mixture();
    let recipe = recipe_of(&mixture, 10_000_000_000);
    assert_eq!(recipe.law.parameters.value, mixture.parameters().non_embedding);
    assert!(recipe.law.parameters.value > mixture.parameters().active);
    assert_eq!(codes(&recipe), ["mixture-of-experts"]);
    assert!(recipe.training_flops.value < 6.0 * mixture.parameters().total as f64 * 1e10);

    let looped = model(768, 30, 50_304, "loops: {first: 0, layers: 30, count: 2}, ");
    let recipe = recipe_of(&looped, 20_000_000_000);
    assert_eq!(codes(&recipe), ["looped-layers"]);
    assert_eq!(recipe.learning_rate.peak.source, SettingSource::Modelled);
    // Sixty layers run: the residual stream sums as many branches.
    let residual = recipe.initialisation.residual_standard_deviation.value;
    assert!((residual - 0.02 / 120_f64.sqrt()).abs() < 1e-15);
}

#[test]
fn other_networks_and_sequences_are_flagged() {
    let post = model(768, 30, 50_304, "norm_placement: post_branch, ");
    assert_eq!(codes(&recipe_of(&post, 20_000_000_000)), ["other-network"]);
    let learned = model(768, 30, 50_304, "positions: {kind: learned, context: 512}, ");
    let recipe = recipe_of(&learned, 20_000_000_000);
    assert_eq!(recipe.sequence_length.value, 512);
    assert_eq!(codes(&recipe), ["sequence-length"]);
}

#[test]
fn the_same_text_is_fewer_tokens_of_a_larger_vocabulary() {
    let [small, large] = [8192, 131_072].map(|vocabulary| {
        let recipe = recipe_of(&model(768, 30, vocabulary, ""), 20_000_000_000);
        assert!(recipe.tokens.citation.contains("same bytes"), "{}", recipe.tokens.citation);
        recipe.tokens.value
    });
    assert!(small > 20_000_000_000 && large < 20_000_000_000, "{small} {large}");
}

#[test]
fn short_trainings_warm_up_for_a_quarter_and_no_text_is_refused() {
    let recipe = recipe_of(&model(256, 8, 50_304, ""), 25_000_000);
    assert_eq!(recipe.learning_rate.warm_up_steps.value, recipe.steps.value / 4);
    assert!(codes(&recipe).contains(&"short-training"));
    // One step, and no warm-up at all.
    let recipe = recipe_of(&model(256, 8, 50_304, ""), 2048);
    assert_eq!((recipe.steps.value, recipe.learning_rate.warm_up_steps.value), (1, 0));
    let architecture = model(256, 8, 50_304, "");
    let quality = Recipe::builtin("gemstones").unwrap();
    let request = TrainingRequest {
        name: "test",
        id: "0123456789ab",
        architecture: &architecture,
        recipe: &quality,
        tokens: 2047,
        sequence_length: 2048,
        seed: 0,
    };
    let error = training_recipe(&request).unwrap_err();
    assert!(error.to_string().contains("2048 or more"), "{error}");
}

#[test]
fn rates_stay_above_their_end_for_models_of_any_size() {
    for (hidden, depth) in [(64, 1), (256, 6), (2048, 24), (8192, 80), (16_384, 120)] {
        for tokens in [1_000_000, 1_000_000_000, 1_000_000_000_000, 100_000_000_000_000] {
            let recipe = recipe_of(&model(hidden, depth, 50_304, ""), tokens);
            assert!(recipe.learning_rate.r#final.value < recipe.learning_rate.peak.value);
        }
    }
}
