//! How fast our own kernels stream weights and caches that are used once a step, as a share of a plain read.
//!
//! Every sample is a ratio: the kernel's pass over many matrices (or layers' caches) between two plain reads of as many
//! bytes by the same threads. What a neighbour takes from the machine meanwhile cancels, so these cells need no sentinel
//! and are measured one subject after the other, which keeps only one subject's memory.

use super::bandwidth::{read_loops, read_seconds, share_words};
use super::kernels::{HEADS, attention};
use super::{Detail, Pools};
use crate::placements::{Lay, Looks, View, barrier_seconds};
use crate::schedule::{Log, Progress, repeats};
use crate::{ProbeError, settling_passes};
use slimfit_hardware::{Cache, Streaming};
use slimfit_kernels::limits::{Buffer, ReadLoop};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    AlignedBytes, AttendArgs, Invocation, Isa, Kernels, KvLayer, MatMul, MatMulArgs, Operation, PackedMatrix,
    Part, SharedMut, Tuning, phases, scratch_bytes,
};
use slimfit_quantity::{Figure, NumberFormat};
use std::time::{Duration, Instant};

/// A small matrix, whose start shows, and a large one, whose rate does: rows, columns.
const SIZES: [(u64, u64); 2] = [(576, 576), (2560, 1536)];
/// Columns of the small one where rows must be whole blocks of 256.
const SMALL_COLUMNS_OF_BLOCKS: u64 = 512;
/// Keys of a sampled cache: few, where the start of each head's stretch shows, and many, where the rate does.
const KEYS: [u64; 2] = [128, 1024];
/// Places of a cache behind its keys that hold none: what is fetched there ahead is fetched in vain, as in use.
const UNUSED_KEYS: u64 = 64;
/// More memory than this shows nothing more, and less than the other might be in some cache that nobody told of.
const LARGEST_BYTES: u64 = 256 << 20;
const LEAST_FAR_BYTES: u64 = 32 << 20;
/// A last cache of which a quarter is smaller than this is sampled near the core already.
const SMALLEST_CACHED_BYTES: u64 = 2 << 20;
/// A subject that would have less time than this is left out: filling its memory alone takes as long.
const LEAST_TIME: Duration = Duration::from_millis(80);
/// How much of its share of time the samples that a subject needs at least may take.
const MOST_OF_SHARE: f64 = 1.2;
/// The same of its first cell, without which it tells nothing.
const MOST_OF_FIRST: f64 = 2.0;
/// Matrices whose time tells whether all of them can be afforded.
const TRIED: usize = 8;
/// Samples of a cell.
const FEWEST_SAMPLES: usize = 3;
/// The same on the edge of the last cache, where each takes long to settle.
const FEWEST_SAMPLES_ON_EDGE: usize = 2;
const MOST_SAMPLES: usize = 9;

/// Cells that are being measured: all of a profile's, filled subject by subject.
pub(crate) struct Plan {
    subjects: Vec<Subject>,
    kernels: Kernels,
    /// Working sets, the largest first.
    sets: Vec<WorkingSet>,
    isa: Isa,
}

/// A kernel that was measured.
pub(crate) struct Point {
    stream: Streaming,
    log: Log,
}

impl Point {
    pub fn finish(&self, view: View<'_>) -> Streaming {
        Streaming { share_of_read: self.log.figure_in(view, self.stream.threads), ..self.stream.clone() }
    }
}

/// A kernel, and of attention the keys that it sees.
struct Subject {
    operation: Operation,
    keys: u64,
}

/// How much memory a subject goes through again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WorkingSet {
    bytes: u64,
    /// Passes before one that counts; none where no cache keeps anything, since others read as much in between.
    settling: usize,
    /// Whether it is on the edge of the last cache, where only products are measured.
    on_edge: bool,
}

/// What a subject goes through in turn.
enum Stream {
    Matrices(Vec<PackedMatrix>),
    Caches(Vec<[AlignedBytes; 2]>),
}

