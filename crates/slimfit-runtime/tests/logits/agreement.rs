//! Every option of an architecture, in every format, on every instruction set of this machine.

use crate::case::{TOKENS, load, reference, relative_error, run, tiers};
use slimfit_arch::{Architecture, FeedForward};
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::PlanError;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::RuntimeError;
use slimfit_testing::synthetic;

/// Options that are counted and not yet run; each must be refused by name.
const REFUSED: [&str; 5] = [
    "norm after rotation",
    "layer norm per head",
    "scaled alibi",
    "learned positions, factorised",
    "dynamic rope",
];

/// How far the logits' root mean square error may be from the reference's root mean square.
///
/// *f32*: sums of at most 160 terms in f32, some twenty of them behind each other: 20 · √160 · 2⁻²⁴ is 1.5e-5, and
/// the polynomials of exp and tanh add little. *f16*: the same weights exactly, in f32. *bf16*: the same weights
/// exactly, and the bf16 tier also rounds activations of a prompt, to within 2⁻⁹ each: nine products behind each other
/// and √9 · 2⁻⁹ is 0.6 %. *Quantised*: activations are rounded to steps of max / 127 in blocks of 32; for a block whose
/// largest value is 2.5 times its root mean square that is 2.5 / 127 / √12 = 0.6 % a product, and √9 · 0.6 % = 1.7 %;
/// of the 256 values that the k formats round together the largest is 3 times that, which makes 2.1 %. All doubled,
/// since norms and gates amplify. An *f16 cache* rounds keys and values to within 2⁻¹², which adds less than 0.1 %, a
/// *q8_0 cache* rounds them like activations, twice a layer, which adds √4 · 0.6 %, doubled again.
fn bound(weights: NumberFormat, kv: NumberFormat) -> f64 {
    let weights = match weights {
        NumberFormat::F32 | NumberFormat::F16 => 2e-5,
        NumberFormat::Bf16 => 1.2e-2,
        NumberFormat::Q8_0 | NumberFormat::Q4_0 => 3.5e-2,
        NumberFormat::Q4_K | NumberFormat::Q6_K => 4.2e-2,
    };
    let kv = match kv {
        NumberFormat::F16 => 1e-3,
        NumberFormat::Q8_0 => 2.4e-2,
        _ => 0.0,
    };
    weights + kv
}

fn agree(weights: NumberFormat) {
    let pool = Pool::new(1).unwrap();
    let tiers = tiers();
    let mut worst = (0.0, String::new());
    let all = synthetic::architectures().into_iter().chain(synthetic::mixtures()).chain(synthetic::wide());
    for (name, mut architecture) in all {
        if REFUSED.contains(&name) {
            continue;
        }
        if !matches!(weights, NumberFormat::F32 | NumberFormat::Bf16) {
            visit_every_expert(&mut architecture);
        }
        let mut right = None;
        for &isa in &tiers {
            for kv in NumberFormat::SEARCHABLE_KV {
                let model = load(&architecture, weights, kv, isa, 1, 4);
                if architecture.kv_bytes_per_token(kv).is_err() {
                    let error = model.unwrap_err().to_string();
                    assert!(error.contains("`kv_cache` has rows of 16 values"), "`{name}`: {error}");
                    continue;
                }
                let model = model.unwrap_or_else(|error| panic!("`{name}` in {weights}: {error}"));
                let right = right.get_or_insert_with(|| reference(&model));
                let found = run(&model, &pool, 7);
                let error = relative_error(&found, &right[6..TOKENS.len()]);
                let case = format!("`{name}` in {weights} with a cache in {kv} on {}", isa.name());
                assert!(error <= bound(weights, kv), "{case}: relative error {error:.2e}");
                if error > worst.0 {
                    worst = (error, case);
                }
            }
        }
    }
    println!("worst of {} tiers: {:.2e}, {}", tiers.len(), worst.0, worst.1);
}

/// Which experts are chosen jumps where two scores meet, so a model whose activations are rounded to 8 bits may rightly
/// choose others than the reference; what is left without the choice must agree.
fn visit_every_expert(architecture: &mut Architecture) {
    for layer in &mut architecture.layers {
        if let FeedForward::Moe(moe) = &mut layer.ffn {
            moe.top_k = moe.experts;
        }
    }
}

#[test]
fn every_option_agrees_with_the_reference_in_f32() {
    agree(NumberFormat::F32);
}

#[test]
fn every_option_agrees_with_the_reference_in_bf16() {
    agree(NumberFormat::Bf16);
}

#[test]
fn every_option_agrees_with_the_reference_in_q8_0() {
    agree(NumberFormat::Q8_0);
}

#[test]
fn every_option_agrees_with_the_reference_in_q4_0() {
    agree(NumberFormat::Q4_0);
}

#[test]
fn a_looped_model_agrees_with_the_reference_for_any_number_of_passes() {
    let pool = Pool::new(1).unwrap();
    let looped = |(_, architecture): &(_, Architecture)| architecture.loops.is_some();
    let mut ran = 0;
    for (name, architecture) in
        synthetic::architectures().into_iter().chain(synthetic::mixtures()).filter(looped)
    {
        for count in [1, 2, 4, 7] {
            let architecture = architecture.with_loop_count(count).unwrap();
            let isa = Isa::best();
            let model = load(&architecture, NumberFormat::F32, NumberFormat::F32, isa, 1, 4).unwrap();
            let passes = model.plan().kv.len() as u64;
            assert_eq!(passes, architecture.execution_order().len() as u64, "a cache for each pass");
            let error = relative_error(&run(&model, &pool, 7), &reference(&model)[6..TOKENS.len()]);
            assert!(
                error <= bound(NumberFormat::F32, NumberFormat::F32),
                "`{name}` {count} times: {error:.2e}"
            );
            ran += 1;
        }
    }
    assert!(ran >= 8, "{ran} models ran");
}

#[test]
fn every_option_agrees_with_the_reference_in_f16() {
    agree(NumberFormat::F16);
}

#[test]
fn every_option_agrees_with_the_reference_in_q4_k() {
    agree(NumberFormat::Q4_K);
}

#[test]
fn every_option_agrees_with_the_reference_in_q6_k() {
    agree(NumberFormat::Q6_K);
}

#[test]
fn options_without_a_kernel_are_refused_by_name() {
    let cases = synthetic::architectures().into_iter().filter(|(name, _)| REFUSED.contains(name));
    let mut refused = 0;
    for (name, architecture) in cases {
        let error = load(&architecture, NumberFormat::F32, NumberFormat::F32, Isa::Scalar, 1, 4).unwrap_err();
        assert!(matches!(error, RuntimeError::Plan(PlanError::NoKernel { .. })), "`{name}`: {error}");
        refused += 1;
    }
    assert_eq!(refused, REFUSED.len());
}
