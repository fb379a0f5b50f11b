//! Fits an engine's coefficients: coordinate descent on the logarithms, every device with the same weight.

use super::data::{Data, Rate};
use slimfit_cost::{Coefficient, EngineCoefficients, EngineDevice, EngineMemory, EngineModel};
use std::collections::BTreeMap;

/// Errors past this factor's logarithm count linearly: a row with a broken build must not move the rest.
const ROBUST: f64 = 0.3;
/// How strongly a class or format with few devices is drawn to what holds for all.
const SHRINKAGE: f64 = 0.1;
/// The same for numbers that one would know roughly beforehand.
const PRIOR: f64 = 0.05;
/// Seconds of a layer's fixed cost, before any row was seen.
const PRIOR_LAYER_SECONDS: f64 = 3e-5;
/// Fall of the reachable share with the data sheet's bandwidth, before any row was seen.
const PRIOR_FALLOFF: f64 = 0.2;
/// Weight of that beside the prior of the layer's cost, whose logarithm moves more.
const FALLOFF_PRIOR: f64 = 20.0;
/// Sweeps over all coordinates.
const SWEEPS: usize = 80;

/// Logarithms of what is fitted; classes and formats as deviations from what holds for all.
#[derive(Debug, Clone)]
struct Point {
    /// Share, bytes per cycle, layer seconds, measured share, falloff (the last not a logarithm).
    common: [f64; 5],
    classes: BTreeMap<String, f64>,
    falloffs: BTreeMap<String, f64>,
    instructions: BTreeMap<String, f64>,
    formats: BTreeMap<String, f64>,
}

/// Rates by place in [`Data::rates`], and what they are priced with.
pub struct Fit<'a> {
    data: &'a Data,
    /// What is not fitted is taken from here.
    start: &'a EngineCoefficients,
}

struct Sample<'a> {
    rate: &'a Rate,
    weight: f64,
    device: EngineDevice,
}

impl<'a> Fit<'a> {
    /// Fits on `data`, and keeps of `start` what is not fitted.
    pub const fn new(data: &'a Data, start: &'a EngineCoefficients) -> Self {
        Self { data, start }
    }

