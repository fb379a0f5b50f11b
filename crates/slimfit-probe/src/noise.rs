//! How quiet the machine is: a sentinel now and then, and the time that the hypervisor gave to others.

use crate::sentinel::ReadSentinel;
use crate::{ProbeError, SystemTree};
use slimfit_hardware::Noise;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Drift, Figure, Source};

/// Bytes that the drift sentinel reads: past the last cache of most devices, where neighbours are felt.
const SENTINEL_BYTES: u64 = 64 << 20;

/// Watches the machine from the first cell to the last.
pub(crate) struct Watch {
    sentinel: ReadSentinel,
    rates: Vec<f64>,
    before: Option<ProcessorTimes>,
}

impl Watch {
    pub(crate) fn new(pool: &Pool, isa: Isa, tree: &SystemTree) -> Result<Self, ProbeError> {
        let sentinel = ReadSentinel::new(pool, SENTINEL_BYTES, isa)?;
        Ok(Self { sentinel, rates: Vec::new(), before: ProcessorTimes::read(tree) })
    }

    /// Takes one sentinel, between cells.
    pub(crate) fn look(&mut self, pool: &Pool) {
        self.rates.push(self.sentinel.bytes_per_s(pool));
    }

    pub(crate) fn finish(self, tree: &SystemTree, virtual_machine: bool, flagged: u64, repeated: u64) -> (Noise, Option<Drift>) {
        let drift = Drift::of(&self.rates);
        let measured = |value: f64, n: usize| Figure {
            value: Some(value),
            low: Some(value),
            high: Some(value),
            n: n as u64,
            source: Source::Measured,
            reason: None,
            citation: None,
        };
        let steal_fraction = match (self.before, ProcessorTimes::read(tree)) {
            (Some(before), Some(after)) if after.total > before.total => {
                measured((after.steal - before.steal) as f64 / (after.total - before.total) as f64, 1)
            }
            (Some(_), Some(_)) => Figure::unavailable("no processor time passed between two looks at `/proc/stat`"),
            _ => Figure::unavailable("this system has no `/proc/stat`"),
        };
        let noise = Noise {
            virtual_machine,
            steal_fraction,
            drift: drift.map_or_else(
                || Figure::unavailable("fewer than two sentinels were taken"),
                |drift| measured(drift.spread, self.rates.len()),
            ),
            flagged,
            repeated,
        };
        (noise, drift)
    }
}

/// Ticks since boot, of all processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProcessorTimes {
    total: u64,
    steal: u64,
}

impl ProcessorTimes {
    fn read(tree: &SystemTree) -> Option<Self> {
        let text = tree.read("/proc/stat")?;
        let line = text.lines().find(|line| line.starts_with("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guest times are part of user and nice.
        Some(Self { total: ticks.iter().take(8).sum(), steal: *ticks.get(7)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_column_and_guests_are_not_counted_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("proc")).expect("a folder");
        std::fs::write(folder.path().join("proc/stat"), "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 2 3\n").expect("a file");
        let times = ProcessorTimes::read(&SystemTree::below(folder.path())).expect("it is there");
        assert_eq!(times, ProcessorTimes { total: 36, steal: 8 });
    }

    #[test]
    fn a_system_without_the_file_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(ProcessorTimes::read(&SystemTree::below(folder.path())), None);
    }
}
