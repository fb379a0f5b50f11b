//! `slimfit emit`.

use crate::Outcome;
use crate::companions::{CardArguments, Companion, SEED, last, quoted, render, study_commands};
use crate::emit_kernels::{KernelDevice, KernelModel};
use crate::emit_tokenizer::{GgufTokenizer, TokenizerSource};
use crate::emit_weights::{WeightSource, require_float};
use crate::failure::Failure;
use crate::layers_text::layers_text;
use crate::output::Output;
use serde_json::{Value, json};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, NewFolder, WrittenFile, suggestion};
use slimfit_emit::card::{Artefacts, GgufArtefact};
use slimfit_emit::{Emission, emit_config};
use slimfit_formats::config_out::HeldBy;
use slimfit_formats::gguf::CONTAINER_FAMILY;
use slimfit_formats::gguf_out::{ContainerOutput, Family, GgufOutput, NoFamily, gguf_family_in};
use slimfit_formats::{FormatsError, Origin, load_model};
use slimfit_hardware::HardwareProfile;
use slimfit_quantity::NumberFormat;
use slimfit_study::{Front, FrontPoint, InputKind, Study};
use slimfit_workflow::{Described, StudyFacts};
use std::path::{Path, PathBuf};

/// Arguments of `emit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit emit --study reports/2026-01-31-run --pick knee --what hf,safetensors,gguf,kernels --out my-model\n  slimfit emit --model architecture.yaml --out my-model\n  slimfit emit --model trained --what gguf --weights q4_0 --out my-model\n  slimfit emit --model trained --what kernels,container --weights q4_0 --out my-model"
)]
pub struct Arguments {
    /// The study whose front is picked from.
    #[arg(long, required_unless_present = "model", conflicts_with = "model")]
    study: Option<PathBuf>,
    /// Ids of points, or names of picks such as `knee`, `fastest`; several make a folder each.
    #[arg(long, num_args = 1.., default_value = "knee")]
    pick: Vec<String>,
    /// A model instead of a study's point: a config, a GGUF file, a slimfit architecture file, or a built-in name.
    #[arg(long)]
    model: Option<String>,
    /// What is written beside the config, the training recipe and the model card.
    #[arg(long, value_delimiter = ',', default_value = "hf")]
    what: Vec<What>,
    /// Positions that the config promises; the study's workload, rounded up to a power of two, unless said.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    context: Option<u64>,
    /// Refuse what no standard Hugging Face class holds, instead of writing slimfit's own class beside its config.
    #[arg(long)]
    standard_only: bool,
    /// The format of the weights in GGUF and of those that kernels are for [default: the point's; a file's own; q8_0].
    #[arg(long)]
    weights: Option<NumberFormat>,
    /// The type of safetensors: f32, bf16, f16 [default: a file's own; f32].
    #[arg(long)]
    dtype: Option<NumberFormat>,
    /// The format of the cache that kernels are for [default: the point's; f16].
    #[arg(long)]
    kv: Option<NumberFormat>,
    /// The threads that kernels are for [default: the point's; all].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// The `tokenizer.json` of the model, for GGUF and to lie beside the config; `none`: none [default: what lies beside the
    /// config of a `--model`, or is in its GGUF file].
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<String>,
    /// The seed of initial weights, which a model that has its own then gets, too [default: 0].
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    card: CardArguments,
    /// The folder; new or empty. It appears whole or not at all.
    #[arg(long)]
    out: PathBuf,
}

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// `config.json` for the transformers library, which is always written.
    Hf,
    /// Weights beside the config: the model's own, or initial ones to train.
    Safetensors,
    /// A file that llama.cpp loads.
    Gguf,
    /// Weights of any model in one file for its kernels and for slimfit, which llama.cpp cannot load.
    Container,
    /// A stand-alone Rust crate: kernels for the model's shapes on the device, and its step.
    Kernels,
}

