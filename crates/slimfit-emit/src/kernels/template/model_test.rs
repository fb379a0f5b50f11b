//! The whole model: the tier that this crate was made for says what plain loops say.

use CRATE::{Isa, Model};

fn logits(cap: Isa, threads: usize, chunks: &[&[u32]]) -> Vec<f32> {
    let mut model = Model::seeded_under(7, threads, cap).unwrap();
    let mut logits = Vec::new();
    for tokens in chunks {
        logits = model.prefill(tokens).unwrap().to_vec();
    }
    assert_eq!(model.position(), chunks.iter().map(|tokens| tokens.len()).sum::<usize>());
    logits
}

/// The largest difference beside the largest value.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    let largest =
        |values: &mut dyn Iterator<Item = f32>| values.fold(0_f32, |most, value| most.max(value.abs()));
    let difference = largest(&mut found.iter().zip(expected).map(|(found, expected)| found - expected));
    difference / largest(&mut expected.iter().copied())
}

#[test]
fn every_tier_and_every_way_to_cut_a_text_say_the_same() {
    let text: &[u32] = &[1, 5, 2, 7, 3, 3, 0];
    let expected = logits(Isa::Scalar, 1, &[text]);
    assert!(expected.iter().all(|value| value.is_finite()) && expected.iter().any(|value| *value != 0.0));
    for cap in Isa::available() {
        for threads in [1, 2] {
            // Formats that round activations round them to 8 bits.
            let whole = distance(&logits(cap, threads, &[text]), &expected);
            assert!(whole < TOLERANCE, "{cap}, {threads} threads: {whole}");
            let cut = distance(&logits(cap, threads, &[&text[..3], &text[3..4], &text[4..]]), &expected);
            assert!(cut < TOLERANCE, "{cap}, {threads} threads, cut: {cut}");
        }
    }
}

#[test]
fn what_cannot_be_computed_is_refused_and_changes_nothing() {
    let mut model = Model::seeded(1, 1).unwrap();
    assert!(model.prefill(&[]).is_err());
    let unknown = u32::try_from(CRATE::VOCABULARY).unwrap();
    assert!(model.decode_step(unknown).unwrap_err().to_string().contains("outside the vocabulary"));
    assert!(model.prefill(&vec![0; CRATE::CONTEXT + 1]).is_err());
    assert_eq!(model.position(), 0);
    assert!(Model::open("no-such-file.gguf", 1).is_err());
}
