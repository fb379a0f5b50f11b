//! Into how many pieces a phase is cut where workers claim them.
//!
//! Pieces are small enough that the last one delays nobody for long, and large enough that claiming them costs little:
//! some microseconds each of what binds, bytes for one token and products for several. The same pieces in the same state of
//! the text, whatever implementation runs.

use crate::pool::Pieces;

/// Bytes of a matrix that one token's product reads in a piece, at least.
const LEAST_BYTES: u64 = 48 << 10;
/// Multiplications and additions of a piece, at least.
const LEAST_OPERATIONS: u64 = 4 << 20;
/// Values that an operation without a matrix writes in a piece, at least.
const LEAST_VALUES: u64 = 16 << 10;
/// Rows that no piece divides.
const GROUP_ROWS: u64 = 16;
/// The last pieces are at least a worker's equal share divided by two to this.
const MOST_HALVINGS: u32 = 3;
/// Equal pieces for each worker, at most.
const MOST_EACH: u64 = 4;

/// Of a phase that writes so many values.
pub(crate) fn of_values(values: u64, workers: usize) -> Pieces {
    equal(values / LEAST_VALUES, workers)
}

/// Of a product of `tokens` tokens with a matrix `(rows, columns)` of so many bytes.
pub(crate) fn of_product(
    (rows, columns): (u64, u64),
    bytes: u64,
    tokens: usize,
    phase: usize,
    workers: usize,
) -> Pieces {
    match (tokens, phase) {
        (1, _) => falling(bytes / LEAST_BYTES, rows, workers),
        // Converts the activations.
        (_, 0) => of_values(columns * tokens as u64, workers),
        _ => falling(2 * rows * columns * tokens as u64 / LEAST_OPERATIONS, rows, workers),
    }
}

/// Of attention of `tokens` tokens by `query_values` values of queries each, over `seen` keys: `bytes` of keys and values.
pub(crate) fn of_attention(
    query_values: u64,
    seen: u64,
    bytes: u64,
    tokens: usize,
    workers: usize,
) -> Pieces {
    let each = match tokens {
        // Both phases alike: the second adds up what the shares of the first left.
        1 => bytes / LEAST_BYTES,
        _ => 4 * query_values * seen * tokens as u64 / LEAST_OPERATIONS,
    };
    equal(each, workers)
}

/// The most pieces that one token's attention is cut into, for so many workers: each leaves sums in scratch.
pub(crate) fn most_attend_pieces(workers: usize) -> usize {
    workers * MOST_EACH as usize
}

/// Of experts `(columns, size)`, of which each token visits `top_k` of `experts`; theirs of one token have so many bytes.
pub(crate) fn of_experts(
    (columns, size): (u64, u64),
    (top_k, experts): (u64, u64),
    bytes: u64,
    tokens: usize,
    phase: usize,
    workers: usize,
) -> Pieces {
    if tokens > 1 {
        // Each expert's own share of the tokens, in phases too many to look into.
        let visits = (tokens as u64 * top_k).div_ceil(experts);
        return falling(2 * size * columns * visits / LEAST_OPERATIONS, size.min(columns), workers);
    }
    if phase == 1 {
        return Pieces::equal(workers, 1);
    }
    falling(bytes / LEAST_BYTES, size.min(columns), workers)
}

/// Equal pieces for a phase that would make so many of the least size.
fn equal(count: u64, workers: usize) -> Pieces {
    Pieces::equal(workers, (count / workers as u64).clamp(1, MOST_EACH) as usize)
}

/// Falling pieces whose last are no smaller than the least, for a phase that would make so many of that.
fn falling(count: u64, rows: u64, workers: usize) -> Pieces {
    let each = (count.min(rows / GROUP_ROWS) / workers as u64).max(1);
    Pieces::falling(workers, each.ilog2().min(MOST_HALVINGS))
}
