//! What the law reads of an architecture.

use slimfit_arch::{Architecture, ArchitectureError, FeedForward, LayerRun};

/// The numbers of an architecture that decide its quality.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Stored parameters without embeddings and positions.
    pub non_embedding: u64,
    /// Those of them that a token visits.
    pub active: u64,
    /// Stored embedding parameters: input table, output head unless tied, learned positions.
    pub embedding: u64,
    /// The looped part, where there is one.
    pub looped: Option<Looped>,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Stored layers.
    pub layers: u64,
    /// Rows of the embedding table.
    pub vocabulary_size: u64,
    /// The largest number of query heads for one key head.
    pub heads_per_kv_head: u64,
    /// Whether some layer with several query heads has a single key head.
    pub single_kv_head: bool,
    /// The smallest inner width over width.
    pub ffn_low: f64,
    /// The largest.
    pub ffn_high: f64,
    /// The shortest window, where there is one.
    pub window: Option<u64>,
    /// Layers without a window.
    pub global_layers: u64,
    /// The most experts in one layer; 1 for dense models.
    pub experts: u64,
    /// Whether layers differ in more than their window.
    pub per_layer: bool,
}

/// Parameters that are used several times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looped {
    /// Stored parameters in the loop.
    pub non_embedding: u64,
    /// Those of them that a token visits.
    pub active: u64,
    /// Passes.
    pub count: u64,
}

impl Shape {
    /// ln of width over depth.
    pub fn ln_width_over_depth(&self) -> f64 {
        (self.hidden_size as f64 / self.layers as f64).ln()
    }

    /// The same shape with other counts of parameters, stored and visited. Where layers loop, the difference lies in the loop.
    pub fn resized(self, non_embedding: u64, active: u64) -> Self {
        let looped = self.looped.map(|looped| Looped {
            non_embedding: (looped.non_embedding + non_embedding).saturating_sub(self.non_embedding),
            active: (looped.active + active).saturating_sub(self.active),
            ..looped
        });
        Self { non_embedding, active, looped, ..self }
    }

    /// Reads a valid architecture.
    ///
    /// # Errors
    /// When the architecture cannot exist.
    pub fn of(architecture: &Architecture) -> Result<Self, ArchitectureError> {
        architecture.validate()?;
        let (non_embedding, active) = counts(architecture)?;
        let looped = match architecture.loops.filter(|loops| loops.count > 1) {
            None => None,
            Some(loops) => {
                let mut rest = architecture.clone();
                rest.loops = None;
                rest.layers = without(&architecture.layers, loops.first, loops.layers);
                let (outside, outside_active) = counts(&rest)?;
                Some(Looped {
                    non_embedding: non_embedding - outside,
                    active: active - outside_active,
                    count: loops.count,
                })
            }
        };
        let width = architecture.hidden_size as f64;
        let mut shape = Self {
            non_embedding,
            active,
            embedding: architecture.checked_parameters()?.embedding,
            looped,
            hidden_size: architecture.hidden_size,
            layers: architecture.depth(),
            vocabulary_size: architecture.vocabulary_size,
            heads_per_kv_head: 1,
            single_kv_head: false,
            ffn_low: f64::INFINITY,
            ffn_high: 0.0,
            window: None,
            global_layers: 0,
            experts: 1,
            per_layer: false,
        };
        let first = &architecture.layers[0];
        for run in &architecture.layers {
            let attention = &run.attention;
            shape.heads_per_kv_head = shape.heads_per_kv_head.max(attention.heads / attention.kv_heads);
            shape.single_kv_head |= attention.heads > 1 && attention.kv_heads == 1;
            match attention.window {
                Some(window) => shape.window = Some(shape.window.map_or(window, |least| least.min(window))),
                None => shape.global_layers += run.repeat,
            }
            let inner = match &run.ffn {
                FeedForward::Dense(mlp) => mlp.size,
                FeedForward::Moe(moe) => {
                    shape.experts = shape.experts.max(moe.experts);
                    moe.top_k * moe.expert_size + moe.shared_size
                }
            } as f64
                / width;
            shape.ffn_low = shape.ffn_low.min(inner);
            shape.ffn_high = shape.ffn_high.max(inner);
            shape.per_layer |= run.ffn != first.ffn
                || attention.heads != first.attention.heads
                || attention.kv_heads != first.attention.kv_heads
                || attention.head_size != first.attention.head_size;
        }
        Ok(shape)
    }
}

fn counts(architecture: &Architecture) -> Result<(u64, u64), ArchitectureError> {
    let parameters = architecture.checked_parameters()?;
    Ok((parameters.non_embedding, parameters.active - parameters.embedding))
}

/// The runs less the layers `first..first + count`.
fn without(layers: &[LayerRun], first: u64, count: u64) -> Vec<LayerRun> {
    let mut start = 0;
    let mut rest = Vec::with_capacity(layers.len());
    for run in layers {
        let end = start + run.repeat;
        let cut = end.min(first + count).saturating_sub(start.max(first));
        if cut < run.repeat {
            rest.push(LayerRun { repeat: run.repeat - cut, ..run.clone() });
        }
        start = end;
    }
    rest
}
