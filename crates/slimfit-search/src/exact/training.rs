//! Operations of a training, as sums over layers.

use super::catalogue::Width;
use crate::parts::LayerCounts;
use crate::space::{Block, Window};
use crate::{ModelEvaluator, Space};

/// Operations of a training by what needs them: a sum over layers as often as they run, like everything else.
#[derive(Debug)]
pub(super) struct TrainingFlops {
    outer: f64,
    full: Vec<f64>,
    windowed: Vec<f64>,
    feed_forwards: Vec<f64>,
}

impl TrainingFlops {
    /// Counts the layers of a width with one window; none where something leaves 64 bits.
    pub(super) fn new(
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        window: Option<Window>,
        (vocabulary, tied): (usize, bool),
    ) -> Option<Self> {
        // Of a layer with that window, and of everything else.
        let count = |row: usize, column: usize, window: Option<Window>| {
            let block = Block { window, ..width.block(row, column) };
            let one = evaluator.training_flops(space, &block, 1, vocabulary, tied)?;
            let two = evaluator.training_flops(space, &block, 2, vocabulary, tied)?;
            Some((two - one, one - (two - one)))
        };
        let (base, outer) = count(0, 0, None)?;
        let rows = 0..width.attentions.len();
        let columns = 0..width.feed_forwards.len();
        let of_rows = |window: Option<Window>| -> Option<Vec<f64>> {
            rows.clone().map(|row| Some(count(row, 0, window)?.0)).collect()
        };
        let windowed = Window::cuts(window).map(|window| Window { full_every: None, ..window });
        Some(Self {
            outer,
            full: of_rows(None)?,
            windowed: if windowed.is_some() { of_rows(windowed)? } else { Vec::new() },
            feed_forwards: columns
                .map(|column| Some(count(0, column, None)?.0 - base))
                .collect::<Option<_>>()?,
        })
    }

    pub(super) fn row(&self, row: usize, counts: LayerCounts) -> f64 {
        let windowed = self.windowed.get(row).map_or(0.0, |flops| counts.windowed as f64 * flops);
        self.outer + counts.passes as f64 * (counts.full as f64 * self.full[row] + windowed)
    }

    pub(super) fn column(&self, column: usize, counts: LayerCounts) -> f64 {
        (counts.passes * counts.layers()) as f64 * self.feed_forwards[column]
    }
}
