//! Tables of cosines and sines for rotary positions, with every scaling of the frequencies.

use slimfit_arch::RopeScaling;
use slimfit_kernels::Rotation;
use slimfit_plan::RopeSlot;
use std::f64::consts::PI;

/// Cosines and sines of every position of a context.
pub(crate) fn rotation(slot: &RopeSlot, context: u64) -> Rotation {
    let (frequencies, magnitude) = rotation_frequencies(slot, context);
    Rotation::new(&frequencies, magnitude, context as usize)
}

/// Radians per position of each pair, and the factor on cosine and sine. A session's context decides which divisors of
/// LongRoPE hold.
pub fn rotation_frequencies(slot: &RopeSlot, context: u64) -> (Vec<f64>, f64) {
    let rotated = slot.rotated as f64;
    let base = slot.rope.base;
    let plain = (0..slot.rotated / 2).map(|pair| base.powf(-(2.0 * pair as f64) / rotated));
    match &slot.rope.scaling {
        None => (plain.collect(), 1.0),
        Some(RopeScaling::Linear { factor }) => (plain.map(|frequency| frequency / factor).collect(), 1.0),
        Some(RopeScaling::Dynamic { factor, original_context }) => {
            // NTK-aware scaling: the base grows with the context past the one the model was trained on.
            let excess = (context as f64 / *original_context as f64).max(1.0);
            let grown = base * (factor * excess - (factor - 1.0)).powf(rotated / (rotated - 2.0));
            ((0..slot.rotated / 2).map(|pair| grown.powf(-(2.0 * pair as f64) / rotated)).collect(), 1.0)
        }
        Some(RopeScaling::Llama3 {
            factor,
            low_frequency_factor,
            high_frequency_factor,
            original_context,
        }) => {
            let scaled = plain.map(|frequency| {
                let wavelength = 2.0 * PI / frequency;
                let turns = *original_context as f64 / wavelength;
                if turns < *low_frequency_factor {
                    frequency / factor
                } else if turns > *high_frequency_factor {
                    frequency
                } else {
                    let smooth =
                        (turns - low_frequency_factor) / (high_frequency_factor - low_frequency_factor);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            });
            (scaled.collect(), 1.0)
        }
        Some(RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor }) => {
            // The pair whose wave turns so often within the original context (arXiv 2309.00071, section 3.2).
            let pair_of = |turns: f64| {
                rotated * (*original_context as f64 / (turns * 2.0 * PI)).ln() / (2.0 * base.ln())
            };
            let low = pair_of(*beta_fast).floor().max(0.0);
            let high = pair_of(*beta_slow).ceil().min(rotated - 1.0);
            let width = if high == low { 0.001 } else { high - low };
            let scaled = plain.enumerate().map(|(pair, frequency)| {
                let interpolated = ((pair as f64 - low) / width).clamp(0.0, 1.0);
                frequency / factor * interpolated + frequency * (1.0 - interpolated)
            });
            let default = if *factor > 1.0 { 0.1 * factor.ln() + 1.0 } else { 1.0 };
            (scaled.collect(), attention_factor.unwrap_or(default))
        }
        Some(RopeScaling::LongRope { short_factor, long_factor, original_context, attention_factor }) => {
            let factors = if context > *original_context { long_factor } else { short_factor };
            (plain.zip(factors).map(|(frequency, factor)| frequency / factor).collect(), *attention_factor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_arch::Rope;

    #[test]
    fn position_zero_turns_nothing_and_later_ones_turn_by_the_base() {
        let rope = Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None };
        let rotation = rotation(&RopeSlot { rope, rotated: 4 }, 3);
        let table = rotation.table();
        assert_eq!((table.cosines.len(), table.sines.len()), (6, 6));
        assert_eq!((table.cosines[..2].to_vec(), table.sines[..2].to_vec()), (vec![1.0; 2], vec![0.0; 2]));
        assert_eq!(table.cosines[4], 2_f64.cos() as f32);
        assert_eq!(table.sines[5], 0.02_f64.sin() as f32);
    }
}
