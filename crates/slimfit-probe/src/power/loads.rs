//! Watts idle, reading memory and computing.

use super::{MeterError, PowerMeter};
use crate::ProbeError;
use crate::cells::{Pools, bandwidth, peak, threads_in_words};
use crate::schedule::Progress;
use slimfit_hardware::{LoadedPower, Power};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, PeakLoop, ReadLoop};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Figure, Measured};
use std::time::{Duration, Instant};

/// Stretches per load at most: each gives one sample of watts.
const STRETCHES: u32 = 5;
/// Share of a load's time that may pass before the meter has caught up with it.
const LARGEST_SETTLING: f64 = 0.3;
/// Shares of a budget that power may take: as a rule, and for meters that are read seldom.
const SHARES_OF_BUDGET: (f64, f64) = (0.15, 0.5);
/// Readings of the meter that a load should last for.
const READINGS: f64 = 6.0;
/// Seconds between two readings at least: reading some sensors takes a millisecond of a processor's time.
const SHORTEST_PAUSE: f64 = 0.005;

/// What keeps the machine busy.
pub(crate) struct Loads<'a> {
    words: &'a [f64],
    read: &'static ReadLoop,
    peak: &'static PeakLoop,
    pools: &'a Pools,
}

impl<'a> Loads<'a> {
    pub fn new(buffer: &'a Buffer, pools: &'a Pools, isa: Isa) -> Result<Self, ProbeError> {
        let peak = peak::richest("f32", isa).ok_or(ProbeError::NoLoop { what: "f32", isa: isa.name() })?;
        Ok(Self { words: buffer.as_f64(), read: bandwidth::read_loop(4, isa)?, peak, pools })
    }

    /// Reads the whole buffer once; returns the bytes.
    fn read_once(&self, pool: &Pool) -> f64 {
        let share = self.words.len() / pool.threads();
        pool.run(|worker| {
            std::hint::black_box(self.read.run(&self.words[worker.index * share..][..share], 1));
        });
        (share * pool.threads() * 8) as f64
    }

    /// Computes for some milliseconds; returns the operations.
    fn compute_once(&self, pool: &Pool) -> f64 {
        let iterations = 1_000_000;
        pool.run(|_| {
            std::hint::black_box(self.peak.run(iterations));
        });
        (iterations * self.peak.operations) as f64 * pool.threads() as f64
    }
}

/// What the meter said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PowerMeasurement(Power);

impl PowerMeasurement {
    /// Nothing, and why.
    pub fn unavailable(reason: &str) -> Self {
        let figure = || Figure::unavailable(reason);
        Self(Power {
            meter: None,
            idle_watts: figure(),
            loaded: Vec::new(),
            joules_per_byte: figure(),
            joules_per_op: figure(),
        })
    }

    pub fn finish(self) -> Power {
        self.0
    }
}

/// Samples of one load: watts, and work per second.
struct Samples {
    watts: Vec<f64>,
    work_per_s: Vec<f64>,
}

/// The time of one load, cut into what the meter needs to catch up and stretches that it can tell apart.
struct Pace {
    settling: Duration,
    stretch: Duration,
    stretches: u32,
    pause: Duration,
}

impl Pace {
    /// Nothing when a load is over before the meter is read twice.
    fn new(time: Duration, interval_seconds: f64) -> Option<Self> {
        let seconds = time.as_secs_f64();
        let settling = (1.5 * interval_seconds).min(LARGEST_SETTLING * seconds);
        let measured = seconds - settling;
        if measured < interval_seconds {
            return None;
        }
        let stretches = ((measured / interval_seconds.max(1e-9)) as u32).clamp(1, STRETCHES);
        Some(Self {
            settling: Duration::from_secs_f64(settling),
            stretch: Duration::from_secs_f64(measured / f64::from(stretches)),
            stretches,
            pause: Duration::from_secs_f64((interval_seconds / 4.0).max(SHORTEST_PAUSE)),
        })
    }
}

/// Share of a budget of seconds that power takes with this meter and so many thread counts.
pub(crate) fn share_of_budget(meter: &dyn PowerMeter, thread_counts: usize, budget_seconds: f64) -> f64 {
    let wanted = READINGS * meter.interval_seconds() * f64::from(steps(thread_counts)) / budget_seconds;
    wanted.clamp(SHARES_OF_BUDGET.0, SHARES_OF_BUDGET.1)
}

/// Idle before and after, and two classes of load at each thread count.
fn steps(thread_counts: usize) -> u32 {
    2 + 2 * thread_counts as u32
}

