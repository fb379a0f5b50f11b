//! Between the search and whoever measures: what was ever answered is not asked again, and what is answered is kept at once.

use super::question::Asked;
use crate::WorkflowError;
use slimfit_search::evolve::{Answer, Oracle};
use slimfit_search::{Evaluator, Metric, ModelEvaluator, Space, Values};
use slimfit_study::{Evaluation, Natural, SearchId, Study};
use std::collections::{BTreeMap, HashMap};

/// Told of each answer as it comes: the point's place in the batch, and its values or why there are none.
pub(super) type Tell<'t> = dyn FnMut(usize, Result<Vec<f64>, String>) -> Result<(), WorkflowError> + 't;

/// Measures points.
pub(super) trait Measurer {
    /// Measures a batch and tells each answer. Points without one were not got to.
    fn measure(&mut self, points: &[Asked], tell: &mut Tell<'_>) -> Result<(), WorkflowError>;
}

pub(super) struct Keeper<'a> {
    pub(super) space: &'a Space,
    pub(super) model: &'a ModelEvaluator<'a>,
    pub(super) objectives: &'a [Metric],
    pub(super) limits: &'a [(Metric, f64)],
    pub(super) measures: &'a [Metric],
    pub(super) study: &'a Study,
    pub(super) search: SearchId,
    /// Answers by the id of their point.
    pub(super) known: HashMap<String, Result<Vec<f64>, String>>,
    /// Answers that earlier runs kept and this one used.
    pub(super) reused: u64,
    pub(super) measurer: &'a mut dyn Measurer,
}

impl Oracle for Keeper<'_> {
    type Error = WorkflowError;

    fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, WorkflowError> {
        let mut answers = vec![Answer::Unanswered; points.len()];
        let (mut open, mut places) = (Vec::new(), Vec::new());
        for (place, &index) in points.iter().enumerate() {
            let asked = Asked::new(self.space, index).expect("a search asks about points of its space");
            if let Some(known) = self.known.get(&asked.id) {
                answers[place] = answer(known.clone());
                self.reused += 1;
            } else {
                open.push(asked);
                places.push(place);
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        let keeping = Keeping {
            space: self.space,
            model: self.model,
            objectives: self.objectives,
            limits: self.limits,
            measures: self.measures,
        };
        let (study, search, known) = (self.study, self.search, &mut self.known);
        self.measurer.measure(&open, &mut |place, measured| {
            study.add_evaluations(search, &[keeping.evaluation(&open[place], &measured)])?;
            known.insert(open[place].id.clone(), measured.clone());
            answers[places[place]] = answer(measured);
            Ok(())
        })?;
        Ok(answers)
    }
}

fn answer(measured: Result<Vec<f64>, String>) -> Answer {
    measured.map_or_else(Answer::Failed, Answer::Values)
}

/// What a record of an evaluation needs.
struct Keeping<'a> {
    space: &'a Space,
    model: &'a ModelEvaluator<'a>,
    objectives: &'a [Metric],
    limits: &'a [(Metric, f64)],
    measures: &'a [Metric],
}

impl Keeping<'_> {
    fn evaluation(&self, asked: &Asked, measured: &Result<Vec<f64>, String>) -> Evaluation {
        let predicted = predicted(self.space, self.model, asked.index);
        let name = |metric: &Metric| metric.name().to_owned();
        let limited = self.limits.iter().map(|(metric, _)| metric);
        let asked_for = self.objectives.iter().chain(limited).chain(self.measures);
        let finite = asked_for.map(|metric| (name(metric), predicted[metric.column()]));
        let mut all = predicted;
        for (metric, value) in self.measures.iter().zip(measured.iter().flatten()) {
            all[metric.column()] = *value;
        }
        let keeps = |(metric, limit): &(Metric, f64)| metric.keeps(all[metric.column()], *limit);
        Evaluation {
            id: asked.id.clone(),
            index: Some(Natural::from(asked.index)),
            values: self.measures.iter().map(name).zip(measured.iter().flatten().copied()).collect(),
            predicted: finite.filter(|(_, value)| value.is_finite()).collect(),
            failure: measured.as_ref().err().cloned(),
            feasible: measured.is_ok() && self.limits.iter().all(keeps),
        }
    }
}

/// What the model says of a point.
fn predicted(space: &Space, model: &ModelEvaluator<'_>, index: u64) -> Values {
    let mut values = Metric::UNKNOWN;
    if let Ok(block) = space.block(index / space.inner_size())
        && let Ok(mut prepared) = model.prepare(space, &block)
    {
        // A candidate of a search is a point, so that there is nothing to refuse.
        let _ = model.evaluate(&mut prepared, space.inner(index % space.inner_size()), &mut values);
    }
    values
}

/// What evaluations say of the measured metrics, by id: the newest of each point.
pub(super) fn answers(
    evaluations: Vec<Evaluation>,
    measures: &[Metric],
) -> impl Iterator<Item = (String, Result<Vec<f64>, String>)> {
    let names: Vec<&'static str> = measures.iter().map(|metric| metric.name()).collect();
    evaluations.into_iter().filter_map(move |evaluation| {
        let Evaluation { id, values, failure, .. } = evaluation;
        let value = |name: &&str| BTreeMap::get(&values, *name).copied();
        match failure {
            Some(reason) => Some((id, Err(reason))),
            None => Some((id, Ok(names.iter().map(value).collect::<Option<Vec<f64>>>()?))),
        }
    })
}
