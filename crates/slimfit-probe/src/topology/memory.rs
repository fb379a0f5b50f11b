//! Memory that this process may use.

use super::Sources;
use super::control_group::Limits;
use crate::{ProbeError, SystemTree};

/// Installed memory, or less where a control group limits it.
pub(crate) fn read(tree: &SystemTree, group: &Limits, sources: &mut Sources) -> Result<u64, ProbeError> {
    let installed = installed(tree).ok_or(ProbeError::MemoryUnknown)?;
    match group.memory.as_ref().filter(|(bytes, _)| *bytes < installed) {
        Some((bytes, from)) => {
            sources.add("memory_limit_bytes", from.clone());
            Ok(*bytes)
        }
        None => {
            let from = if tree.is_live() { "installed memory (sysinfo)" } else { "/proc/meminfo" };
            sources.add("memory_limit_bytes", from);
            Ok(installed)
        }
    }
}

fn installed(tree: &SystemTree) -> Option<u64> {
    if tree.is_live() {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        return Some(system.total_memory()).filter(|bytes| *bytes > 0);
    }
    meminfo(tree, "MemTotal:")
}

/// Memory that can be had now without swapping: a bound for the probe's own buffers.
pub(crate) fn available_bytes(tree: &SystemTree) -> Option<u64> {
    if tree.is_live() {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        return Some(system.available_memory()).filter(|bytes| *bytes > 0);
    }
    meminfo(tree, "MemAvailable:")
}

fn meminfo(tree: &SystemTree, name: &str) -> Option<u64> {
    let text = tree.read("/proc/meminfo")?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}
