//! Values that rest on a single published ablation: nobody gets them without asking.

use crate::estimate::marked;
use crate::recipe::{Correction, Recipe};
use crate::{Base, Flags, Law, QualityError, QualityEstimate, Shape, Z90};
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::Predicted;

/// A kind of model whose value rests on a single assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assumption {
    /// Layers that run several times.
    Loops,
    /// One key head for all query heads, or more query heads for one than were measured.
    Mqa,
    /// A vocabulary outside half to twice the recipe's.
    Vocabulary,
}

/// An assumption behind an estimate.
#[derive(Debug, Clone, PartialEq)]
pub struct Assumed {
    /// Which.
    pub assumption: Assumption,
    /// What it does to the loss, with its 90 % interval, nats.
    pub nats: Predicted,
    /// Where that comes from.
    pub source: String,
}

/// What an assumption rests on in a recipe, for whoever lets it into a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footing {
    /// What it does to the loss, with its 90 % interval.
    pub effect: String,
    /// Where that comes from.
    pub source: String,
}

impl Assumption {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Loops, Self::Mqa, Self::Vocabulary];

    /// Its name on the command line and in search spaces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loops => "loops",
            Self::Mqa => "mqa",
            Self::Vocabulary => "vocab",
        }
    }

    /// What a model of this kind has.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Loops => "layers that run several times",
            Self::Mqa => "fewer key heads than were measured",
            Self::Vocabulary => "a vocabulary far from the recipe's",
        }
    }

    /// The remark that estimates of such models carry.
    pub const fn flag(self) -> Flags {
        match self {
            Self::Loops => Flags::ASSUMED_LOOPS,
            Self::Mqa => Flags::ASSUMED_MQA,
            Self::Vocabulary => Flags::ASSUMED_VOCABULARY,
        }
    }

    /// The assumption of that name.
    ///
    /// # Errors
    /// When there is none, with the nearest.
    pub fn named(name: &str) -> Result<Self, QualityError> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|assumption| assumption.name() == name).ok_or_else(|| {
            let error = DocumentError::new("assumption", "no assumption of this name").field("--assume");
            let error = error.found(format!("`{name}`")).allowed(names.join(", "));
            error.maybe_hint(suggestion(name, names)).into()
        })
    }
}

impl Recipe {
    /// What an assumption rests on; none where the recipe says nothing of it.
    pub fn footing(&self, assumption: Assumption) -> Option<Footing> {
        let corrections = &self.corrections;
        match assumption {
            Assumption::Mqa => {
                let Correction { value, sigma, source, assumed } = &corrections.single_kv_head;
                let (low, high) = (value - Z90 * sigma, value + Z90 * sigma);
                let effect =
                    format!("one key head for all query heads adds {value} nats ({low:.4} to {high:.4})");
                Some(Footing { effect, source: marked(*assumed, source) })
            }
            Assumption::Loops => {
                let exponent = &self.shape.loop_exponent;
                let bounds = match (exponent.low, exponent.high) {
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    _ => "interval not known".to_owned(),
                };
                let effect =
                    format!("parameters that run r times count r^{} times ({bounds})", exponent.value);
                Some(Footing { effect, source: marked(exponent.assumed, &exponent.source) })
            }
            Assumption::Vocabulary => {
                let term = corrections.vocabulary.as_ref()?;
                let effect = format!(
                    "outside half to twice {} rows, a vocabulary adds what a sweep over {} vocabularies and {} sizes showed against the nearer edge (± {:.3})",
                    self.vocabulary_size,
                    term.vocabularies.len(),
                    term.parameters.len(),
                    Z90 * term.sigma
                );
                Some(Footing { effect, source: marked(term.assumed, &term.source) })
            }
        }
    }
}

impl QualityEstimate {
    /// Refuses an estimate that rests on an assumption outside `allowed`.
    ///
    /// # Errors
    /// What it rests on, what that does to the loss, and the option that lets it in.
    pub fn allow(&self, allowed: &[Assumption]) -> Result<(), QualityError> {
        let missing: Vec<&Assumed> =
            self.assumptions.iter().filter(|assumed| !allowed.contains(&assumed.assumption)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let what: Vec<&str> = missing.iter().map(|assumed| assumed.assumption.what()).collect();
        let mut names: Vec<&str> = allowed.iter().map(|assumption| assumption.name()).collect();
        names.extend(missing.iter().map(|assumed| assumed.assumption.name()));
        let founded: Vec<String> = missing.iter().map(|assumed| assumed.to_string()).collect();
        let message = format!("the model has {}, whose worth is weakly founded", what.join(" and "));
        let hint =
            format!("`--assume {}` lets it in, on this footing: {}", names.join(","), founded.join("; "));
        Err(DocumentError::new("assumption", message).field("--assume").hint(hint).into())
    }
}

impl std::fmt::Display for Assumed {
    /// `mqa: +0.012 nats (-0.004 to +0.028, 90 %), GQA paper, table 1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Predicted { value, low, high } = self.nats;
        let name = self.assumption.name();
        write!(f, "{name}: {value:+.3} nats ({low:+.3} to {high:+.3}, 90 %), {}", self.source)
    }
}

/// What a shape's estimate rests on.
pub(crate) fn assumptions(recipe: &Recipe, law: &Law, shape: &Shape, base: &Base) -> Vec<Assumed> {
    let corrections = &recipe.corrections;
    let around =
        |value: f64, sigma: f64| Predicted { value, low: value - Z90 * sigma, high: value + Z90 * sigma };
    let in_force = Assumption::ALL.into_iter().filter(|assumption| base.flags.contains(assumption.flag()));
    in_force
        .map(|assumption| match assumption {
            Assumption::Loops => {
                let exponent = &recipe.shape.loop_exponent;
                let nats = |power: f64| {
                    law.with_loop_exponent(power).base(shape).map_or(base.nats, |base| base.nats)
                };
                let gain = |power: f64| nats(power) - nats(0.0);
                let value = gain(exponent.value);
                // More exponent, less loss.
                let low = exponent.high.map_or(value, gain);
                let high = exponent.low.map_or(value, gain);
                Assumed { assumption, nats: Predicted { value, low, high }, source: exponent.source.clone() }
            }
            Assumption::Mqa => {
                let term = &corrections.single_kv_head;
                let source = term.source.clone();
                Assumed { assumption, nats: around(term.value, term.sigma), source }
            }
            Assumption::Vocabulary => {
                let term = corrections.vocabulary.as_ref();
                let (sigma, source) = term.map_or((0.0, ""), |term| (term.sigma, &term.source));
                Assumed { assumption, nats: around(base.vocabulary, sigma), source: source.to_owned() }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assumptions_state_their_interval_and_where_they_come_from() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        for assumption in Assumption::ALL {
            let footing = recipe.footing(assumption).unwrap();
            assert!(footing.effect.contains(" to ") || footing.effect.contains('±'), "{footing:?}");
            assert!(footing.source.contains("assumed: "), "{footing:?}");
        }
        let single = &recipe.corrections.single_kv_head;
        let effect = recipe.footing(Assumption::Mqa).unwrap().effect;
        assert!(effect.contains(&format!(
            "{:.4} to {:.4}",
            single.value - 1.645 * single.sigma,
            single.value + 1.645 * single.sigma
        )));
    }
}
