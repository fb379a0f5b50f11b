//! Into how many pieces a phase is cut where workers claim them. Adapter.
//!
//! Pieces are small enough that the last one delays nobody for long, and large enough that claiming them costs little:
//! some microseconds each of what binds, bytes for one token and products for several.

use crate::operation::{Experts, MatMul, Operation};
use crate::pool::Pieces;
use crate::{attend, matmul};

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

/// The pieces of phase `phase` of an operation on `tokens` tokens, with `keys` positions in the cache, these tokens'
/// included. The same pieces in the same state of the text, whatever implementation runs.
pub fn pieces(operation: &Operation, tokens: usize, keys: usize, phase: usize, workers: usize) -> Pieces {
    let width = match operation {
        Operation::MatMul(product) => return of_product(product, tokens, phase, workers),
        Operation::Route(route) if phase < matmul::phases(tokens) => {
            return of_product(&route.product(), tokens, phase, workers);
        }
        Operation::Experts(experts) => return of_experts(experts, tokens, phase, workers),
        Operation::Attend(attend) => {
            let seen = attend::seen_keys(attend.window.map(|window| window as usize), keys) as u64;
            let values = 2 * attend.kv_heads * attend.head_size * seen;
            let each = match tokens {
                // Both phases alike: the second adds up what the shares of the first left.
                1 => attend.kv_format.bytes_for(values).unwrap_or(values) / LEAST_BYTES,
                _ => 4 * attend.heads * attend.head_size * seen * tokens as u64 / LEAST_OPERATIONS,
            };
            return equal(each, workers);
        }
        Operation::Embed(embed) => embed.width,
        Operation::Norm(norm) => norm.width,
        Operation::RotateStore(rotate) => (rotate.heads + 2 * rotate.kv_heads) * rotate.head_size,
        Operation::Activate(activate) => activate.size,
        Operation::Add(add) => add.width,
        Operation::Route(route) => route.experts,
    };
    equal(width * tokens as u64 / LEAST_VALUES, workers)
}

/// The most pieces that one token's attention is cut into, for so many workers: each leaves sums in scratch.
pub(crate) fn most_attend_pieces(workers: usize) -> usize {
    workers * MOST_EACH as usize
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

fn of_product(product: &MatMul, tokens: usize, phase: usize, workers: usize) -> Pieces {
    let values = product.rows * product.columns;
    match (tokens, phase) {
        (1, _) => {
            let bytes = product.format.bytes_for(values).unwrap_or(values);
            falling(bytes / LEAST_BYTES, product.rows, workers)
        }
        // Converts the activations.
        (_, 0) => equal(product.columns * tokens as u64 / LEAST_VALUES, workers),
        _ => falling(2 * values * tokens as u64 / LEAST_OPERATIONS, product.rows, workers),
    }
}

fn of_experts(experts: &Experts, tokens: usize, phase: usize, workers: usize) -> Pieces {
    if tokens > 1 {
        // Each expert's own share of the tokens, in phases too many to look into.
        let visits = (tokens as u64 * experts.top_k).div_ceil(experts.experts);
        return falling(
            2 * experts.size * experts.columns * visits / LEAST_OPERATIONS,
            experts.size.min(experts.columns),
            workers,
        );
    }
    if phase == 1 {
        return Pieces::equal(workers, 1);
    }
    let values = experts.top_k * experts.size * experts.columns;
    let bytes = experts.format.bytes_for(values).unwrap_or(values);
    falling(bytes / LEAST_BYTES, experts.size.min(experts.columns), workers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_quantity::NumberFormat;

    fn product(rows: u64, columns: u64) -> Operation {
        Operation::MatMul(MatMul {
            rows,
            columns,
            format: NumberFormat::Q4_0,
            bias: false,
            accumulate: None,
            softcap: None,
        })
    }

    #[test]
    fn what_is_small_is_cut_as_equal_shares_are() {
        assert_eq!(pieces(&product(64, 64), 1, 1, 0, 2).count(), 2);
        assert_eq!(pieces(&product(64, 64), 2, 2, 1, 2).count(), 2);
        let add = Operation::Add(crate::Add { width: 576, scale: 1.0 });
        assert_eq!(pieces(&add, 1, 1, 0, 3), Pieces::equal(3, 1));
    }

    #[test]
    fn what_is_large_is_cut_into_pieces_of_the_least_size_or_more() {
        // 16 MiB, of which each worker has 8: halved until the most.
        assert_eq!(pieces(&product(49_152, 576), 1, 1, 0, 2), Pieces::falling(2, MOST_HALVINGS));
        // 365 KiB: 182 each, 91 after one halving.
        assert_eq!(pieces(&product(1152, 576), 1, 1, 0, 2), Pieces::falling(2, 1));
        // No more pieces than groups of rows.
        assert_eq!(pieces(&product(64, 1 << 20), 1, 1, 0, 2), Pieces::falling(2, 1));
        assert_eq!(pieces(&product(576, 576), 512, 512, 1, 2), Pieces::falling(2, MOST_HALVINGS));
    }

    #[test]
    fn both_phases_of_one_tokens_attention_are_cut_alike() {
        let attend = Operation::Attend(crate::Attend {
            heads: 9,
            kv_heads: 3,
            head_size: 64,
            window: None,
            scale: 0.125,
            softcap: None,
            alibi: false,
            kv_format: NumberFormat::F16,
        });
        for keys in [1, 100, 1024, 100_000] {
            let of = |phase| pieces(&attend, 1, keys, phase, 2);
            assert_eq!(of(0), of(1));
            assert!(of(0).count() <= most_attend_pieces(2), "{keys}");
        }
        assert_eq!(pieces(&attend, 1, 100_000, 0, 2).count(), most_attend_pieces(2));
    }
}
