//! How the tensors of an architecture are laid out in a file that is written: the inverse of what a [`View`](super::view)
//! reads, from the same [`Place`]s.

use super::names::{Place, Rows};
use crate::{FormatsError, TensorSource};
use slimfit_arch::{Tensor, TensorPart};
use slimfit_kernels::WeightFormat;
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;

/// Values that are held at a time, unless a single head or row has more.
const CHUNK: u64 = 1 << 20;

/// One tensor of a file.
#[derive(Debug)]
pub(crate) struct StoredTensor {
    /// As [`Place`] names it.
    pub(crate) name: String,
    /// Row-major, slowest first.
    pub(crate) shape: Vec<u64>,
    pub(crate) format: NumberFormat,
    /// What lies in it, top to bottom.
    parts: Vec<Part>,
}

/// Rows of one tensor of the architecture.
#[derive(Debug)]
struct Part {
    tensor: Tensor,
    /// The first of them.
    first: u64,
    rows: u64,
    order: Rows,
    /// What is added to each value.
    offset: f32,
}

impl Part {
    /// The stored row where it begins.
    fn begins(&self) -> u64 {
        match self.order {
            Rows::Runs { first, .. } => first,
            Rows::Interleaved { .. } => 0,
        }
    }
}

/// Values from one row of a tensor to the next; the rows of a vector are its values.
fn columns(tensor: &Tensor) -> u64 {
    if tensor.shape.len() > 1 { tensor.shape[tensor.shape.len() - 1] } else { 1 }
}

/// Puts every tensor where `place` says, in the order of the list.
///
/// # Panics
/// When tensors that share a place leave gaps or have different rows or formats: `place` is wrong then.
pub(crate) fn lay_out(
    tensors: &[Tensor],
    place: impl Fn(&Tensor) -> Place,
    format: impl Fn(&Tensor) -> NumberFormat,
    offset: impl Fn(&Tensor) -> f32,
) -> Vec<StoredTensor> {
    let mut laid: Vec<StoredTensor> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for tensor in tensors {
        let Place { names, rows: order, transposed, apart } = place(tensor);
        assert!(!transposed, "`{}` would be written transposed", tensor.name());
        let pieces = names.len() as u64;
        let rows = tensor.parameters() / columns(tensor) / pieces;
        let shape = if apart { &tensor.shape[1..] } else { &tensor.shape[..] };
        for (piece, name) in (0..).zip(names) {
            let part =
                Part { tensor: tensor.clone(), first: piece * rows, rows, order, offset: offset(tensor) };
            match by_name.get(&name) {
                Some(&index) => laid[index].parts.push(part),
                None => {
                    by_name.insert(name.clone(), laid.len());
                    let (shape, format) = (shape.to_vec(), format(tensor));
                    laid.push(StoredTensor { name, shape, format, parts: vec![part] });
                }
            }
        }
    }
    laid.iter_mut().for_each(|stored| stored.stack(&format));
    laid
}

impl StoredTensor {
    /// Orders the parts and counts their rows.
    fn stack(&mut self, format: impl Fn(&Tensor) -> NumberFormat) {
        self.parts.sort_by_key(Part::begins);
        let mut rows = 0;
        for part in &self.parts {
            assert_eq!(part.begins(), rows, "parts of `{}` leave a gap", self.name);
            assert_eq!(columns(&part.tensor), columns(&self.parts[0].tensor), "rows of `{}`", self.name);
            assert_eq!(format(&part.tensor), self.format, "formats in `{}`", self.name);
            rows += part.rows;
        }
        if self.parts.len() > 1 {
            self.shape[0] = rows;
        }
    }

