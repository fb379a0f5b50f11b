//! Every implementation of the product.
//!
//! Of several on a tier that read one layout, the first is what runs without a tuning; the others are candidates of the
//! tuner: for one token `-s<streams>p<bytes prefetched ahead>`, or `n` where the hint says that they are used once; for
//! several `-t<tokens of a tile>`, and `-rows` where threads split the matrix however many tokens there are.

#[cfg(target_arch = "aarch64")]
use super::neon::{
    self,
    float::{OfBf16, OfF16, OfF32},
};
use super::{Layout, MatMulVariant, WeightFormat, portable, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx_vnni, avx2, avx512};
use crate::Isa;
use crate::variant::Variant;
use WeightFormat::{Bf16, F16, F32, Q4_0, Q4K, Q6K, Q8_0};

/// A line of a table. The function's path is kept as text, too.
macro_rules! of {
    ($name:expr, $isa:expr, $layout:expr, $function:expr $(,)?) => {
        MatMulVariant {
            variant: Variant { name: $name, isa: $isa, function: $function },
            layout: $layout,
            path: stringify!($function),
        }
    };
}

/// The plain implementations, then those that are generic over streams and prefetch: 4 streams that prefetch `$usual`
/// bytes ahead, then all others. `$other` is the one of 0 and 512 that `$usual` is not.
macro_rules! gemv_table {
    (
        plain { $($plain:expr,)+ }
        streams {
            $($name:literal, $isa:ident, $layout:expr, $tier:ident $module:ident $flag:literal, usual $usual:literal not $other:literal;)+
        }
        neon {
            $($neon_name:literal, $neon_isa:ident $format:ident, $neon_module:ident $function:ident $neon_flag:tt;)+
        }
    ) => {
        &[
            $($plain,)+
            $(
                #[cfg(target_arch = "x86_64")]
                of!($name, Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, $usual>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s4p", $other), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, $other>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s4p1024"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, 1024>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s4p2048"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, 2048>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s2p0"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 2, 0>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s2p512"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 2, 512>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s2p1024"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 2, 1024>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s2p2048"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 2, 2048>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s1p0"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 1, 0>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s1p512"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 1, 512>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s1p1024"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 1, 1024>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s1p2048"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 1, 2048>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s8p0"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 8, 0>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s8p512"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 8, 512>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s8p1024"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 8, 1024>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s8p2048"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 8, 2048>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s4n512"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, -512>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s4n1024"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 4, -1024>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($name, "-s2n512"), Isa::$isa, $layout, $tier::$module::gemv::<$flag, 2, -512>),
            )+
            $(
                #[cfg(target_arch = "aarch64")]
                of!($neon_name, Isa::$neon_isa, Layout::interleaved($format, 8), neon::$neon_module::$function::<$neon_flag, 4>),
                #[cfg(target_arch = "aarch64")]
                of!(concat!($neon_name, "-s2p0"), Isa::$neon_isa, Layout::interleaved($format, 8), neon::$neon_module::$function::<$neon_flag, 2>),
            )+
        ]
    };
}

/// Every implementation for one token.
pub const GEMV: &[MatMulVariant] = gemv_table! {
    plain {
        of!("gemv-f32-scalar", Isa::Scalar, Layout::rows(F32), scalar::gemv),
        of!("gemv-bf16-scalar", Isa::Scalar, Layout::rows(Bf16), scalar::gemv),
        of!("gemv-q8_0-scalar", Isa::Scalar, Layout::rows(Q8_0), scalar::gemv),
        of!("gemv-q4_0-scalar", Isa::Scalar, Layout::rows(Q4_0), scalar::gemv),
        of!("gemv-f32-portable", Isa::Portable, Layout::interleaved(F32, 8), portable::gemv),
        of!("gemv-bf16-portable", Isa::Portable, Layout::interleaved(Bf16, 8), portable::gemv),
        of!("gemv-q8_0-portable", Isa::Portable, Layout::interleaved(Q8_0, 8), portable::gemv),
        of!("gemv-q4_0-portable", Isa::Portable, Layout::interleaved(Q4_0, 8), portable::gemv),
        of!("gemv-f16-scalar", Isa::Scalar, Layout::rows(F16), scalar::gemv),
        of!("gemv-q4_k-scalar", Isa::Scalar, Layout::rows(Q4K), scalar::gemv),
        of!("gemv-q6_k-scalar", Isa::Scalar, Layout::rows(Q6K), scalar::gemv),
        of!("gemv-f16-portable", Isa::Portable, Layout::interleaved(F16, 8), portable::gemv),
        of!("gemv-q4_k-portable", Isa::Portable, Layout::interleaved(Q4K, 8), portable::gemv),
        of!("gemv-q6_k-portable", Isa::Portable, Layout::interleaved(Q6K, 8), portable::gemv),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-f16-avx2", Isa::Avx2, Layout::interleaved(F16, 8), avx2::half::gemv),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q4_k-avx2", Isa::Avx2, Layout::interleaved(Q4K, 8), avx2::k_quants::gemv::<false>),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q6_k-avx2", Isa::Avx2, Layout::interleaved(Q6K, 8), avx2::k_quants::gemv::<true>),
        // Of the other encoding, on a layout that no tier with AVX-512 packs: listed for the tests.
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q8_0-avx512-ymm", Isa::Avx512, Layout::biased(Q8_0, 8), avx_vnni::evex::gemv::<false, 4, 512>),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q4_0-avx512-ymm", Isa::Avx512, Layout::biased(Q4_0, 8), avx_vnni::evex::gemv::<true, 4, 512>),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-f16-avx512", Isa::Avx512, Layout::biased(F16, 16), avx512::half::gemv),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q4_k-avx512", Isa::Avx512, Layout::biased(Q4K, 16), avx512::k_quants::gemv::<false>),
        #[cfg(target_arch = "x86_64")]
        of!("gemv-q6_k-avx512", Isa::Avx512, Layout::biased(Q6K, 16), avx512::k_quants::gemv::<true>),
    }
    streams {
        "gemv-f32-avx2", Avx2, Layout::interleaved(F32, 8), avx2 float false, usual 0 not 512;
        "gemv-bf16-avx2", Avx2, Layout::interleaved(Bf16, 8), avx2 float true, usual 0 not 512;
        "gemv-q8_0-avx2", Avx2, Layout::interleaved(Q8_0, 8), avx2 quantised false, usual 512 not 0;
        "gemv-q4_0-avx2", Avx2, Layout::interleaved(Q4_0, 8), avx2 quantised true, usual 512 not 0;
        "gemv-q8_0-avx_vnni", AvxVnni, Layout::biased(Q8_0, 8), avx_vnni vex false, usual 512 not 0;
        "gemv-q4_0-avx_vnni", AvxVnni, Layout::biased(Q4_0, 8), avx_vnni vex true, usual 512 not 0;
        "gemv-f32-avx512", Avx512, Layout::biased(F32, 16), avx512 float false, usual 0 not 512;
        "gemv-bf16-avx512", Avx512, Layout::biased(Bf16, 16), avx512 float true, usual 0 not 512;
        "gemv-q8_0-avx512", Avx512, Layout::biased(Q8_0, 16), avx512 quantised false, usual 0 not 512;
        "gemv-q4_0-avx512", Avx512, Layout::biased(Q4_0, 16), avx512 quantised true, usual 0 not 512;
    }
    neon {
        "gemv-f32-neon", Neon F32, float gemv OfF32;
        "gemv-f16-neon", Neon F16, float gemv OfF16;
        "gemv-bf16-neon", Neon Bf16, float gemv OfBf16;
        "gemv-q8_0-neon", Neon Q8_0, widened gemv false;
        "gemv-q4_0-neon", Neon Q4_0, widened gemv true;
        "gemv-q4_k-neon", Neon Q4K, widened k_gemv false;
        "gemv-q6_k-neon", Neon Q6K, widened k_gemv true;
        "gemv-q8_0-neon_dotprod", NeonDotprod Q8_0, dot gemv false;
        "gemv-q4_0-neon_dotprod", NeonDotprod Q4_0, dot gemv true;
        "gemv-q4_k-neon_dotprod", NeonDotprod Q4K, dot k_gemv false;
        "gemv-q6_k-neon_dotprod", NeonDotprod Q6K, dot k_gemv true;
    }
};

