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
    /// Fastest first.
    pub clusters: Vec<Cluster>,
}

const FOLDER: &str = "/sys/devices/system/cpu";

pub(crate) fn read(tree: &SystemTree, allowed: &[u32], sources: &mut Sources) -> Processors {
    let threads = (allowed.len() as u32).max(1);
    sources.add("threads", "the processor affinity of this process");
    // The smallest sibling names the core.
    let mut cores = BTreeSet::new();
    let mut stated = true;
    for &processor in allowed {
        let siblings = ["thread_siblings_list", "core_cpus_list"]
            .iter()
            .find_map(|name| tree.read(&format!("{FOLDER}/cpu{processor}/topology/{name}")))
            .and_then(|text| parse_processor_list(&text));
        stated &= siblings.is_some();
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
        let maximum_hz = tree
            .number(&format!("{FOLDER}/cpu{processor}/cpufreq/cpuinfo_max_freq"))
            .map_or(0, |kilohertz| kilohertz.saturating_mul(1000));
        let capacity = tree.number(&format!("{FOLDER}/cpu{processor}/cpu_capacity")).unwrap_or(0);
        let kind = intel_kinds.iter().position(|kind| kind.contains(&processor)).unwrap_or(0);
        // Favoured cores of one cluster differ by a few percent in their highest clock: the kind decides first.
        let class = if intel_kinds.iter().any(|kind| !kind.is_empty()) { 0 } else { maximum_hz };
        groups
            .entry((std::cmp::Reverse(capacity), kind, std::cmp::Reverse(class)))
            .or_default()
            .push(processor);
    }
    sources.add(
        "clusters",
        "/sys/devices/system/cpu/cpu*/{cpufreq,cpu_capacity}, /sys/devices/cpu_{core,atom}/cpus",
    );
    let clusters = groups
        .into_values()
        .map(|processors| {
            let maximum_hz = processors
                .iter()
                .filter_map(|processor| {
                    tree.number(&format!("{FOLDER}/cpu{processor}/cpufreq/cpuinfo_max_freq"))
                })
                .max()
                .map(|kilohertz| kilohertz.saturating_mul(1000));
            Cluster { processors, maximum_hz }
        })
        .collect();
    Processors { cores: (cores.len() as u32).clamp(1, threads), threads, clusters }
}
