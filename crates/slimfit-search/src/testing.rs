//! Points, spaces and devices for the unit tests of this crate.

#[path = "../tests/profile/mod.rs"]
pub(crate) mod profile;
#[path = "../tests/uneven/mod.rs"]
pub(crate) mod uneven;

use crate::{Metric, ModelEvaluator, Space, Workload};
use slimfit_arch::Architecture;
use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
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

/// What models are priced and valued with.
pub(crate) struct World {
    cost: CostModel,
    quality: QualityModel,
    workload: Workload,
}

impl World {
    pub(crate) fn on(profile: &HardwareProfile) -> Self {
        Self {
            cost: CostModel::new(profile).unwrap(),
            quality: QualityModel::new(Recipe::builtin("gemstones").unwrap()),
            workload: Workload::load("assistant").unwrap(),
        }
    }

    pub(crate) fn evaluator(&self, space: &Space, objectives: &[Metric]) -> ModelEvaluator<'_> {
        ModelEvaluator::new(space, &self.cost, &self.quality, 100_000_000_000, &self.workload)
            .asked_for(objectives, &[])
    }
}

/// Twelve layers of which each has its own width, 100 to 350 MB of weights; `more` are lines of the space file.
pub(crate) fn layered_space(more: &str) -> Space {
    let text = format!(
        "schema: slimfit/space/v1
name: layered
description: Layers that need not be alike.
axes:
  layers: 12
  hidden_size: 1024
  head_size: 64
  heads: 16
  kv_heads: 16
  ffn: [1024, 2048, 4096, 8192]
  gated: true
  window: none
  vocabulary_size: 32768
  tied_embeddings: true
  weights: q8_0
  kv: f16
per_layer: [ffn]
portable: []
{more}"
    );
    Space::from_document(&Document::from_str(&text, "layered.yaml").unwrap(), &[]).unwrap()
}
