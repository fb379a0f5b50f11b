//! The GGUF files that llama.cpp reads: random weights of a model's shape, every matrix in one format.
//!
//! Values and their order decide nothing about speed, so rows of queries and keys are not interleaved as llama.cpp
//! expects them and scaled rotations are left out; and there is no tokenizer. Models that differ from Llama and Qwen2 in
//! more than sizes are refused.

use crate::whole_model::Subject;
use anyhow::{Context, Result, bail};
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Mlp, Norm, QkNorm, Rope,
    Tensor,
};
use slimfit_formats::gguf::{GgufType, tensor_name};
use slimfit_kernels::WeightFormat;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{SeededWeights, TensorSource};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where tensors begin, from the start of their part of the file.
const ALIGNMENT: u64 = 32;
/// Values that are made and written at a time.
const CHUNK: u64 = 1 << 20;
const CONTEXT: u32 = 4096;
/// Numbers of value types in the file.
const UNSIGNED: u32 = 4;
const FLOAT: u32 = 6;
const TEXT: u32 = 8;

/// Where files lie.
pub struct GgufFiles {
    folder: PathBuf,
    /// Removed when this is dropped, unless the user named a folder.
    temporary: Option<TempDir>,
}

impl GgufFiles {
    /// Files in the user's folder, which stay there, or in a temporary one.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        Ok(match folder {
            Some(folder) => {
                slimfit_document::create_directory(folder)?;
                Self { folder: folder.to_owned(), temporary: None }
            }
            None => {
                let temporary = TempDir::with_prefix("slimfit-bench-").context("a folder for models")?;
                Self { folder: temporary.path().to_owned(), temporary: Some(temporary) }
            }
        })
    }

    /// The file of a model, written unless it is there.
    ///
    /// # Errors
    /// It cannot be written, or the model is of a kind that is not.
    pub fn file(&self, subject: &Subject<'_>) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}-{}.gguf", subject.name, subject.weights));
        if !path.is_file() {
            eprintln!("writing {}", path.display());
            let part = path.with_extension("part");
            write(&part, subject.name, subject.architecture, subject.weights)
                .with_context(|| format!("`{}`", path.display()))?;
            std::fs::rename(&part, &path).with_context(|| format!("`{}`", path.display()))?;
        }
        Ok(path)
    }

    /// Removes a file that nobody asked to keep: the next one may need the room.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn done_with(&self, path: &Path) -> Result<()> {
        if self.temporary.is_some() {
            std::fs::remove_file(path).with_context(|| format!("`{}`", path.display()))?;
        }
        Ok(())
    }
}

/// The sizes of a model that differs from Llama in nothing else, or from Qwen2.
struct Sizes<'a> {
    family: &'static str,
    attention: &'a Attention,
    rope_base: f64,
    ffn: u64,
}

fn sizes(architecture: &Architecture) -> Result<Sizes<'_>> {
    let first = architecture.layers.first().context("a model without layers")?;
    let (Some(rope), FeedForward::Dense(mlp)) = (&first.attention.rope, &first.ffn) else {
        bail!("only models with rotary positions and dense feed-forward parts are written");
    };
    let attention = &first.attention;
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
                qk_norm: QkNorm::None,
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
        bail!("only models are written that differ from Llama or Qwen2 in nothing but sizes");
    }
    let family = if attention.bias.qkv { "qwen2" } else { "llama" };
    Ok(Sizes { family, attention, rope_base: rope.base, ffn: mlp.size })
}

