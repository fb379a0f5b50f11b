//! Whether an architecture can exist: every size, every constant, every pair that must fit together.

use crate::{
    Architecture, ArchitectureError, Attention, FeedForward, Loops, Mlp, Moe, NormKind, Positions, Rope,
    RopeScaling,
};
use std::fmt::Display;

/// Layers that may be stored: far past every real model, and small enough that an inventory always fits in memory.
pub const MAX_STORED_LAYERS: u64 = 1 << 16;
/// Layers that may be executed, loops unrolled.
pub const MAX_EXECUTED_LAYERS: u64 = 1 << 20;

type Checked = Result<(), ArchitectureError>;

/// Where a field stands. Formatted only when something is wrong, since a search validates millions of points.
#[derive(Clone, Copy)]
struct Place {
    run: Option<usize>,
    parent: &'static str,
}

const TOP: Place = Place { run: None, parent: "" };

impl Place {
    const fn inside(self, parent: &'static str) -> Self {
        Self { run: self.run, parent }
    }

    fn refuse(self, field: &str, found: impl Display, allowed: impl Display) -> ArchitectureError {
        let layer = self.run.map_or(String::new(), |run| format!("layers[{run}]."));
        let field = format!("{layer}{}{field}", self.parent);
        ArchitectureError::Field { field, found: found.to_string(), allowed: allowed.to_string() }
    }

    fn at_least_one(self, field: &str, found: u64) -> Checked {
        if found == 0 { Err(self.refuse(field, 0, "1 or more")) } else { Ok(()) }
    }

    fn positive(self, field: &str, found: f64) -> Checked {
        if found.is_finite() && found > 0.0 {
            Ok(())
        } else {
            Err(self.refuse(field, found, "a finite number above 0"))
        }
    }

    fn positive_if_some(self, field: &str, found: Option<f64>) -> Checked {
        found.map_or(Ok(()), |found| self.positive(field, found))
    }
}

impl Architecture {
    /// Checks every field and every pair of fields that must fit together.
    ///
    /// # Errors
    /// [`ArchitectureError::Field`] names the first impossible field by its path, what it holds and what it may hold;
    /// [`ArchitectureError::Overflow`] says which count does not fit 64 bits.
    pub fn validate(&self) -> Result<(), ArchitectureError> {
        TOP.at_least_one("hidden_size", self.hidden_size)?;
        TOP.at_least_one("vocabulary_size", self.vocabulary_size)?;
        if let Some(size) = self.embedding_size {
            TOP.at_least_one("embedding_size", size)?;
        }
        self.validate_depth()?;
        for (index, run) in self.layers.iter().enumerate() {
            let place = Place { run: Some(index), parent: "" };
            validate_attention(&run.attention, place)?;
            match &run.ffn {
                FeedForward::Dense(mlp) => validate_mlp(mlp, place.inside("ffn."))?,
                FeedForward::Moe(moe) => validate_moe(moe, place.inside("ffn."))?,
            }
        }
        if let Positions::Learned { context, offset } = self.positions {
            TOP.at_least_one("positions.context", context)?;
            if context.checked_add(offset).is_none() {
                let allowed = "a sum with `positions.context` within 64 bits";
                return Err(TOP.refuse("positions.offset", offset, allowed));
            }
        }
        self.validate_constants()?;
        let parameters = self.checked_parameters()?;
        if parameters.total.checked_mul(4).is_none() {
            return Err(ArchitectureError::Overflow { what: "its bytes" });
        }
        match self.kv_tally().total().and_then(|values| values.checked_mul(4)) {
            Some(_) => Ok(()),
            None => Err(ArchitectureError::Overflow { what: "the bytes of its KV cache" }),
        }
    }

    fn validate_depth(&self) -> Checked {
        if self.layers.is_empty() {
            return Err(TOP.refuse("layers", "empty", "1 or more layers"));
        }
        for (index, run) in self.layers.iter().enumerate() {
            Place { run: Some(index), parent: "" }.at_least_one("repeat", run.repeat)?;
        }
        let depth = self.depth();
        if depth > MAX_STORED_LAYERS {
            let allowed = format!("at most {MAX_STORED_LAYERS} layers in all");
            return Err(TOP.refuse("layers", format!("{depth} layers"), allowed));
        }
        let Some(Loops { first, layers, count, .. }) = self.loops else { return Ok(()) };
        let place = TOP.inside("loops.");
        if first >= depth {
            return Err(place.refuse("first", first, format!("0 to {} (the last layer)", depth - 1)));
        }
        if layers == 0 || layers > depth - first {
            return Err(place.refuse("layers", layers, format!("1 to {} from layer {first}", depth - first)));
        }
        place.at_least_one("count", count)?;
        match layers.checked_mul(count) {
            Some(executed) if executed <= MAX_EXECUTED_LAYERS => Ok(()),
            _ => {
                let allowed = format!("at most {} passes of {layers} layers", MAX_EXECUTED_LAYERS / layers);
                Err(place.refuse("count", count, allowed))
            }
        }
    }

