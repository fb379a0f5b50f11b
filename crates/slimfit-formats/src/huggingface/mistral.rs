//! Mistral: Llama with a sliding window on every layer, and Ministral, with one on some.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms, sliding_layers};
use super::fields::Fields;
use crate::FormatsError;
use slimfit_arch::Attention;

const MISTRAL: Defaults = Defaults { ffn: 14_336, kv_heads: Some(8), context: 131_072, ..LLAMA };

/// `mistral`: the window is 4096 where the config does not name it, and none where it is `null`.
pub(super) fn mistral(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, MISTRAL)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let attention = Attention { window, ..sizes.attention(Some(sizes.rope(fields)?)) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    Ok(sizes.decoded(sizes.uniform(rms(fields, MISTRAL.epsilon)?, attention, ffn)))
}

/// `ministral`: `layer_types` says which layers have the window.
pub(super) fn ministral(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, MISTRAL)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let slides = sliding_layers(fields, sizes.depth, |_| window.is_some())?;
    let rope = sizes.rope(fields)?;
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |index| {
        let window = window.filter(|_| slides[index as usize]);
        Ok((Attention { window, ..sizes.attention(Some(rope.clone())) }, ffn.clone()))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, MISTRAL.epsilon)?, layers)))
}
