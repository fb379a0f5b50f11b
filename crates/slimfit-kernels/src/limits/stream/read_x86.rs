//! Reads in 256-bit and 512-bit vectors, in assembly: they bound what a first cache gives, and there each instruction
//! that a compiler adds, for an index that it keeps or a check that a build wants, takes the place of a load.

use super::{BLOCK, STRIDED_BLOCK, STRIDED_HEADS, STRIDED_ROW_BYTES, part_words, xor_bits};
use std::arch::asm;
use std::arch::x86_64::*;

/// Eight loads, each added to a sum of its own.
macro_rules! turn {
    ($xor:literal: $s0:literal $s1:literal $s2:literal $s3:literal $s4:literal $s5:literal $s6:literal $s7:literal) => {
        concat!(
            $xor,
            " {s0}, {s0}, [",
            $s0,
            "]\n",
            $xor,
            " {s1}, {s1}, [",
            $s1,
            "]\n",
            $xor,
            " {s2}, {s2}, [",
            $s2,
            "]\n",
            $xor,
            " {s3}, {s3}, [",
            $s3,
            "]\n",
            $xor,
            " {s4}, {s4}, [",
            $s4,
            "]\n",
            $xor,
            " {s5}, {s5}, [",
            $s5,
            "]\n",
            $xor,
            " {s6}, {s6}, [",
            $s6,
            "]\n",
            $xor,
            " {s7}, {s7}, [",
            $s7,
            "]\n"
        )
    };
}

/// A read of `$streams` parts at `$pointer`, `$step` bytes of each in a turn. `$range` says where `{at}` starts and ends: at
/// an address where there is one part, since some cores split a load with an index in two, else at an offset into all.
macro_rules! read {
    ($name:ident, $streams:literal, $tier:literal, $class:tt, $zero:ident, $fold:ident, $body:expr, $step:literal,
     $range:expr, [$($pointer:ident = $part:literal),*]) => {
        #[target_feature(enable = $tier)]
        pub(super) fn $name(buffer: &[f64], passes: usize) -> u64 {
            const { assert!((BLOCK * 8).is_multiple_of($step)) };
            let part = part_words::<$streams>(buffer.len());
            let (start, end): (usize, usize) = $range(buffer.as_ptr(), part);
            let (mut sums, mut rest) = ([$zero(); 8], 0);
            for _ in 0..passes {
                if part > 0 {
                    // SAFETY: reads `$streams` parts of the buffer and writes the registers it names. `part` is a multiple of
                    // `BLOCK` words, and so of a turn: one that starts inside a part ends in it.
                    unsafe {
                        asm!(
                            "2:",
                            $body,
                            concat!("add {at}, ", $step),
                            "cmp {at}, {end}",
                            "jb 2b",
                            at = inout(reg) start => _,
                            end = in(reg) end,
                            $($pointer = in(reg) buffer.as_ptr().add($part * part),)*
                            s0 = inout($class) sums[0], s1 = inout($class) sums[1],
                            s2 = inout($class) sums[2], s3 = inout($class) sums[3],
                            s4 = inout($class) sums[4], s5 = inout($class) sums[5],
                            s6 = inout($class) sums[6], s7 = inout($class) sums[7],
                            options(readonly, nostack),
                        );
                    }
                }
                rest ^= xor_bits(&buffer[$streams * part..]);
            }
            $fold(sums) ^ rest
        }
    };
}

fn addresses(first: *const f64, words: usize) -> (usize, usize) {
    (first.expose_provenance(), first.wrapping_add(words).expose_provenance())
}

fn offsets(_first: *const f64, words: usize) -> (usize, usize) {
    (0, 8 * words)
}

#[target_feature(enable = "avx2")]
fn fold_ymm(sums: [__m256i; 8]) -> u64 {
    let all = sums.into_iter().fold(_mm256_setzero_si256(), |all, sum| _mm256_xor_si256(all, sum));
    // SAFETY: plain values of the same size.
    let lanes: [u64; 4] = unsafe { std::mem::transmute(all) };
    lanes.into_iter().fold(0, |bits, lane| bits ^ lane)
}

#[target_feature(enable = "avx512f")]
fn fold_zmm(sums: [__m512i; 8]) -> u64 {
    let all = sums.into_iter().fold(_mm512_setzero_si512(), |all, sum| _mm512_xor_si512(all, sum));
    // SAFETY: plain values of the same size.
    let lanes: [u64; 8] = unsafe { std::mem::transmute(all) };
    lanes.into_iter().fold(0, |bits, lane| bits ^ lane)
}

