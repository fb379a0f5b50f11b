//! Energy of tokens, requests and whole batteries: power × time, with the power of each class of kernel.
//!
//! An operation joins its two times by the 2-norm, so of its seconds `memory² ÷ seconds` belong to reading and
//! `compute² ÷ seconds` to computing: the two add up, and each is the time that would go if its cause went, to first order.
//! The former draw the watts of the `read` load, the latter those of `compute`; barriers are waits on memory.

use crate::{CostError, Prediction};
use slimfit_hardware::{HardwareProfile, LoadedPower};
use slimfit_quantity::{Figure, Predicted, Source};
use std::ops::{Add, Mul};

/// Relative half-width of the 90 % interval that any power gets beside the scatter of its samples: real models draw a
/// little more or less than the two loads that were measured. Chosen, not fitted.
pub const POWER_HALF_WIDTH: f64 = 0.10;
/// Half the 90 % interval of a normal distribution over half of its interquartile range.
const QUARTILES_TO_90_PERCENT: f64 = 1.645 / 0.6745;
const SECONDS_PER_HOUR: f64 = 3600.0;
const JOULES_PER_WATT_HOUR: f64 = 3600.0;

/// Seconds at work, split by what they are spent on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BusyTime {
    /// All of them.
    pub seconds: f64,
    /// Those that belong to computing; the others are spent on memory.
    pub compute_seconds: f64,
}

impl Add for BusyTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            compute_seconds: self.compute_seconds + other.compute_seconds,
        }
    }
}

impl Mul<f64> for BusyTime {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { seconds: self.seconds * times, compute_seconds: self.compute_seconds * times }
    }
}

impl std::iter::Sum for BusyTime {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), Add::add)
    }
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestPattern {
    /// Requests in an hour; the device idles between them. Nothing: one right after the other.
    pub requests_per_hour: Option<f64>,
    /// Seconds before each request in which the device wakes up and reads the weights from where they are stored; they draw
    /// the watts of the `read` load. 0 where the model stays in memory.
    pub wake_up_seconds: f64,
}

/// What a request costs, from one request to the next. All figures are modelled; their intervals hold 90 %.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestEnergy {
    /// Seconds at work: waking up, prompt and answer.
    pub busy_seconds: Predicted,
    /// Joules of waking up.
    pub wake_up_joules: Figure,
    /// Joules of the prompt.
    pub prefill_joules: Figure,
    /// Joules of the answer.
    pub decode_joules: Figure,
    /// Joules of idling until the next request.
    pub idle_joules: Figure,
    /// Joules of all four.
    pub request_joules: Figure,
    /// Watts on average over work and idling.
    pub mean_watts: Figure,
    /// Joules of a request over its generated tokens.
    pub joules_per_token: Figure,
    /// Generated tokens for a watt-hour.
    pub tokens_per_watt_hour: Figure,
}

/// Watts of one thread count.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ClassWatts {
    threads: u32,
    read: Predicted,
    compute: Predicted,
}

/// The power of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyModel {
    /// Idle, or why it is not known.
    idle: Result<Predicted, String>,
    classes: Vec<ClassWatts>,
    /// Where watts come from that were not measured on the device.
    origin: Option<String>,
}

impl EnergyModel {
    /// Reads idle and loaded watts from `profile`. Where one class of load is missing at a thread count, the other stands
    /// for it.
    ///
    /// # Errors
    /// When the profile holds no loaded power: the reason that it gives.
    pub fn new(profile: &HardwareProfile) -> Result<Self, CostError> {
        let power = &profile.power;
        let watts = |class: &str, threads: u32| {
            let of_class = |load: &&LoadedPower| load.class == class && load.threads == threads;
            power.loaded.iter().find(of_class).and_then(|load| with_allowance(&load.watts))
        };
        let mut counts: Vec<u32> = power.loaded.iter().map(|load| load.threads).collect();
        counts.sort_unstable();
        counts.dedup();
        let classes: Vec<ClassWatts> = counts
            .into_iter()
            .filter_map(|threads| {
                let (read, compute) = (watts("read", threads), watts("compute", threads));
                Some(ClassWatts { threads, read: read.or(compute)?, compute: compute.or(read)? })
            })
            .collect();
        let reason =
            |figure: &Figure, otherwise: &str| figure.reason.clone().unwrap_or_else(|| otherwise.to_owned());
        if classes.is_empty() {
            return Err(CostError::NoPower {
                reason: reason(&power.idle_watts, "the profile holds no loaded power"),
            });
        }
        let idle = with_allowance(&power.idle_watts)
            .ok_or_else(|| reason(&power.idle_watts, "the profile holds no idle power"));
        let origin = power.loaded.iter().find_map(|load| load.watts.citation.clone());
        Ok(Self { idle, classes, origin })
    }

