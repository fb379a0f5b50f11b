//! From an architecture to steps: which operations a layer consists of, and what is fused.
//!
//! Fused: q, k and v are one matrix; gate and up are one matrix; a branch's last product adds straight into the
//! residual stream; norms of q and k, rotation and the cache's write are one operation.

mod attention;
mod ffn;
mod parts;

use crate::slots::Buffer;
use crate::{ModelPart, Plan, PlanError, PlanOptions, Step, TokenRows, WeightFormats};
use slimfit_arch::{Architecture, LayerRun, NormKind, NormPlacement, Positions, TensorPart, TensorRole};
use slimfit_kernels::{Embed, Operation};
use std::collections::HashMap;

/// Rotary tables, vectors and matrices are made once for each stored layer, however often it runs.
pub(crate) struct Builder<'a> {
    architecture: &'a Architecture,
    plan: Plan,
    widths: HashMap<Buffer, u64>,
    residual: Buffer,
    layer: Option<u64>,
    part: ModelPart,
    matrix_ids: HashMap<(Option<u64>, &'static str), usize>,
    vector_ids: HashMap<(Option<u64>, TensorRole, TensorPart), usize>,
}

/// Where a branch's last product goes.
#[derive(Clone, Copy)]
struct Branch {
    input: Buffer,
    output: Buffer,
    accumulate: Option<f32>,
    rows: TokenRows,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(architecture: &'a Architecture, options: PlanOptions, formats: WeightFormats) -> Self {
        let plan = Plan {
            options,
            formats,
            matrices: Vec::new(),
            vectors: Vec::new(),
            ropes: Vec::new(),
            kv: Vec::new(),
            buffers: Vec::new(),
            steps: Vec::new(),
        };
        Self {
            architecture,
            plan,
            widths: HashMap::new(),
            residual: Buffer::Residual,
            layer: None,
            part: ModelPart::Outer,
            matrix_ids: HashMap::new(),
            vector_ids: HashMap::new(),
        }
    }

    pub(crate) fn build(mut self) -> Result<Plan, PlanError> {
        self.embedding()?;
        let layers: Vec<&LayerRun> = self.architecture.each_layer().collect();
        for index in self.architecture.execution_order() {
            self.layer = Some(index);
            self.part = ModelPart::Projections;
            self.layer(layers[index as usize])?;
        }
        self.layer = None;
        self.part = ModelPart::Outer;
        self.head()?;
        let mut buffers: Vec<(Buffer, u64)> = self.widths.into_iter().collect();
        buffers.sort_unstable();
        self.plan.buffers = buffers;
        Ok(self.plan)
    }

    fn embedding(&mut self) -> Result<(), PlanError> {
        let (hidden, vocabulary) = (self.architecture.hidden_size, self.architecture.vocabulary_size);
        let width = self.architecture.embedding_size.unwrap_or(hidden);
        let table = self.matrix("embedding", &[TensorRole::Embedding], vocabulary, width, 1)?;
        let (positions, position_offset) = match self.architecture.positions {
            Positions::Learned { offset, context } => {
                let id = self
                    .vector(&[(TensorRole::PositionTable, TensorPart::Weight)], (offset + context) * hidden);
                (Some(id), Some(offset))
            }
            Positions::None | Positions::Alibi => (None, None),
            Positions::ScaledAlibi => return Err(PlanError::NoKernel { what: "a scaled ALiBi bias" }),
        };
        let factorised = width != hidden;
        if factorised && positions.is_some() {
            // OPT-350m projects first and adds positions after; a gather cannot do both.
            return Err(PlanError::NoKernel {
                what: "a learned position table beside factorised embeddings",
            });
        }
        let output = if factorised { Buffer::Branch } else { self.residual };
        let format = self.plan.matrices[table].format;
        let scale = self.architecture.scales.embedding.unwrap_or(1.0) as f32;
        self.widen(output, width);
        self.push(Step {
            matrix: Some(table),
            vectors: [positions, None, None, None],
            ..self.step(
                "embedding",
                Operation::Embed(Embed { vocabulary, width, format, scale, position_offset }),
                output,
                output,
            )
        });
        if factorised {
            let into = Branch {
                input: Buffer::Branch,
                output: self.residual,
                accumulate: None,
                rows: TokenRows::All,
            };
            self.product("embedding_in", &[TensorRole::EmbeddingIn], hidden, width, false, into, None)?;
        }
        if self.architecture.embedding_norm {
            self.replace_residual("embedding_norm", TensorRole::EmbeddingNorm);
        }
        Ok(())
    }

