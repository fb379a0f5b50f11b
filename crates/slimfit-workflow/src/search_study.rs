//! Searches a space for a device and keeps everything that was found in a study.

use crate::WorkflowError;
use crate::candidates::{Competitors, ExistingModels, RankingOptions, rank, scores};
use slimfit_cost::{CostError, CostModel, Engine, EngineOptions, PREFILL_UNAVAILABLE};
use slimfit_formats::builtin;
use slimfit_hardware::HardwareProfile;
use slimfit_plan::Phase;
use slimfit_quality::{Anchor, Assumption, QualityError, QualityModel, Recipe, TrainingPlan};
use slimfit_quantity::{NumberFormat, Warning};
use slimfit_search::{
    Candidate, DeviceObjectives, ExtraRows, LayerOptions, Metric, ModelEvaluator, Progress, QualityTable,
    SearchOptions, Space, TakenUp, Workload, search_layers, search_with_journal, shortlist,
};
use slimfit_study::{
    Constraint, Explanation, Findings, Front, FrontPoint, Input, InputKind, LEASE, Natural, ReferenceModel,
    SearchId, SearchOutline, SearchRequest, Study,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Points whose predicted times are kept operation by operation.
const EXPLAINED: usize = 8;
/// A public model is a reference mark when its size is within this factor of the front's.
const SIMILAR: f64 = 4.0;
/// Reference marks at most; more would hide the front.
const MOST_REFERENCES: usize = 16;

/// What is searched, for which device and use.
#[derive(Debug, Clone)]
pub struct SearchInputs {
    /// The device, or the first of several that one model is chosen for.
    pub profile: HardwareProfile,
    /// The others of several.
    pub further_profiles: Vec<HardwareProfile>,
    /// The space.
    pub space: Space,
    /// The use.
    pub workload: Workload,
    /// How a model would be trained.
    pub recipe: Recipe,
    /// The recipe's text, for the study's copy.
    pub recipe_text: String,
    /// Training tokens, in the recipe's own tokenizer.
    pub tokens: u64,
    /// The runtime that is priced.
    pub engine: Engine,
    /// How another runtime than ours is priced.
    pub engine_options: EngineOptions,
    /// Siblings of known score.
    pub anchors: Vec<Anchor>,
    /// How the training is counted.
    pub training: TrainingPlan,
    /// Measured scores, and what happens to rows that name no point.
    pub quality_table: Option<(QualityTable, ExtraRows)>,
    /// Models that exist, to be ranked beside the points.
    pub candidates: Option<ExistingModels>,
}

impl SearchInputs {
    /// What values and prices the points, measured scores in place of predictions.
    ///
    /// # Errors
    /// When the table of measured scores does not fit the space.
    pub fn evaluator<'a>(
        &'a self,
        costs: &'a [CostModel],
        quality: &'a QualityModel,
    ) -> Result<ModelEvaluator<'a>, WorkflowError> {
        let evaluator = ModelEvaluator::of_devices(&self.space, costs, quality, self.tokens, &self.workload)
            .trained_on(self.training);
        let Some((table, extra)) = &self.quality_table else { return Ok(evaluator) };
        let bound = table.bind(&self.space, &evaluator, *extra)?;
        Ok(evaluator.measured_by(bound))
    }

    /// What values the points, anchored.
    ///
    /// # Errors
    /// When an anchor says nothing about the recipe's level.
    pub fn quality(&self) -> Result<QualityModel, QualityError> {
        QualityModel::new(self.recipe.clone()).anchored(&self.anchors)
    }

    /// What is read, for the study.
    ///
    /// # Errors
    /// When the profile cannot be written.
    pub fn kept(&self) -> Result<Vec<Input>, WorkflowError> {
        let profiles = self.profiles().map(|profile| {
            Ok::<_, WorkflowError>(Input::new(InputKind::Profile, &profile.name, profile.to_yaml()?))
        });
        let mut kept = profiles.collect::<Result<Vec<_>, _>>()?;
        kept.extend([
            Input::new(InputKind::Space, self.space.name(), self.space.text()),
            Input::new(InputKind::Workload, &self.workload.name, self.workload.text()),
            Input::new(InputKind::Recipe, &self.recipe.name, &self.recipe_text),
        ]);
        if let Some((table, _)) = &self.quality_table {
            kept.push(Input::new(InputKind::QualityTable, InputKind::QualityTable.name(), table.text()));
        }
        Ok(kept)
    }

    /// Everything that decides the result, for the study.
    pub(crate) fn request(&self, options: &SearchOptions<'_>) -> Result<SearchRequest, WorkflowError> {
        let assumed: Vec<&str> = Assumption::ALL
            .into_iter()
            .filter(|assumption| self.space.assumes(*assumption))
            .map(Assumption::name)
            .collect();
        let extra_rows = self.quality_table.as_ref().map(|(_, extra)| extra);
        Ok(SearchRequest {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: self.kept()?,
            engine: self.engine.name().to_owned(),
            tokens: self.tokens,
            objectives: options.objectives.iter().map(|metric| metric.name().to_owned()).collect(),
            limits: options
                .limits
                .iter()
                .map(|(metric, limit)| Constraint { name: metric.name().to_owned(), limit: *limit })
                .collect(),
            seed: options.seed,
            sample: options.sample as u64,
            settings: format!(
                "assume {assumed:?}; portable {:?}; {:?}; anchors {:?}; {:?}; extra rows {extra_rows:?}; passes {:?}",
                self.space.portable(),
                self.engine_options,
                self.anchors,
                self.training,
                options.passes
            ),
        })
    }

    /// What prices the points on the first device.
    ///
    /// # Errors
    /// When the profile does not hold what the engine needs.
    pub fn cost(&self) -> Result<CostModel, CostError> {
        CostModel::for_engine(&self.profile, self.engine, self.engine_options)
    }
}

