//! Into how many pieces a phase of an operation is cut. Adapter to [`cuts`].

use crate::operation::{Experts, MatMul, Operation};
use crate::pool::Pieces;
use crate::{attend, cuts, matmul};

/// The pieces of phase `phase` of an operation on `tokens` tokens, with `keys` positions in the cache, these tokens'
/// included.
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
            let bytes = attend.kv_format.bytes_for(values).unwrap_or(values);
            return cuts::of_attention(attend.heads * attend.head_size, seen, bytes, tokens, workers);
        }
        Operation::Embed(embed) => embed.width,
        Operation::Norm(norm) => norm.width,
        Operation::RotateStore(rotate) => (rotate.heads + 2 * rotate.kv_heads) * rotate.head_size,
        Operation::Activate(activate) => activate.size,
        Operation::Add(add) => add.width,
        Operation::Route(route) => route.experts,
    };
    cuts::of_values(width * tokens as u64, workers)
}

fn of_product(product: &MatMul, tokens: usize, phase: usize, workers: usize) -> Pieces {
    let values = product.rows * product.columns;
    let bytes = product.format.bytes_for(values).unwrap_or(values);
    cuts::of_product((product.rows, product.columns), bytes, tokens, phase, workers)
}

fn of_experts(experts: &Experts, tokens: usize, phase: usize, workers: usize) -> Pieces {
    let values = experts.top_k * experts.size * experts.columns;
    let bytes = experts.format.bytes_for(values).unwrap_or(values);
    let shape = (experts.columns, experts.size);
    cuts::of_experts(shape, (experts.top_k, experts.experts), bytes, tokens, phase, workers)
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
        assert_eq!(pieces(&product(49_152, 576), 1, 1, 0, 2), Pieces::falling(2, 3));
        // 365 KiB: 182 each, 91 after one halving.
        assert_eq!(pieces(&product(1152, 576), 1, 1, 0, 2), Pieces::falling(2, 1));
        // No more pieces than groups of rows.
        assert_eq!(pieces(&product(64, 1 << 20), 1, 1, 0, 2), Pieces::falling(2, 1));
        assert_eq!(pieces(&product(576, 576), 512, 512, 1, 2), Pieces::falling(2, 3));
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
            assert!(of(0).count() <= cuts::most_attend_pieces(2), "{keys}");
        }
        assert_eq!(pieces(&attend, 1, 100_000, 0, 2).count(), cuts::most_attend_pieces(2));
    }
}
