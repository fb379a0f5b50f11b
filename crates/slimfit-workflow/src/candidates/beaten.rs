//! What is at least as good as a candidate in everything: points of the front, and other candidates.
//!
//! Costs are compared per byte of text, since vocabularies differ. Quality is compared by the score that ranks, published or
//! predicted in one setting; where published scores are of another setting than the recipe's, by them where both have one, else
//! by the predicted loss, whose noise then holds what makers' recipes differ by.

use super::rank::{Basis, Competitors, Contender, RankingOptions};
use slimfit_quality::{Recipe, Z90};
use slimfit_quantity::{Figure, Source};
use slimfit_search::{Appraiser, Comparison, Metric, Standing};
use slimfit_study::{Dominator, DominatorKind, FrontPoint, Interval, PublishedScore};

/// Where contenders meet.
pub(super) struct Pit<'a> {
    pub(super) basis: &'a Basis,
    pub(super) appraiser: &'a Appraiser<'a>,
    pub(super) options: &'a RankingOptions<'a>,
    /// Of the competitors' points, costs per byte of text.
    pub(super) standings_of_points: &'a [Vec<Standing>],
}

/// What points reach in the objectives of their front, costs per byte of text.
pub(super) fn standings_of_points(
    competitors: Option<&Competitors<'_>>,
    appraiser: &Appraiser<'_>,
) -> Vec<Vec<Standing>> {
    let Some(competitors) = competitors else { return Vec::new() };
    let points = competitors.points.iter().map(|point| {
        let bytes = appraiser.bytes_per_token(point.architecture.vocabulary_size);
        let standings = competitors.objectives.iter().filter_map(|metric| Standing::of_point(point, *metric));
        standings.map(|standing| per_byte(standing, bytes)).collect()
    });
    points.collect()
}

impl Pit<'_> {
    /// The clearest of each kind of what dominates the contender at `place`, and how many there are.
    pub(super) fn dominators(
        &self,
        contenders: &[Contender],
        place: usize,
        competitors: Option<&Competitors<'_>>,
    ) -> Vec<Dominator> {
        let model = &contenders[place];
        let points = competitors.and_then(|competitors| self.points(competitors, model));
        self.candidates(contenders, place, model).into_iter().chain(points).collect()
    }

    fn candidates(&self, contenders: &[Contender], place: usize, model: &Contender) -> Option<Dominator> {
        let others = contenders.iter().enumerate().filter(|(other, _)| *other != place);
        let mut best: Option<(f64, Dominator)> = None;
        let mut count = 0;
        for (_, other) in others {
            // Any of its formats may do; the one by most stands for them.
            let in_formats = (0..other.priced.len()).filter_map(|format| {
                let (comparison, quality) = self.of_candidates(model, other, format)?;
                comparison
                    .is_dominated()
                    .then(|| (comparison.margin(), format, comparison.is_tied(), quality))
            });
            let Some((margin, format, tied, quality)) = in_formats.max_by(|a, b| a.0.total_cmp(&b.0)) else {
                continue;
            };
            count += 1;
            if best.as_ref().is_none_or(|(known, _)| margin > *known) {
                let priced = &other.priced[format];
                let dominator = Dominator {
                    kind: DominatorKind::Candidate,
                    name: other.model.name.clone(),
                    id: other.model.architecture.id(priced.weights, priced.kv),
                    weights: priced.weights,
                    quality,
                    tied,
                    count: 0,
                };
                best = Some((margin, dominator));
            }
        }
        best.map(|(_, dominator)| Dominator { count, ..dominator })
    }

    fn of_candidates(
        &self,
        model: &Contender,
        other: &Contender,
        format: usize,
    ) -> Option<(Comparison, String)> {
        let recipe = self.appraiser.recipe();
        let common = common_score(&model.model.scores, &other.model.scores);
        let (ours, theirs, words) = match (self.basis, common) {
            (Basis::Score { metric, setting, .. }, _) => {
                let (ours, theirs) =
                    (self.basis.figure(model, 0, recipe), self.basis.figure(other, format, recipe));
                let kind =
                    if is_published(&ours) && is_published(&theirs) { "published" } else { "predicted" };
                let words = format!("{kind} {} ({setting})", metric.name());
                (ranked(*metric, &ours)?, ranked(*metric, &theirs)?, words)
            }
            (Basis::Loss, Some((ours, theirs))) => {
                // A published score is of unquantised weights: a coarser format cannot be said to be no worse.
                if other.priced[format].format_nats > model.priced[0].format_nats + 1e-12 {
                    return None;
                }
                let metric = Metric::named(&format!("score_{}", ours.task), recipe)?;
                let words =
                    format!("published {} ({})", metric.name(), ours.setting.as_deref().unwrap_or_default());
                (published(metric, ours, recipe)?, published(metric, theirs, recipe)?, words)
            }
            (Basis::Loss, None) => {
                let (ours, theirs) = (model.loss(0, Metric::Loss)?, other.loss(format, Metric::Loss)?);
                (ours, theirs, "predicted loss".to_owned())
            }
        };
        let (ours, theirs) = (self.standings(model, 0, ours), self.standings(other, format, theirs));
        Some((Comparison::new(&ours, &theirs, self.irreducible(), 1.0), words))
    }

    fn irreducible(&self) -> f64 {
        self.appraiser.recipe().loss.irreducible.value
    }

    fn standings(&self, model: &Contender, format: usize, quality: Standing) -> Vec<Standing> {
        let bytes = self.appraiser.bytes_per_token(model.model.architecture.vocabulary_size);
        let costs = self.options.costs.iter();
        costs
            .filter_map(|metric| Some(per_byte(model.cost(format, *metric)?, bytes)))
            .chain([quality])
            .collect()
    }

    fn points(&self, competitors: &Competitors<'_>, model: &Contender) -> Option<Dominator> {
        let objectives = competitors.objectives;
        let quality: Vec<Metric> = objectives.iter().copied().filter(|metric| metric.is_quality()).collect();
        if quality.is_empty() {
            return None;
        }
        let bytes = self.appraiser.bytes_per_token(model.model.architecture.vocabulary_size);
        let mut ours = Vec::new();
        for metric in objectives.iter().filter(|metric| !metric.is_training()) {
            let standing = if metric.is_quality() {
                model.loss(0, *metric)?
            } else {
                per_byte(model.cost(0, *metric)?, bytes)
            };
            ours.push(standing);
        }
        let per_byte_of_text = self.appraiser.recipe_bytes_per_token();
        let mut best: Option<(f64, &FrontPoint, bool)> = None;
        let mut count = 0;
        for (point, theirs) in competitors.points.iter().zip(self.standings_of_points) {
            let comparison = Comparison::new(&ours, theirs, self.irreducible(), per_byte_of_text);
            if comparison.differences.len() < ours.len() || !comparison.is_dominated() {
                continue;
            }
            count += 1;
            let margin = comparison.margin();
            if best.is_none_or(|(known, ..)| margin > known) {
                best = Some((margin, point, comparison.is_tied()));
            }
        }
        let (_, point, tied) = best?;
        let names: Vec<&str> = quality.iter().map(|metric| metric.name()).collect();
        Some(Dominator {
            kind: DominatorKind::Point,
            name: point.id.clone(),
            id: point.id.clone(),
            weights: point.weights,
            quality: format!("predicted {}", names.join(", ")),
            tied,
            count,
        })
    }
}

