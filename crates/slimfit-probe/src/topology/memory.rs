//! Memory and processor time that this process may use, control groups included.

use super::Sources;
use crate::{ProbeError, SystemTree};

/// How much memory there is for this process, and what says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The smallest of all limits.
    pub bytes: u64,
    /// Where that limit stands.
    pub from: String,
}

/// Version 1 states "no limit" as a huge number.
const NO_LIMIT: u64 = 1 << 60;

pub(crate) fn read(tree: &SystemTree, sources: &mut Sources) -> Result<MemoryLimit, ProbeError> {
    let installed = installed(tree).ok_or(ProbeError::MemoryUnknown)?;
    let from = if tree.is_live() { "installed memory (sysinfo)" } else { "/proc/meminfo" };
    let mut limit = MemoryLimit { bytes: installed, from: from.to_owned() };
    for (bytes, from) in group_limits(tree) {
        if bytes < limit.bytes {
            limit = MemoryLimit { bytes, from };
        }
    }
    sources.add("memory_limit_bytes", limit.from.clone());
    Ok(limit)
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

/// The group of this process for a controller: version 2's one hierarchy has no controller's name.
fn groups(tree: &SystemTree, controller: &str) -> Vec<(bool, String)> {
    let Some(text) = tree.read("/proc/self/cgroup") else { return Vec::new() };
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let second = controllers.is_empty();
            (second || controllers.split(',').any(|name| name == controller))
                .then(|| (second, path.to_owned()))
        })
        .collect()
}

/// A group's folder and those above it, as seen from `mount`. A container often sees only its own group, at the mount.
fn folders(mount: &str, path: &str) -> Vec<String> {
    let mut folders = vec![mount.to_owned()];
    let mut folder = mount.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != "..") {
        folder = format!("{folder}/{part}");
        folders.push(folder.clone());
    }
    folders
}

fn group_limits(tree: &SystemTree) -> Vec<(u64, String)> {
    let mut limits = Vec::new();
    for (second, path) in groups(tree, "memory") {
        let (mount, name) = if second {
            ("/sys/fs/cgroup", "memory.max")
        } else {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        };
        for folder in folders(mount, &path) {
            let file = format!("{folder}/{name}");
            if let Some(bytes) = tree.number(&file).filter(|bytes| (1..NO_LIMIT).contains(bytes)) {
                // The group's own path can hold a user's or a container's name.
                limits.push((bytes, format!("{mount}/…/{name}")));
            }
        }
    }
    limits
}

/// Processors' worth of time that control groups grant: the smallest quota ÷ period on the way up.
pub(crate) fn processor_quota(tree: &SystemTree) -> Option<f64> {
    let mut quotas = Vec::new();
    for (second, path) in groups(tree, "cpu") {
        if second {
            for folder in folders("/sys/fs/cgroup", &path) {
                let Some(text) = tree.read(&format!("{folder}/cpu.max")) else { continue };
                if let Some((quota, period)) = text.split_once(' ')
                    && let (Ok(quota), Ok(period)) = (quota.parse::<f64>(), period.parse::<f64>())
                {
                    quotas.push(quota / period);
                }
            }
        } else {
            for mount in ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"] {
                for folder in folders(mount, &path) {
                    let read = |name: &str| tree.read(&format!("{folder}/{name}"))?.parse::<f64>().ok();
                    if let (Some(quota), Some(period)) = (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
                    {
                        quotas.push(quota / period);
                    }
                }
            }
        }
    }
    quotas.into_iter().filter(|quota| quota.is_finite() && *quota > 0.0).reduce(f64::min)
}

pub(crate) fn page_bytes(tree: &SystemTree, sources: &mut Sources) -> u64 {
    let stated = tree.read("/proc/self/smaps").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("KernelPageSize:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    });
    match stated.filter(|bytes| bytes.is_power_of_two()) {
        Some(bytes) => {
            sources.add("page_bytes", "/proc/self/smaps");
            bytes
        }
        None => {
            sources.add("page_bytes", "not stated: the architecture's usual page");
            4096
        }
    }
}
