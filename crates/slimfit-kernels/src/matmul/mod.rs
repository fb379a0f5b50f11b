//! A matrix times each token's vector.
//!
//! `y[t, r] = f(Σ_k W[r, k] · x[t, k] + b[r])`, stored or, with `accumulate = Some(s)`, `y[t, r] += s · f(…)`, where `f`
//! is the identity or `cap · tanh(· / cap)`. `x` is `(tokens, columns)`, `y` is `(tokens, rows)`, both row-major;
//! `W` is packed in a [`Layout`].
//!
//! Quantised formats quantise `x` as [`codec::activation`](crate::codec::activation) says. The sum over a block (a
//! sub-block of the k formats) is an exact integer, then what the scales make of it is added up in f32 (f64 in the
//! specification). Floats are multiplied
//! as f32; the bf16 tier's product of many tokens rounds `x` to bf16 first.
//!
//! *gemv* is one token, one phase: each thread converts the activations for itself. *gemm* is several tokens, two
//! phases: the first converts the activations into scratch that all threads share, the second multiplies.

#![expect(unsafe_code, reason = "stores a share's rows into the shared output")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "x86_64")]
mod fetch;
mod k_layout;
pub(crate) mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod scalar;
mod shape;
mod tiles;

pub use layout::{Layout, WeightFormat};
pub use shape::{AnyShape, Exactly, MatrixShape};

use crate::codec::{BLOCK, SUPER_BLOCK};
use crate::{Part, Seat, SharedMut};

// Left out where a model has products of its own.
mod table;
mod variants;
pub use table::{GEMM, GEMV};
pub use variants::{MatMulVariant, layout_for};
pub(crate) use variants::{select, usual};

/// Arguments of a product. Built by [`MatMulArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct MatMulArgs<'a, S = AnyShape> {
    /// Rows and columns of the matrix.
    pub(crate) shape: S,
    pub(crate) tokens: usize,
    pub(crate) layout: Layout,
    /// Packed matrix, 64-byte aligned.
    pub(crate) weights: &'a [u8],
    /// `(rows)`.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) accumulate: Option<f32>,
    pub(crate) softcap: Option<f32>,
    /// `(tokens, columns)`.
    pub(crate) input: &'a [f32],
    /// `(tokens, rows)`.
    pub(crate) output: SharedMut<'a, f32>,
    /// 64-byte aligned, at least [`scratch_bytes`] of the threads that take part.
    pub(crate) scratch: SharedMut<'a, u8>,
    /// The thread that computes, where it is not that of the share's index.
    pub(crate) seat: Option<Seat>,
}

/// A variant's function. The first argument's lengths were checked; parts of a phase write disjoint outputs.
pub type MatMulFunction = for<'a> unsafe fn(&MatMulArgs<'a>, Part);

/// Phases of a product, the same for every variant.
pub(crate) const fn phases(tokens: usize) -> usize {
    if tokens == 1 { 1 } else { 2 }
}

/// Bytes of one token's converted activations, a multiple of 64.
pub(crate) const fn activation_bytes(format: WeightFormat, columns: usize) -> usize {
    if format.is_k() {
        // 256 int8 values, their scale, and up to 16 sums of them.
        (columns / SUPER_BLOCK * (SUPER_BLOCK + 4 + 64)).next_multiple_of(64)
    } else if format.is_quantised() {
        // 32 values in at most 16 bits, their scale, and a correction made of their sum.
        (columns / BLOCK * (2 * BLOCK + 4 + 4)).next_multiple_of(64)
    } else {
        (columns.next_multiple_of(2) * 4).next_multiple_of(64)
    }
}

/// Bytes of scratch that a product needs. Quantised gemv: each thread's own copy of the activations; gemm: one copy.
pub(crate) const fn scratch_bytes(
    format: WeightFormat,
    columns: usize,
    tokens: usize,
    threads: usize,
) -> usize {
    let token = activation_bytes(format, columns);
    if tokens > 1 {
        token * tokens
    } else if format.is_quantised() {
        token * threads
    } else {
        0
    }
}

impl<'a> MatMulArgs<'a> {
    /// The same product over a copy of the packed bytes that lies elsewhere.
    ///
    /// # Panics
    /// When the copy has another length.
    pub fn with_packed_bytes(self, weights: &'a [u8]) -> Self {
        assert_eq!(weights.len(), self.weights.len(), "packed bytes");
        Self { weights, ..self }
    }
}

impl<'a, S: MatrixShape> MatMulArgs<'a, S> {
    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        self.shape.rows()
    }

    #[inline(always)]
    pub(crate) fn columns(&self) -> usize {
        self.shape.columns()
    }

    /// This thread's own stretch of scratch, of `bytes` bytes, where one token is converted; and whether that was done,
    /// for an earlier share of the same phase.
    ///
    /// # Safety
    /// The thread's earlier slices of it are no longer used.
    pub(crate) unsafe fn own_scratch(&self, part: Part, bytes: usize) -> (&'a mut [u8], bool) {
        let seat = self.seat.unwrap_or(Seat::of(part));
        // SAFETY: each thread has a stretch of its own, and the caller promises for this one.
        let own = unsafe { self.scratch.slice_mut(seat.index * bytes..(seat.index + 1) * bytes) };
        (own, seat.again)
    }

    /// Where rows `first..first + count` of a token go, if their sums are stored or added without a bias or a cap and all of
    /// them are there. `first` is a multiple of `count`.
    #[inline(always)]
    pub(crate) fn plain_rows(&self, first: usize, token: usize, count: usize) -> Option<SharedMut<'a, f32>> {
        let whole = self.rows().is_multiple_of(count) || first + count <= self.rows();
        let start = token * self.rows() + first;
        (whole && self.softcap.is_none() && self.bias.is_none())
            .then(|| self.output.part(start..start + count))
    }

    /// Stores what rows `first..first + whole.len()` of a token sum up to: bias, cap, scale and addition, in that
    /// order. Values past the last row are padding and dropped.
    #[inline(always)]
    pub(crate) fn finish_group(&self, first: usize, token: usize, whole: &[f32]) {
        let count = whole.len().min(self.rows() - first);
        let start = token * self.rows() + first;
        // SAFETY: only one share has these rows.
        let output = unsafe { self.output.slice_mut(start..start + count) };
        let values = &whole[..count];
        let plain = self.softcap.is_none() && self.bias.is_none();
        match self.accumulate {
            // Of a whole group the length is known where this is compiled: no call to copy a line or two.
            None if plain && count == whole.len() => output.copy_from_slice(whole),
            None if plain => output.copy_from_slice(values),
            Some(scale) if plain => {
                for (y, value) in output.iter_mut().zip(values) {
                    *y += scale * value;
                }
            }
            accumulate => {
                for (index, (y, &value)) in output.iter_mut().zip(values).enumerate() {
                    let mut value = self.bias.map_or(value, |bias| value + bias[first + index]);
                    if let Some(cap) = self.softcap {
                        value = cap * (value / cap).tanh();
                    }
                    *y = accumulate.map_or(value, |scale| *y + scale * value);
                }
            }
        }
    }
}
