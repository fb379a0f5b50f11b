//! One model: how many layers of each kind, what it is worth and what it takes.

use super::layer::{Layer, Layers, Once, joined, once_bytes};
use crate::space::MOST_LAYERS;
use crate::{Invalid, Metric, ModelEvaluator, Space, Values};
use slimfit_arch::{Architecture, LayerRun};
use slimfit_cost::{BusyTime, CostError, CostModel, PROCESS_BYTES, RunTime};
use slimfit_quality::{Shape, TrainingCost};
use slimfit_quantity::NumberFormat;

/// How often a model has each layer of its family, in the family's order.
pub(crate) type Counts = Box<[u8]>;

/// Depth and tying of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trunk {
    pub(crate) layers: u64,
    pub(crate) tied: bool,
}

impl Layers {
    fn present<'l>(&'l self, counts: &'l [u8]) -> impl Iterator<Item = (&'l Layer, u64)> {
        self.layers
            .iter()
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(|(layer, count)| (layer, u64::from(*count)))
    }

    /// Stored parameters without embeddings, and those of them that a token visits.
    pub(crate) fn parameters(&self, counts: &[u8]) -> (u64, u64) {
        let (mut stored, mut idle) = (self.outer.parameters, 0);
        for (layer, count) in self.present(counts) {
            stored += count * layer.parameters;
            idle += count * layer.idle;
        }
        (stored, stored - idle)
    }

    /// Bytes of a model's tensors in a file.
    fn file_bytes(&self, counts: &[u8], tied: bool) -> u64 {
        let layers = self.present(counts).map(|(layer, count)| count * layer.file_bytes);
        self.outer.file_bytes[usize::from(tied)] + layers.sum::<u64>()
    }

    /// What the quality law reads of a model.
    pub(crate) fn shape(&self, counts: &[u8], trunk: Trunk, vocabulary: u64) -> Shape {
        let (non_embedding, active) = self.parameters(counts);
        let hidden_size = self.layers[0].block.hidden_size;
        let mut shape = Shape {
            non_embedding,
            active,
            embedding: if trunk.tied { 1 } else { 2 } * vocabulary * hidden_size,
            looped: None,
            hidden_size,
            layers: trunk.layers,
            vocabulary_size: vocabulary,
            heads_per_kv_head: 1,
            single_kv_head: false,
            ffn_low: f64::INFINITY,
            ffn_high: 0.0,
            window: None,
            global_layers: 0,
            experts: 1,
            per_layer: false,
        };
        let mut first = None;
        for (layer, count) in self.present(counts) {
            shape.heads_per_kv_head = shape.heads_per_kv_head.max(layer.heads_per_kv_head());
            shape.single_kv_head |= layer.single_kv_head();
            let ratio = layer.block.ffn as f64 / hidden_size as f64;
            shape.ffn_low = shape.ffn_low.min(ratio);
            shape.ffn_high = shape.ffn_high.max(ratio);
            shape.experts = shape.experts.max(layer.block.experts.map_or(1, |experts| experts.count));
            match layer.window {
                Some(window) => shape.window = Some(shape.window.map_or(window, |least| least.min(window))),
                None => shape.global_layers += count,
            }
            let block = &layer.block;
            let alike = (block.heads, block.kv_heads, block.ffn, block.gated, block.experts);
            shape.per_layer |= *first.get_or_insert(alike) != alike;
        }
        shape
    }

    /// What a model has once.
    fn once(&self, counts: &[u8]) -> Once {
        let mut layers = self.present(counts).map(|(layer, _)| layer);
        let first = layers.next().map_or_else(Vec::new, |layer| layer.once.clone());
        layers.fold(first, |once, layer| joined(&once, &layer.once))
    }

    /// What a model takes with the thread count of the lowest TPOT, on a tie the fewer; or with the one at a place.
    pub(crate) fn price(
        &mut self,
        cost: &CostModel,
        counts: &[u8],
        tied: bool,
        thread_place: Option<usize>,
    ) -> Result<RunTime, CostError> {
        let outer = &self.outer.part;
        let mut stored = outer.layer_bytes + if tied { 0 } else { outer.head_bytes };
        let mut working_set_bytes = outer.working_set_bytes;
        for (layer, count) in self.present(counts) {
            stored += count * layer.bytes;
            working_set_bytes += count as f64 * layer.working_set_bytes;
        }
        let once = self.once(counts);
        let mut best: Option<RunTime> = None;
        for (place, threads) in cost.thread_counts().enumerate() {
            if thread_place.is_some_and(|wanted| wanted != place) {
                continue;
            }
            let regime = cost.regime(threads, working_set_bytes)?;
            let outer = self.outer.part.times(cost, place, regime);
            let (mut decode, mut prefill): (BusyTime, BusyTime) = (outer.decode, outer.prefill);
            for (layer, count) in self.layers.iter_mut().zip(counts).filter(|(_, count)| **count > 0) {
                let times = layer.times(cost, place, regime);
                decode = decode + times.decode * f64::from(*count);
                prefill = prefill + times.prefill * f64::from(*count);
            }
            if best.is_none_or(|best| decode.seconds < best.tpot.seconds) {
                best = Some(RunTime {
                    threads,
                    tpot: decode,
                    ttft: prefill,
                    working_set_bytes,
                    memory_bytes: stored + once_bytes(&once, place) + PROCESS_BYTES,
                });
            }
        }
        best.ok_or_else(|| CostError::Missing { what: "measured thread count".to_owned() })
    }

    /// All metrics of a model, and its price.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub(crate) fn value(
        &mut self,
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        (counts, trunk): (&[u8], Trunk),
        vocabulary: usize,
        (weights, kv): (NumberFormat, NumberFormat),
    ) -> Result<(Values, RunTime), Invalid> {
        let (size, ..) = evaluator.vocabularies[vocabulary];
        let shape = self.shape(counts, trunk, size);
        let total = shape.non_embedding + shape.embedding;
        space.check_parameters(total, shape.non_embedding)?;
        let base = evaluator.law.base(&shape).map_err(|refusal| Invalid::of(refusal.reason()))?;
        evaluator.allowed(base.flags)?;
        let loss =
            evaluator.law.finish(&base, weights, kv).map_err(|refusal| Invalid::of(refusal.reason()))?;
        let training = evaluator.counts_training().then(|| {
            let layers: f64 = self.present(counts).map(|(layer, count)| count as f64 * layer.flops).sum();
            let flops = self.outer.flops[usize::from(trunk.tied)] + layers;
            let (seconds, price) = evaluator.training_rates();
            let known = |rate: f64| rate.is_finite().then_some(rate * flops);
            TrainingCost { flops, seconds: known(seconds), money: known(price) }
        });
        let price = self
            .price(evaluator.cost(), counts, trunk.tied, None)
            .map_err(|error| Invalid::owned(error.to_string()))?;
        let mut values = Metric::UNKNOWN;
        let sizes = (shape.non_embedding, total);
        let file_bytes = self.file_bytes(counts, trunk.tied);
        evaluator.write_predicted(sizes, training, loss.nats, file_bytes, &mut values);
        evaluator.write_on(0, vocabulary, &price, &mut values);
        Ok((values, price))
    }

    /// The kinds of a model's layers from first to last, as places in the family's list.
    ///
    /// Neither cost nor quality asks for their order. Layers without a window are spread evenly, the last of each stretch as in
    /// a pattern, and of either sort those with more parameters stand later, as in OpenELM.
    pub(crate) fn arranged(&self, counts: &[u8], layers: u64) -> Vec<usize> {
        let mut sorts: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
        for (place, (layer, count)) in self.layers.iter().zip(counts).enumerate() {
            sorts[usize::from(layer.window.is_some())]
                .extend(std::iter::repeat_n(place, usize::from(*count)));
        }
        for sort in &mut sorts {
            sort.sort_by_key(|place| self.layers[*place].parameters);
        }
        let full = sorts[0].len() as u64;
        let is_full = |position: u64| match self.pattern {
            Some(pattern) => pattern.full_every.is_some_and(|every| (position + 1).is_multiple_of(every)),
            None => (position + 1) * full / layers > position * full / layers,
        };
        let mut next = [sorts[0].iter(), sorts[1].iter()];
        (0..layers).filter_map(|position| next[usize::from(!is_full(position))].next().copied()).collect()
    }

    /// A model written out.
    pub(crate) fn architecture(
        &self,
        space: &Space,
        counts: &[u8],
        trunk: Trunk,
        vocabulary: u64,
    ) -> Architecture {
        debug_assert!(trunk.layers <= MOST_LAYERS);
        let mut runs: Vec<LayerRun> = Vec::new();
        let mut before = None;
        for place in self.arranged(counts, trunk.layers) {
            if before == Some(place)
                && let Some(run) = runs.last_mut()
            {
                run.repeat += 1;
                continue;
            }
            before = Some(place);
            runs.extend(space.architecture(&self.layers[place].block, 1, vocabulary, trunk.tied).layers);
        }
        let first = &self.layers[0].block;
        Architecture { layers: runs, ..space.architecture(first, 1, vocabulary, trunk.tied) }
    }
}
