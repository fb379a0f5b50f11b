//! The norm on vectors: sums in two vectors of f32 lanes, then one factor for the whole row.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{NormArgs, NormFormula, share};
use crate::Part;
use crate::vector::{Tier, load_tail, store_tail};

#[inline(always)]
pub(super) fn norm<T: Tier>(tier: T, args: &NormArgs<'_>, part: Part) {
    let (tokens, columns) = share(args.tokens, args.width, part);
    for token in tokens {
        let start = token * args.width;
        let input = &args.input[start..start + args.width];
        let (mean, factor) = statistics(tier, input, args.formula, args.epsilon);
        let (mean, factor) = (tier.splat(mean), tier.splat(factor));
        // SAFETY: only this share has these columns of this token.
        let output = unsafe { args.output.slice_mut(start + columns.start..start + columns.end) };
        let input = &input[columns.clone()];
        for index in (0..output.len()).step_by(T::LANES) {
            let mut value = tier.mul(tier.sub(load_tail(tier, input, index), mean), factor);
            if let Some(weight) = args.weight {
                value = tier.mul(value, load_tail(tier, &weight[columns.clone()], index));
            }
            if let Some(bias) = args.bias {
                value = tier.add(value, load_tail(tier, &bias[columns.clone()], index));
            }
            if let Some(scale) = args.accumulate {
                value = tier.fma(tier.splat(scale), value, load_tail(tier, output, index));
            }
            store_tail(tier, output, index, value);
        }
    }
}

/// What to subtract from the values of a row and what to multiply them with.
#[inline(always)]
pub(crate) fn statistics<T: Tier>(tier: T, values: &[f32], formula: NormFormula, epsilon: f32) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = match formula {
        NormFormula::Rms => 0.0,
        NormFormula::Layer => {
            let mut sums = [tier.splat(0.0); 2];
            for index in (0..values.len()).step_by(T::LANES) {
                let which = index / T::LANES % 2;
                sums[which] = tier.add(sums[which], load_tail(tier, values, index));
            }
            tier.sum(tier.add(sums[0], sums[1])) / count
        }
    };
    let center = tier.splat(mean);
    let step = 2 * T::LANES;
    let whole = values.len() / step * step;
    let mut sums = [tier.splat(0.0); 2];
    for index in (0..whole).step_by(step) {
        let left = tier.sub(load_tail(tier, values, index), center);
        let right = tier.sub(load_tail(tier, values, index + T::LANES), center);
        sums[0] = tier.fma(left, left, sums[0]);
        sums[1] = tier.fma(right, right, sums[1]);
    }
    let mut square = tier.sum(tier.add(sums[0], sums[1]));
    for value in &values[whole..] {
        square += (value - mean) * (value - mean);
    }
    (mean, 1.0 / (square / count + epsilon).sqrt())
}