impl Plan {
    /// The formats, shapes and working sets of a profile, with the kernels that a model from memory would be given.
    pub fn new(
        detail: Detail,
        caches: &[Cache],
        largest: u64,
        counts: &[u32],
        (isa, tuning): (Isa, &Tuning),
    ) -> Result<Self, ProbeError> {
        let sets = working_sets(detail, caches, largest);
        let sizes = if detail == Detail::Full { &SIZES[..] } else { &SIZES[1..] };
        let mut subjects = Vec::new();
        for format in NumberFormat::SEARCHABLE_WEIGHTS {
            for &(rows, columns) in sizes {
                let blocks = columns.is_multiple_of(format.block_values());
                let columns = if blocks { columns } else { SMALL_COLUMNS_OF_BLOCKS };
                let (bias, accumulate, softcap) = (false, None, None);
                let operation =
                    Operation::MatMul(MatMul { rows, columns, format, bias, accumulate, softcap });
                subjects.push(Subject { operation, keys: 0 });
            }
        }
        let heads = if detail == Detail::Full { &HEADS[..] } else { &HEADS[..1] };
        for kv_format in NumberFormat::SEARCHABLE_KV {
            for keys in if detail == Detail::Full { &KEYS[..] } else { &KEYS[1..] } {
                let subject = |&heads| Subject { operation: attention(heads, kv_format), keys: *keys };
                subjects.extend(heads.iter().map(subject));
            }
        }
        let products: Vec<&MatMul> = subjects
            .iter()
            .filter_map(|subject| {
                if let Operation::MatMul(product) = &subject.operation { Some(product) } else { None }
            })
            .collect();
        let kernels = Kernels::for_isa(isa)?;
        let kernels = counts.iter().fold(kernels, |kernels, &threads| {
            kernels.tuned(tuning, products.iter().copied(), threads as usize, sets[0].bytes)
        });
        Ok(Self { subjects, kernels, sets, isa })
    }

    /// Cells in all.
    pub fn cells(&self, counts: &[u32]) -> usize {
        self.subjects.iter().map(|subject| self.sets_of(subject).count()).sum::<usize>() * counts.len()
    }

    fn sets_of(&self, subject: &Subject) -> impl Iterator<Item = WorkingSet> {
        let product = matches!(subject.operation, Operation::MatMul(_));
        self.sets.iter().copied().filter(move |set| product || !set.on_edge)
    }

