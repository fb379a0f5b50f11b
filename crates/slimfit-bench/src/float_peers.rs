//! Products in f32 beside the libraries that others would use: `matrixmultiply`, `gemm` and OpenBLAS.
//!
//! Our matrix was packed when it was loaded, as a model's is. A peer may have its matrix in either order of its
//! dimensions, whichever it is faster with, and packs as its own interface does.
#![expect(unsafe_code, reason = "the peers' interfaces take pointers")]

use crate::openblas::OpenBlas;
use crate::options::Options;
use crate::peaks::Peak;
use crate::product::{Product, Size, seconds, value};
use crate::record::{FloatCell, FloatPeer};
use anyhow::{Context, Result};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Kernels};
use slimfit_quantity::{Cell, CellResult, NumberFormat, interleave};
use std::cell::RefCell;
use std::time::Duration;

/// Tokens, rows, columns. Those of one to eight tokens are what decoding several texts at once needs.
const SIZES: [(usize, usize, usize); 17] = [
    (1, 1536, 576),
    (2, 1536, 576),
    (3, 1536, 576),
    (4, 1536, 576),
    (5, 1536, 576),
    (6, 1536, 576),
    (7, 1536, 576),
    (8, 1536, 576),
    (1, 2048, 2048),
    (4, 2048, 2048),
    (8, 2048, 2048),
    (16, 1536, 576),
    (64, 576, 1536),
    (128, 1536, 576),
    (127, 1023, 515),
    (256, 1024, 1024),
    (512, 2048, 2048),
];
const ROUNDS: usize = 3;
/// OpenBLAS' threads look for work a little longer before they sleep.
const SETTLE: Duration = Duration::from_millis(25);

/// A library and an order of the matrix's dimensions.
#[derive(Clone, Copy)]
struct Way {
    peer: FloatPeer,
    turned: bool,
}

/// Starts the threads on which `gemm` computes. To be called before a pool is made on this thread.
///
/// # Errors
/// The system refuses them.
pub fn start_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads for `gemm`")
}

/// All sizes on every thread count of `options`.
///
/// # Errors
/// Memory is refused.
pub fn measure(options: &Options, isa: Isa, openblas: Option<&OpenBlas>) -> Result<Vec<FloatCell>> {
    let kernels = Kernels::for_isa(isa)?;
    let mut found = Vec::new();
    for &threads in &options.threads {
        let pool = Pool::new(threads)?;
        if let Some(openblas) = openblas {
            openblas.set_threads(threads);
        }
        eprintln!("f32 products beside other libraries on {threads} threads");
        for (tokens, rows, columns) in SIZES {
            let size = Size { tokens, rows, columns };
            found.push(of_size(size, &kernels, &pool, openblas, options.rounds.unwrap_or(ROUNDS))?);
        }
    }
    Ok(found)
}

