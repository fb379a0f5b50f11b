//! What a study holds about a point of its front.

use super::{Described, use_tokens, with_missing, workload_words};
use crate::WorkflowError;
use slimfit_document::Document;
use slimfit_emit::card::{CardFacts, MeasuredRun, NOT_RUN, PredictedFigure};
use slimfit_emit::{TrainingRequest, training_recipe};
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe, TRAINING_CONTEXT};
use slimfit_quantity::{Figure, Measured, Predicted, Source, format_count};
use slimfit_search::Workload;
use slimfit_study::{
    ExternalEngine, Front, FrontPoint, InputKind, Measurement, RunFigures, Study, Verification,
    VerificationRow, WeightsSource, objective_label,
};

/// The records of a study, read once for all of its points.
#[derive(Debug)]
pub struct StudyFacts {
    front: Front,
    quality: QualityModel,
    workload: Workload,
    profile: Option<HardwareProfile>,
    measurements: Vec<Measurement>,
    verification: Option<Verification>,
}

impl StudyFacts {
    /// Reads them; `front` is the study's.
    ///
    /// # Errors
    /// When the store, or the study's copies of its workload and recipe, cannot be read.
    pub fn read(study: &Study, front: &Front) -> Result<Self, WorkflowError> {
        let profile = study.input(InputKind::Profile);
        let profile = if profile.is_file() { Some(Document::read(&profile)?.parse()?) } else { None };
        let recipe = Recipe::from_document(&Document::read(study.input(InputKind::Recipe))?)?;
        Ok(Self {
            front: front.clone(),
            quality: QualityModel::new(recipe),
            workload: Workload::from_document(&Document::read(study.input(InputKind::Workload))?)?,
            profile,
            measurements: study.measurements()?,
            verification: study.verification()?,
        })
    }

    /// Tokens that the workload puts into the cache of a model of this vocabulary.
    pub fn context_tokens(&self, vocabulary: u64) -> u64 {
        let law = self.quality.law(self.front.head.recipe.tokens, &self.workload.bytes());
        self.workload.run_shape(&law, vocabulary).context()
    }

    /// What the study says of `point`, and how to train it from `seed`; `name` is what the card calls it.
    ///
    /// # Errors
    /// When it cannot be trained on so little text.
    pub fn describe(&self, point: &FrontPoint, name: &str, seed: u64) -> Result<Described, WorkflowError> {
        let head = &self.front.head;
        let law = self.quality.law(head.recipe.tokens, &self.workload.bytes());
        let run = self.workload.run_shape(&law, point.architecture.vocabulary_size);
        let training = training_recipe(&TrainingRequest {
            name,
            id: &point.id,
            architecture: &point.architecture,
            recipe: self.quality.recipe(),
            tokens: head.recipe.tokens,
            sequence_length: head
                .training
                .as_ref()
                .map_or(TRAINING_CONTEXT, |training| training.context_tokens),
            seed,
        })?;
        let facts = CardFacts {
            setting: self.setting(point, &workload_words(&self.workload.name, run)),
            predicted: with_missing(self.predicted(point), |name| self.missing(name)),
            remarks: self.remarks(point),
            measured: self.measured(point),
            not_measured: "the study holds no run of this model".to_owned(),
            use_tokens: Some(use_tokens(run)),
            not_predicted: self.not_predicted(),
        };
        Ok(Described { facts, training })
    }

