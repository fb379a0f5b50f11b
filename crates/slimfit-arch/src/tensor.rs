//! The complete inventory of an architecture's stored tensors: role, place, shape, canonical name.

use crate::{Architecture, Attention, FeedForward, Mlp, Moe, NormKind, NormPlacement, Positions, QkNorm};
use slimfit_quantity::NumberFormat;

/// What a stored tensor is for. Shapes are `(rows, columns)` = `(outputs, inputs)`, row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorRole {
    /// The input table: `(vocabulary, embedding size)`.
    Embedding,
    /// The learned positions: `(offset + context, hidden)`.
    PositionTable,
    /// The norm right after the embedding table.
    EmbeddingNorm,
    /// Embedding size → hidden size: `(hidden, embedding size)`, factorised embeddings only.
    EmbeddingIn,
    /// Hidden size → embedding size before the head: `(embedding size, hidden)`, factorised embeddings only.
    EmbeddingOut,
    /// The norm before the attention (after the sum in `Post` placement); the only one of `ParallelOneNorm`.
    AttentionNorm,
    /// Query projection: `(heads * head_size, hidden)`.
    Query,
    /// Key projection: `(kv_heads * head_size, hidden)`.
    Key,
    /// Value projection: `(kv_heads * head_size, hidden)`.
    Value,
    /// Output projection: `(hidden, heads * head_size)`.
    AttentionOutput,
    /// Norm of the queries.
    QueryNorm,
    /// Norm of the keys.
    KeyNorm,
    /// Norm of what the attention returns, before it is added (`PostBranch`, `Sandwich`).
    AttentionPostNorm,
    /// The norm before the feed-forward part (after the sum in `Post` placement).
    FfnNorm,
    /// Norm of what the feed-forward part returns, before it is added (`PostBranch`, `Sandwich`).
    FfnPostNorm,
    /// Gate of a dense feed-forward part: `(size, hidden)`.
    Gate,
    /// Up projection of a dense feed-forward part: `(size, hidden)`.
    Up,
    /// Down projection of a dense feed-forward part: `(hidden, size)`.
    Down,
    /// Scores of the experts: `(experts, hidden)`.
    Router,
    /// Gates of all experts: `(experts, expert_size, hidden)`.
    ExpertGate,
    /// Up projections of all experts: `(experts, expert_size, hidden)`.
    ExpertUp,
    /// Down projections of all experts: `(experts, hidden, expert_size)`.
    ExpertDown,
    /// Gate of the shared part: `(shared_size, hidden)`.
    SharedGate,
    /// Up projection of the shared part: `(shared_size, hidden)`.
    SharedUp,
    /// Down projection of the shared part: `(hidden, shared_size)`.
    SharedDown,
    /// The learned sigmoid that scales the shared part: `(1, hidden)`.
    SharedExpertGate,
    /// The norm before the output head.
    FinalNorm,
    /// The output head where it is not the input table: `(vocabulary, embedding size)`.
    Head,
}

impl TensorRole {
    /// The name inside a layer or, outside the layers, inside the model.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::PositionTable => "positions",
            Self::EmbeddingNorm => "embedding_norm",
            Self::EmbeddingIn => "embedding_in",
            Self::EmbeddingOut => "embedding_out",
            Self::AttentionNorm => "attention.norm",
            Self::Query => "attention.query",
            Self::Key => "attention.key",
            Self::Value => "attention.value",
            Self::AttentionOutput => "attention.output",
            Self::QueryNorm => "attention.query_norm",
            Self::KeyNorm => "attention.key_norm",
            Self::AttentionPostNorm => "attention.post_norm",
            Self::FfnNorm => "ffn.norm",
            Self::FfnPostNorm => "ffn.post_norm",
            Self::Gate => "ffn.gate",
            Self::Up => "ffn.up",
            Self::Down => "ffn.down",
            Self::Router => "ffn.router",
            Self::ExpertGate => "ffn.experts.gate",
            Self::ExpertUp => "ffn.experts.up",
            Self::ExpertDown => "ffn.experts.down",
            Self::SharedGate => "ffn.shared.gate",
            Self::SharedUp => "ffn.shared.up",
            Self::SharedDown => "ffn.shared.down",
            Self::SharedExpertGate => "ffn.shared.scale",
            Self::FinalNorm => "final_norm",
            Self::Head => "head",
        }
    }

    /// Whether it is a norm, whose values are never quantised.
    pub const fn is_norm(self) -> bool {
        matches!(
            self,
            Self::EmbeddingNorm
                | Self::AttentionNorm
                | Self::QueryNorm
                | Self::KeyNorm
                | Self::AttentionPostNorm
                | Self::FfnNorm
                | Self::FfnPostNorm
                | Self::FinalNorm
        )
    }

    /// Whether it holds one matrix for each expert.
    pub const fn is_expert(self) -> bool {
        matches!(self, Self::ExpertGate | Self::ExpertUp | Self::ExpertDown)
    }

    /// Whether the contract's `non_embedding` leaves it out: input table, output head, learned positions. The
    /// projections of factorised embeddings are matrices of the network and stay in.
    pub const fn is_embedding(self) -> bool {
        matches!(self, Self::Embedding | Self::PositionTable | Self::Head)
    }
}

