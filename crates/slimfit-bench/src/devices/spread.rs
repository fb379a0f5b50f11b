//! How sure each coefficient is: what it was without each device, and the factors of the 90 % intervals.

use super::data::Data;
use super::evaluation::{Judged, LeftOut, quantile};
use slimfit_cost::{Coefficient, EngineCoefficients};
use std::collections::BTreeMap;

/// Devices that a class must have for an interval of its own.
const LEAST_DEVICES: usize = 4;
/// An interval no prediction may undercut: firmware alone moves a board, and a laptop differs from itself by 6 %.
const LEAST_FACTOR: f64 = 1.15;
/// What a class figure of prefill is good to.
const PREFILL_FACTOR: f64 = 3.0;
const SHARE: f64 = 0.9;

/// Completes `fitted`: bounds from the fits that left a device out, interval factors from their errors, prefill classes.
pub fn describe(fitted: &mut EngineCoefficients, data: &Data, folds: &[LeftOut], judged: &[Judged]) {
    let devices = folds.len();
    fitted.citation = format!(
        "class efficiencies of llama.cpp fitted on {} published CPU decode rates of {devices} devices (llama.cpp discussions and issues, sbc and server benchmarks, 2023 to 2026)",
        data.rates.len()
    );
    let single: [Reading; 3] =
        [|file| &file.layer_seconds, |file| &file.measured_share, |file| &file.front_end_seconds];
    let writing: [Writing; 3] =
        [|file| &mut file.layer_seconds, |file| &mut file.measured_share, |file| &mut file.front_end_seconds];
    for (read, write) in single.into_iter().zip(writing) {
        bounds(write(fitted), folds.iter().map(|fold| read(&fold.coefficients).value));
    }
    let maps: [(ReadingMap, WritingMap); 4] = [
        (|file| &file.bandwidth_share, |file| &mut file.bandwidth_share),
        (|file| &file.bandwidth_falloff, |file| &mut file.bandwidth_falloff),
        (|file| &file.bytes_per_cycle, |file| &mut file.bytes_per_cycle),
        (|file| &file.format_factor, |file| &mut file.format_factor),
    ];
    for (read, write) in maps {
        for (key, entry) in write(fitted).iter_mut() {
            let without = folds.iter().filter_map(|fold| Some(read(&fold.coefficients).get(key)?.value));
            bounds(entry, without);
            if entry.n == 0 {
                entry.fitted = "no device seen: what holds for all".to_owned();
            }
        }
    }
    intervals(fitted, data, judged);
    prefill(fitted, data);
}

type Reading = fn(&EngineCoefficients) -> &Coefficient;
type Writing = fn(&mut EngineCoefficients) -> &mut Coefficient;
type ReadingMap = fn(&EngineCoefficients) -> &BTreeMap<String, Coefficient>;
type WritingMap = fn(&mut EngineCoefficients) -> &mut BTreeMap<String, Coefficient>;

fn bounds(entry: &mut Coefficient, without: impl Iterator<Item = f64>) {
    (entry.low, entry.high) = (entry.value, entry.value);
    for value in without {
        entry.low = entry.low.min(value);
        entry.high = entry.high.max(value);
    }
    entry.fitted = "robust fit on all devices; bounds: fits that left one device out".to_owned();
}

fn intervals(fitted: &mut EngineCoefficients, data: &Data, judged: &[Judged]) {
    let all: Vec<(usize, f64)> = judged.iter().map(|row| (row.device, row.ratio)).collect();
    fitted.interval_factor = BTreeMap::from([("any".to_owned(), factor(&all))]);
    let mut classes: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (device, ratio) in &all {
        classes.entry(&data.devices[*device].engine.class).or_default().push((*device, *ratio));
    }
    for (class, ratios) in classes {
        let entry = factor(&ratios);
        if entry.n as usize >= LEAST_DEVICES {
            fitted.interval_factor.insert(class.to_owned(), entry);
        }
    }
    let measured: Vec<(usize, f64)> =
        judged.iter().filter_map(|row| Some((row.device, row.measured_ratio?))).collect();
    if !measured.is_empty() {
        fitted.measured_interval_factor = factor(&measured);
    }
}

