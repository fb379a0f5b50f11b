//! `slimfit search`.

use crate::dump::dump;
use crate::engine::EngineArguments;
use crate::evolve::{self, Asked, EvaluatorArguments};
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::progress::Progress;
use crate::what::{What, metric};
use crate::{Outcome, candidates_text, date, device, front_text, interrupt, refinement_text};
use serde_json::json;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_kernels::Isa;
use slimfit_quality::Recipe;
use slimfit_search::{DeviceObjectives, Metric, Space, TakenUp};
use slimfit_study::{Front, Input, InputKind, ProfileRef, Refinement, Study, StudyError};
use slimfit_workflow::candidates::gather;
use slimfit_workflow::{
    LEAST_MEASURED, Observer, SearchInputs, SearchSettings, VerifyOptions, refine, search_into_study,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest prompt and deepest cache that `--measure` times.
const LONGEST_PROMPT: u64 = 512;
const LONGEST_DEPTH: u64 = 4096;
/// Dominated points kept to draw the cloud.
const CLOUD: usize = 20_000;

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit search --space slm-edge --workload assistant --max-memory 512MiB --max-tpot 30ms --out reports/edge"
)]
pub struct Arguments {
    #[command(flatten)]
    what: What,
    /// A hardware profile: a file, or a device of `slimfit profile --list`; the newest local one of this machine unless
    /// said. Given several times, one model is chosen for all of these devices.
    #[arg(long)]
    profile: Vec<String>,
    /// What times, memory and energy of several devices are: their worst over the devices, or each an objective of its own,
    /// `tpot_seconds@1`, `tpot_seconds@2` … Limits hold on every device.
    #[arg(long, value_name = "HOW", default_value = "worst")]
    devices: Devices,
    #[command(flatten)]
    watts: device::WattsArgument,
    #[command(flatten)]
    calibration: device::CalibrationArgument,
    #[command(flatten)]
    engine: EngineArguments,
    /// What to minimise, in this order: `loss`, `ttft_seconds`, `tpot_seconds`, `memory_bytes`, `joules_per_token`,
    /// `file_bytes`, `training_flops` …; or to maximise: `score_hellaswag` and other tasks of the recipe.
    #[arg(long, value_delimiter = ',')]
    objectives: Vec<String>,
    /// Also rank models that exist: `public` for all of `slimfit models`, a built-in name, a `.gguf`, a `config.json`, or a
    /// folder of those; may be repeated. `slimfit rank` does so without a search.
    #[arg(long, value_name = "MODELS")]
    candidates: Vec<String>,
    /// List also the points that tie with each shown one: they differ by less than the noise of the prediction.
    #[arg(long)]
    show_ties: bool,
    /// Allow the front this distance to the exact one, as a fraction: `0.01` leaves out what is at most 1 % better in
    /// every objective than some point of it. For spaces too large to be searched exactly.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    epsilon: f64,
    /// Stop after this time: `60s`. Passes over the space allow 10 %, 3 % and 1 % (past 10¹⁰ points also 50 %, 30 % and 20 %)
    /// before the distance that `--epsilon` wants, and the front has the distance of the last pass that was whole. Ctrl-C
    /// stops a search in the same way.
    #[arg(long, value_name = "TIME", value_parser = slimfit_quantity::parse_seconds)]
    max_seconds: Option<f64>,
    #[command(flatten)]
    evaluator: EvaluatorArguments,
    /// Seed of the sample of dominated points, and of all chance where points are measured.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The study's folder; `reports/<date>-<space>` unless said. A search that was killed or stopped there goes on where it
    /// was, and a second process with the same question shares the work of the first.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Run so many points of the front on this machine, those that tell most about the cost model's errors; correct it by
    /// them where that helps, search again, and say what moved.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(LEAST_MEASURED as i64..=100))]
    measure: Option<u16>,
    /// Write every valid point of a small space as CSV.
    #[arg(long, value_name = "FILE.csv")]
    dump_all: Option<PathBuf>,
}

