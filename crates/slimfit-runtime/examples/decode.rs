//! Loads a model of SmolLM2-135M's shape with random weights and prints how near prefill and decode come to the machine's
//! read bandwidth and peak: `cargo run --release -p slimfit-runtime --example decode [weights] [threads] [depth]
//! [architecture.json]`.

use slimfit_arch::Architecture;
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, HugePages, PEAKS, READS};
use slimfit_kernels::pool::Pool;
use slimfit_plan::PlanOptions;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{DepthFill, MeasureOptions, Model, SeededWeights, Sentinels, Session, measure};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SHAPE: &str = r#"{"hidden_size": 576, "vocabulary_size": 49152, "tied_embeddings": true,
    "layers": [{"repeat": 30, "attention": {"heads": 9, "kv_heads": 3, "head_size": 64, "rope": {"base": 100000.0}},
                "ffn": {"kind": "dense", "size": 1536}}]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let weights: NumberFormat = arguments.next().as_deref().unwrap_or("q8_0").parse()?;
    let threads: usize = arguments.next().as_deref().unwrap_or("2").parse()?;
    let depth: u64 = arguments.next().as_deref().unwrap_or("128").parse()?;
    let shape = arguments.next().map_or(Ok(SHAPE.to_owned()), std::fs::read_to_string)?;
    let architecture: Architecture = serde_json::from_str(&shape)?;
    let options = MeasureOptions {
        prompt: 256,
        generate: 32,
        depth,
        depth_fill: DepthFill::Random,
        rounds: 3,
        settling: 0,
        seed: 1,
    };
    let isa = Isa::selected()?;
    let pool = Pool::new(threads)?;
    let start = Instant::now();
    let plan = PlanOptions::new(weights, NumberFormat::F16, isa, threads as u64, options.context());
    let model = Model::load(&architecture, plan, &SeededWeights::new(&architecture, 1))?;
    println!("loaded in {:.2?} on {}", start.elapsed(), isa.name());
    let mut session = Session::new(&model, &pool)?;

    let bytes = model.plan().memory().weight_bytes as usize / threads;
    let buffers =
        (0..threads).map(|_| Buffer::new(bytes, HugePages::Advise)).collect::<Result<Vec<_>, _>>()?;
    let read = |streams: usize| {
        let loops =
            READS.iter().filter(|read| read.streams == streams && read.isa <= isa && read.isa.is_available());
        let read = loops.max_by_key(|read| read.isa).ok_or("no read loop")?;
        let start = Instant::now();
        pool.run(|worker| {
            read.run(buffers[worker.index].as_f64(), 1);
        });
        Ok::<f64, Box<dyn Error>>((bytes * threads) as f64 / start.elapsed().as_secs_f64())
    };
    let type_name = if weights.is_quantised() { "int8" } else { weights.name() };
    let peak = || {
        let mut best = 0.0_f64;
        for peak in PEAKS.iter().filter(|peak| {
            peak.type_name == type_name && !peak.four_bit_only && peak.isa <= isa && peak.isa.is_available()
        }) {
            let done = AtomicU64::new(0);
            let start = Instant::now();
            pool.run(|_| {
                done.fetch_add(peak.run(100_000).operations, Ordering::Relaxed);
            });
            best = best.max(done.into_inner() as f64 / start.elapsed().as_secs_f64());
        }
        Ok::<f64, Box<dyn Error>>(best)
    };
    let sentinels = Sentinels {
        read_bytes_per_s: Box::new(|| Ok(read(1)?.max(read(2)?).max(read(4)?))),
        peak_ops_per_s: Box::new(peak),
    };
    let result = measure::<Box<dyn Error>>(&mut session, &options, sentinels, |_, _, _| {})?;
    let value =
        |measured: Option<slimfit_quantity::Measured>| measured.map_or(f64::NAN, |measured| measured.value());
    println!(
        "decode {:.1} tokens/s, {:.0} % of the bracketing bandwidth; prefill {:.0} tokens/s, {:.0} % of the peak",
        value(result.decode_tokens_per_s()),
        100.0 * value(result.decode_of_bandwidth()),
        value(result.prefill_tokens_per_s()),
        100.0 * value(result.prefill_of_peak()),
    );
    for operation in &result.operations {
        println!(
            "{:8} {:18} {:24} {:8.3} ms {:7.1} GB/s {:7.1} Gop/s",
            operation.phase.name(),
            operation.label,
            operation.variant,
            1e3 * operation.seconds,
            operation.streamed_bytes / operation.seconds / 1e9,
            operation.flops / operation.seconds / 1e9,
        );
    }
    Ok(())
}
