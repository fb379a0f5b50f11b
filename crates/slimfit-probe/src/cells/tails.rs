//! How far the times of steps scatter: what their percentiles are predicted from.
//!
//! Short steps run one right after the other, as a model's tokens do, with a time stamp between: three operations on each
//! of a few matrices, on as many threads and with the same sharing of work as a model. Stretches of more and more steps
//! tell the times of longer ones, so how far an interruption shows in a step of a given length is seen and not assumed.
//! Three bouts, at the beginning, the middle and the end of the measurement, see what the machine does meanwhile; that it is
//! slower in one as a whole is no scatter of steps, so each counts beside its own median.

use super::Pools;
use super::sequence::{Run, Sequence};
use crate::ProbeError;
use slimfit_hardware::{Cache, Tail};
use slimfit_kernels::Kernels;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Measured, quantile};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Width of the residual stream.
const WIDTH: u64 = 512;
/// Matrices of a step: some 2 MB.
const MATRICES: usize = 4;
/// The most memory that steps read in turn.
const LARGEST_BYTES: u64 = 192 << 20;
/// Bouts of the whole measurement.
pub(crate) const BOUTS: u32 = 3;
/// Steps that warm up and tell how long one takes.
const FIRST_STEPS: usize = 16;
/// The next length is so many times the last.
const LONGER: usize = 4;
/// Steps that do not overlap, at least, for a 95th and a 99th percentile.
const FEWEST: [usize; 2] = [20, 100];

/// The matrices, and what each cell has seen.
pub(crate) struct Arena {
    sequence: Sequence,
    cells: Vec<Traced>,
}

/// Steps of one working set with one thread count.
struct Traced {
    threads: usize,
    matrices: usize,
    /// The next matrix to go through.
    position: Cell<usize>,
    /// Seconds of each step, by bout.
    bouts: Vec<Vec<f64>>,
}

impl Arena {
    /// Working sets near the core, in the last cache where it is large enough, and beyond it as far as `largest` reaches.
    pub fn new(
        kernels: &Kernels,
        caches: &[Cache],
        largest: u64,
        counts: &[u32],
    ) -> Result<Self, ProbeError> {
        let last = caches.iter().max_by_key(|cache| cache.level).map_or(0, |cache| cache.bytes);
        let most = counts.last().map_or(1, |count| *count as usize);
        let bytes = (4 * last).clamp(16 << 20, LARGEST_BYTES).min(largest);
        let sequence = Sequence::new(kernels, 1, WIDTH, (bytes, MATRICES as u64), most)?;
        let mut sets = vec![1, sequence.matrices().len()];
        let cached = (last / 4 / sequence.matrix_bytes()) as usize;
        if (2 * MATRICES..sequence.matrices().len() / 2).contains(&cached) {
            sets.insert(1, cached);
        }
        let cells = counts
            .iter()
            .flat_map(|&threads| sets.iter().map(move |&matrices| (threads, matrices)))
            .map(|(threads, matrices)| Traced {
                threads: threads as usize,
                matrices,
                position: Cell::new(0),
                bouts: Vec::new(),
            })
            .collect();
        Ok(Self { sequence, cells })
    }

    /// One bout of every cell, in `budget` together.
    pub fn bout(&mut self, pools: &Pools, kernels: &Kernels, budget: Duration) {
        let share = budget.div_f64(self.cells.len().max(1) as f64);
        for cell in &mut self.cells {
            let Some(pool) = pools.iter().find(|pool| pool.threads() == cell.threads) else { continue };
            let end = Instant::now() + share;
            let first = cell.steps(&self.sequence, kernels, pool, FIRST_STEPS);
            let left = end.saturating_duration_since(Instant::now()).as_secs_f64();
            let steps = (left / quantile(&first, 0.5).max(1e-7)) as usize;
            let bout = cell.steps(&self.sequence, kernels, pool, steps.max(FEWEST[0]));
            cell.bouts.push(bout);
        }
    }

    /// What was seen, by threads, working set and length of a step.
    pub fn finish(&self) -> Vec<Tail> {
        let tails = |cell: &Traced| {
            tails(cell.threads as u32, cell.matrices as u64 * self.sequence.matrix_bytes(), &cell.bouts)
        };
        self.cells.iter().flat_map(tails).collect()
    }
}

