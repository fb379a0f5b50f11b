//! The whole model in plain f64, straight from its [`Architecture`].
//!
//! Written to be checked against papers and published implementations by eye, and to share nothing with what it
//! judges: no plan, no kernels, no cache, no chunks. Every position attends over the whole sequence before it.

mod attention;
mod feed_forward;
mod linear;
mod rope;

pub use rope::{alibi_slopes, rope_angles};

use attention::attend;
use feed_forward::feed_forward;
use linear::{add_scaled, matrix_product, normalise};
use slimfit_arch::{Architecture, LayerRun, NormPlacement, Positions, Tensor, TensorPart, TensorRole};
use std::collections::HashMap;

/// Values of a stored tensor, row-major: `tensor.parameters()` of them.
pub type Values<'a> = dyn Fn(&Tensor) -> Vec<f32> + 'a;

/// Logits of every position, `vocabulary_size` values each, for a context of exactly these tokens.
///
/// # Panics
/// When a tensor has another number of values than its shape says, or a token is outside the vocabulary.
pub fn forward(architecture: &Architecture, values: &Values<'_>, tokens: &[u32]) -> Vec<Vec<f64>> {
    forward_in_context(architecture, values, tokens, tokens.len() as u64)
}

/// The same for a session that has room for `context` tokens: LongRoPE and dynamic scaling choose their frequencies by
/// the length of the context.
///
/// # Panics
/// As [`forward`].
pub fn forward_in_context(
    architecture: &Architecture,
    values: &Values<'_>,
    tokens: &[u32],
    context: u64,
) -> Vec<Vec<f64>> {
    let tensors = architecture
        .tensors()
        .into_iter()
        .map(|tensor| ((tensor.role, tensor.part, tensor.layer), tensor))
        .collect();
    let model = Model { architecture, values, tensors, context };
    let mut x = model.embed(tokens);
    let layers: Vec<&LayerRun> = architecture.each_layer().collect();
    for layer in architecture.execution_order() {
        x = model.layer(layers[layer as usize], layer, x);
    }
    x.iter().map(|row| model.logits(row)).collect()
}

/// The architecture and its tensors by place.
struct Model<'a> {
    architecture: &'a Architecture,
    values: &'a Values<'a>,
    tensors: HashMap<(TensorRole, TensorPart, Option<u64>), Tensor>,
    context: u64,
}

