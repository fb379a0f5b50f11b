//! An operation with the buffers to run it on.

use super::SharedSubject;
use super::grid::Shape;
use crate::ProbeError;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    ActivateArgs, AddArgs, AlignedBytes, AttendArgs, EmbedArgs, Invocation, Isa, Kernels, KvLayer,
    MatMulArgs, NormArgs, Operation, PackedMatrix, Part, QkNormKind, RotateStoreArgs, RotationTable,
    SharedMut, phases, scratch_bytes,
};
use slimfit_quantity::NumberFormat;
use std::rc::Rc;
use std::time::Instant;

/// An operation at one shape, with its own weights.
pub(crate) struct Subject {
    operation: Operation,
    tokens: usize,
    first_position: usize,
    matrix: Option<Rc<PackedMatrix>>,
    token_ids: Vec<u32>,
}

/// Subjects of one series: they share the matrix.
#[derive(Default)]
pub(crate) struct Series {
    matrix: Option<Rc<PackedMatrix>>,
    known: Vec<(Shape, SharedSubject)>,
}

impl Series {
    pub fn get(&mut self, shape: &Shape, isa: Isa) -> Result<SharedSubject, ProbeError> {
        if let Some((_, subject)) = self.known.iter().find(|(known, _)| known == shape) {
            return Ok(Rc::clone(subject));
        }
        if self.matrix.is_none() {
            self.matrix = matrix(&shape.operation, isa)?;
        }
        let (tokens, first) = (shape.tokens as usize, shape.first_position as usize);
        let subject =
            Rc::new(Subject::with_matrix(shape.operation.clone(), tokens, first, self.matrix.clone()));
        self.known.push((shape.clone(), Rc::clone(&subject)));
        Ok(subject)
    }
}

/// Vectors, cache and scratch that all subjects use in turn, as large as the largest needs.
pub(crate) struct Workspace {
    input: AlignedBytes,
    output: AlignedBytes,
    keys: AlignedBytes,
    values: AlignedBytes,
    cosines: Vec<f32>,
    sines: Vec<f32>,
    ones: Vec<f32>,
    scratch: AlignedBytes,
}

/// Values of each buffer that a subject uses, and bytes of a half of the cache and of scratch.
struct Needs {
    input: usize,
    output: usize,
    cache_bytes: usize,
    rotation: usize,
    ones: usize,
    scratch: usize,
}

impl Workspace {
    pub fn new() -> Result<Self, ProbeError> {
        Ok(Self {
            input: AlignedBytes::zeroed(64)?,
            output: AlignedBytes::zeroed(64)?,
            keys: AlignedBytes::zeroed(64)?,
            values: AlignedBytes::zeroed(64)?,
            cosines: Vec::new(),
            sines: Vec::new(),
            ones: Vec::new(),
            scratch: AlignedBytes::zeroed(64)?,
        })
    }

    /// Grows what is too small for `subject` on so many threads, and fills it with ordinary numbers.
    pub fn prepare(&mut self, subject: &Subject, threads: usize) -> Result<(), ProbeError> {
        let needs = subject.needs(threads);
        grow_values(&mut self.input, needs.input)?;
        grow_values(&mut self.output, needs.output)?;
        for half in [&mut self.keys, &mut self.values] {
            if half.len() < needs.cache_bytes {
                *half = AlignedBytes::zeroed(needs.cache_bytes)?;
                // 0.125 in f16; as f32, two of them are a small number that is not subnormal.
                half.as_mut_slice().chunks_exact_mut(2).for_each(|pair| pair.copy_from_slice(&[0x00, 0x30]));
            }
        }
        if self.cosines.len() < needs.rotation {
            // Half a right angle keeps every vector's length, however often it is turned.
            self.cosines = vec![std::f32::consts::FRAC_1_SQRT_2; needs.rotation];
            self.sines = self.cosines.clone();
        }
        if self.ones.len() < needs.ones {
            self.ones = vec![1.0; needs.ones];
        }
        if self.scratch.len() < needs.scratch {
            self.scratch = AlignedBytes::zeroed(needs.scratch)?;
        }
        Ok(())
    }
}