impl Traced {
    /// Seconds of each of `count` steps.
    fn steps(&self, sequence: &Sequence, kernels: &Kernels, pool: &Pool, count: usize) -> Vec<f64> {
        let mut held = sequence.hold();
        let shared = sequence.share(kernels, &mut held);
        let matrices = &sequence.matrices()[..self.matrices];
        let mut seconds = Vec::with_capacity(count);
        let mut last = Instant::now();
        for _ in 0..count {
            let from = self.position.get();
            pool.run_phases(|worker| {
                for place in 0..MATRICES {
                    let place = (from + place) % matrices.len();
                    shared.go_through(&worker, &matrices[place..=place], Run::Whole);
                }
            });
            self.position.set((from + MATRICES) % matrices.len());
            let now = Instant::now();
            seconds.push((now - last).as_secs_f64());
            last = now;
        }
        seconds
    }
}

/// The scatter of steps, and of stretches of 4, 16, 64 … of them, as far as there are enough for a percentile.
fn tails(threads: u32, working_set_bytes: u64, bouts: &[Vec<f64>]) -> Vec<Tail> {
    let bouts = &level(bouts)[..];
    let mut tails = Vec::new();
    let mut length = 1;
    loop {
        let apart: usize = bouts.iter().map(|bout| bout.len() / length).sum();
        if apart < FEWEST[0] {
            return tails;
        }
        let stretches: Vec<f64> = bouts.iter().flat_map(|bout| sums(bout, length)).collect();
        let percentile = |fewest, fraction| (apart >= fewest).then(|| quantile(&stretches, fraction));
        let (p90, p95, p99) =
            (percentile(FEWEST[0], 0.9), percentile(FEWEST[0], 0.95), percentile(FEWEST[1], 0.99));
        let Some(measured) = Measured::new(stretches.clone()) else { return tails };
        let mut seconds = measured.figure();
        // Stretches overlap; only those that do not are samples of their own.
        seconds.n = apart as u64;
        tails.push(Tail {
            threads,
            working_set_bytes,
            seconds,
            p90_seconds: p90,
            p95_seconds: p95,
            p99_seconds: p99,
        });
        length *= LONGER;
    }
}

/// The bouts, scaled so that the median step of each is that of all.
fn level(bouts: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let all: Vec<f64> = bouts.iter().flatten().copied().collect();
    let scaled = |bout: &Vec<f64>| {
        let factor = quantile(&all, 0.5) / quantile(bout, 0.5);
        bout.iter().map(|seconds| seconds * factor).collect()
    };
    bouts.iter().filter(|bout| !bout.is_empty()).map(scaled).collect()
}

/// The sums of every `length` values in a row.
fn sums(values: &[f64], length: usize) -> impl Iterator<Item = f64> {
    values.windows(length).map(|window| window.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interruptions_show_in_short_steps_and_average_in_long_ones() {
        // Steps of 1 ms; one in ten, by chance, is held up by another 1 ms.
        let mut state = 7_u64;
        let mut held_up = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33).is_multiple_of(10)
        };
        let bout: Vec<f64> = (0..4000).map(|_| if held_up() { 2e-3 } else { 1e-3 }).collect();
        let tails = tails(2, 1 << 20, &[bout]);
        assert_eq!(tails.iter().map(|tail| tail.seconds.n).collect::<Vec<_>>(), [4000, 1000, 250, 62]);
        let excess = |tail: &Tail| tail.p95_seconds.unwrap() / tail.seconds.value.unwrap() - 1.0;
        assert!((excess(&tails[0]) - 1.0).abs() < 1e-9, "{tails:?}");
        assert!(tails.windows(2).all(|pair| excess(&pair[1]) < excess(&pair[0])), "{tails:?}");
        assert!((0.02..0.12).contains(&excess(&tails[3])), "{tails:?}");
        assert!(tails[2].p99_seconds.is_some() && tails[3].p99_seconds.is_none(), "62 steps have no 99th");
    }

    #[test]
    fn stretches_do_not_cross_from_bout_to_bout_and_a_slower_bout_is_no_tail() {
        let bouts = [vec![1.0; 31], vec![3.0; 30]];
        let tails = tails(1, 1, &bouts);
        assert_eq!(tails.len(), 1, "14 stretches of four are too few");
        assert!(sums(&bouts[0], 4).all(|sum| sum == 4.0));
        assert_eq!((tails[0].seconds.value, tails[0].p95_seconds), (Some(1.0), Some(1.0)));
    }
}
