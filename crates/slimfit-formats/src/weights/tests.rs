//! Files made here: every tensor comes back from where it lies, and what does not fit is refused.

use super::ModelWeights;
use super::blocks::Blocks;
use super::names::Rows;
use crate::builtin;
use crate::gguf::GgufType;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use slimfit_arch::{Architecture, FeedForward, TensorPart, TensorRole};
use slimfit_quantity::NumberFormat;
use std::path::Path;

/// Names, shapes and values.
type Made = Vec<(String, Vec<usize>, Vec<f32>)>;

/// A built-in model made small.
fn small(name: &str) -> Architecture {
    let mut architecture = builtin::find(name).unwrap().architecture.clone();
    (architecture.hidden_size, architecture.vocabulary_size) = (16, 24);
    architecture.layers.truncate(1);
    let run = &mut architecture.layers[0];
    run.repeat = 2;
    (run.attention.heads, run.attention.kv_heads, run.attention.head_size) = (4, 2, 4);
    match &mut run.ffn {
        FeedForward::Dense(mlp) => mlp.size = 20,
        FeedForward::Moe(moe) => (moe.experts, moe.expert_size) = (3, 8),
    }
    architecture.normalised()
}

/// What stands at a place of a tensor: no two places of a model have the same.
fn value(tensor: usize, place: usize) -> f32 {
    (tensor * 4096 + place) as f32
}

/// All tensors under Llama's names.
fn llama(architecture: &Architecture) -> Made {
    let stem = |role| match role {
        TensorRole::Embedding => "model.embed_tokens",
        TensorRole::AttentionNorm => "input_layernorm",
        TensorRole::Query => "self_attn.q_proj",
        TensorRole::Key => "self_attn.k_proj",
        TensorRole::Value => "self_attn.v_proj",
        TensorRole::AttentionOutput => "self_attn.o_proj",
        TensorRole::FfnNorm => "post_attention_layernorm",
        TensorRole::Gate => "mlp.gate_proj",
        TensorRole::Up => "mlp.up_proj",
        TensorRole::Down => "mlp.down_proj",
        TensorRole::FinalNorm => "model.norm",
        TensorRole::Head => "lm_head",
        other => panic!("{other:?} is not Llama's"),
    };
    let tensors = architecture.tensors();
    let made = tensors.iter().enumerate().map(|(index, tensor)| {
        let prefix = tensor.layer.map_or_else(String::new, |layer| format!("model.layers.{layer}."));
        let part = if tensor.part == TensorPart::Bias { "bias" } else { "weight" };
        let values = (0..tensor.parameters() as usize).map(|place| value(index, place)).collect();
        let shape = tensor.shape.iter().map(|&size| size as usize).collect();
        (format!("{prefix}{}.{part}", stem(tensor.role)), shape, values)
    });
    made.collect()
}

fn write(path: &Path, made: &Made) {
    let bytes: Vec<Vec<u8>> =
        made.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = made.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

fn open(made: &Made, family: &str, architecture: &Architecture) -> Result<ModelWeights, String> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("model.safetensors"), made);
    let opened = ModelWeights::open_safetensors(folder.path(), family, architecture);
    opened.map(Option::unwrap).map_err(|error| error.to_string())
}

#[test]
fn every_piece_of_every_tensor_comes_back() {
    let architecture = small("tinyllama-1.1b");
    let weights = open(&llama(&architecture), "llama", &architecture).unwrap();
    for (index, tensor) in architecture.tensors().iter().enumerate() {
        let count = tensor.parameters() as usize;
        for (first, length) in [(0, count), (3, count - 5), (count - 1, 1), (count, 0)] {
            let mut found = vec![f32::NAN; length];
            weights.read(tensor, first as u64, &mut found).unwrap();
            let expected: Vec<f32> = (first..first + length).map(|place| value(index, place)).collect();
            assert_eq!(found, expected, "{} from {first}", tensor.name());
        }
        assert!(weights.read(tensor, 1, &mut vec![0.0; count]).is_err());
        assert_eq!(weights.stored_as(tensor).unwrap(), "f32");
    }
    assert_eq!(weights.bytes(), architecture.parameters().total * 4);
}

