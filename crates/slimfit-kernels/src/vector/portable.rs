//! Eight f32 in whatever vectors the architecture's baseline has: two of SSE2, two of Advanced SIMD.

use super::Tier;
use half::f16;
use wide::{bytemuck::cast, f32x8, i32x8, u16x8, u32x8};

/// The baseline; always there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Widens half precision in plain arithmetic: exponents are rebased by a product with 2¹¹², which is exact for
/// subnormal numbers too, and the exponent of infinities and of what is no number is set again.
#[inline(always)]
fn widen(bits: [u16; 8]) -> f32x8 {
    let bits = u32x8::from(u16x8::new(bits));
    let magnitude: u32x8 = (bits & u32x8::splat(0x7FFF)) << 13;
    let sign: u32x8 = (bits & u32x8::splat(0x8000)) << 16;
    let rebased: f32x8 = cast::<u32x8, f32x8>(magnitude) * f32x8::splat(f32::from_bits(0x7780_0000));
    // Signed comparison serves: a magnitude has no bit 31.
    let special = cast::<u32x8, i32x8>(magnitude).simd_gt(i32x8::splat(0x0F7F_FFFF));
    let special = cast::<i32x8, u32x8>(special) & u32x8::splat(0x7F80_0000);
    cast(cast::<f32x8, u32x8>(rebased) | special | sign)
}

impl Tier for Portable {
    type Vector = f32x8;
    type Narrow = Self;
    const LANES: usize = 8;
    /// A vector is two registers; SSE2 has 16 of them, Advanced SIMD 32.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 2 } else { 1 };

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }

    #[inline(always)]
    fn splat(self, value: f32) -> f32x8 {
        f32x8::splat(value)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> f32x8 {
        // SAFETY: the caller's promise.
        f32x8::new(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> f32x8 {
        let mut lanes = [0.0; 8];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            *value = unsafe { from.add(lane).read() };
        }
        f32x8::new(lanes)
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: f32x8) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 8]>().write(vector.to_array()) };
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, vector: f32x8, count: usize) {
        for (lane, value) in vector.to_array().into_iter().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            unsafe { to.add(lane).write(value) };
        }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> f32x8 {
        // SAFETY: the caller's promise.
        widen(unsafe { from.cast::<[u16; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_f16_first(self, from: *const u16, count: usize) -> f32x8 {
        let mut lanes = [0; 8];
        for (lane, value) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `lane` is below `count`, the caller's promise.
            *value = unsafe { from.add(lane).read() };
        }
        widen(lanes)
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> f32x8 {
        // SAFETY: the caller's promise.
        f32x8::from(unsafe { from.cast::<[i8; 8]>().read_unaligned() }.map(f32::from))
    }

    #[inline(always)]
    unsafe fn store_f16(self, to: *mut u16, vector: f32x8) {
        let halves = vector.to_array().map(|value| f16::from_f32(value).to_bits());
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u16; 8]>().write(halves) };
    }

    #[inline(always)]
    fn add(self, a: f32x8, b: f32x8) -> f32x8 {
        a + b
    }

    #[inline(always)]
    fn sub(self, a: f32x8, b: f32x8) -> f32x8 {
        a - b
    }

    #[inline(always)]
    fn mul(self, a: f32x8, b: f32x8) -> f32x8 {
        a * b
    }

    #[inline(always)]
    fn div(self, a: f32x8, b: f32x8) -> f32x8 {
        a / b
    }

    #[inline(always)]
    fn fma(self, a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn max(self, a: f32x8, b: f32x8) -> f32x8 {
        b.simd_lt(a).select(a, b)
    }

    #[inline(always)]
    fn min(self, a: f32x8, b: f32x8) -> f32x8 {
        a.simd_lt(b).select(a, b)
    }

    #[inline(always)]
    fn round(self, a: f32x8) -> f32x8 {
        // Adding and taking off 1.5 · 2²³ leaves no bit for a fraction; |a| is below 2²² wherever this is used.
        let magic = f32x8::splat(12_582_912.0);
        (a + magic) - magic
    }

    #[inline(always)]
    fn power_of_two(self, n: f32x8) -> f32x8 {
        f32x8::new(n.to_array().map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32)))
    }

    #[inline(always)]
    fn zero_below(self, value: f32x8, x: f32x8, limit: f32x8) -> f32x8 {
        x.simd_lt(limit).select(f32x8::ZERO, value)
    }

    #[inline(always)]
    fn sum(self, a: f32x8) -> f32 {
        let [a, b, c, d, e, f, g, h] = a.to_array();
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }

    #[inline(always)]
    fn largest(self, a: f32x8) -> f32 {
        let mut largest = f32::NEG_INFINITY;
        for lane in a.to_array() {
            largest = largest.max(lane);
        }
        largest
    }

    #[inline(always)]
    fn sum_each(self, a: [f32x8; 4]) -> [f32; 4] {
        [self.sum(a[0]), self.sum(a[1]), self.sum(a[2]), self.sum(a[3])]
    }
}