    fn validate_constants(&self) -> Checked {
        let epsilon = self.norm.epsilon;
        if !epsilon.is_finite() || epsilon < 0.0 {
            return Err(TOP.refuse("norm.epsilon", epsilon, "a finite number, 0 or above"));
        }
        if self.norm.weight_plus_one && self.norm.kind == NormKind::LayerPlain {
            let allowed = "false where the norm stores no weight";
            return Err(TOP.refuse("norm.weight_plus_one", true, allowed));
        }
        let place = TOP.inside("scales.");
        place.positive_if_some("embedding", self.scales.embedding)?;
        place.positive_if_some("residual", self.scales.residual)?;
        place.positive_if_some("logits", self.scales.logits)?;
        place.positive_if_some("logit_softcap", self.scales.logit_softcap)
    }
}

fn validate_attention(attention: &Attention, place: Place) -> Checked {
    let place = place.inside("attention.");
    let Attention { heads, kv_heads, head_size, .. } = *attention;
    place.at_least_one("heads", heads)?;
    place.at_least_one("kv_heads", kv_heads)?;
    place.at_least_one("head_size", head_size)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(place.refuse("kv_heads", kv_heads, format!("a divisor of `heads`, which is {heads}")));
    }
    if let Some(window) = attention.window {
        place.at_least_one("window", window)?;
    }
    if let Some(rope) = &attention.rope {
        validate_rope(rope, head_size, place)?;
    }
    place.positive_if_some("scale", attention.scale)?;
    place.positive_if_some("softcap", attention.softcap)?;
    place.positive_if_some("qkv_clip", attention.qkv_clip)
}

fn validate_rope(rope: &Rope, head_size: u64, place: Place) -> Checked {
    let rotated = rope.rotated.unwrap_or(head_size);
    if rotated == 0 || rotated > head_size || !rotated.is_multiple_of(2) {
        return Err(if rope.rotated.is_some() {
            let allowed = format!("an even number from 2 to the head size {head_size}");
            place.inside("attention.rope.").refuse("rotated", rotated, allowed)
        } else {
            place.refuse("head_size", head_size, "an even number where all of a head rotates")
        });
    }
    place.inside("attention.rope.").positive("base", rope.base)?;
    let place = place.inside("attention.rope.scaling.");
    match &rope.scaling {
        None => Ok(()),
        Some(RopeScaling::Linear { factor }) => place.positive("factor", *factor),
        Some(RopeScaling::Dynamic { factor, original_context }) => {
            place.positive("factor", *factor)?;
            place.at_least_one("original_context", *original_context)?;
            if rotated < 4 {
                return Err(place.refuse(
                    "kind",
                    "dynamic",
                    "another kind where fewer than 4 values of a head rotate",
                ));
            }
            Ok(())
        }
        Some(RopeScaling::Llama3 {
            factor,
            low_frequency_factor,
            high_frequency_factor,
            original_context,
        }) => {
            place.positive("factor", *factor)?;
            place.positive("low_frequency_factor", *low_frequency_factor)?;
            place.positive("high_frequency_factor", *high_frequency_factor)?;
            if high_frequency_factor <= low_frequency_factor {
                let allowed = format!("above `low_frequency_factor`, which is {low_frequency_factor}");
                return Err(place.refuse("high_frequency_factor", high_frequency_factor, allowed));
            }
            place.at_least_one("original_context", *original_context)
        }
        Some(RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor }) => {
            place.positive("factor", *factor)?;
            place.positive("beta_fast", *beta_fast)?;
            place.positive("beta_slow", *beta_slow)?;
            if beta_fast <= beta_slow {
                return Err(place.refuse(
                    "beta_fast",
                    beta_fast,
                    format!("above `beta_slow`, which is {beta_slow}"),
                ));
            }
            place.at_least_one("original_context", *original_context)?;
            place.positive_if_some("attention_factor", *attention_factor)
        }
        Some(RopeScaling::LongRope { short_factor, long_factor, original_context, attention_factor }) => {
            for (field, list) in [("short_factor", short_factor), ("long_factor", long_factor)] {
                if list.len() as u64 != rotated / 2 {
                    let allowed = format!("{} divisors, one for each rotated pair", rotated / 2);
                    return Err(place.refuse(field, format!("a list of {}", list.len()), allowed));
                }
                list.iter().try_for_each(|&factor| place.positive(field, factor))?;
            }
            place.at_least_one("original_context", *original_context)?;
            place.positive("attention_factor", *attention_factor)
        }
    }
}

fn validate_mlp(mlp: &Mlp, place: Place) -> Checked {
    place.at_least_one("size", mlp.size)
}

fn validate_moe(moe: &Moe, place: Place) -> Checked {
    place.at_least_one("experts", moe.experts)?;
    if moe.top_k == 0 || moe.top_k > moe.experts {
        return Err(place.refuse("top_k", moe.top_k, format!("1 to `experts`, which is {}", moe.experts)));
    }
    place.at_least_one("expert_size", moe.expert_size)?;
    if moe.shared_gate && moe.shared_size == 0 {
        return Err(place.refuse("shared_gate", true, "false where `shared_size` is 0"));
    }
    Ok(())
}
