//! The model's prediction, corrected by what was measured: for each measured metric a process over the logarithm of
//! measured over predicted. Of what no model predicts, over the logarithm of the value itself.

use super::costs::log_cost;
use super::features::{Features, Standard, varying};
use super::measured::{MeasuredPoint, MeasuredSet};
use super::pool::Candidate;
use super::process::Process;
use crate::{Metric, Values};

/// Observations learnt from at most: those of the front first, then the newest.
const MOST: usize = 400;
/// Growth of the observations after which the covariance is chosen anew.
const GROWTH: f64 = 1.25;
/// One standard deviation of the logarithm before anything was measured.
const UNKNOWN: f64 = 0.3;

/// How far predictions lay from what was measured, as logarithms: 0.1 is about 10 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurrogateError {
    /// What was measured.
    pub metric: Metric,
    /// Points of which it was.
    pub measured: usize,
    /// Mean of ln(measured ÷ predicted) of the model alone; none where it predicts no such metric.
    pub model_bias: Option<f64>,
    /// Root mean square of the same.
    pub model: Option<f64>,
    /// Root mean square error of the corrected prediction, each point left out of what its own correction was learnt from.
    pub corrected: Option<f64>,
    /// Root mean square error of what was foretold of points before they were measured.
    pub foretold: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Surrogate<'a> {
    measures: &'a [Metric],
    /// Whether the model predicts each measured metric.
    predicted: Vec<bool>,
    processes: Vec<Option<Process>>,
    /// Observations when the covariance was last chosen.
    chosen_at: usize,
    dimensions: usize,
}

impl<'a> Surrogate<'a> {
    pub(super) fn new(measures: &'a [Metric], predictable: &[Metric], standard: &Standard) -> Self {
        Self {
            measures,
            predicted: measures.iter().map(|metric| predictable.contains(metric)).collect(),
            processes: vec![None; measures.len()],
            chosen_at: 0,
            dimensions: varying(standard),
        }
    }

    /// The logarithm of what the model says of a measured metric; 0 where it says nothing.
    fn base(&self, place: usize, values: &Values) -> f64 {
        let metric = self.measures[place];
        if self.predicted[place] { log_cost(metric, values[metric.column()]) } else { 0.0 }
    }

    /// Measured over predicted.
    fn ratio(&self, place: usize, point: &MeasuredPoint) -> f64 {
        let metric = self.measures[place];
        log_cost(metric, point.found.values[metric.column()]) - self.base(place, &point.candidate.values)
    }

    /// Learns from all that was measured.
    pub(super) fn learn(&mut self, set: &MeasuredSet<'_>) {
        let points = learnt_from(set);
        if points.is_empty() {
            return;
        }
        let anew = points.len() as f64 >= GROWTH * self.chosen_at as f64;
        let seen: Vec<Features> = points.iter().map(|point| point.candidate.features).collect();
        for place in 0..self.measures.len() {
            let ratios: Vec<f64> = points.iter().map(|point| self.ratio(place, point)).collect();
            let known = self.processes[place].as_ref().filter(|_| !anew).map(Process::kernel);
            self.processes[place] = Some(Process::fit(&seen, &ratios, self.dimensions, known));
        }
        if anew {
            self.chosen_at = points.len();
        }
    }

    /// For each measured metric the logarithm of its cost that is expected, and one standard deviation.
    pub(super) fn expect(&self, candidate: &Candidate) -> Vec<(f64, f64)> {
        let each = self.processes.iter().enumerate();
        each.map(|(place, process)| {
            let base = self.base(place, &candidate.values);
            let (mean, sigma) =
                process.as_ref().map_or((0.0, UNKNOWN), |process| process.expect(&candidate.features));
            (base + mean, sigma)
        })
        .collect()
    }

    /// The values expected of a point; none before anything was learnt.
    pub(super) fn foretell(&self, candidate: &Candidate) -> Option<Vec<f64>> {
        self.processes.iter().all(Option::is_some).then(|| {
            let expected = self.expect(candidate).into_iter();
            let value = |(metric, (log, _)): (&Metric, (f64, f64))| super::costs::cost(*metric, log.exp());
            self.measures.iter().zip(expected).map(value).collect()
        })
    }

    /// The errors of the model and of its correction.
    pub(super) fn errors(&mut self, set: &MeasuredSet<'_>) -> Vec<SurrogateError> {
        self.chosen_at = 0;
        self.learn(set);
        let rms = |errors: &[f64]| {
            let squares = errors.iter().map(|error| error * error).sum::<f64>();
            (!errors.is_empty()).then(|| (squares / errors.len() as f64).sqrt())
        };
        let each = self.measures.iter().enumerate();
        each.map(|(place, &metric)| {
            let ratios: Vec<f64> = set.points.iter().map(|point| self.ratio(place, point)).collect();
            let sign = metric.minimised(1.0);
            let foretold: Vec<f64> = set
                .evaluations
                .iter()
                .filter_map(|evaluated| {
                    let (measured, foretold) =
                        (evaluated.measured.as_ref().ok()?, evaluated.foretold.as_ref()?);
                    Some((measured[place] / foretold[place]).ln())
                })
                .collect();
            let known = self.predicted[place] && !ratios.is_empty();
            // Without a second point nothing is left to learn from.
            let process = self.processes[place].as_ref().filter(|_| ratios.len() > 1);
            SurrogateError {
                metric,
                measured: ratios.len(),
                model_bias: known.then(|| sign * ratios.iter().sum::<f64>() / ratios.len() as f64),
                model: rms(&ratios).filter(|_| known),
                corrected: process.and_then(|process| rms(&process.left_out())),
                foretold: rms(&foretold),
            }
        })
        .collect()
    }
}

fn learnt_from<'s>(set: &'s MeasuredSet<'_>) -> Vec<&'s MeasuredPoint> {
    if set.points.len() <= MOST {
        return set.points.iter().collect();
    }
    let front = set.front();
    let on_front = |point: &MeasuredPoint| front.iter().any(|other| other.found.index == point.found.index);
    let others = set.points.iter().rev().filter(|point| !on_front(point));
    front.iter().copied().chain(others).take(MOST).collect()
}
