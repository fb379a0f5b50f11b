//! What a cache holds, and how tiles of it are read: numbers as they lie there, or blocks widened to f32 first.

use super::AttendArgs;
use super::vectorised::{Element, rows};
use crate::SharedMut;
use crate::codec::{BLOCK, q8_0};
use crate::vector::Tier;
use std::ops::Range;

/// A format of the cache.
pub(super) trait Cached {
    /// The numbers that a tile is read as.
    type Element: Element;
    /// Bytes of 32 values in the cache.
    const BLOCK_BYTES: usize;

    /// The positions of a head as rows of `head_size` numbers, in the cache itself or in `spare`.
    ///
    /// # Safety
    /// Nobody writes those positions while the slice lives, and the cache has this format.
    unsafe fn tile<'s, T: Tier>(
        tier: T,
        args: &AttendArgs<'s>,
        half: SharedMut<'s, u8>,
        kv_head: usize,
        positions: Range<usize>,
        spare: &'s mut [f32],
    ) -> &'s [Self::Element];

    /// Copies the positions of a head as f32 to rows of `width`, filled up with zeros. `width` is a multiple of 16.
    ///
    /// # Safety
    /// Nobody writes those positions meanwhile, and the cache has this format.
    unsafe fn widen<T: Tier>(
        tier: T,
        args: &AttendArgs<'_>,
        half: SharedMut<'_, u8>,
        kv_head: usize,
        positions: Range<usize>,
        width: usize,
        to: &mut [f32],
    );
}

impl<E: Element> Cached for E {
    type Element = E;
    const BLOCK_BYTES: usize = BLOCK * size_of::<E>();

    #[inline(always)]
    unsafe fn tile<'s, T: Tier>(
        _tier: T,
        args: &AttendArgs<'s>,
        half: SharedMut<'s, u8>,
        kv_head: usize,
        positions: Range<usize>,
        _spare: &'s mut [f32],
    ) -> &'s [E] {
        // SAFETY: the caller's promise.
        unsafe { rows(args, half, kv_head, positions) }
    }

    #[inline(always)]
    unsafe fn widen<T: Tier>(
        tier: T,
        args: &AttendArgs<'_>,
        half: SharedMut<'_, u8>,
        kv_head: usize,
        positions: Range<usize>,
        width: usize,
        to: &mut [f32],
    ) {
        let head_size = args.cache.head_size;
        assert!(width.is_multiple_of(T::LANES) && width >= head_size);
        // SAFETY: the caller's promise.
        let from: &[E] = unsafe { rows(args, half, kv_head, positions) };
        for (from, to) in from.chunks_exact(head_size).zip(to.chunks_exact_mut(width)) {
            for column in (0..width).step_by(T::LANES) {
                let left = head_size.saturating_sub(column);
                let vector = if left >= T::LANES {
                    // SAFETY: `left` numbers lie there.
                    unsafe { E::load(tier, from.as_ptr().add(column)) }
                } else if left > 0 {
                    // SAFETY: as above.
                    unsafe { E::load_first(tier, from.as_ptr().add(column), left) }
                } else {
                    tier.splat(0.0)
                };
                // SAFETY: a vector of a row, whose width is whole vectors.
                unsafe { tier.store(to[column..].as_mut_ptr(), vector) };
            }
        }
    }
}

/// A cache in `q8_0`.
pub(super) struct Blocks;

impl Cached for Blocks {
    type Element = f32;
    const BLOCK_BYTES: usize = q8_0::BYTES;

    #[inline(always)]
    unsafe fn tile<'s, T: Tier>(
        tier: T,
        args: &AttendArgs<'s>,
        half: SharedMut<'s, u8>,
        kv_head: usize,
        positions: Range<usize>,
        spare: &'s mut [f32],
    ) -> &'s [f32] {
        let head_size = args.cache.head_size;
        let to = &mut spare[..positions.len() * head_size];
        // SAFETY: the caller's promise.
        unsafe { Self::widen(tier, args, half, kv_head, positions, head_size, to) };
        to
    }

    #[inline(always)]
    unsafe fn widen<T: Tier>(
        tier: T,
        args: &AttendArgs<'_>,
        half: SharedMut<'_, u8>,
        kv_head: usize,
        positions: Range<usize>,
        width: usize,
        to: &mut [f32],
    ) {
        let cache = &args.cache;
        let start = cache.offset(kv_head, positions.start);
        // Heads are whole blocks, so rows have no end to fill up.
        assert!(width == cache.head_size && positions.len() * width <= to.len());
        // SAFETY: the caller's promise.
        let bytes = unsafe { half.slice(start..start + cache.bytes(positions.len())) };
        for (block, to) in bytes.chunks_exact(q8_0::BYTES).zip(to.chunks_exact_mut(BLOCK)) {
            let scale = tier.splat(widen_scale(block));
            for index in (0..BLOCK).step_by(T::LANES) {
                // SAFETY: a vector of the block's 32 values, which every tier's lanes divide.
                let value = unsafe { tier.load_i8(block.as_ptr().add(2 + index).cast()) };
                // SAFETY: a vector of a block of 32.
                unsafe { tier.store(to[index..].as_mut_ptr(), tier.mul(value, scale)) };
            }
        }
    }
}

/// A block's scale. Never negative, so shifting its bits into place and adding 112 to the exponent is all, subnormal
/// ones included.
#[inline(always)]
fn widen_scale(block: &[u8]) -> f32 {
    let bits = u32::from(u16::from_le_bytes([block[0], block[1]]));
    f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23)
}
