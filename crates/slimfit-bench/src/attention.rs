//! Attention alone: decode as bytes of cache per second beside a read of as many, prefill as operations (those that a
//! causal mask leaves) beside the f32 peak.

use crate::options::Options;
use crate::peaks::Peak;
use crate::product::seconds;
use crate::record::AttentionCell;
use anyhow::{Context, Result};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    AlignedBytes, Attend, AttendArgs, Invocation, Isa, Kernels, KvLayer, Operation, Part, SharedMut, phases,
    scratch_bytes,
};
use slimfit_probe::ReadSentinel;
use slimfit_quantity::{Cell, CellResult, NumberFormat, interleave};

/// Heads, heads of keys and values, values of a head: SmolLM2-135M, Llama-3.2-1B, and one without groups.
const SHAPES: [(u64, u64, u64); 3] = [(9, 3, 64), (32, 8, 64), (12, 12, 64)];
/// Layers of which each has a cache of its own, as in a model: decode streams them.
const LAYERS: usize = 24;
const DEPTH: usize = 1024;
const PROMPT: usize = 512;
const KV: NumberFormat = NumberFormat::F16;
const ROUNDS: usize = 5;
/// Two of 1.0 in f16.
const ONES: [u8; 4] = [0x00, 0x3C, 0x00, 0x3C];

/// Every shape on every thread count of `options`.
///
/// # Errors
/// Memory is refused.
pub fn measure(options: &Options, isa: Isa) -> Result<Vec<AttentionCell>> {
    let kernels = Kernels::for_isa(isa)?;
    let mut found = Vec::new();
    for &threads in &options.threads {
        let pool = Pool::new(threads)?;
        eprintln!("attention on {threads} threads");
        for (heads, kv_heads, head_size) in SHAPES {
            let attend = Attend {
                heads,
                kv_heads,
                head_size,
                window: None,
                scale: (head_size as f32).sqrt().recip(),
                softcap: None,
                alibi: false,
                kv_format: KV,
            };
            found.extend(of_shape(attend, &kernels, &pool, options.rounds.unwrap_or(ROUNDS))?);
        }
    }
    Ok(found)
}

fn of_shape(attend: Attend, kernels: &Kernels, pool: &Pool, rounds: usize) -> Result<[AttentionCell; 2]> {
    let mut decode = Layers::new(attend, LAYERS, 1, DEPTH - 1, pool)?;
    let mut prefill = Layers::new(attend, 1, PROMPT, 0, pool)?;
    let bytes = 2.0 * decode.half_bytes as f64;
    let keys = (PROMPT * (PROMPT + 1) / 2) as f64;
    let operations = 4.0 * (attend.heads * attend.head_size) as f64 * keys;
    let read = ReadSentinel::new(pool, LAYERS as u64 * bytes as u64, kernels.isa())?;
    let peak = Peak::fastest(pool, NumberFormat::F32, kernels.isa())?;
    let mut cells: [Cell<'_, anyhow::Error>; 2] = [
        Cell {
            name: "decode".to_owned(),
            run: Box::new(|| Ok(decode.seconds(kernels, pool))),
            sentinel: Box::new(|| Ok(read.bytes_per_s(pool))),
        },
        Cell {
            name: "prefill".to_owned(),
            run: Box::new(|| Ok(prefill.seconds(kernels, pool))),
            sentinel: Box::new(|| Ok(peak.ops_per_s(pool))),
        },
    ];
    let results = interleave(&mut cells, rounds, |_, _, _| {})?;
    drop(cells);
    let cell = |tokens: usize, depth: usize, work: f64, result: &CellResult| -> Result<AttentionCell> {
        let measured = result.value().context("attention was not run")?;
        let share = |run: &slimfit_quantity::Bracketed| work / run.value / run.sentinel_per_s();
        let shares = result.test.iter().chain(&result.retest).map(share).collect();
        Ok(AttentionCell {
            heads: attend.heads,
            kv_heads: attend.kv_heads,
            head_size: attend.head_size,
            tokens,
            depth,
            threads: pool.threads(),
            variant: kernels.variant_name(&Operation::Attend(attend), tokens).unwrap_or("none").to_owned(),
            seconds: measured.figure(),
            work_per_s: measured.map(|seconds| work / seconds).context("attention without time")?.figure(),
            share: slimfit_quantity::Measured::new(shares).context("attention was not run")?.figure(),
            sentinel_per_s: result.sentinel_per_s(),
            retest_error: result.retest_error().unwrap_or(f64::NAN),
        })
    };
    Ok([cell(1, DEPTH - 1, bytes, &results[0])?, cell(PROMPT, 0, operations, &results[1])?])
}

