//! A made-up model of points, and oracles that measure otherwise than it predicts.

use slimfit_document::Document;
use slimfit_search::evolve::{Answer, EvolveOptions, Oracle};
use slimfit_search::{
    Block, Evaluator, Found, Inner, Invalid, Metric, SearchError, SearchOptions, Space, Values, enumerate,
    for_each_point,
};
use std::collections::HashSet;

/// 14 688 valid points.
pub const LARGE: &str = "
schema: slimfit/space/v1
name: large
description: A space for tests.
axes:
  layers: [4, 6, 8, 10, 12, 16, 20, 24]
  hidden_size: [128, 192, 256, 320, 384, 512, 640]
  head_size: [32, 64]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2, heads / 3, 1]
  ffn: [2 * hidden_size, 3 * hidden_size, 4 * hidden_size, 1024]
  gated: [true, false]
  window: none
  vocabulary_size: 4000
  tied_embeddings: [true, false]
  weights: [f32, q8_0, q4_0]
  kv: [f16]
exclude: [layers > 16 and hidden_size < 200]
";

/// A few dozen points.
pub const SMALL: &str = "
schema: slimfit/space/v1
name: small
description: A space for tests.
axes:
  layers: [2, 4, 6]
  hidden_size: [64, 96]
  head_size: [16, 32]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2, heads / 4]
  ffn: [2 * hidden_size, 192]
  gated: true
  window: none
  vocabulary_size: 1000
  tied_embeddings: [true]
  weights: [f32, q8_0]
  kv: [f16]
";

pub fn space(text: &str) -> Space {
    Space::from_document(&Document::from_str(text, "space.yaml").unwrap(), &[]).unwrap()
}

/// Predicts loss from parameters, and time and bytes from bytes.
pub struct Model;

const METRICS: [Metric; 4] = [Metric::Loss, Metric::TpotSeconds, Metric::MemoryBytes, Metric::Parameters];

impl Evaluator for Model {
    type Prepared<'s> = (&'s Space, Block);

    fn metrics(&self) -> &[Metric] {
        &METRICS
    }

    fn prepare<'s>(&'s self, space: &'s Space, block: &Block) -> Result<(&'s Space, Block), Invalid> {
        Ok((space, *block))
    }

    fn evaluate(
        &self,
        (space, block): &mut (&Space, Block),
        inner: Inner,
        values: &mut Values,
    ) -> Result<(), Invalid> {
        let (layers, vocabulary) = (space.depths()[inner.layers], space.vocabularies()[inner.vocabulary]);
        let architecture = space.architecture(block, layers, vocabulary, space.tyings()[inner.tied]);
        if block.gated && block.ffn == 1024 && block.hidden_size == 256 {
            return Err(Invalid::of("refused"));
        }
        let parameters = architecture.parameters();
        let bits = space.weights()[inner.weights].bits_per_value();
        let bytes = parameters.total as f64 * bits / 8.0;
        values[Metric::Loss.column()] =
            1.8 + 120.0 / (parameters.non_embedding as f64).powf(0.33) + 0.3 / (bits * bits);
        values[Metric::TpotSeconds.column()] = bytes / 2e10 + 2e-6 * layers as f64;
        values[Metric::MemoryBytes.column()] = bytes + 1e5 * (layers * block.kv_heads) as f64;
        values[Metric::Parameters.column()] = parameters.total as f64;
        Ok(())
    }
}

/// What is measured, as a function of the point and what is predicted for it.
pub type Truth = fn(&Block, u64, &Values) -> f64;

/// Each shape has a depth that suits it, few key heads harm small models more, gates help narrow parts.
pub fn odd_loss(block: &Block, layers: u64, predicted: &Values) -> f64 {
    let aspect = (block.hidden_size as f64 / layers as f64 / 26.0).ln();
    let shared = block.heads as f64 / block.kv_heads as f64;
    let ratio = block.ffn as f64 / block.hidden_size as f64;
    let shape = 0.05 * aspect * aspect + 0.012 * (shared - 2.0).powi(2).min(9.0) - 0.01 * (3.0 * ratio).sin();
    predicted[Metric::Loss.column()] * (shape - if block.gated && ratio < 3.5 { 0.03 } else { 0.0 }).exp()
}

/// Widths that are no multiple of 256 and odd numbers of heads run slowly; deep models pay for each layer.
pub fn odd_seconds(block: &Block, layers: u64, predicted: &Values) -> f64 {
    let slow = if block.hidden_size.is_multiple_of(256) { 1.0 } else { 1.35 };
    let heads = if block.heads.is_multiple_of(4) { 1.0 } else { 1.2 };
    predicted[Metric::TpotSeconds.column()] * slow * heads + 8e-5 * (layers as f64).sqrt()
}

