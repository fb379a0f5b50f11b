//! Rotary frequencies under every scaling, and ALiBi's slopes.

use slimfit_arch::{Rope, RopeScaling};
use std::f64::consts::PI;

/// Radians per position of each rotated pair, and the factor on cos and sin, for a head of `head_size` values in a
/// context of `context` tokens.
pub fn rope_angles(rope: &Rope, head_size: u64, context: u64) -> (Vec<f64>, f64) {
    let rotated = rope.rotated.unwrap_or(head_size) as f64;
    let plain = |base: f64| -> Vec<f64> {
        (0..rotated as usize / 2).map(|pair| base.powf(-2.0 * pair as f64 / rotated)).collect()
    };
    let angles = plain(rope.base);
    match &rope.scaling {
        None => (angles, 1.0),
        Some(RopeScaling::Linear { factor }) => (angles.iter().map(|angle| angle / factor).collect(), 1.0),
        Some(RopeScaling::Dynamic { factor, original_context }) => {
            let ratio = context.max(*original_context) as f64 / *original_context as f64;
            let growth = (factor * ratio - factor + 1.0).powf(rotated / (rotated - 2.0));
            (plain(rope.base * growth), 1.0)
        }
        Some(RopeScaling::Llama3 {
            factor,
            low_frequency_factor: low,
            high_frequency_factor: high,
            original_context,
        }) => {
            let scale = |angle: &f64| {
                let rotations = *original_context as f64 * angle / (2.0 * PI);
                let kept = ((rotations - low) / (high - low)).clamp(0.0, 1.0);
                angle * (kept + (1.0 - kept) / factor)
            };
            (angles.iter().map(scale).collect(), 1.0)
        }
        Some(RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor }) => {
            // The pair that turns `rotations` times within the original context.
            let pair = |rotations: f64| {
                rotated * (*original_context as f64 / (rotations * 2.0 * PI)).ln() / (2.0 * rope.base.ln())
            };
            let first = pair(*beta_fast).floor().max(0.0);
            let last = pair(*beta_slow).ceil().min(rotated - 1.0);
            let span = if first == last { 0.001 } else { last - first };
            let scale = |(index, angle): (usize, &f64)| {
                let divided = ((index as f64 - first) / span).clamp(0.0, 1.0);
                angle * (divided / factor + 1.0 - divided)
            };
            let magnitude =
                attention_factor.unwrap_or(if *factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 });
            (angles.iter().enumerate().map(scale).collect(), magnitude)
        }
        Some(RopeScaling::LongRope { short_factor, long_factor, original_context, attention_factor }) => {
            let factors = if context > *original_context { long_factor } else { short_factor };
            let scaled = angles.iter().zip(factors).map(|(angle, factor)| angle / factor).collect();
            (scaled, *attention_factor)
        }
    }
}

/// ALiBi's slope of each head (arXiv 2108.12409, and its authors' extension to head counts that are no power of two).
pub fn alibi_slopes(heads: u64) -> Vec<f64> {
    let whole = 1_u64 << heads.ilog2();
    let slope = |power: u64, of: u64| 2_f64.powf(-8.0 * power as f64 / of as f64);
    let regular = (1..=whole).map(|power| slope(power, whole));
    let between = (0..heads - whole).map(|index| slope(2 * index + 1, 2 * whole));
    regular.chain(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_eight_and_of_twelve_heads() {
        let eight: Vec<f64> = (1..=8).map(|power| 0.5_f64.powi(power)).collect();
        assert_eq!(alibi_slopes(8), eight);
        let twelve = alibi_slopes(12);
        assert_eq!(twelve[..8], eight);
        assert_eq!(twelve[8], 0.5_f64.sqrt());
    }

    #[test]
    fn llama_three_keeps_fast_pairs_and_divides_slow_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context: 8192,
        };
        let plain = Rope { base: 500_000.0, rotated: None, interleaved: false, scaling: None };
        let (before, _) = rope_angles(&plain, 64, 1);
        let (after, _) = rope_angles(&Rope { scaling: Some(scaling), ..plain }, 64, 1);
        assert_eq!(after[0], before[0]);
        assert_eq!(after[31], before[31] / 8.0);
        assert!(after.iter().zip(&before).any(|(after, before)| after < before && *after > before / 8.0));
    }
}
