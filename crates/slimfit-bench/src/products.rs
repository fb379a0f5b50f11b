//! Products of many tokens beside the peak of the fastest instructions for their format.

use crate::options::Options;
use crate::peaks::Peak;
use crate::product::{Product, Size, seconds};
use crate::record::ProductCell;
use anyhow::{Context, Result};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Kernels};
use slimfit_quantity::{Bracketed, Cell, Measured, NumberFormat, interleave};

/// Matrices `(rows, columns)`: feed-forward up and down of SmolLM2-135M, and a square one that fills a second cache.
const MATRICES: [(usize, usize); 3] = [(3072, 576), (576, 1536), (2048, 2048)];
const TOKENS: [usize; 2] = [128, 512];
const ROUNDS: usize = 5;

/// Every format and thread count of `options`, all sizes of one interleaved.
///
/// # Errors
/// Memory is refused, or a format has no kernel or peak.
pub fn measure(options: &Options, isa: Isa) -> Result<Vec<ProductCell>> {
    let kernels = Kernels::for_isa(isa)?;
    let mut found = Vec::new();
    for &threads in &options.threads {
        let pool = Pool::new(threads)?;
        for &format in options.formats.iter().chain(&[NumberFormat::F32]) {
            let done = |cell: &ProductCell| (cell.weights, cell.threads) == (format, threads);
            if !found.iter().any(done) {
                eprintln!("products in {format} on {threads} threads");
                found.extend(of_format(format, &kernels, &pool, options.rounds.unwrap_or(ROUNDS))?);
            }
        }
    }
    Ok(found)
}

fn of_format(
    format: NumberFormat,
    kernels: &Kernels,
    pool: &Pool,
    rounds: usize,
) -> Result<Vec<ProductCell>> {
    let peak = Peak::fastest(pool, format, kernels.isa())?;
    let mut products = Vec::new();
    for (rows, columns) in MATRICES {
        for tokens in TOKENS {
            let size = Size { tokens, rows, columns };
            products.push((size, Product::new(size, format, kernels, pool)?));
        }
    }
    let described: Vec<(Size, &str)> =
        products.iter().map(|(size, product)| (*size, product.variant(kernels))).collect();
    let mut cells: Vec<Cell<'_, anyhow::Error>> = products
        .iter_mut()
        .map(|(size, product)| Cell {
            name: format!("{size:?}"),
            run: Box::new(|| {
                Ok(seconds(|| {
                    product.compute(kernels, pool);
                }))
            }),
            sentinel: Box::new(move || Ok(peak.ops_per_s(pool))),
        })
        .collect();
    let results = interleave(&mut cells, rounds, |_, _, _| {})?;
    drop(cells);
    let mut found = Vec::new();
    for ((size, variant), result) in described.into_iter().zip(results) {
        let runs = || result.test.iter().chain(&result.retest);
        let share = |run: &Bracketed| size.operations() / run.value / run.sentinel_per_s();
        let rate = result.value().and_then(|seconds| seconds.map(|seconds| size.operations() / seconds));
        found.push(ProductCell {
            weights: format,
            tokens: size.tokens,
            rows: size.rows,
            columns: size.columns,
            threads: pool.threads(),
            variant: variant.to_owned(),
            ops_per_s: rate.context("a product was not run")?.figure(),
            share: Measured::new(runs().map(share).collect()).context("a product was not run")?.figure(),
            peak: peak.name(),
            peak_ops_per_s: result.sentinel_per_s(),
            retest_error: result.retest_error().unwrap_or(f64::NAN),
        });
    }
    Ok(found)
}
