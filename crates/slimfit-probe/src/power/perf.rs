//! The processor's energy counters as perf events: `power/energy-pkg/` and its siblings.

#[cfg(test)]
mod tests;

use super::counter::EnergyCounter;
use super::{MeterError, PowerMeter};
use crate::{SystemTree, parse_processor_list};
use std::io;

const METER: &str = "perf";
const FOLDER: &str = "/sys/bus/event_source/devices/power";
const HINT: &str = "events of the whole machine need CAP_PERFMON (root has it) or \
                    `sudo sysctl kernel.perf_event_paranoid=0`";

/// An event of the whole machine, counted on one processor of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// The number of the unit that counts it.
    pub unit: u32,
    /// Which of its events.
    pub config: u64,
    /// The processor that stands for its package.
    pub processor: usize,
}

/// Reads a counter that runs.
pub(crate) type Read = Box<dyn FnMut() -> io::Result<u64> + Send>;

/// The sum of all packages, and of their memory where it is counted; the whole platform where there are no packages.
pub struct PerfMeter {
    name: String,
    counters: Vec<(EnergyCounter, Read)>,
}

impl std::fmt::Debug for PerfMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerfMeter").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PerfMeter {
    /// Finds `energy-pkg` and `energy-ram` and opens both for every package. `energy-cores` and `energy-gpu` are parts of a
    /// package and left out; so is `energy-psys`, which holds the packages again, unless it is all there is.
    ///
    /// # Errors
    /// There are none, their unit is not joules, or the system refuses to count.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        if !tree.is_live() {
            return Self::find_with(tree, |_| Err(io::ErrorKind::Unsupported.into()));
        }
        Self::find_with(tree, open)
    }

    /// The same with another way to open an event.
    pub(crate) fn find_with(
        tree: &SystemTree,
        mut open: impl FnMut(Event) -> io::Result<Read>,
    ) -> Result<Self, MeterError> {
        let absent = |reason: String| MeterError::Absent { meter: METER, reason };
        let Some(unit) = tree.number(&format!("{FOLDER}/type")) else {
            return Err(absent(format!("no `{FOLDER}/type`")));
        };
        let unit = u32::try_from(unit).map_err(|_| absent(format!("`{FOLDER}/type` is no type: {unit}")))?;
        let processors = tree
            .read(&format!("{FOLDER}/cpumask"))
            .and_then(|mask| parse_processor_list(&mask))
            .filter(|processors| !processors.is_empty())
            .ok_or_else(|| absent(format!("`{FOLDER}/cpumask` names no processor")))?;
        let names = tree.names(&format!("{FOLDER}/events"));
        let has = |event: &str| names.iter().any(|name| name == event);
        let events: Vec<&str> = if has("energy-pkg") {
            ["energy-pkg", "energy-ram"].into_iter().filter(|event| has(event)).collect()
        } else if has("energy-psys") {
            vec!["energy-psys"]
        } else {
            return Err(absent(format!("no `energy-pkg` below `{FOLDER}/events`")));
        };
        let mut counters = Vec::new();
        for event in &events {
            let (config, joules) = description(tree, event)?;
            // The platform is one, whichever package tells of it.
            let packages = if *event == "energy-psys" { &processors[..1] } else { &processors[..] };
            for &processor in packages {
                let label = format!("power/{event}/ of processor {processor}");
                let event = Event { unit, config, processor: processor as usize };
                let mut read = open(event).map_err(|error| refused(&label, &error))?;
                let first = read().map_err(|error| refused(&label, &error))?;
                counters.push((EnergyCounter::new(METER, label, joules, first as f64), read));
            }
        }
        let packages = if processors.len() > 1 && events[0] != "energy-psys" {
            format!(" of {} packages", processors.len())
        } else {
            String::new()
        };
        Ok(Self { name: format!("perf ({}{packages})", events.join(", ")), counters })
    }
}

fn refused(label: &str, error: &io::Error) -> MeterError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            MeterError::Forbidden { meter: METER, file: label.to_owned(), hint: HINT }
        }
        _ => MeterError::Absent { meter: METER, reason: format!("`{label}` cannot be counted: {error}") },
    }
}

/// The event's number and joules per count: `event=0x02`, with `.scale` and `.unit` beside it.
fn description(tree: &SystemTree, event: &str) -> Result<(u64, f64), MeterError> {
    let file = format!("{FOLDER}/events/{event}");
    let wrong = |what: &str, found: Option<String>| {
        let found = found.unwrap_or_else(|| "nothing".to_owned());
        MeterError::Implausible {
            meter: METER,
            reason: format!("`{file}{what}` is not understood: `{found}`"),
        }
    };
    let text = tree.read(&file);
    let number = text.as_deref().and_then(|text| text.strip_prefix("event=0x"));
    let config = number.and_then(|number| u64::from_str_radix(number, 16).ok());
    let config = config.ok_or_else(|| wrong("", text))?;
    let unit = tree.read(&format!("{file}.unit"));
    if unit.as_deref() != Some("Joules") {
        return Err(wrong(".unit", unit));
    }
    let scale = tree.read(&format!("{file}.scale"));
    let joules = scale.as_deref().and_then(|scale| scale.parse().ok()).filter(|joules: &f64| *joules > 0.0);
    Ok((config, joules.ok_or_else(|| wrong(".scale", scale))?))
}

/// Opens an event of the running system.
#[cfg(target_os = "linux")]
fn open(event: Event) -> io::Result<Read> {
    let mut builder = perf_event::Builder::new().any_pid().one_cpu(event.processor);
    // These units refuse every filter: they count for everyone or not at all.
    builder.exclude_kernel(false).exclude_hv(false);
    let attributes = builder.attrs_mut();
    attributes.type_ = event.unit;
    attributes.config = event.config;
    let mut counter = builder.build()?;
    counter.enable()?;
    Ok(Box::new(move || counter.read()))
}

#[cfg(not(target_os = "linux"))]
fn open(_: Event) -> io::Result<Read> {
    Err(io::ErrorKind::Unsupported.into())
}

impl PowerMeter for PerfMeter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        let mut joules = 0.0;
        for (counter, read) in &mut self.counters {
            let now =
                read().map_err(|_| MeterError::Vanished { meter: METER, file: counter.label.clone() })?;
            joules += counter.add(now as f64, seconds)?;
        }
        Ok(joules)
    }

    fn interval_seconds(&self) -> f64 {
        0.001
    }

    fn tells_watts(&self) -> bool {
        false
    }
}
