//! Which form of the formula pays, judged only by devices that the judge may see: for each device that is left out, the
//! others leave each other out in turn, and the form that predicts them best is the one that predicts it.

use super::data::Data;
use super::evaluation::{Judged, judge_device};
use super::fit::Fit;
use super::form::Form;
use slimfit_cost::EngineCoefficients;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far predictions of a device were off when two devices were left out.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    /// Sum over what was given (the data sheet; a measured bandwidth) of the mean |ln(predicted ÷ published)|.
    sum: f64,
    /// How many of them.
    n: f64,
}

/// The scores of every form on every pair of devices.
pub struct Choice {
    devices: Vec<usize>,
    /// By form, device left out of the choice, and device predicted.
    scores: BTreeMap<(usize, usize, usize), Score>,
}

impl Choice {
    /// Fits every form without each pair of devices, and without each one; on `threads` threads.
    pub fn new(data: &Data, start: &EngineCoefficients, threads: usize) -> Self {
        let devices = data.devices_with_rates();
        let mut tasks = Vec::new();
        for form in 0..Form::ALL.len() {
            for (place, &one) in devices.iter().enumerate() {
                tasks.extend(devices[place..].iter().map(|&other| (form, one, other)));
            }
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(&(form, one, other)) = tasks.get(index) else {
                    return found;
                };
                let fitted =
                    Fit::new(data, start, Form::ALL[form]).run(|device| device != one && device != other);
                found.push(((form, one, other), score(data, &fitted, other)));
                found.push(((form, other, one), score(data, &fitted, one)));
            }
        };
        let scores = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            found.extend(others.into_iter().flat_map(|other| other.join().expect("a fit does not panic")));
            found.into_iter().collect()
        });
        Self { devices, scores }
    }

    /// The form that predicts best all devices but `device`, which no fit behind it has seen; without one, of all.
    pub fn best(&self, device: Option<usize>) -> Form {
        let total = |form: &usize| {
            let mut total = Score::default();
            for &other in self.devices.iter().filter(|&&other| Some(other) != device) {
                let score = self.scores[&(*form, device.unwrap_or(other), other)];
                total = Score { sum: total.sum + score.sum, n: total.n + score.n };
            }
            total.sum / total.n
        };
        let best = (0..Form::ALL.len()).min_by(|a, b| total(a).total_cmp(&total(b)));
        Form::ALL[best.expect("there is a form")]
    }
}

fn score(data: &Data, fitted: &EngineCoefficients, device: usize) -> Score {
    let judged = judge_device(data, fitted, device);
    let mean = |ratio: &dyn Fn(&Judged) -> Option<f64>| {
        let errors: Vec<f64> = judged.iter().filter_map(ratio).map(|ratio| ratio.ln().abs()).collect();
        (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
    };
    let means = [mean(&|row| Some(row.ratio)), mean(&|row| row.measured_ratio)];
    let found = means.into_iter().flatten();
    found.fold(Score::default(), |score, mean| Score { sum: score.sum + mean, n: score.n + 1.0 })
}
