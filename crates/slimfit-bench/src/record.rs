//! What was measured, as it is written to a file and merged from several.

use crate::disturbance::{Disturbance, WORTH_SAYING};
use crate::exchange::Exchange;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use slimfit_bench::test::Test;
use slimfit_quantity::{Figure, NumberFormat};
use std::path::Path;

/// The version of the file.
pub const SCHEMA: &str = "slimfit/bench-kernels/v1";

/// Everything one or several runs measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// slimfit's version.
    pub version: String,
    /// The cap on the instruction set.
    pub isa: String,
    /// What `llama-bench` says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_build: Option<String>,
    /// Whole models.
    #[serde(default)]
    pub models: Vec<ModelCell>,
    /// Products of many tokens.
    #[serde(default)]
    pub products: Vec<ProductCell>,
    /// Products in f32 beside other libraries.
    #[serde(default)]
    pub float_products: Vec<FloatCell>,
    /// Whether OpenBLAS was among those libraries.
    #[serde(default)]
    pub openblas: bool,
    /// Attention alone.
    #[serde(default)]
    pub attention: Vec<AttentionCell>,
    /// Peak memory.
    #[serde(default)]
    pub memory: Vec<MemoryCell>,
}

/// One test of one model in one format on so many threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCell {
    /// The model.
    pub model: String,
    /// Its parameters.
    pub parameters: u64,
    /// How its matrices are stored.
    pub weights: NumberFormat,
    /// Threads.
    pub threads: usize,
    /// Seconds for which kernels were raced before; 0: the usual ones ran.
    #[serde(default)]
    pub tuned_seconds: f64,
    /// The test.
    pub test: Test,
    /// Tokens per second: of the prompt, or generated.
    pub tokens_per_s: Figure,
    /// |test ÷ retest − 1|.
    pub retest_error: f64,
    /// Bytes streamed (decode) or operations done (prefill) per second over the bracketing sentinel's.
    pub share: Figure,
    /// Median of the sentinel: bytes read per second at this working set (decode), peak operations (prefill).
    pub sentinel_per_s: f64,
    /// What took the processors meanwhile.
    #[serde(default)]
    pub disturbance: Disturbance,
    /// What threads' dealings cost right before and after; absent for one thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// llama.cpp in the same interleaved run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama: Option<LlamaCell>,
}

/// llama.cpp's better setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaCell {
    /// Whether flash attention was on.
    pub flash_attention: bool,
    /// Tokens per second.
    pub tokens_per_s: Figure,
    /// |test ÷ retest − 1|.
    pub retest_error: f64,
    /// Tokens per second with flash attention the other way.
    pub other_tokens_per_s: f64,
    /// Ours over theirs, medians.
    pub ratio: f64,
}

/// A product of many tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductCell {
    /// How the matrix is stored.
    pub weights: NumberFormat,
    /// Tokens.
    pub tokens: usize,
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// Threads.
    pub threads: usize,
    /// The kernel that ran.
    pub variant: String,
    /// Operations per second; a multiply-add counts 2.
    pub ops_per_s: Figure,
    /// Of the bracketing peak.
    pub share: Figure,
    /// The instructions of that peak.
    pub peak: String,
    /// Its median.
    pub peak_ops_per_s: f64,
    /// |test ÷ retest − 1|.
    pub retest_error: f64,
}

/// A library that computes products in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatPeer {
    /// The crate `matrixmultiply`.
    Matrixmultiply,
    /// The crate `gemm`.
    Gemm,
    /// The system's OpenBLAS.
    Openblas,
}

/// A product in f32 beside the fastest library at this size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloatCell {
    /// Tokens.
    pub tokens: usize,
    /// Rows of the matrix.
    pub rows: usize,
    /// Columns of the matrix.
    pub columns: usize,
    /// Threads.
    pub threads: usize,
    /// The kernel that ran.
    pub variant: String,
    /// Ours, operations per second.
    pub ops_per_s: Figure,
    /// |test ÷ retest − 1|.
    pub retest_error: f64,
    /// Median of the bracketing peak.
    pub peak_ops_per_s: f64,
    /// The fastest library.
    pub peer: FloatPeer,
    /// Its median.
    pub peer_ops_per_s: f64,
    /// Ours over theirs.
    pub ratio: f64,
}

