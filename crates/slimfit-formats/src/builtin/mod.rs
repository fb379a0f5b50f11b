//! The public models that come with slimfit: architectures, published counts, and the scores that reports show beside
//! the found points.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use slimfit_arch::Architecture;
use slimfit_document::{Document, nearest};
use std::sync::LazyLock;

const TABLE: &str = include_str!("models.yaml");

/// A public model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedModel {
    /// The name in commands: lower case, such as `smollm2-135m`.
    pub name: String,
    /// Where its authors publish it on Hugging Face.
    pub repository: String,
    /// Other names it answers to.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The `model_type` of its config.
    pub family: String,
    /// Tokens it was made for.
    pub context: u64,
    /// Tokens it was trained on, where published.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// The published parameter count.
    pub parameters: PublishedParameters,
    /// The published HellaSwag score, where there is one.
    #[serde(default)]
    pub hellaswag: Option<PublishedScore>,
    /// The network.
    pub architecture: Architecture,
}

/// A parameter count as its source gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedParameters {
    /// The figure.
    pub total: u64,
    /// Where it is from.
    pub source: String,
    /// What the source rounds to; 1: it is exact.
    #[serde(default = "one")]
    pub rounded_to: u64,
    /// Whether the source leaves norms out.
    #[serde(default)]
    pub without_norms: bool,
}

/// A benchmark score as its source gives it. Scores of different settings must not be compared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedScore {
    /// Per cent.
    pub percent: f64,
    /// Examples in the prompt, normalisation, harness.
    pub setting: String,
    /// Where it is from.
    pub source: String,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "schema")]
    _schema: String,
    models: Vec<PublishedModel>,
}

static MODELS: LazyLock<Vec<PublishedModel>> = LazyLock::new(|| {
    let document = Document::from_str(TABLE, "models.yaml").expect("the built-in table is YAML");
    document.schema(&["slimfit/models/v1"]).expect("the built-in table has its schema");
    let table: Table = document.parse().expect("the built-in table loads, as a test checks");
    table.models
});

/// The built-in models, family by family.
pub fn models() -> &'static [PublishedModel] {
    &MODELS
}

/// The built-in model of this name, repository or alias, in any case.
pub fn find(name: &str) -> Option<&'static PublishedModel> {
    models().iter().find(|model| model.names().any(|known| known.eq_ignore_ascii_case(name)))
}

/// A hint for a name that is not built in: the nearest one, or how to list them.
pub fn hint(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let names: Vec<String> =
        models().iter().flat_map(PublishedModel::names).map(str::to_ascii_lowercase).collect();
    match nearest(&lower, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? `slimfit models` lists the built-in models"),
        None => "`slimfit models` lists the built-in models".to_owned(),
    }
}

impl PublishedModel {
    /// Every name it answers to: its own, the repository with and without owner, the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let short = self.repository.rsplit('/').next();
        [self.name.as_str(), self.repository.as_str()]
            .into_iter()
            .chain(short)
            .chain(self.aliases.iter().map(String::as_str))
    }
}
