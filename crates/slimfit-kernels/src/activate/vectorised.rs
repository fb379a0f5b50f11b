//! The non-linearity on vectors. Against f64: SiLU and both GELUs are off by at most 2⁻¹⁹ of |x| (of |x · up| with a
//! gate), the others by rounding alone.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{ActivateArgs, ActivationFunction};
use crate::Part;
use crate::vector::{Tier, erfc, load_tail, sigmoid, store_tail};

#[inline(always)]
pub(super) fn activate<T: Tier>(tier: T, args: &ActivateArgs<'_>, part: Part) {
    let (tokens, columns) = args.share(part);
    let width = if args.gated { 2 * args.size } else { args.size };
    for token in tokens {
        let input = &args.input[token * width..][..width];
        let gate = &input[columns.clone()];
        let up = args.gated.then(|| &input[args.size + columns.start..args.size + columns.end]);
        let start = token * args.size;
        // SAFETY: only this share has these columns of these tokens.
        let output = unsafe { args.output.slice_mut(start + columns.start..start + columns.end) };
        // One loop for each function, so that none decides inside.
        match args.function {
            ActivationFunction::Silu => rows::<T, 0>(tier, gate, up, output),
            ActivationFunction::Gelu => rows::<T, 1>(tier, gate, up, output),
            ActivationFunction::GeluTanh => rows::<T, 2>(tier, gate, up, output),
            ActivationFunction::Relu => rows::<T, 3>(tier, gate, up, output),
            ActivationFunction::ReluSquared => rows::<T, 4>(tier, gate, up, output),
        }
        if let Some(factor) = args.factor(token) {
            let factor = tier.splat(factor as f32);
            for index in (0..output.len()).step_by(T::LANES) {
                let value = tier.mul(factor, load_tail(tier, output, index));
                store_tail(tier, output, index, value);
            }
        }
    }
}

/// One row with function number `FUNCTION` of the enumeration.
#[inline(always)]
fn rows<T: Tier, const FUNCTION: usize>(tier: T, gate: &[f32], up: Option<&[f32]>, output: &mut [f32]) {
    for index in (0..output.len()).step_by(T::LANES) {
        let mut value = apply::<T, FUNCTION>(tier, load_tail(tier, gate, index));
        if let Some(up) = up {
            value = tier.mul(value, load_tail(tier, up, index));
        }
        store_tail(tier, output, index, value);
    }
}

#[inline(always)]
fn apply<T: Tier, const FUNCTION: usize>(tier: T, x: T::Vector) -> T::Vector {
    let zero = tier.splat(0.0);
    match FUNCTION {
        0 => tier.mul(x, sigmoid(tier, x)),
        1 => {
            // x Φ(x) = max(x, 0) − |x| erfc(|x| / √2) / 2: exact in both tails.
            let magnitude = tier.max(x, tier.sub(zero, x));
            let half = tier.mul(magnitude, tier.splat(-0.5));
            let tail = erfc(tier, tier.mul(magnitude, tier.splat(std::f32::consts::FRAC_1_SQRT_2)));
            tier.fma(half, tail, tier.max(zero, x))
        }
        2 => {
            // ½ (1 + tanh u) = sigmoid(2u), with 2u = 2 √(2/π) (x + 0.044715 x³).
            let inner = tier.fma(tier.mul(x, x), tier.splat(0.044_715), tier.splat(1.0));
            let doubled = tier.mul(tier.mul(x, tier.splat(1.595_769)), inner);
            tier.mul(x, sigmoid(tier, doubled))
        }
        3 => tier.max(zero, x),
        _ => {
            let positive = tier.max(zero, x);
            tier.mul(positive, positive)
        }
    }
}
