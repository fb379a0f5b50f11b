//! The specification of the norm: sums in f64.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{NormArgs, NormFormula, share};
use crate::Part;

pub(super) fn norm(args: &NormArgs<'_>, part: Part) {
    let (tokens, columns) = share(args.tokens, args.width, part);
    for token in tokens {
        let start = token * args.width;
        let input = &args.input[start..][..args.width];
        let (mean, factor) = statistics(input, args.formula, args.epsilon);
        // SAFETY: only this share has these columns of this token.
        let output = unsafe { args.output.slice_mut(start + columns.start..start + columns.end) };
        for (column, y) in columns.clone().zip(output) {
            let mut value = (f64::from(input[column]) - mean) * factor;
            value *= args.weight.map_or(1.0, |weight| f64::from(weight[column]));
            value += args.bias.map_or(0.0, |bias| f64::from(bias[column]));
            *y = args.accumulate.map_or(value as f32, |scale| *y + scale * value as f32);
        }
    }
}

/// What to subtract from the values of a row and what to multiply them with.
pub(crate) fn statistics(values: &[f32], formula: NormFormula, epsilon: f32) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = match formula {
        NormFormula::Rms => 0.0,
        NormFormula::Layer => values.iter().map(|&value| f64::from(value)).sum::<f64>() / count,
    };
    let square = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    (mean, 1.0 / (square + f64::from(epsilon)).sqrt())
}
