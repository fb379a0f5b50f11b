//! One step of a plan on the threads of a pool: binds each operation to its buffers and runs it.

#![expect(unsafe_code, reason = "threads read buffers that other operations of the step write")]

use crate::buffers::SharedBuffers;
use crate::model::Model;
use slimfit_kernels::pool::{Pool, Worker};
use slimfit_kernels::{
    ActivateArgs, AddArgs, AttendArgs, EmbedArgs, ExpertsArgs, Invocation, MatMulArgs, NormArgs, Operation,
    Part, RotateStoreArgs, Rotation, RotationTable, RouteArgs, Seat, SharedKvCache, SharedMut, phases,
    pieces,
};
use slimfit_plan::{Buffer, Shape, Step, TokenRows};
use std::time::Instant;

/// Everything one run of the plan works on.
pub(crate) struct Execution<'a> {
    pub(crate) model: &'a Model,
    pub(crate) rotations: &'a [Rotation],
    pub(crate) cache: SharedKvCache<'a>,
    pub(crate) buffers: SharedBuffers<'a>,
    pub(crate) tokens: &'a [u32],
    pub(crate) first_position: usize,
    /// Whether the logits of the last token are wanted; the steps that only serve them are left out otherwise.
    pub(crate) logits: bool,
}

/// Where the time of each step goes: seconds are added at the step's index.
pub(crate) type StepSeconds<'a> = SharedMut<'a, f64>;

impl<'a> Execution<'a> {
    /// Runs every step. With `seconds`, the first worker times each of them, waiting included.
    pub(crate) fn run(&self, pool: &Pool, seconds: Option<StepSeconds<'_>>) {
        pool.run_phases(|worker| {
            let mut start = Instant::now();
            for (index, step) in self.model.plan().steps.iter().enumerate() {
                if !self.logits && step.rows != TokenRows::All {
                    continue;
                }
                if let (Operation::RotateStore(_), Some(slot)) = (&step.operation, step.kv)
                    && self.cache.moves(slot)
                {
                    worker.phase(worker.count, |piece, _| {
                        self.cache.move_to_front(slot, Part { phase: 0, index: piece, of: worker.count });
                    });
                }
                self.run_step(step, &worker);
                if let (Some(seconds), 0) = (seconds, worker.index) {
                    let end = Instant::now();
                    // SAFETY: only the first worker touches the times.
                    let own = unsafe { seconds.slice_mut(index..index + 1) };
                    own[0] += (end - start).as_secs_f64();
                    start = end;
                }
            }
        });
    }

    /// Runs the phases of a step. Its buffers are bound by who gets work of it, and only then: a worker may come when
    /// others are further on and write them.
    fn run_step(&self, step: &Step, worker: &Worker<'_>) {
        let (tokens, keys) = (self.tokens_of(step), self.first_position + self.tokens.len());
        let mut bound = None;
        for phase in 0..phases(&step.operation, tokens) {
            let claimed = worker.claims().then(|| pieces(&step.operation, tokens, keys, phase, worker.count));
            worker.phase(claimed.map_or(worker.count, |pieces| pieces.count()), |piece, again| {
                let (index, of) = claimed.map_or((piece, worker.count), |pieces| pieces.share(piece));
                let invocation = bound.get_or_insert_with(|| self.bind(step));
                let seat = Seat { index: worker.index, of: worker.count, again };
                self.model.kernels().execute_from(invocation, Part { phase, index, of }, seat);
            });
        }
    }

    /// Token rows of a step.
    pub(crate) fn tokens_of(&self, step: &Step) -> usize {
        let shape = Shape { tokens: self.tokens.len() as u64, first_position: self.first_position as u64 };
        slimfit_plan::Plan::tokens_of(step, shape) as usize
    }

