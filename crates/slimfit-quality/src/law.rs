//! The law itself, for one training length and one workload: a shape goes in, nats come out.
//!
//! Everything here is plain arithmetic without allocation, so that a search can ask for millions of shapes;
//! [`QualityModel::estimate`](crate::QualityModel::estimate) goes through the same functions, so both always agree.

use crate::formula::Formula;
use crate::recipe::{Correction, Recipe};
use crate::{Flags, Refusal, Shape, WorkloadText, Z90};
use slimfit_quantity::{NumberFormat, Predicted};

/// What a bound gives to rounding, relative.
const ROUNDING: f64 = 1e-12;

/// The law with everything filled in that does not depend on the model.
#[derive(Debug, Clone)]
pub struct Law {
    recipe: Recipe,
    formula: Formula,
    text: WorkloadText,
    tokens: f64,
    data_nats: f64,
    inside_tokens: bool,
    weights: [Option<f64>; NumberFormat::ALL.len()],
    kv: [Option<(f64, f64, bool)>; NumberFormat::ALL.len()],
    /// Bytes per token over those of the recipe's table, and their relative sigma.
    text_scale: f64,
    text_sigma: f64,
}

/// All terms but those of the number formats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Base {
    /// Sum of the terms below, nats per token.
    pub nats: f64,
    /// What remains at any size.
    pub irreducible: f64,
    /// The size term, width and depth included: what endless data would leave above the irreducible.
    pub size: f64,
    /// What the end of the data adds to it.
    pub data: f64,
    /// Key and value heads.
    pub heads: f64,
    /// Windows.
    pub window: f64,
    /// Vocabulary.
    pub vocabulary: f64,
    /// ln of the effective size, the penalty included.
    pub ln_effective_size: f64,
    /// The penalty in it: `-width_depth_penalty · (ln(d/L) − optimum)²`.
    pub ln_penalty: f64,
    /// Variance of shape and axes, nats².
    pub variance: f64,
    /// Of which the axes.
    pub axis_variance: f64,
    /// Factor on the loss of a weight format for this training length.
    pub training_factor: f64,
    /// Remarks.
    pub flags: Flags,
}

/// A loss with its noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Nats per token of the recipe's tokenizer.
    pub nats: f64,
    /// One standard deviation from shape and axes: what decides ties within the recipe.
    pub sigma: f64,
    /// The part of `sigma` that comes from the shape.
    pub shape_sigma: f64,
    /// The part of `sigma` that comes from the axes, number formats included.
    pub axis_sigma: f64,
    /// Nats of the weight format in it.
    pub weight_format: f64,
    /// Nats of the KV format in it.
    pub kv_format: f64,
    /// Remarks.
    pub flags: Flags,
}

impl Law {
    pub(crate) fn new(recipe: &Recipe, tokens: u64, text: &WorkloadText) -> Self {
        let tokens = tokens as f64;
        let formula = Formula::of(recipe);
        let index = |format: NumberFormat| format as usize;
        let mut weights = [None; NumberFormat::ALL.len()];
        for (&format, coefficient) in &recipe.corrections.weight_formats {
            weights[index(format)] = Some(coefficient.value);
        }
        let mut kv = [None; NumberFormat::ALL.len()];
        for (&format, correction) in &recipe.corrections.kv_formats {
            kv[index(format)] = Some((correction.value, correction.sigma, correction.assumed));
        }
        let of_table = (1.0, recipe.text.relative_sigma);
        let (text_scale, text_sigma) =
            text.tokenized.map_or(of_table, |tokenized| tokenized.scale(&recipe.text));
        Self {
            text: *text,
            tokens,
            data_nats: formula.data_nats(tokens.ln()),
            inside_tokens: within(tokens, recipe.validity.tokens),
            formula,
            weights,
            kv,
            text_scale,
            text_sigma,
            recipe: recipe.clone(),
        }
    }

