//! The products of this model: a kernel for each shape, with the shape as constants.
//!
//! For one token `gemv`, whose parameters are address streams and bytes prefetched ahead; for several `gemm`, whose
//! last parameter is the tokens of a tile.

#![expect(unsafe_code, reason = "kernels for tiers that were detected")]

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::{Exactly, Layout, MatMulArgs, WeightFormat, portable, scalar};
use crate::model::TIER;
use crate::{Isa, Part};

#[cfg(test)]
#[path = "products_tests.rs"]
mod tests;

/// The layout that matrices have for a tier.
pub(crate) fn layout(format: WeightFormat, isa: Isa) -> Layout {
    match isa {
        TIER => Layout::interleaved(format, 8),
        Isa::Scalar => Layout::rows(format),
        _ => Layout::interleaved(format, 8),
    }
}

/// `down`: 64 x 96 in q8_0.
pub(crate) fn q8_0_64x96(isa: Isa, args: &MatMulArgs<'_, Exactly<64, 96>>, part: Part) {
    // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.
    unsafe {
        match (isa, args.tokens) {
            #[cfg(target_arch = "x86_64")]
            (TIER, 1) => avx2::quantised::gemv::<false, 4, 512>(args, part),
            #[cfg(target_arch = "x86_64")]
            (TIER, _) => avx2::quantised::gemm::<false, true, 4>(args, part),
            (Isa::Scalar, 1) => scalar::gemv(args, part),
            (Isa::Scalar, _) => scalar::gemm(args, part),
            (_, 1) => portable::gemv(args, part),
            _ => portable::gemm(args, part),
        }
    }
}

/// `attention_output`: 64 x 128 in q8_0.
pub(crate) fn q8_0_64x128(isa: Isa, args: &MatMulArgs<'_, Exactly<64, 128>>, part: Part) {
    // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.
    unsafe {
        match (isa, args.tokens) {
            #[cfg(target_arch = "x86_64")]
            (TIER, 1) => avx2::quantised::gemv::<false, 4, 512>(args, part),
            #[cfg(target_arch = "x86_64")]
            (TIER, _) => avx2::quantised::gemm::<false, true, 4>(args, part),
            (Isa::Scalar, 1) => scalar::gemv(args, part),
            (Isa::Scalar, _) => scalar::gemm(args, part),
            (_, 1) => portable::gemv(args, part),
            _ => portable::gemm(args, part),
        }
    }
}

/// `head`: 96 x 64 in q8_0.
pub(crate) fn q8_0_96x64(isa: Isa, args: &MatMulArgs<'_, Exactly<96, 64>>, part: Part) {
    // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.
    unsafe {
        match (isa, args.tokens) {
            #[cfg(target_arch = "x86_64")]
            (TIER, 1) => avx2::quantised::gemv::<false, 4, 512>(args, part),
            #[cfg(target_arch = "x86_64")]
            (TIER, _) => avx2::quantised::gemm::<false, true, 4>(args, part),
            (Isa::Scalar, 1) => scalar::gemv(args, part),
            (Isa::Scalar, _) => scalar::gemm(args, part),
            (_, 1) => portable::gemv(args, part),
            _ => portable::gemm(args, part),
        }
    }
}

/// `gate_up`: 192 x 64 in q8_0.
pub(crate) fn q8_0_192x64(isa: Isa, args: &MatMulArgs<'_, Exactly<192, 64>>, part: Part) {
    // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.
    unsafe {
        match (isa, args.tokens) {
            #[cfg(target_arch = "x86_64")]
            (TIER, 1) => avx2::quantised::gemv::<false, 4, 512>(args, part),
            #[cfg(target_arch = "x86_64")]
            (TIER, _) => avx2::quantised::gemm::<false, true, 4>(args, part),
            (Isa::Scalar, 1) => scalar::gemv(args, part),
            (Isa::Scalar, _) => scalar::gemm(args, part),
            (_, 1) => portable::gemv(args, part),
            _ => portable::gemm(args, part),
        }
    }
}

/// `qkv`: 256 x 64 in q8_0.
pub(crate) fn q8_0_256x64(isa: Isa, args: &MatMulArgs<'_, Exactly<256, 64>>, part: Part) {
    // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.
    unsafe {
        match (isa, args.tokens) {
            #[cfg(target_arch = "x86_64")]
            (TIER, 1) => avx2::quantised::gemv::<false, 4, 512>(args, part),
            #[cfg(target_arch = "x86_64")]
            (TIER, _) => avx2::quantised::gemm::<false, true, 4>(args, part),
            (Isa::Scalar, 1) => scalar::gemv(args, part),
            (Isa::Scalar, _) => scalar::gemm(args, part),
            (_, 1) => portable::gemv(args, part),
            _ => portable::gemm(args, part),
        }
    }
}

#[cfg(test)]
mod agreement {
    use super::tests::agrees;
    use super::*;

    #[test]
    fn q8_0_64x96_is_what_the_specification_says() {
        agrees::<64, 96>("q8_0_64x96", WeightFormat::Q8_0, q8_0_64x96);
    }

    #[test]
    fn q8_0_64x128_is_what_the_specification_says() {
        agrees::<64, 128>("q8_0_64x128", WeightFormat::Q8_0, q8_0_64x128);
    }

    #[test]
    fn q8_0_96x64_is_what_the_specification_says() {
        agrees::<96, 64>("q8_0_96x64", WeightFormat::Q8_0, q8_0_96x64);
    }

    #[test]
    fn q8_0_192x64_is_what_the_specification_says() {
        agrees::<192, 64>("q8_0_192x64", WeightFormat::Q8_0, q8_0_192x64);
    }

    #[test]
    fn q8_0_256x64_is_what_the_specification_says() {
        agrees::<256, 64>("q8_0_256x64", WeightFormat::Q8_0, q8_0_256x64);
    }
}
