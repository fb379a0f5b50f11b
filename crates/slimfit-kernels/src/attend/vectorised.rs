//! Attention on vectors: which of the two ways, over which kind of cache.

use super::cached::Blocks;
use super::{AttendArgs, decode, prefill};
use crate::Part;
use crate::kv::KvFormat;
use crate::vector::Tier;

#[inline(always)]
pub(super) fn attend<T: Tier>(tier: T, args: &AttendArgs<'_>, part: Part) {
    match (args.tokens == 1, args.cache.format) {
        (true, KvFormat::F32) => decode::attend::<T, f32>(tier, args, part),
        (true, KvFormat::F16) => decode::attend::<T, u16>(tier, args, part),
        (true, KvFormat::Q8_0) => decode::attend::<T, Blocks>(tier, args, part),
        (false, KvFormat::F32) => prefill::attend::<T, f32>(tier, args, part),
        (false, KvFormat::F16) => prefill::attend::<T, u16>(tier, args, part),
        (false, KvFormat::Q8_0) => prefill::attend::<T, Blocks>(tier, args, part),
    }
}

/// A number of the cache: f32, or the bits of an f16.
pub(super) trait Element: Copy {
    /// Reads and widens a vector.
    ///
    /// # Safety
    /// `T::LANES` numbers lie at `from`.
    unsafe fn load<T: Tier>(tier: T, from: *const Self) -> T::Vector;

    /// Reads and widens the first `count` lanes, below `T::LANES`; the others are 0.
    ///
    /// # Safety
    /// `count` numbers lie at `from`.
    unsafe fn load_first<T: Tier>(tier: T, from: *const Self, count: usize) -> T::Vector;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<T: Tier>(tier: T, from: *const Self) -> T::Vector {
        // SAFETY: the caller's promise.
        unsafe { tier.load(from) }
    }

    #[inline(always)]
    unsafe fn load_first<T: Tier>(tier: T, from: *const Self, count: usize) -> T::Vector {
        // SAFETY: the caller's promise.
        unsafe { tier.load_first(from, count) }
    }
}

impl Element for u16 {
    #[inline(always)]
    unsafe fn load<T: Tier>(tier: T, from: *const Self) -> T::Vector {
        // SAFETY: the caller's promise.
        unsafe { tier.load_f16(from) }
    }

    #[inline(always)]
    unsafe fn load_first<T: Tier>(tier: T, from: *const Self, count: usize) -> T::Vector {
        // SAFETY: the caller's promise.
        unsafe { tier.load_f16_first(from, count) }
    }
}

/// Positions `first..` of one head in half a cache, as numbers: `count` rows of `head_size`.
///
/// # Safety
/// Nobody writes them while the slice lives, and `E` is the cache's format.
#[inline(always)]
pub(super) unsafe fn rows<'a, E: Element>(
    args: &AttendArgs<'a>,
    half: crate::SharedMut<'a, u8>,
    kv_head: usize,
    positions: std::ops::Range<usize>,
) -> &'a [E] {
    let cache = &args.cache;
    assert!(size_of::<E>() == cache.format.block_bytes() && cache.holds(positions.clone()));
    let start = cache.offset(kv_head, positions.start);
    // SAFETY: the caller's promise.
    let bytes = unsafe { half.slice(start..start + cache.bytes(positions.len())) };
    assert!(bytes.as_ptr().align_offset(align_of::<E>()) == 0);
    // SAFETY: these bytes hold whole numbers of this size, aligned as just asserted, of which every pattern is one.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<E>()) }
}

/// `c · tanh(s / c)` where there is a cap.
#[inline(always)]
pub(super) fn cap<T: Tier>(tier: T, score: T::Vector, softcap: Option<f32>) -> T::Vector {
    match softcap {
        None => score,
        Some(limit) => {
            let scaled = tier.div(score, tier.splat(limit));
            tier.mul(tier.splat(limit), crate::vector::tanh(tier, scaled))
        }
    }
}
