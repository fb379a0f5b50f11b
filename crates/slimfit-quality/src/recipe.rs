//! A recipe: the coefficients of the law, each with its source, and where they hold.

use crate::QualityError;
use serde::{Deserialize, Serialize};
use slimfit_document::{Document, DocumentError, suggestion};
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;

/// Tasks of one recipe: a search holds a score of each for every point.
pub const MOST_TASKS: usize = 16;
/// The schema name that recipe files carry.
pub const RECIPE_SCHEMA: &str = "slimfit/recipe/v1";

const BUILTIN: [(&str, &str); 2] = [
    ("gemstones", include_str!("../recipes/gemstones.yaml")),
    ("published", include_str!("../recipes/published.yaml")),
];

/// A recipe file, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    schema: String,
    /// Its name.
    pub name: String,
    /// What was trained, on what.
    pub description: String,
    /// Vocabulary of the tokenizer that losses are counted in.
    pub vocabulary_size: u64,
    /// Size and data terms.
    pub loss: LossTerms,
    /// How a shape becomes an effective size.
    pub shape: ShapeTerms,
    /// Small terms for single axes.
    pub corrections: Corrections,
    /// Standard deviations in nats.
    pub noise: Noise,
    /// Where the law was fitted.
    #[serde(rename = "box")]
    pub validity: Validity,
    /// Where it is refused.
    pub limits: Limits,
    /// Loss to task scores.
    pub scores: Scores,
    /// Bytes per token by vocabulary.
    pub text: Text,
    /// What a sibling of known score buys; absent: this recipe takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Anchors>,
}

/// A number of the law with its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// The value used.
    pub value: f64,
    /// 5 % bound, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// 95 % bound, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Where it comes from.
    pub source: String,
    /// Whether it rests on a single ablation or on a secondary source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

/// A correction in nats with its noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Nats added.
    pub value: f64,
    /// One standard deviation, nats.
    pub sigma: f64,
    /// Where it comes from.
    pub source: String,
    /// Whether it rests on a single ablation or on a secondary source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

/// `irreducible + (size^(1/interaction) + data^(1/interaction))^interaction`: without an interaction the terms add.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossTerms {
    /// The loss that neither size nor data removes, nats.
    pub irreducible: Coefficient,
    /// The size term.
    pub size: PowerLaw,
    /// The data term.
    pub data: PowerLaw,
    /// How size and data join; absent: 1, they add. Below 1 the larger term counts more: a small model gains less from more
    /// data than a large one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<Coefficient>,
}

/// `factor · (x / reference)^-exponent` nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLaw {
    /// Nats at the reference.
    pub factor: Coefficient,
    /// How fast it falls.
    pub exponent: Coefficient,
    /// Parameters or tokens at which the term is `factor`.
    pub reference: f64,
}

/// The effective size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeTerms {
    /// Penalty on the squared distance of ln(width/depth) from its optimum.
    pub width_depth_penalty: Coefficient,
    /// Best ln(width/depth).
    pub width_depth_optimum: Coefficient,
    /// Share of the stored embedding parameters that counts: both tables of untied models, one of tied.
    pub embedding_credit: Coefficient,
    /// Weight of all experts against the visited ones.
    pub expert_exponent: Coefficient,
    /// Power of the number of passes by which looped parameters count.
    pub loop_exponent: Coefficient,
}

/// Terms for single axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corrections {
    /// Several query heads for one key head, up to `grouped_heads_ratio`.
    pub grouped_heads: Correction,
    /// The largest ratio that `grouped_heads` covers.
    pub grouped_heads_ratio: u64,
    /// One key head for all, or a ratio above `grouped_heads_ratio`.
    pub single_kv_head: Correction,
    /// Windows shorter than the text.
    pub window: Correction,
    /// The smallest window that `window` covers, tokens.
    pub window_minimum: u64,
    /// At least one layer in this many must see all of the text.
    pub window_global_every: u64,
    /// Vocabularies far from the recipe's; absent where its losses are of many tokenizers, each family with its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<VocabularyTerm>,
    /// Formats of the KV cache.
    pub kv_formats: BTreeMap<NumberFormat, Correction>,
    /// ln of the perplexity ratio by weight format.
    pub weight_formats: BTreeMap<NumberFormat, Coefficient>,
    /// Tokens per parameter at which `weight_formats` hold.
    pub training_reference: f64,
    /// Power of tokens per parameter by which they grow.
    pub training_exponent: Coefficient,
    /// Bounds of that growth.
    pub training_clip: [f64; 2],
    /// Standard deviation as a share of the value.
    pub weight_sigma: f64,
    /// The same below `weight_low_bits`.
    pub weight_sigma_low_bits: f64,
    /// Bits per value.
    pub weight_low_bits: f64,
}

