//! Points with their parameters counted, and what the quality law reads of them.

use crate::space::looped;
use crate::{Block, Invalid, ModelEvaluator, Space};
use slimfit_arch::{Architecture, ArchitectureError};
use slimfit_cost::RunShape;
use slimfit_quality::{Looped, Shape};

/// Parameters without embeddings of one layer, and of what no layer has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerParameters {
    pub(crate) layer: u64,
    /// Those of a layer that a token does not visit.
    pub(crate) idle: u64,
    pub(crate) rest: u64,
}

impl LayerParameters {
    /// Counts a block.
    ///
    /// # Errors
    /// Why it is no model.
    pub(crate) fn of(space: &Space, block: &Block) -> Result<Self, Invalid> {
        let plain = Block { window: None, ..*block };
        let vocabulary = space.vocabularies()[0];
        let count = |layers| {
            let architecture = space.architecture(&plain, layers, vocabulary, true);
            match architecture.validate().and_then(|()| architecture.checked_parameters()) {
                Ok(parameters) => Ok((parameters.non_embedding, parameters.total - parameters.active)),
                Err(ArchitectureError::Field { field, .. }) => {
                    Err(Invalid::owned(format!("impossible `{field}`")))
                }
                Err(error) => Err(Invalid::owned(error.to_string())),
            }
        };
        let ((one, idle), (two, _)) = (count(1)?, count(2)?);
        let layer = two - one;
        Ok(Self { layer, idle, rest: one - layer })
    }
}

/// A point with its parameters counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) block: Block,
    /// Stored ones.
    pub(crate) layers: u64,
    /// How often all of them run.
    pub(crate) passes: u64,
    /// Place in the space's list of vocabularies.
    pub(crate) vocabulary: usize,
    pub(crate) tied: bool,
    /// Stored parameters without embeddings.
    pub(crate) non_embedding: u64,
    /// Those of them that a token visits.
    pub(crate) active: u64,
    /// Those that no layer has.
    pub(crate) rest: u64,
}

impl ModelEvaluator<'_> {
    /// Stored parameters of a point, embeddings included.
    pub(crate) fn total_parameters(&self, point: &Counted) -> u64 {
        let (vocabulary, ..) = self.vocabularies[point.vocabulary];
        point.non_embedding + tables(point.tied) * vocabulary * point.block.hidden_size
    }

    /// What the law reads of a point.
    pub(crate) fn shape(&self, point: &Counted) -> Shape {
        let Counted { block, layers, passes, tied, non_embedding, active, rest, .. } = *point;
        let (vocabulary, run, _) = self.vocabularies[point.vocabulary];
        let full = block.full_layers(layers);
        let ratio = block.ffn as f64 / block.hidden_size as f64;
        Shape {
            non_embedding,
            active,
            embedding: tables(tied) * vocabulary * block.hidden_size,
            looped: (passes > 1).then(|| Looped {
                non_embedding: non_embedding - rest,
                active: active - rest,
                count: passes,
            }),
            hidden_size: block.hidden_size,
            layers,
            vocabulary_size: vocabulary,
            heads_per_kv_head: block.heads / block.kv_heads,
            single_kv_head: block.heads > 1 && block.kv_heads == 1,
            ffn_low: ratio,
            ffn_high: ratio,
            // One that cuts nothing is none to the law.
            window: block.window.filter(|_| full < layers).map(|window| window.size).filter(|size| {
                let RunShape { prompt_tokens, generated_tokens, .. } = run;
                *size < prompt_tokens + generated_tokens
            }),
            global_layers: full,
            experts: block.experts.map_or(1, |experts| experts.count),
            per_layer: false,
        }
    }

    pub(super) fn architecture(&self, space: &Space, point: &Counted) -> Architecture {
        let (vocabulary, ..) = self.vocabularies[point.vocabulary];
        looped(space.architecture(&point.block, point.layers, vocabulary, point.tied), point.passes)
    }
}

/// Embedding tables stored: input and output, or one for both.
const fn tables(tied: bool) -> u64 {
    if tied { 1 } else { 2 }
}
