//! Times of our own kernels with their data near: what the cost model interpolates.
//!
//! Matrices are sized to half of the second cache, so that a product of one token shows what its instructions cost and
//! not what memory does. Times of several threads include the barrier that ends each phase, as the runtime pays it.

use crate::ProbeError;
use crate::sampler::{Sampler, time};
use slimfit_hardware::{KernelTime, Topology};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    Activate, ActivateArgs, ActivationFunction, Add, AddArgs, AlignedBytes, Attend, AttendArgs, Embed, EmbedArgs,
    Invocation, Kernels, KvLayer, MatMul, MatMulArgs, NormArgs, NormFormula, NormOperation, Operation, PackedMatrix,
    Part, QkNormKind, RotateStore, RotateStoreArgs, RotationTable, SharedMut, phases, scratch_bytes,
};
use slimfit_quantity::{Measured, NumberFormat};

/// Tokens at which matrix products are timed: they decide how often a loaded weight is used.
const BATCHES: [usize; 8] = [1, 2, 4, 8, 32, 64, 128, 256];
/// Heads, KV heads, head size of the attention layouts: grouped three to one, none, four to one.
const HEADS: [(u64, u64, u64); 3] = [(9, 3, 64), (8, 8, 64), (16, 4, 128)];
/// Tokens and keys of the attentions: one token at three depths, prompts from an empty cache.
const ATTENTIONS: [(usize, usize); 5] = [(1, 128), (1, 512), (1, 2048), (128, 128), (256, 512)];
/// Widths of the element-wise kinds.
const WIDTHS: [u64; 2] = [576, 2048];
/// Tokens of the element-wise kinds.
const FEW_AND_MANY: [usize; 2] = [1, 128];
/// A kernel slower than this is not timed at larger sizes: a plain tier would take minutes.
const SLOW_SECONDS: f64 = 0.1;

/// What every cell needs.
struct Bench<'a> {
    pool: &'a Pool,
    kernels: &'a Kernels,
    sampler: &'a Sampler,
    times: Vec<KernelTime>,
}

/// Times every kind on one pool.
///
/// # Errors
/// A kernel cannot be set up, or the clock stands still.
pub(crate) fn measure(
    pool: &Pool,
    topology: &Topology,
    kernels: &Kernels,
    sampler: &Sampler,
    mut progress: impl FnMut(f64) -> Result<(), ProbeError>,
) -> Result<Vec<KernelTime>, ProbeError> {
    let mut bench = Bench { pool, kernels, sampler, times: Vec::new() };
    let near_bytes = topology.cache_bytes(2).unwrap_or(512 << 10) / 2;
    for (place, format) in NumberFormat::SEARCHABLE_WEIGHTS.into_iter().enumerate() {
        progress(place as f64 * 0.2)?;
        bench.products(format, near_bytes)?;
        for width in WIDTHS {
            bench.embed(format, width)?;
        }
    }
    for (place, format) in NumberFormat::SEARCHABLE_KV.into_iter().enumerate() {
        for layout in HEADS {
            progress(0.8 + place as f64 * 0.06)?;
            bench.attentions(format, layout)?;
            bench.rotations(format, layout)?;
        }
    }
    progress(0.95)?;
    for width in WIDTHS {
        for tokens in FEW_AND_MANY {
            bench.norm(width, tokens)?;
            bench.activate(width, tokens)?;
            bench.add(width, tokens)?;
        }
    }
    progress(1.0)?;
    Ok(bench.times)
}

/// What one cell is, beside its time.
struct Shape {
    format: NumberFormat,
    rows: u64,
    columns: u64,
    heads: Option<(u64, u64)>,
}

