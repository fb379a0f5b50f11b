//! What the training of points takes.

use crate::{Block, ModelEvaluator, Space};

impl ModelEvaluator<'_> {
    /// Whether somebody asks for the training of points.
    pub(crate) const fn counts_training(&self) -> bool {
        self.counts_training
    }

    /// Operations of the training of a block at some depth, its layers run once; none past 64 bits.
    pub(crate) fn training_flops(
        &self,
        space: &Space,
        block: &Block,
        layers: u64,
        vocabulary: usize,
        tied: bool,
    ) -> Option<f64> {
        let architecture = space.architecture(block, layers, self.vocabularies[vocabulary].0, tied);
        Some(self.training.cost(self.quality.recipe(), &architecture, self.tokens).ok()?.flops)
    }

    /// Seconds and price of one operation of a training; infinite where they are not known.
    pub(crate) fn training_rates(&self) -> (f64, f64) {
        let Some(rate) = self.training.rate else { return (f64::INFINITY, f64::INFINITY) };
        let seconds = 1.0 / rate.flops_per_s;
        let price = rate.price_per_gpu_hour.map(|price| seconds / 3600.0 * rate.gpus as f64 * price);
        (seconds, price.unwrap_or(f64::INFINITY))
    }
}
