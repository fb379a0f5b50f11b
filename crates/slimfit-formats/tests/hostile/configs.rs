//! Configs and architecture files: text that is damaged, deep, repeated or full of vast numbers.

use crate::survey::survey;
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;

const ARCHITECTURE: &str = "\
schema: slimfit/architecture/v1
hidden_size: 64
vocabulary_size: 100
layers:
  - repeat: 3
    attention: {heads: 4, kv_heads: 2, head_size: 16, rope: {base: 10000.0}}
    ffn: {kind: dense, size: 96}
";

/// What is wrong with a file of this name and text.
fn refusal(name: &str, text: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    survey(&path).err()
}

fn golden_configs() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let folders = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let mut configs: Vec<_> =
        folders.filter(|folder| folder.is_dir()).map(|folder| folder.join("config.json")).collect();
    configs.sort();
    configs.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn the_whole_texts_are_read() {
    assert_eq!(refusal("tiny.yaml", ARCHITECTURE.as_bytes()), None);
    for config in golden_configs() {
        assert_eq!(refusal("config.json", config.as_bytes()), None);
    }
}

#[test]
fn vast_and_endless_texts_are_refused() {
    let vast = |name: &str| ARCHITECTURE.replace(name, &format!("{name}{}", "0".repeat(17)));
    for (name, text) in [
        ("deep.json", "[".repeat(1 << 20)),
        ("deep.yaml", "[".repeat(1 << 20)),
        ("deep keys.yaml", (0..20_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 300))).collect()),
        ("width.yaml", vast("hidden_size: 64")),
        ("vocabulary.yaml", vast("vocabulary_size: 100")),
        ("layers.yaml", vast("repeat: 3")),
        ("part.yaml", vast("size: 96")),
        ("heads.yaml", ARCHITECTURE.replace("heads: 4", "heads: 18446744073709551615")),
        ("noise.yaml", "\u{0}\u{1}\u{2}".repeat(100)),
        ("empty.json", String::new()),
    ] {
        assert!(refusal(name, text.as_bytes()).is_some(), "{name}");
    }
}

#[test]
fn repeated_references_do_not_multiply() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in ('a'..'j').zip('b'..='j') {
        text += &format!(
            "{next}: &{next} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]\n"
        );
    }
    assert!(refusal("laughs.yaml", text.as_bytes()).is_some());
}

proptest! {
    #[test]
    fn no_damage_of_a_config_breaks_a_promise(
        which in any::<Index>(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut text = which.get(&golden_configs()).clone().into_bytes();
        for (at, value) in damage {
            *at.get_mut(&mut text) = value;
        }
        refusal("config.json", &text);
    }

    #[test]
    fn no_number_in_a_config_breaks_a_promise(
        which in any::<Index>(),
        field in any::<Index>(),
        number in prop_oneof![Just("0".to_owned()), any::<u64>().prop_map(|n| n.to_string()), any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:e}")), (0..64_u32).prop_map(|bit| (1_u64 << bit).to_string())],
    ) {
        let text = which.get(&golden_configs()).clone();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let numbers: Vec<usize> = (0..lines.len())
            .filter(|&line| lines[line].split(": ").nth(1).is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit())))
            .collect();
        let line = *field.get(&numbers);
        let comma = if lines[line].ends_with(',') { "," } else { "" };
        let (name, _) = lines[line].split_once(": ").unwrap();
        lines[line] = format!("{name}: {number}{comma}");
        refusal("config.json", lines.join("\n").as_bytes());
    }

    #[test]
    fn no_damage_of_an_architecture_breaks_a_promise(
        damage in prop::collection::vec((any::<Index>(), "[ \\-:{}\\[\\]&*!|>'\"#0-9a-z\n]"), 1..5),
    ) {
        let mut text = ARCHITECTURE.to_owned();
        for (at, inserted) in damage {
            let at = at.index(text.len() + 1);
            text.insert_str(at, &inserted);
        }
        refusal("tiny.yaml", text.as_bytes());
    }
}