impl Bench<'_> {
    /// Times one invocation and keeps it; returns its seconds.
    fn time(
        &mut self,
        operation: &Operation,
        tokens: usize,
        shape: Shape,
        invocation: &Invocation<'_>,
    ) -> Result<f64, ProbeError> {
        let phases = phases(operation, tokens);
        let measured: Measured = self.sampler.seconds(operation.name(), |repetitions| {
            time(|| {
                self.pool.run(|worker| {
                    for _ in 0..repetitions {
                        for phase in 0..phases {
                            self.kernels.execute(invocation, Part { phase, index: worker.index, of: worker.count });
                            worker.barrier();
                        }
                    }
                });
            })
        })?;
        let seconds = measured.value();
        self.times.push(KernelTime {
            operation: operation.name().to_owned(),
            variant: self.kernels.variant_name(operation, tokens).unwrap_or("none").to_owned(),
            format: shape.format,
            rows: shape.rows,
            columns: shape.columns,
            batch: tokens as u64,
            head_size: shape.heads.map(|(size, _)| size),
            kv_heads: shape.heads.map(|(_, kv_heads)| kv_heads),
            threads: self.pool.threads() as u32,
            seconds: measured.figure(),
        });
        Ok(seconds)
    }

    fn scratch(&self, operation: &Operation, tokens: usize, keys: usize) -> Result<AlignedBytes, ProbeError> {
        Ok(AlignedBytes::zeroed(scratch_bytes(operation, tokens, keys, self.pool.threads()))?)
    }

    fn products(&mut self, format: NumberFormat, near_bytes: u64) -> Result<(), ProbeError> {
        let values = near_bytes as f64 * 8.0 / format.bits_per_value();
        let side = ((values.sqrt() as u64) / 64 * 64).clamp(128, 1024);
        let matrix = matrix(format, side, side, self.kernels)?;
        for tokens in BATCHES {
            let product =
                MatMul { rows: side, columns: side, format, bias: false, accumulate: None, softcap: None };
            let operation = Operation::MatMul(product);
            let input = numbers(tokens * side as usize);
            let mut output = vec![0.0; tokens * side as usize];
            let mut scratch = self.scratch(&operation, tokens, 1)?;
            let invocation = Invocation::MatMul(MatMulArgs::new(
                &product,
                tokens,
                &matrix,
                None,
                &input,
                SharedMut::new(&mut output),
                SharedMut::new(scratch.as_mut_slice()),
            ));
            let shape = Shape { format, rows: side, columns: side, heads: None };
            if self.time(&operation, tokens, shape, &invocation)? > SLOW_SECONDS {
                break;
            }
        }
        Ok(())
    }

    fn embed(&mut self, format: NumberFormat, width: u64) -> Result<(), ProbeError> {
        let vocabulary = 256;
        let table = matrix(format, vocabulary, width, self.kernels)?;
        for tokens in FEW_AND_MANY {
            let embed = Embed { vocabulary, width, format, scale: 1.0, position_offset: None };
            let ids: Vec<u32> = (0..tokens as u32).map(|token| token * 37 % vocabulary as u32).collect();
            let mut output = vec![0.0; tokens * width as usize];
            let args = EmbedArgs::new(&embed, &table, None, 0, &ids, SharedMut::new(&mut output));
            let shape = Shape { format, rows: width, columns: 1, heads: None };
            self.time(&Operation::Embed(embed), tokens, shape, &Invocation::Embed(args))?;
        }
        Ok(())
    }

    fn attentions(&mut self, kv_format: NumberFormat, (heads, kv_heads, head_size): (u64, u64, u64)) -> Result<(), ProbeError> {
        let attend = Attend {
            heads,
            kv_heads,
            head_size,
            window: None,
            scale: 1.0 / (head_size as f32).sqrt(),
            softcap: None,
            alibi: false,
            kv_format,
        };
        let operation = Operation::Attend(attend);
        let mut slow = [false; 2];
        for (tokens, keys) in ATTENTIONS {
            let many = usize::from(tokens > 1);
            if slow[many] {
                continue;
            }
            let mut cache = Cache::new(kv_format, kv_heads, head_size, keys)?;
            let qkv = numbers(tokens * ((heads + 2 * kv_heads) * head_size) as usize);
            let mut output = vec![0.0; tokens * (heads * head_size) as usize];
            let mut scratch = self.scratch(&operation, tokens, keys)?;
            let args = AttendArgs::new(
                &attend,
                tokens,
                keys - tokens,
                &qkv,
                cache.layer(),
                SharedMut::new(&mut output),
                SharedMut::new(scratch.as_mut_slice()),
            );
            let shape = Shape {
                format: kv_format,
                rows: heads * head_size,
                columns: keys as u64,
                heads: Some((head_size, kv_heads)),
            };
            slow[many] = self.time(&operation, tokens, shape, &Invocation::Attend(args))? > SLOW_SECONDS;
        }
        Ok(())
    }

    fn rotations(&mut self, kv_format: NumberFormat, (heads, kv_heads, head_size): (u64, u64, u64)) -> Result<(), ProbeError> {
        let rotate = RotateStore {
            heads,
            kv_heads,
            head_size,
            rotated: head_size,
            interleaved: false,
            qk_norm: QkNormKind::None,
            norm: (NormFormula::Rms, 1e-5),
            clip: None,
            kv_format,
        };
        for tokens in FEW_AND_MANY {
            let mut cache = Cache::new(kv_format, kv_heads, head_size, tokens)?;
            let mut qkv = numbers(tokens * ((heads + 2 * kv_heads) * head_size) as usize);
            // A turn by angle 0.6: the length of each pair stays, however often it turns.
            let half = tokens * head_size as usize / 2;
            let (cosines, sines) = (vec![0.8; half], vec![0.6; half]);
            let args = RotateStoreArgs::new(
                &rotate,
                tokens,
                0,
                SharedMut::new(&mut qkv),
                &[],
                &[],
                RotationTable { cosines: &cosines, sines: &sines },
                cache.layer(),
            );
            let shape = Shape {
                format: kv_format,
                rows: heads * head_size,
                columns: 1,
                heads: Some((head_size, kv_heads)),
            };
            self.time(&Operation::RotateStore(rotate), tokens, shape, &Invocation::RotateStore(args))?;
        }
        Ok(())
    }

    fn norm(&mut self, width: u64, tokens: usize) -> Result<(), ProbeError> {
        let norm = NormOperation {
            width,
            formula: NormFormula::Rms,
            epsilon: 1e-5,
            weight: true,
            bias: false,
            accumulate: None,
        };
        let (input, weight) = (numbers(tokens * width as usize), numbers(width as usize));
        let mut output = vec![0.0; tokens * width as usize];
        let args = NormArgs::new(&norm, tokens, &input, Some(&weight), None, SharedMut::new(&mut output));
        let shape = Shape { format: NumberFormat::F32, rows: width, columns: 1, heads: None };
        self.time(&Operation::Norm(norm), tokens, shape, &Invocation::Norm(args)).map(drop)
    }

    fn activate(&mut self, size: u64, tokens: usize) -> Result<(), ProbeError> {
        let activate = Activate { size, gated: true, function: ActivationFunction::Silu };
        let input = numbers(2 * tokens * size as usize);
        let mut output = vec![0.0; tokens * size as usize];
        let args = ActivateArgs::new(&activate, tokens, &input, SharedMut::new(&mut output));
        let shape = Shape { format: NumberFormat::F32, rows: size, columns: 1, heads: None };
        self.time(&Operation::Activate(activate), tokens, shape, &Invocation::Activate(args)).map(drop)
    }

    fn add(&mut self, width: u64, tokens: usize) -> Result<(), ProbeError> {
        // Zeros are added, so that sums stay where they are however often they are taken.
        let add = Add { width, scale: 1.0 };
        let input = vec![0.0; tokens * width as usize];
        let mut output = numbers(tokens * width as usize);
        let args = AddArgs::new(&add, tokens, &input, SharedMut::new(&mut output));
        let shape = Shape { format: NumberFormat::F32, rows: width, columns: 1, heads: None };
        self.time(&Operation::Add(add), tokens, shape, &Invocation::Add(args)).map(drop)
    }
}