fn write(path: &Path, name: &str, architecture: &Architecture, weights: NumberFormat) -> Result<()> {
    let sizes = sizes(architecture)?;
    let format_of = |tensor: &Tensor| if tensor.is_quantisable() { weights } else { NumberFormat::F32 };
    let tensors = architecture.tensors();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut head = b"GGUF".to_vec();
    head.extend(3_u32.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    let entries = metadata(name, architecture, &sizes)?;
    head.extend((entries.len() as u64).to_le_bytes());
    head.extend(entries.concat());
    let mut start = 0_u64;
    for tensor in &tensors {
        put_text(&mut head, &tensor_name(sizes.family, tensor));
        head.extend((tensor.shape.len() as u32).to_le_bytes());
        tensor.shape.iter().rev().for_each(|size| head.extend(size.to_le_bytes()));
        head.extend(GgufType::of(format_of(tensor)).id.to_le_bytes());
        head.extend(start.to_le_bytes());
        start += bytes(tensor, format_of(tensor)).next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
    file.write_all(&head)?;
    let source = SeededWeights::new(architecture, 1);
    for tensor in &tensors {
        write_values(&mut file, tensor, format_of(tensor), &source)?;
    }
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    Ok(())
}

fn bytes(tensor: &Tensor, format: NumberFormat) -> u64 {
    tensor.parameters() / format.block_values() * format.block_bytes()
}

fn write_values(
    file: &mut impl Write,
    tensor: &Tensor,
    format: NumberFormat,
    source: &SeededWeights,
) -> Result<()> {
    let packed = match format {
        NumberFormat::F32 => WeightFormat::F32,
        NumberFormat::Bf16 => WeightFormat::Bf16,
        NumberFormat::Q8_0 => WeightFormat::Q8_0,
        NumberFormat::Q4_0 => WeightFormat::Q4_0,
        other => bail!("weights in `{other}` are not written"),
    };
    let total = tensor.parameters();
    let (mut values, mut encoded) = (Vec::new(), Vec::new());
    for first in (0..total).step_by(CHUNK as usize) {
        let count = CHUNK.min(total - first) as usize;
        values.resize(count, 0.0);
        source.read(tensor, first, &mut values)?;
        encoded.resize(packed.row_bytes(count), 0);
        packed.encode_row(&values, &mut encoded);
        file.write_all(&encoded)?;
    }
    let written = bytes(tensor, format);
    let padding = (written.next_multiple_of(ALIGNMENT) - written) as usize;
    file.write_all(&[0; ALIGNMENT as usize][..padding])?;
    Ok(())
}

fn metadata(name: &str, architecture: &Architecture, sizes: &Sizes<'_>) -> Result<Vec<Vec<u8>>> {
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
        text("general.name", name),
        text("tokenizer.ggml.model", "none"),
    ];
    let attention = sizes.attention;
    for (key, value) in [
        ("context_length", u64::from(CONTEXT)),
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
        entries.push(entry(
            &format!("{}.{key}", sizes.family),
            UNSIGNED,
            &u32::try_from(value)?.to_le_bytes(),
        ));
    }
    for (key, value) in
        [("attention.layer_norm_rms_epsilon", architecture.norm.epsilon), ("rope.freq_base", sizes.rope_base)]
    {
        entries.push(entry(&format!("{}.{key}", sizes.family), FLOAT, &(value as f32).to_le_bytes()));
    }
    Ok(entries)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;
    use slimfit_formats::gguf::GgufFile;
    use slimfit_kernels::Isa;

    #[test]
    fn a_written_model_is_read_as_the_same() {
        let files = GgufFiles::new(None).unwrap();
        let mut untied = models::find("slim-10m").unwrap();
        untied.tied_embeddings = false;
        untied.layers[0].attention.bias.qkv = true;
        for (name, architecture) in [("tied", models::find("slim-10m").unwrap()), ("untied", untied)] {
            for weights in [NumberFormat::Q4_0, NumberFormat::Bf16] {
                let subject = Subject { name, architecture: &architecture, weights, isa: Isa::Scalar };
                let path = files.file(&subject).unwrap();
                let model = GgufFile::open(&path).unwrap().model().unwrap();
                assert_eq!(model.architecture, architecture.normalised());
                assert_eq!(model.weights_format, Some(weights));
                files.done_with(&path).unwrap();
                assert!(!path.exists());
            }
        }
    }

    #[test]
    fn every_shape_of_the_targets_can_be_written_and_others_are_refused() {
        for name in models::NAMES {
            let architecture = models::find(name).unwrap();
            sizes(&architecture).unwrap();
        }
        for name in ["gpt2", "mixtral-8x7b", "gemma-2-2b"] {
            assert!(sizes(&models::find(name).unwrap()).is_err(), "{name}");
        }
    }
}