/// Attention of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionCell {
    /// Query heads.
    pub heads: u64,
    /// Heads of keys and values.
    pub kv_heads: u64,
    /// Values of a head.
    pub head_size: u64,
    /// New tokens.
    pub tokens: usize,
    /// Tokens before them.
    pub depth: usize,
    /// Threads.
    pub threads: usize,
    /// The kernel that ran.
    pub variant: String,
    /// Seconds of a layer.
    pub seconds: Figure,
    /// Bytes of the cache (one token) or operations (several) per second.
    pub work_per_s: Figure,
    /// Of the bracketing sentinel.
    pub share: Figure,
    /// Its median: a read of the same working set, or the f32 peak.
    pub sentinel_per_s: f64,
    /// |test ÷ retest − 1|.
    pub retest_error: f64,
}

/// Peak memory of a process that loads and runs one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryCell {
    /// The model.
    pub model: String,
    /// Its parameters.
    pub parameters: u64,
    /// How its matrices are stored.
    pub weights: NumberFormat,
    /// Threads.
    pub threads: usize,
    /// Packed matrices.
    pub weight_bytes: u64,
    /// The cache.
    pub kv_bytes: u64,
    /// The most that was ever resident.
    pub peak_bytes: u64,
}

impl Record {
    /// A record without measurements.
    pub fn empty(isa: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            isa: isa.to_owned(),
            llama_build: None,
            models: Vec::new(),
            products: Vec::new(),
            float_products: Vec::new(),
            openblas: false,
            attention: Vec::new(),
            memory: Vec::new(),
        }
    }

    /// The records of several files as one; a cell that appears again replaces the earlier one.
    ///
    /// # Errors
    /// A file that cannot be read or is none of these, or records of different caps.
    pub fn merged(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let mut merged: Option<Self> = None;
        for path in paths {
            let name = path.as_ref().display();
            let text = std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
            let record: Self =
                serde_json::from_str(&text).with_context(|| format!("`{name}` is no record"))?;
            ensure!(
                record.schema == SCHEMA,
                "`{name}` has the schema `{}`; this program reads `{SCHEMA}`",
                record.schema
            );
            merged = Some(match merged {
                None => record,
                Some(known) => {
                    ensure!(
                        known.isa == record.isa,
                        "`{name}` was measured with the cap `{}`, the others with `{}`",
                        record.isa,
                        known.isa
                    );
                    known.with(record)
                }
            });
        }
        merged.context("no record was given")
    }

    fn with(mut self, later: Self) -> Self {
        self.llama_build = later.llama_build.or(self.llama_build);
        self.openblas |= later.openblas;
        replace(&mut self.models, later.models, ModelCell::key);
        replace(&mut self.products, later.products, |cell| {
            (cell.weights, cell.tokens, cell.rows, cell.columns, cell.threads)
        });
        replace(&mut self.float_products, later.float_products, |cell| {
            (cell.tokens, cell.rows, cell.columns, cell.threads)
        });
        replace(&mut self.attention, later.attention, |cell| {
            (cell.heads, cell.kv_heads, cell.head_size, cell.tokens, cell.threads)
        });
        replace(&mut self.memory, later.memory, |cell| {
            (cell.parameters, cell.model.clone(), cell.weights, cell.threads)
        });
        self
    }
}

/// Adds cells; one with a known key takes the known one's place. The result is in the order of the keys.
fn replace<C, K: Ord>(cells: &mut Vec<C>, later: Vec<C>, key: impl Fn(&C) -> K) {
    for cell in later {
        cells.retain(|known| key(known) != key(&cell));
        cells.push(cell);
    }
    cells.sort_by_key(key);
}

impl ModelCell {
    /// Whether others took enough of the processors to spoil it.
    pub fn is_disturbed(&self) -> bool {
        self.disturbance.others + self.disturbance.stolen > WORTH_SAYING
    }

    fn key(&self) -> (u64, String, NumberFormat, usize, Test) {
        (self.parameters, self.model.clone(), self.weights, self.threads, self.test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_cell_replaces_the_earlier() {
        let cell = |threads, share| ModelCell {
            model: "m".to_owned(),
            parameters: 1,
            weights: NumberFormat::Q4_0,
            threads,
            tuned_seconds: 0.0,
            test: Test::Decode { depth: 0 },
            tokens_per_s: Figure::read(1.0),
            retest_error: 0.0,
            share: Figure::read(share),
            sentinel_per_s: 1.0,
            disturbance: Disturbance::default(),
            exchange: None,
            llama: None,
        };
        let record = |cells| Record { models: cells, ..Record::empty("avx2") };
        let merged = record(vec![cell(2, 0.1), cell(1, 0.2)]).with(record(vec![cell(2, 0.3)]));
        let shares: Vec<_> = merged.models.iter().map(|cell| cell.share.value).collect();
        assert_eq!(shares, [Some(0.2), Some(0.3)]);
    }
}
