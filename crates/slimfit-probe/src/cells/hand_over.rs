//! What an operation costs more among others than repeated by itself.
//!
//! In a model's step each operation reads what another just wrote: on several threads partly in another core's cache, and
//! pushed out of the first cache by the weights read in between. Kernels that are timed by themselves find their input
//! where they left it. A sequence of a norm, a product and an activation over many matrices shows the difference.
//!
//! Of one token the matrices are read in both, since streaming is measured elsewhere. Of many the product by itself is
//! repeated on one matrix, as kernels are timed, while the sequence finds each in memory or in the last cache; so what the
//! weights cost on their way is in the difference, also that threads which split the tokens each want all of them, which
//! cores that share no cache get from each other.

use super::sequence::{OPERATIONS, Run, Sequence};
use super::{Pools, threads_in_words};
use crate::ProbeError;
use crate::placements::View;
use crate::schedule::{Beside, Log, Task};
use slimfit_hardware::{Cache, HandOver};
use slimfit_kernels::Kernels;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::Figure;
use std::cell::Cell;
use std::time::Instant;

/// Widths of the residual stream.
const WIDTHS: [u64; 2] = [512, 1536];
/// Bytes of matrices that are gone through for one token: more than the second cache holds.
const BYTES_OF_ONE: u64 = 12 << 20;
/// Many tokens: so few that threads split the rows of a matrix, and so many that they split the tokens.
const MANY: [usize; 2] = [32, 128];
/// Matrices of one take at most, where they come from memory.
const AT_ONCE: usize = 4;
/// The least memory that a set of matrices from memory has, where the last cache is small or unknown, and the most.
const FAR_BYTES: std::ops::RangeInclusive<u64> = 24 << 20..=256 << 20;

/// A cost that is being measured.
pub(crate) struct Point {
    threads: u32,
    tokens: u64,
    activation_bytes: u64,
    /// Of an operation, mean; and of all matrices. Of many tokens only.
    weights: Option<[u64; 2]>,
    log: Log,
}

impl Point {
    pub fn finish(&self, view: View<'_>) -> HandOver {
        // Noise can make the sequence look faster than its parts; nothing is then known to be lost.
        let at_least_none = |value: Option<f64>| value.map(|value| value.max(0.0));
        let figure = self.log.figure_in(view, self.threads);
        HandOver {
            threads: self.threads,
            tokens: self.tokens,
            activation_bytes: self.activation_bytes,
            weight_bytes: self.weights.map(|[each, _]| each),
            working_set_bytes: self.weights.map(|[_, all]| all),
            seconds: Figure {
                value: at_least_none(figure.value),
                low: at_least_none(figure.low),
                high: at_least_none(figure.high),
                ..figure
            },
        }
    }
}

/// A sequence and how much of it is gone through.
struct Subject {
    sequence: Sequence,
    /// Matrices in turn.
    matrices: usize,
    /// Matrices of a take: all of them, or the next few.
    at_once: usize,
    next: Cell<usize>,
}

/// The sequences of all sizes, for the most threads.
pub(crate) struct Arena(Vec<Subject>);

impl Arena {
    pub fn new(kernels: &Kernels, caches: &[Cache], threads: usize) -> Result<Self, ProbeError> {
        let last = caches.iter().max_by_key(|cache| cache.level).map_or(0, |cache| cache.bytes);
        let mut subjects = Vec::new();
        for width in WIDTHS {
            let sequence = Sequence::new(kernels, 1, width, (BYTES_OF_ONE, 2), threads)?;
            let matrices = sequence.matrices().len();
            subjects.push(Subject { sequence, matrices, at_once: matrices, next: Cell::new(0) });
        }
        for tokens in MANY {
            for width in WIDTHS {
                let far = (2 * last).clamp(*FAR_BYTES.start(), *FAR_BYTES.end());
                let sequence = Sequence::new(kernels, tokens, width, (far, 2 * AT_ONCE as u64), threads)?;
                let matrices = sequence.matrices().len();
                subjects.push(Subject { sequence, matrices, at_once: AT_ONCE, next: Cell::new(0) });
                let sequence = Sequence::new(kernels, tokens, width, (last / 4, 2), threads)?;
                let matrices = sequence.matrices().len();
                subjects.push(Subject { sequence, matrices, at_once: matrices, next: Cell::new(0) });
            }
        }
        Ok(Self(subjects))
    }
}

