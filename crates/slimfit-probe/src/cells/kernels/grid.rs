//! Which shapes are sampled. A series is one operation on rising numbers of tokens (or keys).

use crate::cells::Detail;
use slimfit_kernels::{
    Activate, ActivationFunction, Add, Attend, Embed, MatMul, NormFormula, NormOperation, Operation,
    QkNormKind, RotateStore,
};
use slimfit_quantity::NumberFormat;

/// One shape of the grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub operation: Operation,
    pub tokens: u64,
    /// Keys that lie in the cache before the first token.
    pub first_position: u64,
}

/// (heads, kv heads, head size): a small grouped model, a small one without groups, a larger grouped one, a tiny one, and
/// one of few wide heads.
pub(crate) const HEADS: [(u64, u64, u64); 5] =
    [(9, 3, 64), (8, 8, 64), (16, 4, 128), (4, 4, 32), (4, 4, 128)];

/// All series, for every operation that a plan can hold and that has a kernel.
pub(crate) fn series(detail: Detail) -> Vec<Vec<Shape>> {
    let full = detail == Detail::Full;
    let mut all = Vec::new();
    let mut push = |operation: Operation, tokens: &[u64]| {
        let shape = |&tokens: &u64| Shape { operation: operation.clone(), tokens, first_position: 0 };
        all.push(tokens.iter().map(shape).collect::<Vec<_>>());
    };
    let batches: &[u64] = if full { &[1, 2, 4, 8, 32, 128, 512] } else { &[1, 4, 32, 128] };
    let products: &[(u64, u64, &[u64])] = if full {
        &[
            (576, 576, batches),
            (1536, 576, batches),
            (576, 1536, batches),
            (192, 576, &[1]),
            (1536, 1536, &[1, 32]),
            // Narrow ones show what a row and a column cost beside their weights.
            (384, 128, batches),
        ]
    } else {
        &[(192, 576, &[1]), (576, 576, batches), (1536, 576, &[1, 32, 128])]
    };
    // The k formats hold rows of whole blocks of 256 only.
    let blocks: &[(u64, u64, &[u64])] = if full {
        &[
            (576, 512, batches),
            (1536, 512, batches),
            (512, 1536, batches),
            (1536, 1536, &[1, 32]),
            (192, 512, &[1]),
            (384, 256, batches),
        ]
    } else {
        &[(192, 512, &[1]), (576, 512, batches)]
    };
    for format in NumberFormat::SEARCHABLE_WEIGHTS {
        let of_k = format.block_values() == 256;
        for &(rows, columns, batches) in if of_k { blocks } else { products } {
            push(
                Operation::MatMul(MatMul {
                    rows,
                    columns,
                    format,
                    bias: false,
                    accumulate: None,
                    softcap: None,
                }),
                batches,
            );
        }
        for &width in if of_k { &[512, 2048][..widths(full).len()] } else { widths(full) } {
            push(
                Operation::Embed(Embed {
                    vocabulary: 1024,
                    width,
                    format,
                    scale: 1.0,
                    position_offset: None,
                }),
                &[1, 128],
            );
        }
    }
    for width in widths(full) {
        push(
            Operation::Norm(NormOperation {
                width: *width,
                formula: NormFormula::Rms,
                epsilon: 1e-5,
                weight: true,
                bias: false,
                accumulate: None,
            }),
            &[1, 128],
        );
        let function = ActivationFunction::Silu;
        push(Operation::Activate(Activate { size: *width, gated: true, function, scaled: false }), &[1, 128]);
        push(Operation::Add(Add { width: *width, scale: 0.5 }), &[1, 128]);
    }
    for kv_format in NumberFormat::SEARCHABLE_KV {
        for &(heads, kv_heads, head_size) in if full { &HEADS[..] } else { &HEADS[..2] } {
            for qk_norm in [QkNormKind::None, QkNormKind::PerHead] {
                push(
                    Operation::RotateStore(RotateStore {
                        heads,
                        kv_heads,
                        head_size,
                        rotated: head_size,
                        interleaved: false,
                        qk_norm,
                        norm: (NormFormula::Rms, 1e-5),
                        clip: None,
                        kv_format,
                    }),
                    &[1, 128],
                );
            }
        }
    }
    for kv_format in NumberFormat::SEARCHABLE_KV {
        for &(heads, kv_heads, head_size) in if full { &HEADS[..] } else { &HEADS[..2] } {
            let operation = attention((heads, kv_heads, head_size), kv_format);
            let shape =
                |(tokens, first_position)| Shape { operation: operation.clone(), tokens, first_position };
            // A token behind 127 and 1023 others, and prompts of 128 and 512 from the start: a long one is faster for its
            // work.
            all.push([(1, 127), (1, 1023)].map(shape).to_vec());
            let prompts: &[(u64, u64)] = if full { &[(128, 0), (512, 0)] } else { &[(128, 0)] };
            all.push(prompts.iter().copied().map(shape).collect());
        }
    }
    all
}

/// Plain attention of these heads.
pub(crate) fn attention((heads, kv_heads, head_size): (u64, u64, u64), kv_format: NumberFormat) -> Operation {
    Operation::Attend(Attend {
        heads,
        kv_heads,
        head_size,
        window: None,
        scale: 1.0 / (head_size as f32).sqrt(),
        softcap: None,
        alibi: false,
        kv_format,
    })
}

fn widths(full: bool) -> &'static [u64] {
    if full { &[576, 2048] } else { &[576] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_kernels::Kernels;

    #[test]
    fn every_shape_has_a_kernel_and_every_searchable_format_is_sampled() {
        for detail in [Detail::Full, Detail::Short] {
            let all: Vec<Shape> = series(detail).into_iter().flatten().collect();
            for shape in &all {
                Kernels::supports(&shape.operation).unwrap();
            }
            for format in NumberFormat::SEARCHABLE_WEIGHTS {
                for tokens in [1, 32] {
                    assert!(all.iter().any(|shape| shape.tokens == tokens
                        && matches!(shape.operation, Operation::MatMul(product) if product.format == format)));
                }
            }
            for format in NumberFormat::SEARCHABLE_KV {
                for tokens in [1, 128] {
                    assert!(all.iter().any(|shape| shape.tokens == tokens
                        && matches!(shape.operation, Operation::Attend(attend) if attend.kv_format == format)));
                }
            }
        }
    }
}
