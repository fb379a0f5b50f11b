//! The steps of one attention: fused projection, rotation and store, attention, output.

use super::{Branch, Builder};
use crate::slots::{Buffer, KvSlot, RopeSlot};
use crate::{ModelPart, PlanError, PlanOptions, Step, TokenRows};
use slimfit_arch::{Attention, NormKind, Positions, QkNorm, RopeScaling, TensorRole};
use slimfit_kernels::{Attend, Operation, QkNormKind, RotateStore};

impl Builder<'_> {
    pub(super) fn attention(&mut self, attention: &Attention, branch: Branch) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let (query, kv) = (attention.query_size(), attention.kv_size());
        let parts = [TensorRole::Query, TensorRole::Key, TensorRole::Value];
        let fused =
            Branch { input: branch.input, output: Buffer::Projected, accumulate: None, rows: TokenRows::All };
        self.product("qkv", &parts, query + 2 * kv, hidden, attention.bias.qkv, fused, None)?;

        self.part = ModelPart::Mixing;
        let (format, columns) = (self.plan.options.kv, attention.head_size);
        format.bytes_for(columns).map_err(|source| PlanError::Format {
            label: "kv_cache",
            columns,
            source,
        })?;
        let kv_slot = self.plan.kv.len();
        let PlanOptions { context, chunk, .. } = self.plan.options;
        self.plan.kv.push(KvSlot {
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            window: attention.window,
            positions: KvSlot::positions_for(attention.window, context, chunk),
            format: self.plan.options.kv,
        });
        if let Some(RopeScaling::Dynamic { .. }) =
            attention.rope.as_ref().and_then(|rope| rope.scaling.as_ref())
        {
            return Err(PlanError::NoKernel {
                what: "dynamic rotary scaling, which depends on the length of the text,",
            });
        }
        let rope = attention.rope.as_ref().map(|rope| {
            let slot = RopeSlot { rope: rope.clone(), rotated: rope.rotated.unwrap_or(attention.head_size) };
            self.plan.ropes.iter().position(|known| *known == slot).unwrap_or_else(|| {
                self.plan.ropes.push(slot);
                self.plan.ropes.len() - 1
            })
        });
        let rotated = rope.map_or(0, |id| self.plan.ropes[id].rotated);
        let (formula, epsilon, _) = self.norm_formula();
        let qk_norm = match attention.qk_norm {
            QkNorm::None => QkNormKind::None,
            QkNorm::PerHead => QkNormKind::PerHead,
            QkNorm::EachHead => QkNormKind::EachHead,
            QkNorm::AllHeads => QkNormKind::AllHeads,
            QkNorm::PerHeadAfterRotation => {
                return Err(PlanError::NoKernel { what: "a query and key norm after the rotation" });
            }
        };
        let vectors = match attention.qk_norm {
            QkNorm::None => [None; 4],
            QkNorm::EachHead => [
                Some(self.norm_vector(TensorRole::QueryNorm, query)),
                None,
                Some(self.norm_vector(TensorRole::KeyNorm, kv)),
                None,
            ],
            QkNorm::PerHead | QkNorm::PerHeadAfterRotation | QkNorm::AllHeads => {
                match self.architecture.norm.kind {
                    NormKind::Layer => {
                        return Err(PlanError::NoKernel { what: "a bias on the norm of queries and keys" });
                    }
                    NormKind::LayerPlain => {
                        return Err(PlanError::NoKernel {
                            what: "a norm of queries and keys without weights",
                        });
                    }
                    NormKind::Rms | NormKind::LayerNoBias => {}
                }
                let all = attention.qk_norm == QkNorm::AllHeads;
                let (query, kv) = if all { (query, kv) } else { (attention.head_size, attention.head_size) };
                let [query_weight, query_bias] = self.norm_vectors(TensorRole::QueryNorm, query);
                let [key_weight, key_bias] = self.norm_vectors(TensorRole::KeyNorm, kv);
                [query_weight, query_bias, key_weight, key_bias]
            }
        };
        if vectors[1].is_some() || vectors[3].is_some() {
            return Err(PlanError::NoKernel { what: "a query and key norm with a bias" });
        }
        let kv_format = self.plan.options.kv;
        let rotate = RotateStore {
            heads: attention.heads,
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            rotated,
            interleaved: attention.rope.as_ref().is_some_and(|rope| rope.interleaved),
            qk_norm,
            norm: (formula, epsilon),
            clip: attention.qkv_clip.map(|clip| clip as f32),
            kv_format,
        };
        self.push(Step {
            vectors,
            kv: Some(kv_slot),
            rope,
            ..self.step("rotate_store", Operation::RotateStore(rotate), Buffer::Projected, Buffer::Projected)
        });
        let attend = Attend {
            heads: attention.heads,
            kv_heads: attention.kv_heads,
            head_size: attention.head_size,
            window: attention.window,
            scale: attention.scale.unwrap_or_else(|| 1.0 / (attention.head_size as f64).sqrt()) as f32,
            softcap: attention.softcap.map(|cap| cap as f32),
            alibi: self.architecture.positions == Positions::Alibi,
            kv_format,
        };
        self.widen(Buffer::Mixed, query);
        self.push(Step {
            kv: Some(kv_slot),
            ..self.step("attention", Operation::Attend(attend), Buffer::Projected, Buffer::Mixed)
        });
        self.part = ModelPart::Projections;
        let out = Branch { input: Buffer::Mixed, ..branch };
        self.product(
            "attention_output",
            &[TensorRole::AttentionOutput],
            hidden,
            query,
            attention.bias.output,
            out,
            None,
        )
    }
}
