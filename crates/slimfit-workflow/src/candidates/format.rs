//! In which formats a model is worth running: priced in each, and what is better in nothing left out.

use super::ExistingModel;
use super::rank::RankingOptions;
use crate::WorkflowError;
use slimfit_plan::WeightFormats;
use slimfit_quantity::{NumberFormat, Predicted};
use slimfit_search::{Appraisal, Appraiser, Metric, ModelFormats, SearchError};
use slimfit_study::BrokenLimit;

/// A coarser format that adds less than this to the loss, nats, is taken for free: about a point of HellaSwag where that is
/// steepest, twice the benchmark's own sampling error.
const FREE_NATS: f64 = 0.01;

/// A model in one pair of formats.
#[derive(Debug)]
pub(super) struct Priced {
    pub(super) weights: NumberFormat,
    pub(super) kv: NumberFormat,
    pub(super) as_stored: bool,
    pub(super) appraisal: Appraisal,
    /// What the formats add to the loss, nats.
    pub(super) format_nats: f64,
    pub(super) breaks: Vec<BrokenLimit>,
    /// Limits that cannot be checked: nothing tells its quality.
    pub(super) unchecked: bool,
}

impl Priced {
    pub(super) fn keeps_limits(&self) -> bool {
        self.breaks.is_empty() && !self.unchecked
    }

    /// How far it lies beyond the limit that it breaks worst, as a logarithm.
    pub(super) fn worst_excess(&self) -> f64 {
        self.breaks.iter().map(|broken| (broken.value / broken.limit).ln().abs()).fold(0.0, f64::max)
    }

    fn costs(&self, metrics: &[Metric]) -> Vec<f64> {
        let value = |metric: &Metric| {
            self.appraisal.metric(*metric).map_or(f64::INFINITY, |predicted| predicted.value)
        };
        metrics.iter().map(value).collect()
    }
}

/// Prices a model in every pair of formats that fits it, the recommended one first. Its own file's where that is a GGUF.
///
/// # Errors
/// Why it fits none.
pub(super) fn price(
    model: &ExistingModel,
    appraiser: &Appraiser<'_>,
    options: &RankingOptions<'_>,
) -> Result<Vec<Priced>, WorkflowError> {
    let plain = WeightFormats::default();
    let mut priced = Vec::new();
    let mut refused: Option<SearchError> = None;
    let own = model.stored.as_ref().map(|stored| vec![stored.weights]);
    let offered = own.as_deref().unwrap_or(options.weights);
    for &weights in offered {
        for &kv in options.kv {
            let stored = model.stored.as_ref();
            let formats = ModelFormats {
                weights,
                others: stored.map_or(&plain, |stored| &stored.others),
                judged: stored.and_then(|stored| stored.judged),
                kv,
                file_bytes: stored.map(|stored| stored.file_bytes),
            };
            let unjudged = stored.is_some_and(|stored| stored.judged.is_none());
            let tokens = if unjudged { None } else { model.tokens.or(options.tokens) };
            match appraiser.appraise(&model.architecture, formats, tokens) {
                Ok(appraisal) => priced.push(priced_in(model, appraiser, options, formats, appraisal)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
    }
    if priced.is_empty() {
        return Err(refused.map_or_else(
            || WorkflowError::NothingToRun {
                space: model.name.clone(),
                reason: "no format is offered".to_owned(),
            },
            WorkflowError::from,
        ));
    }
    Ok(ordered(priced, &options.costs))
}

fn priced_in(
    model: &ExistingModel,
    appraiser: &Appraiser<'_>,
    options: &RankingOptions<'_>,
    formats: ModelFormats<'_>,
    appraisal: Appraisal,
) -> Priced {
    let ModelFormats { weights, judged, kv, .. } = formats;
    let known = appraiser.recipe().corrections.weight_formats.get(&judged.unwrap_or(weights));
    let format_nats = appraisal.format_nats().or_else(|| Some(known?.value)).unwrap_or_default();
    let mut breaks = Vec::new();
    let mut unchecked = false;
    // A model that exists needs no training.
    for (metric, limit) in options.limits.iter().filter(|(metric, _)| !metric.is_training()) {
        let published = model.published(*metric, appraiser.recipe()).map(|score| score.percent);
        let predicted = appraisal.metric(*metric).map(|predicted: Predicted| predicted.value);
        match published.or(predicted) {
            Some(value) if metric.keeps(value, *limit) => {}
            Some(value) => {
                breaks.push(BrokenLimit { name: metric.name().to_owned(), limit: *limit, value });
            }
            None => unchecked = true,
        }
    }
    let as_stored = model.stored.is_some();
    Priced { weights, kv, as_stored, appraisal, format_nats, breaks, unchecked }
}

/// What is better than all others in something: the recommended first, then the fastest.
fn ordered(mut priced: Vec<Priced>, costs: &[Metric]) -> Vec<Priced> {
    let values: Vec<Vec<f64>> = priced
        .iter()
        .map(|one| {
            let mut values = one.costs(costs);
            values.push(one.format_nats);
            values
        })
        .collect();
    let beaten = |place: usize| {
        values.iter().enumerate().any(|(other, better)| {
            slimfit_search::dominates(better, &values[place]) || (better == &values[place] && other < place)
        })
    };
    let mut place = 0;
    let kept: Vec<bool> = (0..priced.len()).map(|place| !beaten(place)).collect();
    priced.retain(|_| {
        place += 1;
        kept[place - 1]
    });
    let seconds = |one: &Priced| one.costs(&[Metric::TpotSeconds])[0];
    priced.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)).then(a.format_nats.total_cmp(&b.format_nats)));
    if let Some(best) = recommended(&priced) {
        priced[..=best].rotate_right(1);
    }
    priced
}

/// The fastest of those whose loss is within [`FREE_NATS`] of the best; only those that keep the limits count, where any does.
/// `priced` is ordered by speed.
fn recommended(priced: &[Priced]) -> Option<usize> {
    let any = priced.iter().any(Priced::keeps_limits);
    let counts = |one: &Priced| !any || one.keeps_limits();
    if !any {
        // What comes nearest to the limits.
        let nearest = |place: &usize| priced[*place].worst_excess();
        if priced.iter().any(|one| !one.breaks.is_empty()) {
            return (0..priced.len()).min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
        }
    }
    let least =
        priced.iter().filter(|one| counts(one)).map(|one| one.format_nats).fold(f64::INFINITY, f64::min);
    priced.iter().position(|one| counts(one) && one.format_nats <= least + FREE_NATS)
}
