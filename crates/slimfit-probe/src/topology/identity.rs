//! Maker, model and class of the device. Never its host name or serial numbers.

use super::{Sources, cpuid};
use crate::SystemTree;

/// Who made the processor, which one it is, and what kind of device it sits in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The processor's own name.
    pub name: String,
    /// `AuthenticAMD`, `GenuineIntel`, `ARM` …
    pub vendor: String,
    /// Family (x86) or implementer (Arm).
    pub family: u32,
    /// Model (x86) or part (Arm).
    pub model: u32,
    /// Stepping (x86) or revision (Arm).
    pub stepping: u32,
    /// `server`, `laptop`, `desktop`, `board`, `phone` or `unknown`.
    pub device_class: String,
    /// The hypervisor, where one shows itself.
    pub hypervisor: Option<String>,
    /// What showed it.
    pub hypervisor_from: &'static str,
}

impl Identity {
    pub(crate) fn read(tree: &SystemTree, sources: &mut Sources) -> Self {
        let cpuinfo = tree.read("/proc/cpuinfo").unwrap_or_default();
        let board =
            tree.read("/proc/device-tree/model").or_else(|| tree.read("/sys/firmware/devicetree/base/model"));
        let signature = if tree.is_live() { cpuid::signature() } else { None };
        let (vendor, family, model, stepping);
        let mut name = None;
        let mut hypervisor = None;
        if let Some(found) = signature {
            sources.add("fingerprint", "CPUID leaves 0, 1 and 80000002h");
            (vendor, family, model, stepping) = (found.vendor, found.family, found.model, found.stepping);
            name = found.brand;
            hypervisor = found.hypervisor;
        } else if let Some(implementer) = field(&cpuinfo, "CPU implementer") {
            sources.add("fingerprint", "/proc/cpuinfo");
            family = number(implementer);
            vendor = implementer_name(family);
            model = field(&cpuinfo, "CPU part").map_or(0, number);
            stepping = field(&cpuinfo, "CPU revision").map_or(0, number);
        } else {
            sources.add("fingerprint", "/proc/cpuinfo");
            vendor = field(&cpuinfo, "vendor_id").unwrap_or("unknown").to_owned();
            family = field(&cpuinfo, "cpu family").map_or(0, number);
            model = field(&cpuinfo, "model").map_or(0, number);
            stepping = field(&cpuinfo, "stepping").map_or(0, number);
        }
        let name = match name {
            Some(name) => name,
            None => {
                let (name, from) = field(&cpuinfo, "model name")
                    .map(|name| (name.to_owned(), "/proc/cpuinfo"))
                    .or_else(|| board.clone().map(|board| (board, "/proc/device-tree/model")))
                    .unwrap_or_else(|| {
                        (format!("{vendor} {family:#x}:{model:#x}"), "the fingerprint's numbers")
                    });
                sources.add("name", from);
                name
            }
        };
        let mut hypervisor_from = "CPUID leaf 40000000h";
        if hypervisor.is_none() {
            let read = |file: &'static str| Some((tree.read(file)?, file));
            let flagged = || {
                let flags = field(&cpuinfo, "flags")?;
                flags
                    .split(' ')
                    .any(|flag| flag == "hypervisor")
                    .then(|| ("unnamed".to_owned(), "/proc/cpuinfo"))
            };
            let shown = read("/sys/hypervisor/type")
                .or_else(|| read("/proc/device-tree/hypervisor/compatible"))
                .or_else(flagged);
            if let Some((name, from)) = shown {
                (hypervisor, hypervisor_from) = (Some(name), from);
            }
        }
        let (device_class, from) = device_class(tree, board.is_some(), hypervisor.is_some());
        sources.add("device_class", from);
        Self {
            name,
            vendor,
            family,
            model,
            stepping,
            device_class: device_class.to_owned(),
            hypervisor,
            hypervisor_from,
        }
    }
}

/// The value of the first line `name : value`.
fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim()).filter(|value| !value.is_empty())
    })
}

fn number(text: &str) -> u32 {
    text.strip_prefix("0x")
        .map_or_else(|| text.parse(), |digits| u32::from_str_radix(digits, 16))
        .unwrap_or(0)
}

/// Arm's register of implementers (MIDR_EL1).
fn implementer_name(code: u32) -> String {
    match code {
        0x41 => "ARM",
        0x42 => "Broadcom",
        0x43 => "Cavium",
        0x46 => "Fujitsu",
        0x48 => "HiSilicon",
        0x4e => "NVIDIA",
        0x51 => "Qualcomm",
        0x53 => "Samsung",
        0x61 => "Apple",
        0x6d => "Microsoft",
        0xc0 => "Ampere",
        _ => return format!("implementer {code:#x}"),
    }
    .to_owned()
}

/// The SMBIOS chassis type decides where there is one; a virtual machine runs on a server.
fn device_class(tree: &SystemTree, board: bool, virtual_machine: bool) -> (&'static str, &'static str) {
    if tree.path("/system/build.prop").exists() {
        return ("phone", "/system/build.prop");
    }
    if board {
        return ("board", "/proc/device-tree/model");
    }
    let chassis = "/sys/class/dmi/id/chassis_type";
    match tree.number(chassis) {
        Some(8..=10 | 14 | 30..=32) => ("laptop", chassis),
        Some(3..=7 | 13 | 15 | 16 | 24 | 35) => ("desktop", chassis),
        Some(17 | 23 | 25 | 28 | 29) => ("server", chassis),
        Some(33 | 34 | 36) => ("board", chassis),
        _ if virtual_machine => {
            ("server", "inferred: a hypervisor runs this machine, and those run on servers")
        }
        _ => ("unknown", "neither SMBIOS nor a device tree says"),
    }
}