    /// All terms of a shape but those of its number formats.
    ///
    /// # Errors
    /// The rule that refuses the shape.
    pub fn base(&self, shape: &Shape) -> Result<Base, Refusal> {
        let Recipe { corrections, noise, validity, limits, .. } = &self.recipe;
        let stored = shape.non_embedding as f64;
        if stored < limits.non_embedding[0] {
            return Err(Refusal::TooSmall);
        }
        if stored > limits.non_embedding[1] {
            return Err(Refusal::TooLarge);
        }
        let tokens_per_parameter = self.tokens / stored;
        if tokens_per_parameter < limits.tokens_per_parameter {
            return Err(Refusal::TooFewTokens);
        }
        let aspect = shape.hidden_size as f64 / shape.layers as f64;
        if !within(aspect, limits.width_over_depth) {
            return Err(Refusal::WidthDepth);
        }
        if shape.vocabulary_size > limits.vocabulary_size {
            return Err(Refusal::Vocabulary);
        }
        if shape.experts > limits.experts {
            return Err(Refusal::Experts);
        }
        if shape.looped.is_some_and(|looped| looped.count > limits.loops) {
            return Err(Refusal::Loops);
        }
        let ln_penalty = self.formula.ln_penalty(aspect.ln());
        let ln_effective_size = self.formula.ln_size(shape) + ln_penalty;
        let size = self.formula.size_nats(ln_effective_size);
        let data = self.formula.joined(size, self.data_nats) - size;

        let mut variance = self.loop_variance(shape);
        let mut flags = Flags::default();
        flags = flags.union(Flags::when(self.recipe.far_heads(shape), Flags::ASSUMED_MQA));
        let heads =
            self.recipe.heads_correction(shape).map_or(0.0, |correction| add(correction, &mut variance));
        let mut window = 0.0;
        if self.window_cuts(shape) {
            let few_global = shape.global_layers * corrections.window_global_every < shape.layers;
            if few_global || shape.window.is_some_and(|window| window < corrections.window_minimum) {
                return Err(Refusal::Window);
            }
            flags = flags.union(Flags::ASSUMED_WINDOW);
            window = add(&corrections.window, &mut variance);
        }
        let (vocabulary, far_vocabulary) = self.vocabulary_nats(shape, &mut variance);

        let outside = !within(stored, validity.non_embedding)
            || !within(tokens_per_parameter, validity.tokens_per_parameter)
            || !within(aspect, validity.width_over_depth)
            || shape.ffn_low < validity.ffn_over_width[0]
            || shape.ffn_high > validity.ffn_over_width[1]
            || !self.inside_tokens
            || shape.per_layer;
        let growth = tokens_per_parameter / corrections.training_reference;
        let [least, most] = corrections.training_clip;
        let irreducible = self.formula.irreducible;
        Ok(Base {
            nats: irreducible + size + data + heads + window + vocabulary,
            irreducible,
            size,
            data,
            heads,
            window,
            vocabulary,
            ln_effective_size,
            ln_penalty,
            axis_variance: variance,
            variance: variance + noise.shape.value * noise.shape.value,
            training_factor: growth.powf(corrections.training_exponent.value).clamp(least, most),
            flags: flags
                .union(Flags::when(outside, Flags::EXTRAPOLATED))
                .union(Flags::when(far_vocabulary, Flags::ASSUMED_VOCABULARY))
                .union(Flags::when(shape.looped.is_some(), Flags::ASSUMED_LOOPS)),
        })
    }

    /// The loss with number formats.
    ///
    /// # Errors
    /// When a format has too few bits or no published measurement.
    pub fn finish(&self, base: &Base, weights: NumberFormat, kv: NumberFormat) -> Result<Loss, Refusal> {
        let corrections = &self.recipe.corrections;
        let bits = weights.bits_per_value();
        if bits < self.recipe.limits.bits {
            return Err(Refusal::WeightFormat);
        }
        let weight_format =
            self.weights[weights as usize].ok_or(Refusal::WeightFormat)? * base.training_factor;
        let share = if bits < corrections.weight_low_bits {
            corrections.weight_sigma_low_bits
        } else {
            corrections.weight_sigma
        };
        let (kv_format, kv_sigma, kv_assumed) = self.kv[kv as usize].ok_or(Refusal::KvFormat)?;
        let weight_sigma = share * weight_format;
        let formats = weight_sigma * weight_sigma + kv_sigma * kv_sigma;
        let sigma = (base.variance + formats).sqrt();
        let doubled = if base.flags.contains(Flags::EXTRAPOLATED) { 2.0 } else { 1.0 };
        Ok(Loss {
            nats: base.nats + (kv_format + weight_format),
            sigma: sigma * doubled,
            shape_sigma: (base.variance - base.axis_variance).max(0.0).sqrt() * doubled,
            axis_sigma: (base.axis_variance + formats).sqrt() * doubled,
            weight_format,
            kv_format,
            flags: base.flags.union(Flags::when(kv_assumed, Flags::ASSUMED_KV)),
        })
    }

