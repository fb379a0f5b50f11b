//! The values that a model begins its training with.

mod normal;
#[cfg(test)]
mod tests;

use crate::{FormatsError, TensorSource};
use normal::normal;
use slimfit_arch::{Architecture, Tensor, TensorPart, TensorRole};

/// Initial values of an architecture, from a seed: GPT-2's scheme (Radford et al. 2019, section 2.3, and its released
/// code), which most decoders since are initialised by.
///
/// | tensors | values |
/// |---|---|
/// | matrices, tables and routers | normal, standard deviation 0.02 |
/// | those that write to the residual stream: attention output, down projections, shared and of experts | normal, 0.02 / √n, n the branches that are added to the stream: two for each layer that runs, looped layers as often as they do |
/// | norms | 1, or 0 where the stored weight is an offset from 1 |
/// | biases | 0 |
///
/// Each value is a function of the seed, the tensor's canonical name and the index alone: any piece can be made at any
/// time, by any thread, on any machine, and is the same to the last bit, since nothing but arithmetic that IEEE 754 fixes
/// takes part.
#[derive(Debug, Clone, Copy)]
pub struct InitialWeights {
    seed: u64,
    /// Branches that are added to the residual stream.
    branches: u64,
    norm: f32,
}

/// Of all matrices but those that write to the residual stream.
const DEVIATION: f64 = 0.02;
/// The golden ratio in 64 bits: the step between the states of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl InitialWeights {
    /// The values of `architecture` (validated) from `seed`.
    pub fn new(architecture: &Architecture, seed: u64) -> Self {
        let looped = architecture.loops.map_or(0, |loops| loops.layers * (loops.count - 1));
        let norm = if architecture.norm.weight_plus_one { 0.0 } else { 1.0 };
        Self { seed, branches: 2 * (architecture.depth() + looped), norm }
    }

    /// The standard deviation of a tensor's values; none where all have one value.
    pub fn deviation(&self, tensor: &Tensor) -> Option<f64> {
        match (tensor.part, tensor.role) {
            (TensorPart::Bias, _) => None,
            (_, role) if role.is_norm() => None,
            (
                _,
                TensorRole::AttentionOutput
                | TensorRole::Down
                | TensorRole::ExpertDown
                | TensorRole::SharedDown,
            ) => Some(DEVIATION / (self.branches as f64).sqrt()),
            _ => Some(DEVIATION),
        }
    }
}

impl TensorSource for InitialWeights {
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        let Some(deviation) = self.deviation(tensor) else {
            values.fill(if tensor.part == TensorPart::Bias { 0.0 } else { self.norm });
            return Ok(());
        };
        let stream = stream(self.seed, &tensor.name());
        for (index, value) in (first..).zip(values) {
            // Two values from each state: as many bits as a value has, and room for values as rare as 6.3 deviations.
            let bits = mix(stream.wrapping_add((index / 2).wrapping_mul(STEP)));
            let half = (bits >> (32 * (index % 2))) as u32;
            *value = (deviation * normal(half)) as f32;
        }
        Ok(())
    }
}

/// Where the states of a tensor begin: FNV-1a of its name from a place that the seed decides.
fn stream(seed: u64, name: &str) -> u64 {
    let start = mix(seed.wrapping_add(STEP));
    mix(name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
