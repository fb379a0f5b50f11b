//! Rotary positions as configs write them: `rope_theta` with `rope_scaling`, or the newer `rope_parameters`.

use super::fields::Fields;
use crate::FormatsError;
use slimfit_arch::{Rope, RopeScaling};

/// What a family assumes where a config says nothing, and what the formulas need from elsewhere in it.
#[derive(Clone, Copy)]
pub(super) struct RopeDefaults {
    pub(super) theta: f64,
    /// The part of a head that rotates.
    pub(super) partial: f64,
    pub(super) interleaved: bool,
    pub(super) head_size: u64,
    /// `max_position_embeddings`.
    pub(super) context: u64,
}

/// The rotation of all layers.
pub(super) fn read(fields: &Fields, defaults: RopeDefaults) -> Result<Rope, FormatsError> {
    let theta = fields.number("rope_theta", defaults.theta)?;
    let partial = fields.number("partial_rotary_factor", defaults.partial)?;
    let defaults = RopeDefaults { theta, partial, ..defaults };
    let original = fields.optional_size("original_max_position_embeddings", None)?;
    let scaling = fields.object("rope_scaling")?;
    match fields.object("rope_parameters")?.or(scaling) {
        Some(parameters) => from_parameters(&parameters, defaults, original),
        None => plain(fields, defaults),
    }
}

/// The rotation of one kind of layer, where `rope_parameters` is keyed by kind (Gemma 3, OLMo 3); none where it is not.
pub(super) fn read_of_kind(
    fields: &Fields,
    kind: &str,
    defaults: RopeDefaults,
) -> Result<Option<Rope>, FormatsError> {
    let Some(by_kind) = fields.object("rope_parameters")? else { return Ok(None) };
    match by_kind.object(kind)? {
        Some(parameters) => from_parameters(&parameters, defaults, None).map(Some),
        None => Ok(None),
    }
}

/// The rotation that one object of parameters describes.
pub(super) fn from_parameters(
    parameters: &Fields,
    defaults: RopeDefaults,
    original: Option<u64>,
) -> Result<Rope, FormatsError> {
    let theta = parameters.number("rope_theta", defaults.theta)?;
    let partial = parameters.number("partial_rotary_factor", defaults.partial)?;
    let rope = plain(parameters, RopeDefaults { theta, partial, ..defaults })?;
    let named_original = parameters.optional_size("original_max_position_embeddings", None)?;
    let original_context = named_original.or(original);
    let kind = parameters.text("rope_type", parameters.text("type", "default")?)?;
    parameters.ignore(&["type", "high_freq_factor", "low_freq_factor"]);
    let scaling = match kind {
        "default" => None,
        "linear" => Some(RopeScaling::Linear { factor: needed(parameters, "factor")? }),
        "dynamic" => Some(RopeScaling::Dynamic {
            factor: needed(parameters, "factor")?,
            original_context: original_context.unwrap_or(defaults.context),
        }),
        "llama3" => Some(RopeScaling::Llama3 {
            factor: needed(parameters, "factor")?,
            low_frequency_factor: needed(parameters, "low_freq_factor")?,
            high_frequency_factor: needed(parameters, "high_freq_factor")?,
            original_context: original_context.unwrap_or(defaults.context),
        }),
        "yarn" => Some(yarn(parameters, original_context.unwrap_or(defaults.context), defaults)?),
        "longrope" | "su" => Some(long_rope(parameters, original_context, defaults)?),
        other => {
            let allowed = "default, linear, dynamic, llama3, yarn, longrope";
            let name = if parameters.has("rope_type") { "rope_type" } else { "type" };
            return Err(parameters.refuse(name, other, allowed));
        }
    };
    parameters.refuse_unread("rotary")?;
    // A plain rotation with a factor beside it is how some exporters write "no scaling".
    Ok(Rope { scaling, ..rope })
}

fn plain(fields: &Fields, defaults: RopeDefaults) -> Result<Rope, FormatsError> {
    let RopeDefaults { theta, partial, interleaved, head_size, .. } = defaults;
    if !(partial > 0.0 && partial <= 1.0) {
        return Err(fields.refuse("partial_rotary_factor", partial, "above 0, at most 1"));
    }
    // Truncation, as the reference does it.
    let rotated = (head_size as f64 * partial) as u64;
    Ok(Rope { base: theta, rotated: (rotated != head_size).then_some(rotated), interleaved, scaling: None })
}

fn needed(parameters: &Fields, name: &str) -> Result<f64, FormatsError> {
    parameters.optional_number(name, None)?.ok_or_else(|| parameters.refuse(name, "nothing", "a number"))
}

fn yarn(
    parameters: &Fields,
    original_context: u64,
    defaults: RopeDefaults,
) -> Result<RopeScaling, FormatsError> {
    let stretch = defaults.context as f64 / original_context.max(1) as f64;
    let factor = parameters.optional_number("factor", None)?.unwrap_or(stretch);
    let beta = |name, default: f64| {
        Ok::<f64, FormatsError>(
            parameters.optional_number(name, None)?.filter(|&beta| beta != 0.0).unwrap_or(default),
        )
    };
    let (beta_fast, beta_slow) = (beta("beta_fast", 32.0)?, beta("beta_slow", 1.0)?);
    parameters.must_be("truncate", true, "the ramp's ends are whole numbers")?;
    let scale_of = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let named = parameters.optional_number("attention_factor", None)?;
    let mscale = parameters.optional_number("mscale", None)?.filter(|&scale| scale != 0.0);
    let all = parameters.optional_number("mscale_all_dim", None)?.filter(|&scale| scale != 0.0);
    let attention_factor = named.or(mscale.zip(all).map(|(mscale, all)| scale_of(mscale) / scale_of(all)));
    Ok(RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor })
}

fn long_rope(
    parameters: &Fields,
    original_context: Option<u64>,
    defaults: RopeDefaults,
) -> Result<RopeScaling, FormatsError> {
    let list = |name: &str| {
        parameters.numbers(name)?.ok_or_else(|| parameters.refuse(name, "nothing", "a list of divisors"))
    };
    let (short_factor, long_factor) = (list("short_factor")?, list("long_factor")?);
    let original_context = original_context.unwrap_or(defaults.context);
    let stretch = defaults.context as f64 / original_context.max(1) as f64;
    let factor = parameters.optional_number("factor", None)?.unwrap_or(stretch);
    let computed =
        if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original_context as f64).ln()).sqrt() };
    let attention_factor = parameters.optional_number("attention_factor", None)?.unwrap_or(computed);
    Ok(RopeScaling::LongRope { short_factor, long_factor, original_context, attention_factor })
}

/// LongRoPE whatever the kind is called.
pub(super) fn long_rope_of(
    parameters: &Fields,
    defaults: RopeDefaults,
    original: u64,
) -> Result<Rope, FormatsError> {
    let theta = parameters.number("rope_theta", defaults.theta)?;
    let partial = parameters.number("partial_rotary_factor", defaults.partial)?;
    let rope = plain(parameters, RopeDefaults { theta, partial, ..defaults })?;
    let kind = parameters.text("rope_type", parameters.text("type", "longrope")?)?;
    if !["longrope", "su", "yarn"].contains(&kind) {
        return Err(parameters.refuse("type", kind, "longrope, su or yarn beside a `short_factor`"));
    }
    let original = parameters.size("original_max_position_embeddings", original)?;
    let scaling = long_rope(parameters, Some(original), defaults)?;
    parameters.refuse_unread("rotary")?;
    Ok(Rope { scaling: Some(scaling), ..rope })
}
