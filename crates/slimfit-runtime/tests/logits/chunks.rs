//! The same text in other chunks, on other numbers of threads, and with work shared otherwise.

use crate::case::{TOKENS, load, relative_error, run, tiers, to_f64};
use slimfit_kernels::pool::{Pool, Sharing};
use slimfit_quantity::NumberFormat;
use slimfit_testing::synthetic;

/// Architectures whose attention, positions or order could depend on how a prompt is cut.
const CUT: [&str; 8] = [
    "plain",
    "window",
    "window of one",
    "alibi",
    "learned positions",
    "loops",
    "layers that differ",
    "heads that differ",
];

/// Chunks that leave each kind of rest of the 13 tokens: none, one token, several, and one token after many.
const CHUNKS: [u64; 6] = [1, 2, 5, 7, 12, 13];

fn chosen() -> impl Iterator<Item = (&'static str, slimfit_arch::Architecture)> {
    let cut = synthetic::architectures().into_iter().filter(|(name, _)| CUT.contains(name));
    cut.chain(synthetic::mixtures()).chain(synthetic::wide().into_iter().take(1))
}

#[test]
fn any_chunks_and_token_by_token_give_the_same_logits() {
    let pool = Pool::new(1).unwrap();
    // Activations of a quantised product that stand on the edge between two steps may fall either way, if seldom; so may
    // those that the bf16 tier rounds, and there are many of them.
    for (weights, bound) in [
        (NumberFormat::F32, 1e-5),
        (NumberFormat::Bf16, 1.2e-2),
        (NumberFormat::Q8_0, 1.5e-2),
        (NumberFormat::Q4_K, 1.5e-2),
    ] {
        for isa in tiers() {
            let (mut cuts, mut on_an_edge) = (0, 0);
            for (name, architecture) in chosen() {
                let logits = |chunk, prompt| {
                    let model = load(&architecture, weights, NumberFormat::F32, isa, 1, chunk).unwrap();
                    run(&model, &pool, prompt).pop().unwrap()
                };
                let whole = to_f64(&[logits(16, TOKENS.len())]);
                for chunk in CHUNKS {
                    let error = relative_error(&[logits(chunk, TOKENS.len())], &whole);
                    (cuts, on_an_edge) = (cuts + 1, on_an_edge + usize::from(error > 1e-5));
                    let isa = isa.name();
                    assert!(
                        error <= bound,
                        "`{name}` in {weights} on {isa} in chunks of {chunk}: {error:.2e}"
                    );
                }
                let error = relative_error(&[logits(16, 1)], &whole);
                assert!(
                    error <= bound,
                    "`{name}` in {weights} on {} token by token: {error:.2e}",
                    isa.name()
                );
            }
            let seldom = on_an_edge * 20 <= cuts || weights == NumberFormat::Bf16 && isa.rounds_activations();
            assert!(seldom, "{on_an_edge} of {cuts} cuts differ in {weights} on {}", isa.name());
        }
    }
}

#[test]
fn the_number_of_threads_and_how_they_share_changes_nothing() {
    for (name, architecture) in chosen() {
        for weights in NumberFormat::SEARCHABLE_WEIGHTS {
            for isa in tiers() {
                let logits = |threads, sharing| {
                    let pool = Pool::new(threads as usize).unwrap();
                    pool.set_sharing(sharing);
                    let blocks = architecture.kv_bytes_per_token(NumberFormat::Q8_0).is_ok();
                    let kv = if blocks { NumberFormat::Q8_0 } else { NumberFormat::F16 };
                    let model = load(&architecture, weights, kv, isa, threads, 5).unwrap();
                    run(&model, &pool, 7)
                };
                let one = logits(1, Sharing::Equal);
                for (threads, sharing) in [(2, Sharing::Equal), (3, Sharing::Equal), (3, Sharing::Claimed)] {
                    let isa = isa.name();
                    let same = logits(threads, sharing) == one;
                    assert!(same, "`{name}` in {weights} on {isa} with {threads}, {sharing:?}");
                }
            }
        }
    }
}
