//! Models that no program but slimfit runs, in its own container and back: the same network, values and bytes.

use super::entry::Value;
use super::file::Laid;
use super::metadata::general;
use super::round_trip::{AsStored, plain};
use super::{ContainerOutput, GgufOutput, gguf_family};
use crate::gguf::container::{ARCHITECTURE_KEY, CONTAINER_FAMILY, CONTEXT_KEY, architecture_text};
use crate::gguf::{GgufFile, is_gguf};
use crate::samples::{Knobs, knobs, values, values_from};
use crate::{ModelWeights, Origin, load_model};
use proptest::prelude::*;
use serde_json::Value as Json;
use slimfit_arch::{
    Activation, Architecture, FeedForward, Loops, NormKind, NormPlacement, Positions, QkNorm,
};
use slimfit_quantity::NumberFormat;

/// Layers of which no two need be alike, and everything around them.
fn unlike(knobs: &Knobs, more: [bool; 8]) -> Architecture {
    let mut layers = knobs.uniform(&knobs.attention(), &FeedForward::Dense(knobs.mlp()));
    for (number, run) in (0_u64..).zip(&mut layers) {
        let odd = number % 2 == 1;
        if more[0] && odd {
            run.attention.heads *= 2;
            run.attention.window = Some(knobs.window);
            run.attention.rope = None;
        }
        run.attention.qk_norm = [QkNorm::None, QkNorm::PerHead, QkNorm::AllHeads, QkNorm::EachHead]
            [(number as usize + usize::from(knobs.flags[3])) % 4];
        (run.attention.bias.qkv, run.attention.bias.output) = (knobs.flags[4], knobs.flags[5]);
        run.attention.softcap = knobs.flags[6].then_some(50.0);
        if knobs.flags[7] && odd {
            let mut moe = knobs.moe(Activation::GeluTanh);
            (moe.shared_size, moe.shared_gate) = (knobs.shared, true);
            moe.router_bias = knobs.flags[8];
            run.ffn = FeedForward::Moe(moe);
        }
    }
    let mut model = knobs.model(layers);
    model.norm_placement = if more[1] { NormPlacement::Sandwich } else { NormPlacement::ParallelTwoNorms };
    model.norm.kind = if more[2] { NormKind::Layer } else { NormKind::Rms };
    model.norm.weight_plus_one = knobs.flags[9];
    model.embedding_size = more[3].then_some(knobs.hidden + 1);
    model.embedding_norm = more[4];
    model.final_norm = more[5];
    model.head_bias = more[6];
    if more[7] {
        model.positions = Positions::Learned { context: 16, offset: 2 };
    }
    if knobs.flags[10] {
        let count = 2 + u64::from(knobs.flags[11]);
        model.loops = Some(Loops { first: 0, layers: knobs.depth, count, immediate: knobs.flags[11] });
    }
    model
}

fn output(architecture: &Architecture, weights: NumberFormat) -> ContainerOutput<'_> {
    ContainerOutput(GgufOutput { name: "sample", architecture, weights, context: 16, tokenizer: None })
}

fn check(architecture: &Architecture, weights: NumberFormat) {
    architecture.validate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.gguf"), folder.path().join("second.gguf"));
    let written = output(architecture, weights).write(&first, &values).unwrap();
    assert!(is_gguf(&first));
    assert_eq!(written.bytes, output(architecture, weights).bytes().unwrap());
    let model = load_model(first.to_str().unwrap()).unwrap();
    assert_eq!(model.architecture, architecture.normalised());
    assert_eq!((model.family.as_str(), model.context), (CONTAINER_FAMILY, Some(16)));
    assert_eq!((model.name.as_str(), &model.origin), ("sample", &Origin::Gguf(first.clone())));
    let read_back = ModelWeights::open(&model).unwrap().unwrap();
    for tensor in architecture.tensors() {
        let mut found = vec![f32::NAN; tensor.parameters() as usize];
        read_back.read(&tensor, 0, &mut found).unwrap();
        let stored = tensor.stored_as(weights);
        assert_eq!(read_back.stored_as(&tensor).unwrap(), stored.name(), "{}", tensor.name());
        let close = if stored == NumberFormat::F32 { 0.0 } else { 0.2 };
        let far = found.iter().zip(values_from(&tensor, 0)).position(|(found, value)| {
            let error = (found - value).abs();
            error > close || error.is_nan()
        });
        assert_eq!(far, None, "{}", tensor.name());
    }
    output(&model.architecture, weights).write(&second, &AsStored(read_back)).unwrap();
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap(), "{weights}");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn every_model_is_read_back_as_it_was_and_written_again_byte_for_byte(
        knobs in knobs(),
        more in any::<[bool; 8]>(),
    ) {
        check(&unlike(&knobs, more), NumberFormat::F32);
    }
}