    /// [`Law::base`] and [`Law::finish`] in one.
    ///
    /// # Errors
    /// The rule that refuses the shape or a format.
    pub fn loss(&self, shape: &Shape, weights: NumberFormat, kv: NumberFormat) -> Result<Loss, Refusal> {
        self.finish(&self.base(shape)?, weights, kv)
    }

    /// A loss without heads, window and formats that no shape of a family falls below: shapes as `largest` but for their
    /// heads and for their parameters, which are at most those of `largest` and, stored without embeddings, at least
    /// `smallest`. Whether the law reaches all of them is not asked. A rounding allowance is taken off.
    ///
    /// Holds because the size term falls with every count of parameters and the data term joins it monotonically; the
    /// vocabulary's term is looked up over the whole range.
    pub fn least_base_nats(&self, largest: &Shape, smallest: u64) -> f64 {
        self.least_base_nats_of_depths(largest, (largest.layers, largest.layers), smallest)
    }

    /// The same of shapes that may also differ in their depth, from the least to the most stored layers.
    ///
    /// Holds because no depth between has a lesser penalty than the one that comes nearest to the best width over depth.
    pub fn least_base_nats_of_depths(
        &self,
        largest: &Shape,
        (shallowest, deepest): (u64, u64),
        smallest: u64,
    ) -> f64 {
        let ln_aspect = |layers: u64| Shape { layers, ..*largest }.ln_width_over_depth();
        let (narrow, wide) = (ln_aspect(deepest), ln_aspect(shallowest));
        let nearest = self.formula.width_depth_optimum.max(narrow).min(wide);
        let ln_size = self.formula.ln_size(largest) + self.formula.ln_penalty(nearest);
        let size = self.formula.size_nats(ln_size);
        let range = (smallest as f64, largest.non_embedding as f64);
        let vocabulary = match (&self.recipe.corrections.vocabulary, self.far_edge(largest.vocabulary_size)) {
            (Some(term), Some(edge)) => {
                term.least_difference(range.0, range.1, largest.vocabulary_size as f64, edge)
            }
            _ => 0.0,
        };
        (self.formula.irreducible + self.formula.joined(size, self.data_nats) + vocabulary) * (1.0 - ROUNDING)
    }

    /// The term of windows, where they are allowed.
    pub fn window_nats(&self, shape: &Shape) -> f64 {
        if self.window_cuts(shape) { self.recipe.corrections.window.value } else { 0.0 }
    }

    /// What number formats add at least to shapes from `least` to `most` parameters without embeddings: the loss of a
    /// weight format moves one way with size.
    ///
    /// # Errors
    /// When a format has no published measurement.
    pub fn least_format_nats(
        &self,
        weights: NumberFormat,
        kv: NumberFormat,
        (least, most): (f64, f64),
    ) -> Result<f64, Refusal> {
        let corrections = &self.recipe.corrections;
        let [low, high] = corrections.training_clip;
        let factor = |size: f64| {
            let growth = self.tokens / size / corrections.training_reference;
            growth.powf(corrections.training_exponent.value).clamp(low, high)
        };
        let format = self.weights[weights as usize].ok_or(Refusal::WeightFormat)?;
        let format = (format * factor(most)).min(format * factor(least));
        let (kv_format, ..) = self.kv[kv as usize].ok_or(Refusal::KvFormat)?;
        Ok(format + kv_format - ROUNDING)
    }

    /// The term of the heads.
    pub fn heads_nats(&self, heads_per_kv_head: u64, single_kv_head: bool) -> f64 {
        let correction = self.recipe.heads_term(heads_per_kv_head, single_kv_head);
        correction.map_or(0.0, |correction| correction.value)
    }

