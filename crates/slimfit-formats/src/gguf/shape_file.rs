//! GGUF files of a model's shape, for runtimes that are timed: no tokenizer, and values that mean nothing.
//!
//! Values and their order decide nothing about speed, so rows of queries and keys are not interleaved as llama.cpp
//! expects them and scaled rotations are left out. Models that differ from Llama, Qwen2 and Qwen3 in more than sizes are
//! refused.

use super::data_bytes::{ALIGNMENT, stored_bytes as bytes};
use super::{GgufType, tensor_name};
use crate::FormatsError;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Mlp, Norm, QkNorm, Rope,
    Tensor,
};
use slimfit_document::DocumentError;
use slimfit_kernels::WeightFormat;
use slimfit_quantity::NumberFormat;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Values that are made and written at a time: a whole number of blocks of every format.
const CHUNK: u64 = 1 << 20;
/// Numbers of value types in the file.
const UNSIGNED: u32 = 4;
const FLOAT: u32 = 6;
const TEXT: u32 = 8;

/// What a file of a model's shape holds.
#[derive(Debug, Clone, Copy)]
pub struct ShapeFile<'a> {
    /// `general.name`.
    pub name: &'a str,
    /// The network.
    pub architecture: &'a Architecture,
    /// The format of its matrices; those whose rows do not divide into its blocks are in the one that slimfit would keep
    /// them in.
    pub weights: NumberFormat,
    /// Tokens it is said to be made for.
    pub context: u64,
}

/// The sizes of a model that differs from Llama in nothing else, or from Qwen2 or Qwen3.
struct Sizes<'a> {
    family: &'static str,
    attention: &'a Attention,
    rope_base: f64,
    ffn: u64,
}

