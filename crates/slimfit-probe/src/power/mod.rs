//! Power, from whatever the system offers; where nothing measures it, it is unavailable and never assumed.

mod battery;
mod hwmon;
mod powercap;

use crate::cells::bandwidth::working_sets;
use crate::sentinel::{PeakSentinel, ReadSentinel};
use crate::{ProbeError, ProbeOptions, SystemTree};
use slimfit_hardware::{LoadedPower, PeakType, Power};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Figure, Measured};
use std::time::{Duration, Instant};

/// Something that counts the device's energy or states its power.
pub trait PowerMeter {
    /// Where it was found: `powercap package-0`, `hwmon ina3221` …
    fn name(&self) -> String;
    /// Joules since the meter was opened.
    ///
    /// # Errors
    /// Why it does not answer: it vanished, access was withdrawn, or it counts backwards.
    fn joules(&mut self) -> Result<f64, String>;
}

/// The first meter that answers, or why none does.
///
/// # Errors
/// What each kind of meter said.
pub fn find_meter(tree: &SystemTree) -> Result<Box<dyn PowerMeter>, String> {
    let mut reasons = Vec::new();
    match powercap::Powercap::open(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(reason) => reasons.push(reason),
    }
    match hwmon::Hwmon::open(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(reason) => reasons.push(reason),
    }
    match battery::Battery::open(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(reason) => reasons.push(reason),
    }
    Err(format!("no power meter answers: {}", reasons.join("; ")))
}

/// Idle and loaded power, where a meter answers.
///
/// # Errors
/// A load cannot be set up.
pub(crate) fn measure(tree: &SystemTree, counts: &[u32], options: &ProbeOptions) -> Result<Power, ProbeError> {
    let mut meter = match find_meter(tree) {
        Ok(meter) => meter,
        Err(reason) => return Ok(unavailable(None, &reason)),
    };
    let name = meter.name();
    // Meters refresh every few milliseconds to a second, so a window spans several refreshes.
    let window = Duration::from_secs_f64((options.budget_seconds * 0.02).clamp(0.2, 2.0));
    let idle = watts(meter.as_mut(), window, || std::thread::sleep(Duration::from_millis(5)));
    let idle = match idle {
        Ok(idle) => idle,
        Err(reason) => return Ok(unavailable(Some(name), &reason)),
    };
    let mut loaded = Vec::new();
    let (mut joules_per_byte, mut joules_per_op) = (None, None);
    for &threads in counts {
        let pool = Pool::new(threads as usize)?;
        let largest = working_sets_end(tree)?;
        let read = ReadSentinel::new(&pool, largest, options.isa)?;
        let mut rates = Vec::new();
        if let Ok(power) = watts(meter.as_mut(), window, || rates.push(read.bytes_per_s(&pool))) {
            let each = |watts: f64| (watts - idle.value()).max(0.0) / slimfit_quantity::median(&rates);
            joules_per_byte = power.map(each);
            loaded.push(LoadedPower { class: "read".to_owned(), threads, watts: power.figure() });
        }
        let peak = PeakSentinel::new(&pool, PeakType::F32, options.isa)?;
        let mut rates = Vec::new();
        if let Ok(power) = watts(meter.as_mut(), window, || rates.push(peak.ops_per_s(&pool))) {
            let each = |watts: f64| (watts - idle.value()).max(0.0) / slimfit_quantity::median(&rates);
            joules_per_op = power.map(each);
            loaded.push(LoadedPower { class: "compute".to_owned(), threads, watts: power.figure() });
        }
    }
    let figure = |measured: Option<Measured>| {
        measured.map_or_else(|| Figure::unavailable("the meter stopped answering under load"), |m| m.figure())
    };
    Ok(Power {
        meter: Some(name),
        idle_watts: idle.figure(),
        loaded,
        joules_per_byte: figure(joules_per_byte),
        joules_per_op: figure(joules_per_op),
    })
}

fn working_sets_end(tree: &SystemTree) -> Result<u64, ProbeError> {
    let system = crate::SystemDescription::read(tree, &crate::allowed_processors())?;
    Ok(working_sets(&system.topology).last().copied().unwrap_or(64 << 20))
}

fn unavailable(meter: Option<String>, reason: &str) -> Power {
    Power {
        meter,
        idle_watts: Figure::unavailable(reason),
        loaded: Vec::new(),
        joules_per_byte: Figure::unavailable(reason),
        joules_per_op: Figure::unavailable(reason),
    }
}

/// Mean watts over three windows while `load` is run again and again.
fn watts(meter: &mut dyn PowerMeter, window: Duration, mut load: impl FnMut()) -> Result<Measured, String> {
    let mut samples = Vec::new();
    for _ in 0..3 {
        let (start, before) = (Instant::now(), meter.joules()?);
        while start.elapsed() < window {
            load();
        }
        samples.push((meter.joules()? - before) / start.elapsed().as_secs_f64());
    }
    // A counter that stands still is no measurement of zero watts.
    Measured::new(samples)
        .filter(|measured| measured.value() > 0.0)
        .ok_or_else(|| format!("`{}` does not count", meter.name()))
}

/// Energy of a source that states watts: watts × time since the last look.
#[derive(Debug)]
struct Integral {
    joules: f64,
    last: Instant,
}

impl Integral {
    fn new() -> Self {
        Self { joules: 0.0, last: Instant::now() }
    }

    fn add(&mut self, watts: f64) -> f64 {
        let now = Instant::now();
        self.joules += watts * (now - self.last).as_secs_f64();
        self.last = now;
        self.joules
    }
}
