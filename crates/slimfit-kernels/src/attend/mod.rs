//! Attention over the cache: `y[t, h] = Σ_j softmax_j(s[t, h, j]) · V[j, g]` with
//! `s[t, h, j] = cap(scale · q[t, h] · K[j, g]) − slope[h] · (p − j)`, where `g = h / (heads / kv_heads)`, `p` is the
//! token's position and `j` runs over the positions `p` may see: `max(0, p − window + 1)..=p`.
//!
//! `q` are the first `heads · head_size` values of each row of the fused q, k, v buffer; `y` is
//! `(tokens, heads · head_size)`. The cap is `c · tanh(· / c)` or none; slopes are ALiBi's or zero.
//!
//! On vectors, the keys and values of a head are read once for its whole group of query heads, and weights are summed
//! as they come: with a running maximum m, `Σ e^(s − m)` and `Σ e^(s − m) V` are rescaled when m grows (Milakov and
//! Gimelshein 2018). One token (`decode.rs`) is split by heads and ranges of keys, and a second phase adds the parts of
//! heads that were split; several tokens (`prefill.rs`) are split by heads and tokens. Weights differ from e^(s − m) by
//! at most 2⁻²¹ of themselves, capped scores by 2⁻²² of the cap.

#![expect(unsafe_code, reason = "hands out each thread's own stretch of shared scratch")]

mod cached;
mod decode;
mod prefill;
mod product;
mod scalar;
mod vectorised;

use crate::kv::KvLayer;
use crate::variant::Variant;
use crate::{Isa, Part, Seat, SharedMut};
use std::ops::Range;

/// Arguments of attention. Built by [`AttendArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct AttendArgs<'a> {
    pub(crate) heads: usize,
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
    pub(crate) softcap: Option<f32>,
    pub(crate) alibi: bool,
    pub(crate) tokens: usize,
    pub(crate) first_position: usize,
    /// `(tokens, (heads + 2 · kv_heads) · head_size)`, of which the queries are read.
    pub(crate) qkv: &'a [f32],
    pub(crate) cache: KvLayer<'a>,
    /// `(tokens, heads · head_size)`.
    pub(crate) output: SharedMut<'a, f32>,
    /// 64-byte aligned, at least [`scratch_bytes`].
    pub(crate) scratch: SharedMut<'a, u8>,
    /// The thread that computes, where it is not that of the share's index.
    pub(crate) seat: Option<Seat>,
}

/// A variant's function.
pub type AttendFunction = for<'a> unsafe fn(&AttendArgs<'a>, Part);

/// Every implementation.
pub const ATTEND: &[Variant<AttendFunction>] = &[
    Variant { name: "attend-scalar", isa: Isa::Scalar, function: scalar::attend },
    Variant { name: "attend-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "attend-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "attend-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "attend-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::attend, AttendArgs);

/// Phases of attention, the same for every variant.
pub(crate) const fn phases(tokens: usize) -> usize {
    if tokens == 1 { 2 } else { 1 }
}

/// Bytes of each thread's own scratch, the same for every variant: the scalar one keeps a score for each of the `keys` that
/// a token sees.
pub(crate) fn thread_scratch_bytes(
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    tokens: usize,
    keys: usize,
) -> usize {
    let group = heads / kv_heads;
    let vectorised = if tokens == 1 {
        decode::thread_scratch_floats(group, head_size)
    } else {
        prefill::thread_scratch_floats(group, head_size, tokens)
    };
    (vectorised.max(keys) * 4).next_multiple_of(64)
}

/// The most keys that a token sees of `keys` in all.
pub(crate) fn seen_keys(window: Option<usize>, keys: usize) -> usize {
    window.map_or(keys, |window| keys.min(window))
}

impl AttendArgs<'_> {
    /// Bytes of each thread's own scratch.
    pub(crate) fn thread_scratch_bytes(&self) -> usize {
        let (kv_heads, head_size) = (self.cache.kv_heads, self.cache.head_size);
        let keys = seen_keys(self.window, self.first_position + self.tokens);
        thread_scratch_bytes(self.heads, kv_heads, head_size, self.tokens, keys)
    }

    /// The positions that a token sees.
    pub(crate) fn visible(&self, token: usize) -> Range<usize> {
        let end = self.first_position + token + 1;
        self.window.map_or(0, |window| end.saturating_sub(window))..end
    }

    /// The query of a head.
    pub(crate) fn query(&self, token: usize, head: usize) -> &[f32] {
        let head_size = self.cache.head_size;
        &self.qkv[(token * (self.heads + 2 * self.cache.kv_heads) + head) * head_size..][..head_size]
    }

    /// What each step of distance takes off a head's scores. Press et al. 2022 (ALiBi): a geometric sequence from
    /// `2^(−8/n)` for a power of two `n`; other counts take the rest from the sequence of twice the power below.
    pub(crate) fn slope(&self, head: usize) -> f32 {
        if !self.alibi {
            return 0.0;
        }
        let power = 1 << self.heads.ilog2();
        if head < power {
            (-8.0 * (head + 1) as f32 / power as f32).exp2()
        } else {
            (-4.0 * (2 * (head - power) + 1) as f32 / power as f32).exp2()
        }
    }
}

impl<'a> AttendArgs<'a> {
    /// Stretches of scratch for so many shares and threads: one for each share where a second phase adds up what they
    /// leave, else one for each thread.
    pub(crate) fn stretches(&self, shares: usize, threads: usize) -> usize {
        if phases(self.tokens) > 1 { shares } else { threads }
    }

    /// The stretch of share `index`, or of the thread that does it.
    fn stretch(&self, index: usize) -> usize {
        match self.seat {
            Some(seat) if phases(self.tokens) == 1 => seat.index,
            _ => index,
        }
    }

    /// The own scratch of the share or thread.
    ///
    /// # Safety
    /// Nobody else uses the stretch of share `index`, or of this thread.
    unsafe fn own_scratch(&self, index: usize) -> &'a mut [f32] {
        let own = self.thread_scratch_bytes();
        let index = self.stretch(index);
        // SAFETY: the caller's promise.
        let bytes = unsafe { self.scratch.slice_mut(index * own..(index + 1) * own) };
        // SAFETY: every pattern is an f32, and stretches of scratch are aligned to 64 bytes.
        let (before, floats, after) = unsafe { bytes.align_to_mut::<f32>() };
        assert!(before.is_empty() && after.is_empty(), "scratch must be aligned");
        floats
    }
}
