//! Multiply-adds in 128-bit Advanced SIMD vectors: 16 sums, since some cores start four a cycle with a latency of four.
//! Registers 0 to 15 hold sums, 16 to 18 operands, 19 to 22 temporaries.

use super::PeakLoop;
use crate::isa::Isa;
use std::arch::aarch64::*;
use std::arch::asm;

/// 1.0 in each f64, f32 and bf16 of 64 bits; 1 in each int8.
const ONE_F64: u64 = 0x3FF0_0000_0000_0000;
const ONE_F32: u64 = 0x3F80_0000_3F80_0000;
const ONE_BF16: u64 = 0x3F80_3F80_3F80_3F80;
const ONE_INT8: u64 = 0x0101_0101_0101_0101;
/// The upper half of each 32 bits: the odd one of two bf16, as f32.
const UPPER: u64 = 0xFFFF_0000_FFFF_0000;

macro_rules! peak {
    (
        $name:ident, $function:ident: $type:literal, $sequence:literal, $isa:ident needs $tier:literal,
        $operations:expr, four_bit_only $four_bit_only:literal, sums $sums:expr, [$element:ident; $lanes:literal], $operands:expr, $body:expr
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
            let operands = operands.map(|bits| vdupq_n_u64(bits));
            let mut sums = [vdupq_n_u64(0); 16];
            // SAFETY: touches only the registers it names, and `iterations` is at least 1.
            unsafe {
                asm!(
                    "2:",
                    $body,
                    "subs {iterations}, {iterations}, #1",
                    "b.ne 2b",
                    iterations = inout(reg) iterations => _,
                    inout("v0") sums[0], inout("v1") sums[1], inout("v2") sums[2], inout("v3") sums[3],
                    inout("v4") sums[4], inout("v5") sums[5], inout("v6") sums[6], inout("v7") sums[7],
                    inout("v8") sums[8], inout("v9") sums[9], inout("v10") sums[10], inout("v11") sums[11],
                    inout("v12") sums[12], inout("v13") sums[13], inout("v14") sums[14], inout("v15") sums[15],
                    in("v16") operands[0], in("v17") operands[1], in("v18") operands[2],
                    out("v19") _, out("v20") _, out("v21") _, out("v22") _,
                    options(nomem, nostack),
                );
            }
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

/// One instruction on each of 16 sums.
macro_rules! sixteen {
    ($instruction:literal, $sum:literal, $factor:literal) => {
        concat!(
            sixteen!(@ $instruction, "0", $sum, $factor), sixteen!(@ $instruction, "1", $sum, $factor),
            sixteen!(@ $instruction, "2", $sum, $factor), sixteen!(@ $instruction, "3", $sum, $factor),
            sixteen!(@ $instruction, "4", $sum, $factor), sixteen!(@ $instruction, "5", $sum, $factor),
            sixteen!(@ $instruction, "6", $sum, $factor), sixteen!(@ $instruction, "7", $sum, $factor),
            sixteen!(@ $instruction, "8", $sum, $factor), sixteen!(@ $instruction, "9", $sum, $factor),
            sixteen!(@ $instruction, "10", $sum, $factor), sixteen!(@ $instruction, "11", $sum, $factor),
            sixteen!(@ $instruction, "12", $sum, $factor), sixteen!(@ $instruction, "13", $sum, $factor),
            sixteen!(@ $instruction, "14", $sum, $factor), sixteen!(@ $instruction, "15", $sum, $factor)
        )
    };
    (@ $instruction:literal, $register:literal, $sum:literal, $factor:literal) => {
        concat!($instruction, " v", $register, $sum, ", v16", $factor, ", v17", $factor, "\n")
    };
}

/// bf16 weights widened by shift and mask, then two fused multiply-adds: 8 groups.
macro_rules! widened_bf16 {
    () => {
        concat!(
            widened_bf16!(@ "0", "1"), widened_bf16!(@ "2", "3"), widened_bf16!(@ "4", "5"),
            widened_bf16!(@ "6", "7"), widened_bf16!(@ "8", "9"), widened_bf16!(@ "10", "11"),
            widened_bf16!(@ "12", "13"), widened_bf16!(@ "14", "15")
        )
    };
    (@ $even:literal, $odd:literal) => {
        concat!(
            "shl v19.4s, v16.4s, #16\n",
            "and v20.16b, v16.16b, v18.16b\n",
            "fmla v", $even, ".4s, v19.4s, v17.4s\n",
            "fmla v", $odd, ".4s, v20.4s, v17.4s\n"
        )
    };
}

/// Products to 16 bits, the other half's added, then pairs added to 32: 16 groups of 16 products.
macro_rules! widened_int8 {
    () => {
        concat!(
            widened_int8!(@ "0", "19"), widened_int8!(@ "1", "20"), widened_int8!(@ "2", "21"),
            widened_int8!(@ "3", "22"), widened_int8!(@ "4", "19"), widened_int8!(@ "5", "20"),
            widened_int8!(@ "6", "21"), widened_int8!(@ "7", "22"), widened_int8!(@ "8", "19"),
            widened_int8!(@ "9", "20"), widened_int8!(@ "10", "21"), widened_int8!(@ "11", "22"),
            widened_int8!(@ "12", "19"), widened_int8!(@ "13", "20"), widened_int8!(@ "14", "21"),
            widened_int8!(@ "15", "22")
        )
    };
    (@ $sum:literal, $product:literal) => {
        concat!(
            "smull v", $product, ".8h, v16.8b, v17.8b\n",
            "smlal2 v", $product, ".8h, v16.16b, v17.16b\n",
            "sadalp v", $sum, ".4s, v", $product, ".8h\n"
        )
    };
}

/// Products of 8 steps summed in 16 bits, then widened once: 16 groups of 8 by 8 products.
macro_rules! short_int8 {
    () => {
        concat!(
            short_int8!(@ "0", "19"), short_int8!(@ "1", "20"), short_int8!(@ "2", "21"), short_int8!(@ "3", "22"),
            short_int8!(@ "4", "19"), short_int8!(@ "5", "20"), short_int8!(@ "6", "21"), short_int8!(@ "7", "22"),
            short_int8!(@ "8", "19"), short_int8!(@ "9", "20"), short_int8!(@ "10", "21"), short_int8!(@ "11", "22"),
            short_int8!(@ "12", "19"), short_int8!(@ "13", "20"), short_int8!(@ "14", "21"), short_int8!(@ "15", "22")
        )
    };
    (@ $sum:literal, $product:literal) => {
        concat!(
            "smull v", $product, ".8h, v16.8b, v17.8b\n",
            short_int8!(@step $product), short_int8!(@step $product), short_int8!(@step $product),
            "smlal2 v", $product, ".8h, v16.16b, v17.16b\n",
            "sadalp v", $sum, ".4s, v", $product, ".8h\n"
        )
    };
    (@step $product:literal) => {
        concat!(
            "smlal2 v", $product, ".8h, v16.16b, v17.16b\n",
            "smlal v", $product, ".8h, v16.8b, v17.8b\n"
        )
    };
}

peak! {
    F32, f32_sums: "f32", "fmla", Neon needs "neon", 2 * 16 * 4,
    four_bit_only false, sums ..16, [f32; 4],
    [ONE_F32, ONE_F32, 0], sixteen!("fmla", ".4s", ".4s")
}
peak! {
    F64, f64_sums: "f64", "fmla", Neon needs "neon", 2 * 16 * 2,
    four_bit_only false, sums ..16, [f64; 2],
    [ONE_F64, ONE_F64, 0], sixteen!("fmla", ".2d", ".2d")
}
peak! {
    BF16_WIDENED, bf16_widened: "bf16", "shift_mask_fmla", Neon needs "neon", 2 * 16 * 4,
    four_bit_only false, sums ..16, [f32; 4],
    [ONE_BF16, ONE_F32, UPPER], widened_bf16!()
}
peak! {
    INT8_WIDENED, int8_widened: "int8", "smull_smlal_sadalp", Neon needs "neon", 2 * 16 * 16,
    four_bit_only false, sums ..16, [i32; 4],
    [ONE_INT8, ONE_INT8, 0], widened_int8!()
}
peak! {
    INT8_DOT, int8_dot: "int8", "sdot", NeonDotprod needs "neon,dotprod", 2 * 16 * 16,
    four_bit_only false, sums ..16, [i32; 4],
    [ONE_INT8, ONE_INT8, 0], sixteen!("sdot", ".4s", ".16b")
}
peak! {
    INT8_MATRIX, int8_matrix: "int8", "smmla", NeonI8mm needs "neon,dotprod,i8mm", 2 * 16 * 32,
    four_bit_only false, sums ..16, [i32; 4],
    [ONE_INT8, ONE_INT8, 0], sixteen!("smmla", ".4s", ".16b")
}
peak! {
    INT8_SHORT, int8_short: "int8", "smull_smlal_short", Neon needs "neon", 2 * 16 * 64,
    four_bit_only true, sums ..16, [i32; 4], [ONE_INT8, ONE_INT8, 0], short_int8!()
}
peak! {
    BF16_DOT, bf16_dot: "bf16", "bfdot", NeonBf16 needs "neon,bf16", 2 * 16 * 8,
    four_bit_only false, sums ..16, [f32; 4], [ONE_BF16, ONE_BF16, 0], sixteen!("bfdot", ".4s", ".8h")
}
peak! {
    BF16_MATRIX, bf16_matrix: "bf16", "bfmmla", NeonBf16 needs "neon,bf16", 2 * 16 * 16,
    four_bit_only false, sums ..16, [f32; 4], [ONE_BF16, ONE_BF16, 0], sixteen!("bfmmla", ".4s", ".8h")
}
