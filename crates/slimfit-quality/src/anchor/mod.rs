//! Anchors: a trained sibling whose score is known says how far its data lifts a benchmark.
//!
//! An anchor moves the level of its own task and of nothing else. The loss stays where the recipe puts it: among published
//! models, what a sibling's HellaSwag says about its data does not carry over to other benchmarks.

#[cfg(test)]
mod tests;

use crate::recipe::{AnchoredTask, Recipe};
use crate::{QualityError, QualityModel, Shape, WorkloadText};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::{NumberFormat, parse_count};

const FIELD: &str = "--anchor";
const FORM: &str = "MODEL[@TOKENS]=TASK:SCORE, such as `smollm2-360m@4T=hellaswag:54.5`";

/// A trained model of known score.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// As the user named it.
    pub model: String,
    /// What it is.
    pub architecture: Architecture,
    /// Tokens it was trained on.
    pub tokens: u64,
    /// The task of the score: a name of the recipe's `scores.tasks`.
    pub task: String,
    /// Its score, per cent, measured in the setting of the recipe's scores.
    pub percent: f64,
}

/// What a name of a model stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorModel {
    /// What it is.
    pub architecture: Architecture,
    /// Tokens it was trained on, where that is known.
    pub tokens: Option<u64>,
}

/// How far an anchor lies from the law, and how far it moves its task.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorShift {
    /// The anchor.
    pub anchor: Anchor,
    /// The score that the recipe alone gives it, per cent.
    pub predicted_percent: f64,
    /// Loss that its score stands for, less the law's, nats.
    pub residual_nats: f64,
    /// What is added to the loss of candidates before their score is read off, nats.
    pub shift_nats: f64,
    /// Its non-embedding parameters.
    pub non_embedding: u64,
    /// Where the share of the residual and the width of the interval come from.
    pub source: String,
}

impl Anchor {
    /// Reads `MODEL[@TOKENS]=TASK:SCORE`; `lookup` finds the model.
    ///
    /// # Errors
    /// What is missing or no number, that the training tokens of the model are not known, and what `lookup` says.
    pub fn parse<E: From<QualityError>>(
        text: &str,
        lookup: impl FnOnce(&str) -> Result<AnchorModel, E>,
    ) -> Result<Self, E> {
        let wrong = |message: &str| refusal(message).found(format!("`{text}`")).allowed(FORM);
        let fail = |error: DocumentError| Err(E::from(error.into()));
        let Some((named, scored)) = text.rsplit_once('=') else {
            return fail(wrong("an anchor without `=`"));
        };
        let Some((task, score)) = scored.split_once(':') else {
            return fail(wrong("an anchor whose score has no `:`"));
        };
        let percent = match score.trim().parse::<f64>() {
            Ok(percent) if percent.is_finite() => percent,
            _ => return fail(wrong("an anchor whose score is no number")),
        };
        let (model, tokens) = match named.rsplit_once('@') {
            None => (named.trim(), None),
            Some((model, tokens)) => match parse_count(tokens.trim()) {
                Ok(tokens) => (model.trim(), Some(tokens)),
                Err(_) => return fail(wrong("an anchor whose training tokens are no count")),
            },
        };
        if model.is_empty() {
            return fail(wrong("an anchor without a model"));
        }
        let found = lookup(model)?;
        let Some(tokens) = tokens.or(found.tokens) else {
            let error =
                refusal("the training tokens of the anchor are not known").found(format!("`{model}`"));
            return fail(error.hint(format!("add them: `{model}@300B={}`", scored.trim())));
        };
        Ok(Self {
            model: model.to_owned(),
            architecture: found.architecture,
            tokens,
            task: task.trim().to_owned(),
            percent,
        })
    }
}

impl QualityModel {
    /// The same model with the levels of the anchors' tasks moved; anchors given before are kept.
    ///
    /// A candidate's score follows the anchor of its task that is nearest in size. The shift is
    /// `weight · (loss that the anchor's score stands for − loss that the law gives it)`, with the recipe's `anchors.weight`.
    ///
    /// # Errors
    /// When the recipe has no anchors, the task cannot be anchored, the score is too near to guessing, or the law does not
    /// reach the anchor.
    pub fn anchored(&self, anchors: &[Anchor]) -> Result<Self, QualityError> {
        let mut model = self.clone();
        for anchor in anchors {
            let shift = self.shift_of(anchor)?;
            model.anchors.push(shift);
        }
        Ok(model)
    }

    /// The anchors in force.
    pub fn anchors(&self) -> &[AnchorShift] {
        &self.anchors
    }