/// The factor within which 90 % of unseen devices' rates lie, every device with the same weight; bounds: 80 % and 95 %.
fn factor(ratios: &[(usize, f64)]) -> Coefficient {
    let mut each: BTreeMap<usize, f64> = BTreeMap::new();
    for (device, _) in ratios {
        *each.entry(*device).or_insert(0.0) += 1.0;
    }
    let errors: Vec<(f64, f64)> =
        ratios.iter().map(|(device, ratio)| (ratio.ln().abs(), 1.0 / each[device])).collect();
    let at = |share| quantile(&errors, share).exp().max(LEAST_FACTOR);
    Coefficient {
        value: at(SHARE),
        low: at(0.8),
        high: at(0.95),
        n: each.len() as u64,
        fitted: "quantile of the errors of devices left out; bounds: 80 % and 95 %".to_owned(),
    }
}

fn prefill(fitted: &mut EngineCoefficients, data: &Data) {
    let mut classes: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
    for rate in &data.prefill {
        let device = &data.devices[rate.device].engine;
        let cores = rate.threads.clamp(1, device.cores);
        let hertz = device.hertz.unwrap_or(fitted.usual_hertz.value);
        let per_cycle = rate.multiply_adds_per_s / (f64::from(cores) * hertz);
        for key in [device.isa.clone(), "any".to_owned()] {
            classes.entry(key).or_default().push((rate.device, per_cycle));
        }
    }
    if !classes.contains_key("any") {
        return;
    }
    fitted.prefill_multiply_adds_per_cycle.clear();
    for (key, rates) in classes {
        let weighted: Vec<(f64, f64)> = rates
            .iter()
            .map(|(device, rate)| {
                let same = rates.iter().filter(|(other, _)| other == device).count();
                (*rate, 1.0 / same as f64)
            })
            .collect();
        let value = quantile(&weighted, 0.5);
        let mut devices: Vec<usize> = rates.iter().map(|(device, _)| *device).collect();
        devices.sort_unstable();
        devices.dedup();
        let entry = Coefficient {
            value,
            low: value / PREFILL_FACTOR,
            high: value * PREFILL_FACTOR,
            n: devices.len() as u64,
            fitted: "median of published prefill rates; bounds: what a class figure is good to".to_owned(),
        };
        fitted.prefill_multiply_adds_per_cycle.insert(key, entry);
    }
}

/// The file, with four significant digits: more would pretend to precision, and the file would differ at every fit.
pub fn file(fitted: &EngineCoefficients) -> String {
    let mut rounded = fitted.clone();
    let maps = [
        &mut rounded.bandwidth_share,
        &mut rounded.bandwidth_falloff,
        &mut rounded.bytes_per_cycle,
        &mut rounded.format_factor,
        &mut rounded.prefill_multiply_adds_per_cycle,
        &mut rounded.interval_factor,
    ];
    let mut entries: Vec<&mut Coefficient> = maps.into_iter().flat_map(BTreeMap::values_mut).collect();
    entries.extend([
        &mut rounded.measured_share,
        &mut rounded.layer_seconds,
        &mut rounded.front_end_seconds,
        &mut rounded.measured_interval_factor,
    ]);
    for entry in entries {
        for number in [&mut entry.value, &mut entry.low, &mut entry.high] {
            *number = digits(*number);
        }
    }
    let head = "# Efficiencies of llama.cpp by device, instructions and format. Written by `cargo xtask bench devices --write`;\n# crates/slimfit-cost/README.md says what each value means.\n";
    format!("{head}{}", rounded.to_yaml())
}

fn digits(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(number)
}
