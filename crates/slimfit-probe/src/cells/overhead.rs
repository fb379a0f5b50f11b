//! Fixed costs: a barrier, and starting an operation.

use super::Pools;
use super::kernels::{Subject, Workspace};
use crate::ProbeError;
use crate::placements::{Group, Looks, View};
use crate::schedule::{Beside, Log, Task};
use slimfit_hardware::{BarrierTime, Overhead};
use slimfit_kernels::{Add, Kernels, Operation};
use slimfit_quantity::{Figure, Measured};
use std::cell::RefCell;

/// Operations of one sample.
const OPERATIONS: usize = 10_000;

/// Starting an operation, as it is being measured.
pub(crate) struct Dispatch(Log);

impl Dispatch {
    /// With the barriers of the looks at each thread count where the threads lie usually.
    pub fn finish(&self, looks: &[(u32, Looks)]) -> Overhead {
        let barrier = looks
            .iter()
            .filter(|(threads, _)| *threads > 1)
            .map(|(threads, looks)| BarrierTime { threads: *threads, seconds: barrier(looks, looks.usual()) })
            .collect();
        let view = View::usual(looks);
        Overhead { barrier, dispatch: self.0.figure_in(view, 1), hand_over: Vec::new() }
    }
}

/// Seconds of a barrier in one group of looks.
pub(crate) fn barrier(looks: &Looks, group: Group) -> Figure {
    Measured::new(looks.of(group).to_vec())
        .map_or_else(|| Figure::unavailable("the threads were never looked at"), |measured| measured.figure())
}

/// Adds the task, and what it fills. Starting an operation is timed as an addition of 16 values.
pub(crate) fn add<'a>(
    pools: &'a Pools,
    kernels: &'a Kernels,
    workspace: &'a RefCell<Workspace>,
    tasks: &mut Vec<Task<'a>>,
) -> Result<Dispatch, ProbeError> {
    let log = Log::default();
    if let Some(pool) = pools.iter().find(|pool| pool.threads() == 1) {
        let subject = Subject::new(Operation::Add(Add { width: 16, scale: 0.5 }), 1, 1, kernels.isa())?;
        tasks.push(Task {
            name: "dispatch".to_owned(),
            beside: Beside::near(0),
            log: log.clone(),
            settling: 1,
            take: Box::new(move || subject.seconds(kernels, pool, &mut workspace.borrow_mut(), OPERATIONS)),
        });
    }
    Ok(Dispatch(log))
}
