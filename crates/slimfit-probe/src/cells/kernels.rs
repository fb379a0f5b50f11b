//! Times of our own kernels on a small grid of shapes, data in the nearest cache that holds it.

mod grid;
mod subject;

pub(crate) use grid::{HEADS, attention};
pub(crate) use subject::{Subject, Workspace};

use super::{Detail, Pools, threads_in_words};
use crate::ProbeError;
use crate::placements::View;
use crate::schedule::{Beside, Log, Task, repeats};
use grid::Shape;
use slimfit_hardware::KernelTime;
use slimfit_kernels::{Isa, Kernels, MatMul, Operation, QkNormKind, Tuning};
use slimfit_quantity::NumberFormat;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A kernel that is being measured.
pub(crate) struct Point {
    time: KernelTime,
    log: Log,
}

impl Point {
    /// A product of so many rows on so many threads, whose samples are given.
    #[cfg(test)]
    pub fn made_up(rows: u64, threads: u32, log: Log) -> Self {
        let time = KernelTime {
            operation: "matmul".to_owned(),
            variant: "made up".to_owned(),
            format: NumberFormat::Q8_0,
            rows,
            columns: 1,
            batch: 1,
            head_size: None,
            kv_heads: None,
            qk_norm: false,
            threads,
            seconds: slimfit_quantity::Figure::unavailable("made up"),
        };
        Self { time, log }
    }

    pub fn finish(&self, view: View<'_>) -> KernelTime {
        KernelTime { seconds: self.log.figure_in(view, self.time.threads), ..self.time.clone() }
    }
}

/// Bytes of matrices among which a sampled one counts: it is measured in a cache.
const CACHED_BYTES: u64 = 8 << 20;

/// The kernels that are measured: those chosen for the grid's products where there was a choice.
pub(crate) fn tuned(
    isa: Isa,
    tuning: &Tuning,
    detail: Detail,
    counts: &[u32],
) -> Result<Kernels, ProbeError> {
    let series = grid::series(detail);
    let products: Vec<&MatMul> = series
        .iter()
        .flatten()
        .filter_map(|shape| match &shape.operation {
            Operation::MatMul(product) => Some(product),
            _ => None,
        })
        .collect();
    let kernels = Kernels::for_isa(isa)?;
    Ok(counts.iter().fold(kernels, |kernels, &threads| {
        kernels.tuned(tuning, products.iter().copied(), threads as usize, CACHED_BYTES)
    }))
}

/// Adds the tasks, and the points that they fill. A shape of which one run would last longer than `longest_seconds`
/// is left out, as the next smaller batch foretells.
pub(crate) fn add<'a>(
    pools: &'a Pools,
    kernels: &'a Kernels,
    workspace: &'a RefCell<Workspace>,
    detail: Detail,
    longest_seconds: f64,
    tasks: &mut Vec<Task<'a>>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<Point>, ProbeError> {
    let mut points = Vec::new();
    for shapes in grid::series(detail) {
        let mut subjects = subject::Series::default();
        for (place, pool) in pools.iter().enumerate() {
            let mut before: Option<(u64, f64)> = None;
            for shape in &shapes {
                if !go_on() {
                    return Err(ProbeError::Stopped);
                }
                let foretold = before
                    .map_or(0.0, |(batch, seconds)| seconds * shape.tokens as f64 / batch.max(1) as f64);
                if foretold > longest_seconds {
                    break;
                }
                let subject = subjects.get(shape, kernels.isa())?;
                workspace.borrow_mut().prepare(&subject, pool.threads())?;
                // The best of three: a slow one may have been interrupted.
                let seconds = (0..3)
                    .map(|_| subject.seconds(kernels, pool, &mut workspace.borrow_mut(), 1))
                    .fold(f64::INFINITY, f64::min);
                // The smallest is kept on however busy a machine: a profile without it predicts nothing.
                let first = before.replace((shape.tokens, seconds)).is_none();
                if !first && seconds > longest_seconds {
                    break;
                }
                let (time, log) = (describe(shape, kernels, pool.threads() as u32), Log::default());
                let runs = Cell::new(0);
                tasks.push(Task {
                    name: format!(
                        "{} {} {}x{}, {} tokens, {}",
                        time.operation,
                        time.format,
                        time.rows,
                        time.columns,
                        time.batch,
                        threads_in_words(pool)
                    ),
                    beside: Beside::near(place),
                    log: log.clone(),
                    settling: 1,
                    take: Box::new(move || {
                        let mut workspace = workspace.borrow_mut();
                        if runs.get() == 0 {
                            subject.seconds(kernels, pool, &mut workspace, 1);
                            runs.set(repeats(subject.seconds(kernels, pool, &mut workspace, 1)));
                        }
                        subject.seconds(kernels, pool, &mut workspace, runs.get())
                    }),
                });
                points.push(Point { time, log });
            }
        }
    }
    Ok(points)
}

/// The shape as a profile writes it, without its time.
fn describe(shape: &Shape, kernels: &Kernels, threads: u32) -> KernelTime {
    let keys = shape.first_position + shape.tokens;
    let qk_norm =
        matches!(&shape.operation, Operation::RotateStore(rotate) if rotate.qk_norm != QkNormKind::None);
    let (format, rows, columns, heads) = match &shape.operation {
        Operation::MatMul(product) => (product.format, product.rows, product.columns, None),
        Operation::Embed(embed) => (embed.format, embed.width, 1, None),
        Operation::Norm(norm) => (NumberFormat::F32, norm.width, 1, None),
        Operation::Activate(activate) => (NumberFormat::F32, activate.size, 1, None),
        Operation::Add(add) => (NumberFormat::F32, add.width, 1, None),
        Operation::RotateStore(rotate) => {
            (rotate.kv_format, rotate.heads * rotate.head_size, 1, Some((rotate.head_size, rotate.kv_heads)))
        }
        Operation::Attend(attend) => (
            attend.kv_format,
            attend.heads * attend.head_size,
            keys,
            Some((attend.head_size, attend.kv_heads)),
        ),
        Operation::Route(_) | Operation::Experts(_) => unreachable!("the grid has no mixture of experts"),
    };
    KernelTime {
        operation: shape.operation.name().to_owned(),
        variant: kernels.variant_name(&shape.operation, shape.tokens as usize).unwrap_or("none").to_owned(),
        format,
        rows,
        columns,
        batch: shape.tokens,
        head_size: heads.map(|(size, _)| size),
        kv_heads: heads.map(|(_, kv_heads)| kv_heads),
        qk_norm,
        threads,
        seconds: slimfit_quantity::Figure::unavailable("not measured yet"),
    }
}

/// A subject that several thread counts share.
pub(crate) type SharedSubject = Rc<Subject>;