/// Watts while `work` runs. `work` returns how much it did.
fn watts(
    meter: &mut dyn PowerMeter,
    start: Instant,
    pace: &Pace,
    mut work: impl FnMut() -> f64,
) -> Result<Samples, MeterError> {
    let mut samples = Samples { watts: Vec::new(), work_per_s: Vec::new() };
    let settled = Instant::now() + pace.settling;
    while Instant::now() < settled {
        work();
    }
    for _ in 0..pace.stretches {
        let (begin, before) = (Instant::now(), meter.joules(start.elapsed().as_secs_f64())?);
        let mut read = begin;
        let mut done = 0.0;
        while begin.elapsed() < pace.stretch {
            done += work();
            // Meters that tell watts need readings in between.
            if read.elapsed() >= pace.pause {
                meter.joules(start.elapsed().as_secs_f64())?;
                read = Instant::now();
            }
        }
        let after = meter.joules(start.elapsed().as_secs_f64())?;
        let seconds = begin.elapsed().as_secs_f64();
        samples.watts.push((after - before) / seconds);
        samples.work_per_s.push(done / seconds);
    }
    Ok(samples)
}

/// Measures idle, each load at each thread count, and idle again, until `deadline`. `found` is when the meter was opened.
pub(crate) fn measure(
    meter: &mut dyn PowerMeter,
    found: Instant,
    loads: &Loads<'_>,
    deadline: Instant,
    span: (f64, f64),
    progress: &mut Progress<'_>,
) -> Result<PowerMeasurement, ProbeError> {
    let steps = steps(loads.pools.iter().len());
    let left = deadline.saturating_duration_since(Instant::now());
    let each = left.max(Duration::from_millis(200) * steps) / steps;
    let interval = meter.interval_seconds();
    let Some(pace) = Pace::new(each, interval) else {
        return Ok(PowerMeasurement::unavailable(&format!(
            "{}: it tells something new every {interval:.1} s, and each load had {:.1} s: give a longer budget",
            meter.name(),
            each.as_secs_f64()
        )));
    };
    let mut done = 0;
    let mut say = |what: &str| {
        done += 1;
        let share = span.0 + (span.1 - span.0) * f64::from(done - 1) / f64::from(steps);
        if progress(what, share) { Ok(()) } else { Err(ProbeError::Stopped) }
    };
    let rest = || {
        std::thread::sleep(Duration::from_millis(20));
        0.0
    };
    let unavailable = |error: MeterError| Ok(PowerMeasurement::unavailable(&error.to_string()));
    say("power, idle")?;
    let mut idle = match watts(meter, found, &pace, rest) {
        Ok(samples) => samples.watts,
        Err(error) => return unavailable(error),
    };
    let mut loaded = Vec::new();
    let mut samples = Vec::new();
    for pool in loads.pools.iter() {
        for class in ["read", "compute"] {
            say(&format!("power, {class}, {}", threads_in_words(pool)))?;
            let found = if class == "read" {
                watts(meter, found, &pace, || loads.read_once(pool))
            } else {
                watts(meter, found, &pace, || loads.compute_once(pool))
            };
            loaded.push((class, pool.threads() as u32));
            match found {
                Ok(found) => samples.push(found),
                Err(error) => return unavailable(error),
            }
        }
    }
    say("power, idle")?;
    match watts(meter, found, &pace, rest) {
        Ok(samples) => idle.extend(samples.watts),
        Err(error) => return unavailable(error),
    }
    Ok(PowerMeasurement(summarise(meter.name(), &idle, &loaded, &samples)))
}