/// The weight or the bias of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TensorPart {
    /// The matrix, or the vector of a norm.
    Weight,
    /// What is added after it.
    Bias,
}

/// One stored tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// What it is for.
    pub role: TensorRole,
    /// Weight or bias.
    pub part: TensorPart,
    /// The stored layer it belongs to, from 0; absent outside the layers.
    pub layer: Option<u64>,
    /// Row-major, slowest first: `(rows, columns)`, `(values)`, or `(experts, rows, columns)`.
    pub shape: Vec<u64>,
}

impl Tensor {
    /// The canonical name, such as `layers.3.attention.query.weight`.
    pub fn name(&self) -> String {
        let role = self.role.name();
        let part = match self.part {
            TensorPart::Weight => "weight",
            TensorPart::Bias => "bias",
        };
        match self.layer {
            Some(layer) => format!("layers.{layer}.{role}.{part}"),
            None => format!("{role}.{part}"),
        }
    }

    /// Values in it.
    ///
    /// # Panics
    /// When the count overflows 64 bits, which [`Architecture::validate`] refuses.
    pub fn parameters(&self) -> u64 {
        self.checked_parameters().expect("a validated architecture has no tensor past 64 bits")
    }

    /// Values in it, or none when they overflow 64 bits.
    pub fn checked_parameters(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))
    }

    /// Whether a weight format applies to it: every matrix but routers and gates of shared experts, which are small and
    /// decide much. Those, norms, biases and the position table stay f32.
    pub fn is_quantisable(&self) -> bool {
        let kept = matches!(
            self.role,
            TensorRole::PositionTable | TensorRole::Router | TensorRole::SharedExpertGate
        );
        self.part == TensorPart::Weight && self.shape.len() > 1 && !kept
    }

    /// How it is stored in a model whose weights have the format `weights`: see [`NumberFormat::for_columns`]. All
    /// matrices of a layer's experts are stored alike.
    pub fn stored_as(&self, weights: NumberFormat) -> NumberFormat {
        if !self.is_quantisable() {
            return NumberFormat::F32;
        }
        let inner = if self.shape.len() > 2 { &self.shape[self.shape.len() - 2..] } else { &self.shape[1..] };
        inner.iter().fold(weights, |format, &columns| format.for_columns(columns))
    }
}

impl Architecture {
    /// Every stored tensor once, in the order a forward pass meets them. A tied head is not listed: it is the input
    /// table. Experts are stacked: one tensor of `(experts, rows, columns)` for each of their matrices.
    ///
    /// Meant for an architecture that passed [`Architecture::validate`].
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut inventory = Inventory { tensors: Vec::new(), layer: None, norm: self.norm.kind };
        let embedding = self.embedding_size.unwrap_or(self.hidden_size);
        inventory.matrix(TensorRole::Embedding, self.vocabulary_size, embedding);
        if embedding != self.hidden_size {
            inventory.matrix(TensorRole::EmbeddingIn, self.hidden_size, embedding);
        }
        if let Positions::Learned { context, offset } = self.positions {
            inventory.matrix(TensorRole::PositionTable, context + offset, self.hidden_size);
        }
        if self.embedding_norm {
            inventory.norm(TensorRole::EmbeddingNorm, self.hidden_size);
        }
        for (index, run) in (0..).zip(self.each_layer()) {
            inventory.layer = Some(index);
            inventory.attention(&run.attention, self.hidden_size, self.norm_placement);
            inventory.ffn(&run.ffn, self.hidden_size, self.norm_placement);
        }
        inventory.layer = None;
        if self.final_norm {
            inventory.norm(TensorRole::FinalNorm, self.hidden_size);
        }
        if embedding != self.hidden_size {
            inventory.matrix(TensorRole::EmbeddingOut, embedding, self.hidden_size);
        }
        if !self.tied_embeddings {
            inventory.matrix(TensorRole::Head, self.vocabulary_size, embedding);
        }
        if self.head_bias {
            inventory.push(TensorRole::Head, TensorPart::Bias, vec![self.vocabulary_size]);
        }
        inventory.tensors
    }
}

