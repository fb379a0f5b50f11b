//! Why a model is not on the front of a study.
//!
//! The model is priced with the study's own profile, workload and recipe, in each pair of formats that is asked for; the pair in
//! which it does best answers.

mod asked;
mod inputs;

pub use asked::AskedFormats;

use crate::WorkflowError;
use crate::candidates::per_byte;
use asked::{Asked, find};
use inputs::StudyInputs;
use slimfit_document::DocumentError;
use slimfit_plan::WeightFormats;
use slimfit_quality::Assumption;
use slimfit_quantity::NumberFormat;
use slimfit_search::{Appraisal, Appraiser, Comparison, Metric, ModelFormats, SearchError, Standing};
use slimfit_study::{
    AskedModel, Better, Excess, Front, FrontPoint, Interval, IntervalOf, ObjectiveDifference, Opponent,
    OutsideSpace, ParameterCounts, Study, Verdict, Why,
};

/// Points shown of each kind.
const SHOWN: usize = 3;

/// Says which points of the study's front dominate `reference` and by how much, which limit it breaks, or what it would push
/// out. `reference`: a model as every command takes it, or the id of a point of the study.
///
/// # Errors
/// A study without a front or of inputs that cannot be read, a model that cannot be found or priced, and an unknown training
/// length where it was asked for.
pub fn why(study: &Study, reference: &str, formats: &AskedFormats) -> Result<Why, WorkflowError> {
    let front = study.front()?.ok_or_else(|| {
        let error = DocumentError::new("no-front", "the study holds no front");
        error.file(study.folder().display().to_string()).hint("`slimfit search --out DIR` makes one")
    })?;
    if let Some(measured) = &front.head.measured_search {
        let message = "what is predicted of a model does not compare with a front of measured points";
        let error = DocumentError::new("measured-front", message).file(study.folder().display().to_string());
        let error = error.field("objectives").found(format!("measured {}", measured.measures.join(", ")));
        return Err(error
            .hint("a search without `--evaluator`, into another folder, gives a front to compare with")
            .into());
    }
    let inputs = StudyInputs::read(study, &front)?;
    let asked = find(study, &front, reference)?;
    let (tokens, as_trained) = match (formats.as_trained, asked.tokens) {
        (false, _) => (front.head.recipe.tokens, false),
        (true, Some(tokens)) => (tokens, true),
        (true, None) => {
            let error = DocumentError::new("no-training", "how long the model was trained is not known");
            let error = error.field("--as-trained").found(format!("`{reference}`"));
            return Err(error.hint("without it, the model counts as trained like the study's points").into());
        }
    };
    let (costs, quality) = (inputs.costs()?, inputs.quality()?);
    let appraiser = Appraiser::of_devices(&costs, &quality, &inputs.workload).trained_on(inputs.training);
    let objectives = inputs.objectives(&front)?;
    let judge =
        Judge { front: &front, inputs: &inputs, appraiser: &appraiser, objectives, tokens, as_trained };
    let weights = formats.weights(&asked, inputs.space.weights());
    let kv = formats.kv(&asked, inputs.space.kv());
    let mut best: Option<Case> = None;
    let mut refused: Option<SearchError> = None;
    let mut tried = 0;
    for &weights in &weights {
        for &kv in &kv {
            match judge.case(&asked, weights, kv) {
                Ok(case) => {
                    tried += 1;
                    if best.as_ref().is_none_or(|best| case.does_better_than(best)) {
                        best = Some(case);
                    }
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
    }
    match (best, refused) {
        (Some(case), _) => Ok(judge.answer(&asked, case, tried)),
        (None, Some(error)) => Err(error.into()),
        (None, None) => Err(WorkflowError::NothingToRun {
            space: reference.to_owned(),
            reason: "no format is offered".to_owned(),
        }),
    }
}

/// What a model is held against.
struct Judge<'a> {
    front: &'a Front,
    inputs: &'a StudyInputs,
    appraiser: &'a Appraiser<'a>,
    objectives: Vec<Metric>,
    tokens: u64,
    as_trained: bool,
}

/// A model in one pair of formats.
struct Case {
    weights: NumberFormat,
    kv: NumberFormat,
    appraisal: Appraisal,
    /// Whether every objective has a value.
    whole: bool,
    breaks: Vec<Excess>,
    /// Places in the front, with how they compare.
    dominators: Vec<(usize, Comparison)>,
    pushed_out: Vec<(usize, Comparison)>,
}

impl Case {
    /// Fewer broken limits, then less clearly dominated, then pushing out more.
    fn does_better_than(&self, other: &Self) -> bool {
        let worst = |case: &Self| {
            let margins = case.dominators.iter().map(|(_, comparison)| comparison.margin());
            margins.fold(f64::NEG_INFINITY, f64::max)
        };
        let excess =
            |case: &Self| case.breaks.iter().map(|excess| excess.ratio.ln().abs()).fold(0.0, f64::max);
        let order = (!self.whole).cmp(&!other.whole);
        let order = order.then(excess(self).total_cmp(&excess(other)));
        let order = order.then(worst(self).total_cmp(&worst(other)));
        order.then(other.pushed_out.len().cmp(&self.pushed_out.len())).is_lt()
    }
}

impl Judge<'_> {
    fn case(&self, asked: &Asked, weights: NumberFormat, kv: NumberFormat) -> Result<Case, SearchError> {
        let plain = WeightFormats::default();
        let stored = asked.stored.as_ref().filter(|stored| stored.weights == weights);
        let formats = ModelFormats {
            weights,
            others: stored.map_or(&plain, |stored| &stored.others),
            judged: stored.and_then(|stored| stored.judged),
            kv,
            file_bytes: stored.map(|stored| stored.file_bytes),
        };
        let appraisal = self.appraiser.appraise(&asked.architecture, formats, Some(self.tokens))?;
        let standings: Vec<Standing> =
            self.objectives.iter().filter_map(|metric| self.standing(&appraisal, *metric)).collect();
        let whole = standings.len() == self.objectives.len();
        let (mut dominators, mut pushed_out) = (Vec::new(), Vec::new());
        if whole {
            for (place, point) in self.front.points.iter().enumerate() {
                let comparison = self.compared(asked, &standings, point);
                if comparison.is_dominated() {
                    dominators.push((place, comparison));
                } else if comparison.dominates() {
                    pushed_out.push((place, comparison));
                }
            }
        }
        let breaks = self.breaks(&appraisal);
        Ok(Case { weights, kv, appraisal, whole, breaks, dominators, pushed_out })
    }

    /// A value with the noise against the study's points: that of makers' recipes too where it has a training of its own.
    fn standing(&self, appraisal: &Appraisal, metric: Metric) -> Option<Standing> {
        let found = appraisal.metric(metric)?;
        let interval = Interval { low: found.low, high: found.high };
        let relative = match metric {
            Metric::Loss if self.as_trained => appraisal.loss_noise_across_recipes(),
            Metric::LossPerByte if self.as_trained => {
                let loss = appraisal.metric(Metric::Loss)?.value;
                appraisal.loss_noise_across_recipes().map(|half| half * found.value / loss)
            }
            _ if self.as_trained => None,
            metric => appraisal.relative_noise(metric),
        };
        Some(Standing::new(metric, found.value, Some(interval), relative))
    }

    /// Costs per token are compared per byte of text where the vocabularies differ.
    fn compared(&self, asked: &Asked, standings: &[Standing], point: &FrontPoint) -> Comparison {
        let points = self.objectives.iter().filter_map(|metric| Standing::of_point(point, *metric));
        let (ours, theirs) = (asked.architecture.vocabulary_size, point.architecture.vocabulary_size);
        let irreducible = self.inputs.recipe.loss.irreducible.value;
        let bytes = self.appraiser.recipe_bytes_per_token();
        if ours == theirs {
            let points: Vec<Standing> = points.collect();
            return Comparison::new(standings, &points, irreducible, bytes);
        }
        let (ours, theirs) = (self.appraiser.bytes_per_token(ours), self.appraiser.bytes_per_token(theirs));
        let standings: Vec<Standing> = standings.iter().map(|standing| per_byte(*standing, ours)).collect();
        let points: Vec<Standing> = points.map(|standing| per_byte(standing, theirs)).collect();
        Comparison::new(&standings, &points, irreducible, bytes)
    }

    fn breaks(&self, appraisal: &Appraisal) -> Vec<Excess> {
        let constraints = self.front.head.constraints.iter();
        constraints
            .filter_map(|constraint| {
                let metric = Metric::named(&constraint.name, &self.inputs.recipe)?;
                let found = appraisal.metric(metric)?;
                if metric.keeps(found.value, constraint.limit) {
                    return None;
                }
                let nearest = if metric.is_maximised() { found.high } else { found.low };
                Some(Excess {
                    name: constraint.name.clone(),
                    limit: constraint.limit,
                    value: found.value,
                    ratio: found.value / constraint.limit,
                    difference: found.value - constraint.limit,
                    within_noise: metric.keeps(nearest, constraint.limit),
                })
            })
            .collect()
    }

    fn answer(&self, asked: &Asked, mut case: Case, tried: u64) -> Why {
        let architecture = &asked.architecture;
        let id = architecture.id(case.weights, case.kv);
        let itself = self.front.points.iter().find(|point| point.id == id);
        case.dominators.sort_by(|a, b| b.1.margin().total_cmp(&a.1.margin()));
        case.pushed_out.sort_by(|a, b| b.1.margin_of_model().total_cmp(&a.1.margin_of_model()));
        let verdict = match itself {
            Some(_) => Verdict::OnFront,
            None if !case.whole => Verdict::NotPredicted,
            None if !case.breaks.is_empty() => Verdict::BreaksLimits,
            None if !case.dominators.is_empty() => Verdict::Dominated,
            None => Verdict::WouldBeOnFront,
        };
        let opponents = |cases: &[(usize, Comparison)]| -> Vec<Opponent> {
            let shown = cases.iter().take(SHOWN);
            shown
                .map(|(place, comparison)| self.opponent(asked, &self.front.points[*place], comparison))
                .collect()
        };
        let points = match itself {
            Some(point) => self.ties_of(asked, &case, point),
            None => opponents(&case.dominators),
        };
        let counts = architecture.parameters();
        let values: Vec<_> = self
            .objectives
            .iter()
            .filter_map(|metric| Some((metric.name().to_owned(), case.appraisal.metric(*metric)?)))
            .collect();
        let not_predicted = (!case.whole).then(|| {
            let refusal = case.appraisal.refusal().map(ToString::to_string);
            refusal.unwrap_or_else(|| "an objective of the study cannot be predicted for it".to_owned())
        });
        // A point of the front is one of the space whatever its file says.
        let outside = if itself.is_some() { Vec::new() } else { self.outside(asked, &case) };
        Why {
            model: AskedModel {
                name: asked.name.clone(),
                id,
                parameters: ParameterCounts {
                    total: counts.total,
                    non_embedding: counts.non_embedding,
                    embedding: counts.embedding,
                    active: counts.active,
                },
                weights: case.weights,
                kv: case.kv,
                formats_tried: tried,
                threads: case.appraisal.threads(),
                tokens: self.tokens,
                as_trained: self.as_trained,
                objectives: values.iter().map(|(name, found)| (name.clone(), found.value)).collect(),
                intervals: values
                    .iter()
                    .map(|(name, found)| (name.clone(), Interval { low: found.low, high: found.high }))
                    .collect(),
                flags: case.appraisal.flags(),
            },
            verdict,
            dominated_by: if itself.is_some() { 0 } else { case.dominators.len() as u64 },
            points,
            pushes_out: if itself.is_some() { 0 } else { case.pushed_out.len() as u64 },
            pushed_out: if itself.is_some() { Vec::new() } else { opponents(&case.pushed_out) },
            breaks: case.breaks,
            outside,
            not_predicted,
        }
    }

    /// Points of the same tie group, the representative first.
    fn ties_of(&self, asked: &Asked, case: &Case, itself: &FrontPoint) -> Vec<Opponent> {
        let standings: Vec<Standing> =
            self.objectives.iter().filter_map(|metric| self.standing(&case.appraisal, *metric)).collect();
        let mut ties: Vec<&FrontPoint> = self
            .front
            .points
            .iter()
            .filter(|point| point.tie_group == itself.tie_group && point.id != itself.id)
            .collect();
        ties.sort_by_key(|point| !point.representative);
        ties.truncate(SHOWN);
        ties.into_iter()
            .map(|point| Opponent {
                tied: true,
                ..self.opponent(asked, point, &self.compared(asked, &standings, point))
            })
            .collect()
    }

    fn opponent(&self, asked: &Asked, point: &FrontPoint, comparison: &Comparison) -> Opponent {
        let unlike = asked.architecture.vocabulary_size != point.architecture.vocabulary_size;
        let differences = comparison.differences.iter().map(|difference| {
            let lead = difference.lead();
            let per_byte = match difference.metric.quantity() {
                Metric::SecondsPerByte => !self.objectives.contains(&difference.metric),
                Metric::TpotSeconds | Metric::TpotP95Seconds | Metric::JoulesPerToken => unlike,
                _ => false,
            };
            ObjectiveDifference {
                name: difference.metric.name().to_owned(),
                per_byte,
                model: difference.model,
                point: difference.other,
                ratio: difference.ratio(),
                difference: difference.difference(),
                interval_of: if difference.metric.is_quality() {
                    IntervalOf::Difference
                } else {
                    IntervalOf::Ratio
                },
                low: difference.interval.low,
                high: difference.interval.high,
                better: if lead > 0.0 {
                    Better::Point
                } else if lead < 0.0 {
                    Better::Model
                } else {
                    Better::Equal
                },
                within_noise: difference.tied,
            }
        });
        let margin = if comparison.dominates() { comparison.margin_of_model() } else { comparison.margin() };
        Opponent {
            factor: margin.exp(),
            tied: comparison.is_tied(),
            differences: differences.collect(),
            ..Opponent::of_point(point)
        }
    }

    fn outside(&self, asked: &Asked, case: &Case) -> Vec<OutsideSpace> {
        let space = &self.inputs.space;
        let mut outside: Vec<OutsideSpace> = space
            .outside(&asked.architecture, case.weights, case.kv)
            .into_iter()
            .map(|outside| OutsideSpace {
                axis: outside.axis,
                found: outside.found,
                nearest: outside.nearest,
                allowed: outside.allowed,
            })
            .collect();
        let flags = case.appraisal.flags();
        for assumption in Assumption::ALL.into_iter().filter(|assumption| !space.assumes(*assumption)) {
            if flags.contains(&format!("assumed-{}", assumption.name())) {
                outside.push(OutsideSpace {
                    axis: "assume".to_owned(),
                    found: assumption.what().to_owned(),
                    nearest: None,
                    allowed: format!("such models only with `--assume {}`", assumption.name()),
                });
            }
        }
        outside
    }
}