/// Adds the tasks, and the points that they fill.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    kernels: &'a Kernels,
    tasks: &mut Vec<Task<'a>>,
) -> Vec<Point> {
    let mut points = Vec::new();
    for subject in &arena.0 {
        let sequence = &subject.sequence;
        let one = sequence.tokens() == 1;
        let all = subject.matrices as u64 * sequence.matrix_bytes();
        for (place, pool) in pools.iter().enumerate() {
            let log = Log::default();
            tasks.push(Task {
                name: format!(
                    "hand-over of {} tokens, {} KiB, {}",
                    sequence.tokens(),
                    all >> 10,
                    threads_in_words(pool)
                ),
                beside: Beside::near(place),
                log: log.clone(),
                settling: 1,
                take: Box::new(move || {
                    if one {
                        extra_of_one(sequence, kernels, pool)
                    } else {
                        extra_of_many(subject, kernels, pool)
                    }
                }),
            });
            points.push(Point {
                threads: pool.threads() as u32,
                tokens: sequence.tokens() as u64,
                activation_bytes: sequence.activation_bytes(),
                weights: (!one).then(|| [sequence.matrix_bytes() / OPERATIONS as u64, all]),
                log,
            });
        }
    }
    points
}

/// Seconds that one operation takes more in the sequence than repeated by itself.
fn extra_of_one(sequence: &Sequence, kernels: &Kernels, pool: &Pool) -> f64 {
    // After a round that warms the caches.
    let seconds = |run| {
        let range = 0..sequence.matrices().len();
        seconds(sequence, kernels, pool, range.clone(), run);
        seconds(sequence, kernels, pool, range, run)
    };
    let apart = [Run::Norms, Run::Products, Run::Activations].map(seconds);
    (seconds(Run::Whole) - apart.iter().sum::<f64>()) / (OPERATIONS * sequence.matrices().len()) as f64
}

/// The same of many tokens: the sequence over the next matrices, its product by itself over one.
fn extra_of_many(subject: &Subject, kernels: &Kernels, pool: &Pool) -> f64 {
    let Subject { sequence, matrices, at_once, next } = subject;
    let first = if next.get() + at_once > *matrices { 0 } else { next.get() };
    next.set(first + at_once);
    let range = first..first + at_once;
    let whole = || seconds(sequence, kernels, pool, range.clone(), Run::Whole);
    if at_once == matrices {
        whole();
    }
    let whole = whole();
    let apart = |run| {
        let once = || match run {
            Run::Products => (0..*at_once).map(|_| seconds(sequence, kernels, pool, 0..1, run)).sum::<f64>(),
            _ => seconds(sequence, kernels, pool, range.clone(), run),
        };
        once();
        once()
    };
    let apart: f64 = [Run::Norms, Run::Products, Run::Activations].map(apart).iter().sum();
    (whole - apart) / (OPERATIONS * at_once) as f64
}

/// Seconds of one round over some of the matrices.
fn seconds(
    sequence: &Sequence,
    kernels: &Kernels,
    pool: &Pool,
    range: std::ops::Range<usize>,
    run: Run,
) -> f64 {
    let mut held = sequence.hold();
    let shared = sequence.share(kernels, &mut held);
    let matrices = &sequence.matrices()[range];
    let start = Instant::now();
    pool.run(|worker| shared.go_through(&worker, matrices, run));
    start.elapsed().as_secs_f64()
}