    /// The role and part of what lies in it alone; none where several tensors do.
    pub(crate) fn only(&self) -> Option<&Tensor> {
        if let [part] = &self.parts[..] { Some(&part.tensor) } else { None }
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// More than 64 bits can say, or rows that are no whole blocks.
    pub(crate) fn bytes(&self) -> Result<u64, FormatsError> {
        let refused = |reason: String| FormatsError::Tensor { tensor: self.name.clone(), reason };
        let columns = columns(&self.parts[0].tensor);
        let row = self.format.bytes_for(columns).map_err(|error| refused(error.to_string()))?;
        let rows: u64 = self.parts.iter().map(|part| part.rows).sum();
        row.checked_mul(rows).ok_or_else(|| refused("it has more bytes than 64 bits can count".to_owned()))
    }

    /// The pieces in which it is encoded, in their order; one without rows where it has none.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        let last = self.parts.len() - 1;
        self.parts.iter().enumerate().flat_map(move |(index, part)| {
            // What lies in another order is read by whole heads.
            let unit = if let Rows::Interleaved { head } = part.order { head } else { 1 };
            let step = (CHUNK / columns(&part.tensor) / unit).max(1) * unit;
            let count = part.rows.div_ceil(step).max(1);
            (0..count).map(move |number| {
                let first = number * step;
                let rows = step.min(part.rows - first);
                Chunk { part: index, first, rows, last: index == last && number + 1 == count }
            })
        })
    }

    /// The bytes of a chunk.
    ///
    /// # Errors
    /// What `source` reports.
    pub(crate) fn encode(
        &self,
        chunk: &Chunk,
        source: &dyn TensorSource,
        buffers: &mut Buffers,
    ) -> Result<Vec<u8>, FormatsError> {
        let part = &self.parts[chunk.part];
        let row_bytes = row_bytes(self.format, columns(&part.tensor)) as usize;
        let mut bytes = vec![0; chunk.rows as usize * row_bytes];
        let Rows::Interleaved { .. } = part.order else {
            part.fetch(source, self.format, chunk.first, &mut buffers.values, &mut bytes)?;
            return Ok(bytes);
        };
        buffers.rows.resize(bytes.len(), 0);
        part.fetch(source, self.format, chunk.first, &mut buffers.values, &mut buffers.rows)?;
        for (row, stored) in (0..).zip(buffers.rows.chunks_exact(row_bytes)) {
            let place = part.order.of(row) as usize * row_bytes;
            bytes[place..place + row_bytes].copy_from_slice(stored);
        }
        Ok(bytes)
    }
}

/// Rows of a tensor that are encoded together.
#[derive(Debug)]
pub(crate) struct Chunk {
    part: usize,
    /// The first of them in its part.
    first: u64,
    rows: u64,
    last: bool,
}

impl Chunk {
    /// Whether its tensor ends with it.
    pub(crate) fn is_last(&self) -> bool {
        self.last
    }
}

/// What is used again from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    values: Vec<f32>,
    rows: Vec<u8>,
}

impl Part {
    /// Encodes the part's rows from `first` on.
    fn fetch(
        &self,
        source: &dyn TensorSource,
        format: NumberFormat,
        first: u64,
        values: &mut Vec<f32>,
        bytes: &mut [u8],
    ) -> Result<(), FormatsError> {
        let first = self.first + first;
        let as_stored = self.offset == source.stored_offset(&self.tensor);
        if as_stored && source.read_encoded(&self.tensor, format, first, bytes)? {
            return Ok(());
        }
        let codec = codec(format);
        let columns = columns(&self.tensor);
        values.resize(bytes.len() / codec.block_bytes() * codec.block_values(), 0.0);
        source.read(&self.tensor, first * columns, values)?;
        if self.offset != 0.0 {
            values.iter_mut().for_each(|value| *value += self.offset);
        }
        codec.encode_row(values, bytes);
        Ok(())
    }
}

fn row_bytes(format: NumberFormat, columns: u64) -> u64 {
    columns / format.block_values() * format.block_bytes()
}

fn codec(format: NumberFormat) -> WeightFormat {
    let known = WeightFormat::ALL.into_iter().find(|codec| codec.name() == format.name());
    known.expect("every number format has kernels, and so a codec")
}

/// What is added to the values of a tensor in files that hold `offset` added to the weights of norms.
pub(crate) fn norm_offset(offset: f32) -> impl Fn(&Tensor) -> f32 {
    move |tensor| {
        if tensor.role.is_norm() && tensor.part == TensorPart::Weight { offset } else { 0.0 }
    }
}

/// Why a tensor could not be written.
#[derive(Debug)]
pub(crate) enum WriteFailed {
    /// Its source failed.
    Source(FormatsError),
    /// The file did.
    File(std::io::Error),
}

impl From<FormatsError> for WriteFailed {
    fn from(error: FormatsError) -> Self {
        Self::Source(error)
    }
}
