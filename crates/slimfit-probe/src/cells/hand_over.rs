//! What an operation costs more among others than repeated by itself.
//!
//! In a model's step each operation reads what another just wrote: on several threads partly in another core's cache, and
//! pushed out of the first cache by the weights read in between. Kernels that are timed by themselves find their input
//! where they left it. A sequence of a norm, a product and an activation over many matrices shows the difference.

use super::sequence::{OPERATIONS, Run, Sequence};
use super::{Pools, threads_in_words};
use crate::ProbeError;
use crate::schedule::{Log, Task};
use slimfit_hardware::HandOver;
use slimfit_kernels::Kernels;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::Figure;
use std::time::Instant;

/// Widths of the residual stream.
const WIDTHS: [u64; 2] = [512, 1536];
/// Tokens, and bytes of matrices that are gone through: more than the second cache holds for one token.
const TOKENS: [(u64, u64); 2] = [(1, 12 << 20), (64, 1 << 20)];

/// A cost that is being measured.
pub(crate) struct Point {
    threads: u32,
    tokens: u64,
    activation_bytes: u64,
    log: Log,
}

impl Point {
    pub fn finish(&self) -> HandOver {
        // Noise can make the sequence look faster than its parts; nothing is then known to be lost.
        let at_least_none = |value: Option<f64>| value.map(|value| value.max(0.0));
        let figure = self.log.figure();
        HandOver {
            threads: self.threads,
            tokens: self.tokens,
            activation_bytes: self.activation_bytes,
            seconds: Figure {
                value: at_least_none(figure.value),
                low: at_least_none(figure.low),
                high: at_least_none(figure.high),
                ..figure
            },
        }
    }
}

/// The sequences of all sizes, for the most threads.
pub(crate) struct Arena(Vec<Sequence>);

impl Arena {
    pub fn new(kernels: &Kernels, threads: usize) -> Result<Self, ProbeError> {
        let mut sequences = Vec::new();
        for (tokens, bytes) in TOKENS {
            for width in WIDTHS {
                sequences.push(Sequence::new(kernels, tokens as usize, width, (bytes, 2), threads)?);
            }
        }
        Ok(Self(sequences))
    }
}

/// Adds the tasks, and the points that they fill.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    kernels: &'a Kernels,
    sentinel: &dyn Fn(usize) -> usize,
    tasks: &mut Vec<Task<'a>>,
) -> Vec<Point> {
    let mut points = Vec::new();
    for sequence in &arena.0 {
        for (place, pool) in pools.iter().enumerate() {
            let log = Log::default();
            tasks.push(Task {
                name: format!("hand-over of {} tokens, {}", sequence.tokens(), threads_in_words(pool)),
                sentinel: sentinel(place),
                log: log.clone(),
                settling: 1,
                take: Box::new(move || extra_seconds(sequence, kernels, pool)),
            });
            points.push(Point {
                threads: pool.threads() as u32,
                tokens: sequence.tokens() as u64,
                activation_bytes: sequence.activation_bytes(),
                log,
            });
        }
    }
    points
}

/// Seconds that one operation takes more in the sequence than repeated by itself.
fn extra_seconds(sequence: &Sequence, kernels: &Kernels, pool: &Pool) -> f64 {
    let seconds = |run| seconds(sequence, kernels, pool, run);
    let apart = [Run::Norms, Run::Products, Run::Activations].map(seconds);
    (seconds(Run::Whole) - apart.iter().sum::<f64>()) / (OPERATIONS * sequence.matrices().len()) as f64
}

/// Seconds of one round over all matrices, after another that warms the caches.
fn seconds(sequence: &Sequence, kernels: &Kernels, pool: &Pool, run: Run) -> f64 {
    let mut held = sequence.hold();
    let shared = sequence.share(kernels, &mut held);
    let matrices = sequence.matrices();
    let round = || {
        let start = Instant::now();
        pool.run(|worker| shared.go_through(&worker, matrices, run));
        start.elapsed().as_secs_f64()
    };
    round();
    round()
}
