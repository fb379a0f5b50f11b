//! The specification of attention: scores, softmax and sums in f64, one query head at a time.

#![expect(
    unsafe_code,
    reason = "reads the shared cache, writes its own heads of the output and its own scratch"
)]

use super::AttendArgs;
use crate::Part;
use crate::codec::float::{read_f16, read_f32, write_f32};
use crate::codec::{BLOCK, q8_0};
use crate::kv::KvFormat;

pub(super) fn attend(args: &AttendArgs<'_>, part: Part) {
    // Everything is done in the first phase.
    if part.phase > 0 {
        return;
    }
    let cache = &args.cache;
    let head_size = cache.head_size;
    let own = args.thread_scratch_bytes();
    let stretch = args.stretch(part.index);
    // SAFETY: each share, or the thread that does it, has a stretch of scratch of its own.
    let scores = unsafe { args.scratch.slice_mut(stretch * own..(stretch + 1) * own) };
    // Shares take turns: a causal prefill's later tokens have more keys.
    for unit in (part.index..args.tokens * args.heads).step_by(part.of) {
        let (token, head) = (unit / args.heads, unit % args.heads);
        let kv_head = head / (args.heads / cache.kv_heads);
        let visible = args.visible(token);
        let start = cache.offset(kv_head, visible.start);
        let range = start..start + cache.bytes(visible.len());
        // SAFETY: nobody writes the cache in this operation.
        let (keys, values) = unsafe { (cache.keys.slice(range.clone()), cache.values.slice(range)) };
        let cached = |bytes: &[u8], position: usize, index: usize| {
            let index = (position - visible.start) * head_size + index;
            f64::from(match cache.format {
                KvFormat::F32 => read_f32(&bytes[index * 4..]),
                KvFormat::F16 => read_f16(&bytes[index * 2..]),
                KvFormat::Q8_0 => {
                    let block = &bytes[index / BLOCK * q8_0::BYTES..][..q8_0::BYTES];
                    q8_0::scale(block) * f32::from(q8_0::value(block, index % BLOCK))
                }
            })
        };
        let query = args.query(token, head);
        let mut largest = f64::NEG_INFINITY;
        for position in visible.clone() {
            let dot: f64 =
                query.iter().enumerate().map(|(i, &q)| f64::from(q) * cached(keys, position, i)).sum();
            let mut score = f64::from(args.scale) * dot;
            if let Some(cap) = args.softcap {
                score = f64::from(cap) * (score / f64::from(cap)).tanh();
            }
            score -= f64::from(args.slope(head)) * (visible.end - 1 - position) as f64;
            write_f32(score as f32, &mut scores[(position - visible.start) * 4..]);
            largest = largest.max(f64::from(score as f32));
        }
        let weight = |position: usize| {
            (f64::from(read_f32(&scores[(position - visible.start) * 4..])) - largest).exp()
        };
        let total: f64 = visible.clone().map(weight).sum();
        let start = (token * args.heads + head) * head_size;
        // SAFETY: only this share has this head of this token.
        let output = unsafe { args.output.slice_mut(start..start + head_size) };
        for (index, y) in output.iter_mut().enumerate() {
            let sum: f64 = visible.clone().map(|p| weight(p) * cached(values, p, index)).sum();
            *y = (sum / total) as f32;
        }
    }
}
