//! Values that rest on a single published ablation: nobody gets them without asking.

use crate::recipe::Recipe;
use crate::{Base, Flags, Law, QualityError, QualityEstimate, Shape, Z90};
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::Predicted;

/// A kind of model whose value rests on a single ablation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ablation {
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
    pub ablation: Ablation,
    /// What it does to the loss, with its 90 % interval, nats.
    pub nats: Predicted,
    /// Where that comes from.
    pub source: String,
}

impl Ablation {
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
        Self::ALL.into_iter().find(|ablation| ablation.name() == name).ok_or_else(|| {
            let error = DocumentError::new("assumption", "no assumption of this name").field("--assume");
            let error = error.found(format!("`{name}`")).allowed(names.join(", "));
            error.maybe_hint(suggestion(name, names)).into()
        })
    }
}

impl QualityEstimate {
    /// Refuses an estimate that rests on an assumption outside `allowed`.
    ///
    /// # Errors
    /// What it rests on, what that does to the loss, and the option that lets it in.
    pub fn allow(&self, allowed: &[Ablation]) -> Result<(), QualityError> {
        let missing: Vec<&Assumed> =
            self.assumptions.iter().filter(|assumed| !allowed.contains(&assumed.ablation)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let what: Vec<&str> = missing.iter().map(|assumed| assumed.ablation.what()).collect();
        let mut names: Vec<&str> = allowed.iter().map(|ablation| ablation.name()).collect();
        names.extend(missing.iter().map(|assumed| assumed.ablation.name()));
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
        let name = self.ablation.name();
        write!(f, "{name}: {value:+.3} nats ({low:+.3} to {high:+.3}, 90 %), {}", self.source)
    }
}

/// What a shape's estimate rests on.
pub(crate) fn assumptions(recipe: &Recipe, law: &Law, shape: &Shape, base: &Base) -> Vec<Assumed> {
    let corrections = &recipe.corrections;
    let around =
        |value: f64, sigma: f64| Predicted { value, low: value - Z90 * sigma, high: value + Z90 * sigma };
    let in_force = Ablation::ALL.into_iter().filter(|ablation| base.flags.contains(ablation.flag()));
    in_force
        .map(|ablation| match ablation {
            Ablation::Loops => {
                let exponent = &recipe.shape.loop_exponent;
                let nats = |power: f64| {
                    law.with_loop_exponent(power).base(shape).map_or(base.nats, |base| base.nats)
                };
                let gain = |power: f64| nats(power) - nats(0.0);
                let value = gain(exponent.value);
                // More exponent, less loss.
                let low = exponent.high.map_or(value, gain);
                let high = exponent.low.map_or(value, gain);
                Assumed { ablation, nats: Predicted { value, low, high }, source: exponent.source.clone() }
            }
            Ablation::Mqa => {
                let term = &corrections.single_kv_head;
                let source = term.source.clone();
                Assumed { ablation, nats: around(term.value, term.sigma), source }
            }
            Ablation::Vocabulary => {
                let term = corrections.vocabulary.as_ref();
                let (sigma, source) = term.map_or((0.0, ""), |term| (term.sigma, &term.source));
                Assumed { ablation, nats: around(base.vocabulary, sigma), source: source.to_owned() }
            }
        })
        .collect()
}