fn grow_values(bytes: &mut AlignedBytes, values: usize) -> Result<(), ProbeError> {
    if bytes.len() < values * 4 {
        *bytes = AlignedBytes::zeroed(values * 4)?;
        fill(bytes.as_f32_mut(), 7);
    }
    Ok(())
}

/// Numbers between −1 and 1 from a multiplicative generator.
fn fill(values: &mut [f32], seed: u32) {
    let mut state = seed;
    for value in values {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
}

/// The matrix that an operation reads, filled row by row.
fn matrix(operation: &Operation, isa: Isa) -> Result<Option<Rc<PackedMatrix>>, ProbeError> {
    let (format, rows, columns): (NumberFormat, u64, u64) = match operation {
        Operation::MatMul(product) => (product.format, product.rows, product.columns),
        Operation::Embed(embed) => (embed.format, embed.vocabulary, embed.width),
        _ => return Ok(None),
    };
    let mut matrix = PackedMatrix::new(format, rows as usize, columns as usize, isa)?;
    let mut row = vec![0.0; columns as usize];
    for index in 0..rows as usize {
        fill(&mut row, index as u32);
        matrix.pack_rows(index, &row)?;
    }
    Ok(Some(Rc::new(matrix)))
}

impl Subject {
    /// A subject of its own, outside any series.
    pub fn new(
        operation: Operation,
        tokens: usize,
        first_position: usize,
        isa: Isa,
    ) -> Result<Self, ProbeError> {
        let matrix = matrix(&operation, isa)?;
        Ok(Self::with_matrix(operation, tokens, first_position, matrix))
    }

    fn with_matrix(
        operation: Operation,
        tokens: usize,
        first_position: usize,
        matrix: Option<Rc<PackedMatrix>>,
    ) -> Self {
        let token_ids = match &operation {
            // Rows far apart, as the words of a text are.
            Operation::Embed(embed) => {
                (0..tokens as u64).map(|token| (token * 389 % embed.vocabulary) as u32).collect()
            }
            _ => Vec::new(),
        };
        Self { operation, tokens, first_position, matrix, token_ids }
    }

    fn needs(&self, threads: usize) -> Needs {
        let keys = self.first_position + self.tokens;
        let (input, output) = self.widths();
        let (mut cache_bytes, mut rotation) = (0, 0);
        if let Some((format, kv_heads, head_size)) = self.cache() {
            let half = KvLayer::half_bytes(format, kv_heads as u64, head_size as u64, keys as u64);
            cache_bytes = half.expect("the grid holds only caches that have a kernel") as usize;
            rotation = keys * head_size / 2;
        }
        Needs {
            input: input * self.tokens,
            output: output * self.tokens,
            cache_bytes,
            rotation,
            // Norms of whole rows and of heads.
            ones: output.max(self.cache().map_or(0, |(_, _, head_size)| head_size)),
            scratch: scratch_bytes(&self.operation, self.tokens, keys, threads),
        }
    }

    /// Input and output values per token.
    fn widths(&self) -> (usize, usize) {
        let (input, output) = match &self.operation {
            Operation::Embed(embed) => (0, embed.width),
            Operation::Norm(norm) => (norm.width, norm.width),
            Operation::MatMul(product) => (product.columns, product.rows),
            Operation::RotateStore(rotate) => ((rotate.heads + 2 * rotate.kv_heads) * rotate.head_size, 0),
            Operation::Attend(attend) => {
                ((attend.heads + 2 * attend.kv_heads) * attend.head_size, attend.heads * attend.head_size)
            }
            Operation::Activate(activate) => {
                (if activate.gated { 2 } else { 1 } * activate.size, activate.size)
            }
            Operation::Add(add) => (add.width, add.width),
            Operation::Route(_) | Operation::Experts(_) => unreachable!("the grid has no mixture of experts"),
        };
        (input as usize, output as usize)
    }

    /// The cache's format, heads and head size.
    fn cache(&self) -> Option<(NumberFormat, usize, usize)> {
        match &self.operation {
            Operation::RotateStore(rotate) => {
                Some((rotate.kv_format, rotate.kv_heads as usize, rotate.head_size as usize))
            }
            Operation::Attend(attend) => {
                Some((attend.kv_format, attend.kv_heads as usize, attend.head_size as usize))
            }
            _ => None,
        }
    }

    /// Seconds of one execution by all threads of the pool, mean of `runs`; every phase ends with a barrier, as in a
    /// model's step.
    pub fn seconds(&self, kernels: &Kernels, pool: &Pool, workspace: &mut Workspace, runs: usize) -> f64 {
        let needs = self.needs(pool.threads());
        let phases = phases(&self.operation, self.tokens);
        let invocation = self.invocation(workspace, &needs);
        let start = Instant::now();
        pool.run(|worker| {
            for _ in 0..runs {
                for phase in 0..phases {
                    kernels.execute(&invocation, Part { phase, index: worker.index, of: worker.count });
                    worker.barrier();
                }
            }
        });
        start.elapsed().as_secs_f64() / runs as f64
    }

    fn invocation<'a>(&'a self, workspace: &'a mut Workspace, needs: &Needs) -> Invocation<'a> {
        let tokens = self.tokens;
        let Workspace { input, output, keys, values, cosines, sines, ones, scratch } = workspace;
        let output = SharedMut::new(&mut output.as_f32_mut()[..needs.output]);
        let scratch = SharedMut::new(scratch.as_mut_slice());
        let matrix = || self.matrix.as_deref().expect("made for every operation that reads one");
        let capacity = self.first_position + tokens;
        let cache = self.cache().map(|(format, kv_heads, head_size)| {
            let half = needs.cache_bytes;
            KvLayer::new(
                format,
                kv_heads,
                head_size,
                capacity,
                SharedMut::new(&mut keys.as_mut_slice()[..half]),
                SharedMut::new(&mut values.as_mut_slice()[..half]),
            )
        });
        let cache = || cache.expect("made for every operation that has one");
        if let Operation::RotateStore(rotate) = &self.operation {
            let qkv = SharedMut::new(&mut input.as_f32_mut()[..needs.input]);
            let rotation = RotationTable { cosines, sines };
            let normed = if rotate.qk_norm == QkNormKind::None { 0 } else { rotate.head_size as usize };
            let norm = &ones[..normed];
            let args =
                RotateStoreArgs::new(rotate, tokens, self.first_position, qkv, norm, norm, rotation, cache());
            return Invocation::RotateStore(args);
        }
        let input = &input.as_f32()[..needs.input];
        match &self.operation {
            Operation::Embed(embed) => {
                Invocation::Embed(EmbedArgs::new(embed, matrix(), None, 0, &self.token_ids, output))
            }
            Operation::Norm(norm) => {
                let width = norm.width as usize;
                let weight = norm.weight.then(|| &ones[..width]);
                Invocation::Norm(NormArgs::new(norm, tokens, input, weight, None, output))
            }
            Operation::MatMul(product) => {
                Invocation::MatMul(MatMulArgs::new(product, tokens, matrix(), None, input, output, scratch))
            }
            Operation::Attend(attend) => Invocation::Attend(AttendArgs::new(
                attend,
                tokens,
                self.first_position,
                input,
                cache(),
                output,
                scratch,
            )),
            Operation::Activate(activate) => {
                Invocation::Activate(ActivateArgs::new(activate, tokens, input, None, output))
            }
            Operation::Add(add) => Invocation::Add(AddArgs::new(add, tokens, input, output)),
            Operation::RotateStore(_) => unreachable!("returned above"),
            Operation::Route(_) | Operation::Experts(_) => unreachable!("the grid has no mixture of experts"),
        }
    }
}