impl Model<'_> {
    /// Values of a tensor where the architecture has it.
    fn get(&self, role: TensorRole, part: TensorPart, layer: Option<u64>) -> Option<Vec<f64>> {
        let tensor = self.tensors.get(&(role, part, layer))?;
        let values = (self.values)(tensor);
        assert_eq!(values.len() as u64, tensor.parameters(), "values of `{}`", tensor.name());
        Some(values.into_iter().map(f64::from).collect())
    }

    fn weight(&self, role: TensorRole, layer: Option<u64>) -> Vec<f64> {
        self.get(role, TensorPart::Weight, layer).unwrap_or_else(|| panic!("no tensor {role:?} in {layer:?}"))
    }

    /// `W x + b` for each row, with the bias only where the tensor exists.
    fn linear(&self, role: TensorRole, layer: Option<u64>, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let weight = self.weight(role, layer);
        let bias = self.get(role, TensorPart::Bias, layer);
        x.iter()
            .map(|row| {
                let mut product = matrix_product(&weight, row);
                if let Some(bias) = &bias {
                    add_scaled(&mut product, bias, 1.0);
                }
                product
            })
            .collect()
    }

    /// The model's norm with this role's weight and bias, over each row as a whole.
    fn norm(&self, role: TensorRole, layer: Option<u64>, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let weight = self.norm_weight(role, layer);
        let bias = self.get(role, TensorPart::Bias, layer);
        x.iter()
            .map(|row| normalise(row, &self.architecture.norm, weight.as_deref(), bias.as_deref()))
            .collect()
    }

    fn norm_weight(&self, role: TensorRole, layer: Option<u64>) -> Option<Vec<f64>> {
        let mut weight = self.get(role, TensorPart::Weight, layer)?;
        if self.architecture.norm.weight_plus_one {
            weight.iter_mut().for_each(|value| *value += 1.0);
        }
        Some(weight)
    }

    fn embed(&self, tokens: &[u32]) -> Vec<Vec<f64>> {
        let architecture = self.architecture;
        let width = architecture.embedding_size.unwrap_or(architecture.hidden_size) as usize;
        let table = self.weight(TensorRole::Embedding, None);
        let scale = architecture.scales.embedding.unwrap_or(1.0);
        let mut x: Vec<Vec<f64>> = tokens
            .iter()
            .map(|&token| {
                let row = &table[token as usize * width..][..width];
                row.iter().map(|value| value * scale).collect()
            })
            .collect();
        if width as u64 != architecture.hidden_size {
            x = self.linear(TensorRole::EmbeddingIn, None, &x);
        }
        if let Positions::Learned { context, offset } = architecture.positions {
            assert!(
                tokens.len() as u64 <= context,
                "{} tokens for {context} learned positions",
                tokens.len()
            );
            let table = self.weight(TensorRole::PositionTable, None);
            let hidden = architecture.hidden_size as usize;
            for (position, row) in x.iter_mut().enumerate() {
                add_scaled(row, &table[(position + offset as usize) * hidden..][..hidden], 1.0);
            }
        }
        if architecture.embedding_norm {
            x = self.norm(TensorRole::EmbeddingNorm, None, &x);
        }
        x
    }

    fn layer(&self, run: &LayerRun, index: u64, x: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let layer = Some(index);
        let attention = |x: &[Vec<f64>]| attend(self, &run.attention, index, x);
        let ffn = |x: &[Vec<f64>]| feed_forward(self, &run.ffn, index, x);
        let norm = |role, x: &[Vec<f64>]| self.norm(role, layer, x);
        use TensorRole::{AttentionNorm, AttentionPostNorm, FfnNorm, FfnPostNorm};
        match self.architecture.norm_placement {
            NormPlacement::Pre => {
                let x = self.sum(&x, &attention(&norm(AttentionNorm, &x)));
                self.sum(&x, &ffn(&norm(FfnNorm, &x)))
            }
            NormPlacement::Post => {
                let x = norm(AttentionNorm, &self.sum(&x, &attention(&x)));
                norm(FfnNorm, &self.sum(&x, &ffn(&x)))
            }
            NormPlacement::PostBranch => {
                let x = self.sum(&x, &norm(AttentionPostNorm, &attention(&x)));
                self.sum(&x, &norm(FfnPostNorm, &ffn(&x)))
            }
            NormPlacement::Sandwich => {
                let x = self.sum(&x, &norm(AttentionPostNorm, &attention(&norm(AttentionNorm, &x))));
                self.sum(&x, &norm(FfnPostNorm, &ffn(&norm(FfnNorm, &x))))
            }
            NormPlacement::ParallelOneNorm => {
                let normed = norm(AttentionNorm, &x);
                self.sum(&self.sum(&x, &attention(&normed)), &ffn(&normed))
            }
            NormPlacement::ParallelTwoNorms => {
                let (for_attention, for_ffn) = (norm(AttentionNorm, &x), norm(FfnNorm, &x));
                self.sum(&self.sum(&x, &attention(&for_attention)), &ffn(&for_ffn))
            }
        }
    }

    /// `x + residual scale · branch`.
    fn sum(&self, x: &[Vec<f64>], branch: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let scale = self.architecture.scales.residual.unwrap_or(1.0);
        let mut sum = x.to_vec();
        for (row, addend) in sum.iter_mut().zip(branch) {
            add_scaled(row, addend, scale);
        }
        sum
    }

    fn logits(&self, x: &[f64]) -> Vec<f64> {
        let architecture = self.architecture;
        let mut x = vec![x.to_vec()];
        if architecture.final_norm {
            x = self.norm(TensorRole::FinalNorm, None, &x);
        }
        if architecture.embedding_size.is_some_and(|size| size != architecture.hidden_size) {
            x = self.linear(TensorRole::EmbeddingOut, None, &x);
        }
        let head = if architecture.tied_embeddings { TensorRole::Embedding } else { TensorRole::Head };
        let mut logits = matrix_product(&self.weight(head, None), &x[0]);
        if let Some(bias) = self.get(TensorRole::Head, TensorPart::Bias, None) {
            add_scaled(&mut logits, &bias, 1.0);
        }
        for logit in &mut logits {
            *logit *= architecture.scales.logits.unwrap_or(1.0);
            if let Some(cap) = architecture.scales.logit_softcap {
                *logit = cap * (*logit / cap).tanh();
            }
        }
        logits
    }
}
