//! Matrices whose shape is part of their type, and where their values come from.

use crate::gguf::Gguf;
use crate::matmul::{AnyShape, Exactly, Layout, MatMulArgs, MatrixShape, WeightFormat};
use crate::pool::Pieces;
use crate::{ALIGNMENT, AlignedBytes, ModelError, SharedMut, cuts};

/// Rows that are read at a time, unless a head has more.
const ROWS_AT_ONCE: usize = 64;

/// A stored tensor, as a part of a matrix or vector.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its name in the file.
    name: String,
    /// Rows of it, of one expert.
    rows: usize,
    /// Rows of the tensor that others lie in, too, and which is its first there.
    within: Option<(usize, usize)>,
    /// The rows of a head, where halves of a head that rotate together lie on even and odd rows.
    head: Option<usize>,
}

impl Stored {
    /// Rows in their order.
    pub(crate) fn plain(name: impl Into<String>, rows: usize) -> Self {
        Self { name: name.into(), rows, within: None, head: None }
    }

    /// Rows from `first` on of a tensor of `whole` rows, which holds others, too.
    #[allow(dead_code, reason = "only some families of models store several in one")]
    pub(crate) fn part(name: impl Into<String>, rows: usize, first: usize, whole: usize) -> Self {
        Self { within: Some((first, whole)), ..Self::plain(name, rows) }
    }

    /// Heads of `head` rows, whose first halves lie on even rows and second halves on odd ones.
    #[allow(dead_code, reason = "only some families of models store heads so")]
    pub(crate) fn interleaved(name: impl Into<String>, rows: usize, head: usize) -> Self {
        Self { head: Some(head), ..Self::plain(name, rows) }
    }

    /// Values that no other tensor has.
    fn random(&self, seed: u64) -> Random {
        Random::new(seed ^ self.within.map_or(0, |(first, _)| first as u64), &self.name)
    }

    /// The row of the file that is row `row`.
    fn place(&self, row: usize) -> usize {
        let Some(head) = self.head else { return row };
        let (start, place) = (row / head * head, row % head);
        if place < head / 2 { start + 2 * place } else { start + 2 * (place - head / 2) + 1 }
    }
}

/// Where values come from.
pub(crate) enum Source {
    /// A file.
    File(Gguf),
    /// Random ones: what is timed and tested without a file.
    Seeded(u64),
}

impl Source {
    /// Calls `place` with each row of a tensor in its format, `count` times `stored.rows` of them.
    fn each_row(
        &self,
        stored: &Stored,
        format: WeightFormat,
        (count, columns): (usize, usize),
        mut place: impl FnMut(usize, &[u8]),
    ) -> Result<(), ModelError> {
        let row_bytes = format.row_bytes(columns);
        let rows = count * stored.rows;
        match self {
            Self::File(file) => {
                let (begin, whole) = stored.within.unwrap_or((0, rows));
                file.check(&stored.name, format, whole, columns)?;
                // Rows change places within a head only.
                let step = stored.head.map_or(ROWS_AT_ONCE, |head| head * ROWS_AT_ONCE.div_ceil(head));
                let mut bytes = Vec::new();
                for first in (0..rows).step_by(step) {
                    let here = step.min(rows - first);
                    bytes.resize(here * row_bytes, 0);
                    file.read(&stored.name, ((begin + first) * row_bytes) as u64, &mut bytes)?;
                    for row in first..first + here {
                        place(row, &bytes[(stored.place(row) - first) * row_bytes..][..row_bytes]);
                    }
                }
            }
            Self::Seeded(seed) => {
                let mut random = stored.random(*seed);
                let reach = (3.0 / columns as f32).sqrt();
                let (mut values, mut bytes) = (vec![0.0; columns], vec![0; row_bytes]);
                for row in 0..rows {
                    values.iter_mut().for_each(|value| *value = reach * random.next());
                    format.encode_row(&values, &mut bytes);
                    place(row, &bytes);
                }
            }
        }
        Ok(())
    }

    /// Vectors one after the other, times `scale`. A random one lies around `middle`.
    pub(crate) fn vector(&self, parts: &[Stored], scale: f32, middle: f32) -> Result<Vec<f32>, ModelError> {
        self.shifted(parts, 0.0, scale, middle)
    }

    fn shifted(
        &self,
        parts: &[Stored],
        offset: f32,
        scale: f32,
        middle: f32,
    ) -> Result<Vec<f32>, ModelError> {
        let mut values = Vec::new();
        for stored in parts {
            if let Self::Seeded(seed) = self {
                let mut random = stored.random(*seed);
                values.extend((0..stored.rows).map(|_| (middle + 0.1 * random.next()) * scale));
                continue;
            }
            self.each_row(stored, WeightFormat::F32, (1, 1), |_, bytes| {
                let value = bytes.first_chunk().map_or(f32::NAN, |bytes| f32::from_le_bytes(*bytes));
                values.push((value + offset) * scale);
            })?;
        }
        Ok(values)
    }
}

/// Uniform in -1..1: SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn new(seed: u64, name: &str) -> Self {
        // FNV-1a, so that tensors have unrelated values.
        let start = seed ^ 0xcbf2_9ce4_8422_2325;
        Self(name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) as u32).cast_signed() as f32 / (1_u32 << 31) as f32
    }
}

/// Matrices in one allocation, in the order in which a step reads them: most are smaller than a huge page.
pub(crate) struct Loader<'a> {
    pub(crate) source: &'a Source,
    memory: std::vec::IntoIter<AlignedBytes>,
}

