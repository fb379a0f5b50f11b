//! What the chosen experts add up to.

use crate::{SEED, execute, tiers};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_kernels::codec::{BLOCK, activation};
use slimfit_kernels::{
    ActivationFunction, Experts, ExpertsArgs, Invocation, Isa, Kernels, Operation, PackedMatrix, SharedMut,
    WeightFormat, layout_for, scratch_bytes,
};
use slimfit_quantity::NumberFormat;
use slimfit_testing::Guarded;

/// A mixture as plain numbers: stacks `(experts, up rows, columns)` and `(experts, columns, size)`.
struct Mixture {
    columns: usize,
    size: usize,
    experts: usize,
    top_k: usize,
    tokens: usize,
    gated: bool,
    function: ActivationFunction,
    accumulate: Option<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
    input: Vec<f32>,
    /// For each token `top_k` experts and weights.
    choices: Vec<Vec<(usize, f32)>>,
}

impl Mixture {
    fn up_rows(&self) -> usize {
        self.size * if self.gated { 2 } else { 1 }
    }

    fn pack(&self, values: &[f32], rows: usize, format: NumberFormat, isa: Isa) -> PackedMatrix {
        let columns = values.len() / self.experts / rows;
        let stride = PackedMatrix::stacked(format, rows, isa);
        let mut matrix = PackedMatrix::new(format, self.experts * stride, columns, isa).unwrap();
        for (expert, values) in values.chunks(rows * columns).enumerate() {
            matrix.pack_rows(expert * stride, values).unwrap();
        }
        matrix
    }

    /// The packed stacks and the output, which begins as NaN or, where the result is added to it, as ones.
    fn run(
        &self,
        kernels: &Kernels,
        format: NumberFormat,
        shares: usize,
    ) -> (PackedMatrix, PackedMatrix, Vec<f32>) {
        let operation = Experts {
            columns: self.columns as u64,
            size: self.size as u64,
            experts: self.experts as u64,
            top_k: self.top_k as u64,
            gated: self.gated,
            function: self.function,
            format,
            accumulate: self.accumulate,
        };
        let described = Operation::Experts(operation);
        let up = self.pack(&self.up, self.up_rows(), format, kernels.isa());
        let down = self.pack(&self.down, self.columns, format, kernels.isa());
        let mut routing = vec![f32::NAN; self.tokens * self.experts];
        for choices in &self.choices {
            routing.extend(choices.iter().map(|(expert, _)| *expert as f32));
            routing.extend(choices.iter().map(|(_, weight)| weight));
        }
        let routing = Guarded::ending(&routing);
        let poison = if self.accumulate.is_some() { 1.0 } else { f32::NAN };
        let mut output = Guarded::ending(&vec![poison; self.tokens * self.columns]);
        let mut scratch = Guarded::ending(&vec![0xff_u8; scratch_bytes(&described, self.tokens, 0, shares)]);
        let input = Guarded::ending(&self.input);
        let (packed_up, packed_down) = (Guarded::ending(up.bytes()), Guarded::ending(down.bytes()));
        let args = ExpertsArgs::new(
            &operation,
            self.tokens,
            &up,
            &down,
            &input,
            &routing,
            SharedMut::new(&mut output),
            SharedMut::new(&mut scratch),
        )
        .with_packed_bytes(&packed_up, &packed_down);
        execute(kernels, &described, self.tokens, &Invocation::Experts(args), shares);
        let output = output.to_vec();
        (up, down, output)
    }
}

fn number_format(format: WeightFormat) -> NumberFormat {
    PackedMatrix::with_layout(layout_for(format, Isa::Scalar), 1, 256).unwrap().format()
}

/// `top_k` experts of each token, never one of `avoided`, with weights from a list that is exact.
fn choices(
    random: &mut ChaCha8Rng,
    (experts, top_k, tokens): (usize, usize, usize),
    avoided: Option<usize>,
    weights: &[f32],
) -> Vec<Vec<(usize, f32)>> {
    (0..tokens)
        .map(|_| {
            let mut left: Vec<usize> = (0..experts).filter(|&expert| Some(expert) != avoided).collect();
            (0..top_k)
                .map(|rank| {
                    let expert = left.swap_remove(random.random_range(0..left.len()));
                    (expert, weights[rank % weights.len()])
                })
                .collect()
        })
        .collect()
}

/// `(experts, top_k, tokens)`: experts with no token, one and many; more chosen experts than tokens and fewer.
const CROWDS: [(usize, usize, usize); 8] =
    [(1, 1, 1), (4, 2, 1), (8, 3, 1), (1, 1, 5), (4, 2, 2), (4, 1, 9), (8, 3, 17), (16, 2, 33)];

