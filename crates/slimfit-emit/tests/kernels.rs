//! Emitted crates of kernels: what they say, and that they build, are clean and agree with their specification.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use slimfit_arch::{Architecture, Loops};
use slimfit_emit::card::{CardFacts, MeasuredRun, PredictedFigure};
use slimfit_emit::kernels::{EmittedFile, KernelCrate};
use slimfit_formats::gguf::{CONTAINER_FAMILY, GgufFile};
use slimfit_formats::gguf_out::{ContainerOutput, Family, GgufOutput, gguf_family_in};
use slimfit_formats::{ModelWeights, TensorSource};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::{Plan, PlanOptions};
use slimfit_quantity::{Figure, Measured, NumberFormat, Predicted};
use slimfit_runtime::{Model, SeededWeights, Session};
use slimfit_study::RunFigures;
use std::path::{Path, PathBuf};
use std::process::Command;

fn architecture(text: &str) -> Architecture {
    let architecture: Architecture = serde_json::from_str(text).unwrap();
    architecture.validate().unwrap();
    architecture
}

/// Two dense layers; a layer with a window between two without.
fn dense() -> Architecture {
    architecture(
        r#"{"hidden_size": 64, "vocabulary_size": 96, "tied_embeddings": true,
            "layers": [
              {"attention": {"heads": 4, "kv_heads": 2, "head_size": 32, "rope": {"base": 10000.0}},
               "ffn": {"kind": "dense", "size": 96}},
              {"attention": {"heads": 4, "kv_heads": 2, "head_size": 32, "window": 5, "rope": {"base": 10000.0}},
               "ffn": {"kind": "dense", "size": 96}},
              {"attention": {"heads": 4, "kv_heads": 2, "head_size": 32, "rope": {"base": 10000.0}},
               "ffn": {"kind": "dense", "size": 96}}]}"#,
    )
}

/// What llama.cpp runs as Phi 3, whose files have several matrices in one tensor.
fn fused() -> Architecture {
    architecture(
        r#"{"hidden_size": 64, "vocabulary_size": 96,
            "layers": [
              {"repeat": 3,
               "attention": {"heads": 2, "kv_heads": 1, "head_size": 32, "rope": {"base": 10000.0, "rotated": 16}},
               "ffn": {"kind": "dense", "size": 96}}]}"#,
    )
}

/// Experts with a shared part, looped layers, factorised embeddings, biases, norms of queries and keys, capped logits.
fn rich() -> Architecture {
    architecture(
        r#"{"hidden_size": 64, "vocabulary_size": 96, "embedding_size": 32,
            "scales": {"embedding": 8.0, "residual": 0.5, "logit_softcap": 30.0},
            "norm_placement": "sandwich", "norm": {"kind": "rms", "epsilon": 1e-6, "weight_plus_one": true},
            "loops": {"first": 1, "layers": 2, "count": 2},
            "layers": [
              {"attention": {"heads": 4, "kv_heads": 4, "head_size": 32, "softcap": 50.0, "qk_norm": "per_head",
                             "bias": {"qkv": true}, "rope": {"base": 10000.0, "scaling": {"kind": "linear", "factor": 2.0}}},
               "ffn": {"kind": "dense", "size": 96, "gated": false, "activation": "gelu_tanh", "bias": true}},
              {"repeat": 2, "attention": {"heads": 2, "kv_heads": 1, "head_size": 32, "window": 6},
               "ffn": {"kind": "moe", "experts": 4, "top_k": 2, "expert_size": 32, "shared_size": 32, "shared_gate": true,
                       "normalise_top_k": true}}]}"#,
    )
}

/// LayerNorm, learned positions, both branches from one norm.
fn classic() -> Architecture {
    architecture(
        r#"{"hidden_size": 256, "vocabulary_size": 64, "norm_placement": "parallel_one_norm",
            "norm": {"kind": "layer", "epsilon": 1e-5}, "positions": {"kind": "learned", "context": 96, "offset": 2},
            "head_bias": true,
            "layers": [
              {"repeat": 2, "attention": {"heads": 4, "kv_heads": 4, "head_size": 64, "bias": {"qkv": true, "output": true}},
               "ffn": {"kind": "dense", "size": 256, "gated": false, "activation": "gelu", "bias": true}}]}"#,
    )
}

