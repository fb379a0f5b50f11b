//! The chosen experts' feed-forward parts: `y[t] = Σ_e w[t, e] · D_e f(U_e x[t])` over the experts that the router chose
//! for token `t`, stored or, with `accumulate = Some(s)`, `y[t] += s · …`; `f` is the non-linearity of
//! [`activate`](crate::activate), gated or not.
//!
//! `x` and `y` are `(tokens, columns)`; `U` and `D` are stacks of packed matrices. Products are those of
//! [`matmul`](crate::matmul), activations quantised as there: `x` for each expert's `U`, `f(…)` for its `D`.
//!
//! *One token* (3 phases) reads the chosen experts' matrices and no others: all products with `U`, all non-linearities,
//! all products with `D`, each product's rows split over the shares. *Several tokens* are grouped by expert: after a
//! phase that sorts them, [`STEPS`] phases for each expert that was chosen gather its tokens' rows, multiply them with
//! its matrices, each read once, and add the results to the tokens' outputs.

mod grouped;
mod scalar;

use crate::activate::{ActivateArgs, ActivateFunction, ActivationFunction};
use crate::matmul::{self, AnyShape, Layout, MatMulArgs, MatMulFunction, WeightFormat};
use crate::variant::Variant;
use crate::{Isa, Part, Seat, SharedMut};

/// Arguments of the experts. Built by [`ExpertsArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct ExpertsArgs<'a> {
    pub(crate) columns: usize,
    pub(crate) size: usize,
    pub(crate) experts: usize,
    pub(crate) top_k: usize,
    pub(crate) tokens: usize,
    pub(crate) gated: bool,
    pub(crate) function: ActivationFunction,
    pub(crate) accumulate: Option<f32>,
    /// Of both stacks.
    pub(crate) layout: Layout,
    /// `(experts, 2 · size or size, columns)`, packed.
    pub(crate) up: &'a [u8],
    /// `(experts, columns, size)`, packed.
    pub(crate) down: &'a [u8],
    /// `(tokens, columns)`.
    pub(crate) input: &'a [f32],
    /// `(tokens, 2 · top_k)`: the numbers of the chosen experts, then their weights.
    pub(crate) choices: &'a [f32],
    /// `(tokens, columns)`.
    pub(crate) output: SharedMut<'a, f32>,
    /// 64-byte aligned, at least [`scratch_bytes`] of the threads that take part.
    pub(crate) scratch: SharedMut<'a, u8>,
    /// The thread that computes, where it is not that of the share's index.
    pub(crate) seat: Option<Seat>,
}

/// The arguments with the kernels of the tier that is chosen.
#[derive(Debug, Clone, Copy)]
pub struct ExpertsRun<'a> {
    pub(crate) args: ExpertsArgs<'a>,
    pub(crate) gemv: MatMulFunction,
    pub(crate) gemm: MatMulFunction,
    pub(crate) activate: ActivateFunction,
}

/// A variant's function.
pub type ExpertsFunction = for<'a> unsafe fn(&ExpertsRun<'a>, Part);

/// Every implementation. The kernels of a run must belong to a tier that is available.
pub const EXPERTS: &[Variant<ExpertsFunction>] = &[
    Variant { name: "experts-scalar", isa: Isa::Scalar, function: scalar::experts },
    Variant { name: "experts-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "experts-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "experts-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "experts-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(grouped::experts, ExpertsRun);

/// Phases of each chosen expert where there are several tokens.
const STEPS: usize = 6;

/// Phases of the experts, the same for every variant.
pub(crate) fn phases(experts: usize, top_k: usize, tokens: usize) -> usize {
    // Sorting first; the last expert's results are added when its phases are over.
    if tokens == 1 { 3 } else { 1 + STEPS * experts.min(top_k * tokens) + 1 }
}

/// What decides how much scratch the experts need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) columns: usize,
    pub(crate) size: usize,
    pub(crate) experts: usize,
    pub(crate) top_k: usize,
    pub(crate) gated: bool,
    pub(crate) format: WeightFormat,
}

/// Bytes of each part of the scratch, all multiples of 64.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Which tokens each expert has.
    lists: usize,
    /// An expert's tokens, `(tokens, columns)`.
    rows: usize,
    /// Products with `U`: `(tokens, 2 · size or size)`, or one row for each of one token's experts.
    up: usize,
    /// After the non-linearity: `(tokens, size)`, or one row for each of one token's experts.
    inner: usize,
    /// An expert's results, `(tokens, columns)`.
    results: usize,
    /// What a product needs.
    product: usize,
}

