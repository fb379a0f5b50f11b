//! A seeded sample of models, to draw the cloud under the front.

use super::layer::{Families, Family, Layer, formats};
use super::model::Trunk;
use crate::sample::mix;
use crate::{ModelEvaluator, SearchOptions, Space, Values};

/// Draws for each model that is wanted.
const TRIES: u64 = 4;

/// Up to `options.sample` valid models that keep all limits: a family, a trunk and a kind for each layer at random.
pub(super) fn sample(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    families: &mut Families,
) -> Vec<Values> {
    let (depths, tyings) = (space.depths(), space.tyings());
    let keys: Vec<Family> = families.keys().copied().collect();
    let mut found = Vec::new();
    if keys.is_empty() {
        return found;
    }
    for attempt in 0..TRIES * options.sample as u64 {
        if found.len() >= options.sample {
            break;
        }
        let mut state = mix(attempt ^ mix(options.seed));
        let mut draw = |choices: usize| {
            state = mix(state);
            (state % choices as u64) as usize
        };
        let family = keys[draw(keys.len())];
        let trunk = Trunk { layers: depths[draw(depths.len())], tied: tyings[draw(tyings.len())] };
        let Some(layers) = families.get_mut(&family) else { continue };
        // Each layer at random would always make models of middling size: a few kinds are drawn first.
        let few: Vec<usize> = (0..1 + draw(4)).map(|_| draw(layers.layers.len())).collect();
        let mut counts = vec![0_u8; layers.layers.len()];
        let pattern = layers.pattern;
        for position in 0..trunk.layers {
            let mut place = few[draw(few.len())];
            if let Some(pattern) = pattern {
                let full = pattern.full_every.is_some_and(|every| (position + 1).is_multiple_of(every));
                let kind = layers.layers[place].kind;
                let suits = |layer: &Layer| layer.kind == kind && layer.window.is_none() == full;
                let Some(other) = layers.layers.iter().position(suits) else { continue };
                place = other;
            }
            counts[place] += 1;
        }
        let has = |place: &usize| counts[*place] > 0;
        let present = (0..counts.len()).filter(has).map(|place| &layers.layers[place]);
        if present.into_iter().any(|layer| layer.check_rules(space, family, trunk).is_err()) {
            continue;
        }
        let valued =
            layers.value(space, evaluator, (&counts, trunk), family.vocabulary, formats(space, family));
        let Ok((values, _)) = valued else { continue };
        if options.limits.iter().all(|(metric, limit)| metric.keeps(values[metric.column()], *limit)) {
            found.push(values);
        }
    }
    found
}
