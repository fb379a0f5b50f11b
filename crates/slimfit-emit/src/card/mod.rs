//! The model card: `README.md` beside the emitted files, for people and for the Hugging Face hub.
//!
//! It words what others found: predictions, measurements and the training recipe come in, nothing is computed here. The
//! picture of the architecture is drawn elsewhere and lies beside it.

mod counts;
mod figures;
mod front_matter;
mod limits;
mod numbers;
mod running;
#[cfg(test)]
mod tests;
mod text;
mod training;

pub(crate) use figures::{measured_runs, predicted_table};

use slimfit_arch::Architecture;
use slimfit_formats::training_recipe::TrainingRecipe;
use slimfit_formats::{config_out, gguf_out};
use slimfit_quantity::{Figure, NumberFormat};
use slimfit_study::RunFigures;

/// The picture that the card shows, beside it.
pub const PICTURE_FILE: &str = "architecture.png";

/// The reason of a figure that a run was not for: its table has no line for it.
pub const NOT_RUN: &str = "not part of this run";

/// Everything a card says.
#[derive(Debug, Clone)]
pub struct Card<'a> {
    /// The model's name: a pick, an id, a file's name.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What it is; validated.
    pub architecture: &'a Architecture,
    /// The weight format that its figures are for.
    pub weights: NumberFormat,
    /// The KV format that its figures are for.
    pub kv: NumberFormat,
    /// Positions that its config promises.
    pub context: u64,
    /// What it is worth and costs.
    pub facts: &'a CardFacts,
    /// How to train it.
    pub training: &'a TrainingRecipe,
    /// What lies beside the card.
    pub artefacts: &'a Artefacts,
    /// Commands that make it again, without folders of whoever ran them.
    pub commands: &'a [String],
    /// The version of slimfit.
    pub version: &'a str,
}

/// What a model is worth and costs, and where those figures are from.
#[derive(Debug, Clone, Default)]
pub struct CardFacts {
    /// What decides the predictions, in pairs of a label and words: device, class, workload, recipe …
    pub setting: Vec<(String, String)>,
    /// Predictions, and why some are missing.
    pub predicted: Vec<PredictedFigure>,
    /// Remarks on them: what `flags` of a point say, how far predictions were off on this device.
    pub remarks: Vec<String>,
    /// Runs on a device, beside what was predicted for each.
    pub measured: Vec<MeasuredRun>,
    /// Why there is no run.
    pub not_measured: String,
    /// Prompt and answer of the workload, for commands that run the model.
    pub use_tokens: Option<UseTokens>,
    /// Tasks without a score, and why.
    pub not_predicted: Vec<(String, String)>,
}

/// Tokens of one use of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseTokens {
    /// Of the prompt.
    pub prompt: u64,
    /// Of the answer.
    pub generated: u64,
    /// In the cache when the answer begins.
    pub depth: u64,
}

/// One prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedFigure {
    /// Its name in records: `tpot_seconds`.
    pub name: String,
    /// The value with its interval, or why there is none.
    pub figure: Figure,
}

/// One run for real.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredRun {
    /// What ran where and how, in words.
    pub setting: String,
    /// What was measured.
    pub measured: RunFigures,
    /// What was predicted for this very run.
    pub predicted: RunFigures,
}

/// What lies beside a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefacts {
    /// What loads the config.
    pub class: ConfigClass,
    /// Whether weights lie there as safetensors.
    pub safetensors: bool,
    /// Whether weights that lie there are those of the model that was given, and no initial ones.
    pub given_weights: bool,
    /// The GGUF file.
    pub gguf: GgufArtefact,
    /// slimfit's own container of the weights, by its file's name.
    pub container: Option<String>,
    /// Whether the kernels' crate lies there.
    pub kernels: bool,
}

/// What loads `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigClass {
    /// A class of the `transformers` library.
    Standard {
        /// Its name.
        class: String,
        /// The `model_type` in the config.
        model_type: String,
    },
    /// `modeling_slimfit.py` beside it.
    Slimfit {
        /// Why no standard class does.
        reason: String,
    },
}

/// A GGUF file, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GgufArtefact {
    /// It lies there.
    Written {
        /// Its name.
        file: String,
        /// The architecture of llama.cpp.
        family: String,
        /// Whether it has a tokenizer, without which llama.cpp takes token ids alone.
        reads_text: bool,
    },
    /// It was not asked for; llama.cpp holds the model.
    Possible {
        /// The architecture of llama.cpp.
        family: String,
    },
    /// No architecture of llama.cpp holds the model.
    Impossible {
        /// What stands in the way.
        reason: String,
    },
}

impl Artefacts {
    /// A config alone.
    pub fn config_only(architecture: &Architecture) -> Self {
        let class = match config_out::standard_class(architecture) {
            Ok(class) => ConfigClass::Standard {
                class: class.class_name().to_owned(),
                model_type: class.model_type().to_owned(),
            },
            Err(reason) => ConfigClass::Slimfit { reason: reason.to_string() },
        };
        let gguf = match gguf_out::gguf_family(architecture) {
            Ok(family) => GgufArtefact::Possible { family: family.name().to_owned() },
            Err(reason) => GgufArtefact::Impossible { reason: reason.to_string() },
        };
        Self { class, safetensors: false, given_weights: false, gguf, container: None, kernels: false }
    }

    /// Whether weights lie there.
    pub(crate) fn has_weights(&self) -> bool {
        self.safetensors || matches!(self.gguf, GgufArtefact::Written { .. }) || self.container.is_some()
    }
}

impl Card<'_> {
    /// The card as Markdown with YAML front matter.
    pub fn render(&self) -> String {
        let sections = [
            front_matter::front_matter(self),
            self.head(),
            counts::section(self),
            figures::predicted(self),
            figures::measured(self),
            training::section(self),
            running::section(self),
            limits::section(self),
            self.origin(),
        ];
        let mut card = sections.join("\n");
        card.truncate(card.trim_end().len());
        card.push('\n');
        card
    }

    /// Title, what it is, and the picture.
    fn head(&self) -> String {
        let name = text::markdown(self.name);
        let [total, layers] = [self.architecture.parameters().total, self.architecture.depth()];
        let artefacts = self.artefacts;
        let state = if artefacts.given_weights {
            "The weights are those of the model that was given."
        } else if artefacts.has_weights() {
            "The weights are initial ones, drawn from a seed: **untrained**."
        } else {
            "There are **no trained weights** here: this is an architecture to train."
        };
        format!(
            "# {name}\n\nA decoder-only language model of {} parameters in {layers} layers of width {}, written by slimfit. \
             {state}\n\n![The architecture of {name}, block by block]({PICTURE_FILE})\n",
            slimfit_quantity::format_count(total as f64),
            self.architecture.hidden_size,
        )
    }

    /// How it came to be.
    fn origin(&self) -> String {
        let made = format!("Written by slimfit {}, model id `{}`.", self.version, self.id);
        if self.commands.is_empty() {
            return format!("## How this was made\n\n{made}\n");
        }
        let commands = text::code("sh", &self.commands.join("\n"));
        format!("## How this was made\n\n{made}\n\n{commands}")
    }
}
