//! One implementation of the product, and which of them a tier runs.

#![expect(unsafe_code, reason = "calls functions for tiers that were detected")]

use super::{Layout, MatMulArgs, MatMulFunction, WeightFormat, scratch_bytes};
use crate::variant::Variant;
use crate::{Isa, Part};

/// An implementation of the product for one tier and layout.
#[derive(Debug, Clone, Copy)]
pub struct MatMulVariant {
    /// Name, tier and function.
    pub variant: Variant<MatMulFunction>,
    /// The layout it reads.
    pub layout: Layout,
    /// The function from this module on, as a program names it that calls it with a shape of its own.
    pub path: &'static str,
}

/// The layout that the kernels under a cap read.
pub const fn layout_for(format: WeightFormat, cap: Isa) -> Layout {
    match cap {
        Isa::Scalar => Layout::rows(format),
        Isa::Portable | Isa::Avx2 | Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonBf16 => {
            Layout::interleaved(format, 8)
        }
        Isa::AvxVnni => Layout::biased(format, 8),
        Isa::Avx512 | Isa::Avx512Bf16 => Layout::biased(format, 16),
    }
}

/// The richest implementation under a cap that reads the cap's layout; of several on one tier, the first in the table.
pub(crate) fn select(table: &[MatMulVariant], format: WeightFormat, cap: Isa) -> MatMulVariant {
    richest(table, format, cap, Isa::is_available)
        .expect("every tier's layout has a variant in both tables, which a test checks")
}

/// The same on a processor of that tier, which need not be this one; none where the tier is another architecture's.
pub(crate) fn usual(table: &[MatMulVariant], format: WeightFormat, cap: Isa) -> Option<MatMulVariant> {
    // AVX-512 does not bring AVX-VNNI along.
    richest(table, format, cap, |tier| tier != Isa::AvxVnni || cap == Isa::AvxVnni)
}

fn richest(
    table: &[MatMulVariant],
    format: WeightFormat,
    cap: Isa,
    is_there: impl Fn(Isa) -> bool,
) -> Option<MatMulVariant> {
    let layout = layout_for(format, cap);
    table
        .iter()
        // Of equal maxima the last one counts.
        .rev()
        .filter(|entry| entry.layout == layout && entry.variant.isa <= cap && is_there(entry.variant.isa))
        .max_by_key(|entry| entry.variant.isa)
        .copied()
}

impl MatMulVariant {
    /// Does one share of a phase with this implementation, whatever [`Kernels`](crate::Kernels) would choose.
    ///
    /// # Panics
    /// When this machine lacks the tier, the matrix is packed differently, there are not as many tokens as the
    /// implementation is for, or scratch is too small.
    pub fn run(&self, args: &MatMulArgs<'_>, part: Part) {
        assert!(self.variant.isa.is_available(), "`{}` needs `{}`", self.variant.name, self.variant.isa);
        assert_eq!(self.layout, args.layout, "`{}` reads another layout", self.variant.name);
        assert_eq!(self.variant.name.starts_with("gemv"), args.tokens == 1, "`{}`", self.variant.name);
        let scratch = scratch_bytes(args.layout.format, args.columns(), args.tokens, part.of);
        assert!(args.scratch.len() >= scratch, "scratch of {} bytes", args.scratch.len());
        // SAFETY: the tier is there, constructors checked the lengths, and shares of a phase write disjoint memory.
        unsafe { (self.variant.function)(args, part) }
    }
}