    /// Measures until `deadline`, each subject the share of the time left that its cells are of those left. Adds to
    /// `looks` where the threads lay meanwhile.
    pub fn measure(
        &self,
        pools: &Pools,
        read: &Buffer,
        (deadline, looks): (Instant, &mut [(u32, Looks)]),
        span: (f64, f64),
        progress: &mut Progress<'_>,
    ) -> Result<Vec<Point>, ProbeError> {
        let mut points = Vec::new();
        let sizes: Vec<usize> = self.subjects.iter().map(|subject| self.sets_of(subject).count()).collect();
        for (place, subject) in self.subjects.iter().enumerate() {
            let done = place as f64 / self.subjects.len() as f64;
            if !progress("kernels that stream", span.0 + (span.1 - span.0) * done) {
                return Err(ProbeError::Stopped);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let share =
                left.mul_f64(sizes[place] as f64 / sizes[place..].iter().sum::<usize>().max(1) as f64);
            if share >= LEAST_TIME {
                let end = Instant::now() + share;
                self.measure_one(subject, pools, read, (end, &mut *looks), &mut points)?;
            }
        }
        Ok(points)
    }

    fn measure_one(
        &self,
        subject: &Subject,
        pools: &Pools,
        read: &Buffer,
        (end, looks): (Instant, &mut [(u32, Looks)]),
        points: &mut Vec<Point>,
    ) -> Result<(), ProbeError> {
        let mut stream = Stream::new(subject, self.sets[0].bytes, self.isa)?;
        let bytes = stream.bytes_of_one(subject);
        let (input, output) = widths(&subject.operation);
        let input = vec![0.125; input];
        let mut output = vec![0.0; output];
        let mut cells = Vec::new();
        // What runs most often first: what is on the edge, and fewer threads, is what a short share lacks.
        let mut wanted: Vec<(&Pool, WorkingSet)> =
            pools.iter().flat_map(|pool| self.sets_of(subject).map(move |set| (pool, set))).collect();
        wanted.sort_by_key(|(pool, set)| (set.on_edge, std::cmp::Reverse(pool.threads())));
        let available = end.saturating_duration_since(Instant::now()).as_secs_f64();
        let mut planned = 0.0;
        for (pool, set) in wanted {
            let scratch = scratch_bytes(&subject.operation, 1, subject.keys as usize, pool.threads());
            let mut scratch = AlignedBytes::zeroed(scratch.max(64))?;
            let count = set.count(bytes, stream.len());
            let tried = count.min(TRIED);
            let few = stream.invocations(subject, tried, &input, &mut output, &mut scratch);
            let pass =
                seconds(&subject.operation, &self.kernels, pool, &few, 1) * count as f64 / tried as f64;
            // With the plain reads a round takes three times as many passes, and two more tell the better loop. What
            // a subject takes beyond its share is taken from those that come after.
            let rounds = pass * ((1 + set.settling) * (3 * set.rounds() + 2)) as f64;
            let most = if cells.is_empty() { MOST_OF_FIRST } else { MOST_OF_SHARE };
            if planned + rounds <= most * available {
                planned += rounds;
                cells.push((pool, set, scratch, Log::default()));
            }
        }
        let mut passes = vec![0; cells.len()];
        let loops = read_loops(self.isa)?;
        let mut best = vec![loops[0]; cells.len()];
        for round in 0..=MOST_SAMPLES {
            for (place, (pool, set, scratch, log)) in cells.iter_mut().enumerate() {
                if round >= set.rounds() && Instant::now() >= end {
                    continue;
                }
                let count = set.count(bytes, stream.len());
                let touched = (count as u64 * bytes).min(read.bytes() as u64);
                let invocations = stream.invocations(subject, count, &input, &mut output, scratch);
                let once = |passes| seconds(&subject.operation, &self.kernels, pool, &invocations, passes);
                if passes[place] == 0 {
                    passes[place] = repeats(once(1));
                    let rate =
                        |read_loop| read_rate(pool, read_loop, read, touched, (set.settling, passes[place]));
                    if rate(loops[1]) > rate(loops[0]) {
                        best[place] = loops[1];
                    }
                }
                let passes = passes[place];
                let barrier = || (pool.threads() > 1).then(|| barrier_seconds(pool));
                let first = barrier();
                let reads =
                    |read_loop: &ReadLoop| read_rate(pool, read_loop, read, touched, (set.settling, passes));
                let before = reads(best[place]);
                if set.settling > 0 {
                    // Brings back what the reads pushed out.
                    once(set.settling);
                }
                let rate = (passes * count) as f64 * bytes as f64 / once(passes);
                let after = reads(best[place]);
                let lay = Lay::between(first, barrier());
                if let (Lay::At(seconds), Some((_, looks))) =
                    (lay, looks.iter_mut().find(|(threads, _)| *threads as usize == pool.threads()))
                {
                    looks.add(seconds);
                }
                // The first round brings everything where it stays, if nothing else did.
                if round > 0 || set.settling > 0 {
                    log.push(2.0 * rate / (before + after), lay);
                }
            }
            if round >= FEWEST_SAMPLES && Instant::now() >= end {
                break;
            }
        }
        for (pool, set, _, log) in &cells {
            let threads = pool.threads() as u32;
            let stream = describe(subject, &self.kernels, threads, (bytes, set.bytes));
            points.push(Point { stream, log: log.clone() });
        }
        Ok(())
    }
}

impl WorkingSet {
    /// How many of these bytes each fit, of so many.
    fn count(&self, bytes: u64, of: usize) -> usize {
        (self.bytes / bytes).clamp(1, of as u64) as usize
    }

