//! Binds an operation's description to buffers. Adapter: the only place where descriptions meet kernels' arguments.
//!
//! Constructors panic where a length does not fit: shapes come from a plan, so a wrong one is a broken promise, and
//! kernels rely on what is checked here. What a *user* may get wrong is an error earlier: [`crate::Kernels::supports`].

use crate::activate::ActivateArgs;
use crate::add::AddArgs;
use crate::attend::AttendArgs;
use crate::cache::CacheShape;
use crate::embed::EmbedArgs;
use crate::experts::ExpertsArgs;
use crate::kv::{KvFormat, KvLayer};
use crate::matmul::{self, AnyShape, MatMulArgs};
use crate::memory::ALIGNMENT;
use crate::norm::NormArgs;
use crate::operation;
use crate::packed::PackedMatrix;
use crate::rotate_store::{QkNormKind, RotateStoreArgs, RotationTable};
use crate::route::RouteArgs;
use crate::{KernelError, SharedMut};
use slimfit_quantity::NumberFormat;

/// An operation with its buffers, ready for [`crate::Kernels::execute`].
#[derive(Debug, Clone, Copy)]
pub enum Invocation<'a> {
    /// See [`EmbedArgs`].
    Embed(EmbedArgs<'a>),
    /// See [`NormArgs`].
    Norm(NormArgs<'a>),
    /// See [`MatMulArgs`].
    MatMul(MatMulArgs<'a>),
    /// See [`RotateStoreArgs`].
    RotateStore(RotateStoreArgs<'a>),
    /// See [`AttendArgs`].
    Attend(AttendArgs<'a>),
    /// See [`ActivateArgs`].
    Activate(ActivateArgs<'a>),
    /// See [`AddArgs`].
    Add(AddArgs<'a>),
    /// See [`RouteArgs`].
    Route(RouteArgs<'a>),
    /// See [`ExpertsArgs`].
    Experts(ExpertsArgs<'a>),
}

fn size(value: u64) -> usize {
    usize::try_from(value).expect("buffers of this shape exist, so their sizes fit")
}

impl<'a> EmbedArgs<'a> {
    /// `positions` is the whole learned table `(rows, width)`; `output` is `(tokens, width)`.
    ///
    /// # Panics
    /// When a shape or length does not belong to `operation`.
    pub fn new(
        operation: &operation::Embed,
        table: &'a PackedMatrix,
        positions: Option<&'a [f32]>,
        first_position: usize,
        tokens: &'a [u32],
        output: SharedMut<'a, f32>,
    ) -> Self {
        let width = size(operation.width);
        assert_eq!((table.rows(), table.columns()), (size(operation.vocabulary), width), "embedding table");
        assert_eq!(output.len(), tokens.len() * width, "embedding output");
        assert_eq!(operation.position_offset.is_some(), positions.is_some(), "learned positions");
        let positions = operation.position_offset.zip(positions).map(|(offset, table)| {
            let first = (size(offset) + first_position) * width;
            &table[first..first + tokens.len() * width]
        });
        Self {
            vocabulary: table.rows(),
            width,
            scale: operation.scale,
            layout: table.layout(),
            table: table.bytes(),
            positions,
            tokens,
            output,
        }
    }
}

impl<'a> NormArgs<'a> {
    /// `input` and `output` are `(tokens, width)` and do not overlap, `weight` and `bias` are `(width)`.
    ///
    /// # Panics
    /// When a length does not belong to `operation`.
    pub fn new(
        operation: &operation::NormOperation,
        tokens: usize,
        input: &'a [f32],
        weight: Option<&'a [f32]>,
        bias: Option<&'a [f32]>,
        output: SharedMut<'a, f32>,
    ) -> Self {
        let width = size(operation.width);
        assert_eq!((input.len(), output.len()), (tokens * width, tokens * width), "norm rows");
        assert_eq!((weight.is_some(), bias.is_some()), (operation.weight, operation.bias), "norm parameters");
        assert!(weight.into_iter().chain(bias).all(|values| values.len() == width), "norm parameters");
        Self {
            width,
            tokens,
            formula: operation.formula,
            epsilon: operation.epsilon,
            accumulate: operation.accumulate,
            input,
            weight,
            bias,
            output,
        }
    }
}

impl<'a> MatMulArgs<'a> {
    /// `input` is `(tokens, columns)`, `bias` `(rows)`, `output` `(tokens, rows)`; `scratch` is aligned to 64 bytes and
    /// has at least [`crate::scratch_bytes`] of as many threads as take part.
    ///
    /// # Panics
    /// When a shape or length does not belong to `operation`.
    pub fn new(
        operation: &operation::MatMul,
        tokens: usize,
        weights: &'a PackedMatrix,
        bias: Option<&'a [f32]>,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> Self {
        let (rows, columns) = (size(operation.rows), size(operation.columns));
        assert_eq!((weights.rows(), weights.columns()), (rows, columns), "matrix");
        assert_eq!(weights.format(), operation.format, "matrix format");
        assert_eq!((input.len(), output.len()), (tokens * columns, tokens * rows), "matmul vectors");
        assert_eq!(bias.map(<[f32]>::len), operation.bias.then_some(rows), "matmul bias");
        let layout = weights.layout();
        assert_eq!(weights.bytes().len(), layout.groups(rows) * layout.group_bytes(columns), "packed bytes");
        assert!(scratch.as_ptr().align_offset(ALIGNMENT) == 0, "scratch must be aligned");
        assert!(scratch.len() >= matmul::scratch_bytes(layout.format, columns, tokens, 1), "scratch");
        Self {
            shape: AnyShape { rows, columns },
            tokens,
            layout,
            weights: weights.bytes(),
            bias,
            accumulate: operation.accumulate,
            softcap: operation.softcap,
            input,
            output,
            scratch,
            seat: None,
        }
    }
}

impl<'a> KvLayer<'a> {
    /// A layer's cache of `capacity` positions; `keys` and `values` are each [`KvLayer::half_bytes`] long.
    ///
    /// # Panics
    /// When a length is wrong or the format has no kernel; [`crate::Kernels::supports`] tells beforehand.
    pub fn new(
        format: NumberFormat,
        kv_heads: usize,
        head_size: usize,
        capacity: usize,
        keys: SharedMut<'a, u8>,
        values: SharedMut<'a, u8>,
    ) -> Self {
        let kv_format = kv_format(format).expect("the plan was checked with `Kernels::supports`");
        assert!(head_size.is_multiple_of(kv_format.block_values()), "heads of {head_size} in `{format}`");
        let cache = Self { format: kv_format, kv_heads, head_size, capacity, first: 0, keys, values };
        let bytes = cache.bytes(kv_heads * capacity);
        assert_eq!((keys.len(), values.len()), (bytes, bytes), "cache of {capacity} positions");
        assert!(
            keys.as_ptr().align_offset(4) == 0 && values.as_ptr().align_offset(4) == 0,
            "cache alignment"
        );
        cache
    }

    /// Bytes of one layer's keys, and of its values.
    ///
    /// # Errors
    /// The format has no kernel, or a head is not made of whole blocks.
    pub fn half_bytes(
        format: NumberFormat,
        kv_heads: u64,
        head_size: u64,
        capacity: u64,
    ) -> Result<u64, KernelError> {
        let kv_format = whole_heads(format, head_size)?;
        Ok(kv_heads
            * capacity
            * (head_size / kv_format.block_values() as u64)
            * kv_format.block_bytes() as u64)
    }
}

impl CacheShape {
    /// What a layer keeps of `positions` positions.
    ///
    /// # Errors
    /// The format has no kernel, or a head is not made of whole blocks.
    pub fn new(
        format: NumberFormat,
        kv_heads: u64,
        head_size: u64,
        window: Option<u64>,
        positions: u64,
    ) -> Result<Self, KernelError> {
        let format = whole_heads(format, head_size)?;
        let [kv_heads, head_size, positions] = [kv_heads, head_size, positions].map(size);
        Ok(Self { format, kv_heads, head_size, window: window.map(size), positions })
    }
}

/// The kernels' format for a cache's number format.
pub(crate) fn kv_format(format: NumberFormat) -> Result<KvFormat, KernelError> {
    match format {
        NumberFormat::F32 => Ok(KvFormat::F32),
        NumberFormat::F16 => Ok(KvFormat::F16),
        NumberFormat::Q8_0 => Ok(KvFormat::Q8_0),
        other => {
            Err(KernelError::Unsupported { operation: "rotate_store", what: format!("a cache in `{other}`") })
        }
    }
}

/// The kernels' format for a cache of heads of this size.
pub(crate) fn whole_heads(format: NumberFormat, head_size: u64) -> Result<KvFormat, KernelError> {
    let found = kv_format(format)?;
    let block = found.block_values() as u64;
    if head_size.is_multiple_of(block) {
        return Ok(found);
    }
    let what = format!("a cache in `{format}`: heads of {head_size} values are no whole blocks of {block}");
    Err(KernelError::Unsupported { operation: "rotate_store", what })
}

impl<'a> RotateStoreArgs<'a> {
    /// `qkv` is `(tokens, (heads + 2 · kv_heads) · head_size)`; norms are empty, `(head_size)` or
    /// `(heads or kv_heads · head_size)` as the kind says; the table has a row for every position up to the last token's.
    ///
    /// # Panics
    /// When a length does not belong to `operation`.
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of the operation")]
    pub fn new(
        operation: &operation::RotateStore,
        tokens: usize,
        first_position: usize,
        qkv: SharedMut<'a, f32>,
        query_norm: &'a [f32],
        key_norm: &'a [f32],
        rotation: RotationTable<'a>,
        cache: KvLayer<'a>,
    ) -> Self {
        let (heads, head_size) = (size(operation.heads), size(operation.head_size));
        let kv_heads = size(operation.kv_heads);
        assert_eq!((cache.kv_heads, cache.head_size), (kv_heads, head_size), "cache shape");
        assert_eq!(kv_format(operation.kv_format), Ok(cache.format), "cache format");
        let positions = first_position..first_position + tokens;
        assert!(cache.holds(positions.clone()), "the cache has no rows for the positions {positions:?}");
        assert_eq!(qkv.len(), tokens * (heads + 2 * kv_heads) * head_size, "fused rows");
        let norms = match operation.qk_norm {
            QkNormKind::None => (0, 0),
            QkNormKind::PerHead => (head_size, head_size),
            QkNormKind::EachHead | QkNormKind::AllHeads => (heads * head_size, kv_heads * head_size),
        };
        assert_eq!((query_norm.len(), key_norm.len()), norms, "norms of q and k");
        let rotated = size(operation.rotated);
        assert!(rotated <= head_size && rotated.is_multiple_of(2), "{rotated} of {head_size} values rotate");
        let rows = (first_position + tokens) * (rotated / 2);
        assert!(rotation.cosines.len() >= rows && rotation.sines.len() >= rows, "rotation table");
        Self {
            heads,
            rotated,
            interleaved: operation.interleaved,
            qk_norm: operation.qk_norm,
            formula: operation.norm.0,
            epsilon: operation.norm.1,
            clip: operation.clip,
            tokens,
            first_position,
            qkv,
            query_norm,
            key_norm,
            rotation,
            cache,
        }
    }
}

impl<'a> AttendArgs<'a> {
    /// `qkv` is `(tokens, (heads + 2 · kv_heads) · head_size)`, `output` `(tokens, heads · head_size)`; the cache holds
    /// every position that a token sees, up to the last one's own; `scratch` is aligned to 64 bytes and has at least
    /// [`crate::scratch_bytes`] for `first_position + tokens` keys and as many threads as take part.
    ///
    /// # Panics
    /// When a length does not belong to `operation`.
    pub fn new(
        operation: &operation::Attend,
        tokens: usize,
        first_position: usize,
        qkv: &'a [f32],
        cache: KvLayer<'a>,
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> Self {
        let (heads, head_size) = (size(operation.heads), size(operation.head_size));
        let kv_heads = size(operation.kv_heads);
        assert_eq!((cache.kv_heads, cache.head_size), (kv_heads, head_size), "cache shape");
        assert!(kv_heads > 0 && heads.is_multiple_of(kv_heads), "{heads} heads over {kv_heads}");
        assert_eq!(kv_format(operation.kv_format), Ok(cache.format), "cache format");
        let window = operation.window.map(size);
        let oldest = window.map_or(0, |window| (first_position + 1).saturating_sub(window));
        let positions = oldest..first_position + tokens;
        assert!(cache.holds(positions.clone()), "the cache has no rows for the positions {positions:?}");
        assert_eq!(qkv.len(), tokens * (heads + 2 * kv_heads) * head_size, "fused rows");
        assert_eq!(output.len(), tokens * heads * head_size, "attention output");
        assert!(operation.window != Some(0), "a window of no key");
        assert!(scratch.as_ptr().align_offset(ALIGNMENT) == 0, "scratch must be aligned");
        Self {
            heads,
            window,
            scale: operation.scale,
            softcap: operation.softcap,
            alibi: operation.alibi,
            tokens,
            first_position,
            qkv,
            cache,
            output,
            scratch,
            seat: None,
        }
    }
}

impl<'a> ActivateArgs<'a> {
    /// `input` is `(tokens, 2 · size)` with a gate, else `(tokens, size)`; `scores` is `(tokens)`; `output` is
    /// `(tokens, size)`.
    ///
    /// # Panics
    /// When a length does not belong to `operation`.
    pub fn new(
        operation: &operation::Activate,
        tokens: usize,
        input: &'a [f32],
        scores: Option<&'a [f32]>,
        output: SharedMut<'a, f32>,
    ) -> Self {
        let values = size(operation.size);
        let width = if operation.gated { 2 * values } else { values };
        assert_eq!((input.len(), output.len()), (tokens * width, tokens * values), "activation rows");
        assert_eq!(scores.map(<[f32]>::len), operation.scaled.then_some(tokens), "activation scores");
        let (gated, function) = (operation.gated, operation.function);
        Self { size: values, tokens, gated, function, input, scores, output }
    }
}

impl<'a> AddArgs<'a> {
    /// `input` and `output` are `(tokens, width)` and do not overlap.
    ///
    /// # Panics
    /// When a length does not belong to `operation`.
    pub fn new(
        operation: &operation::Add,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
    ) -> Self {
        let values = tokens * size(operation.width);
        assert_eq!((input.len(), output.len()), (values, values), "addends");
        Self { scale: operation.scale, input, output }
    }
}

impl<'a> RouteArgs<'a> {
    /// `weights` is `(experts, columns)` in f32, `bias` `(experts)`, `input` `(tokens, columns)`; `routing` is
    /// `tokens · (experts + 2 · top_k)` values, first all scores, then all choices.
    ///
    /// # Panics
    /// When a shape or length does not belong to `operation`.
    pub fn new(
        operation: &operation::Route,
        tokens: usize,
        weights: &'a PackedMatrix,
        bias: Option<&'a [f32]>,
        input: &'a [f32],
        routing: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> Self {
        let (experts, top_k) = (size(operation.experts), size(operation.top_k));
        assert!((1..=experts).contains(&top_k), "{top_k} of {experts} experts");
        assert_eq!(routing.len(), tokens * (experts + 2 * top_k), "routing");
        let scores = tokens * experts;
        let product = MatMulArgs::new(
            &operation.product(),
            tokens,
            weights,
            bias,
            input,
            routing.part(0..scores),
            scratch,
        );
        let choices = routing.part(scores..routing.len());
        Self { top_k, normalise: operation.normalise, product, choices }
    }
}

impl<'a> ExpertsArgs<'a> {
    /// `up` and `down` are stacks of `experts` matrices, see [`PackedMatrix::stacked`]: `(2 · size, columns)` each with a
    /// gate, gate above up, else `(size, columns)`; and `(columns, size)` each. `input` and `output` are
    /// `(tokens, columns)` and do not overlap; `routing` is what [`RouteArgs`] wrote. `scratch` is aligned to 64 bytes
    /// and has at least [`crate::scratch_bytes`] of as many threads as take part.
    ///
    /// # Panics
    /// When a shape or length does not belong to `operation`.
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of the operation")]
    pub fn new(
        operation: &operation::Experts,
        tokens: usize,
        up: &'a PackedMatrix,
        down: &'a PackedMatrix,
        input: &'a [f32],
        routing: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> Self {
        let [columns, inner, experts, top_k] =
            [operation.columns, operation.size, operation.experts, operation.top_k].map(size);
        let up_rows = inner * if operation.gated { 2 } else { 1 };
        let layout = up.layout();
        assert_eq!((up.format(), down.format()), (operation.format, operation.format), "experts' format");
        assert_eq!(down.layout(), layout, "experts' layout");
        assert_eq!((up.columns(), down.columns()), (columns, inner), "experts' columns");
        assert!((1..=experts).contains(&top_k), "{top_k} of {experts} experts");
        for (stack, rows) in [(up, up_rows), (down, columns)] {
            let one = layout.groups(rows) * layout.group_bytes(stack.columns());
            assert_eq!(stack.bytes().len(), experts * one, "packed experts");
        }
        assert_eq!((input.len(), output.len()), (tokens * columns, tokens * columns), "experts' vectors");
        assert_eq!(routing.len(), tokens * (experts + 2 * top_k), "routing");
        assert!(scratch.as_ptr().align_offset(ALIGNMENT) == 0, "scratch must be aligned");
        Self {
            columns,
            size: inner,
            experts,
            top_k,
            tokens,
            gated: operation.gated,
            function: operation.function,
            accumulate: operation.accumulate,
            layout,
            up: up.bytes(),
            down: down.bytes(),
            input,
            choices: &routing[tokens * experts..],
            output,
            scratch,
            seat: None,
        }
    }
}