impl<'a> Loader<'a> {
    /// For matrices of these lengths, in this order.
    pub(crate) fn new(source: &'a Source, lengths: &[usize]) -> Result<Self, ModelError> {
        Ok(Self { source, memory: AlignedBytes::zeroed_parts(lengths)?.into_iter() })
    }

    /// Vectors of a norm that the file holds as offsets from 1, one after the other, times `scale`.
    #[allow(dead_code, reason = "only some models store norms so")]
    pub(crate) fn offsets(&self, parts: &[Stored], scale: f32) -> Result<Vec<f32>, ModelError> {
        self.source.shifted(parts, 1.0, scale, 1.0)
    }

    fn next(&mut self, bytes: usize) -> AlignedBytes {
        let memory = self.memory.next().expect("there is a length for each matrix");
        assert_eq!(memory.len(), bytes, "lengths in the order of the matrices");
        memory
    }
}

/// A packed matrix `(ROWS, COLUMNS)`.
#[derive(Debug)]
pub(crate) struct Matrix<const ROWS: usize, const COLUMNS: usize> {
    layout: Layout,
    bytes: AlignedBytes,
}

impl<const ROWS: usize, const COLUMNS: usize> Matrix<ROWS, COLUMNS> {
    /// Bytes of one.
    pub(crate) const fn bytes_in(layout: Layout) -> usize {
        layout.groups(ROWS) * layout.group_bytes(COLUMNS)
    }

    /// The tensors `parts` below each other.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        layout: Layout,
        parts: &[Stored],
    ) -> Result<Self, ModelError> {
        let mut bytes = loader.next(Self::bytes_in(layout));
        let mut first = 0;
        for stored in parts {
            loader.source.each_row(stored, layout.format, (1, COLUMNS), |row, encoded| {
                place(layout, COLUMNS, first + row, encoded, bytes.as_mut_slice());
            })?;
            first += stored.rows;
        }
        assert_eq!(first, ROWS, "rows of the parts");
        Ok(Self { layout, bytes })
    }

    /// How it is packed.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The packed bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The pieces of a phase of its product with so many tokens.
    pub(crate) fn cut(&self, tokens: usize, phase: usize, workers: usize) -> Pieces {
        let format = self.layout.format;
        let bytes = ROWS * COLUMNS / format.block_values() * format.block_bytes();
        cuts::of_product((ROWS as u64, COLUMNS as u64), bytes as u64, tokens, phase, workers)
    }

    /// Its product with `input` `(tokens, COLUMNS)`, to be stored in `output` `(tokens, ROWS)`.
    pub(crate) fn times<'a>(
        &'a self,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a, Exactly<ROWS, COLUMNS>> {
        self.with(Exactly, tokens, input, output, scratch)
    }

    /// The same for what takes any matrix.
    pub(crate) fn times_any<'a>(
        &'a self,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a> {
        self.with(AnyShape { rows: ROWS, columns: COLUMNS }, tokens, input, output, scratch)
    }

    fn with<'a, S: MatrixShape>(
        &'a self,
        shape: S,
        tokens: usize,
        input: &'a [f32],
        output: SharedMut<'a, f32>,
        scratch: SharedMut<'a, u8>,
    ) -> MatMulArgs<'a, S> {
        assert_eq!((input.len(), output.len()), (tokens * COLUMNS, tokens * ROWS), "vectors of the product");
        assert!(scratch.as_ptr().align_offset(ALIGNMENT) == 0, "scratch must be aligned");
        MatMulArgs {
            shape,
            tokens,
            layout: self.layout,
            weights: self.bytes.as_slice(),
            bias: None,
            accumulate: None,
            softcap: None,
            input,
            output,
            scratch,
            seat: None,
        }
    }
}

/// Matrices of all experts above each other, each padded to whole groups of rows.
#[derive(Debug)]
pub(crate) struct Stack {
    layout: Layout,
    bytes: AlignedBytes,
}

impl Stack {
    /// Bytes of `count` matrices `(rows, columns)`.
    pub(crate) const fn bytes_in(layout: Layout, count: usize, rows: usize, columns: usize) -> usize {
        count * layout.groups(rows) * layout.group_bytes(columns)
    }

    /// In each matrix the tensors `parts` are below each other.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        layout: Layout,
        (count, rows, columns): (usize, usize, usize),
        parts: &[Stored],
    ) -> Result<Self, ModelError> {
        let mut bytes = loader.next(Self::bytes_in(layout, count, rows, columns));
        let stride = rows.next_multiple_of(layout.interleave);
        let mut first = 0;
        for stored in parts {
            loader.source.each_row(stored, layout.format, (count, columns), |row, encoded| {
                let row = row / stored.rows * stride + first + row % stored.rows;
                place(layout, columns, row, encoded, bytes.as_mut_slice());
            })?;
            first += stored.rows;
        }
        assert_eq!(first, rows, "rows of the parts");
        Ok(Self { layout, bytes })
    }

    /// How they are packed.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The packed bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}

fn place(layout: Layout, columns: usize, row: usize, encoded: &[u8], bytes: &mut [u8]) {
    let group_bytes = layout.group_bytes(columns);
    let group = &mut bytes[row / layout.interleave * group_bytes..][..group_bytes];
    layout.place_row(columns, encoded, row % layout.interleave, group);
}