/// Keys and values of one layer.
struct Cache {
    format: NumberFormat,
    kv_heads: usize,
    head_size: usize,
    positions: usize,
    keys: AlignedBytes,
    values: AlignedBytes,
}

impl Cache {
    fn new(format: NumberFormat, kv_heads: u64, head_size: u64, positions: usize) -> Result<Self, ProbeError> {
        let bytes = KvLayer::half_bytes(format, kv_heads, head_size, positions as u64)? as usize;
        let half = || -> Result<AlignedBytes, ProbeError> {
            let mut memory = AlignedBytes::zeroed(bytes)?;
            // 0x34 in every byte is about 0.26 in f16 and 1.7e-7 in f32: ordinary numbers, none of them subnormal.
            memory.as_mut_slice().fill(0x34);
            Ok(memory)
        };
        let (keys, values) = (half()?, half()?);
        Ok(Self { format, kv_heads: kv_heads as usize, head_size: head_size as usize, positions, keys, values })
    }

    fn layer(&mut self) -> KvLayer<'_> {
        KvLayer::new(
            self.format,
            self.kv_heads,
            self.head_size,
            self.positions,
            SharedMut::new(self.keys.as_mut_slice()),
            SharedMut::new(self.values.as_mut_slice()),
        )
    }
}

fn matrix(format: NumberFormat, rows: u64, columns: u64, kernels: &Kernels) -> Result<PackedMatrix, ProbeError> {
    let mut matrix = PackedMatrix::new(format, rows as usize, columns as usize, kernels.isa())?;
    matrix.pack_rows(0, &numbers((rows * columns) as usize))?;
    Ok(matrix)
}

/// Ordinary numbers between -1 and 1.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|place| ((place * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
}
