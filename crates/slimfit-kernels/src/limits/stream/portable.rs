//! Streams in plain Rust, vectorised by the compiler for the architecture's baseline.

use super::{BLOCK, STRIDED_BLOCK, STRIDED_HEADS, STRIDED_ROW_BYTES, forget, part_words, xor_bits};

pub(super) fn read<const S: usize>(buffer: &[f64], passes: usize) -> u64 {
    let part = part_words::<S>(buffer.len());
    let parts: [&[f64]; S] = std::array::from_fn(|stream| &buffer[stream * part..][..part]);
    // 16 words under way per stream; two lines of 64 bytes.
    let (mut sums, mut rest) = ([[0_u64; 16]; S], 0);
    for _ in 0..passes {
        forget();
        for start in (0..part).step_by(BLOCK) {
            for step in (start..start + BLOCK).step_by(16) {
                for (sum, part) in sums.iter_mut().zip(&parts) {
                    for (lane, word) in sum.iter_mut().zip(&part[step..step + 16]) {
                        *lane ^= word.to_bits();
                    }
                }
            }
        }
        rest ^= xor_bits(&buffer[S * part..]);
    }
    sums.iter().flatten().fold(rest, |bits, lane| bits ^ lane)
}

pub(super) fn strided(buffer: &[f64], passes: usize) -> u64 {
    const ROW: usize = STRIDED_ROW_BYTES / 8;
    let (rows, rest) = buffer.split_at(buffer.len() / STRIDED_BLOCK * STRIDED_BLOCK);
    let (mut sums, mut left) = ([0_u64; ROW], 0);
    for _ in 0..passes {
        forget();
        for head in 0..STRIDED_HEADS {
            for row in rows.as_chunks::<ROW>().0.iter().skip(head).step_by(STRIDED_HEADS) {
                for (sum, word) in sums.iter_mut().zip(row) {
                    *sum ^= word.to_bits();
                }
            }
        }
        left ^= xor_bits(rest);
    }
    sums.iter().fold(left, |bits, sum| bits ^ sum)
}

pub(super) fn copy(to: &mut [f64], from: &[f64]) {
    let (to_chunks, to_rest) = to.as_chunks_mut::<16>();
    let (from_chunks, from_rest) = from.as_chunks::<16>();
    for (to, from) in to_chunks.iter_mut().zip(from_chunks) {
        *to = *from;
        // Keeps the loop from becoming a call of `memcpy`, whose stores may pass the caches by.
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

pub(super) fn triad(to: &mut [f64], b: &[f64], c: &[f64], s: f64) {
    for ((to, b), c) in to.iter_mut().zip(b).zip(c) {
        *to = *b + s * *c;
    }
}
