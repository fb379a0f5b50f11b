//! Prints what products reach: GB/s of one token's product beside a plain read of as many bytes, and operations per
//! second of many tokens' beside the peak of the same instructions, each pair interleaved on the same threads.
//!
//! `cargo run --release -p slimfit-kernels --example matmul_rate [gemv|gemm] [FORMAT…] [ROWSxCOLUMNS…] [TOKENS…]`, all
//! tiers that `SLIMFIT_ISA` admits.

use slimfit_kernels::limits::{Buffer, HugePages, PEAKS, READS};
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_kernels::{
    AlignedBytes, GEMM, GEMV, Isa, MatMul, MatMulArgs, MatMulVariant, Operation, PackedMatrix, Part,
    SharedMut, WeightFormat, phases, scratch_bytes,
};
use std::error::Error;
use std::time::Instant;

/// Short rounds, of which the best counts: what disturbs a round only ever makes it slower.
const ROUNDS: usize = 25;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wants = |word: &str, of: &[&str]| {
        !words.iter().any(|given| of.contains(&given.as_str())) || words.iter().any(|given| given == word)
    };
    let formats = WeightFormat::ALL.map(WeightFormat::name);
    let tiers = Isa::selected()?.available_up_to();
    let sizes: Vec<(usize, usize)> = words
        .iter()
        .filter_map(|word| word.split_once('x'))
        .map(|(rows, columns)| Ok::<_, std::num::ParseIntError>((rows.parse()?, columns.parse()?)))
        .collect::<Result<_, _>>()?;
    let tokens: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let chosen = |given: &[usize], usual: &[usize]| if given.is_empty() { usual } else { given }.to_vec();
    let chosen_sizes = |usual: &[(usize, usize)]| if sizes.is_empty() { usual } else { &sizes }.to_vec();
    for threads in [1, allowed_cpus().len()] {
        let pool = Pool::new(threads)?;
        for (table, kind) in [(GEMV, "gemv"), (GEMM, "gemm")] {
            for entry in table.iter().filter(|entry| entry.variant.isa > Isa::Portable) {
                let format = entry.layout.format.name();
                if !tiers.contains(&entry.variant.isa)
                    || !wants(kind, &["gemv", "gemm"])
                    || !wants(format, &formats)
                {
                    continue;
                }
                if kind == "gemv" {
                    for size in chosen_sizes(&[(256, 2048), (32768, 2048)]) {
                        one_token(&pool, entry, size)?;
                    }
                } else {
                    for size in chosen_sizes(&[(2048, 2048)]) {
                        for tokens in chosen(&tokens, &[3, 4, 5, 7, 128, 512]) {
                            many_tokens(&pool, entry, size, tokens)?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn one_token(pool: &Pool, entry: &MatMulVariant, size: (usize, usize)) -> Result<(), Box<dyn Error>> {
    let mut product = Product::new(entry, size, 1, pool.threads())?;
    let bytes = product.matrix.bytes().len();
    let read = READS
        .iter()
        .filter(|read| read.isa <= entry.variant.isa && read.isa.is_available())
        .max_by_key(|read| (read.isa, read.streams))
        .ok_or("no read loop")?;
    let share = bytes / pool.threads() / 4096 * 4096;
    let buffers: Vec<Buffer> =
        (0..pool.threads()).map(|_| Buffer::new(share, HugePages::Advise)).collect::<Result<_, _>>()?;
    let passes = ((64 << 20) / bytes).max(1);
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        pool.run(|worker| {
            std::hint::black_box(read.run(buffers[worker.index].as_f64(), passes));
        });
        rates[0].push((share * pool.threads() * passes) as f64 / start.elapsed().as_secs_f64());
        let seconds = product.seconds(pool, entry, passes);
        rates[1].push((bytes * passes) as f64 / seconds);
    }
    let [read_rate, rate] = rates.map(|rates| best(&rates));
    println!(
        "{:22} {} threads  {:7.1} MB  {:6.1} GB/s  read {:6.1} GB/s  share {:.2}",
        entry.variant.name,
        pool.threads(),
        bytes as f64 / 1e6,
        rate / 1e9,
        read_rate / 1e9,
        rate / read_rate
    );
    Ok(())
}

fn many_tokens(
    pool: &Pool,
    entry: &MatMulVariant,
    (rows, columns): (usize, usize),
    tokens: usize,
) -> Result<(), Box<dyn Error>> {
    let mut product = Product::new(entry, (rows, columns), tokens, pool.threads())?;
    let type_name = match entry.layout.format {
        WeightFormat::F32 => "f32",
        WeightFormat::Bf16 if entry.variant.isa.rounds_activations() => "bf16",
        WeightFormat::Bf16 | WeightFormat::F16 => "f32",
        _ => "int8",
    };
    let peaks: Vec<_> = PEAKS
        .iter()
        .filter(|peak| {
            peak.type_name == type_name && peak.isa <= entry.variant.isa && peak.isa.is_available()
        })
        .filter(|peak| !peak.four_bit_only)
        .collect();
    let operations = (2 * rows * columns * tokens) as f64;
    let passes = (4e8 * pool.threads() as f64 / operations).max(1.0) as usize;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let peak = peaks.iter().map(|peak| {
            let start = Instant::now();
            pool.run(|_| {
                std::hint::black_box(peak.run(10_000));
            });
            (peak.operations * 10_000) as f64 * pool.threads() as f64 / start.elapsed().as_secs_f64()
        });
        rates[0].push(peak.fold(0.0, f64::max));
        rates[1].push(operations * passes as f64 / product.seconds(pool, entry, passes));
    }
    let [peak_rate, rate] = rates.map(|rates| best(&rates));
    println!(
        "{:22} {} threads  {rows:5} x {columns:5}  {tokens:4} tokens  {:7.1} Gop/s  peak {:7.1} Gop/s  share {:.2}",
        entry.variant.name,
        pool.threads(),
        rate / 1e9,
        peak_rate / 1e9,
        rate / peak_rate
    );
    Ok(())
}

fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

struct Product {
    matrix: PackedMatrix,
    operation: MatMul,
    tokens: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    scratch: AlignedBytes,
}

impl Product {
    fn new(
        entry: &MatMulVariant,
        (rows, columns): (usize, usize),
        tokens: usize,
        threads: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut matrix = PackedMatrix::with_layout(entry.layout, rows, columns)?;
        let values =
            |seed: usize| (0..columns).map(move |index| ((index * 31 + seed * 17) % 41) as f32 / 20.0 - 1.0);
        for row in 0..rows {
            matrix.pack_rows(row, &values(row).collect::<Vec<_>>())?;
        }
        let operation = MatMul {
            rows: rows as u64,
            columns: columns as u64,
            format: matrix.format(),
            bias: false,
            accumulate: None,
            softcap: None,
        };
        let scratch = AlignedBytes::zeroed(scratch_bytes(&Operation::MatMul(operation), tokens, 0, threads))?;
        let input = (0..tokens).flat_map(values).collect();
        Ok(Self { matrix, operation, tokens, input, output: vec![0.0; tokens * rows], scratch })
    }

    fn seconds(&mut self, pool: &Pool, entry: &MatMulVariant, passes: usize) -> f64 {
        let args = MatMulArgs::new(
            &self.operation,
            self.tokens,
            &self.matrix,
            None,
            &self.input,
            SharedMut::new(&mut self.output),
            SharedMut::new(self.scratch.as_mut_slice()),
        );
        let phases = phases(&Operation::MatMul(self.operation), self.tokens);
        let start = Instant::now();
        pool.run(|worker| {
            for _ in 0..passes {
                for phase in 0..phases {
                    entry.run(&args, Part { phase, index: worker.index, of: worker.count });
                    worker.barrier();
                }
            }
        });
        start.elapsed().as_secs_f64()
    }
}
