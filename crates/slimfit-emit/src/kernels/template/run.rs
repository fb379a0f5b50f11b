//! A step on the threads of the pool: what its operations share, and the phases in which threads meet.

#![expect(
    unsafe_code,
    reason = "kernels for tiers that were detected, and buffers that other operations write"
)]

use crate::activate::{ACTIVATE, ActivateArgs, ActivateFunction};
use crate::add::{ADD, AddArgs, AddFunction};
use crate::attend::{ATTEND, AttendArgs, AttendFunction};
use crate::cache::SharedKvCache;
use crate::embed::{EMBED, EmbedArgs, EmbedFunction};
use crate::experts::{self, EXPERTS, ExpertsArgs, ExpertsFunction, ExpertsRun};
use crate::matmul::{self, MatMulArgs, MatMulFunction};
use crate::model::{Buffers, TIER, Weights};
use crate::norm::{NORM, NormArgs, NormFunction};
use crate::pool::Worker;
use crate::rotate_store::{ROTATE_STORE, RotateStoreArgs, RotateStoreFunction, Rotation};
use crate::route::{ROUTE, RouteArgs, RouteFunction};
use crate::variant::richest;
use crate::{Isa, Part, SharedMut, attend, route};

/// The tier that runs, and what it runs beside the products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    pub(crate) isa: Isa,
    embed: EmbedFunction,
    norm: NormFunction,
    rotate_store: RotateStoreFunction,
    attend: AttendFunction,
    activate: ActivateFunction,
    add: AddFunction,
    route: RouteFunction,
    experts: ExpertsFunction,
}

impl Kernels {
    /// The tier that this crate was made for, where the processor has it and `cap` allows it; else the portable one.
    pub(crate) fn under(cap: Isa) -> Self {
        let isa = if TIER <= cap && TIER.is_available() { TIER } else { cap.min(Isa::Portable) };
        Self {
            isa,
            embed: richest(EMBED, isa).function,
            norm: richest(NORM, isa).function,
            rotate_store: richest(ROTATE_STORE, isa).function,
            attend: richest(ATTEND, isa).function,
            activate: richest(ACTIVATE, isa).function,
            add: richest(ADD, isa).function,
            route: richest(ROUTE, isa).function,
            experts: richest(EXPERTS, isa).function,
        }
    }
}

/// One worker's view of a step.
pub(crate) struct Run<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) worker: &'a Worker<'a>,
    pub(crate) weights: &'a Weights,
    pub(crate) rotations: &'a [Rotation],
    pub(crate) cache: SharedKvCache<'a>,
    pub(crate) buffers: Buffers<'a>,
    pub(crate) scratch: SharedMut<'a, u8>,
    pub(crate) tokens: &'a [u32],
    pub(crate) first_position: usize,
    /// Whether the logits of the last token are wanted.
    pub(crate) logits: bool,
}

impl<'a> Run<'a> {
    /// Tokens of the step.
    pub(crate) fn count(&self) -> usize {
        self.tokens.len()
    }