/// How it is searched.
pub struct SearchSettings<'a> {
    /// What is minimised; none: quality, TTFT, TPOT, memory, and energy where the profile has it.
    pub objectives: Option<Vec<Metric>>,
    /// What they are where there are several devices.
    pub devices: DeviceObjectives,
    /// Largest allowed values, on each device.
    pub limits: Vec<(Metric, f64)>,
    /// Seed of the sample of dominated points.
    pub seed: u64,
    /// Dominated points kept to draw the cloud.
    pub sample: usize,
    /// The distance to the exact front that each pass allows, falling; 0 is exact.
    pub passes: Vec<f64>,
    /// When to stop with what was found.
    pub deadline: Option<Instant>,
    /// Set from outside to stop with what was found.
    pub cancel: &'a AtomicBool,
    /// Told now and then how far it is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Told how far it is already, where it was begun before or another process is at work on it.
    pub taken_up: &'a dyn Fn(&TakenUp),
}

/// Searches, and keeps in `study`: what decides the result, with the inputs, and what was found: the front (also as
/// `front.json` and `front.csv`), a sample of the dominated points, the terms of the most telling points and public models
/// as reference marks.
///
/// A search of the very same request that was killed or stopped in the same study is taken up where it was; one that
/// another process is at work on is shared with it, and both return the same front.
///
/// # Errors
/// When the space cannot be priced, the study cannot be written, or the user stopped it before anything was found.
pub fn search_into_study(
    inputs: &SearchInputs,
    settings: &SearchSettings<'_>,
    study: &Study,
) -> Result<Front, WorkflowError> {
    let costs = inputs.costs()?;
    let limited = settings.limits.iter().map(|(metric, _)| metric);
    inputs.check_devices(&costs, settings.objectives.iter().flatten().chain(limited))?;
    let quality = inputs.quality()?;
    let evaluator = inputs.evaluator(&costs, &quality)?;
    let mut objectives =
        settings.objectives.clone().unwrap_or_else(|| evaluator.default_objectives(&inputs.space));
    if settings.devices == DeviceObjectives::Each {
        objectives = Metric::on_each_device(&objectives, costs.len(), &inputs.recipe)?;
    }
    if let Some((table, _)) = &inputs.quality_table {
        table.check_asked_for(&objectives, &settings.limits)?;
    }
    let evaluator = evaluator.asked_for(&objectives, &settings.limits);
    let options = SearchOptions {
        objectives,
        limits: settings.limits.clone(),
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        seed: settings.seed,
        sample: settings.sample,
        passes: settings.passes.clone(),
        deadline: settings.deadline,
        cancel: Some(settings.cancel),
        progress: Some(settings.progress),
    };
    let begun = study.begin_search(&inputs.request(&options)?)?;
    let profiles = inputs.profile_refs();
    let profile = profiles[0].clone();
    let (indices, complete, (mut front, cloud)) = if inputs.space.is_layered() {
        let outcome = search_layers(&inputs.space, &evaluator, &options, LayerOptions::default())?;
        let indices: Vec<Natural> = outcome.front.iter().map(|model| model.index.clone()).collect();
        let complete = outcome.unvisited.is_zero();
        (indices, complete, evaluator.front_of_layers(&inputs.space, outcome, &options, profile)?)
    } else {
        if !begun.resumed {
            let size = Natural::from(inputs.space.size());
            study.outline_search(begun.id, &SearchOutline { size, columns: evaluator.columns() })?;
        }
        let join = |units| study.join_search(begun.id, units, LEASE);
        let Some(outcome) =
            search_with_journal(&inputs.space, &evaluator, &options, join, settings.taken_up)?
        else {
            return finished_by_another(study, begun.id);
        };
        let indices = outcome.front.iter().map(|found| Natural::from(found.index)).collect();
        // One that was stopped before its last pass was whole can be taken up again.
        let complete = outcome.epsilon == settings.passes.last().copied();
        (indices, complete, evaluator.front(&inputs.space, &outcome, &options, profile)?)
    };
    if settings.cancel.load(Ordering::Relaxed) && front.points.is_empty() {
        return Err(WorkflowError::Interrupted);
    }
    if profiles.len() > 1 {
        front.head.profiles = profiles;
    }
    if settings.objectives.is_none() {
        front.head.warnings.extend(inputs.no_energy(&costs));
    }
    for (cost, profile) in costs.iter().zip(inputs.profiles()) {
        for warning in engine_warnings(cost, profile) {
            if !front.head.warnings.contains(&warning) {
                front.head.warnings.push(warning);
            }
        }
    }
    front.head.warnings.extend(assumption_warnings(&front, inputs));
    let in_force = Assumption::ALL.into_iter().filter(|assumption| inputs.space.assumes(*assumption));
    front.head.assume = in_force.map(|assumption| assumption.name().to_owned()).collect();
    if let Some(found) = &inputs.candidates {
        let costs = options.objectives.iter().filter(|metric| !metric.is_quality() && !metric.is_training());
        let ranking = RankingOptions {
            weights: inputs.space.weights(),
            kv: inputs.space.kv(),
            limits: &settings.limits,
            costs: costs.copied().collect(),
            tokens: Some(inputs.tokens),
        };
        let competitors = Competitors { points: &front.points, objectives: &options.objectives };
        front.head.existing = rank(found, &evaluator.appraiser(), &ranking, Some(&competitors))?;
    }
    if let Some((table, _)) = &inputs.quality_table {
        front.head.quality_table = Some(table.record(evaluator.measured_table()));
        front.head.warnings.extend(table.warnings(evaluator.measured_table()));
    }
    front.head.study = Some(study.folder().display().to_string());
    let findings = Findings {
        front: &front,
        complete,
        indices: &indices,
        cloud: &cloud,
        explanations: &explain(&front, &costs[0], &evaluator, &inputs.workload)?,
        references: &references(&front, &evaluator, inputs.candidates.as_ref()),
    };
    if study.finish_search(begun.id, &findings)? { Ok(front) } else { finished_by_another(study, begun.id) }
}

