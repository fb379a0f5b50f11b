//! `y += scale · x`, both flat. Work is split in cache lines.

mod scalar;

use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};

/// Arguments of an addition. Built by [`AddArgs::new`], which checks the lengths.
#[derive(Debug, Clone, Copy)]
pub struct AddArgs<'a> {
    pub(crate) scale: f32,
    pub(crate) input: &'a [f32],
    /// As long as `input`; the two do not overlap.
    pub(crate) output: SharedMut<'a, f32>,
}

/// A variant's function.
pub type AddFunction = for<'a> unsafe fn(&AddArgs<'a>, Part);

/// Every implementation.
pub const ADD: &[Variant<AddFunction>] =
    &[Variant { name: "add-scalar", isa: Isa::Scalar, function: scalar::add }];