    /// Whether a window is shorter than the workload's text in tokens of a vocabulary.
    pub fn cuts(&self, window: u64, vocabulary: u64) -> bool {
        let (prompt, generated) = self.workload_tokens(vocabulary);
        window < prompt + generated
    }

    /// Where windows cut: the shortest that the law reaches, and of how many layers at least one has to see everything.
    pub fn window_rule(&self) -> (u64, u64) {
        let corrections = &self.recipe.corrections;
        (corrections.window_minimum, corrections.window_global_every)
    }

    /// What windows that cut add, nats.
    pub fn window_correction(&self) -> f64 {
        self.recipe.corrections.window.value
    }

    /// Whether the loss never rises with more parameters, stored or visited, all else equal: the size term and the join with
    /// the data term fall; the loss of a weight format falls where its exponent and coefficient are at least 0; what a
    /// vocabulary far from the recipe's costs may go either way.
    pub fn falls_with_size(&self, vocabulary: u64, weights: NumberFormat) -> bool {
        let formula = &self.formula;
        let rises = [
            formula.size_exponent,
            formula.embedding_credit,
            formula.expert_exponent,
            1.0 - formula.expert_exponent,
            self.recipe.corrections.training_exponent.value,
            self.weights[weights as usize].unwrap_or(0.0),
        ];
        let far = self.recipe.corrections.vocabulary.is_some() && self.far_edge(vocabulary).is_some();
        !far && rises.iter().all(|value| *value >= 0.0)
    }

    /// The loss that neither size nor data removes, nats.
    pub fn irreducible_nats(&self) -> f64 {
        self.formula.irreducible
    }

    /// Whether query heads share key heads more than was measured, which has to be assumed.
    pub fn assumes_heads(&self, heads_per_kv_head: u64, single_kv_head: bool) -> bool {
        self.recipe.too_few_kv_heads(heads_per_kv_head, single_kv_head)
    }

    /// The most experts of a layer that it reaches.
    pub fn most_experts(&self) -> u64 {
        self.recipe.limits.experts
    }

    /// Non-embedding parameters that the law reaches at this training length, the least and the most.
    pub fn reachable_parameters(&self) -> (f64, f64) {
        let limits = &self.recipe.limits;
        (limits.non_embedding[0], limits.non_embedding[1].min(self.tokens / limits.tokens_per_parameter))
    }

    /// Bytes of the workload's text per token of a vocabulary.
    pub fn bytes_per_token(&self, vocabulary: u64) -> f64 {
        // No tokenizer here makes tokens of less than a byte.
        (self.text_scale * self.recipe.text.bytes_per_token(vocabulary)).max(1.0)
    }

    /// The same with its 90 % interval.
    pub fn bytes_per_token_interval(&self, vocabulary: u64) -> Predicted {
        let value = self.bytes_per_token(vocabulary);
        let half = Z90 * self.text_sigma * value;
        Predicted { value, low: (value - half).max(1.0), high: value + half }
    }

    /// Tokens of so many bytes of the workload's text, rounded up.
    pub fn text_tokens(&self, vocabulary: u64, bytes: u64) -> u64 {
        // A whole number stays one: 1200 bytes at 3 a token are 400 tokens, whatever the last digit of a product says.
        (bytes as f64 / self.bytes_per_token(vocabulary) * (1.0 - 1e-12)).ceil() as u64
    }

    /// Nats per byte of text: the losses of all candidates are counted in the recipe's own tokens.
    pub fn per_byte(&self, nats: f64) -> f64 {
        nats / self.recipe.text.bytes_per_token(self.recipe.vocabulary_size)
    }

    /// Tokens of the workload's prompt and answer.
    pub fn workload_tokens(&self, vocabulary: u64) -> (u64, u64) {
        let tokens = |bytes| self.text_tokens(vocabulary, bytes);
        (tokens(self.text.prompt_bytes), tokens(self.text.generated_bytes))
    }

