//! The parts of points in each number format.

use crate::device::Device;
use crate::file_bytes::FileBytes;
use crate::parts::{self, Part};
use crate::space::Window;
use crate::{Block, Invalid, ModelEvaluator, Space};
use slimfit_cost::CostModel;
use slimfit_plan::ModelPart;
use slimfit_quantity::NumberFormat;

/// The parts of a point that its weight format decides.
#[derive(Debug)]
pub(super) struct Weighted {
    pub(super) outer: Part,
    pub(super) projections: Part,
    pub(super) feed_forward: Part,
}

/// The parts that the KV format decides: layers without a window, and those with one.
#[derive(Debug)]
pub(crate) struct Mixing {
    pub(crate) full: Option<Part>,
    pub(crate) windowed: Option<Part>,
}

impl ModelEvaluator<'_> {
    /// Parts of `block` that a weight format decides, in the order of `kinds`.
    ///
    /// # Errors
    /// Why the block cannot be planned or priced in that format.
    pub(crate) fn weighted_parts<const N: usize>(
        &self,
        cost: &CostModel,
        space: &Space,
        block: &Block,
        weights: NumberFormat,
        vocabulary: usize,
        kinds: [ModelPart; N],
    ) -> Result<[Part; N], Invalid> {
        let (size, run, _) = self.vocabularies[vocabulary];
        let architecture = space.architecture(&Block { window: None, ..*block }, 1, size, false);
        // A cache of whole values suits every head; its own format is the mixing's concern.
        let kv = NumberFormat::F32;
        let plans = parts::plans(cost, &architecture, weights, kv, run)?;
        let read = |kind| {
            let part = Part::read(cost, kind, &plans, run);
            let mut part = part.map_err(|error| parts::refused(error, weights, kv))?;
            part.file = FileBytes::of(&architecture, kind, weights);
            Ok(part)
        };
        let parts: Vec<Part> = kinds.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(parts.try_into().unwrap_or_else(|_| unreachable!("as many parts as kinds")))
    }

    pub(super) fn weighted(
        &self,
        space: &Space,
        block: &Block,
        weights: NumberFormat,
        vocabulary: usize,
    ) -> Result<Vec<Weighted>, Invalid> {
        let kinds = [ModelPart::Outer, ModelPart::Projections, ModelPart::FeedForward];
        let on = |device: &Device<'_>| {
            let [outer, projections, feed_forward] =
                self.weighted_parts(device.cost, space, block, weights, vocabulary, kinds)?;
            Ok(Weighted { outer, projections, feed_forward })
        };
        self.devices.iter().map(on).collect()
    }

    /// The parts of `block` that its heads, window and KV format decide.
    pub(crate) fn mixing(
        &self,
        cost: &CostModel,
        space: &Space,
        block: &Block,
        kv: NumberFormat,
        vocabulary: usize,
    ) -> Result<Mixing, Invalid> {
        let (size, run, _) = self.vocabularies[vocabulary];
        let weights = NumberFormat::F32;
        let part = |window: Option<Window>| {
            let architecture = space.architecture(&Block { window, ..*block }, 1, size, false);
            let plans = parts::plans(cost, &architecture, weights, kv, run)?;
            Part::read(cost, ModelPart::Mixing, &plans, run)
                .map_err(|error| parts::refused(error, weights, kv))
        };
        let window = Window::cuts(block.window);
        let full = window.is_none_or(|window| window.full_every.is_some());
        let windowed = window.map(|window| part(Some(Window { full_every: None, ..window })));
        Ok(Mixing { windowed: windowed.transpose()?, full: full.then(|| part(None)).transpose()? })
    }
}