/// The front that another process kept of a search.
fn finished_by_another(study: &Study, search: SearchId) -> Result<Front, WorkflowError> {
    Ok(study.front_of(search)?.expect("a search that is finished has a front"))
}

/// What each assumption in force does, with its interval and its source.
pub(crate) fn assumption_warnings(front: &Front, inputs: &SearchInputs) -> Vec<Warning> {
    let flagged = |assumption: Assumption| {
        let flag = format!("assumed-{}", assumption.name());
        front.points.iter().any(|point| point.flags.contains(&flag))
    };
    let in_force = Assumption::ALL.into_iter().filter(|assumption| inputs.space.assumes(*assumption));
    in_force
        .filter_map(|assumption| {
            let (name, footing) = (assumption.name(), inputs.recipe.footing(assumption)?);
            if !inputs.space.lists(assumption) && !flagged(assumption) {
                let message = format!(
                    "`--assume {name}` changes nothing: the space lists no values for it, and no point of the front rests on it"
                );
                return Some(Warning::new("assumption-unused", message));
            }
            let message = format!("`--assume {name}`: {}; source: {}", footing.effect, footing.source);
            Some(Warning::new(&format!("assumption-{name}"), message))
        })
        .collect()
}

/// What the reader of a front must know that was priced for another runtime.
pub(crate) fn engine_warnings(cost: &CostModel, profile: &HardwareProfile) -> Vec<Warning> {
    let Some(citation) = cost.citation() else { return Vec::new() };
    let kind = if profile.is_measured() { "measured" } else { "published" };
    let mut warnings = vec![Warning::new(
        "engine-modelled",
        format!(
            "times are those of {} on the {kind} bandwidth of {}: {citation}; memory is weights, cache and slimfit's own scratch, the engine's buffers may take more",
            cost.engine(),
            profile.name
        ),
    )];
    warnings.push(if cost.has_prefill() {
        Warning::new("class-prefill", "prefill is a class figure: it may be 3 times longer or shorter")
    } else {
        Warning::new("prefill-unavailable", format!("`ttft_seconds` is no objective: {PREFILL_UNAVAILABLE}"))
    });
    warnings
}