    /// A buffer's rows, one for each token, to write to.
    pub(crate) fn write(&self, buffer: SharedMut<'a, f32>, width: usize) -> SharedMut<'a, f32> {
        buffer.part(0..self.count() * width)
    }

    /// The first row of a buffer, to write to.
    pub(crate) fn write_first(&self, buffer: SharedMut<'a, f32>, width: usize) -> SharedMut<'a, f32> {
        buffer.part(0..width)
    }

    /// What an operation before wrote, one row for each token.
    pub(crate) fn read(&self, buffer: SharedMut<'a, f32>, width: usize) -> &'a [f32] {
        // SAFETY: an operation writes another buffer than it reads, and threads meet between two operations.
        unsafe { buffer.slice(0..self.count() * width) }
    }

    /// The last token's row of what an operation before wrote.
    pub(crate) fn read_last(&self, buffer: SharedMut<'a, f32>, width: usize) -> &'a [f32] {
        // SAFETY: as in `read`.
        unsafe { buffer.slice((self.count() - 1) * width..self.count() * width) }
    }

    /// The first row of what an operation before wrote.
    pub(crate) fn read_first(&self, buffer: SharedMut<'a, f32>, width: usize) -> &'a [f32] {
        // SAFETY: as in `read`.
        unsafe { buffer.slice(0..width) }
    }

    /// The learned positions of the step's tokens.
    pub(crate) fn positions(&self, table: &'a [f32], offset: usize, width: usize) -> &'a [f32] {
        &table[(offset + self.first_position) * width..][..self.count() * width]
    }

    fn phases(&self, count: usize, work: impl Fn(Part)) {
        for phase in 0..count {
            work(Part { phase, index: self.worker.index, of: self.worker.count });
            self.worker.barrier();
        }
    }

    pub(crate) fn embed(&self, args: EmbedArgs<'_>) {
        // SAFETY: the tier was detected; lengths follow from the model; shares write disjoint memory. So do all below.
        self.phases(1, |part| unsafe { (self.kernels.embed)(&args, part) });
    }

    pub(crate) fn norm(&self, args: NormArgs<'_>) {
        // SAFETY: as in `embed`.
        self.phases(1, |part| unsafe { (self.kernels.norm)(&args, part) });
    }

    /// A product by the kernel that was made for its matrix.
    pub(crate) fn product<S>(
        &self,
        multiply: impl Fn(Isa, &MatMulArgs<'_, S>, Part),
        args: MatMulArgs<'_, S>,
    ) {
        self.phases(matmul::phases(args.tokens), |part| multiply(self.kernels.isa, &args, part));
    }

    /// Moves what a layer with a window still needs to the front of its cache, where it has no room left.
    pub(crate) fn move_keys(&self, layer: usize) {
        if self.cache.moves(layer) {
            self.phases(1, |part| self.cache.move_to_front(layer, part));
        }
    }

    pub(crate) fn rotate_store(&self, args: RotateStoreArgs<'_>) {
        // SAFETY: as in `embed`.
        self.phases(1, |part| unsafe { (self.kernels.rotate_store)(&args, part) });
    }

    pub(crate) fn attend(&self, args: AttendArgs<'_>) {
        // SAFETY: as in `embed`.
        self.phases(attend::phases(args.tokens), |part| unsafe { (self.kernels.attend)(&args, part) });
    }

    pub(crate) fn activate(&self, args: ActivateArgs<'_>) {
        // SAFETY: as in `embed`.
        self.phases(1, |part| unsafe { (self.kernels.activate)(&args, part) });
    }

    pub(crate) fn add(&self, args: AddArgs<'_>) {
        // SAFETY: as in `embed`.
        self.phases(1, |part| unsafe { (self.kernels.add)(&args, part) });
    }

    /// Scores of the experts, then the choice of them.
    pub(crate) fn route(&self, multiply: impl Fn(Isa, &MatMulArgs<'_>, Part), args: RouteArgs<'_>) {
        let product = matmul::phases(args.product.tokens);
        self.phases(route::phases(args.product.tokens), |part| {
            if part.phase < product {
                multiply(self.kernels.isa, &args.product, part);
            } else {
                // SAFETY: as in `embed`.
                unsafe { (self.kernels.route)(&args, part) }
            }
        });
    }

    /// The chosen experts, by the products of one token and of several.
    pub(crate) fn experts(&self, args: ExpertsArgs<'_>, [gemv, gemm]: [MatMulFunction; 2]) {
        let phases = experts::phases(args.experts, args.top_k, args.tokens);
        let run = ExpertsRun { args, gemv, gemm, activate: self.kernels.activate };
        // SAFETY: as in `embed`.
        self.phases(phases, |part| unsafe { (self.kernels.experts)(&run, part) });
    }
}
