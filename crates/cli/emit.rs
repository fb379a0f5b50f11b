//! `slimfit emit`.

use crate::Outcome;
use crate::emit_kernels::{KernelDevice, KernelModel};
use crate::failure::Failure;
use crate::layers_text::layers_text;
use crate::output::Output;
use serde_json::json;
use slimfit_arch::Architecture;
use slimfit_document::{Document, DocumentError, NewFolder, suggestion};
use slimfit_emit::{Emission, emit_config};
use slimfit_formats::{config_out::HeldBy, load_model};
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_quantity::NumberFormat;
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
    /// What is written, besides what is always: the Hugging Face config, a Rust crate of kernels for the device.
    #[arg(long, value_delimiter = ',', default_value = "hf")]
    what: Vec<What>,
    /// The format of the weights that kernels are for [default: the point's; a file's own; q8_0].
    #[arg(long)]
    weights: Option<NumberFormat>,
    /// The format of the cache that kernels are for [default: the point's; f16].
    #[arg(long)]
    kv: Option<NumberFormat>,
    /// The threads that kernels are for [default: the point's; all].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The folder; new or empty. It appears whole or not at all.
    #[arg(long)]
    out: PathBuf,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// `config.json`, for the transformers library.
    Hf,
    /// A stand-alone Rust crate: kernels for the model's shapes on the device, and its step.
    Kernels,
}

struct Chosen {
    name: String,
    id: String,
    architecture: Architecture,
    weights: NumberFormat,
    kv: NumberFormat,
    /// Those that the point runs best with.
    threads: Option<u32>,
    context: u64,
    /// The command that writes it again.
    command: String,
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
    let wants = |what| arguments.what.contains(&what);
    let device = if wants(What::Kernels) { Some(kernel_device(arguments, output)?) } else { None };
    let whole = NewFolder::begin(&arguments.out)?;
    let (mut files, mut emitted) = (Vec::new(), Vec::new());
    for (point, class) in chosen.iter().zip(classes) {
        let folder = if single { whole.path().to_owned() } else { whole.path().join(&point.name) };
        let shown = if single { arguments.out.clone() } else { arguments.out.join(&point.name) };
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
                shown.display()
            ))?;
            if let Some(reason) = class.reason() {
                output.text(&format!(
                    "  with code of its own, as {reason}; load it with trust_remote_code=True"
                ))?;
            }
        }
        files.extend(written);
        if let Some(device) = &device {
            let model = KernelModel {
                name: &point.name,
                title: &point.name,
                architecture: &point.architecture,
                weights: arguments.weights.unwrap_or(point.weights),
                kv: arguments.kv.unwrap_or(point.kv),
                threads: arguments.threads.or(point.threads),
                context: point.context,
                measured: &[],
                command: &point.command,
            };
            files.extend(device.write(&model, &folder.join("kernels"))?);
            if !output.is_json() {
                let place = shown.join("kernels");
                output.text(&format!(
                    "  kernels for {}: `cargo build --release` in {}",
                    device.name(),
                    place.display()
                ))?;
            }
        }
    }
    whole.finish(&mut files)?;
    if output.is_json() {
        output.object("emit", "emit", json!({ "files": files, "emitted": emitted }))?;
    }
    Ok(Outcome::Done)
}

/// The device that kernels are for: the study's, where it has one, else this machine.
fn kernel_device(arguments: &Arguments, output: &Output) -> Result<KernelDevice, Failure> {
    let profile = match &arguments.study {
        Some(folder) => Some(HardwareProfile::load(Study::open(folder)?.input(InputKind::Profile))?),
        None => None,
    };
    KernelDevice::of(profile.as_ref(), output)
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
        weights: point.weights,
        kv: point.kv,
        threads: Some(point.threads),
        context: context.of(&point.architecture),
        command: format!("slimfit emit --study STUDY --pick {} --what kernels --out FOLDER", point.id),
    })
}

fn from_model(arguments: &Arguments, reference: &str) -> Result<Vec<Chosen>, Failure> {
    let model = load_model(reference)?;
    let context = arguments.context.or(model.context).ok_or_else(|| {
        DocumentError::new("usage", "the model states no context")
            .field("--context")
            .hint("say it with `--context`")
    })?;
    let weights = arguments.weights.or(model.weights_format).unwrap_or(NumberFormat::Q8_0);
    let kv = arguments.kv.unwrap_or(NumberFormat::F16);
    let id = model.architecture.id(weights, kv);
    let command = format!(
        "slimfit emit --model {} --weights {weights} --kv {kv} --context {context} --what kernels --out FOLDER",
        model.name
    );
    let (name, architecture) = (model.name, model.architecture);
    Ok(vec![Chosen { name, id, architecture, weights, kv, threads: None, context, command }])
}
