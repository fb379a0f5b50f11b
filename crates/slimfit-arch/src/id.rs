//! The identity of an architecture: one text form for everything that means the same, and its digest.

use crate::{Architecture, LayerRun, Scales};
use serde_json::Value;
use sha2::{Digest, Sha256};
use slimfit_quantity::NumberFormat;
use std::fmt::Write;

impl Architecture {
    /// The same model in its shortest form: equal neighbours folded, and what only repeats a default left out.
    pub fn normalised(&self) -> Self {
        let mut plain = self.clone();
        plain.embedding_size = self.embedding_size.filter(|&size| size != self.hidden_size);
        plain.loops = self.loops.filter(|loops| loops.count != 1);
        let unless_one = |scale: Option<f64>| scale.filter(|&scale| scale != 1.0);
        plain.scales = Scales {
            embedding: unless_one(self.scales.embedding),
            residual: unless_one(self.scales.residual),
            logits: unless_one(self.scales.logits),
            logit_softcap: self.scales.logit_softcap,
        };
        if let Some(loops) = plain.loops.as_mut().filter(|loops| loops.layers == 1) {
            // A block of one layer runs in the same order either way.
            loops.immediate = false;
        }
        plain.layers.clear();
        for run in &self.layers {
            let mut run = run.clone();
            normalise_layer(&mut run);
            match plain.layers.last_mut() {
                _ if run.repeat == 0 => {}
                Some(last) if last.attention == run.attention && last.ffn == run.ffn => {
                    last.repeat = last.repeat.saturating_add(run.repeat);
                }
                _ => plain.layers.push(run),
            }
        }
        plain
    }

    /// The canonical text: JSON without spaces, keys sorted, of the normalised form and both formats.
    pub fn canonical(&self, weights: NumberFormat, kv: NumberFormat) -> String {
        // Every field serialises to plain JSON; numbers that are not finite become null.
        let architecture = serde_json::to_value(self.normalised()).expect("an architecture is plain data");
        let mut text = String::from("{\"architecture\":");
        write_sorted(&architecture, &mut text);
        write!(text, ",\"kv\":\"{kv}\",\"weights\":\"{weights}\"}}")
            .expect("writing to a string cannot fail");
        text
    }

    /// The first 12 hex digits of the SHA-256 of [`Architecture::canonical`].
    pub fn id(&self, weights: NumberFormat, kv: NumberFormat) -> String {
        let digest = Sha256::digest(self.canonical(weights, kv).as_bytes());
        digest[..6].iter().fold(String::with_capacity(12), |mut id, byte| {
            write!(id, "{byte:02x}").expect("writing to a string cannot fail");
            id
        })
    }
}

fn normalise_layer(run: &mut LayerRun) {
    let head_size = run.attention.head_size;
    if let Some(rope) = &mut run.attention.rope {
        rope.rotated = rope.rotated.filter(|&rotated| rotated != head_size);
    }
    let usual = 1.0 / (head_size as f64).sqrt();
    run.attention.scale = run.attention.scale.filter(|&scale| scale != usual);
}

/// Keys are sorted here rather than by `serde_json`'s map, whose order a feature of another crate could change.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write!(text, "\"{key}\":").expect("writing to a string cannot fail");
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_sorted(value, text);
            }
            text.push(']');
        }
        scalar => write!(text, "{scalar}").expect("writing to a string cannot fail"),
    }
}
