//! The specification of rotating and storing.

#![expect(unsafe_code, reason = "writes its own heads of the shared rows and cache")]

use super::{QkNormKind, Role, RotateStoreArgs};
use crate::codec::float::{write_f16, write_f32};
use crate::codec::{BLOCK, activation, q8_0};
use crate::kv::{KvFormat, KvLayer};
use crate::norm::scalar::statistics;
use crate::{Part, SharedMut};

pub(super) fn rotate_store(args: &RotateStoreArgs<'_>, part: Part) {
    for index in part.range(args.tokens * args.units(), 1) {
        let unit = args.unit(index);
        let (first, position) = (unit.first_head, unit.position);
        // SAFETY: only this share has these heads of this token.
        let values = unsafe { args.qkv.slice_mut(unit.values) };
        if let Some(clip) = args.clip {
            values.iter_mut().for_each(|value| *value = value.clamp(-clip, clip));
        }
        match unit.role {
            Role::Query => normalise_rotate(args, position, values, first, args.query_norm),
            Role::Key => {
                normalise_rotate(args, position, values, first, args.key_norm);
                store(&args.cache, args.cache.keys, first, position, values);
            }
            Role::Value => store(&args.cache, args.cache.values, first, position, values),
        }
    }
}

/// Norms and rotates whole heads, of which the first is head `first` of q or of k.
fn normalise_rotate(
    args: &RotateStoreArgs<'_>,
    position: usize,
    values: &mut [f32],
    first: usize,
    weight: &[f32],
) {
    let head_size = args.cache.head_size;
    match args.qk_norm {
        QkNormKind::None => {}
        QkNormKind::PerHead => normalise(args, values, weight),
        QkNormKind::EachHead => normalise(args, values, &weight[first * head_size..][..head_size]),
        QkNormKind::AllHeads => normalise(args, values, weight),
    }
    let half = args.rotated / 2;
    let cosines = &args.rotation.cosines[position * half..][..half];
    let sines = &args.rotation.sines[position * half..][..half];
    for head in values.chunks_exact_mut(head_size) {
        for (index, (&cosine, &sine)) in cosines.iter().zip(sines).enumerate() {
            let (i, j) = if args.interleaved { (2 * index, 2 * index + 1) } else { (index, index + half) };
            let (a, b) = (head[i], head[j]);
            head[i] = a * cosine - b * sine;
            head[j] = b * cosine + a * sine;
        }
    }
}

fn normalise(args: &RotateStoreArgs<'_>, values: &mut [f32], weight: &[f32]) {
    let (mean, factor) = statistics(values, args.formula, args.epsilon);
    for (value, weight) in values.iter_mut().zip(weight) {
        *value = ((f64::from(*value) - mean) * factor * f64::from(*weight)) as f32;
    }
}

/// Stores whole heads into the cache.
fn store(cache: &KvLayer<'_>, to: SharedMut<'_, u8>, first: usize, position: usize, values: &[f32]) {
    for (head, values) in values.chunks_exact(cache.head_size).enumerate() {
        let offset = cache.offset(first + head, position);
        // SAFETY: only this share has this head of this position.
        let bytes = unsafe { to.slice_mut(offset..offset + cache.bytes(1)) };
        match cache.format {
            KvFormat::F32 => bytes.chunks_exact_mut(4).zip(values).for_each(|(b, v)| write_f32(*v, b)),
            KvFormat::F16 => bytes.chunks_exact_mut(2).zip(values).for_each(|(b, v)| write_f16(*v, b)),
            KvFormat::Q8_0 => {
                for (block, values) in bytes.chunks_exact_mut(q8_0::BYTES).zip(values.chunks_exact(BLOCK)) {
                    let mut quantised = [0; BLOCK];
                    write_f16(activation::quantise(values, &mut quantised), block);
                    block[2..].copy_from_slice(&quantised.map(|value| value as u8));
                }
            }
        }
    }
}