#[test]
fn rows_that_are_stored_in_the_wanted_format_come_back_as_they_lie() {
    let architecture = small("tinyllama-1.1b");
    let weights = open(&llama(&architecture), "llama", &architecture).unwrap();
    let tensors = architecture.tensors();
    let index = tensors.iter().position(|tensor| tensor.role == TensorRole::Up).unwrap();
    let mut bytes = vec![0; 2 * 16 * 4];
    assert!(!weights.read_encoded(&tensors[index], NumberFormat::Bf16, 3, &mut bytes).unwrap());
    assert!(weights.read_encoded(&tensors[index], NumberFormat::F32, 3, &mut bytes).unwrap());
    let found: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_eq!(found, (3 * 16..5 * 16).map(|place| value(index, place)).collect::<Vec<_>>());
    let beyond = weights.read_encoded(&tensors[index], NumberFormat::F32, 19, &mut bytes);
    assert!(beyond.unwrap_err().to_string().contains("row 20"));
}

#[test]
fn files_that_lack_a_tensor_or_have_one_too_many_are_refused_by_name() {
    let architecture = small("tinyllama-1.1b");
    let whole = llama(&architecture);
    let changed = |change: &dyn Fn(&mut Made)| {
        let mut made = whole.clone();
        change(&mut made);
        open(&made, "llama", &architecture).unwrap_err()
    };
    let missing = changed(&|made| made.retain(|(name, _, _)| !name.ends_with("1.self_attn.k_proj.weight")));
    assert!(missing.contains("`layers.1.attention.key.weight` is missing"), "{missing}");
    let extra = changed(&|made| made.push(("model.layers.0.mlp.secret".to_owned(), vec![2], vec![1.0; 2])));
    assert!(extra.contains("`model.layers.0.mlp.secret` has 2 values"), "{extra}");
    let shape = changed(&|made| {
        let up = made.iter_mut().find(|(name, _, _)| name.contains("up_proj")).unwrap();
        up.1 = vec![16, 20];
    });
    assert!(shape.contains("[16, 20]") && shape.contains("ffn.up"), "{shape}");
    let twice = changed(&|made| made.push(("embed_tokens.weight".to_owned(), vec![24, 16], vec![0.0; 384])));
    assert!(twice.contains("stored twice"), "{twice}");
    assert!(open(&whole, "codegen", &architecture).unwrap_err().contains("`codegen`"));
}