/// In whole blocks of every format, with loops, mixtures and windows on some layers.
fn blocks() -> Architecture {
    let mut knobs = plain();
    (knobs.flags[7], knobs.flags[10]) = (true, true);
    unlike(&knobs, [true, true, false, false, false, true, false, false])
}

#[test]
fn every_format_passes_unchanged() {
    let model = blocks();
    assert!(gguf_family(&model).is_err(), "llama.cpp holds it");
    for weights in NumberFormat::ALL {
        check(&model, weights);
    }
}

#[test]
fn rows_that_are_no_whole_blocks_and_contexts_that_are_too_long_are_refused() {
    let knobs = Knobs { ffn: 40, ..plain() };
    let odd = unlike(&knobs, [false; 8]);
    let error = output(&odd, NumberFormat::Q4_0).bytes().unwrap_err().into_document();
    assert_eq!((error.code.as_str(), error.field.as_deref()), ("no-container", Some("weights")));
    assert!(error.to_string().contains("`q4_0` for `sample`"), "{error}");
    let mut learned = unlike(&plain(), [false; 8]);
    learned.positions = Positions::Learned { context: 15, offset: 0 };
    let error = output(&learned, NumberFormat::F32).bytes().unwrap_err().to_string();
    assert!(error.contains("found 16 tokens; allowed: up to 15"), "{error}");
}

/// The error of a container whose metadata was changed by whoever made it.
fn refused(change: impl FnOnce(&mut Vec<(String, Value)>)) -> String {
    let model = blocks();
    let mut entries = general(CONTAINER_FAMILY, "sample", NumberFormat::F32);
    entries.push((CONTEXT_KEY.to_owned(), Value::Unsigned(16)));
    entries.push((ARCHITECTURE_KEY.to_owned(), Value::Text(architecture_text(&model))));
    change(&mut entries);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let ContainerOutput(file) = output(&model, NumberFormat::F32);
    let laid =
        Laid::of(&file.with_tokenizer(&entries).unwrap(), output(&model, NumberFormat::F32).tensors(), None);
    laid.unwrap().write(&path, "gguf", &values).unwrap();
    let read = GgufFile::open(&path).unwrap().model();
    let error = read.map(|model| model.architecture).unwrap_err().into_document().to_string();
    assert!(error.contains("model.gguf"), "no file in: {error}");
    error
}

/// The same where a field of the architecture is another.
fn refused_field(field: &str, value: Json) -> String {
    refused(|entries| {
        let mut fields: Json = serde_json::from_str(&architecture_text(&blocks())).unwrap();
        fields[field] = value;
        entries.last_mut().unwrap().1 = Value::Text(fields.to_string());
    })
}

#[test]
fn damaged_metadata_is_refused_by_name() {
    let said = |error: String, words: &[&str]| {
        for word in words {
            assert!(error.contains(word), "no {word} in: {error}");
        }
    };
    said(refused(|entries| drop(entries.pop())), &["`slimfit.architecture` is missing"]);
    said(
        refused(|entries| entries.last_mut().unwrap().1 = Value::Unsigned(3)),
        &["`slimfit.architecture` is not a text"],
    );
    let text = architecture_text(&blocks());
    said(
        refused(|entries| entries.last_mut().unwrap().1 = Value::Text(text[..text.len() - 9].to_owned())),
        &["(slimfit.architecture)", "1:"],
    );
    let context = |value| refused(|entries| entries[5].1 = value);
    said(context(Value::Text("long".to_owned())), &["`slimfit.context_length` is not a whole number"]);
    said(
        refused(|entries| entries.push(("slimfit.loops".to_owned(), Value::Unsigned(3)))),
        &["`slimfit.loops` is unknown", "known: `slimfit.architecture`"],
    );
    said(refused_field("widths", 3.into()), &["widths"]);
    said(refused_field("schema", "slimfit/architecture/v9".into()), &["slimfit/architecture/v1"]);
    said(refused_field("hidden_size", 0.into()), &["hidden_size"]);
    said(refused_field("vocabulary_size", 10.into()), &["the metadata describes", "but the tensors have"]);
}