fn options((weights, kv): (NumberFormat, NumberFormat), tier: Isa) -> PlanOptions {
    PlanOptions { chunk: 16, ..PlanOptions::new(weights, kv, tier, 2, 64) }
}

/// What a study says of a model that it ran.
fn facts() -> CardFacts {
    let missing = || Figure::unavailable("no meter");
    let run = |figure: &dyn Fn(f64) -> Figure| RunFigures {
        prefill_tokens_per_s: figure(4000.0),
        decode_tokens_per_s: figure(1250.0),
        ttft_seconds: figure(0.012),
        tpot_seconds: figure(0.0008),
        peak_memory_bytes: figure(2e6),
        joules_per_token: missing(),
    };
    CardFacts {
        setting: vec![("Device".to_owned(), "a device of a test (board), 2 threads".to_owned())],
        predicted: vec![PredictedFigure {
            name: "tpot_seconds".to_owned(),
            figure: Predicted { value: 0.00075, low: 0.0007, high: 0.00085 }.figure(),
        }],
        measured: vec![MeasuredRun {
            setting: "`slimfit` on a device of a test, 2 threads, `avx2`".to_owned(),
            measured: run(&|value| Measured::new(vec![0.98 * value, value, 1.03 * value]).unwrap().figure()),
            predicted: run(&|value| Predicted { value, low: value, high: value }.figure()),
        }],
        ..CardFacts::default()
    }
}

fn emitted(
    name: &str,
    architecture: &Architecture,
    (weights, kv): (NumberFormat, NumberFormat),
    tier: Isa,
) -> Vec<EmittedFile> {
    let plan = Plan::new(architecture, options((weights, kv), tier)).unwrap();
    KernelCrate {
        name,
        title: name,
        architecture,
        plan: &plan,
        tier,
        tuning: &Tuning::default(),
        family: gguf_family_in(architecture, weights).map_or(CONTAINER_FAMILY, Family::name),
        device: "a device of a test",
        facts: &facts(),
        command: "slimfit emit --model architecture.json --what kernels --out model",
    }
    .files()
    .unwrap()
}

fn write(files: &[EmittedFile], folder: &Path) {
    for file in files {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.text).unwrap();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// What depends on the model in `sample/`, which shows what people get; the rest is the kernels' own text.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_sample_is_what_is_emitted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
    let files = emitted("sample", &dense(), (NumberFormat::Q8_0, NumberFormat::F16), Isa::Avx2);
    let (shared, own): (Vec<EmittedFile>, Vec<EmittedFile>) = files.into_iter().partition(|file| file.shared);
    let list: String = shared.iter().map(|file| format!("{}\n", file.path)).collect();
    let list = EmittedFile { path: "shared-files.txt".to_owned(), text: list, shared: false };
    let own: Vec<EmittedFile> = own.into_iter().chain([list]).collect();
    if std::env::var_os("SLIMFIT_UPDATE_SAMPLE").is_some() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        write(&own, &folder);
    }
    for file in &own {
        let found = std::fs::read_to_string(folder.join(&file.path)).unwrap_or_default();
        assert!(
            found == file.text,
            "sample/{} is not what is emitted: SLIMFIT_UPDATE_SAMPLE=1 writes it anew",
            file.path
        );
    }
    let mut there = Vec::new();
    list_files(&folder, &folder, &mut there);
    assert_eq!(there.len(), own.len(), "files in the sample that are not emitted: {there:?}");
}

