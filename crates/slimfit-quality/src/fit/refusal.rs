//! Why training runs cannot become a recipe.

use crate::QualityError;

/// The rule that a set of training runs breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FitRefusal {
    /// Fewer runs than the form has coefficients.
    TooFewRuns,
    /// Too few shapes to tell their effect.
    TooFewShapes,
    /// All models are about as large.
    NarrowSizes,
    /// All runs are about as long.
    NarrowTokens,
    /// All shapes are about as wide for their depth.
    NarrowShapes,
    /// Losses of several tokenizers.
    SeveralVocabularies,
    /// Runs of several lengths where the form knows none.
    SeveralLengths,
    /// The left-out runs are predicted no better than by their mean.
    NoBetterThanTheMean,
    /// No minimum was found.
    NoMinimum,
}

impl FitRefusal {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TooFewRuns,
        Self::TooFewShapes,
        Self::NarrowSizes,
        Self::NarrowTokens,
        Self::NarrowShapes,
        Self::SeveralVocabularies,
        Self::SeveralLengths,
        Self::NoBetterThanTheMean,
        Self::NoMinimum,
    ];

    /// What is too little or too narrow.
    pub const fn subject(self) -> &'static str {
        match self {
            Self::TooFewRuns => "the number of runs",
            Self::TooFewShapes => "the number of shapes",
            Self::NarrowSizes => "the largest over the smallest number of non-embedding parameters",
            Self::NarrowTokens => "the longest over the shortest training",
            Self::NarrowShapes => "the largest over the smallest width over depth",
            Self::SeveralVocabularies => "the number of vocabulary sizes",
            Self::SeveralLengths => "the number of training lengths",
            Self::NoBetterThanTheMean => "the error of left-out runs over that of their mean",
            Self::NoMinimum => "the fit",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::TooFewRuns => "train a few more small models: minutes each, at several sizes and lengths",
            Self::TooFewShapes => {
                "`--form level` takes the shape terms from the base recipe and asks for 3 runs"
            }
            Self::NarrowSizes => "add smaller or larger models",
            Self::NarrowTokens => {
                "add losses at other training lengths (checkpoints count); `--form log-quadratic` is for one length"
            }
            Self::NarrowShapes => {
                "add deeper and wider shapes, or take the shape terms from the base recipe with `--form level`"
            }
            Self::SeveralVocabularies => "losses of different tokenizers do not compare: fit each by itself",
            Self::SeveralLengths => "`--form level` and `--form whole` know training lengths",
            Self::NoBetterThanTheMean => "check losses, tokens and shapes for mistakes",
            Self::NoMinimum => "check losses and tokens for mistakes",
        }
    }

    pub(super) fn error(self, found: impl ToString, allowed: impl ToString) -> QualityError {
        QualityError::FitRefused {
            refusal: self,
            found: found.to_string(),
            allowed: allowed.to_string(),
            hint: self.hint(),
        }
    }
}
