//! One matrix product with everything it works on, run as a model runs it: through dispatch, phase by phase.

use anyhow::Result;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    AlignedBytes, Invocation, Kernels, MatMul, MatMulArgs, Operation, PackedMatrix, Part, SharedMut, phases,
    scratch_bytes,
};
use slimfit_quantity::NumberFormat;
use std::time::{Duration, Instant};

/// A timed run is at least this long.
const LEAST: Duration = Duration::from_millis(4);

/// The sizes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Token rows of the input.
    pub tokens: usize,
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
}

impl Size {
    /// Operations; a multiply-add counts 2.
    pub fn operations(self) -> f64 {
        2.0 * (self.tokens * self.rows * self.columns) as f64
    }
}

/// A product of fixed pseudo-random values.
pub struct Product {
    size: Size,
    operation: MatMul,
    matrix: PackedMatrix,
    input: Vec<f32>,
    output: Vec<f32>,
    scratch: AlignedBytes,
}

/// A value between −1 and 1 for each place of a matrix.
pub fn value(row: usize, column: usize) -> f32 {
    ((row * 17 + column * 31) % 41) as f32 / 20.0 - 1.0
}

impl Product {
    /// Packs the matrix for `kernels` and makes room for as many threads as `pool` has.
    ///
    /// # Errors
    /// The format has no kernel, or memory is refused.
    pub fn new(size: Size, format: NumberFormat, kernels: &Kernels, pool: &Pool) -> Result<Self> {
        let mut matrix = PackedMatrix::new(format, size.rows, size.columns, kernels.isa())?;
        let mut values = vec![0.0; size.columns];
        for row in 0..size.rows {
            values.iter_mut().enumerate().for_each(|(column, cell)| *cell = value(row, column));
            matrix.pack_rows(row, &values)?;
        }
        let operation = MatMul {
            rows: size.rows as u64,
            columns: size.columns as u64,
            format,
            bias: false,
            accumulate: None,
            softcap: None,
        };
        let scratch = scratch_bytes(&Operation::MatMul(operation), size.tokens, 0, pool.threads());
        let input =
            (0..size.tokens).flat_map(|token| (0..size.columns).map(move |column| value(token, column)));
        Ok(Self {
            size,
            operation,
            matrix,
            input: input.collect(),
            output: vec![f32::NAN; size.tokens * size.rows],
            scratch: AlignedBytes::zeroed(scratch)?,
        })
    }

    /// The implementation that `kernels` chooses.
    pub fn variant(&self, kernels: &Kernels) -> &'static str {
        kernels.variant_name(&Operation::MatMul(self.operation), self.size.tokens).unwrap_or("none")
    }

    /// Computes the product once: `(tokens, rows)`.
    pub fn compute(&mut self, kernels: &Kernels, pool: &Pool) -> &[f32] {
        let invocation = Invocation::MatMul(MatMulArgs::new(
            &self.operation,
            self.size.tokens,
            &self.matrix,
            None,
            &self.input,
            SharedMut::new(&mut self.output),
            SharedMut::new(self.scratch.as_mut_slice()),
        ));
        let phases = phases(&Operation::MatMul(self.operation), self.size.tokens);
        pool.run(|worker| {
            for phase in 0..phases {
                kernels.execute(&invocation, Part { phase, index: worker.index, of: worker.count });
                worker.barrier();
            }
        });
        &self.output
    }
}

/// Seconds of one `work`, repeated until the time can be trusted; the first one is not counted.
pub fn seconds(mut work: impl FnMut()) -> f64 {
    work();
    let mut count = 0;
    let start = Instant::now();
    loop {
        work();
        count += 1;
        let elapsed = start.elapsed();
        if elapsed >= LEAST {
            return elapsed.as_secs_f64() / f64::from(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_kernels::Isa;

    #[test]
    fn what_is_timed_is_the_product() {
        let (size, pool) = (Size { tokens: 3, rows: 5, columns: 32 }, Pool::new(2).unwrap());
        let kernels = Kernels::for_isa(Isa::best()).unwrap();
        let mut product = Product::new(size, NumberFormat::F32, &kernels, &pool).unwrap();
        let output = product.compute(&kernels, &pool).to_vec();
        for token in 0..3 {
            for row in 0..5 {
                let exact: f32 = (0..32).map(|column| value(token, column) * value(row, column)).sum();
                assert!((output[token * 5 + row] - exact).abs() < 1e-4, "{token} {row}");
            }
        }
        let mut runs = 0;
        assert!(seconds(|| runs += 1) > 0.0 && runs > 1);
    }
}
