//! Every implementation of the product that this machine can run, against exact integers and against f64.
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_kernels::codec::{BLOCK, SUPER_BLOCK, activation};
use slimfit_kernels::{
    GEMM, GEMV, Isa, Layout, MatMul, MatMulArgs, MatMulVariant, Operation, PackedMatrix, Part, SharedMut,
    WeightFormat, phases, scratch_bytes,
};
use slimfit_testing::Guarded;

const SEED: u64 = 0x51_1f17;
const ROWS: [usize; 10] = [1, 7, 8, 9, 15, 17, 31, 33, 65, 257];
const TOKENS: [usize; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 33];

/// Columns that cross the borders of a format.
fn columns(format: WeightFormat) -> &'static [usize] {
    match format.block_values() {
        SUPER_BLOCK => &[256, 512, 768],
        BLOCK => &[32, 64, 96, 288],
        _ => &[1, 2, 3, 7, 32, 33, 63, 65],
    }
}

/// `(rows, columns, tokens)`: every size of each dimension, not every combination.
fn shapes(format: WeightFormat) -> Vec<(usize, usize, usize)> {
    let columns = columns(format);
    let mut shapes = Vec::new();
    for (index, &rows) in ROWS.iter().enumerate() {
        for (other, &tokens) in TOKENS.iter().enumerate() {
            shapes.push((rows, columns[(index + other) % columns.len()], tokens));
        }
    }
    for &columns in columns {
        shapes.extend([(33, columns, 1), (33, columns, 13)]);
    }
    // More tokens than any implementation takes through at once, and more columns, so that their tokens are too many too.
    shapes.push((25, columns[columns.len() - 1], 131));
    shapes.push((25, if format.is_quantised() { 4352 } else { 1031 }, 131));
    shapes
}

/// The implementations that read a format, run here (of one tier, where `SLIMFIT_ISA` names it) and serve so many tokens.
fn implementations(format: WeightFormat, tokens: usize) -> impl Iterator<Item = &'static MatMulVariant> {
    let table = if tokens == 1 { GEMV } else { GEMM };
    let only = Isa::named().unwrap();
    table.iter().filter(move |entry| {
        let isa = entry.variant.isa;
        entry.layout.format == format && isa.is_available() && only.is_none_or(|only| only == isa)
    })
}

struct Problem {
    rows: usize,
    columns: usize,
    tokens: usize,
    /// `(rows, columns)`.
    weights: Vec<f32>,
    /// The same rows in GGUF's layout, where no quantiser makes exactly them.
    encoded: Option<Vec<u8>>,
    /// `(tokens, columns)`.
    input: Vec<f32>,
    bias: Option<Vec<f32>>,
    accumulate: Option<f32>,
    softcap: Option<f32>,
}

impl Problem {
    /// Runs an implementation in so many shares, all memory against guard pages, and returns the packed matrix and
    /// the output, which is poisoned before or, where the product adds to it, filled with ones.
    fn run(&self, entry: &MatMulVariant, shares: usize) -> (PackedMatrix, Vec<f32>) {
        let mut matrix = PackedMatrix::with_layout(entry.layout, self.rows, self.columns).unwrap();
        match &self.encoded {
            Some(encoded) => matrix.pack_encoded_rows(0, encoded).unwrap(),
            None => matrix.pack_rows(0, &self.weights).unwrap(),
        }
        let operation = MatMul {
            rows: self.rows as u64,
            columns: self.columns as u64,
            format: matrix.format(),
            bias: self.bias.is_some(),
            accumulate: self.accumulate,
            softcap: self.softcap,
        };
        let poison = if self.accumulate.is_some() { 1.0 } else { f32::NAN };
        let mut output = Guarded::ending(&vec![poison; self.tokens * self.rows]);
        let described = Operation::MatMul(operation);
        let mut scratch = Guarded::ending(&vec![0xffu8; scratch_bytes(&described, self.tokens, 0, shares)]);
        let input = Guarded::ending(&self.input);
        let bias = self.bias.as_deref().map(Guarded::ending);
        let packed = Guarded::ending(matrix.bytes());
        let args = MatMulArgs::new(
            &operation,
            self.tokens,
            &matrix,
            bias.as_deref(),
            &input,
            SharedMut::new(&mut output),
            SharedMut::new(&mut scratch),
        )
        .with_packed_bytes(&packed);
        for phase in 0..phases(&described, self.tokens) {
            for index in 0..shares {
                entry.run(&args, Part { phase, index, of: shares });
            }
        }
        let output = output.to_vec();
        (matrix, output)
    }
}