/// Costs of a token, as costs of a byte of text.
pub(crate) fn per_byte(standing: Standing, bytes_per_token: f64) -> Standing {
    let metric = standing.metric;
    match metric.quantity() {
        Metric::TpotSeconds if metric.device().is_none() => {
            standing.per_byte(Metric::SecondsPerByte, bytes_per_token)
        }
        Metric::TpotSeconds | Metric::TpotP95Seconds | Metric::JoulesPerToken => {
            standing.per_byte(metric, bytes_per_token)
        }
        _ => standing,
    }
}

/// A score of each that was measured alike.
fn common_score<'a>(
    ours: &'a [PublishedScore],
    theirs: &'a [PublishedScore],
) -> Option<(&'a PublishedScore, &'a PublishedScore)> {
    ours.iter().find_map(|our| {
        our.setting.as_ref()?;
        Some((our, theirs.iter().find(|their| their.task == our.task && their.setting == our.setting)?))
    })
}

/// Whether a figure was published, its format aside.
fn is_published(figure: &Figure) -> bool {
    figure.source == Source::Published || figure.citation.is_some()
}

/// What ranks, with its interval.
fn ranked(metric: Metric, figure: &Figure) -> Option<Standing> {
    let interval = Interval { low: figure.low?, high: figure.high? };
    Some(Standing::new(metric, figure.value?, Some(interval), None))
}

/// A published score with the sampling error of its benchmark.
fn published(metric: Metric, score: &PublishedScore, recipe: &Recipe) -> Option<Standing> {
    let evaluation = recipe.scores.tasks.get(&score.task)?.evaluation;
    let half = Z90 * evaluation;
    let interval = Interval { low: score.percent - half, high: score.percent + half };
    Some(Standing::new(metric, score.percent, Some(interval), None))
}
