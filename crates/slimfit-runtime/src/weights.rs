//! All weights of a model, packed for its kernels, loaded in parallel and in pieces.

use crate::{RuntimeError, TensorSource};
use slimfit_arch::{Architecture, Tensor, TensorPart, TensorRole};
use slimfit_kernels::{AlignedBytes, Isa, PackedMatrix};
use slimfit_plan::{MatrixSlot, Plan, VectorSlot};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Values that a loading thread holds unpacked at a time.
const PIECE: u64 = 1 << 16;

/// Matrices and vectors in the order of the plan's slots. A tied output head and the input table share a slot, so one
/// copy serves both.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) matrices: Vec<PackedMatrix>,
    pub(crate) vectors: Vec<Vec<f32>>,
}

type Tensors = HashMap<(TensorRole, TensorPart, Option<u64>), Tensor>;

impl Weights {
    /// Reads, encodes and packs every slot of `plan`, the matrices on as many threads as the machine has.
    pub(crate) fn load(
        architecture: &Architecture,
        plan: &Plan,
        source: &dyn TensorSource,
    ) -> Result<Self, RuntimeError> {
        let tensors: Tensors = architecture
            .tensors()
            .into_iter()
            .map(|tensor| ((tensor.role, tensor.part, tensor.layer), tensor))
            .collect();
        let vectors =
            plan.vectors.iter().map(|slot| vector(slot, &tensors, source)).collect::<Result<Vec<_>, _>>()?;
        let matrices = matrices(plan, &tensors, source)?;
        Ok(Self { matrices, vectors })
    }
}

fn find(
    tensors: &Tensors,
    role: TensorRole,
    part: TensorPart,
    layer: Option<u64>,
) -> Result<&Tensor, RuntimeError> {
    tensors.get(&(role, part, layer)).ok_or_else(|| RuntimeError::Tensor {
        tensor: Tensor { role, part, layer, shape: Vec::new() }.name(),
        reason: "the plan wants it and the architecture does not have it".to_owned(),
    })
}

fn vector(slot: &VectorSlot, tensors: &Tensors, source: &dyn TensorSource) -> Result<Vec<f32>, RuntimeError> {
    let mut values = vec![0.0; slot.values as usize];
    let mut rest = &mut values[..];
    for &(role, part) in &slot.parts {
        let tensor = find(tensors, role, part, slot.layer)?;
        let (own, others) = rest.split_at_mut(tensor.parameters() as usize);
        source.read(tensor, 0, own)?;
        rest = others;
    }
    let offset = if slot.plus_one { 1.0 } else { 0.0 };
    if slot.plus_one || slot.scale != 1.0 {
        values.iter_mut().for_each(|value| *value = (*value + offset) * slot.scale);
    }
    Ok(values)
}

fn matrices(
    plan: &Plan,
    tensors: &Tensors,
    source: &dyn TensorSource,
) -> Result<Vec<PackedMatrix>, RuntimeError> {
    // In one piece, in the order in which a step reads them: most matrices of a small model are smaller than a huge page.
    let lengths: Vec<usize> = plan.matrices.iter().map(|slot| slot.packed_bytes as usize).collect();
    let parts: Vec<Mutex<Option<AlignedBytes>>> =
        AlignedBytes::zeroed_parts(&lengths)?.into_iter().map(|part| Mutex::new(Some(part))).collect();
    // Largest first, so that no thread is left with the output head when the others are done.
    let mut order: Vec<usize> = (0..plan.matrices.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(plan.matrices[index].packed_bytes));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<PackedMatrix, RuntimeError>)>> = Mutex::new(Vec::new());
    let work = || {
        while let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let memory = parts[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            let memory = memory.expect("each matrix is loaded once");
            let packed = matrix(&plan.matrices[index], plan.options.isa, memory, tensors, source);
            if packed.is_err() {
                next.store(order.len(), Ordering::Relaxed);
            }
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, packed));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(order.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut packed = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    // An error stops the other threads early, so it may stand anywhere and the list may be short.
    if let Some(failed) = packed.iter().position(|(_, result)| result.is_err()) {
        return packed.swap_remove(failed).1.map(|_| Vec::new());
    }
    packed.sort_by_key(|(index, _)| *index);
    packed.into_iter().map(|(_, matrix)| matrix).collect()
}

fn matrix(
    slot: &MatrixSlot,
    isa: Isa,
    memory: AlignedBytes,
    tensors: &Tensors,
    source: &dyn TensorSource,
) -> Result<PackedMatrix, RuntimeError> {
    let (rows, columns) = (slot.rows as usize, slot.columns as usize);
    let stride = stride(slot, isa);
    let all_rows = if slot.count == 1 { rows } else { stride * slot.count as usize };
    let mut packed = PackedMatrix::in_memory(slot.format, all_rows, columns, isa, memory)?;
    let piece_rows = (PIECE / slot.columns).max(1);
    let mut piece = vec![0.0; (piece_rows.min(slot.rows) * slot.columns) as usize];
    let row_bytes = (slot.columns / slot.format.block_values() * slot.format.block_bytes()) as usize;
    let mut encoded = vec![0; piece_rows.min(slot.rows) as usize * row_bytes];
    for index in 0..slot.count {
        let mut row = index as usize * stride;
        for &role in &slot.parts {
            let tensor = find(tensors, role, TensorPart::Weight, slot.layer)?;
            // Of one expert where there are several: the tensor is `(count, rows, columns)` then.
            let rows = tensor.parameters() / slot.count / slot.columns;
            let mut first = 0;
            while first < rows {
                let count = piece_rows.min(rows - first);
                let bytes = &mut encoded[..count as usize * row_bytes];
                if source.read_encoded(tensor, slot.format, index * rows + first, bytes)? {
                    packed.pack_encoded_rows(row, bytes)?;
                } else {
                    let values = &mut piece[..(count * slot.columns) as usize];
                    source.read(tensor, (index * rows + first) * slot.columns, values)?;
                    packed.pack_rows(row, values)?;
                }
                row += count as usize;
                first += count;
            }
        }
    }
    Ok(packed)
}

/// Rows from one matrix of a slot to the next.
pub(crate) fn stride(slot: &MatrixSlot, isa: Isa) -> usize {
    PackedMatrix::stacked(slot.format, slot.rows as usize, isa)
}