read!(
    avx2_1,
    1,
    "avx2",
    ymm_reg,
    _mm256_setzero_si256,
    fold_ymm,
    turn!("vpxor": "{at}" "{at} + 32" "{at} + 64" "{at} + 96" "{at} + 128" "{at} + 160" "{at} + 192" "{at} + 224"),
    256,
    addresses,
    []
);
read!(
    avx2_2,
    2,
    "avx2",
    ymm_reg,
    _mm256_setzero_si256,
    fold_ymm,
    turn!("vpxor": "{p0} + {at}" "{p0} + {at} + 32" "{p0} + {at} + 64" "{p0} + {at} + 96"
        "{p1} + {at}" "{p1} + {at} + 32" "{p1} + {at} + 64" "{p1} + {at} + 96"),
    128,
    offsets,
    [p0 = 0, p1 = 1]
);
read!(
    avx2_4,
    4,
    "avx2",
    ymm_reg,
    _mm256_setzero_si256,
    fold_ymm,
    turn!("vpxor": "{p0} + {at}" "{p0} + {at} + 32" "{p1} + {at}" "{p1} + {at} + 32"
        "{p2} + {at}" "{p2} + {at} + 32" "{p3} + {at}" "{p3} + {at} + 32"),
    64,
    offsets,
    [p0 = 0, p1 = 1, p2 = 2, p3 = 3]
);
read!(
    avx2_8,
    8,
    "avx2",
    ymm_reg,
    _mm256_setzero_si256,
    fold_ymm,
    turn!("vpxor": "{p0} + {at}" "{p1} + {at}" "{p2} + {at}" "{p3} + {at}"
        "{p4} + {at}" "{p5} + {at}" "{p6} + {at}" "{p7} + {at}"),
    32,
    offsets,
    [p0 = 0, p1 = 1, p2 = 2, p3 = 3, p4 = 4, p5 = 5, p6 = 6, p7 = 7]
);
read!(
    avx512_1,
    1,
    "avx512f",
    zmm_reg,
    _mm512_setzero_si512,
    fold_zmm,
    turn!("vpxorq": "{at}" "{at} + 64" "{at} + 128" "{at} + 192" "{at} + 256" "{at} + 320" "{at} + 384" "{at} + 448"),
    512,
    addresses,
    []
);
read!(
    avx512_2,
    2,
    "avx512f",
    zmm_reg,
    _mm512_setzero_si512,
    fold_zmm,
    turn!("vpxorq": "{p0} + {at}" "{p0} + {at} + 64" "{p0} + {at} + 128" "{p0} + {at} + 192"
        "{p1} + {at}" "{p1} + {at} + 64" "{p1} + {at} + 128" "{p1} + {at} + 192"),
    256,
    offsets,
    [p0 = 0, p1 = 1]
);
read!(
    avx512_4,
    4,
    "avx512f",
    zmm_reg,
    _mm512_setzero_si512,
    fold_zmm,
    turn!("vpxorq": "{p0} + {at}" "{p0} + {at} + 64" "{p1} + {at}" "{p1} + {at} + 64"
        "{p2} + {at}" "{p2} + {at} + 64" "{p3} + {at}" "{p3} + {at} + 64"),
    128,
    offsets,
    [p0 = 0, p1 = 1, p2 = 2, p3 = 3]
);
read!(
    avx512_8,
    8,
    "avx512f",
    zmm_reg,
    _mm512_setzero_si512,
    fold_zmm,
    turn!("vpxorq": "{p0} + {at}" "{p1} + {at}" "{p2} + {at}" "{p3} + {at}"
        "{p4} + {at}" "{p5} + {at}" "{p6} + {at}" "{p7} + {at}"),
    64,
    offsets,
    [p0 = 0, p1 = 1, p2 = 2, p3 = 3, p4 = 4, p5 = 5, p6 = 6, p7 = 7]
);

/// Two rows of a head in a turn.
#[target_feature(enable = "avx2")]
pub(super) fn avx2_strided(buffer: &[f64], passes: usize) -> u64 {
    const { assert!(STRIDED_ROW_BYTES == 128 && STRIDED_HEADS == 4 && STRIDED_BLOCK == 128) };
    let (rows, rest) = buffer.split_at(buffer.len() / STRIDED_BLOCK * STRIDED_BLOCK);
    let (mut sums, mut left) = ([_mm256_setzero_si256(); 8], 0);
    for _ in 0..passes {
        for head in 0..if rows.is_empty() { 0 } else { STRIDED_HEADS } {
            // SAFETY: reads `rows` and writes the registers it names. Turns begin at a multiple of 1024 bytes, the block, from
            // the head's first row, which lies in the first block, so each ends in the block where it begins.
            unsafe {
                let first = rows.as_ptr().add(head * STRIDED_ROW_BYTES / 8);
                asm!(
                    "2:",
                    turn!("vpxor": "{at}" "{at} + 32" "{at} + 64" "{at} + 96"
                        "{at} + 512" "{at} + 544" "{at} + 576" "{at} + 608"),
                    "add {at}, 1024",
                    "cmp {at}, {end}",
                    "jb 2b",
                    at = inout(reg) first => _,
                    end = in(reg) rows.as_ptr_range().end,
                    s0 = inout(ymm_reg) sums[0], s1 = inout(ymm_reg) sums[1],
                    s2 = inout(ymm_reg) sums[2], s3 = inout(ymm_reg) sums[3],
                    s4 = inout(ymm_reg) sums[4], s5 = inout(ymm_reg) sums[5],
                    s6 = inout(ymm_reg) sums[6], s7 = inout(ymm_reg) sums[7],
                    options(readonly, nostack),
                );
            }
        }
        left ^= xor_bits(rest);
    }
    fold_ymm(sums) ^ left
}