    fn layer(&mut self, layer: &LayerRun) -> Result<(), PlanError> {
        let scale = self.architecture.scales.residual.unwrap_or(1.0) as f32;
        let residual = self.residual;
        let add = |input| Branch { input, output: residual, accumulate: Some(scale), rows: TokenRows::All };
        match self.architecture.norm_placement {
            NormPlacement::Pre => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.norm("ffn_norm", TensorRole::FfnNorm, residual, Buffer::Normed, None, TokenRows::All);
                self.ffn(&layer.ffn, add(Buffer::Normed))
            }
            NormPlacement::Post => {
                self.attention(&layer.attention, add(residual))?;
                self.replace_residual("attention_norm", TensorRole::AttentionNorm);
                let into = Branch {
                    input: self.residual,
                    output: self.residual,
                    accumulate: Some(scale),
                    rows: TokenRows::All,
                };
                self.ffn(&layer.ffn, into)?;
                self.replace_residual("ffn_norm", TensorRole::FfnNorm);
                Ok(())
            }
            NormPlacement::PostBranch | NormPlacement::Sandwich => {
                let sandwich = self.architecture.norm_placement == NormPlacement::Sandwich;
                let branch =
                    |input| Branch { input, output: Buffer::Branch, accumulate: None, rows: TokenRows::All };
                let input = if sandwich { Buffer::Normed } else { residual };
                self.widen(Buffer::Branch, self.architecture.hidden_size);
                if sandwich {
                    self.norm(
                        "attention_norm",
                        TensorRole::AttentionNorm,
                        residual,
                        input,
                        None,
                        TokenRows::All,
                    );
                }
                self.attention(&layer.attention, branch(input))?;
                let role = TensorRole::AttentionPostNorm;
                self.norm("attention_post_norm", role, Buffer::Branch, residual, Some(scale), TokenRows::All);
                if sandwich {
                    self.norm("ffn_norm", TensorRole::FfnNorm, residual, input, None, TokenRows::All);
                }
                self.ffn(&layer.ffn, branch(input))?;
                let role = TensorRole::FfnPostNorm;
                self.norm("ffn_post_norm", role, Buffer::Branch, residual, Some(scale), TokenRows::All);
                Ok(())
            }
            NormPlacement::ParallelOneNorm => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.ffn(&layer.ffn, add(Buffer::Normed))
            }
            NormPlacement::ParallelTwoNorms => {
                self.norm(
                    "attention_norm",
                    TensorRole::AttentionNorm,
                    residual,
                    Buffer::Normed,
                    None,
                    TokenRows::All,
                );
                self.norm(
                    "ffn_norm",
                    TensorRole::FfnNorm,
                    residual,
                    Buffer::SecondNormed,
                    None,
                    TokenRows::All,
                );
                self.attention(&layer.attention, add(Buffer::Normed))?;
                self.ffn(&layer.ffn, add(Buffer::SecondNormed))
            }
        }
    }
    /// Only the last token's logits are wanted: its row becomes row 0, and the steps after work on row 0.
    fn head(&mut self) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let width = self.architecture.embedding_size.unwrap_or(hidden);
        let (mut input, mut rows) = (self.residual, TokenRows::Last);
        let scale = self.architecture.scales.logits.unwrap_or(1.0) as f32;
        let scalable = self.architecture.final_norm && self.architecture.norm.kind != NormKind::LayerPlain;
        if scale != 1.0 && !scalable {
            return Err(PlanError::NoKernel {
                what: "a factor on logits without a final norm that stores weights",
            });
        }
        if self.architecture.final_norm {
            self.norm("final_norm", TensorRole::FinalNorm, input, Buffer::Normed, None, rows);
            // W (s x) = s W x: the factor on logits is free where it scales what the norm stores.
            for id in self.norm_vectors(TensorRole::FinalNorm, hidden).into_iter().flatten() {
                self.plan.vectors[id].scale = scale;
            }
            (input, rows) = (Buffer::Normed, TokenRows::First);
        }
        if width != hidden {
            let into = Branch { input, output: Buffer::Branch, accumulate: None, rows };
            self.product("embedding_out", &[TensorRole::EmbeddingOut], width, hidden, false, into, None)?;
            (input, rows) = (Buffer::Branch, TokenRows::First);
        }
        let vocabulary = self.architecture.vocabulary_size;
        let into = Branch { input, output: Buffer::Logits, accumulate: None, rows };
        let softcap = self.architecture.scales.logit_softcap.map(|cap| cap as f32);
        let (label, role) = if self.architecture.tied_embeddings {
            ("embedding", TensorRole::Embedding)
        } else {
            ("head", TensorRole::Head)
        };
        let table = self.matrix(label, &[role], vocabulary, width, 1)?;
        let bias = self.head_bias();
        self.product_of("head", table, bias, into, softcap);
        Ok(())
    }
}
