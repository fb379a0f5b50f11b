//! What an engine is predicted to take: a type of its own, never mixed up with what our kernels were measured to take.

use super::decode::DecodeTerms;
use slimfit_quantity::{Figure, Predicted, Source};

/// A decode time of another engine, modelled from class efficiencies.
#[derive(Debug, Clone, PartialEq)]
pub struct EnginePrediction {
    /// The engine.
    pub engine: String,
    /// Threads it was priced with.
    pub threads: u32,
    /// Where the seconds go.
    pub terms: DecodeTerms,
    /// Seconds per token and their 90 % interval.
    pub tpot_seconds: Predicted,
    /// What the coefficients rest on.
    pub citation: String,
}

impl EnginePrediction {
    /// The figure that commands print: modelled, with the citation of the coefficients.
    pub fn figure(&self) -> Figure {
        let figure = self.tpot_seconds.figure();
        Figure { source: Source::Modelled, citation: Some(self.citation.clone()), ..figure }
    }
}
