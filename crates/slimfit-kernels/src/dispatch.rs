//! Chooses an implementation of every operation for a cap on the instruction set, once, and runs it. Adapter.

#![expect(unsafe_code, reason = "the one place that calls kernels of a detected tier")]

use crate::activate::{ACTIVATE, ActivateFunction};
use crate::add::{ADD, AddFunction};
use crate::attend::{self, ATTEND, AttendArgs, AttendFunction};
use crate::cuts;
use crate::embed::{EMBED, EmbedFunction};
use crate::experts::{self, EXPERTS, ExpertsArgs, ExpertsFunction, ExpertsRun};
use crate::invocation::{Invocation, whole_heads};
use crate::matmul::{self, GEMM, GEMV, MatMulArgs, MatMulVariant, WeightFormat};
use crate::norm::{NORM, NormFunction};
use crate::packed::weight_format;
use crate::rotate_store::{ROTATE_STORE, RotateStoreFunction};
use crate::route::{self, ROUTE, RouteFunction};
use crate::tuner::{self, Tuning};
use crate::variant::{Variant, richest};
use crate::{Isa, IsaError, KernelError, MatMul, Operation, Part, Seat};

/// The implementations that run under a cap.
#[derive(Debug, Clone)]
pub struct Kernels {
    isa: Isa,
    embed: Variant<EmbedFunction>,
    norm: Variant<NormFunction>,
    /// By `WeightFormat as usize`.
    gemv: [MatMulVariant; WeightFormat::ALL.len()],
    gemm: [MatMulVariant; WeightFormat::ALL.len()],
    rotate_store: Variant<RotateStoreFunction>,
    attend: Variant<AttendFunction>,
    activate: Variant<ActivateFunction>,
    add: Variant<AddFunction>,
    /// Products for which a tuning chose.
    tuned: Vec<Tuned>,
    route: Variant<RouteFunction>,
    experts: Variant<ExpertsFunction>,
}

/// A product for which a tuning chose, and what. There is one for each shape of a matrix in a model, so few that they
/// are looked through.
#[derive(Debug, Clone, Copy)]
struct Tuned {
    format: WeightFormat,
    rows: usize,
    columns: usize,
    threads: usize,
    gemv: Option<MatMulVariant>,
    gemm: Option<MatMulVariant>,
}

/// Fewer tokens than this are no chunk of a prompt, and run what runs without a tuning.
const LEAST_TUNED_TOKENS: usize = 32;
/// Tokens of the key under which a prompt's products are looked up.
const TUNED_TOKENS: usize = 256;

impl Kernels {
    /// The richest implementation of each operation up to `isa`.
    ///
    /// # Errors
    /// This machine lacks the tier.
    pub fn for_isa(isa: Isa) -> Result<Self, KernelError> {
        Isa::capped(isa.name())?;
        Ok(Self {
            isa,
            embed: richest(EMBED, isa),
            norm: richest(NORM, isa),
            gemv: WeightFormat::ALL.map(|format| matmul::select(GEMV, format, isa)),
            gemm: WeightFormat::ALL.map(|format| matmul::select(GEMM, format, isa)),
            rotate_store: richest(ROTATE_STORE, isa),
            attend: richest(ATTEND, isa),
            activate: richest(ACTIVATE, isa),
            add: richest(ADD, isa),
            tuned: Vec::new(),
            route: richest(ROUTE, isa),
            experts: richest(EXPERTS, isa),
        })
    }

