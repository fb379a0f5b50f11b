//! OpenELM: heads and feed-forward sizes that grow from layer to layer.

use super::decoder::{Decoded, activation, depth, fold, model, plain_attention};
use super::fields::Fields;
use crate::FormatsError;
use slimfit_arch::{Attention, FeedForward, Mlp, Norm, NormKind, QkNorm, Rope};

/// `openelm`, as its authors' configs list it layer by layer.
pub(super) fn openelm(fields: &Fields) -> Result<Decoded, FormatsError> {
    let hidden = fields.size("model_dim", 2048)?;
    let depth = depth(fields, "num_transformer_layers", 12)?;
    let head_size = fields.size("head_dim", 128)?;
    let context = fields.size("max_context_length", 2048)?;
    let per_layer = |name: &str| {
        let list = fields.sizes(name)?.ok_or_else(|| fields.refuse(name, "nothing", "a list of heads"))?;
        check_length(fields, name, list.len(), depth)?;
        Ok::<_, FormatsError>(list)
    };
    let heads = per_layer("num_query_heads")?;
    let kv_heads = per_layer("num_kv_heads")?;
    // Both lists follow from these two.
    fields.ignore(&["qkv_multipliers", "num_gqa_groups"]);
    let multipliers = fields
        .numbers("ffn_multipliers")?
        .ok_or_else(|| fields.refuse("ffn_multipliers", "nothing", "a list of multipliers"))?;
    check_length(fields, "ffn_multipliers", multipliers.len(), depth)?;
    let divisor = fields.size("ffn_dim_divisor", 256)?;
    if divisor == 0 {
        return Err(fields.refuse("ffn_dim_divisor", 0, "1 or more"));
    }
    let gated = fields.flag("ffn_with_glu", true)?;
    let activation = activation(fields, "activation_fn_name", "swish")?;
    let qk_norm =
        if fields.flag("normalize_qk_projections", false)? { QkNorm::PerHead } else { QkNorm::None };
    fields.must_be("normalization_layer_name", "rms_norm", "the only norm of this family")?;
    let base = fields.number("rope_freq_constant", 10_000.0)?;
    fields.ignore(&["rope_max_length"]);
    let layers = fold(depth, |index| {
        let index = index as usize;
        let rope = Rope { base, rotated: None, interleaved: false, scaling: None };
        let plain = plain_attention(heads[index], kv_heads[index], head_size);
        let size = divisible(multipliers[index] * hidden as f64, divisor);
        let ffn = FeedForward::Dense(Mlp { size, gated, activation, bias: false });
        Ok((Attention { rope: Some(rope), qk_norm, ..plain }, ffn))
    })?;
    let mut architecture = model(hidden, fields.size("vocab_size", 32_000)?, layers);
    architecture.tied_embeddings = fields.flag("share_input_output_layers", false)?;
    // The head is the table where layers are shared, whatever this says.
    fields.ignore(&["tie_word_embeddings"]);
    architecture.norm = Norm { kind: NormKind::Rms, epsilon: 1e-6, weight_plus_one: false };
    Ok(Decoded { architecture, context: Some(context) })
}

fn check_length(fields: &Fields, name: &str, length: usize, depth: u64) -> Result<(), FormatsError> {
    if length as u64 == depth {
        return Ok(());
    }
    Err(fields.refuse(name, format!("a list of {length}"), format!("{depth} entries, one for each layer")))
}

/// The nearest multiple of `divisor`, at least one of them and never more than a tenth below.
fn divisible(size: f64, divisor: u64) -> u64 {
    let nearest = ((size + divisor as f64 / 2.0) as u64 / divisor * divisor).max(divisor);
    if (nearest as f64) < 0.9 * size { nearest.saturating_add(divisor) } else { nearest }
}
