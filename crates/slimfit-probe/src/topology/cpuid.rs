//! What an x86 processor says about itself through CPUID; nothing elsewhere.

use slimfit_hardware::Cache;

/// Maker and numbers of an x86 processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub vendor: String,
    pub brand: Option<String>,
    pub family: u32,
    pub model: u32,
    pub stepping: u32,
    pub hypervisor: Option<String>,
}

/// Family, model and stepping of leaf 1's EAX: extended fields count where the base field is full.
pub(crate) fn numbers(eax: u32) -> (u32, u32, u32) {
    let base_family = eax >> 8 & 0xf;
    let family = if base_family == 0xf { base_family + (eax >> 20 & 0xff) } else { base_family };
    let low_model = eax >> 4 & 0xf;
    let model = if matches!(base_family, 0x6 | 0xf) { (eax >> 16 & 0xf) << 4 | low_model } else { low_model };
    (family, model, eax & 0xf)
}

/// One data or unified cache of the deterministic cache leaf; nothing for instruction caches and past the last.
pub(crate) fn cache(eax: u32, ebx: u32, ecx: u32) -> Option<Cache> {
    let kind = eax & 0x1f;
    if !matches!(kind, 1 | 3) {
        return None;
    }
    let ways = u64::from(ebx >> 22) + 1;
    let partitions = u64::from(ebx >> 12 & 0x3ff) + 1;
    let line = u64::from(ebx & 0xfff) + 1;
    let sets = u64::from(ecx) + 1;
    Some(Cache {
        level: eax >> 5 & 0x7,
        bytes: ways * partitions * line * sets,
        shared_by: (eax >> 14 & 0xfff) + 1,
    })
}

/// The names that hypervisors give themselves, in the words people use.
pub(crate) fn hypervisor_name(signature: &str) -> String {
    match signature {
        "KVMKVMKVM" => "kvm",
        "Microsoft Hv" => "hyper-v",
        "VMwareVMware" => "vmware",
        "XenVMMXenVMM" => "xen",
        "TCGTCGTCGTCG" => "qemu",
        "bhyve bhyve " => "bhyve",
        "VBoxVBoxVBox" => "virtualbox",
        "" => "unnamed",
        other => return other.trim().to_owned(),
    }
    .to_owned()
}

#[cfg(target_arch = "x86_64")]
mod live {
    use super::{Signature, cache, hypervisor_name, numbers};
    use slimfit_hardware::Cache;
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    fn text(words: &[u32]) -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    pub(crate) fn signature() -> Option<Signature> {
        let leaf = __cpuid(0);
        let vendor = text(&[leaf.ebx, leaf.edx, leaf.ecx]);
        let features = __cpuid(1);
        let (family, model, stepping) = numbers(features.eax);
        let hypervisor = (features.ecx >> 31 == 1).then(|| {
            let leaf = __cpuid(0x4000_0000);
            hypervisor_name(&text(&[leaf.ebx, leaf.ecx, leaf.edx]))
        });
        let brand = (__cpuid(0x8000_0000).eax >= 0x8000_0004).then(|| {
            let words: Vec<u32> = (0x8000_0002..=0x8000_0004)
                .map(__cpuid)
                .flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx])
                .collect();
            text(&words).split_whitespace().collect::<Vec<_>>().join(" ")
        });
        Some(Signature {
            vendor,
            brand: brand.filter(|brand| !brand.is_empty()),
            family,
            model,
            stepping,
            hypervisor,
        })
    }

    pub(crate) fn caches() -> Vec<Cache> {
        let amd = signature().is_some_and(|signature| signature.vendor == "AuthenticAMD");
        // AMD's leaf has Intel's layout, but exists only with the topology extensions.
        let leaf = if amd { 0x8000_001d } else { 4 };
        let highest = __cpuid(leaf & 0x8000_0000).eax;
        if highest < leaf || amd && __cpuid(0x8000_0001).ecx >> 22 & 1 == 0 {
            return Vec::new();
        }
        (0..16)
            .map(|index| __cpuid_count(leaf, index))
            .take_while(|found| found.eax & 0x1f != 0)
            .filter_map(|found| cache(found.eax, found.ebx, found.ecx))
            .collect()
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use live::{caches, signature};

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn signature() -> Option<Signature> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn caches() -> Vec<Cache> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_family_and_model() {
        assert_eq!(numbers(0x00a1_0f11), (25, 17, 1), "Zen 4 server");
        assert_eq!(numbers(0x000c_06f2), (6, 207, 2), "Emerald Rapids");
        assert_eq!(numbers(0x0000_0513), (5, 1, 3), "a Pentium has no extended model");
    }

    #[test]
    fn a_cache_leaf() {
        // 32 KiB, 8 ways, 64-byte lines, 64 sets, level 1 data, two threads.
        let found = cache(1 | 1 << 5 | 1 << 14, 7 << 22 | 63, 63);
        assert_eq!(found, Some(Cache { level: 1, bytes: 32768, shared_by: 2 }));
        assert_eq!(cache(2 | 1 << 5, 7 << 22 | 63, 63), None, "an instruction cache");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn this_processor_has_a_maker() {
        assert!(!signature().expect("CPUID is always there").vendor.is_empty());
    }
}
