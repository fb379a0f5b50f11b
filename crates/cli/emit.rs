//! `slimfit emit`.

use crate::Outcome;
use crate::failure::Failure;
use crate::layers_text::layers_text;
use crate::output::Output;
use serde_json::json;
use slimfit_arch::Architecture;
use slimfit_document::{Document, DocumentError, suggestion};
use slimfit_emit::{Emission, emit_config};
use slimfit_formats::{config_out::HeldBy, load_model};
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::Workload;
use slimfit_study::{Front, InputKind, Study};
use std::path::PathBuf;

/// Arguments of `emit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit emit --study reports/2026-01-31-run --pick knee --out my-model\n  slimfit emit --model architecture.yaml --out my-model"
)]
pub struct Arguments {
    /// The study whose front is picked from.
    #[arg(long, required_unless_present = "model", conflicts_with = "model")]
    study: Option<PathBuf>,
    /// Ids of points, or names of picks such as `knee`, `fastest`; several make a folder each.
    #[arg(long, num_args = 1.., default_value = "knee")]
    pick: Vec<String>,
    /// A model instead of a study's point: a config, a slimfit architecture file, or a built-in name.
    #[arg(long)]
    model: Option<String>,
    /// Positions that the config promises; the study's workload, rounded up to a power of two, unless said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    context: Option<u64>,
    /// Refuse what no standard Hugging Face class holds, instead of writing slimfit's own class beside its config.
    #[arg(long)]
    standard_only: bool,
    /// The folder; new or empty.
    #[arg(long)]
    out: PathBuf,
}

struct Chosen {
    name: String,
    id: String,
    architecture: Architecture,
    context: u64,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let chosen = match (&arguments.study, &arguments.model) {
        (Some(study), _) => from_study(arguments, study)?,
        (None, Some(model)) => from_model(arguments, model)?,
        (None, None) => return Err(Failure::internal("neither a study nor a model was asked for")),
    };
    let single = chosen.len() == 1;
    // All that can be refused is refused before the first file is written.
    let classes: Vec<_> = chosen.iter().map(|point| HeldBy::narrowest(&point.architecture)).collect();
    if arguments.standard_only {
        for (point, class) in chosen.iter().zip(&classes) {
            if let Some(reason) = class.reason() {
                let error = DocumentError::new("no-standard-class", reason.to_string());
                let found = format!("`{}` with {}", point.name, layers_text(&point.architecture));
                return Err(error.found(found).hint("leave out `--standard-only`").into());
            }
        }
    }
    let (mut files, mut emitted) = (Vec::new(), Vec::new());
    for (point, class) in chosen.iter().zip(classes) {
        let folder = if single { arguments.out.clone() } else { arguments.out.join(&point.name) };
        let emission = Emission {
            name: point.name.clone(),
            architecture: point.architecture.clone(),
            context: point.context,
        };
        let written = emit_config(&emission, &folder)?;
        let mut entry = json!({
            "id": point.id,
            "name": point.name,
            "class": class.class_name(),
            "parameters": point.architecture.parameters(),
        });
        if let Some(reason) = class.reason() {
            entry["why"] = reason.to_string().into();
        }
        emitted.push(entry);
        if !output.is_json() {
            let parameters = point.architecture.parameters().total;
            output.text(&format!(
                "{}: {}, {parameters} parameters, in {}",
                point.name,
                class.class_name(),
                folder.display()
            ))?;
            if let Some(reason) = class.reason() {
                output.text(&format!(
                    "  with code of its own, as {reason}; load it with trust_remote_code=True"
                ))?;
            }
        }
        files.extend(written);
    }
    if output.is_json() {
        output.object("emit", "emit", json!({ "files": files, "emitted": emitted }))?;
    }
    Ok(Outcome::Done)
}

fn from_study(arguments: &Arguments, folder: &std::path::Path) -> Result<Vec<Chosen>, Failure> {
    let study = Study::open(folder)?;
    let front = study.front()?.ok_or_else(|| {
        DocumentError::new("no-front", "the study holds no front").file(folder.display().to_string())
    })?;
    let context = match arguments.context {
        Some(context) => ContextRule::Fixed(context),
        None => {
            let workload = Workload::from_document(&Document::read(study.input(InputKind::Workload))?)?;
            let recipe = Recipe::from_document(&Document::read(study.input(InputKind::Recipe))?)?;
            ContextRule::Workload(Box::new((workload, QualityModel::new(recipe))), front.head.recipe.tokens)
        }
    };
    arguments.pick.iter().map(|pick| find(&front, pick, &context)).collect()
}

enum ContextRule {
    Fixed(u64),
    Workload(Box<(Workload, QualityModel)>, u64),
}

impl ContextRule {
    fn of(&self, architecture: &Architecture) -> u64 {
        match self {
            Self::Fixed(context) => *context,
            Self::Workload(inputs, tokens) => {
                let (workload, quality) = inputs.as_ref();
                let law = quality.law(*tokens, &workload.bytes());
                workload.run_shape(&law, architecture.vocabulary_size).context().next_power_of_two()
            }
        }
    }
}

fn find(front: &Front, pick: &str, context: &ContextRule) -> Result<Chosen, Failure> {
    let by_id = front.points.iter().find(|point| point.id == pick);
    let by_name = || front.points.iter().find(|point| point.picks.iter().any(|name| name == pick));
    let Some(point) = by_id.or_else(by_name) else {
        let mut known: Vec<&str> =
            front.points.iter().flat_map(|point| point.picks.iter().map(String::as_str)).collect();
        known.dedup();
        let hint =
            suggestion(pick, known.iter().copied().chain(front.points.iter().map(|point| point.id.as_str())));
        let error = DocumentError::new("unknown-point", "no point of the front has this id or pick");
        let error = error.field("--pick").found(format!("`{pick}`"));
        return Err(error
            .allowed(format!("{}, or an id in front.json", known.join(", ")))
            .maybe_hint(hint)
            .into());
    };
    Ok(Chosen {
        name: pick.to_owned(),
        id: point.id.clone(),
        architecture: point.architecture.clone(),
        context: context.of(&point.architecture),
    })
}

fn from_model(arguments: &Arguments, reference: &str) -> Result<Vec<Chosen>, Failure> {
    let model = load_model(reference)?;
    let context = arguments.context.or(model.context).ok_or_else(|| {
        DocumentError::new("usage", "the model states no context")
            .field("--context")
            .hint("say it with `--context`")
    })?;
    let weights = model.weights_format.unwrap_or(slimfit_quantity::NumberFormat::Bf16);
    let id = model.architecture.id(weights, slimfit_quantity::NumberFormat::F16);
    Ok(vec![Chosen { name: model.name, id, architecture: model.architecture, context }])
}
