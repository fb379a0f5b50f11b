//! How well a fit predicts devices that it has not seen: whole devices left out, one after the other.

use super::data::Data;
use super::fit::{Fit, predicted_seconds};
use super::form::Form;
use slimfit_cost::{EngineCoefficients, EngineDevice, EngineMemory};
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
    /// The form that the others chose.
    pub form: Form,
    /// What the others say.
    pub coefficients: EngineCoefficients,
}

/// Fits once for each device that has rates, without it, in the form that `form` says for it.
pub fn leave_each_out(data: &Data, start: &EngineCoefficients, form: impl Fn(usize) -> Form) -> Vec<LeftOut> {
    let devices = data.devices_with_rates().into_iter();
    devices
        .map(|device| {
            let form = form(device);
            let coefficients = Fit::new(data, start, form).run(|other| other != device);
            LeftOut { device, form, coefficients }
        })
        .collect()
}

/// Predicts every rate with the fit that has not seen its device.
pub fn judge(data: &Data, folds: &[LeftOut]) -> Vec<Judged> {
    folds.iter().flat_map(|fold| judge_device(data, &fold.coefficients, fold.device)).collect()
}

/// Predicts the rates of one device.
pub fn judge_device(data: &Data, coefficients: &EngineCoefficients, place: usize) -> Vec<Judged> {
    let device = &data.devices[place];
    let rates = data.rates.iter().enumerate().filter(|(_, rate)| rate.device == place);
    rates
        .map(|(index, rate)| {
            let seconds = |device: &EngineDevice| predicted_seconds(coefficients, device, rate);
            let alone = seconds(&device.engine);
            let measured = device.measured.map(|bandwidth| {
                seconds(&EngineDevice { memory: EngineMemory::Sustained(bandwidth), ..device.engine.clone() })
            });
            let joules = device.loaded_watts.zip(rate.joules);
            Judged {
                rate: index,
                device: place,
                ratio: alone / rate.seconds,
                measured_ratio: measured.map(|seconds| seconds / rate.seconds),
                joules_ratio: joules.map(|(watts, joules)| watts * alone / joules),
            }
        })
        .collect()
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

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;

/// The 90 % interval of `value` of the errors, from drawing as many devices with replacement; nothing for fewer than two.
pub fn interval(ratios: &[(usize, f64)], value: impl Fn(&Errors) -> f64) -> Option<(f64, f64)> {
    let mut each: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (device, ratio) in ratios {
        each.entry(*device).or_default().push(*ratio);
    }
    if each.len() < 2 {
        return None;
    }
    let devices: Vec<Vec<f64>> = each.into_values().collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut values = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let mut drawn = Vec::new();
        for place in 0..devices.len() {
            // Xorshift: the same draws at every run.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let device = &devices[((state >> 33) % devices.len() as u64) as usize];
            drawn.extend(device.iter().map(|ratio| (place, *ratio)));
        }
        values.extend(Errors::of(&drawn).map(|errors| (value(&errors), 1.0)));
    }
    Some((quantile(&values, 0.05), quantile(&values, 0.95)))
}

/// Every ratio over the median of its device's: what remains when each device has a factor of its own.
pub fn scaled(ratios: &[(usize, f64)]) -> Vec<(usize, f64)> {
    let own = |device: usize| -> Vec<(f64, f64)> {
        ratios.iter().filter(|(other, _)| *other == device).map(|(_, ratio)| (*ratio, 1.0)).collect()
    };
    ratios.iter().map(|(device, ratio)| (*device, ratio / quantile(&own(*device), 0.5))).collect()
}

/// Factors by which rates of one device, model, format and thread count differ that were published more than once.
pub fn repeated(data: &Data) -> Vec<f64> {
    let mut factors = Vec::new();
    for (place, one) in data.rates.iter().enumerate() {
        let same = data.rates[place + 1..].iter().filter(|other| {
            other.device == one.device && other.threads == one.threads && other.model == one.model
        });
        factors.extend(same.map(|other| (one.seconds / other.seconds).ln().abs().exp()));
    }
    factors
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
    fn an_interval_holds_the_value_and_narrows_with_devices_that_agree() {
        let apart: Vec<(usize, f64)> = (0..8).map(|device| (device, 1.0 + 0.1 * device as f64)).collect();
        let (low, high) = interval(&apart, |errors| errors.median).unwrap();
        let median = Errors::of(&apart).unwrap().median;
        assert!(low < median && median < high, "{low} {median} {high}");
        let agreeing: Vec<(usize, f64)> = (0..8).map(|device| (device, 1.2)).collect();
        let (low, high) = interval(&agreeing, |errors| errors.median).unwrap();
        assert!((low - 0.2).abs() < 1e-12 && (high - 0.2).abs() < 1e-12);
        assert_eq!(interval(&[(0, 1.0), (0, 2.0)], |errors| errors.median), None);
    }

    #[test]
    fn a_device_that_is_off_by_a_factor_is_right_once_scaled() {
        let ratios = scaled(&[(0, 3.0), (0, 3.0), (0, 3.3), (1, 0.5)]);
        let expected = [1.0, 1.0, 1.1, 1.0];
        assert!(ratios.iter().zip(expected).all(|((_, ratio), right)| (ratio - right).abs() < 1e-12));
    }

    #[test]
    fn too_slow_and_too_fast_count_the_same() {
        let errors = Errors::of(&[(0, 2.0), (1, 0.5)]).unwrap();
        assert!((errors.geometric - 2.0).abs() < 1e-12 && (errors.bias - 1.0).abs() < 1e-12);
    }
}
