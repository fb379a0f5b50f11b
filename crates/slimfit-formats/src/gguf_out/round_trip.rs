//! Models of every family, written and read back: the same network with the same values, and the same bytes again.

use super::obstacles::obstacles;
use super::samples::sample;
use super::{Family, GgufOutput, gguf_family};
use crate::gguf::{GgufFile, GgufModel, data_bytes, rope_divisors};
use crate::samples::{Knobs, knobs, values, values_from};
use crate::{FormatsError, ModelWeights, TensorSource};
use proptest::prelude::*;
use slimfit_arch::{Activation, Architecture, RopeScaling, Tensor, TensorPart};
use slimfit_document::DocumentError;
use slimfit_quantity::NumberFormat;
use std::path::Path;

fn output(architecture: &Architecture, weights: NumberFormat) -> GgufOutput<'_> {
    GgufOutput { name: "sample", architecture, weights, context: 16, tokenizer: None }
}

/// Families whose norms are offsets from 1, which files hold with the 1 in them.
const OFFSETS: [Family; 4] = [Family::Gemma, Family::Gemma2, Family::Gemma3, Family::Nemotron];

/// The network as a file of it says it: norms as the family has them, divisors one by one.
fn as_read(architecture: &Architecture) -> Architecture {
    let mut model = architecture.normalised();
    model.norm.weight_plus_one = OFFSETS.contains(&gguf_family(architecture).unwrap());
    if let Some(divisors) = rope_divisors(&model) {
        let factors: Vec<f64> = divisors.into_iter().map(f64::from).collect();
        for rope in model.layers.iter_mut().filter_map(|run| run.attention.rope.as_mut()) {
            rope.scaling = Some(RopeScaling::LongRope {
                short_factor: factors.clone(),
                long_factor: factors.clone(),
                original_context: 16,
                attention_factor: 1.0,
            });
        }
    }
    model
}

/// What the model adds to a tensor's values.
fn offset(architecture: &Architecture, tensor: &Tensor) -> f32 {
    let norm = tensor.role.is_norm() && tensor.part == TensorPart::Weight;
    if architecture.norm.weight_plus_one && norm { 1.0 } else { 0.0 }
}

fn read(path: &Path) -> (GgufModel, ModelWeights) {
    let model = GgufFile::open(path).unwrap().model().unwrap();
    let weights = ModelWeights::open_gguf(path, &model.architecture).unwrap();
    (model, weights)
}

/// One that quantised tensors may not be decoded from.
pub(super) struct AsStored(pub(super) ModelWeights);

impl TensorSource for AsStored {
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        assert!(!tensor.is_quantisable(), "{} would be rounded twice", tensor.name());
        self.0.read(tensor, first, values)
    }

    fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, FormatsError> {
        self.0.read_encoded(tensor, format, first, bytes)
    }

    fn stored_offset(&self, tensor: &Tensor) -> f32 {
        self.0.stored_offset(tensor)
    }
}

fn check(architecture: &Architecture, weights: NumberFormat) {
    architecture.validate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.gguf"), folder.path().join("second.gguf"));
    let written = output(architecture, weights).write(&first, &values).unwrap();
    assert_eq!(written.bytes, std::fs::metadata(&first).unwrap().len());
    assert_eq!(written.bytes, output(architecture, weights).bytes().unwrap());
    let file = GgufFile::open(&first).unwrap();
    // Parts of one matrix begin wherever the part before ends.
    let parts = 32 * architecture.tensors().len() as u64;
    let estimate = data_bytes(architecture, weights);
    assert!((estimate - parts..=estimate).contains(&file.data_bytes()), "{estimate}: {}", file.data_bytes());
    let (model, read_back) = read(&first);
    let family = gguf_family(architecture).unwrap();
    assert_eq!(model.architecture, as_read(architecture), "{family:?}");
    assert_eq!((model.family.as_str(), model.context), (family.name(), Some(16)));
    assert_eq!(model.name.as_deref(), Some("sample"));
    for tensor in architecture.tensors() {
        let count = tensor.parameters();
        let mut found = vec![f32::NAN; count as usize];
        read_back.read(&tensor, 0, &mut found).unwrap();
        let stored = tensor.stored_as(weights);
        assert_eq!(read_back.stored_as(&tensor).unwrap(), stored.name(), "{}", tensor.name());
        let offset = offset(architecture, &tensor) - offset(&model.architecture, &tensor);
        let close = if stored == NumberFormat::F32 { 0.0 } else { 0.2 };
        let far = found.iter().zip(values_from(&tensor, 0)).position(|(found, value)| {
            let error = (found - (value + offset)).abs();
            error > close || error.is_nan()
        });
        assert_eq!(far, None, "{family:?} {}", tensor.name());
    }
    // What was read is written as it was.
    let tokenizer = file.tokenizer().unwrap();
    let again = GgufOutput {
        name: model.name.as_deref().unwrap(),
        architecture: &model.architecture,
        weights,
        context: model.context.unwrap(),
        tokenizer: tokenizer.as_ref(),
    };
    again.write(&second, &AsStored(read_back)).unwrap();
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap(), "{family:?} {weights}");
}

