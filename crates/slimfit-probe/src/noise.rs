//! How much processor time a hypervisor gave to others.

use crate::SystemTree;
use slimfit_quantity::Figure;

/// Ticks of all processors since the start, from `/proc/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessorTime {
    total: u64,
    steal: u64,
}

impl ProcessorTime {
    /// Nothing where the system does not count them.
    pub fn read(tree: &SystemTree) -> Option<Self> {
        let text = tree.read("/proc/stat")?;
        let line = text.lines().find(|line| line.starts_with("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user time.
        let steal = *ticks.get(7)?;
        Some(Self { total: ticks[..8].iter().sum(), steal })
    }

    /// The share of time since `before` that was stolen: 0 where no tick passed.
    pub fn stolen_since(&self, before: &Self) -> f64 {
        let total = self.total.saturating_sub(before.total);
        let steal = self.steal.saturating_sub(before.steal);
        if total == 0 { 0.0 } else { steal as f64 / total as f64 }
    }
}

/// The stolen share as a figure.
pub(crate) fn steal_figure(before: Option<ProcessorTime>, after: Option<ProcessorTime>) -> Figure {
    match (before, after) {
        (Some(before), Some(after)) => Figure::read(after.stolen_since(&before)),
        _ => Figure::unavailable("`/proc/stat` does not count stolen time here"),
    }
}
