//! How a GGUF file stores a model, and how it runs.

use crate::WorkflowError;
use slimfit_arch::Architecture;
use slimfit_formats::ModelWeights;
use slimfit_formats::gguf::GgufFile;
use slimfit_plan::WeightFormats;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::WeightsFrom;
use std::collections::BTreeMap;
use std::path::Path;

/// The formats of a file's matrices.
#[derive(Debug, Clone)]
pub struct StoredWeights {
    /// The format in which most values run.
    pub weights: NumberFormat,
    /// The format of each matrix as it runs.
    pub others: WeightFormats,
    /// The name of the format that most values have in the file: `q5_k`.
    pub stored_as: String,
    /// The format by whose loss the model is judged: that of the file, or the next coarser one of which it is known; none
    /// where the file is coarser than all of them.
    pub judged: Option<NumberFormat>,
    /// Bytes of its tensors in the file.
    pub file_bytes: u64,
}

impl StoredWeights {
    /// Reads a GGUF file's table.
    ///
    /// # Errors
    /// A file that is damaged, of another model, or in a format that is not read.
    pub(super) fn of_gguf(path: &Path, architecture: &Architecture) -> Result<Self, WorkflowError> {
        let open = WeightsFrom::File { path: path.to_owned(), as_stored: true }.open(architecture)?;
        let weights = ModelWeights::open_gguf(path, architecture)?;
        let mut values: BTreeMap<&'static str, u128> = BTreeMap::new();
        for tensor in architecture.tensors().iter().filter(|tensor| tensor.is_quantisable()) {
            *values.entry(weights.stored_as(tensor)?).or_default() += u128::from(tensor.parameters());
        }
        let stored_as = values.into_iter().max_by_key(|(_, count)| *count).map_or("f32", |(name, _)| name);
        let of_name = |name: &str| NumberFormat::ALL.into_iter().find(|format| format.name() == name);
        // Kept in the next finer format that has kernels, as the runtime does.
        let runs_as = of_name(stored_as).unwrap_or(match stored_as {
            "f64" => NumberFormat::F32,
            "q2_k" | "q3_k" => NumberFormat::Q6_K,
            _ => NumberFormat::Q8_0,
        });
        let judged = of_name(stored_as).or(match stored_as {
            "f64" => Some(NumberFormat::F32),
            "q5_k" => Some(NumberFormat::Q4_K),
            "q4_1" | "q5_0" | "q5_1" | "iq4_nl" | "iq4_xs" => Some(NumberFormat::Q4_0),
            _ => None,
        });
        let file_bytes = GgufFile::open(path)?.data_bytes();
        Ok(Self {
            weights: runs_as,
            others: open.formats,
            stored_as: stored_as.to_owned(),
            judged,
            file_bytes,
        })
    }

    /// Whether the file's format has no kernels here, so that it runs in another.
    pub fn is_converted(&self) -> bool {
        self.weights.name() != self.stored_as
    }
}
