//! Multiply-adds in 256-bit (`ymm`) and 512-bit (`zmm`) vectors. Registers 0 to 11 hold sums and temporaries, 12 to 14
//! operands.

use super::PeakLoop;
use crate::isa::Isa;
use std::arch::asm;
use std::arch::x86_64::*;

/// 1.0 in each f64, f32 and bf16 of 64 bits; 1 in each int8 and int16.
const ONE_F64: u64 = 0x3FF0_0000_0000_0000;
const ONE_F32: u64 = 0x3F80_0000_3F80_0000;
const ONE_BF16: u64 = 0x3F80_3F80_3F80_3F80;
const ONE_INT8: u64 = 0x0101_0101_0101_0101;
const ONE_INT16: u64 = 0x0001_0001_0001_0001;
/// The upper half of each 32 bits: the odd one of two bf16, as f32.
const UPPER: u64 = 0xFFFF_0000_FFFF_0000;

macro_rules! run_ymm {
    ($iterations:ident, $sums:ident, $operands:ident, $body:expr) => {
        asm!(
            "2:",
            $body,
            "dec {iterations}",
            "jnz 2b",
            iterations = inout(reg) $iterations => _,
            inout("ymm0") $sums[0], inout("ymm1") $sums[1], inout("ymm2") $sums[2], inout("ymm3") $sums[3],
            inout("ymm4") $sums[4], inout("ymm5") $sums[5], inout("ymm6") $sums[6], inout("ymm7") $sums[7],
            inout("ymm8") $sums[8], inout("ymm9") $sums[9], inout("ymm10") $sums[10], inout("ymm11") $sums[11],
            in("ymm12") $operands[0], in("ymm13") $operands[1], in("ymm14") $operands[2],
            options(nomem, nostack),
        )
    };
}

macro_rules! run_zmm {
    ($iterations:ident, $sums:ident, $operands:ident, $body:expr) => {
        asm!(
            "2:",
            $body,
            "dec {iterations}",
            "jnz 2b",
            iterations = inout(reg) $iterations => _,
            inout("zmm0") $sums[0], inout("zmm1") $sums[1], inout("zmm2") $sums[2], inout("zmm3") $sums[3],
            inout("zmm4") $sums[4], inout("zmm5") $sums[5], inout("zmm6") $sums[6], inout("zmm7") $sums[7],
            inout("zmm8") $sums[8], inout("zmm9") $sums[9], inout("zmm10") $sums[10], inout("zmm11") $sums[11],
            in("zmm12") $operands[0], in("zmm13") $operands[1], in("zmm14") $operands[2],
            options(nomem, nostack),
        )
    };
}

/// A loop of `$run` over `$body`; the accumulators are the registers `$sums`, lanes of `$element`.
macro_rules! peak {
    (
        $name:ident, $function:ident: $type:literal, $sequence:literal, $isa:ident needs $tier:literal,
        $operations:expr, four_bit_only $four_bit_only:literal,
        sums $sums:expr, [$element:ident; $lanes:literal], $set:ident $operands:expr, $run:ident $body:expr
    ) => {
        pub(super) const $name: PeakLoop = PeakLoop {
            type_name: $type,
            isa: Isa::$isa,
            sequence: $sequence,
            four_bit_only: $four_bit_only,
            operations: $operations,
            run: $function,
        };

        #[target_feature(enable = $tier)]
        fn $function(iterations: u64) -> f64 {
            let operands: [u64; 3] = $operands;
            let operands = operands.map(|bits| $set(bits.cast_signed()));
            let mut sums = [$set(0); 12];
            // SAFETY: touches only the registers it names, and `iterations` is at least 1.
            unsafe { $run!(iterations, sums, operands, $body) };
            let mut total = 0.0;
            for sum in &sums[$sums] {
                // SAFETY: plain vectors of the same size.
                let lanes: [$element; $lanes] = unsafe { std::mem::transmute_copy(sum) };
                total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
            }
            total
        }
    };
}

/// One instruction on each of 12 sums, factors in registers 12 and 13.
macro_rules! twelve {
    ($instruction:literal, $r:literal) => {
        concat!(
            twelve!(@ $instruction, $r, "0"), twelve!(@ $instruction, $r, "1"), twelve!(@ $instruction, $r, "2"),
            twelve!(@ $instruction, $r, "3"), twelve!(@ $instruction, $r, "4"), twelve!(@ $instruction, $r, "5"),
            twelve!(@ $instruction, $r, "6"), twelve!(@ $instruction, $r, "7"), twelve!(@ $instruction, $r, "8"),
            twelve!(@ $instruction, $r, "9"), twelve!(@ $instruction, $r, "10"), twelve!(@ $instruction, $r, "11")
        )
    };
    (@ $instruction:literal, $r:literal, $sum:literal) => {
        concat!($instruction, " ", $r, $sum, ", ", $r, "12, ", $r, "13\n")
    };
}

