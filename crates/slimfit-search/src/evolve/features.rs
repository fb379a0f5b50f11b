//! What the surrogate sees of a point: a dozen numbers, most of them logarithms.

use crate::{Block, Inner, Metric, Space, Values};

/// Numbers of a point.
pub(super) const COUNT: usize = 16;
pub(super) type Features = [f64; COUNT];

/// The features of a point as they are.
pub(super) fn raw(space: &Space, block: &Block, inner: Inner, values: &Values) -> Features {
    let log = |value: u64| (value.max(1) as f64).ln();
    let layers = space.depths()[inner.layers];
    let parameters = values[Metric::Parameters.column()];
    let (experts, top_k) = block.experts.map_or((1, 1), |experts| (experts.count, experts.top_k));
    let windowed = block.window.map_or(0.0, |_| 1.0 - block.full_layers(layers) as f64 / layers as f64);
    [
        if parameters.is_finite() && parameters > 0.0 { parameters.ln() } else { 0.0 },
        log(layers),
        log(space.passes()[inner.loops]),
        log(block.hidden_size),
        log(block.heads),
        log(block.kv_heads),
        log(block.head_size),
        log(block.ffn) - log(block.hidden_size),
        f64::from(u8::from(block.gated)),
        windowed,
        windowed * block.window.map_or(0.0, |window| log(window.size)),
        log(experts) - log(top_k),
        log(space.vocabularies()[inner.vocabulary]),
        f64::from(u8::from(space.tyings()[inner.tied])),
        space.weights()[inner.weights].bits_per_value().ln(),
        space.kv()[inner.kv].bits_per_value().ln(),
    ]
}

/// Means and spreads over a sample of the space, so that each feature counts alike.
#[derive(Debug, Clone)]
pub(super) struct Standard {
    means: Features,
    /// 1 over the standard deviation; 0 for what does not vary.
    factors: Features,
}

impl Standard {
    /// Features as they are.
    pub(super) const PLAIN: Self = Self { means: [0.0; COUNT], factors: [1.0; COUNT] };

    pub(super) fn of(sample: &[Features]) -> Self {
        let (mut means, mut factors) = ([0.0; COUNT], [0.0; COUNT]);
        let count = sample.len().max(1) as f64;
        for place in 0..COUNT {
            let mean = sample.iter().map(|features| features[place]).sum::<f64>() / count;
            let squares = sample.iter().map(|features| (features[place] - mean).powi(2)).sum::<f64>();
            let deviation = (squares / count).sqrt();
            means[place] = mean;
            factors[place] = if deviation > 1e-9 { 1.0 / deviation } else { 0.0 };
        }
        Self { means, factors }
    }

    pub(super) fn apply(&self, raw: &Features) -> Features {
        std::array::from_fn(|place| (raw[place] - self.means[place]) * self.factors[place])
    }
}

/// Features that vary in a sample.
pub(super) fn varying(standard: &Standard) -> usize {
    standard.factors.iter().filter(|factor| **factor > 0.0).count()
}
