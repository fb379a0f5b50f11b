//! Memory nodes (NUMA): how many, whose processors, how much memory.

use super::Sources;
use crate::SystemTree;
use crate::system_tree::parse_processor_list;
use slimfit_hardware::MemoryNode;

const FOLDER: &str = "/sys/devices/system/node";

/// How many nodes there are, and each that is listed.
pub(crate) fn read(tree: &SystemTree, allowed: &[u32], sources: &mut Sources) -> (u32, Vec<MemoryNode>) {
    let nodes: Vec<MemoryNode> = tree
        .numbered(FOLDER, "node")
        .into_iter()
        .map(|(node, name)| {
            let processors = tree
                .read(&format!("{FOLDER}/{name}/cpulist"))
                .and_then(|text| parse_processor_list(&text))
                .unwrap_or_default();
            MemoryNode {
                node,
                processors: processors.into_iter().filter(|processor| allowed.contains(processor)).collect(),
                bytes: bytes(tree, &name),
            }
        })
        .collect();
    if nodes.is_empty() {
        sources.add("numa_nodes", "the kernel lists no memory nodes: it treats all memory alike");
    } else {
        sources.add("numa_nodes", FOLDER);
        sources.add("nodes", "/sys/devices/system/node/node*/{cpulist,meminfo}");
    }
    ((nodes.len() as u32).max(1), nodes)
}

/// `Node 0 MemTotal:       24684096 kB`.
fn bytes(tree: &SystemTree, name: &str) -> Option<u64> {
    let text = tree.read(&format!("{FOLDER}/{name}/meminfo"))?;
    let line = text.lines().find(|line| line.contains(" MemTotal:"))?;
    line.split_whitespace().nth(3)?.parse::<u64>().ok()?.checked_mul(1024)
}