/// Experts whose every number is exact in the format, which none of the k formats allows: each row of `U` picks one value of `x`, times the only factor of
/// a block that the format holds exactly; each block of `x`, and so of the picked values, has the 127 that makes its
/// scale exact; `D` holds small integers and each block's extreme; the non-linearity is max(x, 0).
fn integer_mixture(format: WeightFormat, crowd: (usize, usize, usize), seed: u64) -> Mixture {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (experts, top_k, tokens) = crowd;
    let (columns, size) = (96, 64);
    let (factor, extreme) = match format {
        WeightFormat::F32 | WeightFormat::F16 | WeightFormat::Bf16 => (1.0, 7.0),
        WeightFormat::Q4_0 => (-8.0, -8.0),
        _ => (127.0, 127.0),
    };
    let mut up = vec![0.0; experts * size * columns];
    for (row, values) in up.chunks_mut(columns).enumerate() {
        // The extremes of `x` are picked where scales need them and nowhere else, so that sums stay below 2²⁴.
        let other = random.random_range(0..columns / BLOCK) * BLOCK + random.random_range(1..BLOCK);
        values[if row % BLOCK == 0 { 0 } else { other }] = factor;
    }
    let mut down: Vec<f32> =
        (0..experts * columns * size).map(|_| random.random_range(-7..=7) as f32).collect();
    for block in down.chunks_mut(BLOCK) {
        block[random.random_range(1..BLOCK)] = extreme;
    }
    let mut input: Vec<f32> = (0..tokens * columns).map(|_| random.random_range(-9..=9) as f32).collect();
    for block in input.chunks_mut(BLOCK) {
        block[0] = 127.0_f32.copysign(factor);
    }
    Mixture {
        columns,
        size,
        experts,
        top_k,
        tokens,
        gated: false,
        function: ActivationFunction::Relu,
        accumulate: None,
        up,
        down,
        input,
        choices: choices(&mut random, crowd, None, &[1.0, 2.0]),
    }
}

#[test]
fn integer_mixtures_are_exact() {
    for format in WeightFormat::ALL.into_iter().filter(|format| format.block_values() <= BLOCK) {
        for (index, crowd) in CROWDS.into_iter().enumerate() {
            for accumulate in [None, Some(2.0)] {
                let mut mixture = integer_mixture(format, crowd, SEED + index as u64);
                mixture.accumulate = accumulate;
                let expected = integer_reference(&mixture);
                for kernels in tiers() {
                    for shares in [1, 2, 5] {
                        let (_, _, found) = mixture.run(&kernels, number_format(format), shares);
                        let isa = kernels.isa();
                        assert_eq!(found, expected, "{format:?} {crowd:?} on {isa} in {shares} shares");
                    }
                }
            }
        }
    }
}

fn integer_reference(mixture: &Mixture) -> Vec<f32> {
    let &Mixture { columns, size, .. } = mixture;
    let dot = |a: &[f32], b: &[i64]| -> i64 { a.iter().zip(b).map(|(a, b)| *a as i64 * b).sum() };
    let mut expected = Vec::new();
    for (token, choices) in mixture.choices.iter().enumerate() {
        let input: Vec<i64> = mixture.input[token * columns..][..columns].iter().map(|x| *x as i64).collect();
        let mut sums = vec![0; columns];
        for &(expert, weight) in choices {
            let up = &mixture.up[expert * size * columns..][..size * columns];
            let inner: Vec<i64> = up.chunks(columns).map(|row| dot(row, &input).max(0)).collect();
            let down = &mixture.down[expert * columns * size..][..columns * size];
            for (sum, row) in sums.iter_mut().zip(down.chunks(size)) {
                *sum += weight as i64 * dot(row, &inner);
            }
        }
        assert!(sums.iter().all(|sum| sum.abs() < 1 << 23), "the sums must be exact in f32");
        expected.extend(
            sums.into_iter()
                .map(|sum| mixture.accumulate.map_or(sum as f32, |scale| 1.0 + scale * sum as f32)),
        );
    }
    expected
}

fn real_mixture(format: WeightFormat, gated: bool, crowd: (usize, usize, usize), seed: u64) -> Mixture {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (experts, top_k, tokens) = crowd;
    // Sizes that are no whole vectors where the format allows.
    let (columns, size) = match format.block_values() {
        1 => (37, 27),
        BLOCK => (96, 64),
        block => (2 * block, block),
    };
    let up_rows = size * if gated { 2 } else { 1 };
    let mut values = |count| (0..count).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>();
    let (up, down) = (values(experts * up_rows * columns), values(experts * columns * size));
    let input = values(tokens * columns);
    let choices = choices(&mut random, crowd, None, &[0.6, 0.3, 0.1]);
    let accumulate = gated.then_some(0.5);
    let function = ActivationFunction::Silu;
    Mixture { columns, size, experts, top_k, tokens, gated, function, accumulate, up, down, input, choices }
}

#[test]
fn real_mixtures_are_within_the_rounding_bound() {
    for format in WeightFormat::ALL {
        for (index, crowd) in CROWDS.into_iter().enumerate() {
            // Blocks of 256 make large matrices, and packing them takes the time: one share, one kind, smaller crowds.
            let large = format.block_values() > BLOCK;
            if large && (crowd.0 > 4 || crowd.2 > 5) {
                continue;
            }
            let kinds: &[bool] = if large { &[true] } else { &[false, true] };
            let counts: &[usize] = if large { &[2] } else { &[1, 2, 5] };
            for &gated in kinds {
                let mixture = real_mixture(format, gated, crowd, SEED + index as u64);
                for kernels in tiers() {
                    for &shares in counts {
                        let (up, down, found) = mixture.run(&kernels, number_format(format), shares);
                        let rounded = kernels.isa().rounds_activations() && format == WeightFormat::Bf16;
                        check_against_f64(&mixture, format, rounded, &up, &down, &found, kernels.isa());
                    }
                }
            }
        }
    }
}

