//! Random weights from a seed: what is measured when only speed and memory matter.

use crate::TensorSource;
use slimfit_arch::{Architecture, Tensor, TensorPart, TensorRole};
use slimfit_formats::FormatsError;

/// Each value is a function of seed, tensor name and index alone, so any piece can be made at any time on any thread.
///
/// Matrices are uniform with variance 1 / columns, which keeps activations and logits near 1 through any depth; norms
/// scale by 0.9 to 1.1; biases and positions lie within ±0.1.
#[derive(Debug, Clone, Copy)]
pub struct SeededWeights {
    seed: u64,
    /// What a norm's stored weight adds to: 1 where it is an offset from 1.
    norm_middle: f32,
}

impl SeededWeights {
    /// Weights of `architecture` from `seed`.
    pub fn new(architecture: &Architecture, seed: u64) -> Self {
        Self { seed, norm_middle: if architecture.norm.weight_plus_one { 0.0 } else { 1.0 } }
    }
}

impl TensorSource for SeededWeights {
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        let columns = tensor.shape.last().copied().unwrap_or(1).max(1) as f32;
        let (middle, reach) = match (tensor.role, tensor.part) {
            (role, TensorPart::Weight) if role.is_norm() => (self.norm_middle, 0.1),
            (TensorRole::PositionTable, _) | (_, TensorPart::Bias) => (0.0, 0.1),
            _ => (0.0, (3.0 / columns).sqrt()),
        };
        // FNV-1a, so that tensors have unrelated streams.
        let stream = tensor.name().bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        fill_uniform(mix(stream), first, middle, reach, values);
        Ok(())
    }
}

/// Writes the values `first..` of a stream: `middle + reach · u`, with u uniform in −1..1. One counter makes two values.
pub(crate) fn fill_uniform(stream: u64, first: u64, middle: f32, reach: f32, values: &mut [f32]) {
    let scale = reach / (1_u32 << 31) as f32;
    let value = |bits: u32| middle + scale * bits.cast_signed() as f32;
    let pair = |counter: u64| {
        let bits = mix(stream.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        [value(bits as u32), value((bits >> 32) as u32)]
    };
    let lead = if first.is_multiple_of(2) { 0 } else { 1.min(values.len()) };
    let (odd, rest) = values.split_at_mut(lead);
    if let [only] = odd {
        *only = pair(first / 2)[1];
    }
    for (counter, pair_of_values) in (first.div_ceil(2)..).zip(rest.chunks_mut(2)) {
        pair_of_values.copy_from_slice(&pair(counter)[..pair_of_values.len()]);
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// `count` token ids below `vocabulary` from a seed.
pub fn seeded_tokens(vocabulary: u64, count: u64, seed: u64) -> Vec<u32> {
    let token = |index: u64| {
        mix(seed.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ 0x746f_6b65) % vocabulary
    };
    (0..count).map(|index| u32::try_from(token(index)).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_is_the_same_piece_of_the_whole() {
        let mut whole = vec![0.0; 101];
        fill_uniform(7, 0, 0.0, 1.0, &mut whole);
        for first in 0..10 {
            for length in [0, 1, 2, 7, 90] {
                let mut piece = vec![0.0; length];
                fill_uniform(7, first as u64, 0.0, 1.0, &mut piece);
                assert_eq!(piece, whole[first..first + length], "{length} from {first}");
            }
        }
    }

    #[test]
    fn values_have_the_stated_spread() {
        let mut values = vec![0.0; 100_000];
        fill_uniform(3, 0, 1.0, 0.5, &mut values);
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((variance - 0.25 / 3.0).abs() < 0.002, "{variance}");
        assert!(values.iter().all(|value| (0.5..=1.5).contains(value)));
    }

    #[test]
    fn tokens_stay_in_the_vocabulary_and_vary() {
        let tokens = seeded_tokens(50, 200, 1);
        assert!(tokens.iter().all(|&token| token < 50));
        assert!(tokens.windows(2).any(|pair| pair[0] != pair[1]));
        assert_ne!(tokens, seeded_tokens(50, 200, 2));
    }
}