struct Chosen {
    /// Its folder, and what errors call it.
    name: String,
    /// What the card calls it.
    title: String,
    id: String,
    architecture: Architecture,
    weights: NumberFormat,
    kv: NumberFormat,
    /// Those that the point runs best with.
    threads: Option<u32>,
    context: u64,
    described: Described,
    commands: Vec<String>,
    source: WeightSource,
    /// The `general.architecture` of the GGUF file that it was read from.
    own_family: Option<String>,
    tokenizer: TokenizerSource,
    /// Where a GGUF file is written.
    in_gguf: Option<GgufTokenizer>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    require_float(arguments.dtype)?;
    let mut chosen = match (&arguments.study, &arguments.model) {
        (Some(study), _) => from_study(arguments, study)?,
        (None, Some(model)) => from_model(arguments, model)?,
        (None, None) => return Err(Failure::internal("neither a study nor a model was asked for")),
    };
    let single = chosen.len() == 1;
    // All that can be refused is refused before the first file is written.
    let classes: Vec<HeldBy> = chosen.iter().map(|point| HeldBy::narrowest(&point.architecture)).collect();
    let mut warnings = Vec::new();
    for (point, class) in chosen.iter_mut().zip(&classes) {
        if let (true, Some(reason)) = (arguments.standard_only, class.reason()) {
            let error = DocumentError::new("no-standard-class", reason.to_string());
            let found = format!("`{}` with {}", point.name, layers_text(&point.architecture));
            return Err(error.found(found).hint("leave out `--standard-only`").into());
        }
        if arguments.wants(What::Gguf) || arguments.wants(What::Container) {
            let tokenizer = point.tokenizer.in_gguf(point.architecture.vocabulary_size)?;
            for warning in &tokenizer.warnings {
                // Points of a study share theirs.
                if !warnings.contains(warning) {
                    warnings.push(warning.clone());
                }
            }
            point.in_gguf = Some(tokenizer);
        }
        if arguments.wants(What::Gguf) {
            point.gguf().bytes().map_err(with_container_hint)?;
        }
        if arguments.wants(What::Container) {
            ContainerOutput(point.gguf()).bytes()?;
        }
    }
    let device = if arguments.wants(What::Kernels) { Some(kernel_device(arguments, output)?) } else { None };
    let whole = NewFolder::begin(&arguments.out)?;
    let (mut files, mut emitted) = (Vec::new(), Vec::new());
    for (point, class) in chosen.iter().zip(&classes) {
        let folder = if single { whole.path().to_owned() } else { whole.path().join(&point.name) };
        let shown = if single { arguments.out.clone() } else { arguments.out.join(&point.name) };
        files.extend(write(arguments, point, class, device.as_ref(), &folder)?);
        emitted.push(entry(arguments, point, class));
        if !output.is_json() {
            output.text(&told(arguments, point, class, device.as_ref(), &shown))?;
        }
    }
    whole.finish(&mut files)?;
    if output.is_json() {
        let fields = json!({ "warnings": warnings, "files": files, "emitted": emitted });
        output.object("emit", "emit", fields)?;
    } else {
        output.warnings(&warnings);
    }
    Ok(Outcome::Done)
}

/// Writes one model.
fn write(
    arguments: &Arguments,
    point: &Chosen,
    class: &HeldBy,
    device: Option<&KernelDevice>,
    folder: &Path,
) -> Result<Vec<WrittenFile>, Failure> {
    let emission = Emission {
        name: point.name.clone(),
        architecture: point.architecture.clone(),
        context: point.context,
    };
    let mut artefacts = Artefacts::config_only(&point.architecture);
    artefacts.given_weights = !point.source.initial && arguments.wants_values();
    let mut files = emit_config(&emission, folder)?;
    files.extend(point.tokenizer.copy(folder)?);
    if arguments.wants(What::Safetensors) {
        artefacts.safetensors = true;
        files.extend(point.source.safetensors(&point.architecture, class, arguments.dtype, folder)?);
    }
    if arguments.wants(What::Gguf) {
        let file = format!("model-{}.gguf", point.weights);
        files.push(point.source.gguf(&point.gguf(), &folder.join(&file))?);
        let reads_text = point.in_gguf.as_ref().is_some_and(GgufTokenizer::reads_text);
        let family = point.gguf().family()?.name().to_owned();
        artefacts.gguf = GgufArtefact::Written { file, family, reads_text };
    }
    if arguments.wants(What::Container) {
        let file = point.container_file();
        files.push(point.source.container(&point.gguf(), &folder.join(&file))?);
        artefacts.container = Some(file);
    }
    if let Some(device) = device {
        artefacts.kernels = true;
        let model = KernelModel {
            name: &point.name,
            title: &point.title,
            architecture: &point.architecture,
            weights: point.weights,
            kv: point.kv,
            threads: arguments.threads.or(point.threads),
            context: point.context,
            family: point.kernel_family(arguments),
            facts: &point.described.facts,
            command: &point.commands.join("\n"),
        };
        files.extend(device.write(&model, &folder.join("kernels"))?);
    }
    let companion = Companion {
        name: &point.title,
        id: &point.id,
        architecture: &point.architecture,
        weights: point.weights,
        kv: point.kv,
        context: point.context,
        described: &point.described,
        commands: &point.commands,
    };
    for file in render(&companion, &artefacts)? {
        files.push(file.write(folder)?);
    }
    Ok(files)
}