/// Whatever its norms hold: 2⁻³⁰ does not survive 1 taken off and added again.
#[test]
fn norms_that_no_offset_gives_pass_from_file_to_file_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.gguf"), folder.path().join("second.gguf"));
    let mut model = sample(Family::Gemma2, &plain());
    model.norm.weight_plus_one = false;
    let tiny = |tensor: &Tensor, first: u64, slots: &mut [f32]| {
        values(tensor, first, slots)?;
        slots.iter_mut().for_each(|slot| *slot *= 2.0_f32.powi(-30));
        Ok(())
    };
    output(&model, NumberFormat::F32).write(&first, &tiny).unwrap();
    let (read, weights) = read(&first);
    assert!(read.architecture.norm.weight_plus_one);
    output(&read.architecture, NumberFormat::F32).write(&second, &weights).unwrap();
    assert!(std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_family_is_read_back_as_it_was_and_written_again_byte_for_byte(
        knobs in knobs(),
        family in prop::sample::select(Family::ALL.to_vec()),
    ) {
        let model = sample(family, &knobs);
        prop_assert_eq!(obstacles(family, &model), vec![], "{:?}", family);
        check(&model, NumberFormat::F32);
    }
}

/// Rows of whole blocks of every format.
pub(super) fn plain() -> Knobs {
    Knobs {
        kv_heads: 2,
        groups: 2,
        half_head: 32,
        hidden: 256,
        vocabulary: 9,
        depth: 7,
        ffn: 256,
        experts: 3,
        shared: 256,
        window: 5,
        every: 2,
        flags: [false; 12],
        scaling: None,
        activation: Activation::Silu,
    }
}

#[test]
fn every_format_passes_through_every_family_unchanged() {
    for family in Family::ALL {
        let mut knobs = plain();
        // What a narrower family lacks: granite's scale, partial rotation where it is a choice.
        knobs.flags[6] = family == Family::Granite;
        let model = sample(family, &knobs);
        assert_eq!(gguf_family(&model), Ok(family));
        for weights in [NumberFormat::Q4_0, NumberFormat::Q4_K] {
            check(&model, weights);
        }
    }
    for weights in NumberFormat::ALL {
        check(&sample(Family::Phi3, &plain()), weights);
    }
}

#[test]
fn rows_that_are_no_whole_blocks_fall_back_or_are_refused() {
    let knobs = Knobs { ffn: 96, ..plain() };
    check(&sample(Family::Llama, &knobs), NumberFormat::Q4_K);
    let knobs = Knobs { ffn: 40, ..plain() };
    let odd = sample(Family::Llama, &knobs);
    let error = output(&odd, NumberFormat::Q4_0).bytes().unwrap_err().to_string();
    assert!(error.contains("`weights` must be a format whose blocks divide"), "{error}");
}

#[test]
fn models_that_no_family_computes_are_refused_by_their_axis() {
    let mut model = sample(Family::Llama, &plain());
    model.final_norm = false;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let error = output(&model, NumberFormat::F32).write(&path, &values).unwrap_err().to_string();
    assert!(error.contains("`final_norm` must be true") && error.contains("sample"), "{error}");
    let learned = sample(Family::Gpt2, &plain());
    let long = GgufOutput { context: 17, ..output(&learned, NumberFormat::F32) };
    let error = long.write(&path, &values).unwrap_err().to_string();
    assert!(error.contains("found 17 tokens; allowed: up to 16"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_fails_midway_leaves_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let model = sample(Family::Qwen3, &plain());
    let broken = |tensor: &Tensor, first: u64, slots: &mut [f32]| {
        if tensor.name() == "layers.5.ffn.down.weight" {
            return Err(FormatsError::Tensor { tensor: tensor.name(), reason: "cut short".to_owned() });
        }
        values(tensor, first, slots)
    };
    let file = output(&model, NumberFormat::Q8_0);
    let error = file.write(&path, &broken).unwrap_err();
    assert_eq!(error.to_string(), "tensor `layers.5.ffn.down.weight`: cut short");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(&path, "an older file").unwrap();
    assert!(file.write(&path, &broken).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older file");
    file.write(&path, &values).unwrap();
    assert!(crate::gguf::is_gguf(&path), "a whole one takes its place");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let error = file.write(&folder.path().join("folder"), &values).unwrap_err().to_string();
    assert!(error.contains("this is a folder, not a file"), "{error}");
}

#[test]
fn a_model_too_big_for_the_disk_is_refused_before_the_first_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut model = sample(Family::Llama, &plain());
    // 2 exabytes.
    model.vocabulary_size = 1 << 31;
    model.hidden_size = 1 << 28;
    let untouched = |_: &Tensor, _: u64, _: &mut [f32]| -> Result<(), FormatsError> {
        Err(DocumentError::new("asked", "the source was asked").into())
    };
    let error = output(&model, NumberFormat::F32).write(&path, &untouched).unwrap_err().into_document();
    assert_eq!(error.code, "disk-full");
    assert!(error.message.starts_with("too big for the disk: needs "), "{error}");
    assert!(error.message.ends_with(" free"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
