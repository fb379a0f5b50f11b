//! Where weights come from.

use crate::RuntimeError;
use slimfit_arch::Tensor;

/// Gives the values of stored tensors as f32, piece by piece, so that a model is loaded without ever being whole in
/// memory twice. Several threads read at once.
pub trait TensorSource: Sync {
    /// Writes the values `first..first + values.len()` of `tensor`, counted row-major.
    ///
    /// # Errors
    /// [`RuntimeError::Tensor`] when the source lacks the tensor, has it in another shape, or cannot read it.
    fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), RuntimeError>;
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