/// Integers whose quantisation is exact, in every format: each block of weights has the value that makes its scale 1,
/// each block of activations has a 127. Blocks of the k formats are made of small scales and any values.
fn integer_problem(
    format: WeightFormat,
    (rows, columns, tokens): (usize, usize, usize),
    seed: u64,
) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weights: Vec<f32> = (0..rows * columns).map(|_| random.random_range(-7..=7) as f32).collect();
    let mut input: Vec<f32> = (0..tokens * columns).map(|_| random.random_range(-9..=9) as f32).collect();
    let mut encoded = None;
    if format.is_k() {
        let blocks = rows * columns / SUPER_BLOCK;
        let bytes: Vec<u8> = (0..blocks).flat_map(|_| integer_block(format, &mut random)).collect();
        let mut plain = PackedMatrix::with_layout(Layout::rows(format), rows, columns).unwrap();
        plain.pack_encoded_rows(0, &bytes).unwrap();
        for (row, weights) in weights.chunks_exact_mut(columns).enumerate() {
            plain.read_row(row, 0, weights);
        }
        encoded = Some(bytes);
    } else if format.is_quantised() {
        let extreme = if format == WeightFormat::Q4_0 { -8.0 } else { -127.0 };
        for block in weights.chunks_exact_mut(BLOCK) {
            block[random.random_range(0..BLOCK)] = extreme;
        }
    }
    if format.is_quantised() {
        let values = format.block_values();
        for block in input.chunks_exact_mut(values) {
            block[random.random_range(0..values)] = if random.random() { 127.0 } else { -127.0 };
        }
    }
    Problem { rows, columns, tokens, weights, encoded, input, bias: None, accumulate: None, softcap: None }
}

/// A block of a k format whose factors are 1 and whose scales (and minima) are below 8, so that sums of hundreds of
/// its integers are exact in f32.
fn integer_block(format: WeightFormat, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut block: Vec<u8> = (0..format.block_bytes()).map(|_| random.random()).collect();
    let one = 0x3c00u16.to_le_bytes();
    if format == WeightFormat::Q4K {
        block[..2].copy_from_slice(&one);
        block[2..4].copy_from_slice(&one);
        block[4..12].iter_mut().for_each(|byte| *byte &= 7);
        block[12..16].iter_mut().for_each(|byte| *byte &= 0x77);
    } else {
        block[192..208].iter_mut().for_each(|byte| *byte = random.random_range(-8i8..=8) as u8);
        block[208..].copy_from_slice(&one);
    }
    block
}

fn real_problem(shape: (usize, usize, usize), seed: u64) -> Problem {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (rows, columns, tokens) = shape;
    let mut values = |count| (0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
    let (weights, input) = (values(rows * columns), values(tokens * columns));
    Problem {
        rows,
        columns,
        tokens,
        weights,
        encoded: None,
        input,
        bias: None,
        accumulate: None,
        softcap: None,
    }
}

#[test]
fn integer_products_are_exact() {
    for format in WeightFormat::ALL {
        for (index, shape) in shapes(format).into_iter().enumerate() {
            let problem = integer_problem(format, shape, SEED + index as u64);
            let (rows, columns, tokens) = shape;
            let expected: Vec<f32> = (0..tokens * rows)
                .map(|place| {
                    let x = &problem.input[place / rows * columns..][..columns];
                    let w = &problem.weights[place % rows * columns..][..columns];
                    x.iter().zip(w).map(|(x, w)| *x as i64 * *w as i64).sum::<i64>() as f32
                })
                .collect();
            for entry in implementations(format, tokens) {
                for shares in [1, 3] {
                    let (_, output) = problem.run(entry, shares);
                    assert_eq!(output, expected, "`{}` {shape:?} in {shares} shares", entry.variant.name);
                }
            }
        }
    }
}

#[test]
fn real_products_are_within_the_rounding_bound() {
    for format in WeightFormat::ALL {
        for (index, shape) in shapes(format).into_iter().enumerate() {
            let problem = real_problem(shape, SEED + index as u64);
            for entry in implementations(format, shape.2) {
                let (matrix, output) = problem.run(entry, 2);
                check_against_f64(&problem, &matrix, entry, &output);
            }
        }
    }
}

/// `|error| ≤ 2 · √k · 2⁻²⁴ · Σ|w||x|`, with what the formats themselves round taken as given: weights as stored,
/// activations as quantised. The product that rounds activations to bf16 may lose half of bf16's last bit of each.
fn check_against_f64(problem: &Problem, matrix: &PackedMatrix, entry: &MatMulVariant, output: &[f32]) {
    let rounded = entry.variant.isa.rounds_activations();
    let unit = 2.0 * (problem.columns as f64).sqrt().max(2.0) * 2f64.powi(-24)
        + if rounded { 2f64.powi(-8) } else { 0.0 };
    let mut weights = vec![0.0; problem.columns];
    for row in 0..problem.rows {
        matrix.read_row(row, 0, &mut weights);
        for token in 0..problem.tokens {
            let input = &problem.input[token * problem.columns..][..problem.columns];
            let input = dequantised(entry.layout.format, input);
            let terms = || weights.iter().zip(&input).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let (exact, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            let found = f64::from(output[token * problem.rows + row]);
            assert!(
                (found - exact).abs() <= unit * magnitude,
                "`{}` row {row} token {token}: {found} instead of {exact}",
                entry.variant.name
            );
        }
    }
}

fn dequantised(format: WeightFormat, input: &[f32]) -> Vec<f32> {
    if !format.is_quantised() {
        return input.to_vec();
    }
    let mut result = Vec::new();
    for block in input.chunks_exact(format.block_values()) {
        let mut quantised = vec![0; block.len()];
        let scale = activation::quantise(block, &mut quantised);
        result.extend(quantised.into_iter().map(|value| f32::from(value) * scale));
    }
    result
}

#[test]
fn bias_cap_and_addition_come_in_that_order() {
    for format in WeightFormat::ALL {
        let columns = format.block_values().max(64);
        for tokens in [1, 5, 21] {
            for (bias, accumulate, softcap) in [
                (true, None, None),
                (false, Some(0.5), None),
                (false, None, Some(30.0)),
                (true, Some(2.0), Some(30.0)),
            ] {
                let mut problem = integer_problem(format, (21, columns, tokens), SEED);
                let bias: Option<Vec<f32>> = bias.then(|| (0..21).map(|row| row as f32 - 10.0).collect());
                let expected: Vec<f64> = (0..tokens * 21)
                    .map(|place| {
                        let x = &problem.input[place / 21 * columns..][..columns];
                        let w = &problem.weights[place % 21 * columns..][..columns];
                        let sum: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                        let sum = sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[place % 21]));
                        let sum = softcap.map_or(sum, |cap| f64::from(cap) * (sum / f64::from(cap)).tanh());
                        accumulate.map_or(sum, |scale| 1.0 + f64::from(scale) * sum)
                    })
                    .collect();
                problem.bias = bias.clone();
                (problem.accumulate, problem.softcap) = (accumulate, softcap);
                for entry in implementations(format, tokens) {
                    let (_, output) = problem.run(entry, 2);
                    for (found, expected) in output.iter().zip(&expected) {
                        let error = (f64::from(*found) - expected).abs();
                        assert!(error <= 1e-6 * expected.abs().max(1.0), "`{}`", entry.variant.name);
                    }
                }
            }
        }
    }
}

