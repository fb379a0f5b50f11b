//! How well a fit predicts devices that it has not seen: whole devices left out, one after the other.

use super::data::Data;
use super::fit::Fit;
use slimfit_cost::{EngineCoefficients, EngineDevice, EngineMemory, EngineModel};
use std::collections::BTreeMap;

/// One rate, predicted by a fit that has not seen its device.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// Place of the rate.
    pub rate: usize,
    /// Place of its device.
    pub device: usize,
    /// Predicted over published seconds, from the data sheet alone.
    pub ratio: f64,
    /// The same with the published measured bandwidth, where there is one.
    pub measured_ratio: Option<f64>,
    /// Predicted over published joules, where both wattage and joules are published.
    pub joules_ratio: Option<f64>,
}

/// A fit without one device.
pub struct LeftOut {
    /// The device.
    pub device: usize,
    /// What the others say.
    pub coefficients: EngineCoefficients,
}

/// Fits once for each device that has rates, without it.
pub fn leave_each_out(data: &Data, start: &EngineCoefficients) -> Vec<LeftOut> {
    let mut devices: Vec<usize> = data.rates.iter().map(|rate| rate.device).collect();
    devices.sort_unstable();
    devices.dedup();
    let fit = Fit::new(data, start);
    devices
        .into_iter()
        .map(|device| LeftOut { device, coefficients: fit.run(|other| other != device) })
        .collect()
}

/// Predicts every rate with the fit that has not seen its device.
pub fn judge(data: &Data, folds: &[LeftOut]) -> Vec<Judged> {
    let mut judged = Vec::new();
    for fold in folds {
        let device = &data.devices[fold.device];
        for (place, rate) in data.rates.iter().enumerate().filter(|(_, rate)| rate.device == fold.device) {
            let seconds = |device: &EngineDevice| {
                EngineModel::new(&fold.coefficients, device).decode_terms(&rate.work, rate.threads).seconds
            };
            let alone = seconds(&device.engine);
            let measured = device.measured.map(|bandwidth| {
                seconds(&EngineDevice { memory: EngineMemory::Sustained(bandwidth), ..device.engine.clone() })
            });
            let joules = device.loaded_watts.zip(rate.joules);
            judged.push(Judged {
                rate: place,
                device: fold.device,
                ratio: alone / rate.seconds,
                measured_ratio: measured.map(|seconds| seconds / rate.seconds),
                joules_ratio: joules.map(|(watts, joules)| watts * alone / joules),
            });
        }
    }
    judged
}

/// Errors of a set of predictions, every device with the same weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Rates.
    pub n: usize,
    /// Devices.
    pub devices: usize,
    /// Median of |predicted ÷ published − 1|.
    pub median: f64,
    /// Geometric mean of max(p ÷ m, m ÷ p).
    pub geometric: f64,
    /// Geometric mean of p ÷ m: above 1 is pessimistic.
    pub bias: f64,
}

impl Errors {
    /// Nothing when there are no predictions. Each is a device and predicted over published.
    pub fn of(ratios: &[(usize, f64)]) -> Option<Self> {
        let mut each: BTreeMap<usize, f64> = BTreeMap::new();
        for (device, _) in ratios {
            *each.entry(*device).or_insert(0.0) += 1.0;
        }
        if each.is_empty() {
            return None;
        }
        let weighted = |map: fn(f64) -> f64| -> Vec<(f64, f64)> {
            ratios.iter().map(|(device, ratio)| (map(*ratio), 1.0 / each[device])).collect()
        };
        let mean = |values: Vec<(f64, f64)>| {
            let sum: f64 = values.iter().map(|(value, weight)| value * weight).sum();
            (sum / each.len() as f64).exp()
        };
        Some(Self {
            n: ratios.len(),
            devices: each.len(),
            median: quantile(&weighted(|ratio| (ratio - 1.0).abs()), 0.5),
            geometric: mean(weighted(|ratio| ratio.ln().abs())),
            bias: mean(weighted(f64::ln)),
        })
    }
}

/// The smallest value below which `share` of the weight lies.
///
/// # Panics
/// Without values.
pub fn quantile(values: &[(f64, f64)], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for (value, weight) in &sorted {
        below += weight;
        if below >= share * all * (1.0 - 1e-12) {
            return *value;
        }
    }
    sorted[sorted.len() - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_weigh_the_same_however_many_rates_they_have() {
        let many: Vec<(usize, f64)> = std::iter::repeat_n((0, 2.0), 9).chain([(1, 1.0), (2, 1.1)]).collect();
        let errors = Errors::of(&many).unwrap();
        assert_eq!((errors.n, errors.devices), (11, 3));
        assert!((errors.median - 0.1).abs() < 1e-12);
        assert!((errors.geometric - (2.0_f64 * 1.1).powf(1.0 / 3.0)).abs() < 1e-12);
        assert_eq!(Errors::of(&[]), None);
    }

    #[test]
    fn too_slow_and_too_fast_count_the_same() {
        let errors = Errors::of(&[(0, 2.0), (1, 0.5)]).unwrap();
        assert!((errors.geometric - 2.0).abs() < 1e-12 && (errors.bias - 1.0).abs() < 1e-12);
    }
}
