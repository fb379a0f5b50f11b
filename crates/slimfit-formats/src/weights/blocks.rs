//! Decoding stored blocks to f32. What slimfit computes in is decoded by the kernels' own codecs; the other formats that
//! people's files mix with those are decoded here, to be stored anew in a format that has kernels.

use crate::gguf::GgufType;
use slimfit_kernels::codec::{float, q4_k};
use slimfit_kernels::{Layout, WeightFormat};

/// How a tensor's blocks are decoded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Blocks {
    /// In a format of the kernels.
    Kernel(WeightFormat),
    /// By a function over one block: its bytes, its values.
    Other(GgufType, Decode),
    /// Not at all.
    Unsupported(GgufType),
}

/// Decodes one block: its bytes, its values.
type Decode = fn(&[u8], &mut [f32]);

const OTHERS: &[(&str, Decode)] = &[
    ("f64", f64_values),
    ("q2_k", q2_k),
    ("q3_k", q3_k),
    ("q4_1", q4_1),
    ("q5_0", q5_0),
    ("q5_1", q5_1),
    ("q5_k", q5_k),
];

impl Blocks {
    pub(super) fn of(kind: GgufType) -> Self {
        if let Some(format) = WeightFormat::ALL.into_iter().find(|format| format.name() == kind.name) {
            return Self::Kernel(format);
        }
        match OTHERS.iter().find(|(name, _)| *name == kind.name) {
            Some((_, decode)) => Self::Other(kind, *decode),
            None => Self::Unsupported(kind),
        }
    }

    /// Says what is supported where this is not.
    pub(super) fn supported(self) -> Result<(), String> {
        let Self::Unsupported(kind) = self else { return Ok(()) };
        let mut known: Vec<&str> = WeightFormat::ALL.into_iter().map(WeightFormat::name).collect();
        known.extend(OTHERS.iter().map(|(name, _)| *name));
        known.sort_unstable();
        Err(format!("weights in `{}` are not read; read are {}", kind.name, known.join(", ")))
    }

    /// Decodes whole blocks; the lengths belong together.
    pub(super) fn decode(self, bytes: &[u8], values: &mut [f32]) -> Result<(), String> {
        match self {
            Self::Kernel(WeightFormat::F32) => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Self::Kernel(WeightFormat::Bf16) => {
                for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *value = float::read_bf16(bytes);
                }
            }
            Self::Kernel(format) => Layout::rows(format).read_row(bytes, 0, 0, values),
            Self::Other(kind, decode) => {
                let blocks = bytes.chunks_exact(kind.block_bytes as usize);
                for (values, block) in values.chunks_exact_mut(kind.block_values as usize).zip(blocks) {
                    decode(block, values);
                }
            }
            Self::Unsupported(_) => self.supported()?,
        }
        Ok(())
    }
}

fn f64_values(block: &[u8], values: &mut [f32]) {
    let bytes = block.first_chunk().expect("a block of f64 is eight bytes");
    values[0] = f64::from_le_bytes(*bytes) as f32;
}

/// Values 0..16 in the low halves of 16 bytes, 16..32 in the high ones.
fn halves(quants: &[u8]) -> impl Iterator<Item = u8> {
    quants.iter().map(|byte| byte & 15).chain(quants.iter().map(|byte| byte >> 4))
}

/// The fifth bits of 32 values.
fn fifth_bits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit & 1) << 4))
}

/// f16 factor, f16 offset, 32 four-bit values.
fn q4_1(block: &[u8], values: &mut [f32]) {
    let (factor, offset) = (float::read_f16(block), float::read_f16(&block[2..]));
    for (value, stored) in values.iter_mut().zip(halves(&block[4..])) {
        *value = factor * f32::from(stored) + offset;
    }
}

/// f16 factor, 32 fifth bits, 32 times four bits; a stored q stands for q − 16.
fn q5_0(block: &[u8], values: &mut [f32]) {
    let factor = float::read_f16(block);
    for ((value, low), high) in values.iter_mut().zip(halves(&block[6..])).zip(fifth_bits(&block[2..6])) {
        *value = factor * (f32::from(low | high) - 16.0);
    }
}

/// f16 factor, f16 offset, 32 fifth bits, 32 times four bits.
fn q5_1(block: &[u8], values: &mut [f32]) {
    let (factor, offset) = (float::read_f16(block), float::read_f16(&block[2..]));
    for ((value, low), high) in values.iter_mut().zip(halves(&block[8..])).zip(fifth_bits(&block[4..8])) {
        *value = factor * f32::from(low | high) + offset;
    }
}

/// `q4_k` with a fifth bit: factors, packed scales and minima as there, 32 bytes whose bit j belongs to sub-block j, then
/// four bits of each value, two sub-blocks in 32 bytes.
fn q5_k(block: &[u8], values: &mut [f32]) {
    let (scales, minima) = q4_k::factors(block);
    let (upper, low) = (&block[4 + q4_k::PACKED..][..32], &block[4 + q4_k::PACKED + 32..]);
    for (index, values) in values.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = q4_k::scale_and_minimum(block, index);
        let (scale, minimum) = (scales * f32::from(scale), minima * f32::from(minimum));
        for (place, value) in values.iter_mut().enumerate() {
            let low = low[index / 2 * 32 + place] >> (index % 2 * 4) & 15;
            let stored = low | (upper[place] >> index & 1) << 4;
            *value = scale * f32::from(stored) - minimum;
        }
    }
}

/// 16 bytes with a four-bit scale and minimum for each 16 values, 64 bytes of two-bit values, their two f16 factors.
fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (factor, minima) = (float::read_f16(&block[80..]), float::read_f16(&block[82..]));
    for (index, values) in values.chunks_exact_mut(16).enumerate() {
        let scale = factor * f32::from(scales[index] & 15);
        let minimum = minima * f32::from(scales[index] >> 4);
        for (value, stored) in values.iter_mut().zip(two_bits(quants, index)) {
            *value = scale * f32::from(stored) - minimum;
        }
    }
}

/// 32 bytes whose bit k belongs to the k-th 32 values and takes 4 off where it is 0, 64 bytes of two-bit values, 12 of
/// six-bit scales less 32, the f16 factor.
fn q3_k(block: &[u8], values: &mut [f32]) {
    let (mask, quants, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let factor = float::read_f16(&block[108..]);
    for (index, values) in values.chunks_exact_mut(16).enumerate() {
        let low = if index < 8 { packed[index] & 15 } else { packed[index - 8] >> 4 };
        let high = packed[8 + index % 4] >> (index / 4 * 2) & 3;
        let scale = factor * (f32::from(low | high << 4) - 32.0);
        let marks = &mask[index % 2 * 16..];
        for ((value, stored), mark) in values.iter_mut().zip(two_bits(quants, index)).zip(marks) {
            let offset = if mark >> (index / 2) & 1 == 1 { 0.0 } else { 4.0 };
            *value = scale * (f32::from(stored) - offset);
        }
    }
}

/// The 16 two-bit values of a sub-block of `q2_k` or `q3_k`: each half of the block has 32 bytes, whose pairs of bits
/// belong to its four quarters.
fn two_bits(quants: &[u8], index: usize) -> impl Iterator<Item = u8> {
    let (half, quarter, side) = (index / 8, index / 2 % 4, index % 2);
    quants[half * 32 + side * 16..][..16].iter().map(move |byte| byte >> (2 * quarter) & 3)
}