#[test]
fn a_head_that_is_stored_beside_the_tied_table_and_old_masks_are_passed_over() {
    let mut architecture = small("tinyllama-1.1b");
    let mut made = llama(&architecture);
    made.push(("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), vec![2], vec![1.0; 2]));
    open(&made, "llama", &architecture).unwrap();
    architecture.tied_embeddings = true;
    open(&made, "llama", &architecture).unwrap();
}

#[test]
fn files_outside_the_folder_are_no_part_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let architecture = small("tinyllama-1.1b");
    for (file, right) in [("a.safetensors", true), ("../a.safetensors", false), ("/a.safetensors", false)] {
        let index = serde_json::json!({"weight_map": {"model.norm.weight": file}});
        std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        let error = ModelWeights::open_safetensors(folder.path(), "llama", &architecture).unwrap_err();
        assert_eq!(error.to_string().contains("cannot be opened"), right, "{error}");
    }
    std::fs::remove_file(folder.path().join("model.safetensors.index.json")).unwrap();
    assert!(ModelWeights::open_safetensors(folder.path(), "llama", &architecture).unwrap().is_none());
}

#[test]
fn formats_without_a_decoder_are_refused_by_name() {
    let kind = GgufType::named("iq2_xs").unwrap();
    let message = Blocks::of(kind).supported().unwrap_err();
    assert!(
        message.contains("`iq2_xs`") && message.contains("q5_k") && message.contains("q4_0"),
        "{message}"
    );
    assert!(Blocks::of(kind).decode(&[0; 74], &mut [0.0; 256]).is_err());
}

/// Blocks by hand: factor 0.5, offset or minimum 0.25.
#[test]
fn older_block_formats_decode_to_what_they_state() {
    let half = [0x00, 0x38];
    let quarter = [0x00, 0x34];
    let decode = |name: &str, block: &[u8]| {
        let kind = GgufType::named(name).unwrap();
        let mut values = vec![f32::NAN; kind.block_values as usize];
        Blocks::of(kind).decode(block, &mut values).unwrap();
        values
    };
    let quants: Vec<u8> = (0..16).map(|place| place | (15 - place) << 4).collect();
    let q4_1 = decode("q4_1", &[&half[..], &quarter, &quants].concat());
    assert_eq!((q4_1[3], q4_1[16]), (0.5 * 3.0 + 0.25, 0.5 * 15.0 + 0.25));
    // The fifth bits of values 1 and 31.
    let fifth = [0b10, 0, 0, 0x80];
    let q5_0 = decode("q5_0", &[&half[..], &fifth, &quants].concat());
    assert_eq!((q5_0[0], q5_0[1], q5_0[31]), (-8.0, 0.5, 0.0));
    let q5_1 = decode("q5_1", &[&half[..], &quarter, &fifth, &quants].concat());
    assert_eq!((q5_1[0], q5_1[1], q5_1[31]), (0.25, 0.5 * 17.0 + 0.25, 8.25));
    // Scale 2 and minimum 3 everywhere; value 0 of sub-block 1 is 4 with its fifth bit.
    let mut q5_k =
        [&half[..], &quarter, &[2, 2, 2, 2, 3, 3, 3, 3, 0x32, 0x32, 0x32, 0x32], &[0; 160]].concat();
    (q5_k[16], q5_k[48]) = (0b10, 0x40);
    let q5_k = decode("q5_k", &q5_k);
    assert_eq!((q5_k[0], q5_k[32], q5_k[255]), (-0.75, 20.0 - 0.75, -0.75));
    // Scale 2 and minimum 3 everywhere; value 16 of the second half's third quarter is 3.
    let mut q2_k = [&[0x32; 16][..], &[0; 64], &half, &quarter].concat();
    q2_k[16 + 32 + 16] = 0b11_0000;
    let q2_k = decode("q2_k", &q2_k);
    assert_eq!((q2_k[0], q2_k[128 + 64 + 16]), (-0.75, 3.0 - 0.75));
    // Scales 33 − 32 = 1: low halves 1, upper bits 2. Value 0 has its mark and stores 2; value 1 neither.
    let mut q3_k = [&[0; 32][..], &[0; 64], &[0x11; 8], &[0b1010_1010; 4], &half].concat();
    (q3_k[0], q3_k[32]) = (1, 2);
    let q3_k = decode("q3_k", &q3_k);
    assert_eq!((q3_k[0], q3_k[1]), (1.0, -2.0));
}

proptest! {
    /// A converter stores row 2·i + p of a head where its row p·half + i was.
    #[test]
    fn interleaved_rows_undo_the_converter(heads in 1_u64..5, half in 1_u64..9) {
        let head = 2 * half;
        let mut stored = vec![u64::MAX; (heads * head) as usize];
        for (number, pair, side) in (0..heads).flat_map(|n| (0..half).flat_map(move |i| [(n, i, 0), (n, i, 1)])) {
            stored[(number * head + 2 * pair + side) as usize] = number * head + side * half + pair;
        }
        for row in 0..heads * head {
            prop_assert_eq!(stored[Rows::Interleaved { head }.of(row) as usize], row);
        }
    }

    #[test]
    fn runs_are_what_single_rows_are(first in 0_u64..5, size in 1_u64..6, gap in 0_u64..4, row in 0_u64..40) {
        let rows = Rows::Runs { first, size, stride: size + gap };
        for next in 0..rows.run(row) {
            prop_assert_eq!(rows.of(row + next), rows.of(row) + next);
        }
    }
}

#[test]
fn the_class_of_our_own_has_our_own_names() {
    let mut architecture = small("qwen1.5-moe-a2.7b");
    architecture.tied_embeddings = true;
    architecture.head_bias = true;
    let tensors = architecture.tensors();
    let made: Made = tensors
        .iter()
        .enumerate()
        .map(|(index, tensor)| {
            let values = (0..tensor.parameters() as usize).map(|place| value(index, place)).collect();
            (tensor.name(), tensor.shape.iter().map(|&size| size as usize).collect(), values)
        })
        .collect();
    let weights = open(&made, "slimfit", &architecture).unwrap();
    for (index, tensor) in tensors.iter().enumerate() {
        let mut found = vec![f32::NAN; tensor.parameters() as usize];
        weights.read(tensor, 0, &mut found).unwrap();
        let expected: Vec<f32> = (0..found.len()).map(|place| value(index, place)).collect();
        assert_eq!(found, expected, "`{}`", tensor.name());
    }
    let mut more = made.clone();
    more.push(("layers.0.ffn.twist.weight".to_owned(), vec![4], vec![0.0; 4]));
    let error = open(&more, "slimfit", &architecture).unwrap_err();
    assert!(error.contains("layers.0.ffn.twist.weight"), "{error}");
    let error = open(&made, "llama", &architecture).unwrap_err();
    assert!(error.contains("`embedding.weight` is missing"), "{error}");
}
