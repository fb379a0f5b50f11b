use super::*;
use proptest::prelude::*;
use slimfit_arch::Architecture;
use slimfit_document::Document;
use slimfit_quantity::NumberFormat;

const TOKENS: u64 = 100_000_000_000;
const TEXT: WorkloadText = WorkloadText::new(1200, 400);

/// 30 layers of 576, 106 203 456 non-embedding parameters.
const SMALL: &str = r#"{hidden_size: 576, vocabulary_size: 50304, layers: [{repeat: 30,
    attention: {heads: 9, kv_heads: 3, head_size: 64, rope: {base: 10000}}, ffn: {kind: dense, size: 1536}}]}"#;

fn architecture(text: &str) -> Architecture {
    Document::from_str(text, "test.yaml").unwrap().parse().unwrap()
}

fn model(recipe: &str) -> QualityModel {
    QualityModel::new(Recipe::builtin(recipe).unwrap())
}

fn estimate(architecture: &Architecture) -> Result<QualityEstimate, QualityError> {
    model("gemstones").estimate(architecture, NumberFormat::Bf16, NumberFormat::F16, TOKENS, &TEXT)
}

fn refusal(architecture: &Architecture) -> Refusal {
    match estimate(architecture) {
        Err(QualityError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

fn term(estimate: &QualityEstimate, name: &str) -> f64 {
    estimate.terms.iter().find(|term| term.name == name).unwrap().nats
}

#[test]
fn the_law_as_computed_by_hand() {
    let small = architecture(SMALL);
    assert_eq!(small.parameters().non_embedding, 106_203_456);
    let found = estimate(&small).unwrap();
    let recipe = Recipe::builtin("gemstones").unwrap();
    let (laws, shape) = (&recipe.loss, &recipe.shape);
    let effective: f64 = (106_203_456.0 + shape.embedding_credit.value * 2.0 * 50_304.0 * 576.0)
        * (-shape.width_depth_penalty.value
            * ((576.0_f64 / 30.0).ln() - shape.width_depth_optimum.value).powi(2))
        .exp();
    let size = laws.size.factor.value * (effective / 1e8).powf(-laws.size.exponent.value);
    let data = laws.data.factor.value * 10_f64.powf(-laws.data.exponent.value);
    let power = 1.0 / laws.interaction.as_ref().unwrap().value;
    let loss = laws.irreducible.value + (size.powf(power) + data.powf(power)).powf(1.0 / power);
    assert!((found.effective_size - effective).abs() < 1e-6 * effective);
    assert!((found.loss.value - loss).abs() < 1e-12, "{} {loss}", found.loss.value);
    let curve = recipe.scores.tasks["hellaswag"];
    let score = 100.0 * (0.25 + 0.75 / (1.0 + (curve.steepness * (loss - curve.center)).exp()));
    assert!((found.scores["hellaswag"].percent.value - score).abs() < 1e-9);

    let published =
        model("published").estimate(&small, NumberFormat::Bf16, NumberFormat::F16, TOKENS, &TEXT).unwrap();
    let loss = 1.69 + 406.4 / 106_203_456_f64.powf(0.34) + 410.7 / 1e11_f64.powf(0.28);
    assert!((published.loss.value - loss).abs() < 1e-9, "{} {loss}", published.loss.value);
}

#[test]
fn terms_sum_to_the_loss_and_each_has_a_source() {
    for weights in [NumberFormat::F32, NumberFormat::Q8_0, NumberFormat::Q4_0] {
        let found = model("gemstones")
            .estimate(&architecture(SMALL), weights, NumberFormat::Q8_0, TOKENS, &TEXT)
            .unwrap();
        let sum: f64 = found.terms.iter().map(|term| term.nats).sum();
        assert!((sum - found.loss.value).abs() < 1e-12);
        assert!(found.terms.iter().all(|term| !term.source.is_empty()), "{:?}", found.terms);
        let kv = found.terms.iter().find(|term| term.name == "kv_format").unwrap();
        assert!(kv.source.starts_with("assumed"));
        assert!(found.flags.contains(Flags::ASSUMED_KV));
    }
}

#[test]
fn quantisation_costs_more_the_longer_the_training() {
    let small = architecture(SMALL);
    let cost = |weights, tokens| {
        let model = model("gemstones");
        term(&model.estimate(&small, weights, NumberFormat::F16, tokens, &TEXT).unwrap(), "weight_format")
    };
    // 100 billion tokens are 941.6 per parameter: (941.6 / 300)^0.15 = 1.18716.
    assert!(
        (cost(NumberFormat::Q4_0, TOKENS) - 0.044 * 1.187_164_8).abs() < 1e-7,
        "{}",
        cost(NumberFormat::Q4_0, TOKENS)
    );
    assert!(cost(NumberFormat::Q4_0, 600_000_000) < 0.044);
    let most = |tokens| cost(NumberFormat::Q4_0, tokens);
    assert!(most(10_000_000_000_000) > most(TOKENS));
    // The clip: at 3 times from 1500 times the reference on.
    assert_eq!(most(100_000_000_000_000), 0.044 * 3.0);
    assert!(cost(NumberFormat::Q8_0, TOKENS) < cost(NumberFormat::Q6_K, TOKENS));
    assert!(cost(NumberFormat::Q6_K, TOKENS) < cost(NumberFormat::Q4_K, TOKENS));
    assert_eq!(cost(NumberFormat::Bf16, TOKENS), 0.0);
}

#[test]
fn heads_cost_nothing_until_one_serves_all() {
    let with = |heads: u64, kv: u64| {
        let mut model = architecture(SMALL);
        model.layers[0].attention.heads = heads;
        model.layers[0].attention.kv_heads = kv;
        estimate(&model).unwrap()
    };
    assert_eq!(term(&with(8, 8), "kv_heads"), 0.0);
    assert_eq!(term(&with(8, 4), "kv_heads"), 0.0);
    assert!(with(8, 4).sigma > with(8, 8).sigma);
    for (heads, kv) in [(8, 1), (32, 2)] {
        assert_eq!(term(&with(heads, kv), "kv_heads"), 0.012);
        assert!(with(heads, kv).flags.contains(Flags::ASSUMED_MQA));
    }
    assert!(!with(1, 1).flags.contains(Flags::ASSUMED_MQA));
}

#[test]
fn a_window_costs_nothing_while_it_covers_the_text_and_is_refused_where_it_was_never_measured() {
    // 1600 bytes are about 400 tokens.
    let with = |window: u64, global_every: Option<u64>| {
        let mut model = architecture(SMALL);
        let mut windowed = model.layers[0].clone();
        windowed.repeat = 1;
        windowed.attention.window = Some(window);
        let mut global = windowed.clone();
        global.attention.window = None;
        model.layers = (1..=30)
            .map(|layer| match global_every {
                Some(every) if layer % every == 0 => global.clone(),
                _ => windowed.clone(),
            })
            .collect();
        model
    };
    let law = model("gemstones").law(TOKENS, &TEXT);
    let (prompt, generated) = law.workload_tokens(50_304);
    let covering = estimate(&with(prompt + generated, None)).unwrap();
    assert!(!covering.flags.contains(Flags::ASSUMED_WINDOW));
    assert_eq!(refusal(&with(prompt + generated - 1, None)), Refusal::Window);
    assert_eq!(refusal(&with(256, Some(6))), Refusal::Window);

    let long = WorkloadText::new(8000, 400);
    let model = model("gemstones");
    let long_estimate = |architecture: &Architecture| {
        model.estimate(architecture, NumberFormat::Bf16, NumberFormat::F16, TOKENS, &long)
    };
    let mixed = long_estimate(&with(512, Some(6))).unwrap();
    assert!(mixed.flags.contains(Flags::ASSUMED_WINDOW));
    assert_eq!(term(&mixed, "window"), 0.0);
    assert!(!mixed.flags.contains(Flags::EXTRAPOLATED), "a window pattern is no difference in shape");
    assert!(long_estimate(&with(512, Some(7))).is_err());
    assert!(long_estimate(&with(512, None)).is_err());
}

#[test]
fn every_limit_is_a_refusal_of_its_own() {
    let change = |change: &dyn Fn(&mut Architecture)| {
        let mut model = architecture(SMALL);
        change(&mut model);
        refusal(&model)
    };
    assert_eq!(change(&|model| model.layers[0].repeat = 1), Refusal::TooSmall);
    assert_eq!(change(&|model| model.layers[0].repeat = 40_000), Refusal::TooLarge);
    assert_eq!(change(&|model| model.layers[0].repeat = 577), Refusal::WidthDepth);
    assert_eq!(change(&|model| model.vocabulary_size = 300_001), Refusal::Vocabulary);
    let tokens = |tokens| {
        model("gemstones").estimate(&architecture(SMALL), NumberFormat::F32, NumberFormat::F32, tokens, &TEXT)
    };
    assert!(matches!(tokens(500_000_000), Err(QualityError::Refused { refusal: Refusal::TooFewTokens, .. })));
    assert!(tokens(540_000_000).is_ok());
    let moe = |experts: u64| {
        SMALL.replace(
            "kind: dense, size: 1536",
            &format!("kind: moe, experts: {experts}, top_k: 2, expert_size: 256"),
        )
    };
    assert!(estimate(&architecture(&moe(128))).is_ok());
    assert_eq!(refusal(&architecture(&moe(129))), Refusal::Experts);
    let looped =
        |count: u64| SMALL.replacen('{', &format!("{{loops: {{first: 0, layers: 30, count: {count}}}, "), 1);
    assert!(estimate(&architecture(&looped(8))).unwrap().flags.contains(Flags::ASSUMED_LOOPS));
    assert_eq!(refusal(&architecture(&looped(9))), Refusal::Loops);
    let error = estimate(&architecture(&looped(9))).unwrap_err().to_string();
    assert_eq!(
        error,
        "quality of this model cannot be predicted: the number of passes is 9; allowed: at most 8"
    );
}

#[test]
fn formats_that_nobody_measured_are_refused() {
    let text = Recipe::builtin_text("gemstones").unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("q4_0: {value:")).unwrap();
    let without = text.replace(line, "");
    let recipe = Recipe::from_document(&Document::from_str(&without, "own.yaml").unwrap()).unwrap();
    let refused = |recipe: &Recipe, weights, kv| match QualityModel::new(recipe.clone()).estimate(
        &architecture(SMALL),
        weights,
        kv,
        TOKENS,
        &TEXT,
    ) {
        Err(QualityError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&recipe, NumberFormat::Q4_0, NumberFormat::F16), Refusal::WeightFormat);
    let own = Recipe::builtin("gemstones").unwrap();
    assert_eq!(refused(&own, NumberFormat::F16, NumberFormat::Q4_0), Refusal::KvFormat);
    // A format of 4.5 bits is too coarse for a recipe that stops at 5.
    let finer = text.replace("  bits: 2", "  bits: 5");
    let finer = Recipe::from_document(&Document::from_str(&finer, "own.yaml").unwrap()).unwrap();
    assert_eq!(refused(&finer, NumberFormat::Q4_K, NumberFormat::F16), Refusal::WeightFormat);
}

#[test]
fn outside_the_fitted_box_the_interval_doubles() {
    let inside = estimate(&architecture(SMALL)).unwrap();
    assert!(!inside.flags.contains(Flags::EXTRAPOLATED));
    let mut small = architecture(SMALL);
    small.layers[0].repeat = 4;
    let outside = estimate(&small).unwrap();
    assert!(outside.flags.contains(Flags::EXTRAPOLATED));
    assert!((outside.sigma - 2.0 * inside.sigma).abs() < 1e-12);
    let mut uneven = architecture(SMALL);
    uneven.layers.push(uneven.layers[0].clone());
    uneven.layers[1].attention.kv_heads = 9;
    assert!(estimate(&uneven).unwrap().flags.contains(Flags::EXTRAPOLATED));
}

#[test]
fn experts_and_loops_raise_the_effective_size_less_than_their_parameters() {
    let size = |text: &str| estimate(&architecture(text)).unwrap().effective_size;
    let dense = size(SMALL);
    let eight =
        size(&SMALL.replace("kind: dense, size: 1536", "kind: moe, experts: 8, top_k: 1, expert_size: 1536"));
    assert!(eight > 1.5 * dense && eight < 4.0 * dense, "{eight} {dense}");
    let twice = size(&SMALL.replacen('{', "{loops: {first: 0, layers: 30, count: 2}, ", 1));
    let half = size(&SMALL.replacen('{', "{loops: {first: 0, layers: 15, count: 2}, ", 1));
    assert!(dense < half && half < twice && twice < 2_f64.powf(0.31) * dense, "{dense} {half} {twice}");
}

#[test]
fn text_per_token_goes_through_its_knots_and_loss_per_byte_divides_by_the_recipes() {
    let model = model("gemstones");
    let law = model.law(TOKENS, &TEXT);
    assert!((law.bytes_per_token(32_768) - 3.971).abs() < 1e-12);
    assert!((law.bytes_per_token(96_256) - 4.309).abs() < 1e-12);
    let own = law.bytes_per_token(50_304);
    assert!(own > 4.08 && own < 4.15, "{own}");
    let mut other = architecture(SMALL);
    other.vocabulary_size = 32_768;
    let found = estimate(&other).unwrap();
    assert!((found.loss_per_byte.value - found.loss.value / own).abs() < 1e-15);
    assert!(law.bytes_per_token(256) >= 1.0);
    assert!(law.bytes_per_token(300_000) < 5.0);
}

#[test]
fn a_vocabulary_counts_only_far_from_the_recipes() {
    let with = |vocabulary: u64| {
        let mut model = architecture(SMALL);
        model.vocabulary_size = vocabulary;
        estimate(&model).unwrap()
    };
    for near in [25_152, 32_768, 50_304, 65_536, 100_608] {
        assert_eq!(term(&with(near), "vocabulary"), 0.0, "{near}");
        assert!(!with(near).flags.contains(Flags::ASSUMED_VOCABULARY));
    }
    assert!(with(100_608).sigma > with(65_536).sigma && with(65_536).sigma > with(50_304).sigma);
    let far = with(201_216);
    assert!(far.flags.contains(Flags::ASSUMED_VOCABULARY));
    // Along the last segment of the table from 100 608 on, between its rows of 84.8M and 151M parameters.
    let share = (106_203_456_f64 / 8.48e7).ln() / (1.51e8_f64 / 8.48e7).ln();
    let slope = (1.0 - share) * (0.194 - 0.171) + share * (0.103 - 0.077);
    let wanted = slope * 2_f64.ln() / (96_256_f64 / 64_512.0).ln();
    assert!((term(&far, "vocabulary") - wanted).abs() < 1e-12, "{} {wanted}", term(&far, "vocabulary"));
    let near_zero = with(4096);
    assert!(term(&near_zero, "vocabulary") > 0.0 && near_zero.flags.contains(Flags::ASSUMED_VOCABULARY));
}

#[test]
fn tying_the_tables_costs_the_credit_of_one() {
    let mut tied = architecture(SMALL);
    tied.tied_embeddings = true;
    let (tied, untied) = (estimate(&tied).unwrap(), estimate(&architecture(SMALL)).unwrap());
    assert!(tied.loss.value > untied.loss.value);
    let shape = Recipe::builtin("gemstones").unwrap().shape;
    let distance = (576.0_f64 / 30.0).ln() - shape.width_depth_optimum.value;
    let penalty = (-shape.width_depth_penalty.value * distance * distance).exp();
    let table = shape.embedding_credit.value * 50_304.0 * 576.0 * penalty;
    assert!((untied.effective_size - tied.effective_size - table).abs() < 1.0);
}

#[test]
fn noise_is_told_apart_by_where_it_comes_from() {
    let plain = estimate(&architecture(SMALL)).unwrap();
    let noise = plain.noise;
    assert!((noise.shape - 0.018).abs() < 1e-9 && (noise.axis - 0.005).abs() < 1e-9, "{noise:?}");
    assert!((noise.recipe - 0.062_f64.hypot(0.05)).abs() < 1e-12);
    assert!((noise.shape.hypot(noise.axis) - plain.sigma).abs() < 1e-12);
    let half = plain.loss.high - plain.loss.value;
    assert!((half - Z90 * plain.sigma).abs() < 1e-12, "the recipe's noise is in no candidate's interval");
    // Outside the box both parts of the model double and the recipe's stays.
    let mut small = architecture(SMALL);
    small.layers[0].repeat = 4;
    let outside = estimate(&small).unwrap().noise;
    assert!(
        (outside.shape - 2.0 * noise.shape).abs() < 1e-9 && (outside.axis - 2.0 * noise.axis).abs() < 1e-9
    );
    assert_eq!(outside.recipe, noise.recipe);
}

#[test]
fn what_rests_on_one_ablation_is_named_with_its_interval() {
    let mut mqa = architecture(SMALL);
    mqa.layers[0].attention.kv_heads = 1;
    let found = estimate(&mqa).unwrap();
    let [assumed] = &found.assumptions[..] else { panic!("{:?}", found.assumptions) };
    assert_eq!((assumed.assumption, assumed.nats.value), (Assumption::Mqa, 0.012));
    assert!((assumed.nats.high - 0.012 - Z90 * 0.01).abs() < 1e-12);
    assert!(assumed.source.contains("GQA paper"));

    let mut wide = architecture(SMALL);
    wide.vocabulary_size = 201_216;
    let assumed = &estimate(&wide).unwrap().assumptions[0];
    assert_eq!(assumed.assumption, Assumption::Vocabulary);
    assert!(assumed.nats.low < assumed.nats.value && assumed.nats.value < assumed.nats.high);

    let looped = architecture(&SMALL.replacen('{', "{loops: {first: 0, layers: 30, count: 4}, ", 1));
    let looped = estimate(&looped).unwrap();
    let plain = estimate(&architecture(SMALL)).unwrap();
    let assumed = &looped.assumptions[0];
    assert_eq!(assumed.assumption, Assumption::Loops);
    let gain = looped.loss.value - plain.loss.value;
    assert!((assumed.nats.value - gain).abs() < 1e-12, "{:?} {gain}", assumed.nats);
    assert!(assumed.nats.low < gain && gain < assumed.nats.high && assumed.nats.high < 0.0);
    assert!(looped.noise.axis > 2.0 * plain.noise.axis, "{:?}", looped.noise);
    assert!(plain.assumptions.is_empty());
}

#[test]
fn what_nobody_assumed_is_refused_with_the_option() {
    let mut mqa = architecture(SMALL);
    mqa.layers[0].attention.kv_heads = 1;
    mqa.vocabulary_size = 201_216;
    let found = estimate(&mqa).unwrap();
    let error = found.allow(&[Assumption::Loops]).unwrap_err().into_document();
    assert_eq!(error.field.as_deref(), Some("--assume"));
    let hint = error.hint.clone().unwrap();
    assert!(hint.contains("`--assume loops,mqa,vocab`") && hint.contains("GQA paper"), "{hint}");
    assert!(found.allow(&[Assumption::Vocabulary]).is_err());
    assert!(found.allow(&[Assumption::Mqa, Assumption::Vocabulary]).is_ok());
    let error = Assumption::named("loop").unwrap_err().to_string();
    assert!(error.contains("did you mean `loops`?"), "{error}");
}

#[test]
fn a_measured_text_scales_the_table_and_leaves_the_loss_per_byte() {
    let measured = slimfit_quantity::Predicted { value: 3.0, low: 2.9, high: 3.1 };
    let plain = model("gemstones");
    let own = TEXT.tokenized(TokenizedText { vocabulary_size: 50_304, bytes_per_token: measured });
    let (law, own_law) = (plain.law(TOKENS, &TEXT), plain.law(TOKENS, &own));
    assert!((own_law.bytes_per_token(50_304) - 3.0).abs() < 1e-12);
    let ratio = 3.0 / law.bytes_per_token(50_304);
    assert!((own_law.bytes_per_token(32_768) - ratio * 3.971).abs() < 1e-12);
    assert_eq!(own_law.workload_tokens(50_304), (400, 134));
    let value = |text: &WorkloadText| {
        let found = plain.estimate(&architecture(SMALL), NumberFormat::F16, NumberFormat::F16, TOKENS, text);
        found.unwrap()
    };
    let (before, after) = (value(&TEXT), value(&own));
    assert_eq!((before.loss, before.loss_per_byte), (after.loss, after.loss_per_byte));
    assert!(
        (after.bytes_per_token.low - 2.9).abs() < 1e-9 && (after.bytes_per_token.high - 3.1).abs() < 1e-9
    );
}

#[test]
fn a_refusal_names_its_field_and_what_is_allowed() {
    let mut wide = architecture(SMALL);
    wide.vocabulary_size = 300_001;
    let error = estimate(&wide).unwrap_err().into_document();
    assert_eq!(error.field.as_deref(), Some("vocabulary_size"));
    assert_eq!(error.found.as_deref(), Some("300001"));
    assert_eq!(error.allowed.as_deref(), Some("at most 300000"));
    let unknown = Recipe::builtin("gemstone").unwrap_err().into_document();
    assert_eq!(unknown.hint.as_deref(), Some("did you mean `gemstones`?"));
}

#[test]
fn scores_know_what_they_cannot_say() {
    let found = estimate(&architecture(SMALL)).unwrap();
    let hellaswag = found.scores["hellaswag"];
    assert!(hellaswag.percent.high - hellaswag.percent.value >= 8.2 - 1e-9);
    assert!(hellaswag.same_recipe_points < 3.0);
    assert!(found.not_predicted.iter().any(|task| task.task == "mmlu"));
    assert!(!found.scores.contains_key("mmlu"));
}

#[test]
fn recipes_that_make_no_sense_name_the_place() {
    let text = Recipe::builtin_text("gemstones").unwrap();
    for (from, to, field) in [
        ("value: 1.6155", "value: -1", "loss.size.factor.value"),
        ("value: 0.39619", "value: 0", "loss.interaction.value"),
        ("value: 0.46,", "value: 1.46,", "shape.expert_exponent.value"),
        ("8.48e+7, 1.51e+8", "1.51e+8, 8.48e+7", "corrections.vocabulary.parameters"),
        ("0.045, 0.073, 0.131]", "0.131]", "corrections.vocabulary.nats"),
        ("training_clip: [0.5, 3]", "training_clip: [3, 0.5]", "corrections.training_clip"),
        ("- [8192, 3.344]", "- [8192, 2.9]", "text.knots[2]"),
        ("steepness: 3.051", "steepness: 0", "scores.tasks.hellaswag.steepness"),
        ("chance: 0.25, steepness: 3.051", "chance: 1, steepness: 3.05", "scores.tasks.hellaswag.chance"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let error = Recipe::from_document(&Document::from_str(&changed, "recipe.yaml").unwrap()).unwrap_err();
        let QualityError::Document(error) = error else { panic!("{error}") };
        assert_eq!(error.field.as_deref(), Some(field));
        assert!(error.line.is_some_and(|line| line > 5));
    }
    let typo = text.replace("irreducible:", "irreducable:");
    let error = Recipe::from_document(&Document::from_str(&typo, "recipe.yaml").unwrap()).unwrap_err();
    assert!(error.to_string().contains("did you mean `irreducible`?"), "{error}");
    let error = Recipe::builtin("gemstone").unwrap_err().to_string();
    assert!(error.contains("did you mean `gemstones`?"), "{error}");
}

#[test]
fn the_fast_law_agrees_with_the_estimate_exactly() {
    let model = model("gemstones");
    let law = model.law(TOKENS, &TEXT);
    for repeat in 8..60 {
        for weights in NumberFormat::SEARCHABLE_WEIGHTS {
            let mut one = architecture(SMALL);
            one.layers[0].repeat = repeat;
            let slow = model.estimate(&one, weights, NumberFormat::F16, TOKENS, &TEXT).unwrap();
            let fast = law.loss(&Shape::of(&one).unwrap(), weights, NumberFormat::F16).unwrap();
            assert_eq!((slow.loss.value, slow.sigma, slow.flags), (fast.nats, fast.sigma, fast.flags));
        }
    }
}

proptest! {
    #[test]
    fn no_shape_falls_below_the_bound_of_its_family(
        layers in 8_u64..48, width in 6_u64..32, vocabulary in 9000_u64..250_000, tokens in 1_u64..3000,
        (small, large, between) in (1_u64..1000, 1_u64..1000, 0.0_f64..1.0), experts in any::<bool>(),
        (shallower, deeper) in (0_u64..8, 0_u64..20),
        weights in prop::sample::select(NumberFormat::SEARCHABLE_WEIGHTS.to_vec()), kv_heads in 1_u64..16,
    ) {
        let model = model("gemstones");
        let law = model.law(tokens * 1_000_000_000, &TEXT);
        let least = 6_000_000 + small * 900_000;
        let most = least + large * 900_000;
        let own = least + (between * (most - least) as f64) as u64;
        let shape = |non_embedding: u64| Shape {
            non_embedding,
            active: if experts { non_embedding / 2 } else { non_embedding },
            experts: if experts { 8 } else { 1 },
            embedding: vocabulary * 64 * width,
            hidden_size: 64 * width,
            layers,
            vocabulary_size: vocabulary,
            heads_per_kv_head: kv_heads,
            single_kv_head: false,
            global_layers: layers,
            ..Shape::of(&architecture(SMALL)).unwrap()
        };
        let kv = NumberFormat::F16;
        if let Ok(loss) = law.loss(&shape(own), weights, kv) {
            let base = law.least_base_nats(&shape(most), least) + law.heads_nats(kv_heads, false);
            let bound = base + law.least_format_nats(weights, kv, (least as f64, most as f64)).unwrap();
            prop_assert!(bound <= loss.nats, "{bound} {loss:?}");
            // Of a single size it is that loss itself, but for rounding.
            let tight = law.least_base_nats(&shape(own), own) + law.heads_nats(kv_heads, false)
                + law.least_format_nats(weights, kv, (own as f64, own as f64)).unwrap();
            prop_assert!((loss.nats - tight).abs() < 1e-9, "{tight} {loss:?}");
            // A range of depths has no more than any depth in it.
            let depths = law.least_base_nats_of_depths(&shape(most), (layers - shallower, layers + deeper), least);
            prop_assert!(depths <= law.least_base_nats(&shape(most), least), "{depths}");
        }
    }

    #[test]
    fn more_is_never_worse(
        layers in 8_u64..40, width in 6_u64..20, ffn in 1_u64..5, vocabulary in 26_000_u64..100_000, tokens in 1_u64..300,
    ) {
        let hidden = 64 * width;
        let build = |ffn: u64, vocabulary: u64| {
            let mut model = architecture(SMALL);
            model.hidden_size = hidden;
            model.vocabulary_size = vocabulary;
            model.layers[0].repeat = layers;
            model.layers[0].attention.heads = width;
            model.layers[0].attention.kv_heads = width;
            if let slimfit_arch::FeedForward::Dense(mlp) = &mut model.layers[0].ffn {
                mlp.size = ffn * hidden;
            }
            model
        };
        let model = model("gemstones");
        let loss = |ffn, vocabulary, tokens: u64| {
            let shape = build(ffn, vocabulary);
            let found = model.estimate(&shape, NumberFormat::F32, NumberFormat::F32, tokens * 1_000_000_000, &TEXT);
            found.map(|found| found.loss.value)
        };
        let (Ok(base), Ok(wider), Ok(longer), Ok(larger)) = (
            loss(ffn, vocabulary, 10 * tokens),
            loss(ffn + 1, vocabulary, 10 * tokens),
            loss(ffn, vocabulary, 11 * tokens),
            loss(ffn, vocabulary + 500, 10 * tokens),
        ) else {
            return Ok(());
        };
        prop_assert!(wider < base && longer < base && larger < base);
    }
}

#[test]
fn a_recipe_of_many_tokenizers_counts_no_vocabulary() {
    let wide = SMALL.replace("vocabulary_size: 50304", "vocabulary_size: 256000");
    assert_ne!(wide, SMALL);
    let found = |recipe: &str, text: &str| {
        let estimate =
            model(recipe).estimate(&architecture(text), NumberFormat::F16, NumberFormat::F16, TOKENS, &TEXT);
        estimate.unwrap()
    };
    let (near, far) = (found("published", SMALL), found("published", &wide));
    assert_eq!((near.loss, near.scores["hellaswag"]), (far.loss, far.scores["hellaswag"]));
    assert!(far.assumptions.is_empty());
    let term = far.terms.iter().find(|term| term.name == "vocabulary").unwrap();
    assert!(term.nats == 0.0 && term.source.contains("many tokenizers"), "{term:?}");
    assert_eq!(Recipe::builtin("published").unwrap().footing(Assumption::Vocabulary), None);
    assert!(found("gemstones", &wide).flags.contains(Flags::ASSUMED_VOCABULARY));
}

#[test]
fn a_recipe_with_more_tasks_than_a_search_can_hold_is_refused() {
    let mut recipe = Recipe::builtin("gemstones").unwrap();
    let curve = recipe.scores.tasks["hellaswag"];
    recipe.scores.tasks = (0..crate::MOST_TASKS).map(|task| (format!("task_{task}"), curve)).collect();
    let text = recipe.to_yaml().unwrap();
    assert!(Recipe::from_document(&Document::from_str(&text, "own.yaml").unwrap()).is_ok());
    let more = text.replacen(
        "    task_0:",
        "    one_more: {chance: 0.25, steepness: 3, center: 2.5, residual: 1, evaluation: 1}\n    task_0:",
        1,
    );
    assert_ne!(more, text);
    let error =
        Recipe::from_document(&Document::from_str(&more, "own.yaml").unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("own.yaml:") && error.contains("scores.tasks"), "{error}");
    assert!(error.contains("at most 16"), "{error}");
}
