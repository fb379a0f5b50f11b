//! The rules of a coefficient file beyond its types.

use super::coefficients::{ANY, Coefficient, EngineCoefficients};
use crate::CostError;
use slimfit_document::Document;
use std::collections::BTreeMap;

impl EngineCoefficients {
    /// Nothing when every value can be calculated with and every map answers for what it does not name.
    pub(crate) fn check(&self, document: &Document) -> Result<(), CostError> {
        if self.citation.trim().is_empty() {
            let error = document.error_at("citation", "a prediction must say what it rests on");
            return Err(error.found("nothing").allowed("a sentence").into());
        }
        let single = [
            ("exponent", &self.exponent, 1.0),
            ("measured_share", &self.measured_share, f64::MIN_POSITIVE),
            ("usual_hertz", &self.usual_hertz, 1.0),
            ("layer_seconds", &self.layer_seconds, 0.0),
            ("layer_thread_growth", &self.layer_thread_growth, 0.0),
            ("front_end_seconds", &self.front_end_seconds, 0.0),
            ("cache_share", &self.cache_share, f64::MIN_POSITIVE),
            ("measured_interval_factor", &self.measured_interval_factor, 1.0),
        ];
        for (field, coefficient, least) in single {
            number(document, field, coefficient, least)?;
        }
        let maps = [
            ("bandwidth_share", &self.bandwidth_share, f64::MIN_POSITIVE),
            ("bandwidth_falloff", &self.bandwidth_falloff, 0.0),
            ("bytes_per_cycle", &self.bytes_per_cycle, f64::MIN_POSITIVE),
            ("format_factor", &self.format_factor, f64::MIN_POSITIVE),
            ("prefill_multiply_adds_per_cycle", &self.prefill_multiply_adds_per_cycle, f64::MIN_POSITIVE),
            ("interval_factor", &self.interval_factor, 1.0),
        ];
        for (field, map, least) in maps {
            complete(document, field, map)?;
            for (key, coefficient) in map {
                number(document, &format!("{field}.{key}"), coefficient, least)?;
            }
        }
        Ok(())
    }
}

fn complete(document: &Document, field: &str, map: &BTreeMap<String, Coefficient>) -> Result<(), CostError> {
    if map.contains_key(ANY) {
        return Ok(());
    }
    let error = document.error_at(field, "nothing stands for what is not named");
    Err(error.found(map.keys().cloned().collect::<Vec<_>>().join(", ")).allowed("a key `any`").into())
}

fn number(document: &Document, field: &str, found: &Coefficient, least: f64) -> Result<(), CostError> {
    let Coefficient { value, low, high, .. } = *found;
    let right = value.is_finite() && value >= least && low <= value && value <= high && high.is_finite();
    if right {
        return Ok(());
    }
    let error = document.error_at(&format!("{field}.value"), "out of range");
    let allowed = format!("a number from {least} up, between its `low` and `high`");
    Err(error.found(format!("{value} in {low} to {high}")).allowed(allowed).into())
}