    fn bind(&self, step: &Step) -> Invocation<'a> {
        let tokens = self.tokens_of(step);
        let weights = self.model.weights();
        let matrix = || &weights.matrices[step.matrix.expect("the plan gives each product its matrix")];
        let vector = |place: usize| step.vectors[place].map(|slot| weights.vectors[slot].as_slice());
        let output = |width: u64| self.buffers.rows(step.output, 0, tokens, width as usize);
        let layer = || self.cache.layer(step.kv.expect("the plan gives each attention its cache"));
        match &step.operation {
            Operation::Embed(embed) => Invocation::Embed(EmbedArgs::new(
                embed,
                matrix(),
                vector(0),
                self.first_position,
                self.tokens,
                output(embed.width),
            )),
            Operation::Norm(norm) => Invocation::Norm(NormArgs::new(
                norm,
                tokens,
                self.input(step, norm.width),
                vector(0),
                vector(1),
                output(norm.width),
            )),
            Operation::MatMul(product) => Invocation::MatMul(MatMulArgs::new(
                product,
                tokens,
                matrix(),
                vector(0),
                self.input(step, product.columns),
                output(product.rows),
                self.buffers.scratch,
            )),
            Operation::RotateStore(rotate) => Invocation::RotateStore(RotateStoreArgs::new(
                rotate,
                tokens,
                self.first_position,
                output((rotate.heads + 2 * rotate.kv_heads) * rotate.head_size),
                vector(0).unwrap_or_default(),
                vector(2).unwrap_or_default(),
                step.rope
                    .map_or(RotationTable { cosines: &[], sines: &[] }, |slot| self.rotations[slot].table()),
                layer(),
            )),
            Operation::Attend(attend) => Invocation::Attend(AttendArgs::new(
                attend,
                tokens,
                self.first_position,
                self.input(step, (attend.heads + 2 * attend.kv_heads) * attend.head_size),
                layer(),
                output(attend.heads * attend.head_size),
                self.buffers.scratch,
            )),
            Operation::Activate(activate) => Invocation::Activate(ActivateArgs::new(
                activate,
                tokens,
                self.input(step, activate.size * if activate.gated { 2 } else { 1 }),
                activate.scaled.then(|| self.routing(tokens)),
                output(activate.size),
            )),
            Operation::Add(add) => {
                Invocation::Add(AddArgs::new(add, tokens, self.input(step, add.width), output(add.width)))
            }
            Operation::Route(route) => Invocation::Route(RouteArgs::new(
                route,
                tokens,
                matrix(),
                vector(0),
                self.input(step, route.columns),
                output(route.experts + 2 * route.top_k),
                self.buffers.scratch,
            )),
            Operation::Experts(experts) => Invocation::Experts(ExpertsArgs::new(
                experts,
                tokens,
                matrix(),
                &weights.matrices[step.second_matrix.expect("the plan gives experts both matrices")],
                self.input(step, experts.columns),
                self.routing(tokens * (experts.experts + 2 * experts.top_k) as usize),
                output(experts.columns),
                self.buffers.scratch,
            )),
        }
    }

    /// The first values of the routing buffer.
    fn routing(&self, count: usize) -> &'a [f32] {
        let values = self.buffers.rows(Buffer::Routing, 0, 1, count);
        // SAFETY: only the router and the shared part's score write it, and every thread has passed the barrier after
        // them.
        unsafe { values.slice(0..count) }
    }

    /// The rows a step reads.
    fn input(&self, step: &Step, width: u64) -> &'a [f32] {
        assert_ne!(step.input, step.output, "`{}` reads what it writes", step.label);
        let (tokens, width) = (self.tokens_of(step), width as usize);
        let row = if step.rows == TokenRows::Last { self.tokens.len() - 1 } else { 0 };
        let rows = self.buffers.rows(step.input, row, tokens, width);
        // SAFETY: the step writes its output, which is another buffer, and every thread has passed the barrier after
        // the step that wrote this one.
        unsafe { rows.slice(0..rows.len()) }
    }
}

/// The buffer that holds logits.
pub(crate) const LOGITS: Buffer = Buffer::Logits;