    /// Rounds that its samples need at least.
    fn rounds(&self) -> usize {
        if self.on_edge { FEWEST_SAMPLES_ON_EDGE } else { 1 + FEWEST_SAMPLES }
    }
}

/// Past the last cache, in a quarter of it, and where there is time on its edge.
fn working_sets(detail: Detail, caches: &[Cache], largest: u64) -> Vec<WorkingSet> {
    let last = caches.iter().max_by_key(|cache| cache.level).map_or(0, |cache| cache.bytes);
    let past = if last == 0 { LARGEST_BYTES } else { last.saturating_mul(4).max(LEAST_FAR_BYTES) };
    let far = past.min(LARGEST_BYTES).min(largest);
    let settling = |bytes| settling_passes(bytes, last);
    let mut sets = vec![WorkingSet { bytes: far, settling: 0, on_edge: false }];
    if last / 4 >= SMALLEST_CACHED_BYTES && last <= far {
        let on_edge = [2 * last, last].into_iter().filter(|bytes| detail == Detail::Full && *bytes < far);
        sets.extend(on_edge.map(|bytes| WorkingSet { bytes, settling: settling(bytes), on_edge: true }));
        sets.push(WorkingSet { bytes: last / 4, settling: settling(last / 4), on_edge: false });
    }
    sets
}

/// Bytes per second of a plain read, `passes` times after `settling` more.
fn read_rate(
    pool: &Pool,
    read_loop: &ReadLoop,
    read: &Buffer,
    bytes: u64,
    (settling, passes): (usize, usize),
) -> f64 {
    let share = share_words(bytes, pool.threads());
    let seconds = |passes| read_seconds(pool, read_loop, read.as_f64(), share, passes);
    if settling > 0 {
        seconds(settling);
    }
    (share * 8 * pool.threads() * passes) as f64 / seconds(passes)
}

/// Seconds of going through all of `invocations` so many times; every phase ends with a barrier.
fn seconds(
    operation: &Operation,
    kernels: &Kernels,
    pool: &Pool,
    invocations: &[Invocation<'_>],
    passes: usize,
) -> f64 {
    let phases = phases(operation, 1);
    let start = Instant::now();
    pool.run(|worker| {
        for _ in 0..passes {
            for invocation in invocations {
                for phase in 0..phases {
                    kernels.execute(invocation, Part { phase, index: worker.index, of: worker.count });
                    worker.barrier();
                }
            }
        }
    });
    start.elapsed().as_secs_f64()
}

/// Input and output values of one token.
fn widths(operation: &Operation) -> (usize, usize) {
    let (input, output) = match operation {
        Operation::MatMul(product) => (product.columns, product.rows),
        Operation::Attend(attend) => {
            ((attend.heads + 2 * attend.kv_heads) * attend.head_size, attend.heads * attend.head_size)
        }
        _ => unreachable!("only products and attention stream"),
    };
    (input as usize, output as usize)
}

impl Stream {
    /// Equal matrices or caches, `working_set_bytes` together, at least two.
    fn new(subject: &Subject, working_set_bytes: u64, isa: Isa) -> Result<Self, ProbeError> {
        match &subject.operation {
            Operation::MatMul(product) => {
                let (rows, columns) = (product.rows as usize, product.columns as usize);
                let mut first = PackedMatrix::new(product.format, rows, columns, isa)?;
                let row: Vec<f32> =
                    (0..columns).map(|column| (column * 37 % 61) as f32 / 30.5 - 1.0).collect();
                for index in 0..rows {
                    first.pack_rows(index, &row)?;
                }
                let count = (working_set_bytes / first.bytes().len() as u64).max(2);
                // One mapping for all, as a model's weights have: small pieces share huge pages.
                AlignedBytes::zeroed_parts(&vec![first.bytes().len(); count as usize])?
                    .into_iter()
                    .map(|mut bytes| {
                        bytes.as_mut_slice().copy_from_slice(first.bytes());
                        Ok(PackedMatrix::in_memory(product.format, rows, columns, isa, bytes)?)
                    })
                    .collect::<Result<_, _>>()
                    .map(Self::Matrices)
            }
            Operation::Attend(attend) => {
                let half =
                    |keys| KvLayer::half_bytes(attend.kv_format, attend.kv_heads, attend.head_size, keys);
                let count = (working_set_bytes / (2 * half(subject.keys)?)).max(2) as usize;
                let half = half(subject.keys + UNUSED_KEYS)?;
                let mut halves = AlignedBytes::zeroed_parts(&vec![half as usize; 2 * count])?;
                for bytes in &mut halves {
                    // 0.125 in f16 and an ordinary number in f32.
                    bytes
                        .as_mut_slice()
                        .chunks_exact_mut(2)
                        .for_each(|pair| pair.copy_from_slice(&[0, 0x30]));
                }
                let mut caches = Vec::with_capacity(count);
                while let (Some(keys), Some(values)) = (halves.pop(), halves.pop()) {
                    caches.push([keys, values]);
                }
                Ok(Self::Caches(caches))
            }
            _ => unreachable!("only products and attention stream"),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Matrices(matrices) => matrices.len(),
            Self::Caches(caches) => caches.len(),
        }
    }

    /// Bytes that one execution reads.
    fn bytes_of_one(&self, subject: &Subject) -> u64 {
        match self {
            Self::Matrices(matrices) => matrices[0].bytes().len() as u64,
            Self::Caches(caches) => {
                2 * caches[0][0].len() as u64 / (subject.keys + UNUSED_KEYS) * subject.keys
            }
        }
    }

    /// The operation on each of the first `count`, with the same vectors.
    fn invocations<'a>(
        &'a mut self,
        subject: &Subject,
        count: usize,
        input: &'a [f32],
        output: &'a mut [f32],
        scratch: &'a mut AlignedBytes,
    ) -> Vec<Invocation<'a>> {
        let output = SharedMut::new(output);
        let scratch = SharedMut::new(scratch.as_mut_slice());
        match (self, &subject.operation) {
            (Self::Matrices(matrices), Operation::MatMul(product)) => matrices[..count]
                .iter()
                .map(|matrix| MatMulArgs::new(product, 1, matrix, None, input, output, scratch))
                .map(Invocation::MatMul)
                .collect(),
            (Self::Caches(caches), Operation::Attend(attend)) => caches[..count]
                .iter_mut()
                .map(|[keys, values]| {
                    let cache = KvLayer::new(
                        attend.kv_format,
                        attend.kv_heads as usize,
                        attend.head_size as usize,
                        (subject.keys + UNUSED_KEYS) as usize,
                        SharedMut::new(keys.as_mut_slice()),
                        SharedMut::new(values.as_mut_slice()),
                    );
                    let first = subject.keys as usize - 1;
                    Invocation::Attend(AttendArgs::new(attend, 1, first, input, cache, output, scratch))
                })
                .collect(),
            _ => unreachable!("a stream is made for its operation"),
        }
    }
}

fn describe(
    subject: &Subject,
    kernels: &Kernels,
    threads: u32,
    (bytes, working_set_bytes): (u64, u64),
) -> Streaming {
    let operation = &subject.operation;
    let (format, rows, columns, heads) = match operation {
        Operation::MatMul(product) => (product.format, product.rows, product.columns, None),
        Operation::Attend(attend) => (
            attend.kv_format,
            attend.heads * attend.head_size,
            subject.keys,
            Some((attend.head_size, attend.kv_heads)),
        ),
        _ => unreachable!("only products and attention stream"),
    };
    Streaming {
        operation: operation.name().to_owned(),
        variant: kernels.variant_name(operation, 1).unwrap_or("none").to_owned(),
        format,
        rows,
        columns,
        head_size: heads.map(|(size, _)| size),
        kv_heads: heads.map(|(_, kv_heads)| kv_heads),
        threads,
        bytes,
        working_set_bytes,
        share_of_read: Figure::unavailable("not measured yet"),
    }
}
