//! Where the values of a model's tensors come from.

use crate::{FormatsError, ModelWeights};
use slimfit_arch::Tensor;
use slimfit_quantity::NumberFormat;

/// Gives the values of stored tensors as f32, piece by piece, so that no model is ever whole in memory on its way from one
/// place to another. Several threads read at once.
pub trait TensorSource: Sync {
    /// Writes the values `first..first + values.len()` of `tensor`, counted row-major.
    ///
    /// # Errors
    /// [`FormatsError`] when the source lacks the tensor, has it in another shape, or cannot read it.
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError>;

    /// Fills `bytes` with the rows from `first` on as `format` stores them in GGUF's layout, where the source has exactly
    /// that, so that nothing is rounded twice; false, where [`read`](Self::read) is the way. The rows of a vector are its
    /// values. They have [`stored_offset`](Self::stored_offset) in them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, FormatsError> {
        let _ = (tensor, format, first, bytes);
        Ok(false)
    }

    /// What the stored values of a tensor have added to those that [`read`](Self::read) gives: 0 unless a file holds norms
    /// that are offsets from 1 with the 1 in them.
    fn stored_offset(&self, tensor: &Tensor) -> f32 {
        let _ = tensor;
        0.0
    }
}

/// The files of a model.
impl TensorSource for ModelWeights {
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        Self::read(self, tensor, first, values)
    }

    fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, FormatsError> {
        Self::read_encoded(self, tensor, format, first, bytes)
    }

    fn stored_offset(&self, tensor: &Tensor) -> f32 {
        Self::stored_offset(self, tensor)
    }
}

/// A function as a source: `f(tensor, first, values)`.
impl<F> TensorSource for F
where
    F: Fn(&Tensor, u64, &mut [f32]) -> Result<(), FormatsError> + Sync,
{
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        self(tensor, first, values)
    }
}