/// `--devices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Devices {
    Worst,
    Each,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let what = &arguments.what;
    let isa = Isa::selected()?;
    let space = what.space()?;
    let (recipe, recipe_text) = what.recipe()?;
    let quality_table = what.quality_table(&recipe)?;
    let profiles = arguments.watts.applied_to(device::profiles(&arguments.profile, isa)?)?;
    let profiles: Vec<_> =
        profiles.into_iter().map(|profile| arguments.calibration.applied(profile)).collect();
    let (engine, engine_options) = arguments.engine.resolve_all(&profiles)?;
    let (first, further) = profiles.split_first().expect("there is one profile or more");
    let inputs = SearchInputs {
        profile: first.clone(),
        further_profiles: further.to_vec(),
        engine,
        engine_options,
        workload: what.workload()?,
        recipe,
        recipe_text,
        tokens: what.tokens(),
        anchors: what.anchors()?,
        training: what.training()?,
        quality_table,
        space,
        candidates: if arguments.candidates.is_empty() { None } else { Some(gather(&arguments.candidates)?) },
    };
    check_devices(arguments, &inputs)?;
    let measuring = arguments.measure.map(|wanted| measuring(wanted, &inputs, isa, output)).transpose()?;
    let limits = what.limits(&inputs.space, &inputs.recipe)?;
    let objectives = objectives(&arguments.objectives, &inputs.recipe)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| Path::new("reports").join(format!("{}-{}", date::today(), inputs.space.name())));
    let study = Study::create(&out)?;
    refuse_another(&study, &inputs)?;
    let passes = passes(arguments.epsilon, arguments.max_seconds.is_some(), &inputs.space);
    if arguments.evaluator.is_given() {
        let asked = Asked {
            objectives,
            limits,
            passes,
            seed: arguments.seed,
            max_seconds: arguments.max_seconds,
            inputs: &inputs,
            isa,
        };
        let front = arguments.evaluator.search(asked, &study)?;
        return told(arguments, output, (&front, None), written(&out, false)?, &out);
    }
    let progress = Progress::start(format!("search {}", inputs.space.name()));
    let unit = if inputs.space.is_layered() { "families of models" } else { "points" };
    let asked = Question { objectives, limits, passes, arguments };
    let shown = |at: slimfit_search::Progress| progress.count(at.visited, at.size, unit);
    let said = |at: &TakenUp| progress.say(&taken_up(at));
    let front = search_into_study(&inputs, &asked.settings(&shown, &said), &study)?;
    progress.finish(&format!("{} of {} points on the front", front.points.len(), front.head.space_size));
    let (front, refinement) = match &measuring {
        None => (front, None),
        Some((wanted, options)) => {
            let progress = Progress::start("measure");
            let mut report = |what: &str, done: f64| progress.set(done, what);
            let mut observer = Observer { progress: &mut report, cancel: interrupt::flag() };
            let measured = (*wanted, options);
            let kept = (&study, date::now());
            let (front, found) = refine(
                &inputs,
                front,
                measured,
                &asked.settings(&|_| {}, &|_| {}),
                (kept.0, &kept.1),
                &mut observer,
            )?;
            progress.finish(&format!("{} runs", found.rows.len()));
            (front, Some(found))
        }
    };
    let mut files = written(&out, inputs.quality_table.is_some())?;
    let copies = (1..inputs.profiles().count()).map(|place| study.input_of(InputKind::Profile, place));
    files.extend(copies.map(|copy| described(&copy, "profile")).collect::<Result<Vec<_>, _>>()?);
    if let Some(file) = &arguments.dump_all {
        let objectives = Metric::recorded(&front.head.objectives, &inputs.recipe);
        let objectives = objectives.map_err(|name| Failure::internal(format!("`{name}` is no objective")))?;
        dump(&inputs, &objectives, &asked.limits, file)?;
        files.push(described(file, "csv")?);
    }
    told(arguments, output, (&front, refinement.as_ref()), files, &out)
}

/// Refuses what knows one device where there are several, and the other way round.
fn check_devices(arguments: &Arguments, inputs: &SearchInputs) -> Result<(), Failure> {
    let count = inputs.profiles().count();
    if count == 1 {
        if arguments.devices == Devices::Each {
            let error = DocumentError::new("usage", "there is but one device").field("--devices");
            let error = error.found("`each` with one profile").allowed("`worst`, or several profiles");
            return Err(error.hint("`--profile A --profile B` names two").into());
        }
        return Ok(());
    }
    inputs.space.require_equal_layers("several profiles")?;
    if arguments.measure.is_some() {
        inputs.require_one_device("`--measure`")?;
    }
    if arguments.evaluator.is_given() {
        inputs.require_one_device("`--evaluator`")?;
    }
    Ok(())
}