fn entry(arguments: &Arguments, point: &Chosen, class: &HeldBy) -> Value {
    let mut entry = json!({
        "id": point.id,
        "name": point.name,
        "class": class.class_name(),
        "parameters": point.architecture.parameters(),
    });
    if let Some(reason) = class.reason() {
        entry["why"] = reason.to_string().into();
    }
    if let (true, Err(reason)) = (arguments.wants(What::Container), point.llama_cpp()) {
        entry["no_gguf"] = reason.to_string().into();
    }
    if let Some(tokenizer) = &point.in_gguf {
        entry["tokenizer"] = tokenizer.about().clone();
    }
    entry
}

/// What was written, for people.
fn told(
    arguments: &Arguments,
    point: &Chosen,
    class: &HeldBy,
    device: Option<&KernelDevice>,
    folder: &Path,
) -> String {
    let parameters = point.architecture.parameters().total;
    let name = class.class_name();
    let mut text = format!("{}: {name}, {parameters} parameters, in {}", point.name, folder.display());
    if let Some(reason) = class.reason() {
        text += &format!("\n  with code of its own, as {reason}; load it with trust_remote_code=True");
    }
    if arguments.wants(What::Container) {
        let why = match point.llama_cpp() {
            Ok(family) => format!("`--what gguf` writes a file that it runs as `{}`", family.name()),
            Err(reason) => reason.to_string(),
        };
        let file = point.container_file();
        text += &format!("\n  {file} for kernels and slimfit; llama.cpp cannot load it: {why}");
    }
    if let Some(tokenizer) = &point.in_gguf {
        text += &format!("\n  {}", tokenizer.words());
    }
    if let Some(device) = device {
        let place = folder.join("kernels");
        text += &format!("\n  kernels for {}: `cargo build --release` in {}", device.name(), place.display());
    }
    text
}

/// The device that kernels are for: the study's, or that of `--profile`, else this machine.
fn kernel_device(arguments: &Arguments, output: &Output) -> Result<KernelDevice, Failure> {
    let profile = match &arguments.study {
        Some(folder) => Some(HardwareProfile::load(Study::open(folder)?.input(InputKind::Profile))?),
        None => arguments.card.profile()?,
    };
    KernelDevice::of(profile.as_ref(), output)
}

fn from_study(arguments: &Arguments, folder: &Path) -> Result<Vec<Chosen>, Failure> {
    arguments.card.require_no_use()?;
    let study = Study::open(folder)?;
    let front = study.front()?.ok_or_else(|| {
        DocumentError::new("no-front", "the study holds no front").file(folder.display().to_string())
    })?;
    let points = arguments.pick.iter().map(|pick| find(&front, pick)).collect::<Result<Vec<_>, Failure>>()?;
    let facts = StudyFacts::read(&study, &front)?;
    let chosen = |(pick, point): (&String, &FrontPoint)| -> Result<Chosen, Failure> {
        let promised = || facts.context_tokens(point.architecture.vocabulary_size).next_power_of_two();
        let title = format!("{} {pick}", front.head.space.name);
        Ok(Chosen {
            name: pick.clone(),
            id: point.id.clone(),
            architecture: point.architecture.clone(),
            weights: arguments.weights.unwrap_or(point.weights),
            kv: arguments.kv.unwrap_or(point.kv),
            threads: Some(point.threads),
            context: arguments.context.unwrap_or_else(promised),
            described: facts.describe(point, &title, arguments.seed())?,
            commands: study_commands(&front.head, &point.id, &arguments.flags()),
            source: WeightSource::initial(&point.architecture, arguments.seed()),
            own_family: None,
            tokenizer: TokenizerSource::of(arguments.tokenizer.as_deref(), None),
            in_gguf: None,
            title,
        })
    };
    arguments.pick.iter().zip(points).map(chosen).collect()
}