impl NormPlacement {
    /// Which of attention norm, attention post-norm, ffn norm, ffn post-norm a layer has.
    pub(crate) const fn norms(self) -> [bool; 4] {
        match self {
            Self::Pre | Self::Post | Self::ParallelTwoNorms => [true, false, true, false],
            Self::PostBranch => [false, true, false, true],
            Self::Sandwich => [true, true, true, true],
            Self::ParallelOneNorm => [true, false, false, false],
        }
    }
}

/// The list under construction, with what every entry needs to know.
struct Inventory {
    tensors: Vec<Tensor>,
    layer: Option<u64>,
    norm: NormKind,
}

impl Inventory {
    fn push(&mut self, role: TensorRole, part: TensorPart, shape: Vec<u64>) {
        self.tensors.push(Tensor { role, part, layer: self.layer, shape });
    }

    fn matrix(&mut self, role: TensorRole, rows: u64, columns: u64) {
        self.push(role, TensorPart::Weight, vec![rows, columns]);
    }

    fn linear(&mut self, role: TensorRole, rows: u64, columns: u64, bias: bool) {
        self.matrix(role, rows, columns);
        if bias {
            self.push(role, TensorPart::Bias, vec![rows]);
        }
    }

    fn norm(&mut self, role: TensorRole, values: u64) {
        if self.norm != NormKind::LayerPlain {
            self.push(role, TensorPart::Weight, vec![values]);
        }
        if self.norm == NormKind::Layer {
            self.push(role, TensorPart::Bias, vec![values]);
        }
    }

    fn attention(&mut self, attention: &Attention, hidden: u64, placement: NormPlacement) {
        let [before, after, _, _] = placement.norms();
        let (query, kv) = (attention.query_size(), attention.kv_size());
        if before {
            self.norm(TensorRole::AttentionNorm, hidden);
        }
        self.linear(TensorRole::Query, query, hidden, attention.bias.qkv);
        self.linear(TensorRole::Key, kv, hidden, attention.bias.qkv);
        self.linear(TensorRole::Value, kv, hidden, attention.bias.qkv);
        match attention.qk_norm {
            QkNorm::None => {}
            QkNorm::PerHead | QkNorm::PerHeadAfterRotation => {
                self.norm(TensorRole::QueryNorm, attention.head_size);
                self.norm(TensorRole::KeyNorm, attention.head_size);
            }
            QkNorm::AllHeads => {
                self.norm(TensorRole::QueryNorm, query);
                self.norm(TensorRole::KeyNorm, kv);
            }
            QkNorm::EachHead => {
                self.push(TensorRole::QueryNorm, TensorPart::Weight, vec![query]);
                self.push(TensorRole::KeyNorm, TensorPart::Weight, vec![kv]);
            }
        }
        self.linear(TensorRole::AttentionOutput, hidden, query, attention.bias.output);
        if after {
            self.norm(TensorRole::AttentionPostNorm, hidden);
        }
    }

    fn ffn(&mut self, ffn: &FeedForward, hidden: u64, placement: NormPlacement) {
        let [_, _, before, after] = placement.norms();
        if before {
            self.norm(TensorRole::FfnNorm, hidden);
        }
        match ffn {
            FeedForward::Dense(mlp) => self.mlp(mlp, hidden),
            FeedForward::Moe(moe) => self.moe(moe, hidden),
        }
        if after {
            self.norm(TensorRole::FfnPostNorm, hidden);
        }
    }

    fn mlp(&mut self, mlp: &Mlp, hidden: u64) {
        if mlp.gated {
            self.linear(TensorRole::Gate, mlp.size, hidden, mlp.bias);
        }
        self.linear(TensorRole::Up, mlp.size, hidden, mlp.bias);
        self.linear(TensorRole::Down, hidden, mlp.size, mlp.bias);
    }

    fn moe(&mut self, moe: &Moe, hidden: u64) {
        self.linear(TensorRole::Router, moe.experts, hidden, moe.router_bias);
        let (up, down) =
            (vec![moe.experts, moe.expert_size, hidden], vec![moe.experts, hidden, moe.expert_size]);
        if moe.gated {
            self.push(TensorRole::ExpertGate, TensorPart::Weight, up.clone());
        }
        self.push(TensorRole::ExpertUp, TensorPart::Weight, up);
        self.push(TensorRole::ExpertDown, TensorPart::Weight, down);
        if moe.shared_size > 0 {
            if moe.gated {
                self.matrix(TensorRole::SharedGate, moe.shared_size, hidden);
            }
            self.matrix(TensorRole::SharedUp, moe.shared_size, hidden);
            self.matrix(TensorRole::SharedDown, hidden, moe.shared_size);
            if moe.shared_gate {
                self.matrix(TensorRole::SharedExpertGate, 1, hidden);
            }
        }
    }
}
