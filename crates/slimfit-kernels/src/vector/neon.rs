//! Four f32 in a 128-bit register of Advanced SIMD, with fused multiply-add and half precision conversion, which every
//! AArch64 has.

use super::Tier;
use std::arch::aarch64::*;
use std::arch::asm;

/// Advanced SIMD is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// # Safety
    /// The CPU has Advanced SIMD.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY of every block below: `self` exists only where Advanced SIMD is there; memory is the caller's promise.
impl Tier for Neon {
    type Vector = float32x4_t;
    type Narrow = Self;
    const LANES: usize = 4;
    /// 16 sums of 32 registers.
    const ROWS: usize = 4;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    fn fetch(self, address: *const u8) {
        // SAFETY: an address that is not mapped does no harm.
        unsafe {
            asm!("prfm pldl2keep, [{0}]", in(reg) address, options(nostack, readonly, preserves_flags))
        };
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            *value = unsafe { from.add(lane).read() };
        }
        // SAFETY: see above; 4 values lie there.
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, vector) };
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, vector: float32x4_t, count: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: see above; there is room for 4.
        unsafe { vst1q_f32(lanes.as_mut_ptr(), vector) };
        for (lane, value) in lanes.into_iter().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            unsafe { to.add(lane).write(value) };
        }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from))) }
    }

    #[inline(always)]
    unsafe fn load_f16_first(self, from: *const u16, count: usize) -> float32x4_t {
        let mut halves = [0_u16; 4];
        for (lane, half) in halves.iter_mut().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            *half = unsafe { from.add(lane).read() };
        }
        // SAFETY: see above; 4 values lie there.
        unsafe { self.load_f16(halves.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> float32x4_t {
        // SAFETY: see above; exactly 4 bytes are read.
        unsafe {
            let bytes = vcreate_s8(u64::from(from.cast::<u32>().read_unaligned()));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))))
        }
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16, vector: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(vector))) };
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above. `fmax` would keep what is no number on either side.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    fn power_of_two(self, n: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn zero_below(self, value: float32x4_t, x: float32x4_t, limit: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), vcltq_f32(x, limit))) }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe { vmaxvq_f32(a) }
    }

    #[inline(always)]
    fn sum_each(self, [a, b, c, d]: [float32x4_t; 4]) -> [f32; 4] {
        let mut sums = [0.0; 4];
        // SAFETY: see above; there is room for 4.
        unsafe { vst1q_f32(sums.as_mut_ptr(), vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))) };
        sums
    }
}
