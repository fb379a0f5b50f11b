//! The product with Advanced SIMD, groups of 8 rows in the layout that the portable tier reads too.
//!
//! Quantised formats are written once over [`multiply`], the three ways to multiply int8 that AArch64 has: widening
//! products, the dot product, and the matrix product. What is declared here are the entry points, which enable the
//! features.

#![expect(unsafe_code, reason = "a proof of features is made where they are enabled")]

pub(super) mod float;
pub(super) mod k_quants;
pub(super) mod multiply;
pub(super) mod quantised;
pub(super) mod rounded;

/// Rows of a group: two vectors of sums.
pub(super) const ROWS: usize = 8;

/// A module of entry points that enable `$features`, of which `$multiply` is the proof: for one token where `$one` follows,
/// and for several.
macro_rules! entry_points {
    ($(#[$documentation:meta])* $name:ident, $multiply:ident, $features:literal $(, $one:ident)?) => {
        $(#[$documentation])*
        pub(super) mod $name {
            use super::{k_quants, multiply::$multiply, quantised};
            use crate::Part;
            use crate::matmul::{MatMulArgs, MatrixShape};

            $(entry_points!(@$one $multiply, $features);)?

            /// Several tokens.
            #[target_feature(enable = $features)]
            pub(in crate::matmul) fn gemm<const Q4: bool, const BY_TOKENS: bool>(
                args: &MatMulArgs<'_, impl MatrixShape>,
                part: Part,
            ) {
                // SAFETY: this function has the features enabled.
                let multiply = unsafe { $multiply::new() };
                quantised::gemm::<_, Q4, BY_TOKENS>(multiply, args, part);
            }

            /// Several tokens in a k format.
            #[target_feature(enable = $features)]
            pub(in crate::matmul) fn k_gemm<const Q6: bool, const BY_TOKENS: bool>(
                args: &MatMulArgs<'_, impl MatrixShape>,
                part: Part,
            ) {
                // SAFETY: this function has the features enabled.
                let multiply = unsafe { $multiply::new() };
                k_quants::gemm::<_, Q6, BY_TOKENS>(multiply, args, part);
            }
        }
    };
    (@one_token $multiply:ident, $features:literal) => {
        /// One token, `S` address streams.
        #[target_feature(enable = $features)]
        pub(in crate::matmul) fn gemv<const Q4: bool, const S: usize>(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
            // SAFETY: this function has the features enabled.
            let multiply = unsafe { $multiply::new() };
            quantised::gemv::<_, Q4, S>(multiply, args, part);
        }

        /// One token in a k format, `S` address streams.
        #[target_feature(enable = $features)]
        pub(in crate::matmul) fn k_gemv<const Q6: bool, const S: usize>(
            args: &MatMulArgs<'_, impl MatrixShape>,
            part: Part,
        ) {
            // SAFETY: this function has the features enabled.
            let multiply = unsafe { $multiply::new() };
            k_quants::gemv::<_, Q6, S>(multiply, args, part);
        }
    };
}

entry_points! {
    /// Products in 16 bits, for every AArch64.
    widened, Widened, "neon", one_token
}
entry_points! {
    /// `sdot`.
    dot, Dot, "neon,dotprod", one_token
}
entry_points! {
    /// `smmla`; one token is left to `sdot`.
    matrix, Matrix, "neon,dotprod,i8mm"
}
