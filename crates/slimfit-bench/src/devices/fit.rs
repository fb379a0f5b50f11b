//! Fits an engine's coefficients: coordinate descent on the logarithms, every device with the same weight.

use super::data::{Data, Rate};
use super::form::Form;
use super::point::{Common, Place, Point};
use slimfit_cost::{EngineCoefficients, EngineDevice, EngineMemory, EngineModel};
use std::collections::BTreeMap;

/// Errors past this factor's logarithm count linearly: a row with a broken build must not move the rest.
const ROBUST: f64 = 0.3;
/// Sweeps over all coordinates.
const SWEEPS: usize = 80;
/// Descents, each with long steps again: one alone stops in a narrow valley.
const DESCENTS: usize = 30;
/// A descent that gains less ends the fit.
const SMALLEST_GAIN: f64 = 1e-4;
/// Steps shorter than this, in logarithms, change no prediction that a table shows.
const SHORTEST_STEP: f64 = 1e-3;

/// Rates by place in [`Data::rates`], and what they are priced with.
pub struct Fit<'a> {
    data: &'a Data,
    /// What is not fitted is taken from here.
    start: &'a EngineCoefficients,
    form: Form,
}

struct Sample<'a> {
    rate: &'a Rate,
    weight: f64,
    device: EngineDevice,
}

impl Sample<'_> {
    fn measured(&self) -> bool {
        matches!(self.device.memory, EngineMemory::Sustained(_))
    }

    /// Whether its prediction depends on a coordinate.
    fn depends_on(&self, place: &Place) -> bool {
        match place {
            Place::Common(Common::MeasuredShare) => self.measured(),
            Place::Common(Common::Share | Common::Falloff) => !self.measured(),
            Place::Common(Common::FrontEnd) => !self.rate.direct,
            Place::Common(_) => true,
            Place::Class(key) | Place::Falloff(key) => !self.measured() && self.device.class == *key,
            Place::Instructions(key) => self.device.isa == *key,
            Place::Format(key) => self.rate.work.weights.iter().any(|(format, _)| format == key),
        }
    }

    fn loss(&self, coefficients: &EngineCoefficients) -> f64 {
        let predicted = predicted_seconds(coefficients, &self.device, self.rate);
        let error = (predicted / self.rate.seconds).ln().abs();
        self.weight * if error < ROBUST { error * error } else { ROBUST * (2.0 * error - ROBUST) }
    }
}

/// Seconds of a published token, with what its front end takes.
pub fn predicted_seconds(coefficients: &EngineCoefficients, device: &EngineDevice, rate: &Rate) -> f64 {
    let engine = EngineModel::new(coefficients, device).decode_terms(&rate.work, rate.threads).seconds;
    engine + if rate.direct { 0.0 } else { coefficients.front_end_seconds.value }
}

impl<'a> Fit<'a> {
    /// Fits a `form` on `data`, and keeps of `start` what is not fitted.
    pub const fn new(data: &'a Data, start: &'a EngineCoefficients, form: Form) -> Self {
        Self { data, start, form }
    }

    /// The coefficients of all devices that `keep` keeps.
    pub fn run(&self, keep: impl Fn(usize) -> bool) -> EngineCoefficients {
        let samples = self.samples(keep);
        let mut point = Point::start(self.form);
        let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for sample in &samples {
            let format = sample.rate.work.weights[0].0.clone();
            for (map, key, prefix) in [
                (&mut point.classes, sample.device.class.clone(), "class"),
                (&mut point.falloffs, sample.device.class.clone(), "falloff"),
                (&mut point.instructions, sample.device.isa.clone(), "isa"),
                (&mut point.formats, format, "format"),
            ] {
                let devices = seen.entry(format!("{prefix}:{key}")).or_default();
                devices.push(sample.rate.device);
                map.insert(key, 0.0);
            }
        }
        let mut coefficients = self.start.clone();
        let mut loss = f64::INFINITY;
        for _ in 0..DESCENTS {
            point.centre();
            point.write(&mut coefficients);
            let now = descend(&mut point, &mut coefficients, &samples);
            if loss - now < SMALLEST_GAIN {
                break;
            }
            loss = now;
        }
        point.write(&mut coefficients);
        count(&mut coefficients, &seen, &samples);
        coefficients
    }

