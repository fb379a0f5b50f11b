//! `y += scale · x`, both flat. Work is split in cache lines.

mod scalar;
mod vectorised;

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
pub const ADD: &[Variant<AddFunction>] = &[
    Variant { name: "add-scalar", isa: Isa::Scalar, function: scalar::add },
    Variant { name: "add-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "add-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "add-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "add-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::add, AddArgs);
