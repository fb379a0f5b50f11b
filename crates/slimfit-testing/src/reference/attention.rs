//! Causal self-attention of one layer over the whole sequence.

use super::linear::{add_scaled, dot, normalise, softmax};
use super::{Model, alibi_slopes, rope_angles};
use slimfit_arch::{Attention, Positions, QkNorm, TensorPart, TensorRole};

/// `x` is `(positions, hidden)`; so is the result, output projection included.
pub(super) fn attend(model: &Model<'_>, attention: &Attention, index: u64, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let layer = Some(index);
    let mut q = model.linear(TensorRole::Query, layer, x);
    let mut k = model.linear(TensorRole::Key, layer, x);
    let mut v = model.linear(TensorRole::Value, layer, x);
    if let Some(clip) = attention.qkv_clip {
        for value in q.iter_mut().chain(&mut k).chain(&mut v).flatten() {
            *value = value.clamp(-clip, clip);
        }
    }
    if attention.qk_norm != QkNorm::PerHeadAfterRotation {
        norm_heads(model, attention, TensorRole::QueryNorm, index, &mut q);
        norm_heads(model, attention, TensorRole::KeyNorm, index, &mut k);
    }
    rotate(model, attention, &mut q);
    rotate(model, attention, &mut k);
    if attention.qk_norm == QkNorm::PerHeadAfterRotation {
        norm_heads(model, attention, TensorRole::QueryNorm, index, &mut q);
        norm_heads(model, attention, TensorRole::KeyNorm, index, &mut k);
    }
    let mixed: Vec<Vec<f64>> =
        (0..x.len()).map(|position| mix(model, attention, &q, &k, &v, position)).collect();
    model.linear(TensorRole::AttentionOutput, layer, &mixed)
}

fn norm_heads(model: &Model<'_>, attention: &Attention, role: TensorRole, index: u64, x: &mut [Vec<f64>]) {
    let weight = model.norm_weight(role, Some(index));
    let bias = model.get(role, TensorPart::Bias, Some(index));
    let norm = &model.architecture.norm;
    let size = attention.head_size as usize;
    for row in x {
        match attention.qk_norm {
            QkNorm::None => {}
            QkNorm::AllHeads => *row = normalise(row, norm, weight.as_deref(), bias.as_deref()),
            QkNorm::PerHead | QkNorm::PerHeadAfterRotation => {
                for head in row.chunks_exact_mut(size) {
                    head.copy_from_slice(&normalise(head, norm, weight.as_deref(), bias.as_deref()));
                }
            }
            QkNorm::EachHead => {
                for (number, head) in row.chunks_exact_mut(size).enumerate() {
                    let weight = weight.as_deref().map(|weight| &weight[number * size..][..size]);
                    head.copy_from_slice(&normalise(head, norm, weight, None));
                }
            }
        }
    }
}

fn rotate(model: &Model<'_>, attention: &Attention, x: &mut [Vec<f64>]) {
    let Some(rope) = &attention.rope else { return };
    let (angles, magnitude) = rope_angles(rope, attention.head_size, model.context);
    for (position, row) in x.iter_mut().enumerate() {
        for head in row.chunks_exact_mut(attention.head_size as usize) {
            for (pair, angle) in angles.iter().enumerate() {
                let (first, second) =
                    if rope.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + angles.len()) };
                let (sin, cos) = (position as f64 * angle).sin_cos();
                let (a, b) = (head[first], head[second]);
                head[first] = magnitude * (a * cos - b * sin);
                head[second] = magnitude * (b * cos + a * sin);
            }
        }
    }
}

/// What the heads at `position` gather, before the output projection.
fn mix(
    model: &Model<'_>,
    attention: &Attention,
    q: &[Vec<f64>],
    k: &[Vec<f64>],
    v: &[Vec<f64>],
    position: usize,
) -> Vec<f64> {
    let size = attention.head_size as usize;
    let group = (attention.heads / attention.kv_heads) as usize;
    let scale = attention.scale.unwrap_or(1.0 / (size as f64).sqrt());
    let slopes = alibi_slopes(attention.heads);
    let first = attention.window.map_or(0, |window| (position + 1).saturating_sub(window as usize));
    let mut mixed = Vec::with_capacity(attention.query_size() as usize);
    for head in 0..attention.heads as usize {
        let query = &q[position][head * size..][..size];
        let of_head = |row: &'_ Vec<f64>| -> Vec<f64> { row[head / group * size..][..size].to_vec() };
        let mut scores: Vec<f64> = (first..=position)
            .map(|key| {
                let distance = slopes[head] * (key as f64 - position as f64);
                let product = dot(query, &of_head(&k[key]));
                let score = product * scale;
                let capped = attention.softcap.map_or(score, |cap| cap * (score / cap).tanh());
                // Distance counts in full, whatever the cap.
                match model.architecture.positions {
                    Positions::Alibi => capped + distance,
                    Positions::ScaledAlibi => capped + distance * scale,
                    Positions::None | Positions::Learned { .. } => capped,
                }
            })
            .collect();
        softmax(&mut scores);
        let mut sum = vec![0.0; size];
        for (key, score) in (first..=position).zip(&scores) {
            add_scaled(&mut sum, &of_head(&v[key]), *score);
        }
        mixed.extend(sum);
    }
    mixed
}
