use super::*;
use slimfit_document::Document;

fn recipe() -> TrainingRecipe {
    let paper = "a paper";
    TrainingRecipe {
        schema: TRAINING_RECIPE_SCHEMA.to_owned(),
        model: TrainedModel {
            name: "tiny".to_owned(),
            id: "0123456789ab".to_owned(),
            parameters: Parameters { total: 150, non_embedding: 100, embedding: 50, active: 150 },
            vocabulary_size: 5,
        },
        tokens: Setting::given(1_000_000, "asked for"),
        sequence_length: Setting::published(2048, paper),
        batch: Batch { tokens: Setting::modelled(8192, paper), sequences: Setting::modelled(4, paper) },
        steps: Setting::modelled(123, "tokens over tokens of a batch"),
        learning_rate: LearningRate {
            peak: Setting::modelled(0.002, paper),
            r#final: Setting::published(1e-5, paper),
            schedule: Setting::published(Schedule::Cosine, paper),
            warm_up_steps: Setting::modelled(30, paper),
        },
        optimizer: Optimizer {
            name: Setting::published(OptimizerName::Adamw, paper),
            beta1: Setting::published(0.9, paper),
            beta2: Setting::published(0.95, paper),
            epsilon: Setting::published(1e-8, paper),
            weight_decay: Setting::published(0.1, paper),
            gradient_clip_norm: Setting::published(1.0, paper),
        },
        initialisation: Initialisation {
            scheme: Setting::published(InitialisationScheme::DepthScaledNormal, paper),
            standard_deviation: Setting::published(0.02, paper),
            residual_standard_deviation: Setting::published(0.0141, paper),
            seed: Setting::given(7, "asked for"),
        },
        training_flops: Setting::modelled(6e8, "counted"),
        law: HyperparameterLaw {
            name: "Law: of \"everything\"".to_owned(),
            citation: paper.to_owned(),
            peak_learning_rate: "1 / N".to_owned(),
            batch_tokens: "D".to_owned(),
            parameters: FittedRange { value: 100, low: 1000, high: 2000 },
            tokens: FittedRange { value: 1_000_000, low: 1, high: 2_000_000 },
            extrapolated: true,
        },
        flags: vec![TrainingFlag { code: "extrapolated".to_owned(), message: "too small: #1".to_owned() }],
    }
}

fn read(text: &str) -> Result<TrainingRecipe, FormatsError> {
    TrainingRecipe::from_document(&Document::from_str(text, "training.yaml").unwrap())
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut recipe = recipe();
    // Names are anyone's: of a folder, say.
    for name in ["tiny", "no", "1e5", "a: b # c", "- x", "\"quoted\" 'twice'", "{a}", "été\t|", "two\nlines"]
    {
        name.clone_into(&mut recipe.model.name);
        let text = recipe.to_yaml().unwrap();
        assert_eq!(read(&text).unwrap(), recipe, "{text}");
    }
}

#[test]
fn numbers_are_numbers_to_readers_of_yaml_1_1_too() {
    let text = recipe().to_yaml().unwrap();
    assert!(text.starts_with("# How to train"), "{text}");
    assert!(text.contains("\nschema: slimfit/training-recipe/v1\n"), "{text}");
    for line in ["    value: 0.00001", "    value: 1.0e-8", "  value: 600000000.0", "    value: 0.002"] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn another_schema_and_unknown_fields_are_refused() {
    let text = recipe().to_yaml().unwrap();
    let code = |text: &str| match read(text).unwrap_err() {
        FormatsError::Document(error) => error.code.clone(),
        other => panic!("{other}"),
    };
    assert_eq!(code(&text.replace("training-recipe/v1", "training-recipe/v2")), "schema-unknown");
    assert_eq!(code(&text.replace("training-recipe/v1", "recipe/v1")), "schema-unknown");
    assert_eq!(code(&text.replace("\nsteps:", "\nstep:")), "unknown-field");
    assert_eq!(code(&text.replace("value: cosine", "value: triangle")), "unknown-variant");
    assert_eq!(code(&text.replacen("source: given", "source: guessed", 1)), "unknown-variant");
}

#[test]
fn contradictions_are_refused_with_field_found_and_allowed() {
    type Change = fn(&mut TrainingRecipe);
    let changes: [(Change, &str); 14] = [
        (|recipe| recipe.tokens.value = 0, "tokens.value"),
        (|recipe| recipe.tokens.citation = " ".to_owned(), "tokens.citation"),
        (|recipe| recipe.batch.tokens.value = 8000, "batch.tokens.value"),
        (|recipe| recipe.batch.sequences.value = u64::MAX, "batch.tokens.value"),
        (|recipe| recipe.steps.value = 122, "steps.value"),
        (|recipe| recipe.learning_rate.peak.value = -0.1, "learning_rate.peak.value"),
        (|recipe| recipe.learning_rate.r#final.value = 0.002, "learning_rate.final.value"),
        (|recipe| recipe.learning_rate.warm_up_steps.value = 123, "learning_rate.warm_up_steps.value"),
        (|recipe| recipe.optimizer.beta2.value = 1.0, "optimizer.beta2.value"),
        (|recipe| recipe.optimizer.epsilon.value = 0.0, "optimizer.epsilon.value"),
        (|recipe| recipe.optimizer.weight_decay.value = 2.0, "optimizer.weight_decay.value"),
        (|recipe| recipe.training_flops.value = 0.0, "training_flops.value"),
        (|recipe| recipe.model.parameters.embedding = u64::MAX, "model.parameters.total"),
        (|recipe| recipe.law.extrapolated = false, "law.extrapolated"),
    ];
    for (change, field) in changes {
        let mut changed = recipe();
        change(&mut changed);
        let text = changed.to_yaml().unwrap();
        let FormatsError::Document(error) = read(&text).unwrap_err() else { panic!("{field}") };
        let details = &error;
        assert_eq!(details.field.as_deref(), Some(field), "{error}");
        assert!(details.line.is_some_and(|line| line > 5), "{error}");
        assert!(details.found.is_some() && details.allowed.is_some(), "{error}");
    }
}
