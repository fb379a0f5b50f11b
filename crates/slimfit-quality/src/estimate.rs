//! The whole estimate of one model: loss, its terms with their sources, scores.

use crate::assume::assumptions;
use crate::recipe::{Coefficient, Correction, Recipe};
use crate::score::Score;
use crate::{AnchorShift, Assumed, Flags, Law, QualityError, Refusal, Shape, WorkloadText};
use slimfit_arch::Architecture;
use slimfit_quantity::{NumberFormat, Predicted};
use std::collections::BTreeMap;

/// Standard deviations of a two-sided 90 % interval.
pub const Z90: f64 = 1.645;

/// Values models by a recipe.
#[derive(Debug, Clone)]
pub struct QualityModel {
    recipe: Recipe,
    pub(crate) anchors: Vec<AnchorShift>,
}

/// One standard deviation from each of three sources that must not be mixed, nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossNoise {
    /// Of the shape: how far the law misses a shape of the recipe's own suite.
    pub shape: f64,
    /// Of the axes that the model uses: heads, window, vocabulary, number formats.
    pub axis: f64,
    /// Between recipes: the same for all candidates, so it decides no tie.
    pub recipe: f64,
}

/// What a model is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityEstimate {
    /// The recipe's name.
    pub recipe: String,
    /// Training tokens, counted in the recipe's tokenizer.
    pub tokens: u64,
    /// Nats per token of the recipe's tokenizer; the interval holds shape and axis noise.
    pub loss: Predicted,
    /// One standard deviation of the same, nats.
    pub sigma: f64,
    /// What the noise consists of: shape and axis make `sigma`; the recipe is not part of `loss`, since it is the same for
    /// all candidates.
    pub noise: LossNoise,
    /// Nats per byte of text.
    pub loss_per_byte: Predicted,
    /// Bytes of text per token of the model's own vocabulary.
    pub bytes_per_token: Predicted,
    /// Parameters that a model of the best shape without embeddings would need for the same loss.
    pub effective_size: f64,
    /// What the loss consists of: the nats sum to `loss`.
    pub terms: Vec<Term>,
    /// Scores by task.
    pub scores: BTreeMap<String, Score>,
    /// Tasks without a score.
    pub not_predicted: Vec<NotPredicted>,
    /// What it rests on that is weakly founded.
    pub assumptions: Vec<Assumed>,
    /// Remarks.
    pub flags: Flags,
}

/// One summand of the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// `size`, `data` …
    pub name: &'static str,
    /// Its size.
    pub nats: f64,
    /// Where its coefficients come from; begins with "assumed: " where that is weak.
    pub source: String,
}

/// A task that cannot be predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPredicted {
    /// The task.
    pub task: String,
    /// Why.
    pub reason: String,
}

