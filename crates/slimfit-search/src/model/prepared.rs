//! The points of one block, one by one.

use super::parts::{Mixing, Weighted};
use super::validity::Valued;
use super::{Counted, LayerParameters};
use crate::device::Device;
use crate::parts::{LayerCounts, Parts};
use crate::{Block, Evaluator, Inner, Invalid, Metric, ModelEvaluator, Space, Values};
use slimfit_formats::Loader;

/// What the points of one block share.
#[derive(Debug)]
pub struct PreparedBlock<'a> {
    space: &'a Space,
    block: Block,
    counts: LayerParameters,
    /// By vocabulary, tying, depth and passes.
    bases: Vec<Option<Result<Valued, Invalid>>>,
    /// Number of its first point.
    first: u64,
    /// By tying, depth and passes: which of the space's loaders does not hold the point.
    held: Vec<Option<Option<Loader>>>,
    /// By weight format and vocabulary, on each device.
    weighted: Vec<Option<Result<Vec<Weighted>, Invalid>>>,
    /// By KV format and vocabulary, on each device.
    mixing: Vec<Option<Result<Vec<Mixing>, Invalid>>>,
}

impl Evaluator for ModelEvaluator<'_> {
    type Prepared<'s> = PreparedBlock<'s>;

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn prepare<'s>(&'s self, space: &'s Space, block: &Block) -> Result<PreparedBlock<'s>, Invalid> {
        let counts = LayerParameters::of(space, block)?;
        let empty = |formats: usize| formats * self.vocabularies.len();
        let trunks = space.tyings().len() * self.depths.len() * self.passes.len();
        Ok(PreparedBlock {
            space,
            block: *block,
            counts,
            first: block.index * space.inner_size(),
            bases: vec![None; self.vocabularies.len() * trunks],
            held: vec![None; trunks],
            weighted: (0..empty(space.weights().len())).map(|_| None).collect(),
            mixing: (0..empty(space.kv().len())).map(|_| None).collect(),
        })
    }

    fn evaluate(
        &self,
        prepared: &mut PreparedBlock<'_>,
        inner: Inner,
        values: &mut Values,
    ) -> Result<(), Invalid> {
        let space = prepared.space;
        let (layers, passes) = (self.depths[inner.layers], self.passes[inner.loops]);
        let non_embedding = prepared.counts.rest + layers * prepared.counts.layer;
        let point = Counted {
            block: prepared.block,
            layers,
            passes,
            vocabulary: inner.vocabulary,
            tied: space.tyings()[inner.tied],
            non_embedding,
            active: non_embedding - layers * prepared.counts.idle,
            rest: prepared.counts.rest,
        };
        space.check_parameters(self.total_parameters(&point), point.non_embedding)?;
        space.check_rules(&point.block, &space.beside_block(inner))?;
        let trunk = (inner.tied * self.depths.len() + inner.layers) * self.passes.len() + inner.loops;
        let trunks = prepared.held.len();
        let valued = prepared.bases[inner.vocabulary * trunks + trunk]
            .get_or_insert_with(|| self.valued(space, &point));
        let valued = valued.as_ref().map_err(Clone::clone)?;
        let refusing = *prepared.held[trunk].get_or_insert_with(|| self.refusing_loader(space, &point));
        if let Some(loader) = refusing {
            return Err(Invalid::by_loader(loader));
        }
        let (weights, kv) = (space.weights()[inner.weights], space.kv()[inner.kv]);
        let loss =
            self.law.finish(&valued.base, weights, kv).map_err(|refusal| Invalid::of(refusal.reason()))?;

        let PreparedBlock { block, weighted, mixing, .. } = prepared;
        let weighted = weighted[inner.weights * self.vocabularies.len() + inner.vocabulary]
            .get_or_insert_with(|| self.weighted(space, block, weights, inner.vocabulary));
        let mixing = mixing[inner.kv * self.vocabularies.len() + inner.vocabulary].get_or_insert_with(|| {
            let on = |device: &Device<'_>| self.mixing(device.cost, space, block, kv, inner.vocabulary);
            self.devices.iter().map(on).collect()
        });
        let (weighted, mixing) = match (weighted, mixing) {
            (Ok(weighted), Ok(mixing)) => (weighted, mixing),
            (Err(invalid), _) | (_, Err(invalid)) => return Err(invalid.clone()),
        };
        let counts = LayerCounts::new(point.block.window, layers, passes);
        for (place, (weighted, mixing)) in weighted.iter_mut().zip(mixing).enumerate() {
            let mut parts = Parts {
                outer: &mut weighted.outer,
                projections: &mut weighted.projections,
                full: mixing.full.as_mut(),
                windowed: mixing.windowed.as_mut(),
                feed_forward: &mut weighted.feed_forward,
            };
            let price = parts
                .price(self.devices[place].cost, counts, point.tied)
                .map_err(|error| Invalid::owned(error.to_string()))?;
            self.write_on(place, inner.vocabulary, &price, values);
            if place == 0 {
                let index = prepared.first + inner.index;
                let file_bytes = parts.file_bytes(counts, point.tied);
                self.write((index, &point), valued, loss.nats, file_bytes, values);
            }
        }
        Ok(())
    }
}
