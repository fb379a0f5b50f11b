//! Multiply-adds in plain Rust: multiply, then add, in whatever vectors the architecture's baseline has.

use super::PeakLoop;
use crate::isa::Isa;
use std::hint::black_box;
use wide::{i8x16, i16x16, i32x8};

/// Vectors of 128 bits that hold independent sums, of the 16 registers that the poorest baseline has.
const VECTORS: usize = 8;
/// Steps between two looks at the operands by `black_box`.
const STEPS: usize = 16;

macro_rules! float {
    ($name:ident, $function:ident, $type:ident) => {
        pub(super) const $name: PeakLoop = PeakLoop {
            type_name: stringify!($type),
            isa: Isa::Portable,
            sequence: "multiply_add",
            four_bit_only: false,
            operations: (2 * VECTORS * 16 / size_of::<$type>() * STEPS) as u64,
            run: $function,
        };

        fn $function(iterations: u64) -> f64 {
            let mut sums = [0.0; VECTORS * 16 / size_of::<$type>()];
            for _ in 0..iterations {
                let (factor, addend): ($type, $type) = black_box((1.0, 1.0));
                for _ in 0..STEPS {
                    // The product needs the sum before it, so it cannot be hoisted.
                    for sum in &mut sums {
                        *sum = *sum * factor + addend;
                    }
                }
            }
            sums.iter().map(|&sum| f64::from(sum)).sum()
        }
    };
}

float!(F32, f32_sums, f32);
float!(F64, f64_sums, f64);

pub(super) const INT8: PeakLoop = PeakLoop {
    type_name: "int8",
    isa: Isa::Portable,
    sequence: "widen_dot",
    four_bit_only: false,
    operations: 2 * (GROUPS * 16) as u64,
    run: int8_sums,
};

/// Vectors of 16 int8 in one iteration.
const GROUPS: usize = 32;

fn int8_sums(iterations: u64) -> f64 {
    let mut sums = [i32x8::ZERO; 4];
    for _ in 0..iterations {
        for _ in 0..GROUPS / 4 {
            let (left, right) = black_box((i8x16::ONE, i8x16::ONE));
            for sum in &mut sums {
                *sum += i16x16::from(left).dot(i16x16::from(black_box(right)));
            }
        }
    }
    sums.iter().flat_map(|sum| sum.to_array()).map(f64::from).sum()
}
