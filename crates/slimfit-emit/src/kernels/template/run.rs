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
use crate::kv::KvLayer;
use crate::matmul::{self, MatMulArgs, MatMulFunction};
use crate::model::{Buffers, TIER, Weights};
use crate::norm::{NORM, NormArgs, NormFunction};
use crate::pool::{Pieces, Worker};
use crate::rotate_store::{ROTATE_STORE, RotateStoreArgs, RotateStoreFunction, Rotation};
use crate::route::{ROUTE, RouteArgs, RouteFunction};
use crate::variant::richest;
use crate::weights::Matrix;
use crate::{Isa, Part, Seat, SharedMut, attend, cuts, route};

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

    /// Does this worker's part of the phases of an operation. Its arguments are made by who gets work of it, and only then:
    /// a worker may come when others are further on and write what it would read.
    fn phases<A>(
        &self,
        count: usize,
        cut: impl Fn(usize) -> Pieces,
        bind: impl Fn() -> A,
        work: impl Fn(&A, Part, Seat),
    ) {
        let worker = self.worker;
        let mut bound = None;
        for phase in 0..count {
            let claimed = worker.claims().then(|| cut(phase));
            worker.phase(claimed.map_or(worker.count, |pieces| pieces.count()), |piece, again| {
                let (index, of) = claimed.map_or((piece, worker.count), |pieces| pieces.share(piece));
                let seat = Seat { index: worker.index, of: worker.count, again };
                work(bound.get_or_insert_with(&bind), Part { phase, index, of }, seat);
            });
        }
    }

    /// An operation of one phase that writes so many values.
    fn simple<A>(&self, values: usize, bind: impl Fn() -> A, work: impl Fn(&A, Part)) {
        let cut = |_| cuts::of_values(values as u64, self.worker.count);
        self.phases(1, cut, bind, |args, part, _| work(args, part));
    }

    pub(crate) fn embed(&self, values: usize, bind: impl Fn() -> EmbedArgs<'a>) {
        // SAFETY: the tier was detected; lengths follow from the model; shares write disjoint memory. So do all below.
        self.simple(values, bind, |args, part| unsafe { (self.kernels.embed)(args, part) });
    }

    pub(crate) fn norm(&self, values: usize, bind: impl Fn() -> NormArgs<'a>) {
        // SAFETY: as in `embed`.
        self.simple(values, bind, |args, part| unsafe { (self.kernels.norm)(args, part) });
    }

    /// A product of so many tokens by the kernel that was made for its matrix.
    pub(crate) fn product<const ROWS: usize, const COLUMNS: usize, S: Copy>(
        &self,
        multiply: impl Fn(Isa, &MatMulArgs<'_, S>, Part),
        tokens: usize,
        matrix: &Matrix<ROWS, COLUMNS>,
        bind: impl Fn() -> MatMulArgs<'a, S>,
    ) {
        let cut = |phase| matrix.cut(tokens, phase, self.worker.count);
        self.phases(matmul::phases(tokens), cut, bind, |args, part, seat| {
            multiply(self.kernels.isa, &MatMulArgs { seat: Some(seat), ..*args }, part);
        });
    }

    /// Moves what a layer with a window still needs to the front of its cache, where it has no room left.
    pub(crate) fn move_keys(&self, layer: usize) {
        let worker = self.worker;
        if self.cache.moves(layer) {
            worker.phase(worker.count, |index, _| {
                self.cache.move_to_front(layer, Part { phase: 0, index, of: worker.count });
            });
        }
    }

    pub(crate) fn rotate_store(&self, values: usize, bind: impl Fn() -> RotateStoreArgs<'a>) {
        // SAFETY: as in `embed`.
        self.simple(values, bind, |args, part| unsafe { (self.kernels.rotate_store)(args, part) });
    }

    /// Attention of so many query heads over a layer's cache.
    pub(crate) fn attend(
        &self,
        (heads, window): (usize, Option<usize>),
        cache: KvLayer<'a>,
        bind: impl Fn() -> AttendArgs<'a>,
    ) {
        let tokens = self.count();
        let seen = attend::seen_keys(window, self.first_position + tokens);
        let bytes = 2 * cache.bytes(cache.kv_heads * seen) as u64;
        let values = (heads * cache.head_size) as u64;
        let cut = |_| cuts::of_attention(values, seen as u64, bytes, tokens, self.worker.count);
        self.phases(attend::phases(tokens), cut, bind, |args, part, seat| {
            // SAFETY: as in `embed`.
            unsafe { (self.kernels.attend)(&AttendArgs { seat: Some(seat), ..*args }, part) }
        });
    }

    pub(crate) fn activate(&self, values: usize, bind: impl Fn() -> ActivateArgs<'a>) {
        // SAFETY: as in `embed`.
        self.simple(values, bind, |args, part| unsafe { (self.kernels.activate)(args, part) });
    }

    pub(crate) fn add(&self, values: usize, bind: impl Fn() -> AddArgs<'a>) {
        // SAFETY: as in `embed`.
        self.simple(values, bind, |args, part| unsafe { (self.kernels.add)(args, part) });
    }

    /// Scores of the experts, then the choice of them.
    pub(crate) fn route<const EXPERTS: usize, const COLUMNS: usize>(
        &self,
        multiply: impl Fn(Isa, &MatMulArgs<'_>, Part),
        router: &Matrix<EXPERTS, COLUMNS>,
        bind: impl Fn() -> RouteArgs<'a>,
    ) {
        let (tokens, workers) = (self.count(), self.worker.count);
        let product = matmul::phases(tokens);
        let cut = |phase| {
            if phase < product {
                router.cut(tokens, phase, workers)
            } else {
                cuts::of_values((EXPERTS * tokens) as u64, workers)
            }
        };
        self.phases(route::phases(tokens), cut, bind, |args, part, seat| {
            if part.phase < product {
                let args = MatMulArgs { seat: Some(seat), ..args.product };
                multiply(self.kernels.isa, &args, part);
            } else {
                // SAFETY: as in `embed`.
                unsafe { (self.kernels.route)(args, part) }
            }
        });
    }

    /// The chosen experts, by the products of one token and of several.
    pub(crate) fn experts(
        &self,
        shape: experts::Shape,
        [gemv, gemm]: [MatMulFunction; 2],
        bind: impl Fn() -> ExpertsArgs<'a>,
    ) {
        let (tokens, workers) = (self.count(), self.worker.count);
        let cut = |phase| {
            let chosen = shape.top_k * shape.size * shape.columns;
            let bytes = (chosen / shape.format.block_values() * shape.format.block_bytes()) as u64;
            let sizes = (shape.columns as u64, shape.size as u64);
            let choice = (shape.top_k as u64, shape.experts as u64);
            cuts::of_experts(sizes, choice, bytes, tokens, phase, workers)
        };
        let activate = self.kernels.activate;
        self.phases(experts::phases(shape.experts, shape.top_k, tokens), cut, bind, |args, part, seat| {
            let args = ExpertsArgs { seat: Some(seat), ..*args };
            // SAFETY: as in `embed`.
            unsafe { (self.kernels.experts)(&ExpertsRun { args, gemv, gemm, activate }, part) }
        });
    }
}