    fn setting(&self, point: &FrontPoint, workload: &str) -> Vec<(String, String)> {
        let head = &self.front.head;
        let mut setting = Vec::new();
        let mut line = |label: &str, words: String| setting.push((label.to_owned(), words));
        let class = self.profile.as_ref().map(|profile| profile.device_class.as_str());
        let class = class.map_or_else(String::new, |class| format!(" ({class})"));
        if head.profiles.is_empty() {
            line("Device", format!("{}{class}, {}", head.profile.name, threads(point.threads)));
        } else {
            let names =
                head.profiles.iter().zip(1..).map(|(profile, place)| format!("{} ({place})", profile.name));
            line("Devices", names.collect::<Vec<_>>().join(", "));
        }
        line("Runtime", format!("`{}`", head.engine));
        line("Use", workload.to_owned());
        line("Formats", format!("weights `{}`, KV cache `{}`", point.weights, point.kv));
        let recipe = &head.recipe;
        let tokens = format_count(recipe.tokens as f64);
        line("Quality", format!("recipe `{}`, a training on {tokens} of its tokens", recipe.name));
        if !head.constraints.is_empty() {
            let limits = head.constraints.iter().map(|limit| {
                // Scores are the one kind of which more is better.
                let sign = if limit.name.starts_with("score_") { ">=" } else { "<=" };
                format!("`{} {sign} {}`", limit.name, limit.limit)
            });
            line("Limits", limits.collect::<Vec<_>>().join(", "));
        }
        let exact = if head.exact {
            "exact for these models of device and quality".to_owned()
        } else {
            match head.epsilon {
                Some(epsilon) => format!("proven to within {}", percent(epsilon)),
                None => "nothing proven about points that were not looked at".to_owned(),
            }
        };
        let picks = if point.picks.is_empty() {
            String::new()
        } else {
            format!(
                ", picked as {}",
                point.picks.iter().map(|pick| format!("`{pick}`")).collect::<Vec<_>>().join(", ")
            )
        };
        let objectives: Vec<String> =
            head.objectives.iter().map(|objective| objective_label(&objective.name).to_lowercase()).collect();
        line(
            "Search",
            format!(
                "one of {} points of the Pareto front of `{}` in {}{picks}; {exact}",
                head.front_size,
                head.space.name,
                objectives.join(", ")
            ),
        );
        setting
    }

    fn predicted(&self, point: &FrontPoint) -> Vec<PredictedFigure> {
        let names = self.front.head.objectives.iter().map(|objective| &objective.name);
        let figure = |name: &String| {
            let value = *point.objectives.get(name)?;
            let interval = point.intervals.get(name);
            Some(Figure {
                value: Some(value),
                low: interval.map(|interval| interval.low),
                high: interval.map(|interval| interval.high),
                n: 0,
                source: point.sources.get(name).copied().unwrap_or(Source::Modelled),
                reason: None,
                citation: None,
            })
        };
        names.filter_map(|name| Some(PredictedFigure { name: name.clone(), figure: figure(name)? })).collect()
    }

    /// Why the front has no value of a quantity.
    fn missing(&self, name: &str) -> String {
        let watts = self.profile.as_ref().map(|profile| &profile.power.idle_watts);
        if let (true, Some(watts)) = (name.starts_with("joules"), watts)
            && watts.value.is_none()
        {
            let reason = watts.reason.as_deref().unwrap_or("nothing measured it");
            return format!("the device's power is not known: {reason}");
        }
        "it is no objective of the search".to_owned()
    }

    fn remarks(&self, point: &FrontPoint) -> Vec<String> {
        let mut remarks = Vec::new();
        if !point.flags.is_empty() {
            let flags: Vec<String> = point.flags.iter().map(|flag| format!("`{flag}`")).collect();
            remarks.push(format!("Remarks on the quality: {}.", flags.join(", ")));
        }
        let same = |other: &&FrontPoint| other.tie_group == point.tie_group && other.id != point.id;
        let tied = self.front.points.iter().filter(same).count();
        if tied > 0 {
            remarks.push(format!(
                "{tied} other points of the front differ from it by less than the noise of these predictions."
            ));
        }
        remarks.extend(self.verification.as_ref().and_then(verified));
        remarks
    }

    fn measured(&self, point: &FrontPoint) -> Vec<MeasuredRun> {
        let runs = self.measurements.iter().filter(|run| run.id == point.id);
        let runs = runs.map(|run| MeasuredRun {
            setting: run_words(run),
            measured: run.measured.clone(),
            predicted: run.predicted.clone(),
        });
        let verified = self.verification.iter().flat_map(|verification| {
            let rows = verification.rows.iter();
            let rows = rows.filter(|row| row.id == point.id && row.impossible.is_none());
            rows.filter_map(|row| verified_run(row, verification.engine.as_ref()))
        });
        runs.chain(verified).collect()
    }

