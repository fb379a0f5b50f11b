//! What a model is used for: a workload by name or file, or bytes of text.

use crate::failure::Failure;
use slimfit_quantity::parse_bytes;
use slimfit_search::Workload;

/// A workload, as a name, a file, or its bytes.
#[derive(Debug, clap::Args)]
pub struct WorkloadArguments {
    /// A built-in workload or a file; `assistant` unless said.
    #[arg(long, conflicts_with_all = ["prompt_bytes", "generated_bytes", "depth_bytes"])]
    workload: Option<String>,
    /// Bytes of the prompt, instead of a workload: `2000`, `4KiB`.
    #[arg(long, value_name = "SIZE", requires = "generated_bytes", value_parser = parse_bytes)]
    prompt_bytes: Option<u64>,
    /// Bytes of the answer.
    #[arg(long, value_name = "SIZE", requires = "prompt_bytes", value_parser = parse_bytes)]
    generated_bytes: Option<u64>,
    /// Bytes of text in the cache when the answer begins; the prompt unless said.
    #[arg(long, value_name = "SIZE", requires = "prompt_bytes", value_parser = parse_bytes)]
    depth_bytes: Option<u64>,
}

impl WorkloadArguments {
    /// Whether any was named.
    pub fn is_said(&self) -> bool {
        self.workload.is_some() || self.prompt_bytes.is_some()
    }

    /// The workload.
    pub fn read(&self) -> Result<Workload, Failure> {
        Ok(match (self.prompt_bytes, self.generated_bytes) {
            (Some(prompt), Some(generated)) => Workload::of_bytes(prompt, generated, self.depth_bytes)?,
            _ => Workload::load(self.workload.as_deref().unwrap_or("assistant"))?,
        })
    }
}
