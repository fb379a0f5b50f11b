//! What to measure, from the command line.

use crate::record::Record;
use anyhow::{Context, Result};
use clap::Parser;
use slimfit_bench::models;
use slimfit_bench::test::Test;
use slimfit_kernels::pool::allowed_cpus;
use slimfit_quantity::NumberFormat;
use std::path::PathBuf;

/// The sections of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Section {
    /// Whole models: prefill and decode, beside llama.cpp where its benchmark is given.
    Models,
    /// Products of many tokens beside the peak of their instructions.
    Products,
    /// Products in f32 beside matrixmultiply, gemm and OpenBLAS.
    Floats,
    /// Attention alone.
    Attention,
    /// Peak memory of a process that runs one model.
    Memory,
}

/// Measures kernels and runtime beside their yardsticks: read bandwidth, peaks, other libraries, and
/// llama.cpp.
///
/// The cap on the instruction set is `SLIMFIT_ISA`'s, as everywhere.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench kernels")]
pub struct Options {
    /// A `llama-bench` program to run beside: ours and its runs alternate.
    #[arg(long, value_name = "PATH")]
    pub llama_bench: Option<PathBuf>,
    /// Threads, one table row each [default: 1 and all].
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub threads: Vec<usize>,
    /// Built-in models, or `slim-10m`, a shape that stays in the cache [default: the six of the targets and it].
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub models: Vec<String>,
    /// Weight formats [default: q4_0, q8_0, bf16].
    #[arg(long, value_delimiter = ',', value_name = "FORMAT,…")]
    pub formats: Vec<NumberFormat>,
    /// Tests of whole models: pN is a prompt of N tokens, dN decoding after N tokens [default: p128, p512, d0, d1024].
    #[arg(long, value_delimiter = ',', value_name = "TEST,…")]
    pub tests: Vec<Test>,
    /// Sections to run [default: all].
    #[arg(long, value_delimiter = ',')]
    pub sections: Vec<Section>,
    /// Rounds in each of the two passes over a cell [default: 3 for small models, fewer for large ones].
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Race kernels for each model's own products so long before it is measured, as a profile does; 0 runs the usual ones.
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0, value_parser = seconds)]
    pub tune: f64,
    /// SmolLM2-135M in q4_0 and q8_0 only, one round.
    #[arg(long)]
    pub quick: bool,
    /// Write the record as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print the tables of records measured before, merged, and measure nothing.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// Keep the models written for llama-bench in this folder and use those that are there [default: a temporary one].
    #[arg(long, value_name = "FOLDER")]
    pub gguf_folder: Option<PathBuf>,
}

impl Options {
    /// Options with every default filled in.
    ///
    /// # Errors
    /// A model that is not known.
    pub fn complete(mut self) -> Result<Self> {
        if self.threads.is_empty() {
            let all = allowed_cpus().len();
            self.threads = if all > 1 { vec![1, all] } else { vec![1] };
        }
        if self.models.is_empty() {
            let names: &[&str] = if self.quick { &["smollm2-135m"] } else { &models::NAMES };
            self.models = names.iter().map(|name| (*name).to_owned()).collect();
        }
        for name in &self.models {
            models::find(name).with_context(|| format!("`--models {name}`"))?;
        }
        if self.formats.is_empty() {
            self.formats = vec![NumberFormat::Q4_0, NumberFormat::Q8_0];
            if !self.quick {
                self.formats.push(NumberFormat::Bf16);
            }
        }
        if self.tests.is_empty() {
            self.tests = vec![
                Test::Prefill { tokens: 128 },
                Test::Prefill { tokens: 512 },
                Test::Decode { depth: 0 },
                Test::Decode { depth: 1024 },
            ];
        }
        if self.quick {
            self.rounds = self.rounds.or(Some(1));
        }
        Ok(self)
    }

    /// Writes the record where the user wants it, after every cell: a long benchmark that is stopped keeps what it has.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, record: &Record) -> Result<()> {
        if let Some(path) = &self.json {
            let text = serde_json::to_vec_pretty(record).context("a record can be written")?;
            slimfit_document::write_atomically(path, &text)?;
        }
        Ok(())
    }

    /// Whether a section was asked for.
    pub fn wants(&self, section: Section) -> bool {
        self.sections.is_empty() || self.sections.contains(&section)
    }
}

/// A length of time, none included.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0 to 3600".to_owned()),
    }
}
