//! Exact parameter counts in closed form: no list of tensors is built, so a search can ask for millions of them.
//!
//! `tensors.rs` counts the same thing tensor by tensor; a property test holds the two together.

use crate::tally::Tally;
use crate::{Architecture, ArchitectureError, Attention, FeedForward, LayerRun, NormKind, Positions, QkNorm};
use slimfit_quantity::NumberFormat;

/// Stored values, each tensor once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Parameters {
    /// Everything: a tied table once, norms and biases included.
    pub total: u64,
    /// Without the input table, the output head (and its bias) and learned positions.
    pub non_embedding: u64,
    /// The input table, the output head (and its bias) and learned positions.
    pub embedding: u64,
    /// All but the experts that a token does not visit.
    pub active: u64,
}

/// What one layer stores.
struct LayerParameters {
    total: Tally,
    /// Values of the experts that a token does not visit.
    idle: Tally,
}

impl Architecture {
    /// Stored parameters.
    ///
    /// # Panics
    /// When a count overflows 64 bits, which [`Architecture::validate`] refuses.
    pub fn parameters(&self) -> Parameters {
        self.checked_parameters().expect("a validated architecture counts within 64 bits")
    }

    /// Stored parameters.
    ///
    /// # Errors
    /// [`ArchitectureError::Overflow`] when a count does not fit 64 bits.
    pub fn checked_parameters(&self) -> Result<Parameters, ArchitectureError> {
        let overflow = ArchitectureError::Overflow { what: "its parameters" };
        let table = self.embedding_size.unwrap_or(self.hidden_size);
        let mut embedding = Tally::new();
        embedding.add([self.vocabulary_size, table]);
        embedding.add_if(!self.tied_embeddings, [self.vocabulary_size, table]);
        embedding.add_if(self.head_bias, [self.vocabulary_size]);
        if let Positions::Learned { context, offset } = self.positions {
            embedding.add([context, self.hidden_size]);
            embedding.add([offset, self.hidden_size]);
        }
        let mut network = Tally::new();
        let mut idle = Tally::new();
        network.add_if(table != self.hidden_size, [2, table, self.hidden_size]);
        let norms = u64::from(self.embedding_norm) + u64::from(self.final_norm);
        network.add([norms, self.norm.kind.vectors(), self.hidden_size]);
        for run in &self.layers {
            let layer = self.layer_parameters(run);
            network.add_tally(run.repeat, layer.total);
            idle.add_tally(run.repeat, layer.idle);
        }
        let mut total = embedding;
        total.add_tally(1, network);
        match (total.total(), network.total(), embedding.total(), idle.total()) {
            (Some(total), Some(non_embedding), Some(embedding), Some(idle)) => {
                Ok(Parameters { total, non_embedding, embedding, active: total - idle })
            }
            _ => Err(overflow),
        }
    }

    /// Bytes of all weights when matrices are stored as `weights` (see [`crate::Tensor::stored_as`] for those that
    /// are not), and norms, biases, routers and the position table as f32.
    ///
    /// # Errors
    /// [`ArchitectureError::PartialBlock`] names the first matrix whose rows are no whole number of blocks;
    /// [`ArchitectureError::Overflow`] when the size does not fit 64 bits.
    pub fn weight_bytes(&self, weights: NumberFormat) -> Result<u64, ArchitectureError> {
        let mut bytes = Tally::new();
        // One layer of each run stands for all of it: equal layers store equal bytes.
        let mut one_of_each = self.clone();
        one_of_each.layers.iter_mut().for_each(|run| run.repeat = run.repeat.min(1));
        let mut firsts = Vec::with_capacity(self.layers.len());
        let mut next = 0_u64;
        for run in &self.layers {
            firsts.push(next);
            next = next.saturating_add(run.repeat);
        }
        for mut tensor in one_of_each.tensors() {
            let times = tensor.layer.map_or(1, |run| self.layers[run as usize].repeat);
            let format = tensor.stored_as(weights);
            let columns = tensor.shape.last().copied().unwrap_or(1);
            let Ok(row) = format.bytes_for(columns) else {
                tensor.layer = tensor.layer.map(|run| firsts[run as usize]);
                let (tensor, block) = (tensor.name(), format.block_values());
                return Err(ArchitectureError::PartialBlock { tensor, columns, format, block });
            };
            let outer = &tensor.shape[..tensor.shape.len() - 1];
            let mut rows = Tally::new();
            match *outer {
                [] => rows.add([1]),
                [rows_of_matrix] => rows.add([rows_of_matrix]),
                [experts, rows_of_matrix, ..] => rows.add([experts, rows_of_matrix]),
            }
            let mut each = Tally::new();
            each.add_tally(row, rows);
            bytes.add_tally(times, each);
        }
        bytes.total().ok_or(ArchitectureError::Overflow { what: "its bytes" })
    }

    fn layer_parameters(&self, run: &LayerRun) -> LayerParameters {
        let hidden = self.hidden_size;
        let mut total = attention_parameters(&run.attention, hidden, self.norm.kind);
        let mut idle = Tally::new();
        let norms = self.norm_placement.norms().into_iter().filter(|&stands| stands).count() as u64;
        total.add([norms, self.norm.kind.vectors(), hidden]);
        match &run.ffn {
            FeedForward::Dense(mlp) => {
                let ups = 1 + u64::from(mlp.gated);
                total.add([ups + 1, mlp.size, hidden]);
                total.add_if(mlp.bias, [ups, mlp.size]);
                total.add_if(mlp.bias, [hidden]);
            }
            FeedForward::Moe(moe) => {
                let matrices = 2 + u64::from(moe.gated);
                total.add([moe.experts, hidden]);
                total.add_if(moe.router_bias, [moe.experts]);
                total.add([moe.experts, matrices, moe.expert_size, hidden]);
                total.add([matrices, moe.shared_size, hidden]);
                total.add_if(moe.shared_gate && moe.shared_size > 0, [hidden]);
                idle.add([moe.experts.saturating_sub(moe.top_k), matrices, moe.expert_size, hidden]);
            }
        }
        LayerParameters { total, idle }
    }
}

fn attention_parameters(attention: &Attention, hidden: u64, norm: NormKind) -> Tally {
    let Attention { heads, kv_heads, head_size, bias, qk_norm, .. } = *attention;
    let mut total = Tally::new();
    total.add([2, heads, head_size, hidden]);
    total.add([2, kv_heads, head_size, hidden]);
    total.add_if(bias.qkv, [heads, head_size]);
    total.add_if(bias.qkv, [2, kv_heads, head_size]);
    total.add_if(bias.output, [hidden]);
    match qk_norm {
        QkNorm::None => {}
        QkNorm::PerHead | QkNorm::PerHeadAfterRotation => total.add([2, norm.vectors(), head_size]),
        QkNorm::AllHeads => {
            total.add([norm.vectors(), heads, head_size]);
            total.add([norm.vectors(), kv_heads, head_size]);
        }
        QkNorm::EachHead => {
            total.add([heads, head_size]);
            total.add([kv_heads, head_size]);
        }
    }
    total
}

impl NormKind {
    /// Vectors that one norm stores: weight and bias, weight, or nothing.
    pub const fn vectors(self) -> u64 {
        match self {
            Self::Rms | Self::LayerNoBias => 1,
            Self::Layer => 2,
            Self::LayerPlain => 0,
        }
    }
}
