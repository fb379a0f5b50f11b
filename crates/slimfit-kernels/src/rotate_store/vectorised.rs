//! Rotating and storing on vectors, head by head. Neighbouring pairs (rare in this size class) are turned one by one.

#![expect(unsafe_code, reason = "writes its own heads of the shared rows and cache")]

use super::{QkNormKind, Role, RotateStoreArgs, Unit};
use crate::codec::float::write_f16;
use crate::codec::{BLOCK, q8_0};
use crate::kv::{KvFormat, KvLayer};
use crate::norm::vectorised::statistics;
use crate::vector::{Tier, load_tail, store_tail};
use crate::{Part, SharedMut};

#[inline(always)]
pub(super) fn rotate_store<T: Tier>(tier: T, args: &RotateStoreArgs<'_>, part: Part) {
    for index in part.range(args.tokens * args.units(), 1) {
        let unit = args.unit(index);
        // SAFETY: only this share has these heads of this token.
        let values = unsafe { args.qkv.slice_mut(unit.values.clone()) };
        if let Some(clip) = args.clip {
            let (low, high) = (tier.splat(-clip), tier.splat(clip));
            for index in (0..values.len()).step_by(T::LANES) {
                let clipped = tier.min(high, tier.max(low, load_tail(tier, values, index)));
                store_tail(tier, values, index, clipped);
            }
        }
        match unit.role {
            Role::Query => normalise_rotate(tier, args, &unit, values, args.query_norm),
            Role::Key => {
                normalise_rotate(tier, args, &unit, values, args.key_norm);
                store(tier, &args.cache, args.cache.keys, &unit, values);
            }
            Role::Value => store(tier, &args.cache, args.cache.values, &unit, values),
        }
    }
}

#[inline(always)]
fn normalise_rotate<T: Tier>(
    tier: T,
    args: &RotateStoreArgs<'_>,
    unit: &Unit,
    values: &mut [f32],
    weight: &[f32],
) {
    let head_size = args.cache.head_size;
    match args.qk_norm {
        QkNormKind::None => {}
        QkNormKind::PerHead | QkNormKind::AllHeads => normalise(tier, args, values, weight),
        QkNormKind::EachHead => {
            normalise(tier, args, values, &weight[unit.first_head * head_size..][..head_size]);
        }
    }
    let half = args.rotated / 2;
    let cosines = &args.rotation.cosines[unit.position * half..][..half];
    let sines = &args.rotation.sines[unit.position * half..][..half];
    for head in values.chunks_exact_mut(head_size) {
        if args.interleaved {
            for (pair, (&cosine, &sine)) in cosines.iter().zip(sines).enumerate() {
                let (a, b) = (head[2 * pair], head[2 * pair + 1]);
                head[2 * pair] = a * cosine - b * sine;
                head[2 * pair + 1] = b * cosine + a * sine;
            }
        } else {
            let (left, right) = head[..2 * half].split_at_mut(half);
            for index in (0..half).step_by(T::LANES) {
                let (cosine, sine) = (load_tail(tier, cosines, index), load_tail(tier, sines, index));
                let (a, b) = (load_tail(tier, left, index), load_tail(tier, right, index));
                let turned = tier.sub(tier.mul(a, cosine), tier.mul(b, sine));
                store_tail(tier, left, index, turned);
                store_tail(tier, right, index, tier.fma(b, cosine, tier.mul(a, sine)));
            }
        }
    }
}

#[inline(always)]
fn normalise<T: Tier>(tier: T, args: &RotateStoreArgs<'_>, values: &mut [f32], weight: &[f32]) {
    let (mean, factor) = statistics(tier, values, args.formula, args.epsilon);
    let (mean, factor) = (tier.splat(mean), tier.splat(factor));
    for index in (0..values.len()).step_by(T::LANES) {
        let value = tier.mul(tier.sub(load_tail(tier, values, index), mean), factor);
        store_tail(tier, values, index, tier.mul(value, load_tail(tier, weight, index)));
    }
}

/// Stores whole heads into the cache.
#[inline(always)]
fn store<T: Tier>(tier: T, cache: &KvLayer<'_>, to: SharedMut<'_, u8>, unit: &Unit, values: &[f32]) {
    let head_size = cache.head_size;
    for (head, values) in values.chunks_exact(head_size).enumerate() {
        let offset = cache.offset(unit.first_head + head, unit.position);
        // SAFETY: only this share has this head of this position.
        let bytes = unsafe { to.slice_mut(offset..offset + cache.bytes(1)) };
        match cache.format {
            KvFormat::F32 => {
                for (bytes, value) in bytes.chunks_exact_mut(4).zip(values) {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
            }
            KvFormat::Q8_0 => {
                for (block, values) in bytes.chunks_exact_mut(q8_0::BYTES).zip(values.as_chunks().0) {
                    quantise(tier, values, block);
                }
            }
            KvFormat::F16 => {
                let whole = head_size / T::LANES * T::LANES;
                for index in (0..whole).step_by(T::LANES) {
                    let to = bytes[2 * index..2 * (index + T::LANES)].as_mut_ptr().cast();
                    // SAFETY: the bytes of `LANES` halves lie there, and the cache is aligned to 4 bytes or more,
                    // as `KvLayer::new` checked.
                    unsafe { tier.store_f16(to, load_tail(tier, values, index)) };
                }
                for index in whole..head_size {
                    write_f16(values[index], &mut bytes[2 * index..]);
                }
            }
        }
    }
}

/// Rounds a block of 32 values: a copy of [`codec::activation::quantise`](crate::codec::activation::quantise) on vectors.
#[inline(always)]
fn quantise<T: Tier>(tier: T, values: &[f32; BLOCK], block: &mut [u8]) {
    let mut most = tier.splat(0.0);
    for index in (0..BLOCK).step_by(T::LANES) {
        let value = load_tail(tier, values, index);
        most = tier.max(most, tier.max(value, tier.sub(tier.splat(0.0), value)));
    }
    let largest = tier.largest(most);
    let inverse = tier.splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
    let mut rounded = [0f32; BLOCK];
    for index in (0..BLOCK).step_by(T::LANES) {
        let value = tier.mul(load_tail(tier, values, index), inverse);
        store_tail(tier, &mut rounded, index, tier.round(value));
    }
    write_f16(largest / 127.0, block);
    for (byte, value) in block[2..].iter_mut().zip(rounded) {
        *byte = value as i32 as u8;
    }
}