    /// The recipe behind it.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the bounds of the loop exponent do to the loss, nats²: they are its 5 and 95 % bounds.
    fn loop_variance(&self, shape: &Shape) -> f64 {
        let exponent = &self.recipe.shape.loop_exponent;
        let (Some(_), Some(low), Some(high)) = (shape.looped, exponent.low, exponent.high) else {
            return 0.0;
        };
        // Nothing else of the loss knows of loops.
        let nats = |loop_exponent: f64| {
            let formula = Formula { loop_exponent, ..self.formula };
            let size = formula.ln_size(shape) + formula.ln_penalty(shape.ln_width_over_depth());
            formula.joined(formula.size_nats(size), self.data_nats)
        };
        let sigma = (nats(low) - nats(high)) / (2.0 * Z90);
        sigma * sigma
    }

    /// The same law with looped parameters counted `passes^exponent` times, that power taken as certain.
    pub(crate) fn with_loop_exponent(&self, exponent: f64) -> Self {
        let mut recipe = self.recipe.clone();
        recipe.shape.loop_exponent.value = exponent;
        (recipe.shape.loop_exponent.low, recipe.shape.loop_exponent.high) = (None, None);
        Self::new(&recipe, self.tokens as u64, &self.text)
    }

    pub(crate) fn size_nats(&self, ln_effective_size: f64) -> f64 {
        self.formula.size_nats(ln_effective_size)
    }

    /// Whether some window is shorter than the workload's text.
    pub(crate) fn window_cuts(&self, shape: &Shape) -> bool {
        shape.window.is_some_and(|window| {
            let (prompt, generated) = self.workload_tokens(shape.vocabulary_size);
            window < prompt + generated
        })
    }

    /// Nats of the vocabulary against the nearer edge of half to twice the recipe's, and whether it lies outside.
    fn vocabulary_nats(&self, shape: &Shape, variance: &mut f64) -> (f64, bool) {
        let candidate = shape.vocabulary_size as f64;
        let doublings = self.doublings(shape.vocabulary_size);
        let Some(term) = self.recipe.corrections.vocabulary.as_ref().filter(|_| doublings != 0.0) else {
            return (0.0, false);
        };
        let sigma = term.sigma * doublings.abs().min(1.0);
        *variance += sigma * sigma;
        let Some(edge) = self.far_edge(shape.vocabulary_size) else { return (0.0, false) };
        let size = shape.non_embedding as f64;
        (term.nats(size, candidate) - term.nats(size, edge), true)
    }

    /// How often a vocabulary doubles the recipe's.
    fn doublings(&self, vocabulary: u64) -> f64 {
        (vocabulary as f64 / self.recipe.vocabulary_size as f64).ln() / std::f64::consts::LN_2
    }

    /// The nearer edge of half to twice the recipe's vocabulary, where one lies outside.
    fn far_edge(&self, vocabulary: u64) -> Option<f64> {
        let (own, doublings) = (self.recipe.vocabulary_size as f64, self.doublings(vocabulary));
        (doublings.abs() > 1.0).then_some(if doublings > 0.0 { 2.0 * own } else { 0.5 * own })
    }
}

impl Recipe {
    /// Whether query heads share key heads more than was measured.
    pub(crate) fn far_heads(&self, shape: &Shape) -> bool {
        self.too_few_kv_heads(shape.heads_per_kv_head, shape.single_kv_head)
    }

    fn too_few_kv_heads(&self, heads_per_kv_head: u64, single_kv_head: bool) -> bool {
        single_kv_head || heads_per_kv_head > self.corrections.grouped_heads_ratio
    }

    /// What the sharing of key heads costs; nothing where none are shared.
    pub(crate) fn heads_correction(&self, shape: &Shape) -> Option<&Correction> {
        self.heads_term(shape.heads_per_kv_head, shape.single_kv_head)
    }

    fn heads_term(&self, heads_per_kv_head: u64, single_kv_head: bool) -> Option<&Correction> {
        if self.too_few_kv_heads(heads_per_kv_head, single_kv_head) {
            Some(&self.corrections.single_kv_head)
        } else {
            (heads_per_kv_head > 1).then_some(&self.corrections.grouped_heads)
        }
    }
}

fn add(correction: &Correction, variance: &mut f64) -> f64 {
    *variance += correction.sigma * correction.sigma;
    correction.value
}

fn within(value: f64, [low, high]: [f64; 2]) -> bool {
    (low..=high).contains(&value)
}
