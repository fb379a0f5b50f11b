//! The specification of the non-linearity: in f64.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{ActivateArgs, ActivationFunction};
use crate::Part;

pub(crate) fn activate(args: &ActivateArgs<'_>, part: Part) {
    let (tokens, columns) = args.share(part);
    let width = if args.gated { 2 * args.size } else { args.size };
    for token in tokens {
        let input = &args.input[token * width..][..width];
        let start = token * args.size;
        // SAFETY: only this share has these columns of these tokens.
        let output = unsafe { args.output.slice_mut(start + columns.start..start + columns.end) };
        for (column, y) in columns.clone().zip(output) {
            let value = apply(args.function, f64::from(input[column])) * args.factor(token).unwrap_or(1.0);
            *y = if args.gated { value * f64::from(input[args.size + column]) } else { value } as f32;
        }
    }
}

/// The function itself.
pub(crate) fn apply(function: ActivationFunction, x: f64) -> f64 {
    match function {
        ActivationFunction::Silu => x / (1.0 + (-x).exp()),
        ActivationFunction::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        ActivationFunction::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        ActivationFunction::Relu => x.max(0.0),
        ActivationFunction::ReluSquared => x.max(0.0).powi(2),
    }
}

/// The error function to f64 rounding: its Taylor series where that converges well, else the continued fraction of
/// its complement (Abramowitz and Stegun 7.1.5 and 7.1.14).
pub(crate) fn erf(x: f64) -> f64 {
    let square = x * x;
    if x.abs() < 2.5 {
        let mut term = x;
        let mut sum = x;
        for n in 1..60 {
            term *= -square / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    if x.abs() > 6.0 {
        return x.signum();
    }
    let mut fraction = 0.0;
    for n in (1..80).rev() {
        fraction = f64::from(n) / 2.0 / (x.abs() + fraction);
    }
    let complement = (-square).exp() / ((x.abs() + fraction) * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - complement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_meets_tabulated_values() {
        // Abramowitz and Stegun, table 7.1 and 7.2.
        for (x, expected) in [
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (3.0, 0.999_977_909_503_001_4),
        ] {
            assert!((erf(x) - expected).abs() < 1e-14, "{x}: {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }

    #[test]
    fn functions_have_their_known_values() {
        assert_eq!(apply(ActivationFunction::Relu, -2.0), 0.0);
        assert_eq!(apply(ActivationFunction::ReluSquared, 3.0), 9.0);
        assert!((apply(ActivationFunction::Silu, 1.0) - 0.731_058_578_630_004_9).abs() < 1e-15);
        assert!((apply(ActivationFunction::Gelu, 1.0) - 0.841_344_746_068_542_9).abs() < 1e-14);
        assert!((apply(ActivationFunction::GeluTanh, 1.0) - 0.841_191_990_608_276_8).abs() < 1e-9);
    }
}