#[cfg(target_arch = "x86_64")]
fn list_files(folder: &Path, root: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list_files(&path, root, found);
        } else {
            found.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

#[test]
fn emitted_crates_build_are_clean_and_agree_with_their_specification() {
    let tier = Isa::best();
    let cases = [
        ("fused-with-a-name-that-is-long", fused(), (NumberFormat::Q4_0, NumberFormat::F16)),
        ("rich", rich(), (NumberFormat::Q8_0, NumberFormat::Q8_0)),
        ("classic", classic(), (NumberFormat::Q4_K, NumberFormat::F32)),
    ];
    // Kept between runs: what the crates depend on is compiled once.
    let target = root().join("target/emitted-kernels");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or(target, |folder| root().join(folder).join("emitted-kernels"));
    for (name, architecture, formats) in cases {
        let folder = tempfile::tempdir().unwrap();
        let files = emitted(name, &architecture, formats, tier);
        write(&files, folder.path());
        write_weights(&architecture, formats, tier, folder.path());
        let library = files.iter().find_map(|file| file.path.strip_prefix("include/")?.strip_suffix(".h"));
        let test = include_str!("kernels/weights_file.rs").replace("LIBRARY", library.unwrap());
        std::fs::write(folder.path().join("tests/weights_file.rs"), test).unwrap();
        // The versions that the workspace has, which are at hand.
        std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
        let tests = &["test", "--offline", "--quiet", "--lib", "--tests"][..];
        for (arguments, sharing) in [
            (&["fmt", "--check"][..], ""),
            (&["clippy", "--offline", "--quiet", "--all-targets", "--", "-D", "warnings"], ""),
            (tests, "equal"),
            (tests, "claimed"),
        ] {
            let output = Command::new(env!("CARGO"))
                .args(arguments)
                .current_dir(folder.path())
                .env("CARGO_TARGET_DIR", &target)
                .env("SLIMFIT_SHARING", sharing)
                .env_remove("SLIMFIT_ISA")
                .env_remove("RUSTFLAGS")
                .output()
                .unwrap();
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            assert!(output.status.success(), "{name}: cargo {}: {text}", arguments.join(" "));
        }
    }
}

/// The text that emitted crates are asked about, and the token after it.
const TEXT: (&[u32], u32) = (&[1, 5, 2, 7, 3, 3, 0], 4);

/// `model.gguf` with random values, what slimfit's runtime says of it, and the file of another model of the same tensors.
fn write_weights(
    architecture: &Architecture,
    formats: (NumberFormat, NumberFormat),
    tier: Isa,
    folder: &Path,
) {
    let gguf = |architecture, path: &Path, source: &dyn TensorSource| {
        let output =
            GgufOutput { name: "model", architecture, weights: formats.0, context: 64, tokenizer: None };
        match output.family() {
            Ok(_) => output.write(path, source),
            Err(_) => ContainerOutput(output).write(path, source),
        }
        .unwrap();
    };
    let path = folder.join("model.gguf");
    let random = SeededWeights::new(architecture, 3);
    gguf(architecture, &path, &random);
    let read = GgufFile::open(&path).unwrap().model().unwrap();
    let weights = ModelWeights::open_gguf(&path, &read.architecture).unwrap();
    let model = Model::load(&read.architecture, options(formats, tier), &weights).unwrap();
    let pool = Pool::new(2).unwrap();
    let mut session = Session::new(&model, &pool).unwrap();
    session.prefill(TEXT.0).unwrap();
    let logits = session.decode(TEXT.1).unwrap();
    assert!(logits.iter().all(|value| value.is_finite()) && logits.iter().any(|value| *value != 0.0));
    let bytes: Vec<u8> = logits.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.join("logits.bin"), bytes).unwrap();
    // In a container it differs by a constant; a file of llama.cpp's is told by its architecture.
    let mut other = architecture.clone();
    other.norm.epsilon *= 2.0;
    if read.family != CONTAINER_FAMILY {
        other.loops = Some(Loops { first: 0, layers: other.depth(), count: 2, immediate: false });
    }
    gguf(&other, &folder.join("other.gguf"), &random);
}

#[test]
fn names_become_names_of_crates() {
    let named = |name: &str| {
        let files = emitted(name, &dense(), (NumberFormat::Q8_0, NumberFormat::F16), Isa::Portable);
        files.into_iter().find(|file| file.path == "Cargo.toml").unwrap().text
    };
    assert!(named("SmolLM2-135M").contains("name = \"kernels_smollm2_135m\""));
    assert!(named("00aa\"\n[evil]").contains("name = \"kernels_00aa___evil\""));
}

/// A plan and a device of another architecture than this program's.
#[test]
fn kernels_of_a_foreign_architecture_are_refused_by_name() {
    let foreign = if cfg!(target_arch = "aarch64") { Isa::Avx2 } else { Isa::NeonDotprod };
    let architecture = dense();
    let options = PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F16, foreign, 1, 64);
    let plan = Plan::new(&architecture, options).unwrap();
    let emitted = KernelCrate {
        name: "foreign",
        title: "foreign",
        architecture: &architecture,
        plan: &plan,
        tier: foreign,
        tuning: &Tuning::default(),
        family: "llama",
        device: "another device",
        facts: &CardFacts::default(),
        command: "",
    };
    let message = emitted.files().map(|files| files.len()).unwrap_err().to_string();
    assert!(message.contains(foreign.name()), "{message}");
}
