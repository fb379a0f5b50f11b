//! Parts that all points of a space share, and a model has otherwise.

use super::Outside;
use serde_json::{Value, json};
use slimfit_arch::{Architecture, FeedForward, LayerRun};

/// Parts that every point shares and the model has otherwise, under the names of a space's `fixed`. `alike`: the point of the
/// model's own axes.
pub(super) fn fixed_parts(
    architecture: &Architecture,
    first: &LayerRun,
    alike: &Architecture,
) -> Vec<Outside> {
    let Some(other) = alike.layers.first() else { return Vec::new() };
    let mut parts: Vec<(&str, Value, Value)> = Vec::new();
    macro_rules! part {
        ($name:literal, $ours:expr, $theirs:expr) => {
            parts.push(($name, json!($ours), json!($theirs)));
        };
    }
    part!("norm", architecture.norm, alike.norm);
    part!("norm_placement", architecture.norm_placement, alike.norm_placement);
    part!("positions", architecture.positions, alike.positions);
    part!("embedding_size", architecture.embedding_size, alike.embedding_size);
    part!("embedding_norm", architecture.embedding_norm, alike.embedding_norm);
    part!("final_norm", architecture.final_norm, alike.final_norm);
    part!("head_bias", architecture.head_bias, alike.head_bias);
    part!("scales", architecture.scales, alike.scales);
    part!("loops", architecture.loops, alike.loops);
    let (ours, theirs) = (&first.attention, &other.attention);
    part!("rope", ours.rope, theirs.rope);
    part!("attention_bias", ours.bias, theirs.bias);
    part!("qk_norm", ours.qk_norm, theirs.qk_norm);
    part!("attention_scale", ours.scale, theirs.scale);
    part!("attention_softcap", ours.softcap, theirs.softcap);
    part!("qkv_clip", ours.qkv_clip, theirs.qkv_clip);
    match (&first.ffn, &other.ffn) {
        (FeedForward::Dense(ours), FeedForward::Dense(theirs)) => {
            part!("activation", ours.activation, theirs.activation);
            part!("ffn_bias", ours.bias, theirs.bias);
        }
        (FeedForward::Moe(ours), FeedForward::Moe(theirs)) => {
            part!("activation", ours.activation, theirs.activation);
            part!("shared_size", ours.shared_size, theirs.shared_size);
            part!("normalise_top_k", ours.normalise_top_k, theirs.normalise_top_k);
            part!("router_bias", ours.router_bias, theirs.router_bias);
        }
        // The point has the model's own mixture.
        _ => {}
    }
    let mut outside = Vec::new();
    for (name, ours, theirs) in &parts {
        differences(name, ours, theirs, &mut |path, ours, theirs| {
            let spell = |value: &Value| match value {
                Value::Null => "none".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (axis, allowed) = (path.to_owned(), spell(theirs));
            outside.push(Outside { axis, found: spell(ours), nearest: Some(allowed.clone()), allowed });
        });
    }
    outside
}

/// Calls `visit` with the path and both values of every leaf that differs.
fn differences(path: &str, ours: &Value, theirs: &Value, visit: &mut impl FnMut(&str, &Value, &Value)) {
    match (ours, theirs) {
        // Of unlike kinds the other fields mean unlike things.
        (Value::Object(a), Value::Object(b)) if a.get("kind") != b.get("kind") => {
            let kind = |map: &serde_json::Map<String, Value>| map.get("kind").cloned().unwrap_or_default();
            visit(&format!("{path}.kind"), &kind(a), &kind(b));
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let below = format!("{path}.{key}");
                let part = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&below, &part(a), &part(b), visit);
            }
        }
        _ if ours != theirs => visit(path, ours, theirs),
        _ => {}
    }
}
