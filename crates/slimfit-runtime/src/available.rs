//! How much memory a process may still take.

use crate::RuntimeError;
use slimfit_plan::Plan;
use std::fs;

/// Bytes that the system says can be allocated without swapping, limits of this process's control group included.
/// Nothing where the system does not say (it is read from `/proc` and `/sys/fs/cgroup`).
pub fn available_memory() -> Option<u64> {
    let system = meminfo_available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    Some(control_group_available().map_or(system, |group| group.min(system)))
}

/// Refuses a plan that would not fit, before anything is allocated.
pub(crate) fn check(plan: &Plan) -> Result<(), RuntimeError> {
    let needed_bytes = plan.memory().total_bytes();
    match available_memory() {
        Some(available_bytes) if needed_bytes > available_bytes => {
            Err(RuntimeError::OutOfMemory { needed_bytes, available_bytes })
        }
        _ => Ok(()),
    }
}

fn meminfo_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Version 2 groups, then version 1; nothing without a limit.
fn control_group_available() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let folders =
        path.map(|path| format!("/sys/fs/cgroup{path}")).into_iter().chain(["/sys/fs/cgroup".to_owned()]);
    let number = |path: String| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let second = folders.filter_map(|folder| {
        let (limit, used) =
            (number(format!("{folder}/memory.max"))?, number(format!("{folder}/memory.current"))?);
        // File cache counts as used and is given back on demand.
        Some(limit.saturating_sub(
            used.saturating_sub(reclaimable(&format!("{folder}/memory.stat"), "inactive_file ")),
        ))
    });
    let first = || {
        let folder = "/sys/fs/cgroup/memory";
        let limit = number(format!("{folder}/memory.limit_in_bytes"))?;
        let used = number(format!("{folder}/memory.usage_in_bytes"))?;
        let free = reclaimable(&format!("{folder}/memory.stat"), "total_inactive_file ");
        Some(limit.saturating_sub(used.saturating_sub(free)))
    };
    second.min().or_else(first)
}

fn reclaimable(path: &str, field: &str) -> u64 {
    let stat = fs::read_to_string(path).unwrap_or_default();
    stat.lines().find_map(|line| line.strip_prefix(field)?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let meminfo = "MemTotal:       24576000 kB\nMemFree:          100 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(meminfo_available(meminfo), Some(2 << 20));
        assert_eq!(meminfo_available("MemTotal: 5 kB\n"), None);
    }
}