#[test]
fn a_block_of_zeros_and_the_smallest_int8_are_exact() {
    for (tokens, x) in [1, 2, 18].into_iter().flat_map(|tokens| [(tokens, 127.0), (tokens, -127.0)]) {
        for entry in implementations(WeightFormat::Q8_0, tokens) {
            // One row: scale 1, values −128 (which no quantiser of ours writes, but a file may hold) and 127.
            let mut matrix = PackedMatrix::with_layout(entry.layout, 1, 64).unwrap();
            let mut block = vec![0x80u8; 34];
            block[..2].copy_from_slice(&0x3c00u16.to_le_bytes());
            let zeros = vec![0; 34];
            matrix.pack_encoded_rows(0, &[block, zeros].concat()).unwrap();
            let operation = MatMul {
                rows: 1,
                columns: 64,
                format: matrix.format(),
                bias: false,
                accumulate: None,
                softcap: None,
            };
            let mut input = vec![x; 64 * tokens];
            input[32..64].fill(0.0);
            let mut output = vec![f32::NAN; tokens];
            let described = Operation::MatMul(operation);
            let mut scratch = Guarded::ending(&vec![0u8; scratch_bytes(&described, tokens, 0, 1)]);
            let args = MatMulArgs::new(
                &operation,
                tokens,
                &matrix,
                None,
                &input,
                SharedMut::new(&mut output),
                SharedMut::new(&mut scratch),
            );
            for phase in 0..phases(&described, tokens) {
                entry.run(&args, Part::whole(phase));
            }
            assert_eq!(output, vec![-128.0 * x * 32.0; tokens], "`{}`", entry.variant.name);
        }
    }
}

#[test]
fn every_tier_has_a_product_of_every_format_and_its_name_says_so() {
    for (table, kind) in [(GEMV, "gemv"), (GEMM, "gemm")] {
        let mut names: Vec<_> = table.iter().map(|entry| entry.variant.name).collect();
        println!("{names:?}");
        for entry in table {
            let format = entry.layout.format.name();
            let name = format!("{kind}-{format}-{}", entry.variant.isa);
            let rest = entry.variant.name.strip_prefix(&name);
            // Candidates of the tuner say what they vary after that.
            assert!(
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
                "{}",
                entry.variant.name
            );
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
    }
    for isa in Isa::available() {
        let kernels = slimfit_kernels::Kernels::for_isa(isa).unwrap();
        for format in WeightFormat::ALL {
            let layout = slimfit_kernels::layout_for(format, isa);
            let operation = Operation::MatMul(MatMul {
                rows: 1,
                columns: 256,
                format: PackedMatrix::with_layout(layout, 1, 256).unwrap().format(),
                bias: false,
                accumulate: None,
                softcap: None,
            });
            for tokens in [1, 2] {
                let name = kernels.variant_name(&operation, tokens).unwrap();
                println!("{isa}: {name}");
                assert_eq!(isa == Isa::Scalar, name.ends_with("scalar"), "{name} under {isa}");
            }
        }
    }
}