    fn not_predicted(&self) -> Vec<(String, String)> {
        let tasks = self.front.head.quality.iter().flat_map(|notes| &notes.not_predicted);
        tasks.map(|task| (task.task.clone(), task.reason.clone())).collect()
    }
}

/// How far predictions of unseen models were off on this device.
fn verified(verification: &Verification) -> Option<String> {
    let phases = [
        ("a decoded token", verification.summary.decode),
        ("a prompt", verification.summary.prefill),
        ("memory", verification.summary.memory),
    ];
    let words: Vec<String> = phases
        .into_iter()
        .filter_map(|(what, errors)| {
            let errors = errors.filter(|errors| errors.mape.is_finite())?;
            let floor = errors.retest_mape.filter(|floor| floor.is_finite());
            let floor =
                floor.map_or_else(String::new, |floor| format!(", runs repeated to {}", percent(floor)));
            Some(format!("{what} {} (n = {}{floor})", percent(errors.mape), errors.n))
        })
        .collect();
    (!words.is_empty()).then(|| {
        format!("Predictions of unseen models were off by, on average, on this device: {}.", words.join("; "))
    })
}

fn engine_words(engine: Option<&ExternalEngine>) -> String {
    engine.map_or_else(|| "slimfit".to_owned(), |engine| format!("{} {}", engine.name, engine.version))
}

/// A cell of a verification, in which one quantity was measured; none where it is of a phase that a card has no line for.
pub(super) fn verified_run(row: &VerificationRow, engine: Option<&ExternalEngine>) -> Option<MeasuredRun> {
    let (what, pick): (String, fn(&mut RunFigures) -> &mut Figure) = match row.phase.as_str() {
        "decode" => {
            (format!("a token decoded at a depth of {}", row.depth_tokens), |run| &mut run.tpot_seconds)
        }
        "prefill" => {
            (format!("a prompt of {} tokens", row.prompt_tokens), |run| &mut run.prefill_tokens_per_s)
        }
        "memory" => ("memory".to_owned(), |run| &mut run.peak_memory_bytes),
        _ => return None,
    };
    // Cells have seconds, and prompts are told as tokens a second.
    let prompt = row.phase == "prefill";
    let told = |value: f64| if prompt { row.prompt_tokens as f64 / value } else { value };
    let tests = [Some(row.measured), row.retest].into_iter().flatten().map(told).collect();
    let mut measured = not_run();
    *pick(&mut measured) = Measured::new(tests)?.figure();
    let [mut low, mut high] = [row.predicted.low, row.predicted.high].map(told);
    if prompt {
        (low, high) = (high, low);
    }
    let mut predicted = not_run();
    *pick(&mut predicted) = Predicted { value: told(row.predicted.value), low, high }.figure();
    let setting = format!(
        "`{}` on the machine of the study, {}, in a verification: {what}; random weights in `{}`, KV cache `{}`",
        engine_words(engine),
        threads(row.threads),
        row.weights,
        row.kv
    );
    Some(MeasuredRun { setting, measured, predicted })
}

fn not_run() -> RunFigures {
    let none = || Figure::unavailable(NOT_RUN);
    RunFigures {
        prefill_tokens_per_s: none(),
        decode_tokens_per_s: none(),
        ttft_seconds: none(),
        tpot_seconds: none(),
        peak_memory_bytes: none(),
        joules_per_token: none(),
    }
}

fn run_words(run: &Measurement) -> String {
    let engine = engine_words(run.engine.as_ref());
    format!(
        "`{engine}` on the machine of the study, {}, `{}`; {} weights in `{}`, KV cache `{}`; a prompt of {} tokens, {} \
         generated at a depth of {}",
        threads(run.threads),
        run.isa,
        match run.weights_source {
            WeightsSource::Seeded => "random",
            WeightsSource::File => "its file's",
        },
        run.weights,
        run.kv,
        run.prompt_tokens,
        run.generated_tokens,
        run.depth_tokens
    )
}

fn threads(count: u32) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}
