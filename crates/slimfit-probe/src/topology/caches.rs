//! Data caches of the fastest core.

use super::{Sources, cpuid};
use crate::SystemTree;
use crate::system_tree::parse_processor_list;
use slimfit_hardware::Cache;

/// Caches of one processor, level 1 first: from sysfs, else from CPUID.
pub(crate) fn read(tree: &SystemTree, processor: u32, sources: &mut Sources) -> Vec<Cache> {
    let folder = format!("/sys/devices/system/cpu/cpu{processor}/cache");
    let mut caches: Vec<Cache> = tree
        .numbered(&folder, "index")
        .into_iter()
        .filter_map(|(_, name)| {
            let read = |file: &str| tree.read(&format!("{folder}/{name}/{file}"));
            if !matches!(read("type")?.as_str(), "Data" | "Unified") {
                return None;
            }
            let shared = read("shared_cpu_list").and_then(|text| parse_processor_list(&text));
            Some(Cache {
                level: read("level")?.parse().ok()?,
                bytes: parse_size(&read("size")?)?,
                shared_by: shared.map_or(1, |processors| processors.len().max(1) as u32),
            })
        })
        .collect();
    let mut from = folder;
    if caches.is_empty() && tree.is_live() {
        caches = cpuid::caches();
        from = "CPUID deterministic cache leaf".to_owned();
    }
    caches.retain(|cache| cache.bytes > 0 && cache.level > 0);
    caches.sort_by_key(|cache| cache.level);
    caches.dedup_by_key(|cache| cache.level);
    sources.add("caches", if caches.is_empty() { "not stated".to_owned() } else { from });
    caches
}

/// `32K`, `1024K`, `32M`, or plain bytes.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 1 << 10),
        'M' => (&text[..text.len() - 1], 1 << 20),
        'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_sysfs() {
        assert_eq!(parse_size("32K"), Some(32768));
        assert_eq!(parse_size("32M"), Some(32 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("K"), None);
        assert_eq!(parse_size(""), None);
    }
}