    /// The same, but with what `tuning` chose for the shapes nearest to these products, where it chose for any near
    /// enough. `threads` will run them, and all matrices that a step reads have `working_set_bytes` together. May be
    /// called again for other numbers of threads.
    pub fn tuned<'a>(
        mut self,
        tuning: &Tuning,
        products: impl IntoIterator<Item = &'a MatMul>,
        threads: usize,
        working_set_bytes: u64,
    ) -> Self {
        for product in products {
            let format = weight_format(product.format);
            let (rows, columns) = (product.rows as usize, product.columns as usize);
            let same = |known: &Tuned| {
                (known.format, known.rows, known.columns, known.threads) == (format, rows, columns, threads)
            };
            if self.tuned.iter().any(same) {
                continue;
            }
            let nearest = |tokens| {
                tuning.nearest(&tuner::key_of(product, tokens, self.isa, threads, working_set_bytes))
            };
            let (gemv, gemm) = (nearest(1), nearest(TUNED_TOKENS));
            if gemv.is_some() || gemm.is_some() {
                self.tuned.push(Tuned { format, rows, columns, threads, gemv, gemm });
            }
        }
        self
    }

    /// For the cap that `SLIMFIT_ISA` sets, or the best tier.
    ///
    /// # Errors
    /// The variable names no tier of this machine.
    pub fn selected() -> Result<Self, KernelError> {
        Self::for_isa(Isa::selected().map_err(|error: IsaError| KernelError::Isa(error))?)
    }

    /// The cap. [`PackedMatrix`](crate::PackedMatrix) takes the same.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Whether every part of an operation has a kernel.
    ///
    /// # Errors
    /// Names the part that has none.
    pub fn supports(operation: &Operation) -> Result<(), KernelError> {
        let whole_blocks = |format: WeightFormat, columns: u64| {
            let block = format.block_values() as u64;
            if columns.is_multiple_of(block) {
                Ok(())
            } else {
                let format = format.name();
                let what = format!("{columns} columns, which are not whole `{format}` blocks of {block}");
                Err(KernelError::Unsupported { operation: operation.name(), what })
            }
        };
        match operation {
            Operation::Embed(embed) => whole_blocks(weight_format(embed.format), embed.width),
            Operation::MatMul(matmul) => whole_blocks(weight_format(matmul.format), matmul.columns),
            Operation::RotateStore(rotate) => whole_heads(rotate.kv_format, rotate.head_size).map(drop),
            Operation::Attend(attend) => whole_heads(attend.kv_format, attend.head_size).map(drop),
            Operation::Norm(_) | Operation::Activate(_) | Operation::Add(_) => Ok(()),
            Operation::Route(route) => choosable(operation, route.experts, route.top_k),
            Operation::Experts(experts) => {
                let format = weight_format(experts.format);
                choosable(operation, experts.experts, experts.top_k)?;
                whole_blocks(format, experts.columns)?;
                whole_blocks(format, experts.size)
            }
        }
    }

    /// The name of the implementation that runs an operation on so many tokens; none where there is no kernel.
    pub fn variant_name(&self, operation: &Operation, tokens: usize) -> Option<&'static str> {
        Some(match operation {
            Operation::Embed(_) => self.embed.name,
            Operation::Norm(_) => self.norm.name,
            Operation::MatMul(matmul) => {
                let (rows, columns) = (matmul.rows as usize, matmul.columns as usize);
                let format = weight_format(matmul.format);
                self.tuned_product(format, (rows, columns), tokens, None).variant.name
            }
            Operation::RotateStore(_) => self.rotate_store.name,
            Operation::Attend(_) => self.attend.name,
            Operation::Activate(_) => self.activate.name,
            Operation::Add(_) => self.add.name,
            Operation::Route(_) => self.route.name,
            Operation::Experts(experts) => {
                // What its time depends on: an expert's product, of as many tokens as one gets on average.
                let visits = (tokens * experts.top_k as usize) as u64;
                let each = if tokens == 1 { 1 } else { visits.div_ceil(experts.experts) as usize };
                self.product(weight_format(experts.format), each).variant.name
            }
        })
    }

    /// Does one share of one phase of an operation. All shares of all phases together do the operation; a phase
    /// starts when every share of the one before it is done. No allocation, no lock.
    ///
    /// # Panics
    /// When a matrix was packed for another cap, or scratch is too small for so many shares.
    pub fn execute(&self, invocation: &Invocation<'_>, part: Part) {
        self.execute_from(invocation, part, Seat::of(part));
    }

    /// The same where there may be more shares than threads: thread `seat` does this one, in its own scratch. Threads
    /// and not shares decide how much scratch there must be.
    ///
    /// # Panics
    /// As [`execute`](Self::execute).
    pub fn execute_from(&self, invocation: &Invocation<'_>, part: Part, seat: Seat) {
        debug_assert!(part.index < part.of && seat.index < seat.of);
        // SAFETY of every call below: `for_isa` chose only variants whose tier is available, argument constructors
        // checked the lengths, and shares of a phase write disjoint memory.
        match invocation {
            // SAFETY: see above.
            Invocation::Embed(args) => unsafe { (self.embed.function)(args, part) },
            // SAFETY: see above.
            Invocation::Norm(args) => unsafe { (self.norm.function)(args, part) },
            Invocation::MatMul(args) => {
                let args = &MatMulArgs { seat: Some(seat), ..*args };
                let shape = (args.rows(), args.columns());
                let entry = self.tuned_product(args.layout.format, shape, args.tokens, Some(seat.of));
                assert_eq!(entry.layout, args.layout, "a matrix packed for another instruction set");
                let scratch = matmul::scratch_bytes(args.layout.format, args.columns(), args.tokens, seat.of);
                assert!(args.scratch.len() >= scratch, "scratch of {} bytes", args.scratch.len());
                // SAFETY: see above.
                unsafe { (entry.variant.function)(args, part) }
            }
            // SAFETY: see above.
            Invocation::RotateStore(args) => unsafe { (self.rotate_store.function)(args, part) },
            Invocation::Attend(args) => {
                let args = &AttendArgs { seat: Some(seat), ..*args };
                let scratch = args.thread_scratch_bytes() * args.stretches(part.of, seat.of);
                assert!(args.scratch.len() >= scratch, "scratch of {} bytes", args.scratch.len());
                // SAFETY: see above.
                unsafe { (self.attend.function)(args, part) }
            }
            // SAFETY: see above.
            Invocation::Activate(args) => unsafe { (self.activate.function)(args, part) },
            // SAFETY: see above.
            Invocation::Add(args) => unsafe { (self.add.function)(args, part) },
            Invocation::Route(args) => {
                if part.phase < matmul::phases(args.product.tokens) {
                    self.execute_from(&Invocation::MatMul(args.product), part, seat);
                } else {
                    // SAFETY: see above.
                    unsafe { (self.route.function)(args, part) }
                }
            }
            Invocation::Experts(args) => {
                let format = args.layout.format;
                let (gemv, gemm) = (&self.gemv[format as usize], &self.gemm[format as usize]);
                assert_eq!(gemv.layout, args.layout, "experts packed for another instruction set");
                let scratch = experts::scratch_bytes(args.shape(), args.tokens, seat.of);
                assert!(args.scratch.len() >= scratch, "scratch of {} bytes", args.scratch.len());
                let run = ExpertsRun {
                    args: ExpertsArgs { seat: Some(seat), ..*args },
                    gemv: gemv.variant.function,
                    gemm: gemm.variant.function,
                    activate: self.activate.function,
                };
                // SAFETY: see above.
                unsafe { (self.experts.function)(&run, part) }
            }
        }
    }

    fn product(&self, format: WeightFormat, tokens: usize) -> &MatMulVariant {
        if tokens == 1 { &self.gemv[format as usize] } else { &self.gemm[format as usize] }
    }

    /// What a tuning chose for a product, on `threads` or on as many as it was tuned for; else what is usual.
    fn tuned_product(
        &self,
        format: WeightFormat,
        (rows, columns): (usize, usize),
        tokens: usize,
        threads: Option<usize>,
    ) -> &MatMulVariant {
        let same = |known: &&Tuned| {
            (known.rows, known.columns, known.format) == (rows, columns, format)
                && threads.is_none_or(|threads| threads == known.threads)
        };
        let tuned = || self.tuned.iter().find(same);
        let chosen = match tokens {
            1 => tuned().and_then(|tuned| tuned.gemv.as_ref()),
            2..LEAST_TUNED_TOKENS => None,
            _ => tuned().and_then(|tuned| tuned.gemm.as_ref()),
        };
        chosen.unwrap_or_else(|| self.product(format, tokens))
    }
}