/// Tells what was found.
fn told(
    arguments: &Arguments,
    output: &Output,
    (front, refinement): (&Front, Option<&Refinement>),
    files: Vec<WrittenFile>,
    out: &Path,
) -> Result<Outcome, Failure> {
    if output.is_json() {
        let mut fields =
            serde_json::to_value(&front.head).map_err(|error| Failure::internal(error.to_string()))?;
        fields["seed"] = json!(arguments.seed);
        fields["files"] = json!(files);
        if let Some(refinement) = refinement {
            fields["refinement"] = json!(refinement);
        }
        fields["shortlist"] = front_text::shortlist_value(front);
        output.object("search", "search", fields)?;
    } else {
        output.warnings(&front.head.warnings);
        output.text(&front_text::summary(front, arguments.show_ties))?;
        if let Some(refinement) = refinement {
            output.text(&refinement_text::text(refinement))?;
        }
        if !arguments.candidates.is_empty() {
            let asked: Vec<&str> = front.head.asked().collect();
            let table = candidates_text::text(&front.head.existing, candidates_text::SHOWN, &asked);
            output.text(&format!("\nmodels that exist, as trained by their makers\n{table}"))?;
        }
        if let Some(measured) = &front.head.measured_search {
            output.text(&evolve::text(measured))?;
        }
        note(&format!("study in {}; `slimfit report --study {}` draws it", out.display(), out.display()));
    }
    Ok(interrupt::outcome())
}

/// What is asked of a search, once or again.
struct Question<'a> {
    objectives: Option<Vec<Metric>>,
    limits: Vec<(Metric, f64)>,
    passes: Vec<f64>,
    arguments: &'a Arguments,
}

impl Question<'_> {
    fn settings<'p>(
        &self,
        progress: &'p (dyn Fn(slimfit_search::Progress) + Sync),
        taken_up: &'p dyn Fn(&TakenUp),
    ) -> SearchSettings<'p> {
        let seconds = self.arguments.max_seconds;
        SearchSettings {
            objectives: self.objectives.clone(),
            devices: match self.arguments.devices {
                Devices::Worst => DeviceObjectives::Worst,
                Devices::Each => DeviceObjectives::Each,
            },
            limits: self.limits.clone(),
            seed: self.arguments.seed,
            sample: CLOUD,
            passes: self.passes.clone(),
            deadline: seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds)),
            cancel: interrupt::flag(),
            progress,
            taken_up,
        }
    }
}

/// How points of the front are run, and how many.
fn measuring(
    wanted: u16,
    inputs: &SearchInputs,
    isa: Isa,
    output: &Output,
) -> Result<(usize, VerifyOptions), Failure> {
    if inputs.engine.name() != "slimfit" {
        let error = DocumentError::new("usage", "only slimfit's own runtime is measured").field("--measure");
        return Err(error.found(format!("engine `{}`", inputs.engine.name())).allowed("`slimfit`").into());
    }
    device::another_machine(
        &inputs.profile,
        isa,
        "`--measure` runs models here: take a profile of this machine",
    )?;
    // What the workload does, as far as it can be timed in seconds.
    let law = inputs.quality()?.law(inputs.tokens, &inputs.workload.bytes());
    let vocabulary = inputs.space.vocabularies().first().copied().unwrap_or(1);
    let run = inputs.workload.run_shape(&law, vocabulary);
    let options = VerifyOptions {
        prompts: vec![run.prompt_tokens.clamp(1, LONGEST_PROMPT)],
        depths: vec![run.depth_tokens.clamp(1, LONGEST_DEPTH)],
        tuning: device::tuning(isa, output)?,
        ..VerifyOptions::new(isa)
    };
    Ok((usize::from(wanted), options))
}

/// What somebody hears whose search was begun before.
fn taken_up(at: &TakenUp) -> String {
    let share = (100.0 * at.visited as f64 / at.size as f64).floor();
    let what = if at.passes == 1 {
        "the space is done".to_owned()
    } else {
        format!("pass {} of {} over the space is done", at.pass, at.passes)
    };
    let how = if at.has_company { "joining another process at work on this search" } else { "resuming" };
    format!("{how}: {share:.0} % of {what}")
}

/// Spaces past so many points are searched in many passes: their exact fronts may be out of reach.
const LARGE: u64 = 10_000_000_000;
/// Spaces up to so many points are searched before anyone stops them.
const SMALL: u64 = 50_000_000;