    /// The same, with the load of the most threads standing for each of `counts` that has none: one full load of a
    /// published device stands for any number of threads.
    pub fn standing_for(mut self, counts: &[u32]) -> Self {
        let fullest = self.classes.iter().max_by_key(|watts| watts.threads).copied();
        for &threads in counts {
            if self.class(threads).is_none() {
                self.classes.extend(fullest.map(|fullest| ClassWatts { threads, ..fullest }));
            }
        }
        self
    }

    /// Joules of `time` with `threads` threads, the central value alone; nothing for a thread count whose power is not
    /// known.
    pub fn joules(&self, time: BusyTime, threads: u32) -> Option<f64> {
        let watts = self.class(threads)?;
        let (read, compute) = (watts.read.value, watts.compute.value);
        Some(read * (time.seconds - time.compute_seconds) + compute * time.compute_seconds)
    }

    /// Joules of a time whose 90 % interval is `seconds` and whose parts stand to each other as in `time`.
    pub fn figure(&self, time: BusyTime, seconds: Predicted, threads: u32) -> Figure {
        match self.joined(time, seconds, threads) {
            Ok(joules) => self.modelled(joules),
            Err(reason) => Figure::unavailable(reason),
        }
    }

    /// What a request of `prediction`'s prompt and answer costs when requests come as in `pattern`.
    ///
    /// # Errors
    /// A pattern that cannot be: negative, not finite, or more requests than the device can serve; a prompt whose time
    /// nothing predicts.
    pub fn request(
        &self,
        prediction: &Prediction,
        pattern: RequestPattern,
    ) -> Result<RequestEnergy, CostError> {
        let wake_up = pattern.wake_up_seconds;
        if !(wake_up.is_finite() && wake_up >= 0.0) {
            return Err(CostError::Pattern { what: "seconds to wake up", found: wake_up.to_string() });
        }
        if let Some(rate) = pattern.requests_per_hour.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(CostError::Pattern { what: "requests an hour", found: rate.to_string() });
        }
        let (run, threads) = (prediction.run, prediction.threads);
        let tokens = run.generated_tokens as f64;
        let times = |seconds: Predicted, times: f64| seconds.map(|seconds| seconds * times);
        let exactly = |value: f64| Predicted { value, low: value, high: value };
        let waking = BusyTime { seconds: wake_up, compute_seconds: 0.0 };
        let prompt = match run.prompt_tokens {
            0 => exactly(0.0),
            _ => prediction.ttft_seconds.ok_or(CostError::Prefill)?,
        };
        let answer = times(prediction.tpot_seconds, tokens);
        let busy = sum(&[exactly(wake_up), prompt, answer]);
        let period = match pattern.requests_per_hour {
            Some(rate) => SECONDS_PER_HOUR / rate,
            None => busy.value,
        };
        // A hair of rounding apart, a device that is always at work serves as many as it can.
        if period < busy.value * (1.0 - 1e-9) {
            return Err(CostError::TooManyRequests {
                requests_per_hour: SECONDS_PER_HOUR / period,
                most: SECONDS_PER_HOUR / busy.value,
            });
        }
        let parts = [
            self.joined(waking, exactly(wake_up), threads),
            self.joined(prediction.prefill_time, prompt, threads),
            self.joined(prediction.decode_time, answer, threads),
        ];
        let back_to_back = pattern.requests_per_hour.is_none();
        let idle = match &self.idle {
            _ if back_to_back => Ok(exactly(0.0)),
            Ok(idle) => Ok(Predicted {
                value: idle.value * (period - busy.value).max(0.0),
                low: idle.low * (period - busy.high).max(0.0),
                high: idle.high * (period - busy.low).max(0.0),
            }),
            Err(reason) => Err(reason.clone()),
        };
        let whole = || -> Result<Predicted, String> {
            let [waking, prefill, decode] = parts.clone();
            let (active, idle) = (sum(&[waking?, prefill?, decode?]), idle.clone()?);
            let idle_watts = if back_to_back { exactly(0.0) } else { self.idle.clone()? };
            Ok(Predicted {
                value: active.value + idle.value,
                // What is quicker done idles longer, and the other way round.
                low: active.low + idle_watts.low * (period - busy.low).max(0.0),
                high: active.high + idle_watts.high * (period - busy.high).max(0.0),
            })
        };
        let whole = whole();
        let figure = |joules: &Result<Predicted, String>| match joules {
            Ok(joules) => self.modelled(*joules),
            Err(reason) => Figure::unavailable(reason.clone()),
        };
        let of_whole = |map: &dyn Fn(f64) -> f64| figure(&whole.clone().map(|joules| joules.map(map)));
        let per_token = |map: &dyn Fn(f64) -> f64| {
            if tokens > 0.0 { of_whole(map) } else { Figure::unavailable("no token is generated") }
        };
        Ok(RequestEnergy {
            busy_seconds: busy,
            wake_up_joules: figure(&parts[0]),
            prefill_joules: figure(&parts[1]),
            decode_joules: figure(&parts[2]),
            idle_joules: figure(&idle),
            request_joules: figure(&whole),
            mean_watts: of_whole(&|joules| joules / period),
            joules_per_token: per_token(&|joules| joules / tokens),
            tokens_per_watt_hour: per_token(&|joules| tokens * JOULES_PER_WATT_HOUR / joules),
        })
    }

    fn class(&self, threads: u32) -> Option<&ClassWatts> {
        self.classes.iter().find(|watts| watts.threads == threads)
    }

    fn joined(&self, time: BusyTime, seconds: Predicted, threads: u32) -> Result<Predicted, String> {
        let Some(class) = self.class(threads) else {
            return Err(format!("the profile holds no power with {threads} threads"));
        };
        let computing = if time.seconds > 0.0 { time.compute_seconds / time.seconds } else { 0.0 };
        let mixed = |read: f64, compute: f64| read * (1.0 - computing) + compute * computing;
        let watts = Predicted {
            value: mixed(class.read.value, class.compute.value),
            low: mixed(class.read.low, class.compute.low),
            high: mixed(class.read.high, class.compute.high),
        };
        Ok(product(watts, seconds))
    }

    fn modelled(&self, value: Predicted) -> Figure {
        Figure { citation: self.origin.clone(), ..value.figure() }
    }
}

