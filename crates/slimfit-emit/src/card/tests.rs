use super::*;
use crate::{TrainingRequest, companions, training_recipe};
use slimfit_document::Document;
use slimfit_quality::Recipe;
use slimfit_quantity::{Measured, Predicted};
use std::collections::BTreeMap;

fn architecture(more: &str) -> Architecture {
    let text = format!(
        "{{hidden_size: 576, vocabulary_size: 49152, tied_embeddings: true, {more}layers: [{{repeat: 30,
          attention: {{heads: 9, kv_heads: 3, head_size: 64, rope: {{base: 10000}}}},
          ffn: {{kind: dense, size: 1536}}}}]}}"
    );
    Document::from_str(&text, "test.yaml").unwrap().parse().unwrap()
}

fn recipe(name: &str, architecture: &Architecture) -> TrainingRecipe {
    let quality = Recipe::builtin("gemstones").unwrap();
    let request = TrainingRequest {
        name,
        id: "0123456789ab",
        architecture,
        recipe: &quality,
        tokens: 20_000_000_000,
        sequence_length: 2048,
        seed: 0,
    };
    training_recipe(&request).unwrap()
}

fn facts() -> CardFacts {
    let predicted = |name: &str, value: f64| PredictedFigure {
        name: name.to_owned(),
        figure: Predicted { value, low: value * 0.9, high: value * 1.2 }.figure(),
    };
    let missing = |name: &str, reason: &str| PredictedFigure {
        name: name.to_owned(),
        figure: Figure::unavailable(reason),
    };
    let run = |factor: f64| {
        let measured = |value: f64| {
            Measured::new(vec![value * factor * 0.98, value * factor, value * factor * 1.03])
                .unwrap()
                .figure()
        };
        RunFigures {
            prefill_tokens_per_s: measured(900.0),
            decode_tokens_per_s: measured(81.3),
            ttft_seconds: measured(0.33),
            tpot_seconds: measured(0.0123),
            peak_memory_bytes: measured(2e8),
            joules_per_token: Figure::unavailable("no meter"),
        }
    };
    CardFacts {
        setting: vec![
            ("Device".to_owned(), "Made-up Processor (server), 2 threads".to_owned()),
            (
                "Use".to_owned(),
                "`assistant`: a prompt of 300 tokens, an answer of 100 at a depth of 300".to_owned(),
            ),
        ],
        predicted: vec![
            predicted("loss", 3.07),
            predicted("ttft_seconds", 0.32),
            predicted("tpot_seconds", 0.012),
            predicted("memory_bytes", 2.1e8),
            missing("joules_per_token", "the device's power is not known: no meter"),
        ],
        remarks: vec!["Remarks on the quality: `extrapolated`.".to_owned()],
        measured: vec![MeasuredRun {
            setting: "`slimfit` on the machine of the study, 2 threads, `avx2`".to_owned(),
            measured: run(1.0),
            predicted: run(0.97),
        }],
        not_measured: String::new(),
        use_tokens: Some(UseTokens { prompt: 300, generated: 100, depth: 300 }),
        not_predicted: vec![("mmlu".to_owned(), "it follows the data".to_owned())],
    }
}

fn rendered(name: &str, more: &str, facts: &CardFacts, change: impl Fn(&mut Artefacts)) -> String {
    let architecture = architecture(more);
    let training = recipe(name, &architecture);
    let mut artefacts = Artefacts::config_only(&architecture);
    change(&mut artefacts);
    let commands = vec!["slimfit emit --study STUDY --pick 0123456789ab --out MODEL".to_owned()];
    Card {
        name,
        id: "0123456789ab",
        architecture: &architecture,
        weights: NumberFormat::Q8_0,
        kv: NumberFormat::F16,
        context: 512,
        facts,
        training: &training,
        artefacts: &artefacts,
        commands: &commands,
        version: "0.0.0-test",
    }
    .render()
}

#[test]
fn a_whole_card() {
    insta::assert_snapshot!(rendered("slm-test knee", "", &facts(), |_| {}));
}

#[test]
fn a_container_is_no_file_of_llama_cpps() {
    let contained = |more: &str| {
        rendered("a looped model", more, &facts(), |artefacts| {
            (artefacts.container, artefacts.kernels) = (Some("slimfit-q8_0.gguf".to_owned()), true);
        })
    };
    let looped = contained("loops: {first: 0, layers: 30, count: 2}, ");
    assert!(looped.contains("they read `slimfit-q8_0.gguf`, which lies here"), "{looped}");
    assert!(looped.contains("**llama.cpp cannot load it**: llama.cpp has no architecture"), "{looped}");
    assert!(looped.contains("`loops` must be") && looped.contains("**untrained**"), "{looped}");
    let plain = contained("");
    assert!(plain.contains("`slimfit emit --what gguf` writes a file for that one"), "{plain}");
}