    /// The coefficients of all devices that `keep` keeps.
    pub fn run(&self, keep: impl Fn(usize) -> bool) -> EngineCoefficients {
        let samples = self.samples(keep);
        let mut point = Point {
            common: [0.5_f64.ln(), 4_f64.ln(), PRIOR_LAYER_SECONDS.ln(), 0.9_f64.ln(), PRIOR_FALLOFF],
            classes: BTreeMap::new(),
            falloffs: BTreeMap::new(),
            instructions: BTreeMap::new(),
            formats: BTreeMap::new(),
        };
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
        let places = point.places();
        let mut steps = vec![0.3; places.len()];
        point.write(&mut coefficients);
        let mut best = loss(&coefficients, &point, &samples);
        for _ in 0..SWEEPS {
            for (place, step) in places.iter().zip(&mut steps) {
                let before = point.get(place);
                let mut moved = false;
                for change in [*step, -*step] {
                    point.set(place, before + change);
                    point.write(&mut coefficients);
                    let now = loss(&coefficients, &point, &samples);
                    if now < best - 1e-10 {
                        best = now;
                        moved = true;
                        break;
                    }
                }
                if moved {
                    *step *= 1.3;
                } else {
                    point.set(place, before);
                    *step *= 0.5;
                }
            }
            if steps.iter().all(|step| *step < 1e-3) {
                break;
            }
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

/// A coordinate.
#[derive(Debug, Clone)]
enum Place {
    Common(usize),
    Class(String),
    Falloff(String),
    Instructions(String),
    Format(String),
}

impl Point {
    fn places(&self) -> Vec<Place> {
        let common = (0..self.common.len()).map(Place::Common);
        let classes = self.classes.keys().cloned().map(Place::Class);
        let falloffs = self.falloffs.keys().cloned().map(Place::Falloff);
        let instructions = self.instructions.keys().cloned().map(Place::Instructions);
        common
            .chain(classes)
            .chain(falloffs)
            .chain(instructions)
            .chain(self.formats.keys().cloned().map(Place::Format))
            .collect()
    }

    fn get(&self, place: &Place) -> f64 {
        match place {
            Place::Common(index) => self.common[*index],
            Place::Class(key) => self.classes[key],
            Place::Falloff(key) => self.falloffs[key],
            Place::Instructions(key) => self.instructions[key],
            Place::Format(key) => self.formats[key],
        }
    }

    fn set(&mut self, place: &Place, value: f64) {
        match place {
            Place::Common(index) => self.common[*index] = value,
            Place::Class(key) => *self.classes.get_mut(key).expect("a place of this point") = value,
            Place::Falloff(key) => *self.falloffs.get_mut(key).expect("a place of this point") = value,
            Place::Instructions(key) => {
                *self.instructions.get_mut(key).expect("a place of this point") = value;
            }
            Place::Format(key) => *self.formats.get_mut(key).expect("a place of this point") = value,
        }
    }

    /// Sets the values of `coefficients`; what was not seen gets what holds for all.
    fn write(&self, coefficients: &mut EngineCoefficients) {
        let [share, cycle, layer, measured, falloff] = self.common;
        fill(&mut coefficients.bandwidth_share, &self.classes, |_, apart| (share + apart).exp());
        fill(&mut coefficients.bandwidth_falloff, &self.falloffs, |_, apart| (falloff + apart).max(0.0));
        fill(&mut coefficients.bytes_per_cycle, &self.instructions, |_, apart| (cycle + apart).exp());
        fill(&mut coefficients.format_factor, &self.formats, |key, apart| {
            prior_format_factor(key) * apart.exp()
        });
        coefficients.layer_seconds.value = layer.exp();
        coefficients.measured_share.value = measured.exp();
    }

    /// What departing from the common values costs.
    fn cost(&self) -> f64 {
        let square = |value: &f64| value * value;
        let maps = [&self.classes, &self.instructions, &self.formats];
        let apart: f64 = maps.iter().flat_map(|map| map.values()).map(square).sum();
        let falloffs: f64 = self.falloffs.values().map(square).sum();
        let layer = self.common[2] - PRIOR_LAYER_SECONDS.ln();
        let falloff = self.common[4] - PRIOR_FALLOFF;
        SHRINKAGE * (apart + falloffs) + PRIOR * (layer * layer + FALLOFF_PRIOR * falloff * falloff)
    }
}

/// Bytes of a format per cycle relative to four-bit ones, before any row was seen: where a value is a whole number of
/// bytes, there is less to unpack for each byte.
fn prior_format_factor(format: &str) -> f64 {
    match format {
        "f32" => 2.5,
        "f16" | "bf16" => 2.0,
        "q8_0" => 1.5,
        _ => 1.0,
    }
}

/// Sets what was seen from its departure from the common value, and everything else to that.
fn fill(
    map: &mut BTreeMap<String, Coefficient>,
    apart: &BTreeMap<String, f64>,
    value: impl Fn(&str, f64) -> f64,
) {
    for key in apart.keys().filter(|key| !map.contains_key(*key)).cloned().collect::<Vec<_>>() {
        map.insert(key, blank());
    }
    for (key, entry) in map.iter_mut() {
        entry.value = value(key, apart.get(key).copied().unwrap_or(0.0));
    }
}

const fn blank() -> Coefficient {
    Coefficient { value: 1.0, low: 1.0, high: 1.0, n: 0, fitted: String::new() }
}

fn loss(coefficients: &EngineCoefficients, point: &Point, samples: &[Sample<'_>]) -> f64 {
    let errors = samples.iter().map(|sample| {
        let model = EngineModel::new(coefficients, &sample.device);
        let predicted = model.decode_terms(&sample.rate.work, sample.rate.threads).seconds;
        let error = (predicted / sample.rate.seconds).ln().abs();
        sample.weight * if error < ROBUST { error * error } else { ROBUST * (2.0 * error - ROBUST) }
    });
    errors.sum::<f64>() + point.cost()
}

/// Writes how many devices each value rests on.
fn count(coefficients: &mut EngineCoefficients, seen: &BTreeMap<String, Vec<usize>>, samples: &[Sample<'_>]) {
    let distinct = |devices: &[usize]| {
        let mut devices = devices.to_vec();
        devices.sort_unstable();
        devices.dedup();
        devices.len() as u64
    };
    let all: Vec<usize> = samples.iter().map(|sample| sample.rate.device).collect();
    let measured: Vec<usize> = samples
        .iter()
        .filter(|sample| matches!(sample.device.memory, EngineMemory::Sustained(_)))
        .map(|sample| sample.rate.device)
        .collect();
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
                None if key == "any" => distinct(&all),
                None => 0,
            };
        }
    }
    coefficients.layer_seconds.n = distinct(&all);
    coefficients.measured_share.n = distinct(&measured);
}
