//! Pages: the base size, huge ones, and when the system makes those by itself.

use super::Sources;
use crate::SystemTree;

const FOLDER: &str = "/sys/kernel/mm";

/// Bytes of a page of the base size.
pub(crate) fn base_bytes(tree: &SystemTree, sources: &mut Sources) -> u64 {
    if let Some(bytes) = stated(tree) {
        sources.add("page_bytes", "/proc/self/smaps");
        return bytes;
    }
    match live(tree) {
        Some(bytes) => {
            sources.add("page_bytes", "sysconf");
            bytes
        }
        None => {
            sources.add("page_bytes", "not stated: assumed");
            4096
        }
    }
}

fn stated(tree: &SystemTree) -> Option<u64> {
    let text = tree.read("/proc/self/smaps")?;
    let line = text.lines().find(|line| line.starts_with("KernelPageSize:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024).filter(|bytes| bytes.is_power_of_two())
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the system's call for the size of a page")]
fn live(tree: &SystemTree) -> Option<u64> {
    // SAFETY: reads a constant of the system.
    let bytes = tree.is_live().then(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) })?;
    u64::try_from(bytes).ok().filter(|bytes| bytes.is_power_of_two())
}

#[cfg(not(unix))]
fn live(_tree: &SystemTree) -> Option<u64> {
    None
}

/// Sizes of huge pages, ascending.
pub(crate) fn huge_bytes(tree: &SystemTree, sources: &mut Sources) -> Vec<u64> {
    let folder = format!("{FOLDER}/hugepages");
    let mut sizes: Vec<u64> = tree
        .names(&folder)
        .iter()
        .filter_map(|name| {
            name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse::<u64>().ok()?.checked_mul(1024)
        })
        .collect();
    sizes.sort_unstable();
    if !sizes.is_empty() {
        sources.add("huge_page_bytes", folder);
    }
    sizes
}

/// The mode in brackets: `always [madvise] never`.
pub(crate) fn transparent(tree: &SystemTree, sources: &mut Sources) -> Option<String> {
    let file = format!("{FOLDER}/transparent_hugepage/enabled");
    let text = tree.read(&file)?;
    let mode = text.split_once('[')?.1.split_once(']')?.0.to_owned();
    sources.add("transparent_huge_pages", file);
    Some(mode)
}
