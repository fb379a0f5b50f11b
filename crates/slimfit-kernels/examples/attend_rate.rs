//! Prints what attention reaches on each tier: decode as bytes of cache per second beside a plain read of as many, prefill
//! as multiply-adds (those a causal mask leaves) beside the f32 peak. Caches of all layers take as much as a model's
//! weights would push out of the last cache; in `cached` runs they are those of one layer.
//!
//! `cargo run --release -p slimfit-kernels --example attend_rate [FORMAT…] [TIER…] [KEYS…] [decode|prefill] [cached]`

use slimfit_kernels::limits::{Buffer, HugePages, PEAKS, READS};
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_kernels::{
    AlignedBytes, Attend, AttendArgs, Invocation, Isa, Kernels, KvLayer, Operation, Part, SharedMut, phases,
    scratch_bytes,
};
use std::error::Error;
use std::time::Instant;

/// Heads, KV heads and the size of a head.
const SHAPES: [(u64, u64, u64); 7] =
    [(9, 3, 64), (32, 4, 64), (12, 12, 64), (32, 8, 64), (14, 2, 64), (16, 8, 128), (20, 5, 80)];
/// Bytes of all layers' caches, more than a last cache holds.
const MEMORY: usize = 128 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wants = |word: &str, of: &[&str]| {
        !words.iter().any(|given| of.contains(&given.as_str())) || words.iter().any(|given| given == word)
    };
    let tiers = Isa::available();
    let tier_names: Vec<&str> = tiers.iter().map(|isa| isa.name()).collect();
    let formats = ["f16", "q8_0", "f32"];
    let keys: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let keys = if keys.is_empty() { vec![1024] } else { keys };
    let kinds = ["decode", "prefill"];
    let cached = words.iter().any(|word| word == "cached");
    for (heads, kv_heads, head_size) in SHAPES {
        for format in formats.into_iter().filter(|format| wants(format, &formats)) {
            let operation = Attend {
                heads,
                kv_heads,
                head_size,
                window: None,
                scale: 0.125,
                softcap: None,
                alibi: false,
                kv_format: format.parse()?,
            };
            if !head_size.is_multiple_of(operation.kv_format.block_values()) {
                continue;
            }
            for threads in [1, allowed_cpus().len()] {
                let pool = Pool::new(threads)?;
                for &isa in &tiers {
                    if isa == Isa::Scalar || !wants(isa.name(), &tier_names) {
                        continue;
                    }
                    let kernels = Kernels::for_isa(isa)?;
                    let name =
                        format!("{heads}/{kv_heads} heads of {head_size} {format} {threads} threads {isa}");
                    for &keys in keys.iter().filter(|_| wants("decode", &kinds)) {
                        let bytes =
                            2 * KvLayer::half_bytes(operation.kv_format, kv_heads, head_size, keys as u64)?;
                        let layers = if cached { 1 } else { MEMORY.div_ceil(bytes as usize) };
                        let decode = seconds(&pool, &kernels, &operation, 1, keys - 1, layers)?;
                        let read = read_rate(&pool, isa, layers * bytes as usize)?;
                        println!(
                            "{name}: decode at {keys} {:6.1} us, {:5.1} GB/s of {:5.1}",
                            decode * 1e6,
                            bytes as f64 / decode / 1e9,
                            read / 1e9,
                        );
                    }
                    if wants("prefill", &kinds) {
                        let prefill = seconds(&pool, &kernels, &operation, 512, 0, 1)?;
                        let operations = 2.0 * (heads * head_size) as f64 * 512.0 * 513.0;
                        println!(
                            "{name}: prefill of 512 {:7.2} ms, {:6.1} GFLOP/s of {:6.1}",
                            prefill * 1e3,
                            operations / prefill / 1e9,
                            peak_rate(&pool, isa) / 1e9,
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

/// Best seconds of one layer, over layers that each have a cache of their own.
fn seconds(
    pool: &Pool,
    kernels: &Kernels,
    attend: &Attend,
    tokens: usize,
    first_position: usize,
    layers: usize,
) -> Result<f64, Box<dyn Error>> {
    let (heads, kv_heads, head_size) =
        (attend.heads as usize, attend.kv_heads as usize, attend.head_size as usize);
    let capacity = first_position + tokens;
    let half =
        KvLayer::half_bytes(attend.kv_format, attend.kv_heads, attend.head_size, capacity as u64)? as usize;
    let mut caches = AlignedBytes::zeroed(2 * layers * half)?;
    // 1.0 in f16 twice, or about 0.0078 in f32.
    caches
        .as_mut_slice()
        .chunks_exact_mut(4)
        .for_each(|word| word.copy_from_slice(&0x3C00_3C00_u32.to_le_bytes()));
    let caches = SharedMut::new(caches.as_mut_slice());
    let qkv = vec![0.1; tokens * (heads + 2 * kv_heads) * head_size];
    let mut output = vec![f32::NAN; tokens * heads * head_size];
    let operation = Operation::Attend(*attend);
    let mut scratch = AlignedBytes::zeroed(scratch_bytes(&operation, tokens, capacity, pool.threads()))?;
    let (output, scratch) = (SharedMut::new(&mut output), SharedMut::new(scratch.as_mut_slice()));
    let invocations: Vec<_> = (0..layers)
        .map(|layer| {
            let keys = caches.part(2 * layer * half..(2 * layer + 1) * half);
            let values = caches.part((2 * layer + 1) * half..(2 * layer + 2) * half);
            let cache = KvLayer::new(attend.kv_format, kv_heads, head_size, capacity, keys, values);
            let args = AttendArgs::new(attend, tokens, first_position, &qkv, cache, output, scratch);
            Invocation::Attend(args)
        })
        .collect();
    let mut best = f64::INFINITY;
    // One layer alone takes less than a clock tells apart.
    let rounds = 1.max(20 / layers);
    for _ in 0..7 {
        let start = Instant::now();
        pool.run(|worker| {
            for invocation in (0..rounds).flat_map(|_| &invocations) {
                for phase in 0..phases(&operation, tokens) {
                    kernels.execute(invocation, Part { phase, index: worker.index, of: worker.count });
                    worker.barrier();
                }
            }
        });
        best = best.min(start.elapsed().as_secs_f64() / (rounds * layers) as f64);
    }
    Ok(best)
}

fn read_rate(pool: &Pool, isa: Isa, bytes: usize) -> Result<f64, Box<dyn Error>> {
    let buffers: Result<Vec<_>, _> =
        (0..pool.threads()).map(|_| Buffer::new(bytes / pool.threads(), HugePages::Advise)).collect();
    let buffers = buffers?;
    let mut best: f64 = 0.0;
    for read in READS.iter().filter(|read| read.isa <= isa && read.isa.is_available()) {
        for _ in 0..5 {
            let start = Instant::now();
            pool.run(|worker| {
                std::hint::black_box(read.run(buffers[worker.index].as_f64(), 1));
            });
            best = best.max(bytes as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

fn peak_rate(pool: &Pool, isa: Isa) -> f64 {
    let loops =
        PEAKS.iter().filter(|peak| peak.type_name == "f32" && peak.isa <= isa && peak.isa.is_available());
    loops.fold(0.0, |best: f64, peak| {
        let start = Instant::now();
        pool.run(|_| {
            std::hint::black_box(peak.run(50_000));
        });
        let operations = (pool.threads() as u64 * 50_000 * peak.operations) as f64;
        best.max(operations / start.elapsed().as_secs_f64())
    })
}
