//! What a fit of the law may move.

use crate::formula::Formula;
use crate::recipe::{Coefficient, Recipe};

/// A coefficient of the law that a fit may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// Loss that neither size nor data removes.
    Irreducible,
    /// Nats of the size term at its reference.
    SizeFactor,
    /// How fast the size term falls.
    SizeExponent,
    /// Nats of the data term at its reference.
    DataFactor,
    /// How fast the data term falls.
    DataExponent,
    /// How size and data join.
    Interaction,
    /// Penalty on the squared distance of ln(width/depth) from its optimum.
    WidthDepthPenalty,
    /// Best ln(width/depth).
    WidthDepthOptimum,
    /// Share of the embedding parameters that counts.
    EmbeddingCredit,
    /// Weight of all experts against the visited ones.
    ExpertExponent,
}

impl Parameter {
    /// The level of a recipe: what remains when its exponents and its shape terms are taken from elsewhere.
    pub const LEVEL: [Self; 3] = [Self::Irreducible, Self::SizeFactor, Self::DataFactor];
    /// Everything that dense shapes can tell.
    pub const WHOLE: [Self; 9] = [
        Self::Irreducible,
        Self::SizeFactor,
        Self::SizeExponent,
        Self::DataFactor,
        Self::DataExponent,
        Self::Interaction,
        Self::WidthDepthPenalty,
        Self::WidthDepthOptimum,
        Self::EmbeddingCredit,
    ];

    /// Its place in a recipe file.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Irreducible => "loss.irreducible",
            Self::SizeFactor => "loss.size.factor",
            Self::SizeExponent => "loss.size.exponent",
            Self::DataFactor => "loss.data.factor",
            Self::DataExponent => "loss.data.exponent",
            Self::Interaction => "loss.interaction",
            Self::WidthDepthPenalty => "shape.width_depth_penalty",
            Self::WidthDepthOptimum => "shape.width_depth_optimum",
            Self::EmbeddingCredit => "shape.embedding_credit",
            Self::ExpertExponent => "shape.expert_exponent",
        }
    }

    /// The coefficient of a recipe; an interaction that the recipe does not have is added with the value 1.
    pub fn coefficient(self, recipe: &mut Recipe) -> &mut Coefficient {
        match self {
            Self::Irreducible => &mut recipe.loss.irreducible,
            Self::SizeFactor => &mut recipe.loss.size.factor,
            Self::SizeExponent => &mut recipe.loss.size.exponent,
            Self::DataFactor => &mut recipe.loss.data.factor,
            Self::DataExponent => &mut recipe.loss.data.exponent,
            Self::Interaction => recipe.loss.interaction.get_or_insert_with(|| Coefficient {
                value: 1.0,
                low: None,
                high: None,
                source: "size and data add".to_owned(),
                assumed: false,
            }),
            Self::WidthDepthPenalty => &mut recipe.shape.width_depth_penalty,
            Self::WidthDepthOptimum => &mut recipe.shape.width_depth_optimum,
            Self::EmbeddingCredit => &mut recipe.shape.embedding_credit,
            Self::ExpertExponent => &mut recipe.shape.expert_exponent,
        }
    }

    pub(super) fn get(self, formula: &Formula) -> f64 {
        match self {
            Self::Irreducible => formula.irreducible,
            Self::SizeFactor => formula.size_factor,
            Self::SizeExponent => formula.size_exponent,
            Self::DataFactor => formula.data_factor,
            Self::DataExponent => formula.data_exponent,
            Self::Interaction => formula.interaction,
            Self::WidthDepthPenalty => formula.width_depth_penalty,
            Self::WidthDepthOptimum => formula.width_depth_optimum,
            Self::EmbeddingCredit => formula.embedding_credit,
            Self::ExpertExponent => formula.expert_exponent,
        }
    }

    pub(super) fn set(self, formula: &mut Formula, value: f64) {
        *match self {
            Self::Irreducible => &mut formula.irreducible,
            Self::SizeFactor => &mut formula.size_factor,
            Self::SizeExponent => &mut formula.size_exponent,
            Self::DataFactor => &mut formula.data_factor,
            Self::DataExponent => &mut formula.data_exponent,
            Self::Interaction => &mut formula.interaction,
            Self::WidthDepthPenalty => &mut formula.width_depth_penalty,
            Self::WidthDepthOptimum => &mut formula.width_depth_optimum,
            Self::EmbeddingCredit => &mut formula.embedding_credit,
            Self::ExpertExponent => &mut formula.expert_exponent,
        } = value;
    }

    /// Whether it is positive, and so moved by its logarithm.
    pub(super) const fn is_positive(self) -> bool {
        !matches!(self, Self::WidthDepthOptimum | Self::ExpertExponent)
    }
}
