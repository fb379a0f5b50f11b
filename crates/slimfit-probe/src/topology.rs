//! Cores, caches and memory, each value with the place it was read from.

mod caches;
mod cpuid;
mod identity;
mod memory;

mod processors;

pub use identity::Identity;
pub use memory::MemoryLimit;
pub(crate) use memory::available_bytes;

use crate::{ProbeError, SystemTree};
use slimfit_hardware::{Fingerprint, Topology, TopologySource};
use slimfit_kernels::Isa;
use slimfit_quantity::Warning;

/// What the system says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemDescription {
    /// Maker, model and class.
    pub identity: Identity,
    /// Cores, caches, memory.
    pub topology: Topology,
    /// Threads worth running: hardware threads, or fewer where a control group grants less processor time.
    pub usable_threads: u32,
    /// What the reader should know.
    pub warnings: Vec<Warning>,
}

/// Notes where each field was read.
#[derive(Debug, Default)]
pub(crate) struct Sources(Vec<TopologySource>);

impl Sources {
    pub(crate) fn add(&mut self, field: &str, from: impl Into<String>) {
        self.0.push(TopologySource { field: field.to_owned(), from: from.into() });
    }
}

impl SystemDescription {
    /// Reads the system. `allowed` are the processors this process may run on.
    ///
    /// # Errors
    /// When the memory is not stated anywhere.
    pub fn read(tree: &SystemTree, allowed: &[u32]) -> Result<Self, ProbeError> {
        let mut sources = Sources::default();
        let mut warnings = Vec::new();
        let identity = Identity::read(tree, &mut sources);
        let groups = processors::read(tree, allowed, &mut sources);
        let first =
            groups.clusters.first().and_then(|cluster| cluster.processors.first()).copied().unwrap_or(0);
        let caches = caches::read(tree, first, &mut sources);
        if caches.is_empty() {
            warnings.push(Warning::new(
                "caches-unknown",
                "the system does not state its caches: working sets are chosen without them; \
                 read the bandwidth curve to see where they end",
            ));
        }
        let memory = memory::read(tree, &mut sources)?;
        let nodes = tree.numbered("/sys/devices/system/node", "node").len() as u32;
        sources.add("numa_nodes", if nodes > 0 { "/sys/devices/system/node" } else { "none stated: 1" });
        let page_bytes = memory::page_bytes(tree, &mut sources);
        let threads = groups.threads;
        let usable_threads = match memory::processor_quota(tree) {
            Some(quota) if quota < f64::from(threads) => {
                warnings.push(Warning::new(
                    "processor-quota",
                    format!(
                        "a control group grants {quota:.2} of {threads} processors: more threads than that are \
                         throttled, so none are measured; raise the container's limit to use them"
                    ),
                ));
                (quota.ceil() as u32).clamp(1, threads)
            }
            _ => threads,
        };
        let topology = Topology {
            cores: groups.cores,
            threads,
            clusters: groups.clusters,
            caches,
            numa_nodes: nodes.max(1),
            page_bytes,
            hypervisor: identity.hypervisor.clone(),
            memory_limit_bytes: memory.bytes,
            sources: sources.0,
        };
        Ok(Self { identity, topology, usable_threads, warnings })
    }

    /// What decides whether a profile belongs to this machine, under a cap on the instruction set.
    pub fn fingerprint(&self, isa: Isa) -> Fingerprint {
        Fingerprint {
            vendor: self.identity.vendor.clone(),
            family: self.identity.family,
            model: self.identity.model,
            stepping: self.identity.stepping,
            cores: self.topology.threads,
            isa: isa.available_up_to().into_iter().map(|tier| tier.name().to_owned()).collect(),
            caches: self.topology.caches.iter().map(|cache| cache.bytes).collect(),
        }
    }
}

/// The fingerprint of this machine under a cap on the instruction set.
///
/// # Errors
/// When the system does not state its memory.
pub fn fingerprint(isa: Isa) -> Result<Fingerprint, ProbeError> {
    Ok(SystemDescription::read(&SystemTree::live(), &allowed_processors())?.fingerprint(isa))
}

/// Bytes of the last data cache that the first of these processors sees; nothing where it is not stated.
pub(crate) fn last_cache_bytes(tree: &SystemTree) -> Option<u64> {
    let processor = allowed_processors().first().copied().unwrap_or(0);
    let caches = caches::read(tree, processor, &mut Sources::default());
    caches.iter().max_by_key(|cache| cache.level).map(|cache| cache.bytes)
}

/// The processors this process may run on.
pub fn allowed_processors() -> Vec<u32> {
    slimfit_kernels::pool::allowed_cpus()
        .iter()
        .filter_map(|&processor| u32::try_from(processor).ok())
        .collect()
}