/// bf16 weights (register 12) widened by shift and mask, then two fused multiply-adds: 5 groups, 10 sums.
macro_rules! widened_bf16 {
    ($and:literal, $r:literal) => {
        concat!(
            widened_bf16!(@ $and, $r, "0", "1"), widened_bf16!(@ $and, $r, "2", "3"),
            widened_bf16!(@ $and, $r, "4", "5"), widened_bf16!(@ $and, $r, "6", "7"),
            widened_bf16!(@ $and, $r, "8", "9")
        )
    };
    (@ $and:literal, $r:literal, $even:literal, $odd:literal) => {
        concat!(
            "vpslld ", $r, "10, ", $r, "12, 16\n",
            $and, " ", $r, "11, ", $r, "12, ", $r, "14\n",
            "vfmadd231ps ", $r, $even, ", ", $r, "10, ", $r, "13\n",
            "vfmadd231ps ", $r, $odd, ", ", $r, "11, ", $r, "13\n"
        )
    };
}

/// Products in pairs to 16 bits, pairs of those to 32, then the sum: 6 groups.
macro_rules! widened_int8 {
    () => {
        concat!(
            widened_int8!(@ "0", "6"), widened_int8!(@ "1", "7"), widened_int8!(@ "2", "8"),
            widened_int8!(@ "3", "9"), widened_int8!(@ "4", "10"), widened_int8!(@ "5", "11")
        )
    };
    (@ $sum:literal, $product:literal) => {
        concat!(
            "vpmaddubsw ymm", $product, ", ymm12, ymm12\n",
            "vpmaddwd ymm", $product, ", ymm", $product, ", ymm13\n",
            "vpaddd ymm", $sum, ", ymm", $sum, ", ymm", $product, "\n"
        )
    };
}

/// Products in pairs, summed in 16 bits over 8 steps, then widened once: 4 chains.
macro_rules! short_int8 {
    () => {
        concat!(
            "vpmaddubsw ymm0, ymm12, ymm12\nvpmaddubsw ymm1, ymm12, ymm12\n",
            "vpmaddubsw ymm2, ymm12, ymm12\nvpmaddubsw ymm3, ymm12, ymm12\n",
            short_int8!(@step), short_int8!(@step), short_int8!(@step), short_int8!(@step), short_int8!(@step),
            short_int8!(@step), short_int8!(@step),
            short_int8!(@widen "0", "8"), short_int8!(@widen "1", "9"), short_int8!(@widen "2", "10"),
            short_int8!(@widen "3", "11")
        )
    };
    (@step) => {
        concat!(
            "vpmaddubsw ymm4, ymm12, ymm12\nvpaddw ymm0, ymm0, ymm4\n",
            "vpmaddubsw ymm5, ymm12, ymm12\nvpaddw ymm1, ymm1, ymm5\n",
            "vpmaddubsw ymm6, ymm12, ymm12\nvpaddw ymm2, ymm2, ymm6\n",
            "vpmaddubsw ymm7, ymm12, ymm12\nvpaddw ymm3, ymm3, ymm7\n"
        )
    };
    (@widen $short:literal, $sum:literal) => {
        concat!(
            "vpmaddwd ymm4, ymm", $short, ", ymm13\n",
            "vpaddd ymm", $sum, ", ymm", $sum, ", ymm4\n"
        )
    };
}

