//! Divisors of rotary frequencies that a file stores one by one, where no formula of its metadata gives them.

use slimfit_arch::{Architecture, Attention, Rope, RopeScaling};
use std::f64::consts::PI;

/// Whether a file holds the divisors of a rotation as the tensor `rope_freqs.weight`: Llama 3's, and lists that are the
/// same at every length, as which such a file is read.
fn stored(rope: &Rope) -> bool {
    match &rope.scaling {
        Some(RopeScaling::Llama3 { .. }) => true,
        Some(RopeScaling::LongRope { short_factor, long_factor, attention_factor, .. }) => {
            short_factor == long_factor && *attention_factor == 1.0
        }
        _ => false,
    }
}

fn first(architecture: &Architecture) -> Option<(&Attention, &Rope)> {
    let ropes =
        architecture.layers.iter().filter_map(|run| Some((&run.attention, run.attention.rope.as_ref()?)));
    ropes.into_iter().find(|(_, rope)| stored(rope))
}

/// How many divisors the file of a model has: one for each rotated pair of a head, once for all layers.
pub(crate) fn divisor_count(architecture: &Architecture) -> u64 {
    first(architecture).map_or(0, |(attention, rope)| rope.rotated.unwrap_or(attention.head_size) / 2)
}

/// The divisors, as f32.
pub(crate) fn rope_divisors(architecture: &Architecture) -> Option<Vec<f32>> {
    let (attention, rope) = first(architecture)?;
    let rotated = rope.rotated.unwrap_or(attention.head_size);
    match &rope.scaling {
        Some(RopeScaling::LongRope { long_factor, .. }) => {
            Some(long_factor.iter().map(|&divisor| divisor as f32).collect())
        }
        Some(RopeScaling::Llama3 {
            factor,
            low_frequency_factor: low,
            high_frequency_factor: high,
            original_context,
        }) => {
            let divisor = |pair: u64| {
                let wave = 2.0 * PI * rope.base.powf(2.0 * pair as f64 / rotated as f64);
                let turns = *original_context as f64 / wave;
                // From waves that are divided, through a ramp, to waves that are kept.
                if turns < *low {
                    return *factor as f32;
                }
                if turns > *high {
                    return 1.0;
                }
                let kept = (turns - low) / (high - low);
                (1.0 / ((1.0 - kept) / factor + kept)) as f32
            };
            Some((0..rotated / 2).map(divisor).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn llama_3_divides_long_waves_alone() {
        let llama = &builtin::find("llama-3.2-1b").unwrap().architecture;
        let divisors = rope_divisors(llama).unwrap();
        assert_eq!(divisors.len(), 32);
        assert_eq!((divisors[0], divisors[31]), (1.0, 32.0));
        assert!(divisors.is_sorted(), "{divisors:?}");
        // Pair 16 has waves of 2π·√500 000 = 4443 tokens: 8192 / 4443 turns, a share 0.2813 of the way from 1 to 4.
        let share = (8192.0 / (2.0 * PI * 500_000_f64.sqrt()) - 1.0) / 3.0;
        let expected = 1.0 / ((1.0 - share) / 32.0 + share);
        assert!((f64::from(divisors[16]) - expected).abs() < 1e-6, "{}", divisors[16]);
        assert_eq!(divisor_count(llama), 32);
        assert_eq!(rope_divisors(&builtin::find("smollm2-135m").unwrap().architecture), None);
    }
}
