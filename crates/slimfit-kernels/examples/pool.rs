//! Prints what a hand-over costs: an empty run, and a barrier inside a run.

use slimfit_kernels::pool::{Pool, PoolError};
use std::time::Instant;

fn main() -> Result<(), PoolError> {
    for threads in [1, 2] {
        let pool = Pool::new(threads)?;
        for round in 0..3 {
            let runs = 200_000_u32;
            let start = Instant::now();
            for _ in 0..runs {
                pool.run(|worker| {
                    std::hint::black_box(worker.index);
                });
            }
            let run = start.elapsed() / runs;
            let start = Instant::now();
            pool.run(|worker| {
                for _ in 0..runs {
                    worker.barrier();
                }
            });
            println!("{threads} threads, round {round}: run {run:?}, barrier {:?}", start.elapsed() / runs);
        }
    }
    Ok(())
}