/// Measures by functions, disturbed by a seeded noise, and fails for some points.
pub struct Synthetic<'a> {
    pub space: &'a Space,
    pub truths: Vec<Truth>,
    /// Relative noise, which does not depend on when a point is measured.
    pub noise: f64,
    /// Of so many points one cannot be measured; 0: none.
    pub fails: u64,
    /// Every point that was asked for, in order.
    pub asked: Vec<u64>,
}

impl Synthetic<'_> {
    pub fn new(space: &Space, truths: Vec<Truth>) -> Synthetic<'_> {
        Synthetic { space, truths, noise: 0.0, fails: 0, asked: Vec::new() }
    }

    /// What is measured of a point.
    pub fn answer(&self, index: u64) -> Answer {
        if self.fails > 0 && hash(index).is_multiple_of(self.fails) {
            return Answer::Failed("it does not converge".to_owned());
        }
        let predicted = predicted(self.space, index).expect("only candidates are asked for");
        let block = self.space.block(index / self.space.inner_size()).unwrap();
        let layers = self.space.depths()[self.space.inner(index % self.space.inner_size()).layers];
        let noise = |place: usize| {
            let share = hash(index ^ hash(place as u64)) as f64 / u64::MAX as f64;
            1.0 + self.noise * (2.0 * share - 1.0)
        };
        let each = self.truths.iter().enumerate();
        Answer::Values(each.map(|(place, truth)| truth(&block, layers, &predicted) * noise(place)).collect())
    }
}

impl Oracle for Synthetic<'_> {
    type Error = SearchError;

    fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, SearchError> {
        self.asked.extend_from_slice(points);
        Ok(points.iter().map(|index| self.answer(*index)).collect())
    }
}

pub fn hash(value: u64) -> u64 {
    let mut state = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..3 {
        state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    state
}

/// What the model says of a point; nothing where it is none.
pub fn predicted(space: &Space, index: u64) -> Option<Values> {
    let block = space.block(index / space.inner_size()).ok()?;
    let mut values = Metric::UNKNOWN;
    Model.evaluate(&mut (space, block), space.inner(index % space.inner_size()), &mut values).ok()?;
    Some(values)
}

/// Every valid point that keeps these limits by the model.
pub fn candidates(space: &Space, limits: &[(Metric, f64)]) -> Vec<u64> {
    let mut found = Vec::new();
    let flow = for_each_point(space, &Model, limits, |point, feasible| {
        if feasible {
            found.push(point.index);
        }
        std::ops::ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    found
}

/// Points of the model's front, at most so many, from one end to the other.
pub fn model_front(space: &Space, objectives: &[Metric], most: usize) -> Vec<u64> {
    let options = SearchOptions {
        objectives: objectives.to_vec(),
        limits: Vec::new(),
        workers: 1,
        seed: 1,
        sample: 0,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    let front = enumerate(space, &Model, &options).unwrap().front;
    let last = front.len() - 1;
    let places: HashSet<usize> = (0..most).map(|place| place * last / (most - 1)).collect();
    let mut places: Vec<usize> = places.into_iter().collect();
    places.sort_unstable();
    places.into_iter().map(|place| front[place].index).collect()
}

pub fn options(objectives: &[Metric], measures: &[Metric], evaluations: usize) -> EvolveOptions<'static> {
    EvolveOptions {
        objectives: objectives.to_vec(),
        limits: Vec::new(),
        measures: measures.to_vec(),
        start: Vec::new(),
        explore: 4,
        batch: 4,
        evaluations,
        patience: None,
        deadline: None,
        seed: 1,
        cancel: None,
        progress: None,
    }
}

/// A measured point that a random search found.
pub fn found(oracle: &Synthetic<'_>, measures: &[Metric], index: u64) -> Option<Found> {
    let Answer::Values(measured) = oracle.answer(index) else { return None };
    let mut values = predicted(oracle.space, index)?;
    for (metric, value) in measures.iter().zip(measured) {
        values[metric.column()] = value;
    }
    Some(Found { index, values })
}

/// Objectives of points, as one list.
pub fn flat(points: &[Found], objectives: &[Metric]) -> Vec<f64> {
    let of = |found: &Found| -> Vec<f64> {
        objectives.iter().map(|metric| found.values[metric.column()]).collect()
    };
    points.iter().flat_map(of).collect()
}