peak! {
    F32_YMM, f32_ymm: "f32", "fma_ymm", Avx2 needs "avx2,fma", 2 * 12 * 8, four_bit_only false,
    sums ..12, [f32; 8], _mm256_set1_epi64x [ONE_F32, ONE_F32, 0], run_ymm twelve!("vfmadd231ps", "ymm")
}
peak! {
    F64_YMM, f64_ymm: "f64", "fma_ymm", Avx2 needs "avx2,fma", 2 * 12 * 4, four_bit_only false,
    sums ..12, [f64; 4], _mm256_set1_epi64x [ONE_F64, ONE_F64, 0], run_ymm twelve!("vfmadd231pd", "ymm")
}
peak! {
    BF16_WIDENED_YMM, bf16_widened_ymm: "bf16", "shift_mask_fma_ymm", Avx2 needs "avx2,fma", 2 * 10 * 8,
    four_bit_only false, sums ..10, [f32; 8], _mm256_set1_epi64x [ONE_BF16, ONE_F32, UPPER],
    run_ymm widened_bf16!("vpand", "ymm")
}
peak! {
    INT8_WIDENED_YMM, int8_widened_ymm: "int8", "vpmaddubsw_vpmaddwd_vpaddd_ymm", Avx2 needs "avx2,fma", 2 * 6 * 32,
    four_bit_only false, sums ..6, [i32; 8], _mm256_set1_epi64x [ONE_INT8, ONE_INT16, 0], run_ymm widened_int8!()
}
peak! {
    INT8_SHORT_YMM, int8_short_ymm: "int8", "vpmaddubsw_vpaddw_ymm", Avx2 needs "avx2,fma", 2 * 4 * 8 * 32,
    four_bit_only true, sums 8..12, [i32; 8], _mm256_set1_epi64x [ONE_INT8, ONE_INT16, 0], run_ymm short_int8!()
}
peak! {
    INT8_VNNI_VEX, int8_vnni_vex: "int8", "vpdpbusd_ymm", AvxVnni needs "avx2,fma,avxvnni", 2 * 12 * 32,
    four_bit_only false, sums ..12, [i32; 8], _mm256_set1_epi64x [ONE_INT8, ONE_INT8, 0],
    run_ymm twelve!("{{vex}} vpdpbusd", "ymm")
}
peak! {
    INT8_VNNI_YMM, int8_vnni_ymm: "int8", "vpdpbusd_ymm", Avx512 needs "avx2,fma,avx512f,avx512vl,avx512vnni",
    2 * 12 * 32, four_bit_only false, sums ..12, [i32; 8], _mm256_set1_epi64x [ONE_INT8, ONE_INT8, 0],
    run_ymm twelve!("{{evex}} vpdpbusd", "ymm")
}
peak! {
    INT8_VNNI_ZMM, int8_vnni_zmm: "int8", "vpdpbusd_zmm", Avx512 needs "avx512f,avx512vnni", 2 * 12 * 64,
    four_bit_only false, sums ..12, [i32; 16], _mm512_set1_epi64 [ONE_INT8, ONE_INT8, 0],
    run_zmm twelve!("vpdpbusd", "zmm")
}
peak! {
    F32_ZMM, f32_zmm: "f32", "fma_zmm", Avx512 needs "avx512f", 2 * 12 * 16, four_bit_only false,
    sums ..12, [f32; 16], _mm512_set1_epi64 [ONE_F32, ONE_F32, 0], run_zmm twelve!("vfmadd231ps", "zmm")
}
peak! {
    F64_ZMM, f64_zmm: "f64", "fma_zmm", Avx512 needs "avx512f", 2 * 12 * 8, four_bit_only false,
    sums ..12, [f64; 8], _mm512_set1_epi64 [ONE_F64, ONE_F64, 0], run_zmm twelve!("vfmadd231pd", "zmm")
}
peak! {
    BF16_WIDENED_ZMM, bf16_widened_zmm: "bf16", "shift_mask_fma_zmm", Avx512 needs "avx512f", 2 * 10 * 16,
    four_bit_only false, sums ..10, [f32; 16], _mm512_set1_epi64 [ONE_BF16, ONE_F32, UPPER],
    run_zmm widened_bf16!("vpandd", "zmm")
}
peak! {
    BF16_YMM, bf16_ymm: "bf16", "vdpbf16ps_ymm", Avx512Bf16 needs "avx2,fma,avx512f,avx512vl,avx512bf16",
    2 * 12 * 16, four_bit_only false, sums ..12, [f32; 8], _mm256_set1_epi64x [ONE_BF16, ONE_BF16, 0],
    run_ymm twelve!("vdpbf16ps", "ymm")
}
peak! {
    BF16_ZMM, bf16_zmm: "bf16", "vdpbf16ps_zmm", Avx512Bf16 needs "avx512f,avx512bf16", 2 * 12 * 32,
    four_bit_only false, sums ..12, [f32; 16], _mm512_set1_epi64 [ONE_BF16, ONE_BF16, 0],
    run_zmm twelve!("vdpbf16ps", "zmm")
}
