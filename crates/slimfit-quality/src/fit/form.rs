//! How much of the law a fit may move, and what it asks of the runs.

use super::parameter::Parameter;
use super::refusal::FitRefusal;
use super::run::{TrainingRun, groups};
use crate::QualityError;
use std::fmt;
use std::str::FromStr;

/// Sizes and lengths must differ by this factor for their terms to be told apart.
const LEAST_SPAN: f64 = 2.0;
/// Width over depth must differ by this factor: a narrower range says nothing of shapes outside it.
const LEAST_ASPECT_SPAN: f64 = 4.0;
/// Runs for each coefficient of the log-quadratic form.
const RUNS_PER_TERM: usize = 2;

/// What a fit moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Irreducible loss and the factors of size and data; exponents and shape terms stay those of the base recipe.
    #[default]
    Level,
    /// Everything: exponents, embedding credit, width and depth too.
    Whole,
    /// ln-quadratic in sizes and widths, for suites of one training length. It judges a suite, and is no recipe.
    LogQuadratic,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Level, Self::Whole, Self::LogQuadratic];

    /// The name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Whole => "whole",
            Self::LogQuadratic => "log-quadratic",
        }
    }

    /// What it moves of the law; nothing for the log-quadratic form.
    pub const fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Level => &Parameter::LEVEL,
            Self::Whole => &Parameter::WHOLE,
            Self::LogQuadratic => &[],
        }
    }

    /// Whether the runs are enough and wide enough.
    ///
    /// # Errors
    /// [`QualityError::FitRefused`] with the first rule that they break.
    pub fn check(self, runs: &[&TrainingRun]) -> Result<(), QualityError> {
        let vocabularies = distinct(runs.iter().map(|run| run.shape.vocabulary_size));
        if vocabularies > 1 {
            return Err(FitRefusal::SeveralVocabularies.error(vocabularies, "1"));
        }
        let least = match self {
            Self::Level => 3,
            Self::Whole => Parameter::WHOLE.len() + 1,
            Self::LogQuadratic => RUNS_PER_TERM * super::surface::SMALLEST_TERMS,
        };
        if runs.len() < least {
            return Err(FitRefusal::TooFewRuns.error(runs.len(), format!("{least} or more")));
        }
        let shapes = groups(runs).len();
        let least = match self {
            Self::Level => 2,
            Self::Whole => 8,
            Self::LogQuadratic => least,
        };
        if shapes < least {
            return Err(FitRefusal::TooFewShapes.error(shapes, format!("{least} or more")));
        }
        let size = span(runs.iter().map(|run| run.shape.non_embedding as f64));
        let length = span(runs.iter().map(|run| run.tokens as f64));
        if size < LEAST_SPAN {
            return Err(FitRefusal::NarrowSizes.error(shown(size), format!("{LEAST_SPAN} or more")));
        }
        if self == Self::LogQuadratic {
            let lengths = distinct(runs.iter().map(|run| run.tokens));
            return match lengths {
                1 => Ok(()),
                _ => Err(FitRefusal::SeveralLengths.error(lengths, "1")),
            };
        }
        if length < LEAST_SPAN {
            return Err(FitRefusal::NarrowTokens.error(shown(length), format!("{LEAST_SPAN} or more")));
        }
        let aspect = span(runs.iter().map(|run| run.shape.ln_width_over_depth().exp()));
        if self == Self::Whole && aspect < LEAST_ASPECT_SPAN {
            return Err(FitRefusal::NarrowShapes.error(shown(aspect), format!("{LEAST_ASPECT_SPAN} or more")));
        }
        Ok(())
    }
}

fn shown(factor: f64) -> String {
    format!("{factor:.2}")
}

fn distinct(values: impl Iterator<Item = u64>) -> usize {
    values.collect::<std::collections::BTreeSet<u64>>().len()
}

/// Largest over smallest.
fn span(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().fold(0.0, f64::max) / values.fold(f64::INFINITY, f64::min)
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = QualityError;

    fn from_str(text: &str) -> Result<Self, QualityError> {
        Self::ALL.into_iter().find(|form| form.name() == text).ok_or_else(|| QualityError::UnknownForm {
            found: text.to_owned(),
            allowed: Self::ALL.map(Self::name).join(", "),
            hint: slimfit_document::suggestion(text, Self::ALL.map(Self::name)),
        })
    }
}