impl QualityModel {
    /// A model of quality by a recipe.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, anchors: Vec::new() }
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The law for one training length (tokens of the recipe's tokenizer) and one workload.
    pub fn law(&self, tokens: u64, text: &WorkloadText) -> Law {
        Law::new(&self.recipe, tokens, text)
    }

    /// Values one model trained on `tokens` tokens of the recipe's tokenizer.
    ///
    /// # Errors
    /// When the architecture cannot exist, or the law does not reach it.
    pub fn estimate(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
        tokens: u64,
        text: &WorkloadText,
    ) -> Result<QualityEstimate, QualityError> {
        let mut estimate = self.unanchored_estimate(architecture, weights, kv, tokens, text)?;
        if !self.anchors.is_empty() {
            let non_embedding = Shape::of(architecture)?.non_embedding;
            for (task, score) in &mut estimate.scores {
                let Some((shift, across)) = self.anchor_for(task, non_embedding) else { continue };
                let curve = &self.recipe.scores.tasks[task];
                let nats = estimate.loss.value + shift.shift_nats;
                *score = curve.anchored_score(nats, estimate.sigma, across);
            }
        }
        Ok(estimate)
    }

    /// [`QualityModel::estimate`] by the recipe alone.
    pub(crate) fn unanchored_estimate(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
        tokens: u64,
        text: &WorkloadText,
    ) -> Result<QualityEstimate, QualityError> {
        let shape = Shape::of(architecture)?;
        let law = self.law(tokens, text);
        let refused = |refusal| self.refused(refusal, &shape, weights, kv, tokens);
        let base = law.base(&shape).map_err(refused)?;
        let loss = law.finish(&base, weights, kv).map_err(refused)?;
        let interval =
            |value: f64, sigma: f64| Predicted { value, low: value - Z90 * sigma, high: value + Z90 * sigma };
        let recipe_sigma = self.recipe.recipe_sigma();
        let scores = &self.recipe.scores;
        let not_predicted = scores.not_predicted.iter();
        Ok(QualityEstimate {
            recipe: self.recipe.name.clone(),
            tokens,
            loss: interval(loss.nats, loss.sigma),
            sigma: loss.sigma,
            noise: LossNoise { shape: loss.shape_sigma, axis: loss.axis_sigma, recipe: recipe_sigma },
            loss_per_byte: interval(law.per_byte(loss.nats), law.per_byte(loss.sigma)),
            bytes_per_token: law.bytes_per_token_interval(architecture.vocabulary_size),
            effective_size: base.ln_effective_size.exp(),
            terms: self.terms(&law, &shape, &base, &loss, weights, kv),
            scores: scores
                .tasks
                .iter()
                .map(|(task, curve)| {
                    (task.clone(), curve.score(loss.nats, loss.sigma, recipe_sigma, scores.across_recipes))
                })
                .collect(),
            not_predicted: not_predicted
                .map(|(task, reason)| NotPredicted { task: task.clone(), reason: reason.clone() })
                .collect(),
            assumptions: assumptions(&self.recipe, &law, &shape, &base),
            flags: loss.flags,
        })
    }

    fn terms(
        &self,
        law: &Law,
        shape: &Shape,
        base: &crate::Base,
        loss: &crate::Loss,
        weights: NumberFormat,
        kv: NumberFormat,
    ) -> Vec<Term> {
        let Recipe { loss: laws, shape: shapes, corrections, .. } = &self.recipe;
        let best_shape = law.size_nats(base.ln_effective_size - base.ln_penalty);
        let mut size_sources = vec![&laws.size.factor, &laws.size.exponent, &shapes.embedding_credit];
        if shape.experts > 1 {
            size_sources.push(&shapes.expert_exponent);
        }
        if shape.looped.is_some() {
            size_sources.push(&shapes.loop_exponent);
        }
        let mut data_sources = vec![&laws.data.factor, &laws.data.exponent];
        data_sources.extend(&laws.interaction);
        let term = |name, nats, source| Term { name, nats, source };
        let none = |reason: &str| reason.to_owned();
        let heads = if base.flags.contains(Flags::ASSUMED_MQA) {
            correction_source(&corrections.single_kv_head)
        } else if shape.heads_per_kv_head > 1 {
            correction_source(&corrections.grouped_heads)
        } else {
            none("one key head for each query head")
        };
        let window = match (law.window_cuts(shape), shape.window) {
            (true, _) => correction_source(&corrections.window),
            (false, Some(_)) => none("every window covers the workload's text"),
            (false, None) => none("no windows"),
        };
        let vocabulary = match &corrections.vocabulary {
            Some(term) if base.flags.contains(Flags::ASSUMED_VOCABULARY) => {
                marked(term.assumed, &term.source)
            }
            Some(_) => none("within half to twice the recipe's vocabulary"),
            None => none("not counted: the recipe's losses are of many tokenizers"),
        };
        let kv_source = corrections.kv_formats.get(&kv).map(correction_source).unwrap_or_default();
        let mut weight_source = corrections.weight_formats.get(&weights).map(source).unwrap_or_default();
        if loss.weight_format != 0.0 {
            let scaled = &corrections.training_exponent;
            weight_source = format!("{weight_source}; times {:.2}, {}", base.training_factor, source(scaled));
        }
        vec![
            term("irreducible", base.irreducible, source(&laws.irreducible)),
            term("size", best_shape, sources(&size_sources)),
            term(
                "width_depth",
                base.size - best_shape,
                sources(&[&shapes.width_depth_penalty, &shapes.width_depth_optimum]),
            ),
            term("data", base.data, sources(&data_sources)),
            term("kv_heads", base.heads, heads),
            term("window", base.window, window),
            term("vocabulary", base.vocabulary, vocabulary),
            term("kv_format", loss.kv_format, kv_source),
            term("weight_format", loss.weight_format, weight_source),
        ]
    }

    fn refused(
        &self,
        refusal: Refusal,
        shape: &Shape,
        weights: NumberFormat,
        kv: NumberFormat,
        tokens: u64,
    ) -> QualityError {
        let limits = &self.recipe.limits;
        let corrections = &self.recipe.corrections;
        let [least, most] = limits.non_embedding;
        let parameters = ("its number of non-embedding parameters", shape.non_embedding.to_string());
        let ((what, found), allowed) = match refusal {
            Refusal::TooSmall | Refusal::TooLarge => (parameters, format!("{least} to {most}")),
            Refusal::TooFewTokens => {
                let ratio = tokens as f64 / shape.non_embedding as f64;
                let what = "the number of training tokens per non-embedding parameter";
                ((what, format!("{ratio:.2}")), format!("{} or more", limits.tokens_per_parameter))
            }
            Refusal::WidthDepth => {
                let ratio = shape.hidden_size as f64 / shape.layers as f64;
                let [low, high] = limits.width_over_depth;
                (("width over depth", format!("{ratio:.2}")), format!("{low} to {high}"))
            }
            Refusal::Vocabulary => (
                ("`vocabulary_size`", shape.vocabulary_size.to_string()),
                format!("at most {}", limits.vocabulary_size),
            ),
            Refusal::Window => (
                (
                    "the arrangement of windows shorter than the workload's text",
                    format!(
                        "a window of {} with {} of {} layers global",
                        shape.window.unwrap_or_default(),
                        shape.global_layers,
                        shape.layers
                    ),
                ),
                format!(
                    "windows of {} or more with at least one global layer in {}",
                    corrections.window_minimum, corrections.window_global_every
                ),
            ),
            Refusal::Experts => {
                (("the number of experts", shape.experts.to_string()), format!("at most {}", limits.experts))
            }
            Refusal::Loops => {
                let passes = shape.looped.map_or(1, |looped| looped.count);
                (("the number of passes", passes.to_string()), format!("at most {}", limits.loops))
            }
            Refusal::WeightFormat => {
                let known: Vec<_> = corrections.weight_formats.keys().map(|format| format.name()).collect();
                (("the weight format", format!("`{weights}`")), known.join(", "))
            }
            Refusal::KvFormat => {
                let known: Vec<_> = corrections.kv_formats.keys().map(|format| format.name()).collect();
                (("the KV format", format!("`{kv}`")), known.join(", "))
            }
        };
        QualityError::Refused { refusal, what: what.to_owned(), found, allowed }
    }
}

fn source(coefficient: &Coefficient) -> String {
    marked(coefficient.assumed, &coefficient.source)
}

fn correction_source(correction: &Correction) -> String {
    marked(correction.assumed, &correction.source)
}

pub(crate) fn marked(assumed: bool, source: &str) -> String {
    if assumed { format!("assumed: {source}") } else { source.to_owned() }
}

/// Sources in order, each once.
pub(crate) fn sources(coefficients: &[&Coefficient]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for coefficient in coefficients {
        let text = source(coefficient);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join("; ")
}