fn find<'a>(front: &'a Front, pick: &str) -> Result<&'a FrontPoint, Failure> {
    let by_id = front.points.iter().find(|point| point.id == pick);
    let by_name = || front.points.iter().find(|point| point.picks.iter().any(|name| name == pick));
    if let Some(point) = by_id.or_else(by_name) {
        return Ok(point);
    }
    let mut known: Vec<&str> =
        front.points.iter().flat_map(|point| point.picks.iter().map(String::as_str)).collect();
    known.dedup();
    let hint =
        suggestion(pick, known.iter().copied().chain(front.points.iter().map(|point| point.id.as_str())));
    let error = DocumentError::new("unknown-point", "no point of the front has this id or pick");
    let error = error.field("--pick").found(format!("`{pick}`"));
    Err(error.allowed(format!("{}, or an id in front.json", known.join(", "))).maybe_hint(hint).into())
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
    let described =
        arguments.card.describe(&model.name, &id, &model.architecture, (weights, kv), arguments.seed())?;
    // Files are only opened where values are wanted of them.
    let source = if arguments.wants_values() {
        WeightSource::of(&model, arguments.seed)?
    } else {
        WeightSource::initial(&model.architecture, arguments.seed())
    };
    Ok(vec![Chosen {
        tokenizer: TokenizerSource::of(arguments.tokenizer.as_deref(), Some(&model)),
        in_gguf: None,
        title: model.name.clone(),
        name: model.name,
        id,
        architecture: model.architecture,
        weights,
        kv,
        threads: None,
        context,
        described,
        commands: vec![arguments.card.command(reference, &arguments.flags())],
        source,
        own_family: matches!(model.origin, Origin::Gguf(_)).then_some(model.family),
    }])
}

impl Chosen {
    fn gguf(&self) -> GgufOutput<'_> {
        GgufOutput {
            name: &self.title,
            architecture: &self.architecture,
            weights: self.weights,
            context: self.context,
            tokenizer: self.in_gguf.as_ref().and_then(|tokenizer| tokenizer.entries.as_ref()),
        }
    }

    fn container_file(&self) -> String {
        format!("slimfit-{}.gguf", self.weights)
    }

    /// What llama.cpp runs it as, or what stands in the way.
    fn llama_cpp(&self) -> Result<Family, NoFamily> {
        gguf_family_in(&self.architecture, self.weights)
    }

    /// Whose files kernels read: of what is written beside them the container, else llama.cpp's; else of what is there the
    /// model's own file; else of what can be written.
    fn kernel_family(&self, arguments: &Arguments) -> &str {
        let written = self.llama_cpp().map(Family::name);
        let own = self
            .own_family
            .as_deref()
            .filter(|own| *own == CONTAINER_FAMILY || Family::ALL.iter().any(|family| family.name() == *own));
        match (written, own) {
            _ if arguments.wants(What::Container) => CONTAINER_FAMILY,
            (_, Some(own)) if !arguments.wants(What::Gguf) => own,
            (Ok(family), _) => family,
            (Err(_), _) => CONTAINER_FAMILY,
        }
    }
}

/// Says what can be written where llama.cpp's file cannot.
fn with_container_hint(error: FormatsError) -> Failure {
    let error = error.into_document();
    if error.code != "no-gguf" || error.hint.is_some() {
        return error.into();
    }
    error
        .hint("`--what container` writes the weights for kernels and slimfit, though not for llama.cpp")
        .into()
}

impl Arguments {
    fn wants(&self, what: What) -> bool {
        self.what.contains(&what)
    }

    /// Whether anything is written that holds weights.
    fn wants_values(&self) -> bool {
        [What::Safetensors, What::Gguf, What::Container].into_iter().any(|what| self.wants(what))
    }

    fn seed(&self) -> u64 {
        self.seed.unwrap_or(SEED)
    }

    /// The flags that decide what is written, as the command that writes the same again has them.
    fn flags(&self) -> String {
        let names = self.what.iter().filter_map(clap::ValueEnum::to_possible_value);
        let what: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        let mut flags = String::new();
        if what != ["hf"] {
            flags += &format!(" --what {}", what.join(","));
        }
        let values = [
            ("context", self.context.map(|value| value.to_string())),
            ("weights", self.weights.map(|value| value.to_string())),
            ("dtype", self.dtype.map(|value| value.to_string())),
            ("kv", self.kv.map(|value| value.to_string())),
            ("threads", self.threads.map(|value| value.to_string())),
            ("seed", self.seed.map(|value| value.to_string())),
            ("tokenizer", self.tokenizer.as_deref().map(|path| quoted(&last(path)))),
        ];
        for (name, value) in values {
            flags += &value.map_or_else(String::new, |value| format!(" --{name} {value}"));
        }
        if self.standard_only {
            flags += " --standard-only";
        }
        flags
    }
}
