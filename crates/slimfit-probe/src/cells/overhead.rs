//! Fixed costs: a barrier, and starting an operation.

use super::kernels::{Subject, Workspace};
use super::{Pools, hand_over, threads_in_words};
use crate::ProbeError;
use crate::schedule::{Log, Task};
use slimfit_hardware::{BarrierTime, Overhead};
use slimfit_kernels::{Add, Kernels, Operation};
use std::cell::RefCell;
use std::time::Instant;

/// Barriers of one sample.
const BARRIERS: usize = 1000;
/// Operations of one sample.
const OPERATIONS: usize = 10_000;

/// The costs that are being measured.
pub(crate) struct Points {
    barrier: Vec<(u32, Log)>,
    dispatch: Log,
}

impl Points {
    pub fn finish(&self, hand_over: &[hand_over::Point]) -> Overhead {
        let barrier = self
            .barrier
            .iter()
            .map(|(threads, log)| BarrierTime { threads: *threads, seconds: log.figure() })
            .collect();
        let hand_over = hand_over.iter().map(hand_over::Point::finish).collect();
        Overhead { barrier, dispatch: self.dispatch.figure(), hand_over }
    }
}

/// Adds the tasks, and the points that they fill. Starting an operation is timed as an addition of 16 values.
pub(crate) fn add<'a>(
    pools: &'a Pools,
    kernels: &'a Kernels,
    workspace: &'a RefCell<Workspace>,
    sentinel: &dyn Fn(usize) -> usize,
    tasks: &mut Vec<Task<'a>>,
) -> Result<Points, ProbeError> {
    let mut barrier = Vec::new();
    for (place, pool) in pools.iter().enumerate().filter(|(_, pool)| pool.threads() > 1) {
        let log = Log::default();
        tasks.push(Task {
            name: format!("barrier, {}", threads_in_words(pool)),
            sentinel: sentinel(place),
            log: log.clone(),
            settling: 1,
            take: Box::new(move || {
                let start = Instant::now();
                pool.run(|worker| (0..BARRIERS).for_each(|_| worker.barrier()));
                start.elapsed().as_secs_f64() / BARRIERS as f64
            }),
        });
        barrier.push((pool.threads() as u32, log));
    }
    let dispatch = Log::default();
    if let Some(pool) = pools.iter().find(|pool| pool.threads() == 1) {
        let subject = Subject::new(Operation::Add(Add { width: 16, scale: 0.5 }), 1, 1, kernels.isa())?;
        tasks.push(Task {
            name: "dispatch".to_owned(),
            sentinel: sentinel(0),
            log: dispatch.clone(),
            settling: 1,
            take: Box::new(move || subject.seconds(kernels, pool, &mut workspace.borrow_mut(), OPERATIONS)),
        });
    }
    Ok(Points { barrier, dispatch })
}
