//! How many bytes the tensors of a model take in a GGUF file.
//!
//! Counted are the values of all tensors, each begun at a multiple of the alignment: matrices in the format that
//! [`Tensor::stored_as`] gives them, everything else in f32, and the divisors of rotary frequencies where a model has
//! Llama 3's. Not counted are the metadata, the tensor table and the tokenizer before them: they depend on texts that no
//! architecture knows (a tokenizer takes 20 to 100 bytes for each entry of the vocabulary).

use super::GgufFile;
use super::divisors::divisor_count;
use slimfit_arch::{Architecture, Tensor};
use slimfit_quantity::NumberFormat;

/// Where tensors begin, from the start of their part of the file.
pub(crate) const ALIGNMENT: u64 = 32;

/// Bytes of one tensor of a model whose weights have a format, up to where the next one begins.
///
/// Meant for rows that are whole blocks, as no file holds others.
pub fn tensor_bytes(tensor: &Tensor, weights: NumberFormat) -> u64 {
    stored_bytes(tensor, tensor.stored_as(weights)).next_multiple_of(ALIGNMENT)
}

/// Bytes of all tensors of a (validated) model whose weights have a format.
pub fn data_bytes(architecture: &Architecture, weights: NumberFormat) -> u64 {
    let tensors = architecture.tensors();
    let stored = tensors.iter().map(|tensor| tensor_bytes(tensor, weights)).sum::<u64>();
    stored + rope_bytes(architecture)
}

/// Bytes of the divisors of rotary frequencies: once for all layers, none where they follow from the metadata.
pub fn rope_bytes(architecture: &Architecture) -> u64 {
    (4 * divisor_count(architecture)).next_multiple_of(ALIGNMENT)
}

impl GgufFile {
    /// Bytes of all of its tensors, counted as [`data_bytes`] counts those of a model.
    pub fn data_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes.next_multiple_of(ALIGNMENT)).sum()
    }
}

fn stored_bytes(tensor: &Tensor, format: NumberFormat) -> u64 {
    tensor.parameters() / format.block_values() * format.block_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn published_files_are_as_large() {
        let bytes = |name: &str, weights| data_bytes(&builtin::find(name).unwrap().architecture, weights);
        // SmolLM2: 30 layers of 9 + 3 + 3 + 9 heads of 64 and three matrices of 1536, a tied table, 61 norms.
        let (hidden, heads) = (576_u64, 64 * (9 + 3 + 3 + 9));
        let matrices = 30 * hidden * (heads + 3 * 1536) + 49_152 * hidden;
        let norms = 61 * hidden;
        assert_eq!(bytes("smollm2-135m", NumberFormat::F32), 4 * (matrices + norms));
        assert_eq!(bytes("smollm2-135m", NumberFormat::Bf16), 2 * matrices + 4 * norms);
        assert_eq!(bytes("smollm2-135m", NumberFormat::Q8_0), matrices / 32 * 34 + 4 * norms);
        // Rows of 576 values are no whole q4_k blocks; those of 1536 are.
        let down = 30 * hidden * 1536;
        let q4_k = down / 256 * 144 + (matrices - down) / 32 * 34 + 4 * norms;
        assert_eq!(bytes("smollm2-135m", NumberFormat::Q4_K), q4_k);
        // Llama 3.2's divisors: 32 of them.
        let llama = builtin::find("llama-3.2-1b").unwrap().architecture.clone();
        let mut plain = llama.clone();
        plain.layers.iter_mut().for_each(|run| run.attention.rope.as_mut().unwrap().scaling = None);
        let weights = NumberFormat::F16;
        assert_eq!(data_bytes(&llama, weights), data_bytes(&plain, weights) + 128);
    }

    #[test]
    fn tensors_begin_at_multiples_of_the_alignment() {
        let tensor = |shape: Vec<u64>| Tensor {
            role: slimfit_arch::TensorRole::Query,
            part: slimfit_arch::TensorPart::Bias,
            layer: Some(0),
            shape,
        };
        for (values, bytes) in [(1, 32), (8, 32), (9, 64), (16, 64)] {
            assert_eq!(tensor_bytes(&tensor(vec![values]), NumberFormat::Q4_0), bytes);
        }
    }
}