    fn samples(&self, keep: impl Fn(usize) -> bool) -> Vec<Sample<'a>> {
        let kept: Vec<&Rate> = self.data.rates.iter().filter(|rate| keep(rate.device)).collect();
        let mut each: BTreeMap<usize, f64> = BTreeMap::new();
        for rate in &kept {
            *each.entry(rate.device).or_insert(0.0) += 1.0;
        }
        let mut samples = Vec::new();
        for rate in kept {
            let device = &self.data.devices[rate.device];
            let weight = 1.0 / each[&rate.device];
            samples.push(Sample { rate, weight, device: device.engine.clone() });
            if let Some(measured) = device.measured {
                let memory = EngineMemory::Sustained(measured);
                samples.push(Sample {
                    rate,
                    weight,
                    device: EngineDevice { memory, ..device.engine.clone() },
                });
            }
        }
        samples
    }
}

/// Moves one coordinate after the other downhill, each with its own step, and returns the loss; only samples
/// that depend on a coordinate are priced anew.
fn descend(point: &mut Point, coefficients: &mut EngineCoefficients, samples: &[Sample<'_>]) -> f64 {
    let places = point.places();
    let dependent = |place| (0..samples.len()).filter(move |index| samples[*index].depends_on(place));
    let dependents: Vec<Vec<usize>> = places.iter().map(|place| dependent(place).collect()).collect();
    let mut losses: Vec<f64> = samples.iter().map(|sample| sample.loss(coefficients)).collect();
    let mut best = point.cost() + losses.iter().sum::<f64>();
    let mut tried = losses.clone();
    let mut steps = vec![0.3; places.len()];
    for _ in 0..SWEEPS {
        for ((place, step), dependents) in places.iter().zip(&mut steps).zip(&dependents) {
            let before = point.get(place);
            let mut moved = false;
            for after in [before + *step, before - *step] {
                point.set(place, after, coefficients);
                let mut now = best - Point::cost_at(place, before) + Point::cost_at(place, after);
                for &index in dependents {
                    tried[index] = samples[index].loss(coefficients);
                    now += tried[index] - losses[index];
                }
                if now < best - 1e-10 {
                    best = now;
                    for &index in dependents {
                        losses[index] = tried[index];
                    }
                    moved = true;
                    break;
                }
            }
            if moved {
                *step *= 1.3;
            } else {
                point.set(place, before, coefficients);
                *step *= 0.5;
            }
        }
        if steps.iter().all(|step| *step < SHORTEST_STEP) {
            break;
        }
    }
    best
}

/// Writes how many devices each value rests on.
fn count(coefficients: &mut EngineCoefficients, seen: &BTreeMap<String, Vec<usize>>, samples: &[Sample<'_>]) {
    let distinct = |devices: &[usize]| {
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        devices.dedup();
        devices.len() as u64
    };
    let of = |kept: &dyn Fn(&Sample<'_>) -> bool| {
        let kept = samples.iter().filter(|sample| kept(sample));
        distinct(&kept.map(|sample| sample.rate.device).collect::<Vec<usize>>())
    };
    for (map, prefix) in [
        (&mut coefficients.bandwidth_share, "class"),
        (&mut coefficients.bandwidth_falloff, "falloff"),
        (&mut coefficients.bytes_per_cycle, "isa"),
        (&mut coefficients.format_factor, "format"),
    ] {
        for (key, entry) in map.iter_mut() {
            let devices = seen.get(&format!("{prefix}:{key}"));
            entry.n = match devices {
                Some(devices) => distinct(devices),
                None if key == "any" => of(&|_| true),
                None => 0,
            };
        }
    }
    coefficients.layer_seconds.n = of(&|_| true);
    coefficients.measured_share.n = of(&|sample| sample.measured());
    coefficients.front_end_seconds.n = of(&|sample| !sample.rate.direct);
}