/// Every rounding at its worst, carried through the formula: sums lose at most `unit · Σ|w||x|`, SiLU is at most 1.1
/// times as steep as its argument, and a value of a quantised block is off by half a step of it.
fn check_against_f64(
    mixture: &Mixture,
    format: WeightFormat,
    rounded: bool,
    up: &PackedMatrix,
    down: &PackedMatrix,
    found: &[f32],
    isa: Isa,
) {
    let &Mixture { columns, size, .. } = mixture;
    let unit = 2.0 * (columns as f64).sqrt() * 2f64.powi(-24) + if rounded { 2f64.powi(-8) } else { 0.0 };
    let rows = |stack: &PackedMatrix, expert: usize, rows: usize| -> Vec<Vec<f64>> {
        let stride = stack.rows() / mixture.experts;
        let mut row = vec![0.0; stack.columns()];
        (0..rows)
            .map(|index| {
                stack.read_row(expert * stride + index, 0, &mut row);
                row.iter().map(|&value| f64::from(value)).collect()
            })
            .collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let sizes = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum() };
    let silu = |x: f64| x / (1.0 + (-x).exp());
    for (token, choices) in mixture.choices.iter().enumerate() {
        let input = &mixture.input[token * columns..][..columns];
        let input: Vec<f64> = if format.is_quantised() {
            dequantised(format, input)
        } else {
            input.iter().map(|&value| f64::from(value)).collect()
        };
        let (mut sums, mut bounds) = (vec![0.0; columns], vec![0.0; columns]);
        for &(expert, weight) in choices {
            let matrix = rows(up, expert, mixture.up_rows());
            let products: Vec<f64> = matrix.iter().map(|row| dot(row, &input)).collect();
            let errors: Vec<f64> = matrix.iter().map(|row| unit * sizes(row, &input) + 1e-7).collect();
            let mut inner: Vec<f64> = products[..size].iter().map(|&value| silu(value)).collect();
            let mut inner_errors: Vec<f64> = errors[..size]
                .iter()
                .zip(&products)
                .map(|(error, product)| 1.1 * error + product.abs() * 4e-6)
                .collect();
            if mixture.gated {
                for index in 0..size {
                    let (gate, other) = (inner[index], products[size + index]);
                    inner_errors[index] =
                        inner_errors[index] * other.abs() + gate.abs() * errors[size + index];
                    inner[index] = gate * other;
                }
            }
            if format.is_quantised() {
                let block = format.block_values();
                for (errors, values) in inner_errors.chunks_mut(block).zip(inner.chunks(block)) {
                    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
                    errors.iter_mut().for_each(|error| *error += largest / 127.0 * 0.51);
                }
            }
            for (row, values) in rows(down, expert, columns).iter().enumerate() {
                sums[row] += f64::from(weight) * dot(values, &inner);
                bounds[row] +=
                    f64::from(weight) * (sizes(values, &inner_errors) + unit * sizes(values, &inner));
            }
        }
        for (row, (sum, bound)) in sums.into_iter().zip(bounds).enumerate() {
            let (sum, bound) = mixture.accumulate.map_or((sum, bound), |scale| {
                (1.0 + f64::from(scale) * sum, f64::from(scale) * bound + 2f64.powi(-24) * (1.0 + sum.abs()))
            });
            let value = f64::from(found[token * columns + row]);
            assert!(
                (value - sum).abs() <= bound + 1e-6,
                "{format:?} on {isa}, token {token} row {row}: {value} for {sum} ± {bound} (seed {SEED:#x})"
            );
        }
    }
}

fn dequantised(format: WeightFormat, input: &[f32]) -> Vec<f64> {
    let mut result = Vec::new();
    for block in input.chunks_exact(format.block_values()) {
        let mut quantised = vec![0; block.len()];
        let scale = activation::quantise(block, &mut quantised);
        result.extend(quantised.into_iter().map(|value| f64::from(value) * f64::from(scale)));
    }
    result
}

#[test]
fn only_chosen_experts_are_read() {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for kernels in tiers() {
        for tokens in [1, 6] {
            let crowd = (4, 2, tokens);
            let mut mixture = real_mixture(WeightFormat::F32, true, crowd, SEED);
            mixture.choices = choices(&mut random, crowd, Some(2), &[0.5, 0.25]);
            let (up, down) = (mixture.up.len() / 4, mixture.down.len() / 4);
            mixture.up[2 * up..3 * up].fill(f32::NAN);
            mixture.down[2 * down..3 * down].fill(f32::NAN);
            let (_, _, found) = mixture.run(&kernels, NumberFormat::F32, 2);
            assert!(found.iter().all(|value| value.is_finite()), "{}", kernels.isa());
        }
    }
}
