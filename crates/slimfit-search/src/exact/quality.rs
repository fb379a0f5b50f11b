//! The least loss of dense points by their parameters, looked up instead of computed.
//!
//! Of one hidden size, depth, number of passes, vocabulary and tying the loss of a dense point falls with its parameters alone, but for
//! constants of its window, heads and formats. A table over equal steps of parameters holds, for each step, the loss at
//! its far end: no point of the step has less.

use slimfit_quality::{Law, Shape};

/// Steps of one table.
const STEPS: usize = 256;

/// The least loss by parameters.
#[derive(Debug)]
pub(crate) struct LeastNats {
    first: f64,
    per_step: f64,
    /// Nats of each step, rounded down.
    nats: Vec<f32>,
}

impl LeastNats {
    /// Tabulates from `least` to `most` parameters without embeddings. `shape`: that of a dense point.
    pub(crate) fn new(law: &Law, shape: Shape, (least, most): (f64, f64)) -> Self {
        let (least, most) = (least.max(1.0), most.max(least.max(1.0) + 1.0));
        let width = (most - least) / STEPS as f64;
        let at = |parameters: f64| parameters.ceil() as u64;
        let nats = (0..STEPS).map(|step| {
            let end = at(least + (step + 1) as f64 * width);
            let start = (least + step as f64 * width).floor().max(1.0) as u64;
            (law.least_base_nats(&shape.resized(end, end), start) as f32).next_down()
        });
        Self { first: least, per_step: 1.0 / width, nats: nats.collect() }
    }

    /// No dense point with so many parameters has less, its formats, heads and window left out.
    pub(crate) fn at(&self, parameters: f64) -> f64 {
        let step = ((parameters - self.first) * self.per_step) as usize;
        // The step before, where rounding may have put a point over the border; the last one beyond the end.
        f64::from(self.nats[step.min(STEPS - 1)].min(self.nats[(step + 1).min(STEPS - 1)]))
    }
}
