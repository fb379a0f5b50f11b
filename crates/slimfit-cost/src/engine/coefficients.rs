//! The coefficients of an engine: one YAML file, each value with how many devices stand behind it and how it was found.

use crate::CostError;
use serde::{Deserialize, Serialize};
use slimfit_document::Document;
use std::collections::BTreeMap;

/// The schema name that coefficient files carry.
pub const ENGINE_SCHEMA: &str = "slimfit/engine/v1";

/// The key that stands for every class or format that is not named.
pub(crate) const ANY: &str = "any";

const LLAMA_CPP: &str = include_str!("../../engines/llama.cpp.yaml");

/// A fitted or stated number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// The value.
    pub value: f64,
    /// The least it was when whole devices were left out, or the lower bound that the source states.
    pub low: f64,
    /// The most it was when whole devices were left out, or the upper bound that the source states.
    pub high: f64,
    /// Devices that it rests on; 0 where it was not fitted.
    pub n: u64,
    /// How it was found, one sentence.
    pub fitted: String,
}

/// Everything that an [`EngineModel`](crate::EngineModel) knows of an engine. Maps have a key `any` for what is not named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineCoefficients {
    /// Always [`ENGINE_SCHEMA`].
    pub schema: String,
    /// The engine's name.
    pub engine: String,
    /// What the values rest on; every prediction carries it.
    pub citation: String,
    /// p of the norm that joins memory time and compute time.
    pub exponent: Coefficient,
    /// Share of the data sheet's bandwidth that the cores reach, by kind of device, at 50 GB/s.
    pub bandwidth_share: BTreeMap<String, Coefficient>,
    /// How that share falls as the data sheet's bandwidth grows: share × (bandwidth ÷ 50 GB/s)^−falloff. Wide memories
    /// belong to the chip, not to its cores.
    pub bandwidth_falloff: BTreeMap<String, Coefficient>,
    /// Share of a measured read bandwidth that decoding reaches.
    pub measured_share: Coefficient,
    /// Weight bytes that one thread's kernel processes per cycle, by instructions.
    pub bytes_per_cycle: BTreeMap<String, Coefficient>,
    /// Factor on those by weight format.
    pub format_factor: BTreeMap<String, Coefficient>,
    /// Clock in hertz where a profile states none.
    pub usual_hertz: Coefficient,
    /// Fixed seconds per executed layer with one thread.
    pub layer_seconds: Coefficient,
    /// How that grows: layer seconds × threads^growth.
    pub layer_thread_growth: Coefficient,
    /// Seconds that a front end of the engine (Ollama, llama.rn) takes for each token beside it. Rates that were published
    /// through one are fitted with it; a prediction of the engine itself has none of it.
    pub front_end_seconds: Coefficient,
    /// Rate at which the cache is read, as a share of the bandwidth for weights.
    pub cache_share: Coefficient,
    /// Multiply-adds that one core completes per cycle in prefill, by instructions: a class figure, good to a factor of 3.
    pub prefill_multiply_adds_per_cycle: BTreeMap<String, Coefficient>,
    /// Factor of the 90 % interval of a decode time, by kind of device: the prediction may be so many times too high or
    /// low.
    pub interval_factor: BTreeMap<String, Coefficient>,
    /// The same where the bandwidth was measured.
    pub measured_interval_factor: Coefficient,
}

impl EngineCoefficients {
    /// The coefficients of llama.cpp that are compiled in.
    pub fn llama_cpp() -> Self {
        let document = Document::from_str(LLAMA_CPP, "crates/slimfit-cost/engines/llama.cpp.yaml");
        document
            .map_err(CostError::from)
            .and_then(|document| Self::from_document(&document))
            .expect("a test reads the compiled-in file")
    }

    /// Reads a file of coefficients.
    ///
    /// # Errors
    /// [`CostError::Document`] with file, line and field.
    pub fn from_document(document: &Document) -> Result<Self, CostError> {
        document.schema(&[ENGINE_SCHEMA])?;
        let coefficients: Self = document.parse()?;
        coefficients.check(document)?;
        Ok(coefficients)
    }

    /// The file's text.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("structs with named fields are always YAML")
    }
}

/// The entry of `key`, or the one for everything else.
pub(crate) fn entry<'a>(map: &'a BTreeMap<String, Coefficient>, key: &str) -> &'a Coefficient {
    map.get(key).or_else(|| map.get(ANY)).expect("`check` asks for the key `any`")
}