/// Distances that passes over the space allow, falling to `epsilon`. One coarse pass takes little time and proves something
/// soon, whenever the search is stopped; where the time is limited or the space large, the distance falls in steps.
fn passes(epsilon: f64, limited: bool, space: &Space) -> Vec<f64> {
    let coarse: &[f64] = if space.is_layered() && !limited {
        &[]
    } else if !space.is_layered() && space.size() > LARGE {
        &[0.5, 0.3, 0.2, 0.1, 0.03, 0.01]
    } else if limited {
        &[0.1, 0.03, 0.01]
    } else if space.size() > SMALL {
        &[0.3]
    } else {
        &[]
    };
    coarse.iter().copied().filter(|pass| *pass > epsilon).chain([epsilon]).collect()
}

fn objectives(names: &[String], recipe: &Recipe) -> Result<Option<Vec<Metric>>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(names.iter().map(|name| metric(name, "--objectives", recipe)).collect::<Result<_, _>>()?))
}

/// A folder that holds the study of other inputs stays as it is.
fn refuse_another(study: &Study, inputs: &SearchInputs) -> Result<(), Failure> {
    let Some(head) = study.head()? else { return refuse_another_unfinished(study, inputs) };
    let known = if head.profiles.is_empty() { std::slice::from_ref(&head.profile) } else { &head.profiles };
    let device = |profile: &ProfileRef| (profile.fingerprint_id.clone(), profile.name.clone());
    let same = head.space == inputs.space.named_hash()
        && known.iter().map(device).eq(inputs.profile_refs().iter().map(device))
        && head.engine == inputs.engine.name()
        && head.workload == inputs.workload.name
        && head.recipe.name == inputs.recipe.name
        && head.recipe.tokens == inputs.tokens
        && head.anchors.iter().map(|anchor| (&anchor.model, anchor.tokens, &anchor.task, anchor.percent)).eq(
            inputs.anchors.iter().map(|anchor| (&anchor.model, anchor.tokens, &anchor.task, anchor.percent)),
        )
        && head.quality_table.as_ref().map(|table| table.sha256.as_str())
            == inputs.quality_table.as_ref().map(|(table, _)| table.sha256());
    if same {
        return Ok(());
    }
    let found = format!(
        "space `{}` on {}, engine `{}`, workload `{}`",
        head.space.name,
        named(known.iter().map(|profile| profile.name.as_str())),
        head.engine,
        head.workload
    );
    Err(StudyError::OtherStudy { path: study.folder().to_owned(), found }.into())
}

/// The same for one that has no front yet.
fn refuse_another_unfinished(study: &Study, inputs: &SearchInputs) -> Result<(), Failure> {
    let Some(search) = study.searches()?.pop() else { return Ok(()) };
    let request = search.request;
    if request.inputs == inputs.kept()?.iter().map(Input::reference).collect::<Vec<_>>()
        && request.engine == inputs.engine.name()
        && request.tokens == inputs.tokens
    {
        return Ok(());
    }
    let name = |kind: InputKind| {
        let input = request.inputs.iter().find(|input| input.kind == kind);
        input.map_or("?", |input| input.name.as_str())
    };
    let profiles = request.inputs.iter().filter(|input| input.kind == InputKind::Profile);
    let found = format!(
        "space `{}` on {}, engine `{}`, workload `{}`, whose search is not finished",
        name(InputKind::Space),
        named(profiles.map(|input| input.name.as_str())),
        request.engine,
        name(InputKind::Workload)
    );
    Err(StudyError::OtherStudy { path: study.folder().to_owned(), found }.into())
}

/// Devices by name.
fn named<'a>(devices: impl Iterator<Item = &'a str>) -> String {
    devices.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

/// The files that a search leaves for people.
fn written(out: &Path, has_table: bool) -> Result<Vec<WrittenFile>, Failure> {
    let names =
        [("front.json", "front"), ("front.csv", "csv"), ("profile.yaml", "profile"), ("space.yaml", "space")];
    let more = [("workload.yaml", "workload"), ("recipe.yaml", "recipe")];
    let table = [("quality-table.csv", "quality-table")].into_iter().filter(|_| has_table);
    names.into_iter().chain(more).chain(table).map(|(name, kind)| described(&out.join(name), kind)).collect()
}

fn described(path: &Path, kind: &str) -> Result<WrittenFile, Failure> {
    Ok(WrittenFile::of(path, kind)?)
}