/// Energy per byte and per operation is what a load draws above idle, ÷ its rate, at the largest thread count.
fn summarise(name: &str, idle: &[f64], loaded: &[(&str, u32)], samples: &[Samples]) -> Power {
    let figure = |samples: Vec<f64>| match Measured::new(samples) {
        Some(measured) if measured.summary.minimum > 0.0 => measured.figure(),
        _ => Figure::unavailable("the meter stood still: it reads zero, or too rarely for this budget"),
    };
    let idle_figure = figure(idle.to_vec());
    let per_work = |class: &str| {
        let found = loaded
            .iter()
            .zip(samples)
            .filter(|((name, _), _)| *name == class)
            .max_by_key(|((_, threads), _)| *threads);
        let (Some((_, samples)), Some(idle)) = (found, idle_figure.value) else {
            return Figure::unavailable("idle or loaded power is not known");
        };
        let joules: Vec<f64> = samples
            .watts
            .iter()
            .zip(&samples.work_per_s)
            .map(|(watts, rate)| (watts - idle) / rate)
            .collect();
        match Measured::new(joules) {
            Some(measured) if measured.summary.lower_quartile > 0.0 => measured.figure(),
            _ => Figure::unavailable("the load drew no more than idle: the meter does not see it"),
        }
    };
    Power {
        meter: Some(name.to_owned()),
        joules_per_byte: per_work("read"),
        joules_per_op: per_work("compute"),
        loaded: loaded
            .iter()
            .zip(samples)
            .map(|((class, threads), samples)| LoadedPower {
                class: (*class).to_owned(),
                threads: *threads,
                watts: figure(samples.watts.clone()),
            })
            .collect(),
        idle_watts: idle_figure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_per_work_is_above_idle() {
        let loaded = [("read", 1), ("compute", 1), ("read", 2), ("compute", 2)];
        let samples = [(20.0, 1e10), (30.0, 1e11), (30.0, 2e10), (50.0, 2e11)]
            .map(|(watts, rate)| Samples { watts: vec![watts; 5], work_per_s: vec![rate; 5] });
        let power = summarise("test", &[10.0; 10], &loaded, &samples);
        assert_eq!(power.idle_watts.value, Some(10.0));
        assert_eq!(power.joules_per_byte.value, Some(20.0 / 2e10));
        assert_eq!(power.joules_per_op.value, Some(40.0 / 2e11));
        assert_eq!(power.loaded[3].watts.value, Some(50.0));
    }

    /// Tells joules by a rule of the seconds; ends where the rule gives none.
    struct Rule(fn(f64) -> Option<f64>, f64);

    impl PowerMeter for Rule {
        fn name(&self) -> &str {
            "rule"
        }

        fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
            let ended = MeterError::Ended { meter: "rule", reason: "it ended".to_owned() };
            (self.0)(seconds).ok_or(ended)
        }

        fn interval_seconds(&self) -> f64 {
            self.1
        }

        fn tells_watts(&self) -> bool {
            false
        }
    }

    fn measured(mut meter: Rule) -> (Power, Vec<String>) {
        let isa = Isa::Portable;
        let buffer = crate::cells::buffer(1 << 20, slimfit_kernels::limits::HugePages::Never).unwrap();
        let pools = Pools::new(&[1]).unwrap();
        let loads = Loads::new(&buffer, &pools, isa).unwrap();
        let mut steps = Vec::new();
        let now = Instant::now();
        let measured = measure(&mut meter, now, &loads, now, (0.0, 1.0), &mut |step, _| {
            steps.push(step.to_owned());
            true
        });
        (measured.unwrap().finish(), steps)
    }

    #[test]
    fn idle_is_measured_before_and_after_the_loads() {
        let (power, steps) = measured(Rule(|seconds| Some(5.0 * seconds), 0.001));
        assert_eq!(steps.first(), steps.last());
        assert_eq!(steps.len(), 4);
        assert_eq!(power.idle_watts.n, u64::from(2 * STRETCHES));
        assert!(power.idle_watts.value.is_some_and(|watts| (watts - 5.0).abs() < 0.5), "{power:?}");
        let classes: Vec<&str> = power.loaded.iter().map(|load| load.class.as_str()).collect();
        assert_eq!(classes, ["read", "compute"]);
    }

    #[test]
    fn a_meter_that_ends_half_way_leaves_no_power_but_its_reason() {
        let (power, steps) = measured(Rule(|seconds| (seconds < 0.3).then_some(5.0 * seconds), 0.001));
        assert!(steps.len() < 4, "{steps:?}");
        assert_eq!((power.meter, power.loaded.len()), (None, 0));
        assert_eq!(power.idle_watts.reason.as_deref(), Some("rule: it ended"));
    }

    #[test]
    fn a_meter_that_is_too_slow_for_the_budget_says_what_helps() {
        let (power, steps) = measured(Rule(Some, 60.0));
        assert!(steps.is_empty());
        let reason = power.idle_watts.reason.unwrap();
        assert!(reason.contains("every 60.0 s") && reason.contains("longer budget"), "{reason}");
    }

    #[test]
    fn a_slow_meter_gets_longer_stretches_or_is_refused() {
        let fast = Pace::new(Duration::from_secs(1), 0.001).unwrap();
        assert_eq!(fast.stretches, STRETCHES);
        let slow = Pace::new(Duration::from_secs(4), 1.0).unwrap();
        assert_eq!((slow.settling.as_secs_f64(), slow.stretches), (1.2, 2));
        assert!(slow.stretch.as_secs_f64() >= 1.0);
        assert!(Pace::new(Duration::from_secs(1), 1.0).is_none());
    }

    #[test]
    fn a_meter_that_stands_still_is_unavailable() {
        let samples = [(0.0, 1e10), (0.0, 1e11)]
            .map(|(watts, rate)| Samples { watts: vec![watts; 5], work_per_s: vec![rate; 5] });
        let power = summarise("test", &[0.0; 10], &[("read", 1), ("compute", 1)], &samples);
        assert_eq!(power.idle_watts.value, None);
        assert_eq!(power.joules_per_byte.value, None);
        assert!(power.idle_watts.reason.is_some());
    }
}
