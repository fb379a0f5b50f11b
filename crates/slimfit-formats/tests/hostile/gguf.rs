//! GGUF: every false statement that a table can make, alone and together.

use crate::gguf_file::{Entry, F32, Parts, Q4_0, Q8_0, text, tiny_llama};
use crate::survey::survey;
use proptest::prelude::*;
use proptest::sample::Index;
use slimfit_formats::FormatsError;
use slimfit_formats::gguf::GgufFile;

/// What was wrong with these bytes, or nothing. Everything that is promised about a file holds.
fn refusal(bytes: &[u8]) -> Option<String> {
    match GgufFile::from_bytes(bytes.to_vec(), "hostile.gguf") {
        Err(FormatsError::Binary { offset, .. }) => {
            assert!(offset <= bytes.len() as u64, "an error at byte {offset} of {}", bytes.len());
        }
        Err(other) => panic!("no place in `{other}`"),
        Ok(file) => apart_and_within(&file, bytes.len() as u64),
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.gguf");
    std::fs::write(&path, bytes).unwrap();
    survey(&path).err()
}

fn apart_and_within(file: &GgufFile, length: u64) {
    let mut ranges: Vec<_> = file.tensors.iter().map(|tensor| (tensor.start, tensor.bytes)).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{ranges:?} overlap");
    }
    for tensor in &file.tensors {
        assert!(tensor.start + tensor.bytes <= length);
        let mut bytes = vec![0; tensor.bytes as usize];
        file.read_data(tensor, 0, &mut bytes).unwrap();
    }
}

#[test]
fn the_whole_file_is_read() {
    assert_eq!(refusal(&tiny_llama().bytes()), None);
}