#[test]
fn the_front_matter_is_yaml_that_the_hub_understands() {
    let card = rendered("x", "", &facts(), |artefacts| {
        artefacts.gguf = GgufArtefact::Written {
            file: "model-q8_0.gguf".to_owned(),
            family: "llama".to_owned(),
            reads_text: true,
        };
    });
    let (head, body) = card.strip_prefix("---\n").unwrap().split_once("---\n").unwrap();
    let fields: BTreeMap<String, serde_json::Value> =
        Document::from_str(head, "front-matter.yaml").unwrap().parse().unwrap();
    assert_eq!(fields["library_name"], "transformers");
    assert_eq!(fields["pipeline_tag"], "text-generation");
    assert_eq!(fields["tags"], serde_json::json!(["slimfit", "untrained", "llama", "gguf"]));
    assert!(!body.contains("\n---\n"), "a rule would end the front matter twice");
    assert!(body.contains("llama-bench -m model-q8_0.gguf"), "{body}");
}

#[test]
fn what_llama_cpp_makes_of_text_depends_on_weights_and_tokenizer() {
    let card = |given_weights, reads_text| {
        rendered("x", "", &facts(), |artefacts| {
            artefacts.given_weights = given_weights;
            let (file, family) = ("model-q8_0.gguf".to_owned(), "llama".to_owned());
            artefacts.gguf = GgufArtefact::Written { file, family, reads_text };
        })
    };
    assert!(card(true, true).contains("llama-cli -m model-q8_0.gguf"));
    for (given_weights, reads_text) in [(true, false), (false, true), (false, false)] {
        let card = card(given_weights, reads_text);
        assert!(card.contains("llama-bench -m") && !card.contains("llama-cli"), "{card}");
        assert_eq!(card.contains("no tokenizer"), !reads_text, "{card}");
        assert_eq!(card.contains("not its words"), !given_weights, "{card}");
    }
}

#[test]
fn names_of_anyone_break_neither_markdown_nor_html() {
    let name = "a|b <script>x</script> `c` # [d](http://e) ![f](g)\n---\n# evil";
    let card = rendered(name, "", &facts(), |_| {});
    for markup in ["<script", "\n# evil", "[d](http", "![f](g)", "a|b"] {
        assert!(!card.contains(markup), "{markup} in\n{card}");
    }
    assert_eq!(card.matches("\n---\n").count(), 1, "{card}");
    let mut facts = facts();
    facts.not_measured = "<b>`x|y`".to_owned();
    facts.measured.clear();
    let card = rendered("x", "", &facts, |_| {});
    assert!(card.contains("Nothing: &lt;b&gt;`x\\|y`."), "{card}");
    // Every line of a table has as many cells as its header.
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = card.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(cells(pair[0]), cells(pair[1]), "{}\n{}", pair[0], pair[1]);
    }
}

#[test]
fn numbers_that_are_none_are_unavailable_and_say_why() {
    let mut facts = facts();
    facts.predicted[1].figure.value = Some(f64::NAN);
    facts.predicted[2].figure.high = Some(f64::INFINITY);
    facts.measured[0].predicted.tpot_seconds.value = Some(f64::INFINITY);
    let card = rendered("x", "", &facts, |_| {});
    for none in ["NaN", "inf", "Infinity"] {
        assert!(!card.contains(none), "{none} in\n{card}");
    }
    assert!(
        card.contains("| Energy per token | unavailable | – | unavailable: the device's power is not known")
    );
}

#[test]
fn what_cannot_be_run_says_why() {
    let looped = rendered("x", "loops: {first: 0, layers: 30, count: 2}, ", &facts(), |_| {});
    assert!(
        looped.contains("trust_remote_code=True") && looped.contains("`modeling_slimfit.py`"),
        "{looped}"
    );
    assert!(looped.contains("**llama.cpp** cannot run it") && looped.contains("`loops` must be"), "{looped}");
    assert!(looped.contains("**looped-layers**"), "{looped}");
    let plain = rendered("x", "", &facts(), |artefacts| {
        artefacts.safetensors = true;
        artefacts.kernels = true;
    });
    assert!(plain.contains("**untrained**") && plain.contains("its words are noise"), "{plain}");
    assert!(plain.contains("AutoModelForCausalLM.from_pretrained(\".\")"), "{plain}");
    assert!(plain.contains("cargo build --release"), "{plain}");
    assert!(plain.contains("`convert_hf_to_gguf.py`"), "{plain}");
}

#[test]
fn a_card_goes_with_its_recipe_and_its_picture() {
    let architecture = architecture("");
    let training = recipe("x", &architecture);
    let (facts, artefacts) = (facts(), Artefacts::config_only(&architecture));
    let card = Card {
        name: "x",
        id: "0123456789ab",
        architecture: &architecture,
        weights: NumberFormat::Bf16,
        kv: NumberFormat::F16,
        context: 4096,
        facts: &facts,
        training: &training,
        artefacts: &artefacts,
        commands: &[],
        version: "0.0.0-test",
    };
    let files = companions(&card, vec![1, 2, 3]).unwrap();
    assert_eq!(
        files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["training.yaml", PICTURE_FILE, "README.md"]
    );
    let text = String::from_utf8(files[0].bytes.clone()).unwrap();
    let document = Document::from_str(&text, "training.yaml").unwrap();
    assert_eq!(TrainingRecipe::from_document(&document).unwrap(), training);
    let card = String::from_utf8(files[2].bytes.clone()).unwrap();
    assert!(card.contains(&format!("]({PICTURE_FILE})")), "{card}");
    assert!(card.contains("promises 4096 positions and the recipe trains on 2048"), "{card}");
}