/// The products of several tokens: those listed one by one; those of x86-64 with the usual tokens of a tile, and with others;
/// those of AArch64. Threads split the tokens where there are enough or, as a candidate, the matrix.
macro_rules! gemm_table {
    (
        plain { $($plain:expr,)+ }
        tiled {
            $($tiled_name:literal, $tiled_isa:ident, $layout:expr, $tier:ident::$tier_module:ident::$tiled:ident{$($tiled_flag:tt)?}, tiles $usual:literal $second:literal $third:literal;)+
        }
        neon {
            $($name:literal, $isa:ident $format:ident, $module:ident $function:ident $flag:tt;)+
        }
    ) => {
        &[
            $($plain,)+
            $(
                #[cfg(target_arch = "x86_64")]
                of!($tiled_name, Isa::$tiled_isa, $layout, $tier::$tier_module::$tiled::<$($tiled_flag,)? true, $usual>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($tiled_name, "-rows"), Isa::$tiled_isa, $layout, $tier::$tier_module::$tiled::<$($tiled_flag,)? false, $usual>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($tiled_name, "-t", $second), Isa::$tiled_isa, $layout, $tier::$tier_module::$tiled::<$($tiled_flag,)? true, $second>),
                #[cfg(target_arch = "x86_64")]
                of!(concat!($tiled_name, "-t", $third), Isa::$tiled_isa, $layout, $tier::$tier_module::$tiled::<$($tiled_flag,)? true, $third>),
            )+
            $(
                #[cfg(target_arch = "aarch64")]
                of!($name, Isa::$isa, Layout::interleaved($format, 8), neon::$module::$function::<$flag, true>),
                #[cfg(target_arch = "aarch64")]
                of!(concat!($name, "-rows"), Isa::$isa, Layout::interleaved($format, 8), neon::$module::$function::<$flag, false>),
            )+
        ]
    };
}

