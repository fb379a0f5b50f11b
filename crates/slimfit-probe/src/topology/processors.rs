//! Cores, hardware threads and clusters of equal cores.

use super::Sources;
use crate::SystemTree;
use crate::system_tree::parse_processor_list;
use slimfit_hardware::Cluster;
use std::collections::{BTreeMap, BTreeSet};

/// The processors this process may use.
pub(crate) struct Processors {
    pub cores: u32,
    pub threads: u32,
    pub packages: Option<u32>,
    pub threads_per_core: Option<u32>,
    /// Fastest first.
    pub clusters: Vec<Cluster>,
}

const FOLDER: &str = "/sys/devices/system/cpu";

pub(crate) fn read(tree: &SystemTree, allowed: &[u32], sources: &mut Sources) -> Processors {
    let threads = (allowed.len() as u32).max(1);
    // The smallest sibling names the core.
    let mut cores = BTreeSet::new();
    let (mut stated, mut most_siblings) = (true, 0);
    let mut packages = BTreeSet::new();
    for &processor in allowed {
        packages.extend(tree.number(&format!("{FOLDER}/cpu{processor}/topology/physical_package_id")));
        let siblings = ["thread_siblings_list", "core_cpus_list"]
            .iter()
            .find_map(|name| tree.read(&format!("{FOLDER}/cpu{processor}/topology/{name}")))
            .and_then(|text| parse_processor_list(&text));
        stated &= siblings.is_some();
        most_siblings = most_siblings.max(siblings.as_ref().map_or(0, Vec::len));
        cores.insert(siblings.and_then(|siblings| siblings.into_iter().min()).unwrap_or(processor));
    }
    sources.add(
        "cores",
        if stated {
            "/sys/devices/system/cpu/cpu*/topology"
        } else {
            "siblings not stated: each thread counts as a core"
        },
    );
    let threads_per_core = (most_siblings > 0).then_some(most_siblings as u32);
    if threads_per_core.is_some() {
        sources.add("threads_per_core", "/sys/devices/system/cpu/cpu*/topology/thread_siblings_list");
    }
    // Boards without packages state -1, which is no number here.
    let packages = (!packages.is_empty()).then_some(packages.len() as u32);
    if packages.is_some() {
        sources.add("packages", "/sys/devices/system/cpu/cpu*/topology/physical_package_id");
    }
    let intel_kinds: Vec<Vec<u32>> = ["cpu_core", "cpu_atom", "cpu_lowpower"]
        .iter()
        .map(|kind| {
            tree.read(&format!("/sys/devices/{kind}/cpus"))
                .and_then(|text| parse_processor_list(&text))
                .unwrap_or_default()
        })
        .collect();
    let mut groups: BTreeMap<(std::cmp::Reverse<u64>, usize, std::cmp::Reverse<u64>), Vec<u32>> =
        BTreeMap::new();
    for &processor in allowed {
        let maximum_hz = maximum_hz(tree, processor).unwrap_or(0);
        let capacity = capacity(tree, processor).unwrap_or(0);
        let kind = intel_kinds.iter().position(|kind| kind.contains(&processor)).unwrap_or(0);
        // Favoured cores of one cluster differ by a few percent in their highest clock: the kind decides first.
        let class = if intel_kinds.iter().any(|kind| !kind.is_empty()) { 0 } else { maximum_hz };
        groups
            .entry((std::cmp::Reverse(capacity), kind, std::cmp::Reverse(class)))
            .or_default()
            .push(processor);
    }
    let told: Vec<&str> = [
        (
            allowed.iter().any(|processor| maximum_hz(tree, *processor).is_some()),
            "cpu*/cpufreq/cpuinfo_max_freq",
        ),
        (allowed.iter().any(|processor| capacity(tree, *processor).is_some()), "cpu*/cpu_capacity"),
        (intel_kinds.iter().any(|kind| !kind.is_empty()), "../../cpu_{core,atom,lowpower}/cpus"),
    ]
    .into_iter()
    .filter_map(|(read, file)| read.then_some(file))
    .collect();
    sources.add(
        "clusters",
        if told.is_empty() {
            "nothing tells the processors apart: they count as one cluster".to_owned()
        } else {
            format!("{FOLDER}/: {}", told.join(", "))
        },
    );
    let clusters = groups
        .into_values()
        .map(|processors| {
            let maximum_hz = processors.iter().filter_map(|processor| maximum_hz(tree, *processor)).max();
            Cluster { processors, maximum_hz }
        })
        .collect();
    Processors {
        cores: (cores.len() as u32).clamp(1, threads),
        threads,
        packages,
        threads_per_core,
        clusters,
    }
}

/// The highest clock that the system states for a processor.
fn maximum_hz(tree: &SystemTree, processor: u32) -> Option<u64> {
    tree.number(&format!("{FOLDER}/cpu{processor}/cpufreq/cpuinfo_max_freq"))?.checked_mul(1000)
}

/// A processor's speed beside the fastest one's 1024, where the system states it.
fn capacity(tree: &SystemTree, processor: u32) -> Option<u64> {
    tree.number(&format!("{FOLDER}/cpu{processor}/cpu_capacity"))
}