#[test]
fn each_false_statement_is_refused_with_its_reason() {
    const WORD: u64 = u64::MAX;
    type Change = fn(&mut Parts);
    let cases: &[(&str, Change, &[&str])] = &[
        ("version", |parts| parts.version = 9, &["version 9", "supported: 2, 3"]),
        ("tensors", |parts| parts.record_count = Some(WORD), &["the number of tensors", "room for"]),
        ("tensors, some more", |parts| parts.record_count = Some(60), &["`` has 0 dimensions"]),
        (
            "entries",
            |parts| parts.entry_count = Some(1 << 40),
            &["the number of metadata entries", "room for"],
        ),
        ("a key", |parts| parts.entries[0].key = "\u{0}".repeat(70_000), &["general.architecture"]),
        (
            "a text's length",
            |parts| parts.entry("general.name").value = WORD.to_le_bytes().to_vec(),
            &["the file ends within `general.name`"],
        ),
        (
            "a list's length",
            |parts| parts.entry("tokenizer.ggml.tokens").value[4..12].copy_from_slice(&WORD.to_le_bytes()),
            &["`tokenizer.ggml.tokens`", "room for"],
        ),
        ("a list of lists", |parts| parts.entry("tokenizer.ggml.tokens").value[0] = 9, &["list of lists"]),
        ("a value's type", |parts| parts.entry("llama.block_count").kind = 77, &["unknown type 77"]),
        (
            "a truth value",
            |parts| {
                (parts.entry("llama.block_count").kind, parts.entry("llama.block_count").value) = (7, vec![3])
            },
            &["`llama.block_count` is 3"],
        ),
        (
            "an alignment",
            |parts| parts.entry("general.alignment").value = 33_u32.to_le_bytes().to_vec(),
            &["`general.alignment`"],
        ),
        (
            "an alignment of nothing",
            |parts| parts.entry("general.alignment").value = vec![0; 4],
            &["`general.alignment`"],
        ),
        (
            "a key twice",
            |parts| parts.entries.push(parts.entries[3].clone()),
            &["`llama.embedding_length` appears twice"],
        ),
        (
            "no dimension",
            |parts| parts.record("output.weight").sizes.clear(),
            &["`output.weight` has 0 dimensions"],
        ),
        (
            "many dimensions",
            |parts| parts.record("output.weight").sizes = vec![1; 5],
            &["`output.weight` has 5 dimensions"],
        ),
        ("a size of nothing", |parts| parts.record("output.weight").sizes[1] = 0, &["`output.weight`", "0"]),
        (
            "part of a block",
            |parts| parts.record("output.weight").sizes = vec![48, 32],
            &["`output.weight` has rows of 48 values", "q8_0"],
        ),
        (
            "a vast size",
            |parts| parts.record("output.weight").sizes = vec![1 << 40, 1 << 40],
            &["`output.weight` overflows"],
        ),
        (
            "a large size",
            |parts| parts.record("output.weight").sizes[1] = 1 << 30,
            &["`output.weight` ends at byte"],
        ),
        (
            "a type",
            |parts| parts.record("output.weight").kind = 4,
            &["`output.weight` has the unknown type 4"],
        ),
        (
            "an offset past the end",
            |parts| parts.record("output.weight").offset = 1 << 20,
            &["`output.weight` ends at byte"],
        ),
        (
            "an offset past 64 bits",
            |parts| parts.record("output.weight").offset = WORD - 31,
            &["`output.weight` begins"],
        ),
        ("an odd offset", |parts| parts.record("output.weight").offset += 1, &["`output.weight` begins"]),
        (
            "the same place",
            |parts| parts.record("output.weight").offset = 0,
            &["`output.weight`", "`token_embd.weight`", "overlap"],
        ),
        (
            "a place within another",
            |parts| parts.record("blk.0.attn_norm.weight").offset -= 32,
            &["`blk.0.attn_norm.weight`", "`output.weight`", "overlap"],
        ),
        (
            "a name twice",
            |parts| parts.record("output.weight").name = "token_embd.weight".to_owned(),
            &["appears twice"],
        ),
        (
            "a tensor too few",
            |parts| parts.records.retain(|record| record.name != "blk.1.ffn_up.weight"),
            &["parameters"],
        ),
        ("a tensor too many", |parts| parts.append("blk.2.extra.weight", &[32, 8], Q4_0), &["parameters"]),
        (
            "another name",
            |parts| parts.record("blk.1.ffn_up.weight").name = "blk.1.ffn_op.weight".to_owned(),
            &["`blk.1.ffn_up.weight`"],
        ),
        (
            "sizes the other way round",
            |parts| parts.record("blk.0.ffn_down.weight").sizes = vec![32, 64],
            &["parameters"],
        ),
        (
            "sizes that hold as many",
            |parts| parts.record("blk.0.attn_q.weight").sizes = vec![64, 16],
            &["`blk.0.attn_q.weight`", "shape"],
        ),
        ("layers", |parts| parts.entry("llama.block_count").value = vec![0xff; 4], &["`llama.block_count`"]),
        ("no layer", |parts| parts.entry("llama.block_count").value = vec![0; 4], &["`llama.block_count`"]),
        ("no head", |parts| parts.entry("llama.attention.head_count").value = vec![0; 4], &["head"]),
        (
            "a vast width",
            |parts| parts.entry("llama.embedding_length").value = vec![0xff; 4],
            &["heads do not divide"],
        ),
        (
            "experts of nothing",
            |parts| {
                parts.records.retain(|record| !record.name.starts_with("blk.0.ffn_up"));
                parts.append("blk.0.ffn_up_exps.weight", &[32, 64, 1], Q4_0);
            },
            &["`llama.expert_count` is missing"],
        ),
        (
            "a rotation of another type",
            |parts| parts.append("rope_freqs.weight", &[32], Q8_0),
            &["`rope_freqs.weight`"],
        ),
        ("a rotation of another length", |parts| parts.append("rope_freqs.weight", &[7], F32), &["rope"]),
    ];
    let mut wrong = Vec::new();
    for (name, change, expected) in cases {
        let mut parts = tiny_llama();
        change(&mut parts);
        let message = refusal(&parts.bytes()).unwrap_or_else(|| "read as if nothing were wrong".to_owned());
        if let Some(part) = expected.iter().find(|part| !message.contains(**part)) {
            wrong.push(format!("{name}: no `{part}` in `{message}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_error_in_the_table_names_the_byte_of_the_entry() {
    let mut parts = tiny_llama();
    let at = |parts: &Parts, name: &str| {
        let (bytes, name) = (parts.bytes(), text(name));
        bytes.windows(name.len()).position(|window| window == name).unwrap() as u64
    };
    let entry = at(&parts, "output.weight");
    parts.record("output.weight").offset += 1;
    let found = GgufFile::from_bytes(parts.bytes(), "odd.gguf").unwrap_err();
    assert!(
        matches!(found, FormatsError::Binary { offset, .. } if offset == entry),
        "{found}: not at {entry}"
    );
}

#[test]
fn a_list_of_single_bytes_is_not_blown_up() {
    let mut parts = tiny_llama();
    for number in 0..20 {
        let value =
            [0_u32.to_le_bytes().to_vec(), 60_000_u64.to_le_bytes().to_vec(), vec![1; 60_000]].concat();
        parts.entries.push(Entry { key: format!("list.{number}"), kind: 9, value });
    }
    assert_eq!(refusal(&parts.bytes()), None);
}

/// One thing that is changed in a file.
#[derive(Debug, Clone)]
enum Change {
    Truncate(Index),
    Flip(Index, u8),
    Noise(Index, Vec<u8>),
    RecordCount(u64),
    EntryCount(u64),
    Offset(Index, u64),
    Overlap(Index, Index),
    Size(Index, Index, u64),
    Sizes(Index, Vec<u64>),
    Kind(Index, u32),
    Rename(Index, String),
    SwapNames(Index, Index),
    Remove(Index),
    Repeat(Index),
    Extra(String, Vec<u64>),
    EntryKind(Index, u32),
    EntryValue(Index, Vec<u8>),
    RemoveEntry(Index),
}

/// Numbers at which something may turn over.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..70_u64,
        any::<u64>(),
        (0..64_u32).prop_map(|bit| 1 << bit),
        (0..64_u32).prop_map(|bit| u64::MAX >> bit)
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let name = || {
        prop_oneof![
            "[a-z._0-9]{0,20}",
            Just("blk.0.ffn_up_exps.weight".to_owned()),
            Just("rope_freqs.weight".to_owned())
        ]
    };
    prop_oneof![
        index().prop_map(Change::Truncate),
        (index(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (index(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Noise(at, bytes)),
        number().prop_map(Change::RecordCount),
        number().prop_map(Change::EntryCount),
        (index(), number()).prop_map(|(which, offset)| Change::Offset(which, offset)),
        (index(), index()).prop_map(|(which, other)| Change::Overlap(which, other)),
        (index(), index(), number()).prop_map(|(which, place, size)| Change::Size(which, place, size)),
        (index(), prop::collection::vec(number(), 0..6))
            .prop_map(|(which, sizes)| Change::Sizes(which, sizes)),
        (index(), 0..45_u32).prop_map(|(which, kind)| Change::Kind(which, kind)),
        (index(), name()).prop_map(|(which, name)| Change::Rename(which, name)),
        (index(), index()).prop_map(|(one, other)| Change::SwapNames(one, other)),
        index().prop_map(Change::Remove),
        index().prop_map(Change::Repeat),
        (name(), prop::collection::vec(1..40_u64, 1..4)).prop_map(|(name, sizes)| Change::Extra(name, sizes)),
        (index(), 0..14_u32).prop_map(|(which, kind)| Change::EntryKind(which, kind)),
        (
            index(),
            prop_oneof![
                number().prop_map(|number| number.to_le_bytes().to_vec()),
                number().prop_map(|number| (number as u32).to_le_bytes().to_vec()),
                any::<f32>().prop_map(|number| number.to_le_bytes().to_vec()),
                "[a-z0-9]{0,12}".prop_map(|word| text(&word)),
            ]
        )
            .prop_map(|(which, value)| Change::EntryValue(which, value)),
        index().prop_map(Change::RemoveEntry),
    ]
}

fn changed(changes: &[Change]) -> Vec<u8> {
    let mut parts = tiny_llama();
    for change in changes {
        let count = parts.records.len();
        match change {
            Change::RecordCount(count) => parts.record_count = Some(*count),
            Change::EntryCount(count) => parts.entry_count = Some(*count),
            Change::Extra(name, sizes) => parts.append(name, sizes, F32),
            Change::EntryKind(which, kind) => which.get_mut(&mut parts.entries).kind = *kind,
            Change::EntryValue(which, value) => which.get_mut(&mut parts.entries).value.clone_from(value),
            Change::RemoveEntry(which) if parts.entries.len() > 1 => {
                parts.entries.remove(which.index(parts.entries.len()));
            }
            Change::Remove(which) if count > 1 => {
                parts.records.remove(which.index(count));
            }
            Change::Repeat(which) => parts.records.push(which.get(&parts.records).clone()),
            Change::Offset(which, offset) => which.get_mut(&mut parts.records).offset = *offset,
            Change::Overlap(which, other) => {
                let offset = other.get(&parts.records).offset;
                which.get_mut(&mut parts.records).offset = offset;
            }
            Change::Size(which, place, size) => {
                let sizes = &mut which.get_mut(&mut parts.records).sizes;
                if !sizes.is_empty() {
                    *place.get_mut(sizes) = *size;
                }
            }
            Change::Sizes(which, sizes) => which.get_mut(&mut parts.records).sizes.clone_from(sizes),
            Change::Kind(which, kind) => which.get_mut(&mut parts.records).kind = *kind,
            Change::Rename(which, name) => which.get_mut(&mut parts.records).name.clone_from(name),
            Change::SwapNames(one, other) => {
                let (one, other) = (one.index(count), other.index(count));
                let name = parts.records[one].name.clone();
                let name = std::mem::replace(&mut parts.records[other].name, name);
                parts.records[one].name = name;
            }
            _ => {}
        }
    }
    let mut bytes = parts.bytes();
    for change in changes.iter().filter(|_| !bytes.is_empty()).cloned().collect::<Vec<_>>() {
        match change {
            Change::Truncate(at) if !bytes.is_empty() => bytes.truncate(at.index(bytes.len())),
            Change::Flip(at, bits) if !bytes.is_empty() => *at.get_mut(&mut bytes) ^= bits,
            Change::Noise(at, noise) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, noise);
            }
            _ => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_change_of_a_file_breaks_a_promise(changes in prop::collection::vec(change(), 1..4)) {
        refusal(&changed(&changes));
    }

    #[test]
    fn no_damage_of_the_table_breaks_a_promise(damage in prop::collection::vec((0..2200_usize, any::<u8>()), 1..6)) {
        let mut bytes = tiny_llama().bytes();
        for (at, value) in damage {
            bytes[at] = value;
        }
        refusal(&bytes);
    }
}
