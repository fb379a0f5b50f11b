//! Dense and mixture-of-experts feed-forward parts.

use super::Model;
use super::linear::{add_scaled, dot, matrix_product, softmax};
use slimfit_arch::{Activation, FeedForward, Mlp, Moe, TensorRole};

/// `x` is `(positions, hidden)`; so is the result.
pub(super) fn feed_forward(
    model: &Model<'_>,
    ffn: &FeedForward,
    index: u64,
    x: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    match ffn {
        FeedForward::Dense(mlp) => dense(model, mlp, index, x),
        FeedForward::Moe(moe) => x.iter().map(|row| mixture(model, moe, index, row)).collect(),
    }
}

fn dense(model: &Model<'_>, mlp: &Mlp, index: u64, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let layer = Some(index);
    let mut inner = model.linear(TensorRole::Up, layer, x);
    if mlp.gated {
        let gate = model.linear(TensorRole::Gate, layer, x);
        for (inner, gate) in inner.iter_mut().flatten().zip(gate.iter().flatten()) {
            *inner *= activate(mlp.activation, *gate);
        }
    } else {
        inner.iter_mut().flatten().for_each(|value| *value = activate(mlp.activation, *value));
    }
    model.linear(TensorRole::Down, layer, &inner)
}

fn mixture(model: &Model<'_>, moe: &Moe, index: u64, x: &[f64]) -> Vec<f64> {
    let layer = Some(index);
    let mut weights = model.linear(TensorRole::Router, layer, &[x.to_vec()]).remove(0);
    softmax(&mut weights);
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    order.truncate(moe.top_k as usize);
    let chosen: f64 = order.iter().map(|&expert| weights[expert]).sum();
    let gates = moe.gated.then(|| model.weight(TensorRole::ExpertGate, layer));
    let ups = model.weight(TensorRole::ExpertUp, layer);
    let downs = model.weight(TensorRole::ExpertDown, layer);
    let matrix = moe.expert_size as usize * x.len();
    let mut sum = vec![0.0; x.len()];
    for expert in order {
        let of_expert = |stack: &Vec<f64>| stack[expert * matrix..][..matrix].to_vec();
        let output = bare(
            moe.activation,
            gates.as_ref().map(of_expert).as_deref(),
            &of_expert(&ups),
            &of_expert(&downs),
            x,
        );
        let weight = if moe.normalise_top_k { weights[expert] / chosen } else { weights[expert] };
        add_scaled(&mut sum, &output, weight);
    }
    if moe.shared_size > 0 {
        let gate = moe.gated.then(|| model.weight(TensorRole::SharedGate, layer));
        let (up, down) =
            (model.weight(TensorRole::SharedUp, layer), model.weight(TensorRole::SharedDown, layer));
        let output = bare(moe.activation, gate.as_deref(), &up, &down, x);
        let weight = if moe.shared_gate {
            sigmoid(dot(&model.weight(TensorRole::SharedExpertGate, layer), x))
        } else {
            1.0
        };
        add_scaled(&mut sum, &output, weight);
    }
    sum
}

/// A feed-forward part without biases.
fn bare(activation: Activation, gate: Option<&[f64]>, up: &[f64], down: &[f64], x: &[f64]) -> Vec<f64> {
    let mut inner = matrix_product(up, x);
    match gate {
        Some(gate) => {
            for (inner, gate) in inner.iter_mut().zip(matrix_product(gate, x)) {
                *inner *= activate(activation, gate);
            }
        }
        None => inner.iter_mut().for_each(|value| *value = activate(activation, *value)),
    }
    matrix_product(down, &inner)
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x * sigmoid(x),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2_f64.sqrt())),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::ReluSquared => x.max(0.0).powi(2),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function by the series 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms all have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > sum.abs() * f64::EPSILON / 4.0 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_function_at_published_points() {
        // Abramowitz and Stegun, table 7.1.
        for (x, value) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)]
        {
            assert!((erf(x) - value).abs() < 1e-10, "{x}");
            assert!((erf(-x) + value).abs() < 1e-10, "{x}");
        }
    }

    #[test]
    fn activations_at_one() {
        let at_one = |activation| activate(activation, 1.0);
        assert!((at_one(Activation::Silu) - 0.731_058_578_6).abs() < 1e-10);
        assert!((at_one(Activation::Gelu) - 0.841_344_746_1).abs() < 1e-10);
        assert!((at_one(Activation::GeluTanh) - 0.841_191_990_6).abs() < 1e-9);
        assert_eq!(activate(Activation::ReluSquared, 3.0), 9.0);
        assert_eq!(activate(Activation::Relu, -3.0), 0.0);
    }
}
