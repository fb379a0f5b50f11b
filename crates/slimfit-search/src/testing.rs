//! Points for the unit tests of this crate.

use crate::Metric;
use slimfit_arch::Architecture;
use slimfit_quantity::NumberFormat;
use slimfit_study::{FrontPoint, Interval, ParameterCounts};
use std::collections::BTreeMap;

/// A point with `(metric, value, half-width of its interval)`.
pub(crate) fn point(id: &str, objectives: &[(Metric, f64, f64)]) -> FrontPoint {
    let architecture: Architecture = serde_json::from_str(
        r#"{"hidden_size": 64, "vocabulary_size": 32, "layers": [{"attention": {"heads": 1, "kv_heads": 1,
            "head_size": 64}, "ffn": {"kind": "dense", "size": 64}}]}"#,
    )
    .unwrap();
    let name = |metric: &Metric| metric.name().to_owned();
    FrontPoint {
        id: id.to_owned(),
        architecture,
        weights: NumberFormat::F32,
        kv: NumberFormat::F32,
        parameters: ParameterCounts { total: 1, non_embedding: 1, embedding: 0, active: 1 },
        threads: 1,
        objectives: objectives.iter().map(|(metric, value, _)| (name(metric), *value)).collect(),
        intervals: objectives
            .iter()
            .map(|(metric, value, half)| (name(metric), Interval { low: value - half, high: value + half }))
            .collect(),
        relative_noise: BTreeMap::new(),
        sources: BTreeMap::new(),
        tie_group: 0,
        representative: true,
        picks: Vec::new(),
        flags: Vec::new(),
        by_device: Vec::new(),
    }
}
