//! Files made here, whole, cut short and damaged.

mod families;

use super::{GgufFile, GgufType};
use crate::builtin;
use proptest::prelude::*;
use slimfit_arch::{Architecture, FeedForward, QkNorm};
use slimfit_quantity::NumberFormat;

enum Entry<'a> {
    Text(&'a str),
    Whole(u32),
    Number(f32),
    Words(&'a [&'a str]),
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A version 3 file with zeros for values.
fn file(entries: &[(String, Entry)], tensors: &[(String, Vec<u64>)], format: NumberFormat) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((entries.len() as u64).to_le_bytes());
    for (key, entry) in entries {
        push_text(&mut bytes, key);
        match entry {
            Entry::Text(text) => {
                bytes.extend(8_u32.to_le_bytes());
                push_text(&mut bytes, text);
            }
            Entry::Whole(value) => {
                bytes.extend(4_u32.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            Entry::Number(value) => {
                bytes.extend(6_u32.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            Entry::Words(words) => {
                bytes.extend(9_u32.to_le_bytes());
                bytes.extend(8_u32.to_le_bytes());
                bytes.extend((words.len() as u64).to_le_bytes());
                words.iter().for_each(|word| push_text(&mut bytes, word));
            }
        }
    }
    let mut offset = 0_u64;
    for (name, sizes) in tensors {
        let format = if sizes.len() > 1 { format } else { NumberFormat::F32 };
        push_text(&mut bytes, name);
        bytes.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend(GgufType::of(format).id.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += format.bytes_for(sizes.iter().product()).unwrap().next_multiple_of(32);
    }
    bytes.resize(bytes.len().next_multiple_of(32) + offset as usize, 0);
    bytes
}

/// A file of Llama's kind for an architecture of that kind.
fn of(architecture: &Architecture, family: &str, format: NumberFormat) -> Vec<u8> {
    let first = &architecture.layers[0];
    let attention = &first.attention;
    let key = |name: &str| format!("{family}.{name}");
    let whole = |value: u64| Entry::Whole(value as u32);
    let mut entries = vec![
        ("general.architecture".to_owned(), Entry::Text(family)),
        ("general.name".to_owned(), Entry::Text("Tiny")),
        ("tokenizer.ggml.tokens".to_owned(), Entry::Words(&["<s>", "a", "b"])),
        (key("embedding_length"), whole(architecture.hidden_size)),
        (key("block_count"), whole(architecture.depth())),
        (key("context_length"), whole(4096)),
        (key("attention.head_count"), whole(attention.heads)),
        (key("attention.head_count_kv"), whole(attention.kv_heads)),
        (key("attention.key_length"), whole(attention.head_size)),
        (key("attention.layer_norm_rms_epsilon"), Entry::Number(architecture.norm.epsilon as f32)),
        (key("rope.freq_base"), Entry::Number(attention.rope.as_ref().unwrap().base as f32)),
    ];
    let hidden = architecture.hidden_size;
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![hidden, architecture.vocabulary_size]),
        ("output_norm.weight".to_owned(), vec![hidden]),
    ];
    if !architecture.tied_embeddings {
        tensors.push(("output.weight".to_owned(), vec![hidden, architecture.vocabulary_size]));
    }
    for layer in 0..architecture.depth() {
        let mut push = |name: &str, sizes: Vec<u64>| tensors.push((format!("blk.{layer}.{name}"), sizes));
        push("attn_norm.weight", vec![hidden]);
        push("ffn_norm.weight", vec![hidden]);
        for (name, rows) in [
            ("attn_q", attention.query_size()),
            ("attn_k", attention.kv_size()),
            ("attn_v", attention.kv_size()),
        ] {
            push(&format!("{name}.weight"), vec![hidden, rows]);
            if attention.bias.qkv {
                push(&format!("{name}.bias"), vec![rows]);
            }
        }
        if attention.qk_norm == QkNorm::PerHead {
            push("attn_q_norm.weight", vec![attention.head_size]);
            push("attn_k_norm.weight", vec![attention.head_size]);
        }
        push("attn_output.weight", vec![attention.query_size(), hidden]);
        match &first.ffn {
            FeedForward::Dense(mlp) => {
                push("ffn_gate.weight", vec![hidden, mlp.size]);
                push("ffn_up.weight", vec![hidden, mlp.size]);
                push("ffn_down.weight", vec![mlp.size, hidden]);
            }
            FeedForward::Moe(moe) => {
                push("ffn_gate_inp.weight", vec![hidden, moe.experts]);
                push("ffn_gate_exps.weight", vec![hidden, moe.expert_size, moe.experts]);
                push("ffn_up_exps.weight", vec![hidden, moe.expert_size, moe.experts]);
                push("ffn_down_exps.weight", vec![moe.expert_size, hidden, moe.experts]);
            }
        }
    }
    if let FeedForward::Moe(moe) = &first.ffn {
        entries.push((key("expert_count"), whole(moe.experts)));
        entries.push((key("expert_used_count"), whole(moe.top_k)));
    }
    file(&entries, &tensors, format)
}

/// A built-in model made small.
fn small(name: &str) -> Architecture {
    let mut architecture = builtin::find(name).unwrap().architecture.clone();
    architecture.hidden_size = 64;
    architecture.vocabulary_size = 96;
    let run = &mut architecture.layers[0];
    run.repeat = 2;
    (run.attention.heads, run.attention.kv_heads, run.attention.head_size) = (4, 2, 32);
    match &mut run.ffn {
        FeedForward::Dense(mlp) => mlp.size = 96,
        FeedForward::Moe(moe) => moe.expert_size = 32,
    }
    architecture.layers.truncate(1);
    architecture
}

#[test]
fn architectures_come_back_from_files_of_their_kind() {
    for (name, family) in [
        ("smollm2-135m", "llama"),
        ("tinyllama-1.1b", "llama"),
        ("mixtral-8x7b", "llama"),
        ("qwen2.5-0.5b", "qwen2"),
        ("qwen3-0.6b", "qwen3"),
    ] {
        for format in NumberFormat::ALL.into_iter().filter(|format| format.block_values() <= 32) {
            let architecture = small(name);
            let file = GgufFile::from_bytes(of(&architecture, family, format), "tiny.gguf").unwrap();
            let model = file.model().unwrap();
            assert_eq!(model.architecture, architecture, "{name}");
            assert_eq!((model.name.as_deref(), model.context), (Some("Tiny"), Some(4096)));
            assert_eq!(model.weights_format, Some(format));
            let table = file.tensor("token_embd.weight").unwrap();
            assert_eq!(table.bytes, format.bytes_for(64 * 96).unwrap());
        }
    }
}

#[test]
fn a_table_that_counts_to_another_model_is_refused() {
    let mut tensors =
        vec![("token_embd.weight".to_owned(), vec![64, 96]), ("output_norm.weight".to_owned(), vec![64])];
    tensors.push(("blk.0.ffn_down.weight".to_owned(), vec![96, 64]));
    let key = |name: &str| format!("llama.{name}");
    let entries = [
        ("general.architecture".to_owned(), Entry::Text("llama")),
        (key("embedding_length"), Entry::Whole(64)),
        (key("block_count"), Entry::Whole(1)),
        (key("attention.head_count"), Entry::Whole(4)),
        (key("attention.layer_norm_rms_epsilon"), Entry::Number(1e-5)),
    ];
    let file = GgufFile::from_bytes(file(&entries, &tensors, NumberFormat::F32), "odd.gguf").unwrap();
    let message = file.model().unwrap_err().to_string();
    assert!(message.contains("but the tensors have 12352"), "{message}");
}

#[test]
fn other_kinds_versions_and_signatures_are_refused_by_name() {
    let message = |bytes: Vec<u8>| match GgufFile::from_bytes(bytes, "x.gguf") {
        Ok(file) => file.model().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    let entries = [("general.architecture".to_owned(), Entry::Text("mamba"))];
    let mamba = message(file(&entries, &[], NumberFormat::F32));
    assert!(mamba.contains("`mamba`") && mamba.contains("llama"), "{mamba}");
    assert!(message(b"GGML\x03\0\0\0".to_vec()).contains("not a GGUF file"));
    assert!(message(b"GGUF\x01\0\0\0".to_vec()).contains("version 1"));
    assert!(message(b"GGUF\0\0\0\x03".to_vec()).contains("big-endian"));
    let mut vast = b"GGUF\x03\0\0\0".to_vec();
    vast.extend(u64::MAX.to_le_bytes());
    vast.extend(0_u64.to_le_bytes());
    assert!(message(vast).contains("room for"), "a false count reserves nothing");
}

#[test]
fn doubled_tensors_and_parts_of_a_split_model_are_refused() {
    let table = ("token_embd.weight".to_owned(), vec![64, 96]);
    let family = || ("general.architecture".to_owned(), Entry::Text("llama"));
    let twice = file(&[family()], &[table.clone(), table.clone()], NumberFormat::F32);
    let message = GgufFile::from_bytes(twice, "twice.gguf").err().unwrap().to_string();
    assert!(message.contains("`token_embd.weight` appears twice"), "{message}");
    let part = file(&[family(), ("split.count".to_owned(), Entry::Whole(3))], &[table], NumberFormat::F32);
    let message = GgufFile::from_bytes(part, "part.gguf").unwrap().model().unwrap_err().to_string();
    assert!(message.contains("one of 3 parts"), "{message}");
}

#[test]
fn every_truncation_is_an_error() {
    let whole = of(&small("qwen2.5-0.5b"), "qwen2", NumberFormat::Q8_0);
    for length in (0..whole.len()).step_by(7) {
        assert!(
            GgufFile::from_bytes(whole[..length].to_vec(), "cut.gguf").is_err(),
            "{length} of {}",
            whole.len()
        );
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(changes in prop::collection::vec((0_usize..4000, any::<u8>()), 1..6)) {
        let mut bytes = of(&small("smollm2-135m"), "llama", NumberFormat::Q4_0);
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(file) = GgufFile::from_bytes(bytes, "damaged.gguf") {
            for tensor in &file.tensors {
                let mut last = [0; 1];
                prop_assert!(file.read_data(tensor, tensor.bytes - 1, &mut last).is_ok());
                prop_assert!(file.read_data(tensor, tensor.bytes, &mut last).is_err());
            }
            let _ = file.model();
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(noise);
        let _ = GgufFile::from_bytes(bytes, "noise.gguf").and_then(|file| file.model());
    }
}
