//! What one step of a plan moves and computes: bytes and operations, from the descriptors alone.

use crate::{Plan, Shape, Step};
use slimfit_kernels::{Experts, Operation};
use slimfit_quantity::NumberFormat;

/// Bytes and operations of one step. A multiply-add counts 2.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Bytes of weights read, once however many tokens share them.
    pub weight_bytes: f64,
    /// Bytes of the KV cache read, once for all tokens of the step.
    pub kv_read_bytes: f64,
    /// Bytes of the KV cache written.
    pub kv_write_bytes: f64,
    /// Bytes of activations read and written, f32.
    pub activation_bytes: f64,
    /// Arithmetic operations.
    pub flops: f64,
}

impl Traffic {
    /// All bytes together.
    pub fn bytes(&self) -> f64 {
        self.weight_bytes + self.kv_read_bytes + self.kv_write_bytes + self.activation_bytes
    }
}

impl std::ops::Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            weight_bytes: self.weight_bytes + other.weight_bytes,
            kv_read_bytes: self.kv_read_bytes + other.kv_read_bytes,
            kv_write_bytes: self.kv_write_bytes + other.kv_write_bytes,
            activation_bytes: self.activation_bytes + other.activation_bytes,
            flops: self.flops + other.flops,
        }
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(steps: I) -> Self {
        steps.fold(Self::default(), std::ops::Add::add)
    }
}

/// What `step` moves and computes when its plan is run with `shape`.
pub fn traffic(step: &Step, shape: Shape) -> Traffic {
    let tokens = Plan::tokens_of(step, shape) as f64;
    match &step.operation {
        Operation::Embed(embed) => Traffic {
            weight_bytes: tokens * stored(embed.format, embed.width),
            activation_bytes: tokens * float(embed.width),
            ..Traffic::default()
        },
        Operation::Norm(norm) => Traffic {
            weight_bytes: float(norm.width * (u64::from(norm.weight) + u64::from(norm.bias))),
            activation_bytes: tokens * float(norm.width) * if norm.accumulate.is_some() { 3.0 } else { 2.0 },
            flops: tokens * 4.0 * norm.width as f64,
            ..Traffic::default()
        },
        Operation::MatMul(product) => Traffic {
            weight_bytes: product.rows as f64 * stored(product.format, product.columns),
            activation_bytes: tokens
                * (float(product.columns)
                    + float(product.rows) * if product.accumulate.is_some() { 2.0 } else { 1.0 }),
            flops: tokens * 2.0 * product.rows as f64 * product.columns as f64,
            ..Traffic::default()
        },
        Operation::RotateStore(rotate) => {
            let values = (rotate.heads + 2 * rotate.kv_heads) * rotate.head_size;
            Traffic {
                kv_write_bytes: tokens * stored(rotate.kv_format, 2 * rotate.kv_heads * rotate.head_size),
                activation_bytes: tokens * (float(values) + float(rotate.heads * rotate.head_size)),
                flops: tokens * 3.0 * ((rotate.heads + rotate.kv_heads) * rotate.rotated) as f64,
                ..Traffic::default()
            }
        }
        Operation::Attend(attend) => Traffic {
            kv_read_bytes: shape.keys_read(attend.window) as f64
                * stored(attend.kv_format, 2 * attend.kv_heads * attend.head_size),
            activation_bytes: tokens * 2.0 * float(attend.heads * attend.head_size),
            flops: 4.0 * shape.keys_seen(attend.window) as f64 * (attend.heads * attend.head_size) as f64,
            ..Traffic::default()
        },
        Operation::Activate(activate) => Traffic {
            activation_bytes: tokens * float(activate.size) * if activate.gated { 3.0 } else { 2.0 },
            flops: tokens * activate.size as f64 * if activate.gated { 2.0 } else { 1.0 },
            ..Traffic::default()
        },
        Operation::Add(add) => Traffic {
            activation_bytes: tokens * 3.0 * float(add.width),
            flops: tokens * 2.0 * add.width as f64,
            ..Traffic::default()
        },
        Operation::Route(route) => Traffic {
            weight_bytes: float(route.experts * route.columns),
            activation_bytes: tokens * (float(route.columns) + float(route.experts)),
            flops: tokens * 2.0 * (route.experts * route.columns) as f64,
            ..Traffic::default()
        },
        Operation::Experts(experts) => {
            let up = experts.size * if experts.gated { 2 } else { 1 };
            let one = up as f64 * stored(experts.format, experts.columns)
                + experts.columns as f64 * stored(experts.format, experts.size);
            let (visited, chosen) = (visited_experts(experts, tokens), experts.top_k as f64);
            Traffic {
                weight_bytes: visited * one,
                activation_bytes: tokens * chosen * (2.0 * float(experts.columns) + 2.0 * float(up)),
                flops: tokens * chosen * 2.0 * (experts.columns * (up + experts.size)) as f64,
                ..Traffic::default()
            }
        }
    }
}

/// Different experts that so many tokens visit on average, choosing independently and evenly.
pub fn visited_experts(experts: &Experts, tokens: f64) -> f64 {
    let (all, chosen) = (experts.experts as f64, experts.top_k as f64);
    all * (1.0 - (1.0 - chosen / all).powf(tokens))
}

/// Bytes of `values` numbers stored one after the other, whole blocks or not.
fn stored(format: NumberFormat, values: u64) -> f64 {
    values as f64 * format.block_bytes() as f64 / format.block_values() as f64
}

fn float(values: u64) -> f64 {
    4.0 * values as f64
}