/// What multiplies by matrices of this shape on a device of this tier, whether this machine has it or not: what `tuning` chose
/// there, or what is usual. `threads` will run it, and all matrices that a step reads have `working_set_bytes` together.
/// None where the tier belongs to another architecture than this program.
pub fn product_variant(
    product: &MatMul,
    tokens: usize,
    tier: Isa,
    threads: usize,
    tuning: &Tuning,
    working_set_bytes: u64,
) -> Option<MatMulVariant> {
    if !tier.is_of_this_architecture() {
        return None;
    }
    let (table, key_tokens) = if tokens == 1 { (GEMV, 1) } else { (GEMM, TUNED_TOKENS) };
    tuning
        .nearest(&tuner::key_of(product, key_tokens, tier, threads, working_set_bytes))
        .or_else(|| matmul::usual(table, weight_format(product.format), tier))
}

/// Phases of an operation on so many tokens: all threads meet between two phases.
pub fn phases(operation: &Operation, tokens: usize) -> usize {
    match operation {
        Operation::MatMul(_) => matmul::phases(tokens),
        Operation::Attend(_) => attend::phases(tokens),
        Operation::Route(_) => route::phases(tokens),
        Operation::Experts(experts) => {
            experts::phases(experts.experts as usize, experts.top_k as usize, tokens)
        }
        _ => 1,
    }
}

