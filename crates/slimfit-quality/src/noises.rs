//! How sure a recipe is: the noises of its law by what they belong to, and what its assumptions rest on.

use crate::estimate::{Z90, marked, sources};
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

/// What a value rests on that a search lets in by name only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    /// What it does to the loss, with its 90 % interval.
    pub effect: String,
    /// Where that comes from.
    pub source: String,
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

    /// What `loops`, `mqa` or `vocab` rest on; none for other names.
    pub fn assumption(&self, name: &str) -> Option<Assumption> {
        match name {
            "mqa" => {
                let Correction { value, sigma, source, assumed } = &self.corrections.single_kv_head;
                let (low, high) = (value - Z90 * sigma, value + Z90 * sigma);
                Some(Assumption {
                    effect: format!(
                        "one key head for all query heads adds {value} nats ({low:.4} to {high:.4})"
                    ),
                    source: marked(*assumed, source),
                })
            }
            "loops" => {
                let exponent = &self.shape.loop_exponent;
                let bounds = match (exponent.low, exponent.high) {
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    _ => "interval not known".to_owned(),
                };
                Some(Assumption {
                    effect: format!(
                        "parameters that run r times count r^{} times ({bounds})",
                        exponent.value
                    ),
                    source: marked(exponent.assumed, &exponent.source),
                })
            }
            "vocab" => {
                let term = self.corrections.vocabulary.as_ref()?;
                Some(Assumption {
                    effect: format!(
                        "outside half to twice {} rows, a vocabulary adds what a sweep over {} vocabularies and {} sizes showed against the nearer edge (± {:.3})",
                        self.vocabulary_size,
                        term.vocabularies.len(),
                        term.parameters.len(),
                        Z90 * term.sigma
                    ),
                    source: marked(term.assumed, &term.source),
                })
            }
            _ => None,
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

    #[test]
    fn assumptions_state_their_interval_and_where_they_come_from() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        for name in ["mqa", "loops", "vocab"] {
            let assumption = recipe.assumption(name).unwrap();
            assert!(assumption.effect.contains(" to ") || assumption.effect.contains('±'), "{assumption:?}");
            assert!(assumption.source.contains("assumed: "), "{assumption:?}");
        }
        let single = &recipe.corrections.single_kv_head;
        let effect = recipe.assumption("mqa").unwrap().effect;
        assert!(effect.contains(&format!(
            "{:.4} to {:.4}",
            single.value - 1.645 * single.sigma,
            single.value + 1.645 * single.sigma
        )));
        assert_eq!(recipe.assumption("windows"), None);
    }
}
