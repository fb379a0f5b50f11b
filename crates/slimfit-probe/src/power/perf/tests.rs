//! Perf energy events of an imitated system.

use super::*;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Joules per count that the kernel states for RAPL: 2⁻³².
const SCALE: &str = "2.3283064365386962890625e-10";
const COUNTS_PER_JOULE: u64 = 1 << 32;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

/// A system whose processors stand for packages and that counts these events.
fn system(cpumask: &str, events: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("{FOLDER}/type"), "23\n");
    write(root.path(), &format!("{FOLDER}/cpumask"), cpumask);
    for (event, config) in events {
        write(root.path(), &format!("{FOLDER}/events/{event}"), &format!("event={config}\n"));
        write(root.path(), &format!("{FOLDER}/events/{event}.scale"), SCALE);
        write(root.path(), &format!("{FOLDER}/events/{event}.unit"), "Joules\n");
    }
    root
}

const USUAL: [(&str, &str); 4] =
    [("energy-cores", "0x01"), ("energy-pkg", "0x02"), ("energy-ram", "0x03"), ("energy-psys", "0x05")];

/// Counters that tests move; those opened, in order.
#[derive(Clone, Default)]
struct Counters(Arc<Mutex<Vec<Opened>>>);

/// An event and where its counter stands, nothing where it is gone.
type Opened = (Event, Option<u64>);

impl Counters {
    fn open(&self, event: Event) -> io::Result<Read> {
        let mut all = self.0.lock().unwrap();
        let place = all.len();
        all.push((event, Some(7)));
        let counters = self.clone();
        Ok(Box::new(move || {
            counters.0.lock().unwrap()[place].1.ok_or_else(|| io::ErrorKind::NotFound.into())
        }))
    }

    fn set(&self, place: usize, value: Option<u64>) {
        self.0.lock().unwrap()[place].1 = value;
    }
}

fn meter(root: &tempfile::TempDir, counters: &Counters) -> Result<PerfMeter, MeterError> {
    PerfMeter::find_with(&SystemTree::below(root.path()), |event| counters.open(event))
}

#[test]
fn perf_sums_package_and_memory_in_units_of_its_scale_and_leaves_out_core_and_psys() {
    let (root, counters) = (system("0\n", &USUAL), Counters::default());
    let mut meter = meter(&root, &counters).unwrap();
    assert_eq!(meter.name(), "perf (energy-pkg, energy-ram)");
    let opened: Vec<Event> = counters.0.lock().unwrap().iter().map(|(event, _)| *event).collect();
    let event = |config| Event { unit: 23, config, processor: 0 };
    assert_eq!(opened, [event(2), event(3)]);
    counters.set(0, Some(7 + 5 * COUNTS_PER_JOULE));
    counters.set(1, Some(7 + COUNTS_PER_JOULE / 2));
    assert_eq!(meter.joules(1.0), Ok(5.5), "5 J of the package and 0.5 J of memory");
}

#[test]
fn perf_counts_every_package_once() {
    let (root, counters) = (system("0,16\n", &[("energy-pkg", "0x02")]), Counters::default());
    let mut meter = meter(&root, &counters).unwrap();
    assert_eq!(meter.name(), "perf (energy-pkg of 2 packages)");
    counters.set(0, Some(7 + COUNTS_PER_JOULE));
    counters.set(1, Some(7 + 2 * COUNTS_PER_JOULE));
    assert_eq!(meter.joules(1.0), Ok(3.0));
}

#[test]
fn perf_takes_the_platform_once_where_it_is_all_there_is() {
    let (root, counters) = (system("0,16\n", &[("energy-psys", "0x05")]), Counters::default());
    let mut meter = meter(&root, &counters).unwrap();
    assert_eq!(meter.name(), "perf (energy-psys)");
    counters.set(0, Some(7 + COUNTS_PER_JOULE));
    assert_eq!(meter.joules(1.0), Ok(1.0));
}

#[test]
fn perf_without_permission_says_what_gives_it() {
    let root = system("0", &USUAL);
    let found =
        PerfMeter::find_with(
            &SystemTree::below(root.path()),
            |_| Err(io::ErrorKind::PermissionDenied.into()),
        );
    let error = found.unwrap_err();
    assert!(matches!(&error, MeterError::Forbidden { file, .. } if file.contains("energy-pkg")));
    assert!(error.to_string().contains("perf_event_paranoid=0"), "{error}");
}

#[test]
fn perf_counters_that_stick_fall_or_vanish_are_errors() {
    let (root, counters) = (system("0", &[("energy-pkg", "0x02")]), Counters::default());
    let mut stuck = meter(&root, &counters).unwrap();
    assert_eq!(stuck.joules(1.0), Ok(0.0));
    let error = stuck.joules(10.0).unwrap_err();
    assert!(matches!(&error, MeterError::Implausible { reason, .. } if reason.contains("stands still")));
    counters.set(0, Some(3));
    let error = stuck.joules(1.0).unwrap_err();
    assert!(matches!(&error, MeterError::Implausible { reason, .. } if reason.contains("backwards")));
    counters.set(0, None);
    assert!(matches!(stuck.joules(1.0), Err(MeterError::Vanished { .. })));
}

#[test]
fn perf_in_another_unit_than_joules_or_without_scale_is_refused() {
    for (file, text, named) in [
        ("energy-pkg.unit", "Watts", "Watts"),
        ("energy-pkg.scale", "fast", "fast"),
        ("energy-pkg", "umask=1", "umask"),
    ] {
        let root = system("0", &USUAL);
        write(root.path(), &format!("{FOLDER}/events/{file}"), text);
        let error = meter(&root, &Counters::default()).unwrap_err();
        assert!(matches!(error, MeterError::Implausible { .. }), "{file}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn perf_is_absent_without_its_unit_its_events_or_a_processor() {
    for missing in ["type", "cpumask", "events/energy-pkg"] {
        let root = system("0", &[("energy-pkg", "0x02")]);
        fs::remove_file(root.path().join(FOLDER.trim_start_matches('/')).join(missing)).unwrap();
        let found = meter(&root, &Counters::default());
        assert!(matches!(found, Err(MeterError::Absent { .. })), "{missing}");
    }
}