fn of_size(
    size: Size,
    kernels: &Kernels,
    pool: &Pool,
    openblas: Option<&OpenBlas>,
    rounds: usize,
) -> Result<FloatCell> {
    let peak = Peak::fastest(pool, NumberFormat::F32, kernels.isa())?;
    let mut product = Product::new(size, NumberFormat::F32, kernels, pool)?;
    let variant = product.variant(kernels);
    let x: Vec<f32> = (0..size.tokens)
        .flat_map(|token| (0..size.columns).map(move |column| value(token, column)))
        .collect();
    let w: Vec<f32> =
        (0..size.rows).flat_map(|row| (0..size.columns).map(move |column| value(row, column))).collect();
    let turned: Vec<f32> =
        (0..size.columns).flat_map(|column| (0..size.rows).map(move |row| value(row, column))).collect();
    let y = RefCell::new(vec![f32::NAN; size.tokens * size.rows]);
    let expected = product.compute(kernels, pool).to_vec();
    let product = RefCell::new(product);

    let mut ways = Vec::new();
    for turned in [false, true] {
        // It computes on one thread.
        if pool.threads() == 1 {
            ways.push(Way { peer: FloatPeer::Matrixmultiply, turned });
        }
        ways.push(Way { peer: FloatPeer::Gemm, turned });
        if openblas.is_some() {
            ways.push(Way { peer: FloatPeer::Openblas, turned });
        }
    }
    let run = |way: Way| {
        let matrix = if way.turned { &turned } else { &w };
        let mut y = y.borrow_mut();
        match (way.peer, openblas) {
            (FloatPeer::Matrixmultiply, _) => matrixmultiply_product(size, way.turned, &x, matrix, &mut y),
            (FloatPeer::Gemm, _) => gemm_product(size, way.turned, &x, matrix, &mut y, pool.threads()),
            (FloatPeer::Openblas, Some(openblas)) => openblas.product(size, way.turned, &x, matrix, &mut y),
            (FloatPeer::Openblas, None) => {
                unreachable!("a way of OpenBLAS is listed only where it was loaded")
            }
        }
    };
    for &way in &ways {
        run(way);
        let off = y.borrow().iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        anyhow::ensure!(
            off <= 1e-3 * (size.columns as f32).sqrt(),
            "{:?} is off by {off} at {size:?}",
            way.peer
        );
    }

    let sentinel = || Ok(peak.ops_per_s(pool));
    let mut cells: Vec<Cell<'_, anyhow::Error>> = vec![Cell {
        name: "slimfit".to_owned(),
        run: Box::new(|| {
            let mut product = product.borrow_mut();
            Ok(seconds(|| {
                product.compute(kernels, pool);
            }))
        }),
        sentinel: Box::new(sentinel),
    }];
    for &way in &ways {
        let run = &run;
        cells.push(Cell {
            name: format!("{:?}", way.peer),
            run: Box::new(move || {
                let seconds = seconds(|| run(way));
                if pool.threads() > 1 {
                    std::thread::sleep(SETTLE);
                }
                Ok(seconds)
            }),
            sentinel: Box::new(sentinel),
        });
    }
    let results = interleave(&mut cells, rounds, |_, _, _| {})?;
    drop(cells);
    let rate = |result: &CellResult| {
        let seconds = result.value().context("a product was not run")?;
        seconds.map(|seconds| size.operations() / seconds).context("a product without time")
    };
    let ours = rate(&results[0])?;
    let mut best: Option<(FloatPeer, f64)> = None;
    for (way, result) in ways.iter().zip(&results[1..]) {
        let rate = rate(result)?.value();
        if best.is_none_or(|(_, known)| rate > known) {
            best = Some((way.peer, rate));
        }
    }
    let (peer, peer_ops_per_s) = best.context("no peer was run")?;
    Ok(FloatCell {
        tokens: size.tokens,
        rows: size.rows,
        columns: size.columns,
        threads: pool.threads(),
        variant: variant.to_owned(),
        ops_per_s: ours.figure(),
        retest_error: results[0].retest_error().unwrap_or(f64::NAN),
        peak_ops_per_s: results[0].sentinel_per_s(),
        peer,
        peer_ops_per_s,
        ratio: ours.value() / peer_ops_per_s,
    })
}

/// Steps of the right-hand matrix from one column to the next and from one row to the next, as the product
/// `(columns, rows)` wants it.
fn strides(size: Size, turned: bool) -> (isize, isize) {
    if turned { (1, size.rows as isize) } else { (size.columns as isize, 1) }
}

fn matrixmultiply_product(size: Size, turned: bool, x: &[f32], w: &[f32], y: &mut [f32]) {
    let Size { tokens, rows, columns } = size;
    let (column_step, row_step) = strides(size, turned);
    assert_eq!((x.len(), w.len(), y.len()), (tokens * columns, rows * columns, tokens * rows));
    // SAFETY: the lengths, checked above, are those of the sizes and strides given.
    unsafe {
        matrixmultiply::sgemm(
            tokens,
            columns,
            rows,
            1.0,
            x.as_ptr(),
            columns as isize,
            1,
            w.as_ptr(),
            row_step,
            column_step,
            0.0,
            y.as_mut_ptr(),
            rows as isize,
            1,
        );
    }
}

fn gemm_product(size: Size, turned: bool, x: &[f32], w: &[f32], y: &mut [f32], threads: usize) {
    let Size { tokens, rows, columns } = size;
    let (column_step, row_step) = strides(size, turned);
    assert_eq!((x.len(), w.len(), y.len()), (tokens * columns, rows * columns, tokens * rows));
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    // SAFETY: the lengths, checked above, are those of the sizes and strides given.
    unsafe {
        gemm::gemm(
            tokens,
            rows,
            columns,
            y.as_mut_ptr(),
            1,
            rows as isize,
            false,
            x.as_ptr(),
            1,
            columns as isize,
            w.as_ptr(),
            column_step,
            row_step,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
