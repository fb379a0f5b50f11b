//! `slimfit profile --list`: the devices that are described from publications.

use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use serde_json::json;
use slimfit_hardware::HardwareProfile;
use slimfit_quantity::format_bytes;

/// Prints one device a line.
pub fn list(output: &Output) -> Result<(), Failure> {
    let mut devices = Vec::new();
    for name in HardwareProfile::builtin_names() {
        if let Some(profile) = HardwareProfile::builtin(name) {
            devices.push((name, profile?));
        }
    }
    if output.is_json() {
        let rows: Vec<_> = devices
            .iter()
            .map(|(name, profile)| {
                let bandwidth = profile.bandwidth.first().map(|point| &point.bytes_per_s);
                json!({
                    "name": name,
                    "device": profile.name,
                    "device_class": profile.device_class,
                    "cores": profile.topology.cores,
                    "isa": profile.fingerprint.isa.last(),
                    "memory_bytes": profile.topology.memory_limit_bytes,
                    "theoretical_bytes_per_s": bandwidth,
                })
            })
            .collect();
        return output.object("devices", "profile", json!({ "devices": rows }));
    }
    let mut rows = table(&["name", "device", "class", "cores", "instructions", "bandwidth", "memory"]);
    for (name, profile) in &devices {
        let bandwidth = profile.theoretical_bandwidth();
        rows.add_row(vec![
            (*name).to_owned(),
            profile.name.clone(),
            profile.device_class.clone(),
            profile.topology.cores.to_string(),
            profile.fingerprint.isa.last().cloned().unwrap_or_default(),
            bandwidth.map_or_else(|| "–".to_owned(), |rate| format!("{:.1} GB/s", rate / 1e9)),
            format_bytes(profile.topology.memory_limit_bytes as f64),
        ]);
    }
    output.text(&rows.trim_fmt())
}
