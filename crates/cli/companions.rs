//! What `emit` writes beside a model for people: the training recipe, the model card and its picture.

use crate::failure::Failure;
use crate::workload::WorkloadArguments;
use crate::{device, quality};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_emit::card::{Artefacts, Card};
use slimfit_emit::{RenderedFile, companions};
use slimfit_hardware::HardwareProfile;
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;
use slimfit_report::ArchitectureDrawing;
use slimfit_study::{SearchHead, Study};
use slimfit_workflow::{Described, ModelFacts, StudyFacts, describe_model};
use std::path::Path;

/// Of the initial weights and the order of the training's data.
pub const SEED: u64 = 0;

/// What a card says of a model that no study holds.
#[derive(Debug, clap::Args)]
pub struct CardArguments {
    /// Training tokens for the recipe and the card of a `--model`, in the quality recipe's tokenizer: `100B`, `1T`.
    #[arg(long, default_value = "100B", value_parser = slimfit_quantity::parse_count, conflicts_with = "study")]
    tokens: u64,
    /// The quality recipe that a `--model` is valued by: a built-in one or a file.
    #[arg(long, default_value = "gemstones", conflicts_with = "study")]
    recipe: String,
    /// The device whose times, memory and energy the card of a `--model` predicts: a profile's file, or a device of
    /// `slimfit profile --list`; without it the card predicts none.
    #[arg(long, conflicts_with = "study")]
    profile: Option<String>,
    #[command(flatten)]
    workload: WorkloadArguments,
}

/// A model to write, as its card needs it.
pub struct Companion<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub architecture: &'a Architecture,
    pub weights: NumberFormat,
    pub kv: NumberFormat,
    pub context: u64,
    pub described: &'a Described,
    pub commands: &'a [String],
}

impl CardArguments {
    /// What can be said of a model.
    pub fn describe(
        &self,
        name: &str,
        id: &str,
        architecture: &Architecture,
        formats: (NumberFormat, NumberFormat),
        seed: u64,
    ) -> Result<Described, Failure> {
        let (recipe, _) = quality::recipe(&self.recipe)?;
        let profile = self.profile()?;
        Ok(describe_model(&ModelFacts {
            name,
            id,
            architecture,
            weights: formats.0,
            kv: formats.1,
            recipe: &recipe,
            tokens: self.tokens,
            workload: &self.workload.read()?,
            profile: profile.as_ref(),
            seed,
        })?)
    }

    /// The device that was named.
    pub fn profile(&self) -> Result<Option<HardwareProfile>, Failure> {
        let named = |reference: &String| device::profile(Some(reference), Isa::selected()?);
        self.profile.as_ref().map(named).transpose()
    }

    /// Refuses a use where a study has its own.
    pub fn require_no_use(&self) -> Result<(), Failure> {
        if self.workload.is_said() {
            let error = DocumentError::new("usage", "a study has a workload of its own").field("--workload");
            return Err(error.allowed("with `--model`").into());
        }
        Ok(())
    }

    /// The command that writes the same again.
    pub fn command(&self, reference: &str, more: &str) -> String {
        let mut command =
            format!("slimfit emit --model {} --tokens {}", quoted(&last(reference)), self.tokens);
        if self.recipe != "gemstones" {
            command.push_str(&format!(" --recipe {}", quoted(&last(&self.recipe))));
        }
        if let Some(profile) = &self.profile {
            command.push_str(&format!(" --profile {}", quoted(&last(profile))));
        }
        format!("{command}{more} --out MODEL")
    }
}

/// The commands that write a point of a study again.
pub fn study_commands(head: &SearchHead, id: &str, more: &str) -> Vec<String> {
    let line = |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    vec![
        line(format!("# STUDY: a search of space {} (sha256 {})", head.space.name, head.space.sha256)),
        line(format!("# on profile {} (sha256 {})", head.profile.name, head.profile.sha256)),
        line(format!(
            "# for workload {}, recipe {}, {} tokens",
            head.workload, head.recipe.name, head.recipe.tokens
        )),
        format!("slimfit emit --study STUDY --pick {id}{more} --out MODEL"),
    ]
}

/// Renders the files; nothing is written yet.
pub fn render(companion: &Companion<'_>, artefacts: &Artefacts) -> Result<Vec<RenderedFile>, Failure> {
    let Companion { name, id, architecture, weights, kv, context, described, commands } = *companion;
    let picture = ArchitectureDrawing { title: name, architecture }.draw()?.png;
    let card = Card {
        name,
        id,
        architecture,
        weights,
        kv,
        context,
        facts: &described.facts,
        training: &described.training,
        artefacts,
        commands,
        version: env!("CARGO_PKG_VERSION"),
    };
    Ok(companions(&card, picture)?)
}

/// Writes the files beside every model that `slimfit run` put into the study's folder `emitted`.
pub fn beside_emitted(study: &Study) -> Result<Vec<WrittenFile>, Failure> {
    let Some(front) = study.front()? else { return Ok(Vec::new()) };
    let facts = StudyFacts::read(study, &front)?;
    let mut files = Vec::new();
    for point in &front.points {
        let name = point.picks.first().unwrap_or(&point.id);
        let folder = study.folder().join("emitted").join(name);
        if !folder.join("config.json").is_file() {
            continue;
        }
        let title = format!("{} {name}", front.head.space.name);
        let companion = Companion {
            name: &title,
            id: &point.id,
            architecture: &point.architecture,
            weights: point.weights,
            kv: point.kv,
            context: facts.context_tokens(point.architecture.vocabulary_size).next_power_of_two(),
            described: &facts.describe(point, &title, SEED)?,
            commands: &study_commands(&front.head, &point.id, ""),
        };
        for file in render(&companion, &Artefacts::config_only(&point.architecture))? {
            files.push(file.write(&folder)?);
        }
    }
    Ok(files)
}

/// A path without the folders of whoever ran the command.
pub fn last(reference: &str) -> String {
    let name = Path::new(reference).file_name();
    name.map_or_else(|| reference.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// An argument as a POSIX shell takes it.
pub fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+@:/".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{last, quoted};

    #[test]
    fn commands_hold_no_folders_and_no_surprises() {
        assert_eq!(quoted(&last("/home/ann/my model.json")), "'my model.json'");
        assert_eq!(quoted(&last("smollm2-135m")), "smollm2-135m");
        assert_eq!(quoted("a'; rm -rf ~; '"), "'a'\\''; rm -rf ~; '\\'''");
        assert_eq!(quoted(""), "''");
    }
}
