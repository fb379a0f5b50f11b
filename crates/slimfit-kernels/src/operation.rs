//! The kinds of operation that a model's step consists of, with the shapes that decide what each costs.
//!
//! These are *descriptions*: a plan is a list of them, the cost model prices them, the runtime binds them to buffers
//! and executes them through [`execute`](crate::execute). No pointer and no time stands here.

pub use crate::activate::ActivationFunction;
pub use crate::norm::NormFormula;
pub use crate::rotate_store::QkNormKind;
use slimfit_quantity::NumberFormat;

/// One operation of a prefill or decode step. All sizes are in values, all matrices row-major `(rows, columns)`.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `x[t] = scale · table[token[t]]`, plus a learned position row where there is one.
    Embed(Embed),
    /// `y[t] = norm(x[t])`, or `y[t] += scale · norm(x[t])`.
    Norm(NormOperation),
    /// `y[t] = W x[t] + b`, or `y[t] += scale · (W x[t] + b)`.
    MatMul(MatMul),
    /// Splits the fused q, k, v rows of each token: clips, norms and rotates q and k, writes k and v into the cache.
    RotateStore(RotateStore),
    /// `y[t, h] = softmax(scale · q[t, h] · K) V` over the keys that position t may see.
    Attend(Attend),
    /// `y[t] = act(gate[t]) · up[t]`, or `y[t] = act(x[t])`, or either times a factor of the token's.
    Activate(Activate),
    /// `y[t] += scale · x[t]`: only where an addition cannot be fused into its producer.
    Add(Add),
    /// Scores of all experts for each token, the best `top_k` and their weights.
    Route(Route),
    /// The chosen experts' feed-forward parts, summed with their weights.
    Experts(Experts),
}

/// Gathers embedding rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embed {
    /// Rows of the table.
    pub vocabulary: u64,
    /// Values of a row.
    pub width: u64,
    /// How the table is stored.
    pub format: NumberFormat,
    /// Factor on each row.
    pub scale: f32,
    /// Rows of the learned position table before position 0, where the model has such a table (stored in f32).
    pub position_offset: Option<u64>,
}

/// Normalises each token's row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormOperation {
    /// Values of a row.
    pub width: u64,
    /// The formula.
    pub formula: NormFormula,
    /// ε.
    pub epsilon: f32,
    /// Whether a weight multiplies the result (an offset from 1 is folded in at load).
    pub weight: bool,
    /// Whether a bias is added.
    pub bias: bool,
    /// `Some(scale)`: the result is scaled and added to the output instead of stored.
    pub accumulate: Option<f32>,
}

/// A matrix times each token's vector: GEMV for one token, GEMM for many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatMul {
    /// Output values per token.
    pub rows: u64,
    /// Input values per token.
    pub columns: u64,
    /// How the matrix is stored. Quantised formats quantise the input to 8 bits, in blocks as long as the matrix's: 32
    /// values, 256 for the k formats.
    pub format: NumberFormat,
    /// Whether a bias (f32) is added.
    pub bias: bool,
    /// `Some(scale)`: the result is scaled and added to the output instead of stored.
    pub accumulate: Option<f32>,
    /// The output head: cap on the result, `cap · tanh(y / cap)`.
    pub softcap: Option<f32>,
}

/// What happens between the fused q, k, v projection and the attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotateStore {
    /// Query heads.
    pub heads: u64,
    /// Key and value heads.
    pub kv_heads: u64,
    /// Values of a head.
    pub head_size: u64,
    /// Values of a head that rotate; 0: no rotary positions.
    pub rotated: u64,
    /// Whether pairs are neighbours rather than halves.
    pub interleaved: bool,
    /// Norm of q and k before the rotation.
    pub qk_norm: QkNormKind,
    /// The norm's formula and ε.
    pub norm: (NormFormula, f32),
    /// Clamp on q, k and v.
    pub clip: Option<f32>,
    /// How the cache is stored.
    pub kv_format: NumberFormat,
}

/// Attention over the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attend {
    /// Query heads.
    pub heads: u64,
    /// Key and value heads; each is read once for its group of query heads.
    pub kv_heads: u64,
    /// Values of a head.
    pub head_size: u64,
    /// Keys a query sees at most, itself included.
    pub window: Option<u64>,
    /// Factor on q·k.
    pub scale: f32,
    /// Scores become `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// Scores get a bias that falls with distance, by head (ALiBi).
    pub alibi: bool,
    /// How the cache is stored.
    pub kv_format: NumberFormat,
}

/// The feed-forward part's non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activate {
    /// Output values per token.
    pub size: u64,
    /// Input rows are `[gate, up]`, `2 · size` values; otherwise `size` values.
    pub gated: bool,
    /// The function.
    pub function: ActivationFunction,
    /// Whether each token's row is multiplied by the sigmoid of a score of its own (a mixture's shared part).
    pub scaled: bool,
}

/// A plain addition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Add {
    /// Values per token.
    pub width: u64,
    /// Factor on the addend.
    pub scale: f32,
}

/// The router of a mixture of experts. Its matrix is kept in f32: it is small and decides much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Input values per token.
    pub columns: u64,
    /// Experts.
    pub experts: u64,
    /// Experts chosen per token.
    pub top_k: u64,
    /// Whether the chosen weights are scaled to sum to 1.
    pub normalise: bool,
    /// Whether a bias is added to the scores.
    pub bias: bool,
}

/// The experts themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experts {
    /// Input and output values per token.
    pub columns: u64,
    /// Inner width of one expert.
    pub size: u64,
    /// Experts stored.
    pub experts: u64,
    /// Experts each token visits.
    pub top_k: u64,
    /// Whether experts are gated.
    pub gated: bool,
    /// The non-linearity.
    pub function: ActivationFunction,
    /// How the experts' matrices are stored.
    pub format: NumberFormat,
    /// `Some(scale)`: the sum is scaled and added to the output instead of stored.
    pub accumulate: Option<f32>,
}

impl Route {
    /// The product that makes the scores.
    pub(crate) fn product(&self) -> MatMul {
        MatMul {
            rows: self.experts,
            columns: self.columns,
            format: NumberFormat::F32,
            bias: self.bias,
            accumulate: None,
            softcap: None,
        }
    }
}

impl Operation {
    /// The kind's name in tables, profiles, logs and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embed(_) => "embed",
            Self::Norm(_) => "norm",
            Self::MatMul(_) => "matmul",
            Self::RotateStore(_) => "rotate_store",
            Self::Attend(_) => "attend",
            Self::Activate(_) => "activate",
            Self::Add(_) => "add",
            Self::Route(_) => "route",
            Self::Experts(_) => "experts",
        }
    }
}