impl RequestEnergy {
    /// Hours that a battery of so many watt-hours lasts.
    pub fn battery_hours(&self, watt_hours: f64) -> Figure {
        self.on_battery(|mean_watts| watt_hours / mean_watts)
    }

    /// The figure of mean watts in a unit that falls as they rise.
    fn on_battery(&self, map: impl Fn(f64) -> f64) -> Figure {
        let watts = &self.mean_watts;
        match (watts.value, watts.low, watts.high) {
            (Some(value), Some(low), Some(high)) => Figure {
                citation: watts.citation.clone(),
                ..Predicted { value, low, high }.map(map).figure()
            },
            _ => watts.clone(),
        }
    }
}

/// A power with its 90 % interval: the scatter of its samples where it was measured, its own interval elsewhere, joined
/// with [`POWER_HALF_WIDTH`].
fn with_allowance(watts: &Figure) -> Option<Predicted> {
    let value = watts.value.filter(|value| *value > 0.0)?;
    let exponent = if watts.source == Source::Measured { QUARTILES_TO_90_PERCENT } else { 1.0 };
    let bound = |bound: Option<f64>| {
        let bound = bound.filter(|bound| *bound > 0.0).unwrap_or(value);
        value * (bound / value).powf(exponent)
    };
    let scatter = Predicted { value, low: bound(watts.low), high: bound(watts.high) };
    Some(product(scatter, Predicted::within_factor(1.0, 1.0 + POWER_HALF_WIDTH)))
}

/// The product of two positive quantities that err independently: relative errors join in quadrature.
fn product(a: Predicted, b: Predicted) -> Predicted {
    let value = a.value * b.value;
    if value <= 0.0 {
        return Predicted { value, low: value, high: value };
    }
    let below = (a.value / a.low).ln().hypot((b.value / b.low).ln());
    let above = (a.high / a.value).ln().hypot((b.high / b.value).ln());
    Predicted { value, low: value / below.exp(), high: value * above.exp() }
}

/// The sum of quantities that err together: one device, one profile.
fn sum(parts: &[Predicted]) -> Predicted {
    let add = |of: fn(&Predicted) -> f64| parts.iter().map(of).sum();
    Predicted { value: add(|part| part.value), low: add(|part| part.low), high: add(|part| part.high) }
}

#[cfg(test)]
mod tests;