    /// The least shift of the loss behind a task's score that any anchor gives; 0 without anchors.
    pub fn least_anchor_shift(&self, task: &str) -> f64 {
        let shifts =
            self.anchors.iter().filter(|anchor| anchor.anchor.task == task).map(|anchor| anchor.shift_nats);
        let least = shifts.fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 0.0 }
    }

    /// The anchor that a candidate of so many non-embedding parameters follows in a task, and half the 90 % interval of
    /// its score, points of 100.
    pub fn anchor_for(&self, task: &str, non_embedding: u64) -> Option<(&AnchorShift, f64)> {
        let distance = |shift: &AnchorShift| (non_embedding as f64 / shift.non_embedding as f64).ln().abs();
        let of_task = self.anchors.iter().filter(|shift| shift.anchor.task == task);
        let nearest = of_task.min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
        let terms = self.recipe().anchors.as_ref()?.tasks.get(task)?;
        let near = distance(nearest) <= terms.near_sizes.ln();
        Some((nearest, if near { terms.across_recipes } else { terms.across_recipes_far }))
    }

    fn shift_of(&self, anchor: &Anchor) -> Result<AnchorShift, QualityError> {
        let recipe = self.recipe();
        let (weight, terms) = self.anchor_terms(anchor)?;
        let curve = &recipe.scores.tasks[&anchor.task];
        let chance = 100.0 * curve.chance;
        let least = chance + recipe.anchors.as_ref().map_or(0.0, |anchors| anchors.minimum_points);
        if !(anchor.percent > least && anchor.percent < 100.0) {
            let error = refusal("the score of the anchor says nothing about its level")
                .found(format!("{} for `{}`", anchor.percent, anchor.task))
                .allowed(format!("more than {least:.1} and less than 100 per cent"));
            let hint = format!("guessing gives {chance:.0}; name a sibling that is clearly above it");
            return Err(error.hint(hint).into());
        }
        // No prompt: what windows cut is no property of the training.
        let text = WorkloadText::new(0, 0);
        let estimate = self
            .unanchored_estimate(
                &anchor.architecture,
                NumberFormat::F16,
                NumberFormat::F16,
                anchor.tokens,
                &text,
            )
            .map_err(|error| match error {
                QualityError::Refused { what, found, allowed, .. } => {
                    let error =
                        refusal(&format!("the law does not reach the anchor `{}`: {what}", anchor.model));
                    QualityError::Document(error.found(found).allowed(allowed))
                }
                other => other,
            })?;
        let residual_nats = curve.nats(anchor.percent) - estimate.loss.value;
        Ok(AnchorShift {
            predicted_percent: curve.percent(estimate.loss.value),
            residual_nats,
            shift_nats: weight * residual_nats,
            non_embedding: Shape::of(&anchor.architecture)?.non_embedding,
            source: terms.source.clone(),
            anchor: anchor.clone(),
        })
    }

    /// The share of the residual that counts, and what is known of the task.
    fn anchor_terms(&self, anchor: &Anchor) -> Result<(f64, &AnchoredTask), QualityError> {
        let Recipe { name, scores, anchors, .. } = self.recipe();
        let task = &anchor.task;
        let Some(anchors) = anchors else {
            let error = refusal(&format!("recipe `{name}` says nothing about anchors"));
            return Err(error.hint("its file needs a block `anchors`").into());
        };
        if let Some(terms) = anchors.tasks.get(task).filter(|_| scores.tasks.contains_key(task)) {
            return Ok((anchors.weight.value, terms));
        }
        let allowed = anchors.tasks.keys().map(|task| format!("`{task}`")).collect::<Vec<_>>().join(", ");
        let error = match anchors.not_anchored.get(task).or_else(|| scores.not_predicted.get(task)) {
            Some(reason) => refusal(&format!("`{task}` takes no anchor: {reason}")),
            None if scores.tasks.contains_key(task) => {
                refusal(&format!("`{task}` takes no anchor: what one would buy was not measured"))
            }
            None => {
                let known = scores.tasks.keys().chain(scores.not_predicted.keys()).map(String::as_str);
                refusal("no task of this name").found(format!("`{task}`")).maybe_hint(suggestion(task, known))
            }
        };
        Err(error.allowed(allowed).into())
    }
}

impl AnchorShift {
    /// Whether the anchor lies so far from the law that its score was most probably measured in another setting.
    pub fn is_implausible(&self, recipe: &Recipe) -> bool {
        self.residual_nats.abs() > 3.0 * recipe.recipe_sigma()
    }
}

fn refusal(message: &str) -> DocumentError {
    DocumentError::new("anchor", message).field(FIELD)
}