impl<'a> ShapeFile<'a> {
    /// The GGUF architecture that holds it: `llama`, `qwen2` or `qwen3`.
    ///
    /// # Errors
    /// The model differs from those in more than sizes.
    pub fn family(&self) -> Result<&'static str, FormatsError> {
        Ok(self.sizes()?.family)
    }

    /// Writes the file whole or not at all. `values(tensor, first, values)` fills in what each tensor holds, row-major.
    ///
    /// # Errors
    /// As [`family`](Self::family), the file cannot be written, or what `values` reports.
    pub fn write<E: From<FormatsError>>(
        &self,
        path: &Path,
        values: impl FnMut(&Tensor, u64, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let head = self.head()?;
        let failed = |error: &std::io::Error| {
            let message = format!("a model of {} cannot be written: {error}", self.weights);
            FormatsError::from(DocumentError::new("write-failed", message).file(path.display().to_string()))
        };
        let part = path.with_extension("part");
        let written = File::create(&part).map_err(|error| E::from(failed(&error))).and_then(|file| {
            let mut file = BufWriter::with_capacity(1 << 20, file);
            file.write_all(&head).map_err(|error| failed(&error))?;
            self.write_tensors(&mut file, values, failed)?;
            file.into_inner()
                .map_err(|error| error.into_error())
                .and_then(|_| std::fs::rename(&part, path))
                .map_err(|error| E::from(failed(&error)))
        });
        if written.is_err() {
            // What is wrong has been said; a part that was never made cannot be removed either.
            let _ = std::fs::remove_file(&part);
        }
        written
    }

    fn sizes(&self) -> Result<Sizes<'a>, FormatsError> {
        let refused = |message: &str| {
            let error = DocumentError::new("no-gguf", message);
            FormatsError::from(error.found(self.name).allowed("what `llama`, `qwen2` and `qwen3` files hold"))
        };
        let architecture = self.architecture;
        let first = architecture.layers.first().ok_or_else(|| refused("a model without layers"))?;
        let (Some(rope), FeedForward::Dense(mlp)) = (&first.attention.rope, &first.ffn) else {
            return Err(refused("only rotary positions and dense feed-forward parts are written as GGUF"));
        };
        let attention = &first.attention;
        let (family, qk_norm) = match (attention.bias.qkv, attention.qk_norm) {
            (false, QkNorm::PerHead) => ("qwen3", QkNorm::PerHead),
            (true, _) => ("qwen2", QkNorm::None),
            (false, _) => ("llama", QkNorm::None),
        };
        let plain = Architecture {
            hidden_size: architecture.hidden_size,
            vocabulary_size: architecture.vocabulary_size,
            tied_embeddings: architecture.tied_embeddings,
            embedding_size: None,
            layers: vec![LayerRun {
                repeat: architecture.depth(),
                attention: Attention {
                    heads: attention.heads,
                    kv_heads: attention.kv_heads,
                    head_size: attention.head_size,
                    window: None,
                    rope: Some(Rope {
                        base: rope.base,
                        rotated: None,
                        interleaved: false,
                        scaling: rope.scaling.clone(),
                    }),
                    bias: AttentionBias { qkv: attention.bias.qkv, output: false },
                    qk_norm,
                    scale: None,
                    softcap: None,
                    qkv_clip: None,
                },
                ffn: FeedForward::Dense(Mlp {
                    size: mlp.size,
                    gated: true,
                    activation: Activation::Silu,
                    bias: false,
                }),
            }],
            positions: Default::default(),
            norm: Norm { epsilon: architecture.norm.epsilon, ..Norm::default() },
            norm_placement: Default::default(),
            embedding_norm: false,
            final_norm: true,
            head_bias: false,
            scales: Default::default(),
            loops: None,
        };
        if architecture.normalised() != plain.normalised() {
            return Err(refused(
                "only models that differ from Llama, Qwen2 and Qwen3 in sizes alone are written as GGUF",
            ));
        }
        Ok(Sizes { family, attention, rope_base: rope.base, ffn: mlp.size })
    }

    /// Everything before the first tensor's values.
    fn head(&self) -> Result<Vec<u8>, FormatsError> {
        let sizes = self.sizes()?;
        let tensors = self.architecture.tensors();
        let mut head = b"GGUF".to_vec();
        head.extend(3_u32.to_le_bytes());
        head.extend((tensors.len() as u64).to_le_bytes());
        let entries = self.metadata(&sizes)?;
        head.extend((entries.len() as u64).to_le_bytes());
        head.extend(entries.concat());
        let mut start = 0_u64;
        for tensor in &tensors {
            let format = tensor.stored_as(self.weights);
            put_text(&mut head, &tensor_name(sizes.family, tensor));
            head.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().rev().for_each(|size| head.extend(size.to_le_bytes()));
            head.extend(GgufType::of(format).id.to_le_bytes());
            head.extend(start.to_le_bytes());
            start += bytes(tensor, format).next_multiple_of(ALIGNMENT);
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
        Ok(head)
    }

    fn write_tensors<E: From<FormatsError>>(
        &self,
        file: &mut impl Write,
        mut source: impl FnMut(&Tensor, u64, &mut [f32]) -> Result<(), E>,
        failed: impl Fn(&std::io::Error) -> FormatsError,
    ) -> Result<(), E> {
        let (mut values, mut encoded) = (Vec::new(), Vec::new());
        for tensor in &self.architecture.tensors() {
            let format = tensor.stored_as(self.weights);
            let packed = WeightFormat::ALL
                .into_iter()
                .find(|packed| packed.name() == format.name())
                .expect("every number format has kernels, and so a codec");
            let total = tensor.parameters();
            for first in (0..total).step_by(CHUNK as usize) {
                let count = CHUNK.min(total - first) as usize;
                values.resize(count, 0.0);
                source(tensor, first, &mut values)?;
                encoded.resize(packed.row_bytes(count), 0);
                packed.encode_row(&values, &mut encoded);
                file.write_all(&encoded).map_err(|error| failed(&error))?;
            }
            let written = bytes(tensor, format);
            let padding = (written.next_multiple_of(ALIGNMENT) - written) as usize;
            file.write_all(&[0; ALIGNMENT as usize][..padding]).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    fn metadata(&self, sizes: &Sizes<'_>) -> Result<Vec<Vec<u8>>, FormatsError> {
        let entry = |key: &str, kind: u32, value: &[u8]| {
            let mut bytes = Vec::new();
            put_text(&mut bytes, key);
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
            bytes
        };
        let text = |key: &str, value: &str| {
            let mut bytes = Vec::new();
            put_text(&mut bytes, value);
            entry(key, TEXT, &bytes)
        };
        let mut entries = vec![
            text("general.architecture", sizes.family),
            text("general.name", self.name),
            text("tokenizer.ggml.model", "none"),
        ];
        let (architecture, attention) = (self.architecture, sizes.attention);
        for (key, value) in [
            ("context_length", self.context),
            ("embedding_length", architecture.hidden_size),
            ("block_count", architecture.depth()),
            ("feed_forward_length", sizes.ffn),
            ("attention.head_count", attention.heads),
            ("attention.head_count_kv", attention.kv_heads),
            ("attention.key_length", attention.head_size),
            ("attention.value_length", attention.head_size),
            ("rope.dimension_count", attention.head_size),
            ("vocab_size", architecture.vocabulary_size),
        ] {
            let value = u32::try_from(value).map_err(|_| {
                DocumentError::new("no-gguf", format!("`{key}` is larger than a GGUF file can say"))
                    .found(value.to_string())
                    .allowed(format!("up to {}", u32::MAX))
            })?;
            entries.push(entry(&format!("{}.{key}", sizes.family), UNSIGNED, &value.to_le_bytes()));
        }
        let epsilon = architecture.norm.epsilon;
        for (key, value) in
            [("attention.layer_norm_rms_epsilon", epsilon), ("rope.freq_base", sizes.rope_base)]
        {
            entries.push(entry(&format!("{}.{key}", sizes.family), FLOAT, &(value as f32).to_le_bytes()));
        }
        Ok(entries)
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;
    use crate::gguf::{GgufFile, data_bytes};

    fn zeros(_: &Tensor, _: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        values.fill(0.0);
        Ok(())
    }

    fn small() -> Architecture {
        serde_json::from_str(
            r#"{"hidden_size": 64, "vocabulary_size": 128, "tied_embeddings": true,
                "layers": [{"repeat": 2, "attention": {"heads": 2, "kv_heads": 1, "head_size": 32, "rope": {"base": 10000.0}},
                            "ffn": {"kind": "dense", "size": 96}}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_written_model_is_read_as_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let (tied, mut biased, mut normed) = (small(), small(), small());
        biased.tied_embeddings = false;
        biased.layers[0].attention.bias.qkv = true;
        normed.layers[0].attention.qk_norm = QkNorm::PerHead;
        for (architecture, family) in [(tied, "llama"), (biased, "qwen2"), (normed, "qwen3")] {
            for weights in NumberFormat::ALL {
                let file = ShapeFile { name: "small", architecture: &architecture, weights, context: 256 };
                assert_eq!(file.family().unwrap(), family);
                file.write(&path, zeros).unwrap();
                let model = GgufFile::open(&path).unwrap().model().unwrap();
                assert_eq!(model.architecture, architecture.normalised());
                assert_eq!(model.context, Some(256));
                let head = file.head().unwrap().len() as u64;
                let bytes = std::fs::metadata(&path).unwrap().len();
                let data = data_bytes(&architecture, weights);
                assert_eq!(bytes, head + data, "{family} {weights}");
                assert_eq!(GgufFile::open(&path).unwrap().data_bytes(), data);
                // No row of it divides into blocks of 256 values.
                let kept = if weights.block_values() == 256 { NumberFormat::Q8_0 } else { weights };
                assert_eq!(model.weights_format, Some(kept));
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_differs_in_more_than_sizes_is_refused_and_named() {
        for name in ["gpt2", "mixtral-8x7b", "gemma-2-2b"] {
            let model = builtin::find(name).unwrap();
            let weights = NumberFormat::Q8_0;
            let file = ShapeFile { name, architecture: &model.architecture, weights, context: 1 };
            let error = file.write(Path::new("/no/such/folder/model.gguf"), zeros).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_whole_is_not_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let architecture = small();
        let weights = NumberFormat::Q4_0;
        let file = ShapeFile { name: "small", architecture: &architecture, weights, context: 256 };
        let broken = |_: &Tensor, _: u64, _: &mut [f32]| -> Result<(), FormatsError> {
            Err(DocumentError::new("broken", "the source broke").into())
        };
        assert!(file.write(&path, broken).unwrap_err().to_string().contains("the source broke"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let nowhere = folder.path().join("missing").join("model.gguf");
        assert!(file.write(&nowhere, zeros).unwrap_err().to_string().contains("missing"));
    }
}
