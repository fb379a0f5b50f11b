//! The tensors of a file, encoded on all cores and written in their order.
//!
//! Workers take chunks of rows in turn and hand each on through a channel of their own, from which the writer takes them in
//! the same turn. The bytes are those of a single thread, since a chunk depends on nothing but its source; and no more than
//! three chunks of each worker are held.

#[cfg(test)]
mod tests;

use super::layout::{Buffers, Chunk, StoredTensor, WriteFailed};
use crate::{FormatsError, TensorSource};
use std::io::{Error, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// More workers than a writer, which hashes what it writes, can follow.
const MOST_WORKERS: usize = 16;

/// Writes tensors one after another; `after` ends each.
pub(crate) fn write_tensors(
    tensors: &[StoredTensor],
    source: &dyn TensorSource,
    file: &mut dyn Write,
    after: impl Fn(&mut dyn Write, &StoredTensor) -> Result<(), WriteFailed>,
) -> Result<(), WriteFailed> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS);
    write_on(workers, tensors, source, file, after)
}

pub(super) fn write_on(
    workers: usize,
    tensors: &[StoredTensor],
    source: &dyn TensorSource,
    file: &mut dyn Write,
    after: impl Fn(&mut dyn Write, &StoredTensor) -> Result<(), WriteFailed>,
) -> Result<(), WriteFailed> {
    let chunks: Vec<(&StoredTensor, Chunk)> =
        tensors.iter().flat_map(|tensor| tensor.chunks().map(move |chunk| (tensor, chunk))).collect();
    let workers = workers.min(chunks.len());
    std::thread::scope(|scope| {
        let encoded: Vec<Receiver<_>> = (0..workers)
            .map(|first| {
                let (sender, receiver) = sync_channel(1);
                let own = chunks.iter().skip(first).step_by(workers);
                scope.spawn(move || encode(own, source, &sender));
                receiver
            })
            .collect();
        // Returning drops the receivers, and workers stop when nobody listens.
        for (index, (tensor, chunk)) in chunks.iter().enumerate() {
            let Ok(bytes) = encoded[index % workers].recv() else {
                // Its worker panicked, and so does the scope when it ends.
                return Err(WriteFailed::File(Error::other("a worker ended before its last chunk")));
            };
            file.write_all(&bytes?).map_err(WriteFailed::File)?;
            if chunk.is_last() {
                after(file, tensor)?;
            }
        }
        Ok(())
    })
}

/// Encodes a worker's chunks, until one fails or the writer is gone.
fn encode<'a>(
    chunks: impl Iterator<Item = &'a (&'a StoredTensor, Chunk)>,
    source: &dyn TensorSource,
    sender: &SyncSender<Result<Vec<u8>, FormatsError>>,
) {
    let mut buffers = Buffers::default();
    for (tensor, chunk) in chunks {
        let bytes = tensor.encode(chunk, source, &mut buffers);
        let failed = bytes.is_err();
        if sender.send(bytes).is_err() || failed {
            return;
        }
    }
}