impl Shape {
    fn up_rows(&self) -> usize {
        if self.gated { 2 * self.size } else { self.size }
    }

    fn product_bytes(&self, tokens: usize, threads: usize) -> usize {
        [self.columns, self.size]
            .map(|columns| matmul::scratch_bytes(self.format, columns, tokens, threads))
            .into_iter()
            .max()
            .unwrap_or(0)
            .next_multiple_of(64)
    }

    fn sizes(&self, tokens: usize, threads: usize) -> Sizes {
        let floats = |count: usize| (4 * count).next_multiple_of(64);
        let rows = if tokens == 1 { self.top_k } else { tokens };
        let gathered = if tokens == 1 { 0 } else { floats(tokens * self.columns) };
        // An expert may have one token, and then its product is the one for one token.
        let product = self.product_bytes(1, threads).max(self.product_bytes(tokens, threads));
        Sizes {
            lists: if tokens == 1 { 0 } else { floats(2 * (self.experts + 1) + 2 * tokens * self.top_k) },
            rows: gathered,
            up: floats(rows * self.up_rows()),
            inner: floats(rows * self.size),
            results: gathered,
            product,
        }
    }

    /// Bytes of each thread's own scratch in the specification.
    fn specification_bytes(&self) -> usize {
        let floats = |count: usize| (4 * count).next_multiple_of(64);
        floats(self.up_rows()) + floats(self.size) + self.product_bytes(1, 1)
    }
}

/// Bytes of scratch, the same for every variant.
pub(crate) fn scratch_bytes(shape: Shape, tokens: usize, threads: usize) -> usize {
    let Sizes { lists, rows, up, inner, results, product } = shape.sizes(tokens, threads);
    (lists + rows + up + inner + results + product).max(shape.specification_bytes() * threads)
}

impl<'a> ExpertsArgs<'a> {
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            columns: self.columns,
            size: self.size,
            experts: self.experts,
            top_k: self.top_k,
            gated: self.gated,
            format: self.layout.format,
        }
    }

    /// The same experts over copies of the packed bytes that lie elsewhere.
    ///
    /// # Panics
    /// When a copy has another length.
    pub fn with_packed_bytes(self, up: &'a [u8], down: &'a [u8]) -> Self {
        assert_eq!((up.len(), down.len()), (self.up.len(), self.down.len()), "packed bytes");
        Self { up, down, ..self }
    }

    /// A token's choice of rank `rank`: an expert and its weight.
    fn choice(&self, token: usize, rank: usize) -> (usize, f32) {
        let choices = &self.choices[token * 2 * self.top_k..][..2 * self.top_k];
        let expert = choices[rank] as usize;
        assert!(expert < self.experts, "expert {expert} of {}", self.experts);
        (expert, choices[self.top_k + rank])
    }

    /// `U` of an expert times some rows.
    fn product_up(
        &self,
        expert: usize,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a> {
        self.product(self.up, [self.shape().up_rows(), self.columns], expert, tokens, input, output, scratch)
    }

    /// `D` of an expert times some rows.
    fn product_down(
        &self,
        expert: usize,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a> {
        self.product(self.down, [self.columns, self.size], expert, tokens, input, output, scratch)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a buffer or a shape of the product")]
    fn product(
        &self,
        stack: &'a [u8],
        [rows, columns]: [usize; 2],
        expert: usize,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a> {
        assert_eq!((input.len(), output.len()), (tokens * columns, tokens * rows), "an expert's vectors");
        let one = self.layout.groups(rows) * self.layout.group_bytes(columns);
        MatMulArgs {
            shape: AnyShape { rows, columns },
            tokens,
            layout: self.layout,
            weights: &stack[expert * one..][..one],
            bias: None,
            accumulate: None,
            softcap: None,
            input,
            output,
            scratch,
            // Several products in one share follow each other in the same scratch.
            seat: self.seat.map(|seat| Seat { again: false, ..seat }),
        }
    }

    /// The non-linearity of some rows.
    fn activation(&self, tokens: usize, input: &'a [f32], output: SharedMut<'a, f32>) -> ActivateArgs<'a> {
        let (size, gated, function) = (self.size, self.gated, self.function);
        assert_eq!((input.len(), output.len()), (tokens * self.shape().up_rows(), tokens * size));
        ActivateArgs { size, tokens, gated, function, input, scores: None, output }
    }
}
