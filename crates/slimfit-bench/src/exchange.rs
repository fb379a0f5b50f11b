//! What it costs two threads to meet and to read what the other wrote.
//!
//! A hypervisor may put the processors of one machine on cores that share a cache or on cores that do not, and change
//! that while it runs. Neither bandwidths nor peaks show it, and whatever threads exchange then costs several times as
//! much.

use serde::{Deserialize, Serialize};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::median;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Words that one thread writes and the other reads: half of a usual second cache.
const WORDS: usize = 256 << 10 >> 3;
const SAMPLES: usize = 7;
const BARRIERS: u32 = 2000;

/// Two threads' dealings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Seconds of a barrier of all threads.
    pub barrier_seconds: f64,
    /// Bytes per second that the first thread writes and the last then reads, both counted in the time, the bytes once.
    pub bytes_per_s: f64,
}

impl Exchange {
    /// Measures it in a few milliseconds; nothing for one thread.
    pub fn measure(pool: &Pool) -> Option<Self> {
        if pool.threads() < 2 {
            return None;
        }
        let words: Vec<AtomicU64> = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let (mut barriers, mut exchanges) = (Vec::new(), Vec::new());
        for sample in 0..SAMPLES as u64 {
            let start = Instant::now();
            pool.run(|worker| (0..BARRIERS).for_each(|_| worker.barrier()));
            barriers.push(start.elapsed().as_secs_f64() / f64::from(BARRIERS));
            let start = Instant::now();
            pool.run(|worker| {
                if worker.index == 0 {
                    words.iter().for_each(|word| word.store(sample, Ordering::Relaxed));
                }
                worker.barrier();
                if worker.index == worker.count - 1 {
                    let sum = words.iter().fold(0, |sum, word| sum ^ word.load(Ordering::Relaxed));
                    std::hint::black_box(sum);
                }
            });
            exchanges.push((8 * WORDS) as f64 / start.elapsed().as_secs_f64());
        }
        Some(Self { barrier_seconds: median(&barriers), bytes_per_s: median(&exchanges) })
    }

    /// The mean of two, before and after a run.
    pub fn between(before: Option<Self>, after: Option<Self>) -> Option<Self> {
        let (before, after) = (before?, after?);
        Some(Self {
            barrier_seconds: (before.barrier_seconds + after.barrier_seconds) / 2.0,
            bytes_per_s: (before.bytes_per_s + after.bytes_per_s) / 2.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_meet_and_one_has_nobody_to_meet() {
        let both = Exchange::measure(&Pool::new(2).unwrap()).unwrap();
        assert!(both.barrier_seconds > 0.0 && both.bytes_per_s > 0.0);
        assert!(Exchange::measure(&Pool::new(1).unwrap()).is_none());
        assert_eq!(Exchange::between(Some(both), Some(both)), Some(both));
        assert_eq!(Exchange::between(Some(both), None), None);
    }
}