/// Where the time of the most telling points goes, on the first device.
pub(crate) fn explain(
    front: &Front,
    cost: &CostModel,
    evaluator: &ModelEvaluator<'_>,
    workload: &Workload,
) -> Result<Vec<Explanation>, WorkflowError> {
    let mut explanations = Vec::new();
    for place in shortlist(front, EXPLAINED) {
        let point = &front.points[place];
        let run = workload.run_shape(evaluator.law(), point.architecture.vocabulary_size);
        let plan = cost.plan(&point.architecture, point.weights, point.kv, point.threads, run)?;
        let phases = [Phase::Decode, Phase::Prefill].into_iter();
        for phase in phases.filter(|phase| cost.has_prefill() || *phase == Phase::Decode) {
            explanations.push(cost.explain(&point.id, phase, &plan, run, point.threads)?);
        }
    }
    Ok(explanations)
}

/// Public models of similar size, and all files of the user's, priced on the same device with the front's most usual weight
/// format.
fn references(
    front: &Front,
    evaluator: &ModelEvaluator<'_>,
    candidates: Option<&ExistingModels>,
) -> Vec<ReferenceModel> {
    let sizes = front.points.iter().map(|point| point.parameters.total as f64);
    let (least, most) =
        sizes.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), size| (least.min(size), most.max(size)));
    let (weights, kv) = usual_formats(&front.points);
    let mut similar: Vec<_> = builtin::models()
        .iter()
        .map(|model| (model, model.architecture.parameters().total as f64))
        .filter(|(_, size)| *size >= least / SIMILAR && *size <= most * SIMILAR)
        .collect();
    similar.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let public = similar.into_iter().map(|(model, _)| Candidate {
        name: &model.name,
        architecture: &model.architecture,
        training_tokens: model.tokens.map(|tokens| tokens as f64),
        scores: scores(model),
    });
    // A model that our kernels cannot run, or whose rows fit no whole block, is no mark.
    let mark = |candidate: Candidate<'_>| evaluator.reference_model(&candidate, weights, kv).ok();
    let files = candidates.into_iter().flat_map(|found| &found.models).filter(|model| model.path.is_some());
    let files = files.map(|model| Candidate {
        name: &model.name,
        architecture: &model.architecture,
        training_tokens: model.tokens.map(|tokens| tokens as f64),
        scores: model.scores.clone(),
    });
    public.filter_map(mark).take(MOST_REFERENCES).chain(files.filter_map(mark)).collect()
}

fn usual_formats(points: &[FrontPoint]) -> (NumberFormat, NumberFormat) {
    let mut counts: Vec<((NumberFormat, NumberFormat), usize)> = Vec::new();
    for point in points {
        let formats = (point.weights, point.kv);
        match counts.iter_mut().find(|(known, _)| *known == formats) {
            Some((_, count)) => *count += 1,
            None => counts.push((formats, 1)),
        }
    }
    let usual = counts.into_iter().max_by_key(|(_, count)| *count);
    usual.map_or((NumberFormat::Q8_0, NumberFormat::F16), |(formats, _)| formats)
}
