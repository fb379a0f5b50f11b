//! How sure a recipe is: the noises of its law, by what they belong to.

use crate::estimate::{marked, sources};
use crate::recipe::{Correction, Recipe};

/// One noise of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseSource {
    /// `shape`, `recipe`, or the axis.
    pub name: String,
    /// One standard deviation, nats per token of the recipe's tokenizer.
    pub nats: f64,
    /// Where the figure comes from; begins with "assumed: " where that is weak.
    pub source: String,
}

/// The three noises of a recipe, which are never one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Noises {
    /// Of a shape inside the fitted box; twice that outside.
    pub shape: NoiseSource,
    /// Of single axes: a candidate has those that it uses.
    pub axes: Vec<NoiseSource>,
    /// Between recipes: common to all candidates of a search.
    pub recipe: NoiseSource,
}

impl Recipe {
    /// The three noises. An axis whose noise is 0 is left out.
    pub fn noises(&self) -> Noises {
        let corrections = &self.corrections;
        let mut axes = vec![
            of_correction("grouped key heads", &corrections.grouped_heads),
            of_correction("a single key head", &corrections.single_kv_head),
            of_correction("windows shorter than the text", &corrections.window),
        ];
        axes.extend(corrections.vocabulary.iter().map(|term| NoiseSource {
            name: "vocabulary, from half or twice the recipe's on".to_owned(),
            nats: term.sigma,
            source: marked(term.assumed, &term.source),
        }));
        axes.extend(
            corrections
                .kv_formats
                .iter()
                .map(|(format, correction)| of_correction(&format!("KV cache in {format}"), correction)),
        );
        axes.extend(corrections.weight_formats.iter().map(|(format, coefficient)| {
            let low = format.bits_per_value() < corrections.weight_low_bits;
            let share = if low { corrections.weight_sigma_low_bits } else { corrections.weight_sigma };
            NoiseSource {
                name: format!(
                    "weights in {format}, at {} tokens per parameter",
                    corrections.training_reference
                ),
                nats: share * coefficient.value,
                source: marked(coefficient.assumed, &coefficient.source),
            }
        }));
        axes.retain(|axis| axis.nats > 0.0);
        let (between, within) = (&self.noise.recipe, &self.noise.level);
        Noises {
            shape: NoiseSource {
                name: "shape".to_owned(),
                nats: self.noise.shape.value,
                source: marked(self.noise.shape.assumed, &self.noise.shape.source),
            },
            axes,
            recipe: NoiseSource {
                name: "recipe".to_owned(),
                nats: self.recipe_sigma(),
                source: sources(&[between, within]),
            },
        }
    }
}

fn of_correction(name: &str, correction: &Correction) -> NoiseSource {
    NoiseSource {
        name: name.to_owned(),
        nats: correction.sigma,
        source: marked(correction.assumed, &correction.source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_noise_of_the_built_in_recipes_has_a_source() {
        for name in Recipe::builtin_names() {
            let noises = Recipe::builtin(name).unwrap().noises();
            let all = noises.axes.iter().chain([&noises.shape, &noises.recipe]);
            for noise in all {
                assert!(noise.nats > 0.0 && !noise.source.is_empty(), "{noise:?}");
            }
            assert!(noises.axes.iter().any(|axis| axis.source.starts_with("assumed: ")), "{name}");
        }
    }
}