/// Nats above the best vocabulary, by size and vocabulary; counted against the nearer edge of half to twice the recipe's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VocabularyTerm {
    /// Where the table comes from.
    pub source: String,
    /// Whether it rests on a single ablation or on a secondary source.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// Non-embedding parameters of the rows, ascending.
    pub parameters: Vec<f64>,
    /// Vocabularies of the columns, ascending.
    pub vocabularies: Vec<f64>,
    /// One row for each of `parameters`.
    pub nats: Vec<Vec<f64>>,
    /// Standard deviation from twice or half the recipe's vocabulary on, nats.
    pub sigma: f64,
}

/// Standard deviations, nats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Of a shape inside the box.
    pub shape: Coefficient,
    /// Between recipes.
    pub recipe: Coefficient,
    /// Within a recipe of another family.
    pub level: Coefficient,
}

/// The fitted box, each bound inclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Non-embedding parameters.
    pub non_embedding: [f64; 2],
    /// Training tokens.
    pub tokens: [f64; 2],
    /// Training tokens per non-embedding parameter.
    pub tokens_per_parameter: [f64; 2],
    /// Width over depth.
    pub width_over_depth: [f64; 2],
    /// Inner width of the feed-forward part over width.
    pub ffn_over_width: [f64; 2],
}

/// Where the law is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Least and most non-embedding parameters.
    pub non_embedding: [f64; 2],
    /// Fewest training tokens per non-embedding parameter.
    pub tokens_per_parameter: f64,
    /// Least and most width over depth.
    pub width_over_depth: [f64; 2],
    /// Largest vocabulary.
    pub vocabulary_size: u64,
    /// Most experts.
    pub experts: u64,
    /// Most passes of a loop.
    pub loops: u64,
    /// Fewest bits per weight.
    pub bits: f64,
}

/// Scores by task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Where the curves come from.
    pub source: String,
    /// Half the 90 % interval of an absolute score across recipes, points of 100, for tasks without their own.
    pub across_recipes: f64,
    /// One curve per task.
    pub tasks: BTreeMap<String, ScoreCurve>,
    /// How each task is measured, in the words of the sources that scores are compared with: the number of examples,
    /// normalisation, harness. Published scores compare with predicted ones only where these words are the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Tasks that cannot be predicted, with the reason.
    pub not_predicted: BTreeMap<String, String>,
}

/// `chance + (1 − chance) / (1 + exp(steepness · (loss − center)))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreCurve {
    /// Score of guessing, a fraction.
    pub chance: f64,
    /// Slope, per nat.
    pub steepness: f64,
    /// Its 5 and 95 % bounds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steepness_bounds: Option<[f64; 2]>,
    /// Loss of the steepest point, nats.
    pub center: f64,
    /// Its 5 and 95 % bounds, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center_bounds: Option<[f64; 2]>,
    /// Mean absolute error of the curve, points of 100.
    pub residual: f64,
    /// Sampling error of the benchmark, one standard deviation in points of 100.
    pub evaluation: f64,
    /// Half the 90 % interval across recipes that was seen in published models, points of 100; absent: that of
    /// [`Scores::across_recipes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub across_recipes: Option<f64>,
}

/// Bytes per token by vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Where it comes from.
    pub source: String,
    /// One standard deviation as a share of the value.
    pub relative_sigma: f64,
    /// `[vocabulary, bytes per token]`, ascending.
    pub knots: Vec<[f64; 2]>,
}

/// What a sibling of known score buys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchors {
    /// Share of an anchor's residual by which a level moves.
    pub weight: Coefficient,
    /// Points above guessing that an anchor must have.
    pub minimum_points: f64,
    /// Tasks whose gain was measured.
    pub tasks: BTreeMap<String, AnchoredTask>,
    /// Tasks that no anchor helps, with the reason.
    #[serde(default)]
    pub not_anchored: BTreeMap<String, String>,
}

/// How well an anchored score was seen to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchoredTask {
    /// Half the 90 % interval beside an anchor of near size, points of 100.
    pub across_recipes: f64,
    /// Half the 90 % interval beside an anchor of any other size, points of 100.
    pub across_recipes_far: f64,
    /// Ratio of non-embedding parameters up to which an anchor is near.
    pub near_sizes: f64,
    /// Where the two come from.
    pub source: String,
}

impl Recipe {
    /// Names of the built-in recipes.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The text of a built-in recipe's file.
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// A built-in recipe.
    ///
    /// # Errors
    /// [`QualityError::UnknownRecipe`] with the known names.
    pub fn builtin(name: &str) -> Result<Self, QualityError> {
        let Some(text) = Self::builtin_text(name) else {
            return Err(QualityError::UnknownRecipe {
                found: name.to_owned(),
                allowed: Self::builtin_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
                hint: suggestion(name, Self::builtin_names()),
            });
        };
        Self::from_document(&Document::from_str(text, &format!("built-in recipe `{name}`.yaml"))?)
    }

    /// Reads a recipe file.
    ///
    /// # Errors
    /// What the document says that no recipe can say, with its place.
    pub fn from_document(document: &Document) -> Result<Self, QualityError> {
        document.schema(&[RECIPE_SCHEMA])?;
        let recipe: Self = document.parse()?;
        recipe.check(document)?;
        Ok(recipe)
    }

