//! What every operation costs before it does anything: the barrier after it and its dispatch.

use crate::ProbeError;
use crate::sampler::{Sampler, time};
use slimfit_hardware::BarrierTime;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Add, AddArgs, Invocation, Kernels, Part, SharedMut};
use slimfit_quantity::Figure;

/// Barriers in one repetition, so that starting the run weighs nothing.
const BARRIERS: u64 = 100;

/// Seconds of one barrier of a pool.
///
/// # Errors
/// The clock stands still.
pub(crate) fn barrier(pool: &Pool, sampler: &Sampler) -> Result<BarrierTime, ProbeError> {
    let seconds = sampler.seconds("barrier", |repetitions| {
        time(|| {
            pool.run(|worker| {
                for _ in 0..repetitions * BARRIERS {
                    worker.barrier();
                }
            });
        })
    })?;
    let each = seconds.map(|seconds| seconds / BARRIERS as f64);
    Ok(BarrierTime { threads: pool.threads() as u32, seconds: crate::figure(each) })
}

/// Seconds to dispatch an operation that adds a single value.
///
/// # Errors
/// The clock stands still.
pub(crate) fn dispatch(kernels: &Kernels, sampler: &Sampler) -> Result<Figure, ProbeError> {
    let input = [1.0_f32];
    let mut output = [0.0_f32];
    let operation = Add { width: 1, scale: 1.0 };
    let shared = SharedMut::new(&mut output);
    let seconds = sampler.seconds("dispatch", |repetitions| {
        time(|| {
            for _ in 0..repetitions {
                let invocation = Invocation::Add(AddArgs::new(&operation, 1, &input, shared));
                kernels.execute(std::hint::black_box(&invocation), Part { phase: 0, index: 0, of: 1 });
            }
        })
    })?;
    Ok(seconds.figure())
}
