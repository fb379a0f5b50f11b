//! Where weights come from.

use crate::RuntimeError;
use slimfit_arch::Tensor;
use slimfit_formats::ModelWeights;
use slimfit_quantity::NumberFormat;

/// Gives the values of stored tensors as f32, piece by piece, so that a model is loaded without ever being whole in
/// memory twice. Several threads read at once.
pub trait TensorSource: Sync {
    /// Writes the values `first..first + values.len()` of `tensor`, counted row-major.
    ///
    /// # Errors
    /// [`RuntimeError::Tensor`] when the source lacks the tensor, has it in another shape, or cannot read it.
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), RuntimeError>;

    /// Fills `bytes` with the matrix rows from `first` on as `format` stores them in GGUF's layout, where the source has
    /// exactly that, so that nothing is rounded twice; false, where [`read`](Self::read) is the way.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, RuntimeError> {
        let _ = (tensor, format, first, bytes);
        Ok(false)
    }
}

/// The files of a model.
impl TensorSource for ModelWeights {
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), RuntimeError> {
        Ok(ModelWeights::read(self, tensor, first, values)?)
    }

    fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, RuntimeError> {
        Ok(ModelWeights::read_encoded(self, tensor, format, first, bytes)?)
    }
}

/// A function as a source: `f(tensor, first, values)`.
impl<F> TensorSource for F
where
    F: Fn(&Tensor, u64, &mut [f32]) -> Result<(), RuntimeError> + Sync,
{
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), RuntimeError> {
        self(tensor, first, values)
    }
}
