//! Peak multiply-add rates: operands in registers, enough independent sums to hide the latency of the instructions,
//! in assembly, so that nothing is folded or hoisted. A multiply-add counts 2.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::isa::Isa;

/// A loop of multiply-adds.
pub struct PeakLoop {
    /// `f32`, `f64`, `bf16` or `int8`: the type of the factors. bf16 sums in f32, int8 in i32.
    pub type_name: &'static str,
    /// The tier it needs.
    pub isa: Isa,
    /// The instructions, and their width where there is a choice.
    pub sequence: &'static str,
    /// Products are first summed in 16 bits over 8 steps, which holds only where one factor has 4 bits: the peak of
    /// 4-bit weights, not of int8.
    pub four_bit_only: bool,
    /// Operations of one iteration.
    pub operations: u64,
    run: unsafe fn(u64) -> f64,
}

/// What a peak loop did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakRun {
    /// Operations done; a multiply-add is 2.
    pub operations: u64,
    /// Sum of all accumulators. All factors are ones, so this is the number of multiply-adds, as long as sums are
    /// exact: below 2²⁴ in a lane of f32, below 2³¹ in one of i32.
    pub checksum: f64,
}

impl PeakLoop {
    /// `peak-<type>-<isa>-<sequence>`.
    pub fn name(&self) -> String {
        format!("peak-{}-{}-{}", self.type_name, self.isa, self.sequence)
    }

    /// Runs the loop; some 4 to 12 cycles an iteration.
    ///
    /// # Panics
    /// When this machine lacks the loop's tier.
    pub fn run(&self, iterations: u64) -> PeakRun {
        assert!(self.isa.is_available(), "`{}` needs `{}`", self.name(), self.isa);
        // Counters in assembly are tested after the body.
        let iterations = iterations.max(1);
        // SAFETY: the tier's features are there.
        let checksum = unsafe { (self.run)(iterations) };
        PeakRun { operations: iterations * self.operations, checksum }
    }
}

/// Every peak loop of this architecture.
#[cfg(target_arch = "x86_64")]
pub const PEAKS: &[PeakLoop] = &[
    portable::F32,
    portable::F64,
    portable::INT8,
    x86::F32_YMM,
    x86::F64_YMM,
    x86::BF16_WIDENED_YMM,
    x86::INT8_WIDENED_YMM,
    x86::INT8_SHORT_YMM,
    x86::INT8_VNNI_VEX,
    x86::F32_ZMM,
    x86::F64_ZMM,
    x86::BF16_WIDENED_ZMM,
    x86::INT8_VNNI_YMM,
    x86::INT8_VNNI_ZMM,
    x86::BF16_YMM,
    x86::BF16_ZMM,
];

/// Every peak loop of this architecture.
#[cfg(target_arch = "aarch64")]
pub const PEAKS: &[PeakLoop] = &[
    portable::F32,
    portable::F64,
    portable::INT8,
    neon::F32,
    neon::F64,
    neon::BF16_WIDENED,
    neon::INT8_WIDENED,
    neon::INT8_SHORT,
    neon::INT8_DOT,
    neon::INT8_MATRIX,
    neon::BF16_DOT,
    neon::BF16_MATRIX,
];

/// Every peak loop of this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const PEAKS: &[PeakLoop] = &[portable::F32, portable::F64, portable::INT8];