/// Attention of several layers, each with a cache of its own.
struct Layers {
    attend: Attend,
    layers: usize,
    tokens: usize,
    first_position: usize,
    half_bytes: usize,
    caches: AlignedBytes,
    qkv: Vec<f32>,
    output: Vec<f32>,
    scratch: AlignedBytes,
}

impl Layers {
    fn new(attend: Attend, layers: usize, tokens: usize, first_position: usize, pool: &Pool) -> Result<Self> {
        let capacity = first_position + tokens;
        let half_bytes =
            KvLayer::half_bytes(attend.kv_format, attend.kv_heads, attend.head_size, capacity as u64)?;
        let half_bytes = usize::try_from(half_bytes)?;
        let mut caches = AlignedBytes::zeroed(2 * layers * half_bytes)?;
        caches.as_mut_slice().as_chunks_mut().0.fill(ONES);
        let [heads, kv_heads, head_size] =
            [attend.heads, attend.kv_heads, attend.head_size].map(|n| n as usize);
        let scratch = scratch_bytes(&Operation::Attend(attend), tokens, capacity, pool.threads());
        Ok(Self {
            attend,
            layers,
            tokens,
            first_position,
            half_bytes,
            caches,
            qkv: vec![0.1; tokens * (heads + 2 * kv_heads) * head_size],
            output: vec![f32::NAN; tokens * heads * head_size],
            scratch: AlignedBytes::zeroed(scratch)?,
        })
    }

    /// Seconds of one layer.
    fn seconds(&mut self, kernels: &Kernels, pool: &Pool) -> f64 {
        let half = self.half_bytes;
        let [kv_heads, head_size] = [self.attend.kv_heads, self.attend.head_size].map(|n| n as usize);
        let caches = SharedMut::new(self.caches.as_mut_slice());
        let (output, scratch) =
            (SharedMut::new(&mut self.output), SharedMut::new(self.scratch.as_mut_slice()));
        let invocations: Vec<Invocation<'_>> = (0..self.layers)
            .map(|layer| {
                let cache = KvLayer::new(
                    self.attend.kv_format,
                    kv_heads,
                    head_size,
                    self.first_position + self.tokens,
                    caches.part(2 * layer * half..(2 * layer + 1) * half),
                    caches.part((2 * layer + 1) * half..(2 * layer + 2) * half),
                );
                Invocation::Attend(AttendArgs::new(
                    &self.attend,
                    self.tokens,
                    self.first_position,
                    &self.qkv,
                    cache,
                    output,
                    scratch,
                ))
            })
            .collect();
        let phases = phases(&Operation::Attend(self.attend), self.tokens);
        let all = seconds(|| {
            pool.run(|worker| {
                for invocation in &invocations {
                    for phase in 0..phases {
                        kernels.execute(invocation, Part { phase, index: worker.index, of: worker.count });
                        worker.barrier();
                    }
                }
            });
        });
        all / self.layers as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_to_equal_values_is_that_value() {
        let (pool, kernels) = (Pool::new(2).unwrap(), Kernels::for_isa(Isa::best()).unwrap());
        let attend = Attend {
            heads: 4,
            kv_heads: 2,
            head_size: 32,
            window: None,
            scale: 0.2,
            softcap: None,
            alibi: false,
            kv_format: KV,
        };
        let mut layers = Layers::new(attend, 2, 1, 7, &pool).unwrap();
        assert!(layers.seconds(&kernels, &pool) > 0.0);
        assert!(layers.output.iter().all(|value| (value - 1.0).abs() < 1e-3), "{:?}", &layers.output[..4]);
    }
}
