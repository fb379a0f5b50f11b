//! Existing models in order: the best that keeps every limit first.

use super::beaten::{Pit, standings_of_points};
use super::format::{Priced, price};
use super::{ExistingModel, ExistingModels};
use crate::WorkflowError;
use slimfit_document::DocumentError;
use slimfit_quality::{Recipe, ScoreCurve, Z90};
use slimfit_quantity::{Figure, NumberFormat, Predicted, Source};
use slimfit_search::{Appraiser, Metric, Standing};
use slimfit_study::{
    CandidateModel, CandidateTraining, Candidates, FrontPoint, Interval, ParameterCounts, PricedFormat,
    PublishedScore, RankedBy, SkippedCandidate,
};
use std::cmp::Ordering;

/// What existing models are ranked for.
#[derive(Debug, Clone)]
pub struct RankingOptions<'a> {
    /// Weight formats that models may run in, files of their own aside.
    pub weights: &'a [NumberFormat],
    /// KV formats.
    pub kv: &'a [NumberFormat],
    /// Limits to keep.
    pub limits: &'a [(Metric, f64)],
    /// Costs that count when one model is compared with another.
    pub costs: Vec<Metric>,
    /// Training tokens of models whose own are not known; none: their quality is not predicted.
    pub tokens: Option<u64>,
}

/// Points of a search that candidates are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Competitors<'a> {
    /// The front.
    pub points: &'a [FrontPoint],
    /// Its objectives.
    pub objectives: &'a [Metric],
}

/// A model with its prices.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) model: ExistingModel,
    /// The recommended format first.
    pub(super) priced: Vec<Priced>,
}

/// Prices and ranks models that exist.
///
/// # Errors
/// When none of them can be priced on this device.
pub fn rank(
    found: &ExistingModels,
    appraiser: &Appraiser<'_>,
    options: &RankingOptions<'_>,
    competitors: Option<&Competitors<'_>>,
) -> Result<Candidates, WorkflowError> {
    let mut skipped = found.skipped.clone();
    let mut contenders = Vec::new();
    for (model, priced) in found.models.iter().zip(price_all(&found.models, appraiser, options)) {
        match priced {
            Ok(priced) => contenders.push(Contender { model: model.clone(), priced }),
            Err(error) => {
                let candidate = model.path.clone().unwrap_or_else(|| model.name.clone());
                skipped.push(SkippedCandidate { candidate, reason: error.to_string().replace('\n', "; ") });
            }
        }
    }
    if contenders.is_empty() {
        let error = DocumentError::new("no-models", "none of the models can be priced on this device");
        let reasons = skipped.iter().map(|skipped| format!("`{}`: {}", skipped.candidate, skipped.reason));
        return Err(error.found(reasons.collect::<Vec<_>>().join("; ")).into());
    }
    let basis = Basis::of(&contenders, appraiser.recipe());
    let standings = standings_of_points(competitors, appraiser);
    let pit = Pit { basis: &basis, appraiser, options, standings_of_points: &standings };
    let mut ranked: Vec<(CandidateModel, bool, f64)> = (0..contenders.len())
        .map(|place| {
            let mut record = contenders[place].record(&basis, appraiser, options);
            record.dominated_by = pit.dominators(&contenders, place, competitors);
            let first = &contenders[place].priced[0];
            (record, first.keeps_limits(), first.worst_excess())
        })
        .collect();
    ranked.sort_by(|a, b| {
        // What keeps the limits, then what nobody can check, then the nearest miss.
        b.1.cmp(&a.1).then(a.2.total_cmp(&b.2)).then_with(|| basis.order(&a.0, &b.0))
    });
    Ok(Candidates {
        candidates: ranked.into_iter().map(|(record, ..)| record).collect(),
        candidates_ranked_by: Some(basis.record(appraiser.recipe())),
        candidates_skipped: skipped,
    })
}

type PricedModel = Result<Vec<Priced>, WorkflowError>;

