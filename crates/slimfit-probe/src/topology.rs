//! Cores, caches and memory, each value with the place it was read from.

mod caches;
mod control_group;
mod cpuid;
mod identity;
mod memory;
mod nodes;
mod pages;
mod processors;

pub use identity::Identity;
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
        let control_group = control_group::read(tree, &mut sources);
        let allowed = control_group.admitted(allowed);
        sources.add(
            "threads",
            if control_group.processors.is_some() {
                "the processor affinity of this process, within its control group's processors"
            } else {
                "the processor affinity of this process"
            },
        );
        let groups = processors::read(tree, &allowed, &mut sources);
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
        let memory_limit_bytes = memory::read(tree, &control_group, &mut sources)?;
        let (numa_nodes, nodes) = nodes::read(tree, &allowed, &mut sources);
        let page_bytes = pages::base_bytes(tree, &mut sources);
        let huge_page_bytes = pages::huge_bytes(tree, &mut sources);
        let transparent_huge_pages = pages::transparent(tree, &mut sources);
        sources
            .add("isa", if cfg!(target_arch = "x86_64") { "CPUID" } else { "the system's list of features" });
        if identity.hypervisor.is_some() {
            sources.add("hypervisor", identity.hypervisor_from);
        }
        let threads = groups.threads;
        let usable_threads = match control_group.processor_quota {
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
            packages: groups.packages,
            threads_per_core: groups.threads_per_core,
            clusters: groups.clusters,
            caches,
            numa_nodes,
            nodes,
            page_bytes,
            huge_page_bytes,
            transparent_huge_pages,
            hypervisor: identity.hypervisor.clone(),
            memory_limit_bytes,
            control_group: control_group.stated(),
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
