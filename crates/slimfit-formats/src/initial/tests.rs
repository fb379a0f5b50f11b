//! Values have the distribution that is stated, and are the same wherever they are made.

use super::InitialWeights;
use crate::{TensorSource, builtin};
use slimfit_arch::{Architecture, Loops, Tensor, TensorPart, TensorRole};

fn model(name: &str) -> Architecture {
    builtin::find(name).unwrap().architecture.clone()
}

fn tensor(architecture: &Architecture, role: TensorRole) -> Tensor {
    architecture.tensors().into_iter().find(|tensor| tensor.role == role).unwrap()
}

fn values(weights: &InitialWeights, tensor: &Tensor, first: u64, count: usize) -> Vec<f32> {
    let mut values = vec![f32::NAN; count];
    weights.read(tensor, first, &mut values).unwrap();
    values
}

/// Mean, deviation, skewness and kurtosis of a sample, and the shares of it beyond 1, 2, 3 and 4 deviations of the normal
/// distribution, each within four standard errors.
#[test]
fn matrices_are_normal_with_the_stated_deviation() {
    let architecture = model("smollm2-135m");
    let weights = InitialWeights::new(&architecture, 7);
    const COUNT: usize = 884_736;
    let n = COUNT as f64;
    for role in [TensorRole::Up, TensorRole::Down] {
        let tensor = tensor(&architecture, role);
        let deviation = weights.deviation(&tensor).unwrap();
        let scaled: Vec<f64> = values(&weights, &tensor, 0, COUNT)
            .into_iter()
            .map(|value| f64::from(value) / deviation)
            .collect();
        let moment = |power| scaled.iter().map(|value| value.powi(power)).sum::<f64>() / n;
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error = (moment(power) - expected).abs();
            assert!(error < 4.0 * f64::sqrt(variance / n), "{role:?}: moment {power} is off by {error}");
        }
        for (bound, beyond) in
            [(1.0, 0.317_310_508), (2.0, 0.045_500_264), (3.0, 0.002_699_796), (4.0, 6.334_25e-5)]
        {
            let share = scaled.iter().filter(|value| value.abs() > bound).count() as f64 / n;
            let error = 4.0 * f64::sqrt(beyond * (1.0 - beyond) / n);
            assert!((share - beyond).abs() < error, "{role:?}: {share} beyond {bound} deviations");
        }
        let farthest = scaled.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        assert!((4.5..6.4).contains(&farthest), "{farthest}");
    }
}

#[test]
fn neighbours_and_tensors_are_unrelated() {
    let architecture = model("smollm2-135m");
    let weights = InitialWeights::new(&architecture, 7);
    let (up, gate) = (tensor(&architecture, TensorRole::Up), tensor(&architecture, TensorRole::Gate));
    const COUNT: usize = 200_000;
    let left = values(&weights, &up, 0, COUNT);
    let correlation = |right: &[f32]| {
        let products: f64 = left.iter().zip(right).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        (products / (COUNT as f64 * 0.02 * 0.02)).abs()
    };
    let bound = 4.0 / (COUNT as f64).sqrt();
    for (what, right) in [
        ("the next value", values(&weights, &up, 1, COUNT)),
        ("the next row", values(&weights, &up, 576, COUNT)),
        ("another tensor", values(&weights, &gate, 0, COUNT)),
        ("another seed", values(&InitialWeights::new(&architecture, 8), &up, 0, COUNT)),
    ] {
        let found = correlation(&right);
        assert!(found < bound, "{what}: {found}");
    }
}

#[test]
fn what_writes_to_the_stream_is_scaled_by_the_layers_that_run() {
    let mut architecture = model("smollm2-135m");
    let deviation = |architecture: &Architecture, role| {
        InitialWeights::new(architecture, 1).deviation(&tensor(architecture, role))
    };
    for (role, expected) in [
        (TensorRole::Embedding, 0.02),
        (TensorRole::Query, 0.02),
        (TensorRole::AttentionOutput, 0.02 / 60.0_f64.sqrt()),
        (TensorRole::Down, 0.02 / 60.0_f64.sqrt()),
    ] {
        assert_eq!(deviation(&architecture, role), Some(expected), "{role:?}");
    }
    architecture.loops = Some(Loops { first: 2, layers: 5, count: 3, immediate: false });
    assert_eq!(deviation(&architecture, TensorRole::Down), Some(0.02 / 80.0_f64.sqrt()));
    let mixture = model("mixtral-8x7b");
    assert_eq!(deviation(&mixture, TensorRole::Router), Some(0.02));
    assert_eq!(deviation(&mixture, TensorRole::ExpertDown), Some(0.02 / 64.0_f64.sqrt()));
}

#[test]
fn norms_are_one_and_biases_zero() {
    let gemma = model("gemma-2-2b");
    let norm = tensor(&gemma, TensorRole::FinalNorm);
    assert_eq!(values(&InitialWeights::new(&gemma, 1), &norm, 3, 4), [0.0; 4], "an offset from 1");
    let biased = model("qwen2.5-0.5b");
    let weights = InitialWeights::new(&biased, 1);
    assert_eq!(values(&weights, &tensor(&biased, TensorRole::FinalNorm), 0, 4), [1.0; 4]);
    let bias = biased.tensors().into_iter().find(|tensor| tensor.part == TensorPart::Bias).unwrap();
    assert_eq!(values(&weights, &bias, 0, 4), [0.0; 4]);
}

#[test]
fn any_piece_is_the_same_piece_of_the_whole() {
    let architecture = model("smollm2-135m");
    let weights = InitialWeights::new(&architecture, 3);
    let table = tensor(&architecture, TensorRole::Embedding);
    let whole = values(&weights, &table, 0, 101);
    for first in 0..10 {
        for length in [0, 1, 2, 7, 90] {
            let piece = values(&weights, &table, first as u64, length);
            assert_eq!(piece, whole[first..first + length], "{length} from {first}");
        }
    }
}

/// The same bits on every machine, in the middle and in the tails: those that an implementation in Python gives, with the
/// inverse distribution function and the logarithm of its library.
#[test]
fn values_are_these_to_the_last_bit() {
    let architecture = model("smollm2-135m");
    let weights = InitialWeights::new(&architecture, 42);
    let table = tensor(&architecture, TensorRole::Embedding);
    let bits: Vec<u32> = values(&weights, &table, 0, 4).into_iter().map(f32::to_bits).collect();
    assert_eq!(bits, [1_016_461_336, 1_013_038_695, 1_016_606_173, 998_370_620]);
    let sum = values(&weights, &table, 0, 100_000)
        .into_iter()
        .fold(0_u32, |sum, value| sum.rotate_left(5) ^ value.to_bits());
    assert_eq!(sum, 2_654_872_427);
}
