//! What control groups of both versions grant this process: memory, processor time, processors.

use super::Sources;
use crate::SystemTree;
use crate::system_tree::parse_processor_list;
use slimfit_hardware::ControlGroup;

/// The limits that bind, each the tightest on the way up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Limits {
    /// Bytes, and the file that states them.
    pub memory: Option<(u64, String)>,
    /// Processors' worth of time.
    pub processor_quota: Option<f64>,
    /// Logical processors.
    pub processors: Option<Vec<u32>>,
}

/// Version 1 states "no limit" as a huge number.
const NO_LIMIT: u64 = 1 << 60;

impl Limits {
    /// Those of `allowed` that the group's processors admit. An affinity within them is kept as it is, and so is one that the
    /// group's list contradicts: what the scheduler admits is the stronger witness.
    pub fn admitted(&self, allowed: &[u32]) -> Vec<u32> {
        let Some(processors) = &self.processors else { return allowed.to_vec() };
        let within: Vec<u32> =
            allowed.iter().copied().filter(|processor| processors.contains(processor)).collect();
        if within.is_empty() { allowed.to_vec() } else { within }
    }

    /// What a profile holds; nothing where no limit is stated.
    pub fn stated(&self) -> Option<ControlGroup> {
        let group = ControlGroup {
            memory_bytes: self.memory.as_ref().map(|(bytes, _)| *bytes),
            processor_quota: self.processor_quota,
            processors: self.processors.clone(),
        };
        (group != ControlGroup::default()).then_some(group)
    }
}

pub(crate) fn read(tree: &SystemTree, sources: &mut Sources) -> Limits {
    let memory = memory(tree).into_iter().min_by_key(|(bytes, _)| *bytes);
    let quota = processor_quotas(tree).into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let processors = processors(tree);
    if let Some((_, from)) = &memory {
        sources.add("control_group.memory_bytes", from.clone());
    }
    if let Some((_, from)) = &quota {
        sources.add("control_group.processor_quota", from.clone());
    }
    if let Some((_, from)) = &processors {
        sources.add("control_group.processors", from.clone());
    }
    Limits {
        memory,
        processor_quota: quota.map(|(quota, _)| quota),
        processors: processors.map(|(processors, _)| processors),
    }
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

/// Mounts of a controller of version 1: by its own name, or together with others.
const PROCESSOR_MOUNTS: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"];

/// A limit that stands in `name` of some folder below `mount`; a group's own path can hold a user's or a container's name, so
/// it is left out.
fn place(mount: &str, name: &str) -> String {
    format!("{mount}/…/{name}")
}

fn memory(tree: &SystemTree) -> Vec<(u64, String)> {
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
                limits.push((bytes, place(mount, name)));
            }
        }
    }
    limits
}

fn processor_quotas(tree: &SystemTree) -> Vec<(f64, String)> {
    let mut quotas = Vec::new();
    for (second, path) in groups(tree, "cpu") {
        if second {
            for folder in folders("/sys/fs/cgroup", &path) {
                let Some(text) = tree.read(&format!("{folder}/cpu.max")) else { continue };
                if let Some((quota, period)) = text.split_once(' ')
                    && let (Ok(quota), Ok(period)) = (quota.parse::<f64>(), period.parse::<f64>())
                {
                    quotas.push((quota / period, place("/sys/fs/cgroup", "cpu.max")));
                }
            }
        } else {
            for mount in PROCESSOR_MOUNTS {
                for folder in folders(mount, &path) {
                    let read = |name: &str| tree.read(&format!("{folder}/{name}"))?.parse::<f64>().ok();
                    if let (Some(quota), Some(period)) = (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
                    {
                        quotas.push((quota / period, place(mount, "cpu.cfs_quota_us")));
                    }
                }
            }
        }
    }
    quotas.retain(|(quota, _)| quota.is_finite() && *quota > 0.0);
    quotas
}

/// The processors of the innermost group that lists some: a group's list lies within that of the group above. A list of all
/// that are on limits nothing.
fn processors(tree: &SystemTree) -> Option<(Vec<u32>, String)> {
    let online = tree.read("/sys/devices/system/cpu/online").and_then(|text| parse_processor_list(&text));
    let innermost = groups(tree, "cpuset")
        .into_iter()
        .flat_map(|(second, path)| {
            let (mount, names) = if second {
                ("/sys/fs/cgroup", ["cpuset.cpus.effective", "cpuset.cpus"])
            } else {
                ("/sys/fs/cgroup/cpuset", ["cpuset.effective_cpus", "cpuset.cpus"])
            };
            folders(mount, &path)
                .into_iter()
                .rev()
                .flat_map(move |folder| names.map(|name| (mount, folder.clone(), name)))
        })
        .find_map(|(mount, folder, name)| {
            let listed = parse_processor_list(&tree.read(&format!("{folder}/{name}"))?)?;
            (!listed.is_empty()).then(|| (listed, place(mount, name)))
        });
    innermost.filter(|(listed, _)| online.as_ref() != Some(listed))
}
