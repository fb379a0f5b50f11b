//! A made-up space with objectives that a formula gives: nothing that slimfit measured or predicts, and as cheap for the
//! peers, whose half is `Formula` in `peers/problems.py`.

use anyhow::Result;
use slimfit_document::Document;
use slimfit_search::{Block, Evaluator, Inner, Invalid, Metric, Space, Values};

/// 15 033 600 points, all of them valid.
const SPACE: &str = "
schema: slimfit/space/v1
name: formula
description: Every combination is a point.
axes:
  layers: {from: 4, to: 93, step: 1}
  hidden_size: {from: 256, to: 2048, step: 128}
  head_size: [64]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: {from: 1, to: 8, step: 0.25, times: hidden_size}
  gated: [true, false]
  window: [none, 512, 256, 128]
  vocabulary_size: 32768
  tied_embeddings: [true, false]
  weights: [f32, bf16, q8_0, q4_0]
  kv: [f32, f16, q8_0]
portable: []
";

/// Objectives of a point.
pub const DIMENSIONS: usize = 3;
/// What each gene may be: hidden size, kv heads, ffn, gated, window, weights, kv, untied, layers.
pub const COUNTS: [usize; 9] = [15, 2, 29, 2, 4, 4, 3, 2, 90];

/// The space.
///
/// # Errors
/// Should this file's text ever be none.
pub fn space() -> Result<Space> {
    Ok(Space::from_document(&Document::from_str(SPACE, "formula.yaml")?, &[])?)
}

/// The genes of the point of that number.
pub fn genes(mut place: usize) -> [usize; 9] {
    let mut genes = [0; 9];
    for (gene, count) in genes.iter_mut().zip(COUNTS).rev() {
        *gene = place % count;
        place /= count;
    }
    genes
}

/// Something like a loss, seconds per token and bytes.
pub fn objectives(
    [hidden, kv_heads, ffn, gated, window, weights, kv, untied, layers]: [usize; 9],
) -> [f64; 3] {
    let hidden = 256.0 + 128.0 * hidden as f64;
    let layers = 4.0 + layers as f64;
    let kv_share = 1.0 / (1.0 + kv_heads as f64);
    let inner = hidden * (1.0 + 0.25 * ffn as f64);
    let layer = 2.0 * hidden * hidden * (1.0 + kv_share) + (3.0 - gated as f64) * hidden * inner;
    let body = layers * layer;
    let tables = 32768.0 * hidden * (1.0 + untied as f64);
    let seen = [1024.0, 512.0, 256.0, 128.0][window];
    let cache = 2.0 * layers * hidden * kv_share * [4.0, 2.0, 1.0625][kv] * seen;
    let stored = (body + tables) * [4.0, 2.0, 1.0625, 0.5625][weights];
    let shape = (hidden / layers / 64.0).ln();
    let loss = 1.7
        + 410.0 / (body + 0.3 * tables).powf(0.34)
        + 0.004 * shape * shape
        + [0.0, 0.0005, 0.004, 0.03][weights]
        + [0.0, 0.0002, 0.003][kv]
        + 0.01 * kv_heads as f64
        + 0.004 * window as f64
        + 0.012 * gated as f64
        + 0.003 * (1.0 - untied as f64)
        + 0.002 * (inner / hidden - 3.0) * (inner / hidden - 3.0);
    let seconds = (stored + cache) / 2e10 + layers * 4e-6 + hidden * 1e-9;
    let memory = stored + cache + 64.0 * (hidden + inner);
    [loss, seconds, memory]
}

/// The metrics that carry the three.
pub const METRICS: [Metric; 3] = [Metric::Loss, Metric::TpotSeconds, Metric::MemoryBytes];

/// The formula as a search asks for it.
pub struct Formula;

impl Evaluator for Formula {
    type Prepared<'s> = [usize; 5];

    fn metrics(&self) -> &[Metric] {
        &METRICS
    }

    fn prepare(&self, _: &Space, block: &Block) -> Result<[usize; 5], Invalid> {
        let window = [None, Some(512), Some(256), Some(128)];
        let size = block.window.map(|window| window.size);
        Ok([
            ((block.hidden_size - 256) / 128) as usize,
            (block.heads / block.kv_heads - 1) as usize,
            (4 * block.ffn / block.hidden_size - 4) as usize,
            usize::from(!block.gated),
            window.iter().position(|known| *known == size).ok_or(Invalid::of("no window of the formula"))?,
        ])
    }

    fn evaluate(&self, block: &mut [usize; 5], inner: Inner, values: &mut Values) -> Result<(), Invalid> {
        let [hidden, kv_heads, ffn, gated, window] = *block;
        let genes = [hidden, kv_heads, ffn, gated, window, inner.weights, inner.kv, inner.tied, inner.layers];
        for (metric, value) in METRICS.into_iter().zip(objectives(genes)) {
            values[metric.column()] = value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_search::for_each_point;
    use std::collections::HashSet;
    use std::ops::ControlFlow;

    #[test]
    fn the_space_and_the_genes_are_the_same_points() {
        let space = space().unwrap();
        assert_eq!(space.size(), COUNTS.iter().product::<usize>() as u64);
        // Points of one block: as many different ones as genes give it.
        let (mut seen, mut count) = (HashSet::new(), 0);
        let _ = for_each_point(&space, &Formula, &[], |found, _| {
            seen.insert(METRICS.map(|metric| found.values[metric.column()].to_bits()));
            count += 1;
            if count == 4 * 3 * 2 * 90 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let own: HashSet<[u64; 3]> =
            (0..4 * 3 * 2 * 90).map(|place| objectives(genes(place)).map(f64::to_bits)).collect();
        assert_eq!(seen, own);
    }
}