/// Every implementation for several tokens.
pub const GEMM: &[MatMulVariant] = gemm_table! {
plain {
    of!("gemm-f32-scalar", Isa::Scalar, Layout::rows(F32), scalar::gemm),
    of!("gemm-bf16-scalar", Isa::Scalar, Layout::rows(Bf16), scalar::gemm),
    of!("gemm-q8_0-scalar", Isa::Scalar, Layout::rows(Q8_0), scalar::gemm),
    of!("gemm-q4_0-scalar", Isa::Scalar, Layout::rows(Q4_0), scalar::gemm),
    of!("gemm-f32-portable", Isa::Portable, Layout::interleaved(F32, 8), portable::gemm),
    of!("gemm-bf16-portable", Isa::Portable, Layout::interleaved(Bf16, 8), portable::gemm),
    of!("gemm-q8_0-portable", Isa::Portable, Layout::interleaved(Q8_0, 8), portable::gemm),
    of!("gemm-q4_0-portable", Isa::Portable, Layout::interleaved(Q4_0, 8), portable::gemm),
    // As among the products of one token.
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q8_0-avx512-ymm", Isa::Avx512, Layout::biased(Q8_0, 8), avx_vnni::evex::gemm::<false, true, 4>),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q4_0-avx512-ymm", Isa::Avx512, Layout::biased(Q4_0, 8), avx_vnni::evex::gemm::<true, true, 4>),
    of!("gemm-f16-scalar", Isa::Scalar, Layout::rows(F16), scalar::gemm),
    of!("gemm-q4_k-scalar", Isa::Scalar, Layout::rows(Q4K), scalar::gemm),
    of!("gemm-q6_k-scalar", Isa::Scalar, Layout::rows(Q6K), scalar::gemm),
    of!("gemm-f16-portable", Isa::Portable, Layout::interleaved(F16, 8), portable::gemm),
    of!("gemm-q4_k-portable", Isa::Portable, Layout::interleaved(Q4K, 8), portable::gemm),
    of!("gemm-q6_k-portable", Isa::Portable, Layout::interleaved(Q6K, 8), portable::gemm),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-f16-avx2", Isa::Avx2, Layout::interleaved(F16, 8), avx2::half::gemm),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q4_k-avx2", Isa::Avx2, Layout::interleaved(Q4K, 8), avx2::k_quants::gemm::<false>),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q6_k-avx2", Isa::Avx2, Layout::interleaved(Q6K, 8), avx2::k_quants::gemm::<true>),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-f16-avx512", Isa::Avx512, Layout::biased(F16, 16), avx512::half::gemm),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q4_k-avx512", Isa::Avx512, Layout::biased(Q4K, 16), avx512::k_quants::gemm::<false>),
    #[cfg(target_arch = "x86_64")]
    of!("gemm-q6_k-avx512", Isa::Avx512, Layout::biased(Q6K, 16), avx512::k_quants::gemm::<true>),
    #[cfg(target_arch = "aarch64")]
    of!(
        "gemm-bf16-neon_bf16",
        Isa::NeonBf16,
        Layout::interleaved(Bf16, 8),
        neon::rounded::gemm::<true>,
    ),
    #[cfg(target_arch = "aarch64")]
    of!(
        "gemm-bf16-neon_bf16-rows",
        Isa::NeonBf16,
        Layout::interleaved(Bf16, 8),
        neon::rounded::gemm::<false>,
    ),
} tiled {
    "gemm-f32-avx2", Avx2, Layout::interleaved(F32, 8), avx2::float::gemm{false}, tiles 6 4 3;
    "gemm-bf16-avx2", Avx2, Layout::interleaved(Bf16, 8), avx2::float::gemm{true}, tiles 6 4 3;
    "gemm-q8_0-avx2", Avx2, Layout::interleaved(Q8_0, 8), avx2::quantised::gemm{false}, tiles 4 3 2;
    "gemm-q4_0-avx2", Avx2, Layout::interleaved(Q4_0, 8), avx2::quantised::gemm{true}, tiles 4 3 2;
    "gemm-q8_0-avx_vnni", AvxVnni, Layout::biased(Q8_0, 8), avx_vnni::vex::gemm{false}, tiles 4 3 2;
    "gemm-q4_0-avx_vnni", AvxVnni, Layout::biased(Q4_0, 8), avx_vnni::vex::gemm{true}, tiles 4 3 2;
    "gemm-f32-avx512", Avx512, Layout::biased(F32, 16), avx512::float::gemm{false}, tiles 12 8 6;
    "gemm-bf16-avx512", Avx512, Layout::biased(Bf16, 16), avx512::float::gemm{true}, tiles 12 8 6;
    "gemm-q8_0-avx512", Avx512, Layout::biased(Q8_0, 16), avx512::quantised::gemm{false}, tiles 8 16 12;
    "gemm-q4_0-avx512", Avx512, Layout::biased(Q4_0, 16), avx512::quantised::gemm{true}, tiles 8 16 12;
    "gemm-bf16-avx512_bf16", Avx512Bf16, Layout::biased(Bf16, 16), avx512::float::gemm_rounded{}, tiles 12 8 6;
}
neon {
    "gemm-f32-neon", Neon F32, float gemm OfF32;
    "gemm-f16-neon", Neon F16, float gemm OfF16;
    "gemm-bf16-neon", Neon Bf16, float gemm OfBf16;
    "gemm-q8_0-neon", Neon Q8_0, widened gemm false;
    "gemm-q4_0-neon", Neon Q4_0, widened gemm true;
    "gemm-q4_k-neon", Neon Q4K, widened k_gemm false;
    "gemm-q6_k-neon", Neon Q6K, widened k_gemm true;
    "gemm-q8_0-neon_dotprod", NeonDotprod Q8_0, dot gemm false;
    "gemm-q4_0-neon_dotprod", NeonDotprod Q4_0, dot gemm true;
    "gemm-q4_k-neon_dotprod", NeonDotprod Q4K, dot k_gemm false;
    "gemm-q6_k-neon_dotprod", NeonDotprod Q6K, dot k_gemm true;
    "gemm-q8_0-neon_i8mm", NeonI8mm Q8_0, matrix gemm false;
    "gemm-q4_0-neon_i8mm", NeonI8mm Q4_0, matrix gemm true;
    "gemm-q4_k-neon_i8mm", NeonI8mm Q4K, matrix k_gemm false;
    "gemm-q6_k-neon_i8mm", NeonI8mm Q6K, matrix k_gemm true;
} };
