//! The formula of the law as plain numbers: what a search evaluates and what a fit moves is the same function.

use crate::{Recipe, Shape};

/// Size, shape and data coefficients of a recipe without their sources.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Formula {
    /// Loss that neither size nor data removes, nats.
    pub irreducible: f64,
    /// Nats of the size term at its reference.
    pub size_factor: f64,
    /// Its exponent.
    pub size_exponent: f64,
    /// ln of the parameters at which the size term is `size_factor`.
    pub ln_size_reference: f64,
    /// Nats of the data term at its reference.
    pub data_factor: f64,
    /// Its exponent.
    pub data_exponent: f64,
    /// ln of the tokens at which the data term is `data_factor`.
    pub ln_data_reference: f64,
    /// How the two terms join: `(size^(1/δ) + data^(1/δ))^δ`; 1 adds them.
    pub interaction: f64,
    /// Penalty on the squared distance of ln(width/depth) from `width_depth_optimum`.
    pub width_depth_penalty: f64,
    /// Best ln(width/depth).
    pub width_depth_optimum: f64,
    /// Share of the embedding parameters that counts.
    pub embedding_credit: f64,
    /// Weight of all experts against the visited ones.
    pub expert_exponent: f64,
    /// Power of the number of passes by which looped parameters count.
    pub loop_exponent: f64,
}

impl Formula {
    /// The values of a recipe.
    pub fn of(recipe: &Recipe) -> Self {
        let (loss, shape) = (&recipe.loss, &recipe.shape);
        Self {
            irreducible: loss.irreducible.value,
            size_factor: loss.size.factor.value,
            size_exponent: loss.size.exponent.value,
            ln_size_reference: loss.size.reference.ln(),
            data_factor: loss.data.factor.value,
            data_exponent: loss.data.exponent.value,
            ln_data_reference: loss.data.reference.ln(),
            interaction: loss.interaction.as_ref().map_or(1.0, |interaction| interaction.value),
            width_depth_penalty: shape.width_depth_penalty.value,
            width_depth_optimum: shape.width_depth_optimum.value,
            embedding_credit: shape.embedding_credit.value,
            expert_exponent: shape.expert_exponent.value,
            loop_exponent: shape.loop_exponent.value,
        }
    }

    /// Non-embedding parameters that count: visited and stored ones weighed against each other, loops included.
    pub fn counted(&self, shape: &Shape) -> f64 {
        let (active, total) = self.active_and_total(shape);
        if shape.active == shape.non_embedding {
            total
        } else {
            active * (total / active).powf(self.expert_exponent)
        }
    }

    /// Visited and stored non-embedding parameters, looped ones as often as they count.
    pub fn active_and_total(&self, shape: &Shape) -> (f64, f64) {
        let (mut active, mut total) = (shape.active as f64, shape.non_embedding as f64);
        if let Some(looped) = shape.looped {
            let gain = (looped.count as f64).powf(self.loop_exponent) - 1.0;
            active += gain * looped.active as f64;
            total += gain * looped.non_embedding as f64;
        }
        (active, total)
    }

    /// ln of the effective size without the penalty.
    pub fn ln_size(&self, shape: &Shape) -> f64 {
        (self.counted(shape) + self.embedding_credit * shape.embedding as f64).ln()
    }

    /// The penalty in ln of the effective size: 0 or less.
    pub fn ln_penalty(&self, ln_aspect: f64) -> f64 {
        let distance = ln_aspect - self.width_depth_optimum;
        -self.width_depth_penalty * distance * distance
    }

    /// The size term at an effective size, nats.
    pub fn size_nats(&self, ln_effective_size: f64) -> f64 {
        self.size_factor * (-self.size_exponent * (ln_effective_size - self.ln_size_reference)).exp()
    }

    /// The data term, nats.
    pub fn data_nats(&self, ln_tokens: f64) -> f64 {
        self.data_factor * (-self.data_exponent * (ln_tokens - self.ln_data_reference)).exp()
    }

    /// Both terms together: never less than the larger, never more than their sum while the interaction is at most 1.
    pub fn joined(&self, size: f64, data: f64) -> f64 {
        if self.interaction == 1.0 {
            return size + data;
        }
        let (large, small) = if size > data { (size, data) } else { (data, size) };
        let ratio = ((small / large).ln() / self.interaction).exp();
        large * (self.interaction * ratio.ln_1p()).exp()
    }

    /// The loss of a shape without corrections.
    pub fn nats(&self, shape: &Shape, tokens: f64) -> f64 {
        let effective = self.ln_size(shape) + self.ln_penalty(shape.ln_width_over_depth());
        self.irreducible + self.joined(self.size_nats(effective), self.data_nats(tokens.ln()))
    }
}