/// Prices models on all cores.
fn price_all(
    models: &[ExistingModel],
    appraiser: &Appraiser<'_>,
    options: &RankingOptions<'_>,
) -> Vec<PricedModel> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = models.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = models
            .chunks(share)
            .map(|part| {
                scope.spawn(move || -> Vec<PricedModel> {
                    part.iter().map(|model| price(model, appraiser, options)).collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// What quality means in a ranking.
pub(super) enum Basis {
    /// A task whose published scores are of the setting that the recipe predicts.
    Score { metric: Metric, task: String, setting: String },
    /// The predicted loss, where there is no such task.
    Loss,
}

impl Basis {
    /// A task that was published of some contender; else HellaSwag, which most know, where the recipe names its setting.
    fn of(contenders: &[Contender], recipe: &Recipe) -> Self {
        let basis = |task: &str| -> Option<Self> {
            let metric = Metric::named(&format!("score_{task}"), recipe)?;
            let setting = recipe.scores.settings.get(task)?.clone();
            Some(Self::Score { metric, task: task.to_owned(), setting })
        };
        let is_published = |task: &&String| {
            let metric = Metric::named(&format!("score_{task}"), recipe);
            metric.is_some_and(|metric| {
                contenders.iter().any(|contender| contender.model.published(metric, recipe).is_some())
            })
        };
        let published = recipe.scores.settings.keys().find(is_published);
        basis(published.map_or("hellaswag", String::as_str)).unwrap_or(Self::Loss)
    }

    fn record(&self, recipe: &Recipe) -> RankedBy {
        let (name, setting) = match self {
            Self::Score { metric, setting, .. } => (metric.name(), Some(setting.clone())),
            Self::Loss => (Metric::Loss.name(), None),
        };
        RankedBy { name: name.to_owned(), setting, recipe: recipe.name.clone() }
    }

    /// The better first; of those whose quality nobody knows the larger.
    fn order(&self, a: &CandidateModel, b: &CandidateModel) -> Ordering {
        let known = |model: &CandidateModel| model.quality.value;
        let by_quality = match (known(a), known(b)) {
            (Some(a), Some(b)) if matches!(self, Self::Loss) => a.total_cmp(&b),
            (Some(a), Some(b)) => b.total_cmp(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_quality.then(b.parameters.active.cmp(&a.parameters.active)).then_with(|| a.name.cmp(&b.name))
    }

    /// The quality of a contender in one of its formats.
    pub(super) fn figure(&self, contender: &Contender, format: usize, recipe: &Recipe) -> Figure {
        let priced = &contender.priced[format];
        match self {
            Self::Score { metric, task, .. } => {
                if let Some(score) = contender.model.published(*metric, recipe) {
                    return of_published(score, priced, &recipe.scores.tasks[task]);
                }
                let predicted = priced.appraisal.metric(*metric);
                predicted.map_or_else(|| contender.no_quality(), |score| score.figure())
            }
            Self::Loss => contender.loss_figure(format),
        }
    }
}

/// The published score, less what the format takes from it.
fn of_published(score: &PublishedScore, priced: &Priced, curve: &ScoreCurve) -> Figure {
    let half = Z90 * curve.evaluation;
    let above_chance = score.percent / 100.0 > curve.chance + 1e-3;
    if priced.format_nats <= 0.0 || !above_chance {
        return Figure::published(score.percent, score.percent - half, score.percent + half, &score.source);
    }
    let value = curve.percent(curve.nats(score.percent) + priced.format_nats);
    let loss = score.percent - value;
    let citation = format!(
        "published {} %, less {loss:.2} points that {} is predicted to cost: {}",
        score.percent, priced.weights, score.source
    );
    Figure {
        value: Some(value),
        low: Some(value - half - loss),
        high: Some(score.percent + half),
        n: 0,
        source: Source::Modelled,
        reason: None,
        citation: Some(citation),
    }
}

impl ExistingModel {
    /// Its published score in the setting that the recipe predicts.
    pub(super) fn published(&self, metric: Metric, recipe: &Recipe) -> Option<&PublishedScore> {
        let Metric::Score(task) = metric else { return None };
        let setting = recipe.scores.settings.get(task.name())?;
        self.scores.iter().find(|score| score.task == task.name() && score.setting.as_ref() == Some(setting))
    }
}

impl Contender {
    /// A cost in one of its formats.
    pub(super) fn cost(&self, format: usize, metric: Metric) -> Option<Standing> {
        let found = self.priced[format].appraisal.metric(metric)?;
        let interval = Interval { low: found.low, high: found.high };
        Some(Standing::new(metric, found.value, Some(interval), None))
    }

    /// A predicted quality in one of its formats, beside models of other makers.
    pub(super) fn loss(&self, format: usize, metric: Metric) -> Option<Standing> {
        let appraisal = &self.priced[format].appraisal;
        let found = appraisal.metric(metric)?;
        let wide = appraisal.loss_noise_across_recipes()?;
        let half = match metric {
            Metric::Loss => wide,
            Metric::LossPerByte => wide * found.value / appraisal.metric(Metric::Loss)?.value,
            // Scores hold what recipes differ by.
            _ => (found.high - found.low) / 2.0,
        };
        let interval = Interval { low: found.value - half, high: found.value + half };
        Some(Standing::new(metric, found.value, Some(interval), None))
    }

    fn loss_figure(&self, format: usize) -> Figure {
        let appraisal = &self.priced[format].appraisal;
        match (appraisal.metric(Metric::Loss), appraisal.loss_noise_across_recipes()) {
            (Some(loss), Some(half)) => {
                Predicted { value: loss.value, low: loss.value - half, high: loss.value + half }.figure()
            }
            _ => self.no_quality(),
        }
    }

    fn no_quality(&self) -> Figure {
        if let Some(stored) = self.model.stored.as_ref().filter(|stored| stored.judged.is_none()) {
            return Figure::unavailable(format!(
                "nothing is known of the loss of weights in {}",
                stored.stored_as
            ));
        }
        match self.priced[0].appraisal.refusal() {
            Some(error) => Figure::unavailable(error.to_string()),
            None => Figure::unavailable("how long it was trained is not known"),
        }
    }

    fn record(
        &self,
        basis: &Basis,
        appraiser: &Appraiser<'_>,
        options: &RankingOptions<'_>,
    ) -> CandidateModel {
        let ExistingModel { name, origin, path, family, architecture, context, tokens, scores, .. } =
            &self.model;
        let counts = architecture.parameters();
        let first = &self.priced[0];
        let mut flags = first.appraisal.flags();
        if self.model.is_variant {
            flags.push("variant".to_owned());
        }
        if tokens.is_none() && options.tokens.is_some() {
            flags.push("training-assumed".to_owned());
        }
        if self.model.stored.as_ref().is_some_and(super::StoredWeights::is_converted) {
            flags.push("converted".to_owned());
        }
        let needed = appraiser.context_tokens(architecture.vocabulary_size);
        if context.is_some_and(|context| context < needed) {
            flags.push("short-context".to_owned());
        }
        let published = tokens.map(|tokens| CandidateTraining { tokens, assumed: false });
        let assumed = options.tokens.map(|tokens| CandidateTraining { tokens, assumed: true });
        CandidateModel {
            name: name.clone(),
            origin: *origin,
            path: path.clone(),
            family: family.clone(),
            parameters: ParameterCounts {
                total: counts.total,
                non_embedding: counts.non_embedding,
                embedding: counts.embedding,
                active: counts.active,
            },
            training: published.or(assumed),
            context: *context,
            scores: scores.clone(),
            quality: basis.figure(self, 0, appraiser.recipe()),
            keeps_limits: first.keeps_limits(),
            stored_as: self.model.stored.as_ref().map(|stored| stored.stored_as.clone()),
            formats: self.priced.iter().map(|priced| self.format(priced, appraiser)).collect(),
            dominated_by: Vec::new(),
            flags,
        }
    }

    fn format(&self, priced: &Priced, appraiser: &Appraiser<'_>) -> PricedFormat {
        let metrics = Metric::FIXED.into_iter().chain(Metric::scores(appraiser.recipe()));
        let found: Vec<_> = metrics
            .filter(|metric| !metric.is_training())
            .filter_map(|metric| Some((metric.name().to_owned(), priced.appraisal.metric(metric)?)))
            .collect();
        PricedFormat {
            id: self.model.architecture.id(priced.weights, priced.kv),
            weights: priced.weights,
            kv: priced.kv,
            as_stored: priced.as_stored,
            threads: priced.appraisal.threads(),
            loss_nats: priced.format_nats,
            objectives: found.iter().map(|(name, found)| (name.clone(), found.value)).collect(),
            intervals: found
                .iter()
                .map(|(name, found)| (name.clone(), Interval { low: found.low, high: found.high }))
                .collect(),
            breaks: priced.breaks.clone(),
        }
    }
}
