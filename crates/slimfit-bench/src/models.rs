//! The shapes that are measured: public models, and one that stays in the cache.

use anyhow::{Context, Result};
use slimfit_arch::Architecture;
use slimfit_formats::builtin;

/// A model of 10.2 million parameters: in q8_0 and q4_0 less than half of a last cache of 32 MiB.
pub const IN_CACHE: &str = "slim-10m";

/// The shapes of the targets, smallest first.
pub const NAMES: [&str; 7] = [
    IN_CACHE,
    "mobilellm-125m",
    "smollm2-135m",
    "smollm2-360m",
    "qwen2.5-0.5b",
    "tinyllama-1.1b",
    "llama-3.2-1b",
];

const IN_CACHE_SHAPE: &str = r#"{"hidden_size": 320, "vocabulary_size": 8192, "tied_embeddings": true,
    "layers": [{"repeat": 6, "attention": {"heads": 5, "kv_heads": 5, "head_size": 64, "rope": {"base": 10000.0}},
                "ffn": {"kind": "dense", "size": 896}}]}"#;

/// The architecture of a built-in model or of the shape in cache.
///
/// # Errors
/// An unknown name.
pub fn find(name: &str) -> Result<Architecture> {
    if name == IN_CACHE {
        return serde_json::from_str(IN_CACHE_SHAPE).context("the shape in cache is valid");
    }
    let model = builtin::find(name)
        .with_context(|| format!("no such model; `{IN_CACHE}` is one, and {}", builtin::hint(name)))?;
    Ok(model.architecture.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_quantity::NumberFormat;

    #[test]
    fn every_name_is_a_model() {
        for name in NAMES {
            find(name).unwrap().validate().unwrap();
        }
        assert!(find("smollm2-135").unwrap_err().to_string().contains("smollm2-135m"));
    }

    #[test]
    fn the_shape_in_cache_takes_half_of_32_mib_at_most() {
        let shape = find(IN_CACHE).unwrap();
        assert_eq!(shape.parameters().total, 10_244_160);
        assert!(shape.weight_bytes(NumberFormat::Q8_0).unwrap() <= 16 << 20);
    }
}