/// Bytes of 64-byte aligned scratch that an operation needs on so many tokens, with `keys` positions in the cache
/// (the new tokens' included) and `threads` shares. The same for every implementation.
pub fn scratch_bytes(operation: &Operation, tokens: usize, keys: usize, threads: usize) -> usize {
    match operation {
        Operation::MatMul(matmul) => {
            let format = weight_format(matmul.format);
            matmul::scratch_bytes(format, matmul.columns as usize, tokens, threads)
        }
        Operation::Attend(attend) => {
            let [heads, kv_heads, head_size] =
                [attend.heads, attend.kv_heads, attend.head_size].map(|count| count as usize);
            let keys = attend::seen_keys(attend.window.map(|window| window as usize), keys);
            // Enough for claimed shares of one token, too, each of which leaves sums.
            let stretches =
                if attend::phases(tokens) > 1 { cuts::most_attend_pieces(threads) } else { threads };
            attend::thread_scratch_bytes(heads, kv_heads, head_size, tokens, keys) * stretches
        }
        Operation::Route(route) => scratch_bytes(&Operation::MatMul(route.product()), tokens, keys, threads),
        Operation::Experts(operation) => {
            let format = weight_format(operation.format);
            let [columns, size, experts, top_k] =
                [operation.columns, operation.size, operation.experts, operation.top_k]
                    .map(|count| count as usize);
            let shape = experts::Shape { columns, size, experts, top_k, gated: operation.gated, format };
            experts::scratch_bytes(shape, tokens, threads)
        }
        _ => 0,
    }
}

/// The most experts whose numbers an f32 holds exactly.
const MOST_EXPERTS: u64 = 1 << 24;

/// Whether so many experts can be chosen from so many.
fn choosable(operation: &Operation, experts: u64, top_k: u64) -> Result<(), KernelError> {
    if experts <= MOST_EXPERTS && (1..=experts).contains(&top_k) {
        return Ok(());
    }
    let what = format!("a choice of {top_k} from {experts} experts");
    Err(KernelError::Unsupported { operation: operation.name(), what })
}