    fn check(&self, document: &Document) -> Result<(), DocumentError> {
        let positive = |field: &str, value: f64| {
            if value > 0.0 {
                return Ok(());
            }
            Err(document.error_at(field, "out of range").found(value).allowed("a number above 0"))
        };
        let not_negative = |field: &str, value: f64| {
            if value >= 0.0 {
                return Ok(());
            }
            Err(document.error_at(field, "out of range").found(value).allowed("0 or more"))
        };
        let ascending = |field: &str, [low, high]: [f64; 2]| {
            if low > 0.0 && low < high {
                return Ok(());
            }
            let found = format!("[{low}, {high}]");
            Err(document
                .error_at(field, "not an interval")
                .found(found)
                .allowed("two ascending numbers above 0"))
        };
        positive("vocabulary_size", self.vocabulary_size as f64)?;
        positive("loss.irreducible.value", self.loss.irreducible.value)?;
        for (name, law) in [("size", &self.loss.size), ("data", &self.loss.data)] {
            positive(&format!("loss.{name}.factor.value"), law.factor.value)?;
            positive(&format!("loss.{name}.exponent.value"), law.exponent.value)?;
            positive(&format!("loss.{name}.reference"), law.reference)?;
        }
        if let Some(interaction) = &self.loss.interaction {
            positive("loss.interaction.value", interaction.value)?;
        }
        not_negative("shape.width_depth_penalty.value", self.shape.width_depth_penalty.value)?;
        not_negative("shape.embedding_credit.value", self.shape.embedding_credit.value)?;
        let exponent = self.shape.expert_exponent.value;
        if !(0.0..=1.0).contains(&exponent) {
            let error = document.error_at("shape.expert_exponent.value", "out of range").found(exponent);
            return Err(error.allowed("0 to 1: a weighted mean of visited and stored parameters"));
        }
        positive("noise.shape.value", self.noise.shape.value)?;
        not_negative("noise.recipe.value", self.noise.recipe.value)?;
        not_negative("noise.level.value", self.noise.level.value)?;
        positive("corrections.training_reference", self.corrections.training_reference)?;
        positive("corrections.window_global_every", self.corrections.window_global_every as f64)?;
        if let Some(vocabulary) = &self.corrections.vocabulary {
            vocabulary.check(document)?;
        }
        ascending("corrections.training_clip", self.corrections.training_clip)?;
        ascending("box.non_embedding", self.validity.non_embedding)?;
        ascending("box.tokens", self.validity.tokens)?;
        ascending("box.tokens_per_parameter", self.validity.tokens_per_parameter)?;
        ascending("box.width_over_depth", self.validity.width_over_depth)?;
        ascending("box.ffn_over_width", self.validity.ffn_over_width)?;
        ascending("limits.non_embedding", self.limits.non_embedding)?;
        ascending("limits.width_over_depth", self.limits.width_over_depth)?;
        if self.scores.tasks.len() > MOST_TASKS {
            let error = document.error_at("scores.tasks", "too many tasks").found(self.scores.tasks.len());
            return Err(error.allowed(format!("at most {MOST_TASKS}")));
        }
        for (task, curve) in &self.scores.tasks {
            positive(&format!("scores.tasks.{task}.steepness"), curve.steepness)?;
            if !(0.0..1.0).contains(&curve.chance) {
                let error = document.error_at(&format!("scores.tasks.{task}.chance"), "out of range");
                return Err(error.found(curve.chance).allowed("0 up to, not including, 1"));
            }
        }
        if let Some(anchors) = &self.anchors {
            positive("anchors.weight.value", anchors.weight.value)?;
            not_negative("anchors.minimum_points", anchors.minimum_points)?;
            for (task, terms) in &anchors.tasks {
                positive(&format!("anchors.tasks.{task}.across_recipes"), terms.across_recipes)?;
                positive(&format!("anchors.tasks.{task}.across_recipes_far"), terms.across_recipes_far)?;
                if terms.near_sizes < 1.0 {
                    let error =
                        document.error_at(&format!("anchors.tasks.{task}.near_sizes"), "out of range");
                    return Err(error.found(terms.near_sizes).allowed("a ratio of 1 or more"));
                }
            }
        }
        let knots = &self.text.knots;
        if knots.len() < 2 {
            return Err(document
                .error_at("text.knots", "too few knots")
                .found(knots.len())
                .allowed("2 or more"));
        }
        for (index, pair) in knots.windows(2).enumerate() {
            if pair[0][0] < 1.0 || pair[0][0] >= pair[1][0] || pair[0][1] <= 0.0 || pair[0][1] >= pair[1][1] {
                let error = document.error_at(&format!("text.knots[{}]", index + 1), "knots do not ascend");
                return Err(error
                    .found(format!("{:?} after {:?}", pair[1], pair[0]))
                    .allowed("both numbers larger"));
            }
        }
        Ok(())
    }
}
