//! What a space holds, without pricing anything: its size, the range of its parameters, some of its points.

use crate::exact::catalogue::{Catalogue, Width};
use crate::sample::mix;
use crate::space::passes_of;
use crate::{Point, Space, layered};
use slimfit_study::Natural;

/// What a space holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceSummary {
    /// Combinations of its axes; of each order of layers, where they choose for themselves.
    pub size: Natural,
    /// Those whose layers can exist and whose parameters keep the space's bounds. Exclusions that name depth or vocabulary,
    /// the quality law and loaders may still refuse some of them.
    pub possible: Natural,
    /// Fewest and most parameters of models that its axes make, whatever its bounds; none where no layer can exist.
    pub parameters: Option<(u64, u64)>,
    /// Some points, drawn with the seed, ascending by parameters. All keep the bounds and the exclusions, and the space's
    /// loaders hold them.
    pub examples: Vec<Point>,
}

/// Draws for each example that is wanted.
const TRIES: u64 = 10_000;

impl Space {
    /// Looks through the layers of the space.
    pub fn summary(&self, examples: usize, seed: u64) -> SpaceSummary {
        if self.is_layered() {
            return layered::summary(self, examples, seed);
        }
        let catalogue = Catalogue::new(self);
        let (windows, _) = self.window_and_expert_counts();
        // Neither formats nor passes through the layers change parameters.
        let alike = (self.weights().len() * self.kv().len() * self.passes().len()) as u64;
        let mut parameters: Option<(u64, u64)> = None;
        let mut possible = 0_u64;
        for width in &catalogue.widths {
            let layers = layer_parameters(width);
            for vocabulary in self.vocabularies() {
                for tied in self.tyings() {
                    let embedding = if *tied { 1 } else { 2 } * vocabulary * width.hidden_size;
                    let (least, most) = self.parameter_bounds(embedding);
                    for depth in self.depths() {
                        let total = |layer: u64| width.rest_parameters + depth * layer;
                        let ends = (total(layers[0]), total(layers[layers.len() - 1]));
                        let known = parameters.get_or_insert((u64::MAX, 0));
                        *known = (known.0.min(ends.0 + embedding), known.1.max(ends.1 + embedding));
                        let first = layers.partition_point(|layer| (total(*layer) as f64) < least);
                        let end = layers.partition_point(|layer| total(*layer) as f64 <= most);
                        possible += end.saturating_sub(first) as u64 * windows * alike;
                    }
                }
            }
        }
        SpaceSummary {
            size: self.point_count(),
            possible: possible.into(),
            parameters,
            examples: self.drawn(examples, seed),
        }
    }

    fn drawn(&self, wanted: usize, seed: u64) -> Vec<Point> {
        let mut points: Vec<(u64, Point)> = Vec::new();
        for attempt in 0..TRIES * wanted as u64 {
            if points.len() >= wanted {
                break;
            }
            let index = mix(attempt ^ mix(seed)) % self.size();
            let Ok(point) = self.point(index) else { continue };
            let Ok(block) = self.block(index / self.inner_size()) else { continue };
            let layers = (point.architecture.depth(), passes_of(&point.architecture).unwrap_or(1));
            let vocabulary = point.architecture.vocabulary_size;
            let Ok(parameters) = point.architecture.checked_parameters() else { continue };
            let kept = point.architecture.validate().is_ok()
                && self.check_parameters(parameters.total, parameters.non_embedding).is_ok()
                && self.check_whole_point(&block, layers, vocabulary).is_ok()
                && self.refusing_loader(&point.architecture).is_none();
            if kept && points.iter().all(|(_, known)| known.index != index) {
                points.push((parameters.total, point));
            }
        }
        points.sort_by_key(|(parameters, point)| (*parameters, point.index));
        points.into_iter().map(|(_, point)| point).collect()
    }
}

/// Parameters of every layer of a width, ascending.
fn layer_parameters(width: &Width) -> Vec<u64> {
    let present = width.all_pairs().filter(|(row, column)| width.number(*row, *column, 0).is_some());
    let layer = |(row, column): (usize, usize)| {
        width.attention_parameters[row] + width.feed_forward_parameters[column]
    };
    let mut layers: Vec<u64> = present.map(layer).collect();
    layers.sort_unstable();
    layers
}
