//! The parts of a profile as text: what the device is, and its curves, a column for each number of threads.

use crate::table::table;
use comfy_table::Table;
use slimfit_hardware::{BandwidthKind, HardwareProfile};
use slimfit_quantity::{Figure, format_bytes, format_seconds};
use std::fmt::Write as _;

/// Cores, caches, memory and what limits them, a line each.
pub fn topology(profile: &HardwareProfile) -> String {
    let topology = &profile.topology;
    let mut text = String::new();
    let mut cores = format!("{}, {}", counted(topology.cores, "core"), counted(topology.threads, "thread"));
    if let Some(packages) = topology.packages {
        let _ = write!(cores, ", {}", counted(packages, "package"));
    }
    if let Some(threads) = topology.threads_per_core {
        let _ = write!(cores, ", {} per core", counted(threads, "thread"));
    }
    let caches: Vec<String> = topology
        .caches
        .iter()
        .map(|cache| format!("L{} {}", cache.level, format_bytes(cache.bytes as f64)))
        .collect();
    let _ = writeln!(text, "  {cores}; {}", caches.join(", "));
    if topology.clusters.len() > 1 {
        let clusters: Vec<String> = topology
            .clusters
            .iter()
            .map(|cluster| {
                let clock = cluster
                    .maximum_hz
                    .map_or(String::new(), |hz| format!(" up to {:.2} GHz", hz as f64 / 1e9));
                format!("{}{clock}", cluster.processors.len())
            })
            .collect();
        let _ = writeln!(text, "  clusters, fastest first: {}", clusters.join(", "));
    }
    let mut memory = format!(
        "memory {} in {}; pages {}",
        format_bytes(topology.memory_limit_bytes as f64),
        counted(topology.numa_nodes, "node"),
        format_bytes(topology.page_bytes as f64)
    );
    if !topology.huge_page_bytes.is_empty() {
        let sizes: Vec<String> =
            topology.huge_page_bytes.iter().map(|bytes| format_bytes(*bytes as f64)).collect();
        let _ = write!(memory, ", huge ones {}", sizes.join(", "));
    }
    if let Some(mode) = &topology.transparent_huge_pages {
        let _ = write!(memory, " (transparent: {mode})");
    }
    let _ = writeln!(text, "  {memory}");
    if let Some(group) = &topology.control_group {
        let mut limits = Vec::new();
        limits.extend(group.memory_bytes.map(|bytes| format!("memory {}", format_bytes(bytes as f64))));
        limits.extend(group.processor_quota.map(|quota| format!("{quota:.2} processors' worth of time")));
        limits.extend(group.processors.as_ref().map(|processors| format!("{} processors", processors.len())));
        let _ = writeln!(text, "  control group: {}", limits.join(", "));
    }
    if let Some(hypervisor) = &topology.hypervisor {
        let _ = writeln!(text, "  virtual machine ({hypervisor})");
    }
    let _ = writeln!(text, "  instruction sets {}", profile.fingerprint.isa.join(", "));
    text
}

/// Every bandwidth that was measured, a row for each way and size.
pub fn bandwidth(profile: &HardwareProfile) -> Table {
    let threads = counts(profile.bandwidth.iter().map(|point| point.threads));
    let mut rows: Vec<([String; 4], u64)> = Vec::new();
    let way = |point: &slimfit_hardware::Bandwidth| {
        let kind = match point.kind {
            BandwidthKind::Read => "read",
            BandwidthKind::Copy => "copy",
            BandwidthKind::Triad => "triad",
            BandwidthKind::Theoretical => "data sheet",
        };
        let pages = if point.huge_pages { "huge" } else { "base" };
        [kind.to_owned(), point.pattern.clone(), point.streams.to_string(), pages.to_owned()]
    };
    // Sizes of several threads are rounded to their shares, so they meet in one row within two per cent.
    let near = |a: u64, b: u64| a.abs_diff(b) <= a / 50;
    for point in &profile.bandwidth {
        let row = (way(point), point.working_set_bytes);
        if !rows.iter().any(|(known, bytes)| *known == row.0 && near(*bytes, row.1)) {
            rows.push(row);
        }
    }
    rows.sort_by(|a, b| order(&a.0).cmp(&order(&b.0)).then(a.1.cmp(&b.1)));
    let mut head = ["bandwidth", "pattern", "streams", "pages", "working set"].map(str::to_owned).to_vec();
    head.extend(threads.iter().map(|count| counted(*count, "thread")));
    let mut table = table(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, bytes) in rows {
        let mut cells = name.to_vec();
        cells.push(format_bytes(bytes as f64));
        cells.extend(threads.iter().map(|&count| {
            let point = profile.bandwidth.iter().find(|point| {
                point.threads == count && way(point) == name && near(bytes, point.working_set_bytes)
            });
            point.map_or_else(String::new, |point| rate(&point.bytes_per_s, "B/s"))
        }));
        table.add_row(cells);
    }
    table
}

/// Reads before copies before triads, each by pattern, pages and streams.
fn order([kind, pattern, streams, pages]: &[String; 4]) -> (usize, String, bool, u32) {
    let place = ["read", "copy", "triad"].iter().position(|known| known == kind).unwrap_or(3);
    (place, pattern.clone(), pages == "base", streams.parse().unwrap_or(0))
}

/// The latency of a load by working set.
pub fn latency(profile: &HardwareProfile) -> Table {
    let mut table = table(&["latency", "of one load"]);
    for point in &profile.latency {
        let seconds = spread(&point.seconds, format_seconds);
        table.add_row(vec![format_bytes(point.working_set_bytes as f64), seconds]);
    }
    table
}

/// The peaks of every sequence of instructions.
pub fn peak(profile: &HardwareProfile) -> Table {
    let mut table = table(&["peak", "threads", "instructions", "operations per second", "clock"]);
    for peak in &profile.peak {
        table.add_row(vec![
            format!("{:?}", peak.number).to_lowercase(),
            peak.threads.to_string(),
            format!("{} ({})", peak.sequence, peak.isa),
            rate(&peak.ops_per_s, "op/s"),
            rate(&peak.clock_hz, "Hz"),
        ]);
    }
    table
}

fn counts(threads: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut counts: Vec<u32> = threads.collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// `1 core`, `2 cores`.
fn counted(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn rate(figure: &Figure, unit: &str) -> String {
    spread(figure, |value| format!("{:.2} G{unit}", value / 1e9))
}

/// `35.10 GB/s ± 2 % (30)`: the median, half the distance of the quartiles, and how often it was measured.
fn spread(figure: &Figure, show: impl Fn(f64) -> String) -> String {
    match (figure.value, figure.low, figure.high) {
        (Some(value), Some(low), Some(high)) if value > 0.0 => {
            format!("{} ± {:.0} % ({})", show(value), 50.0 * (high - low).abs() / value, figure.n)
        }
        (Some(value), ..) => show(value),
        (None, ..) => "unavailable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_hardware::ControlGroup;

    fn published() -> HardwareProfile {
        HardwareProfile::builtin("raspberry-pi-5").expect("it is built in").expect("it is valid")
    }

    #[test]
    fn what_the_system_does_not_state_is_not_printed() {
        let mut profile = published();
        let text = topology(&profile);
        assert!(text.contains("  4 cores, 4 threads; L1 64.0 KiB"), "{text}");
        assert!(
            !text.contains("package") && !text.contains("control group") && !text.contains("huge"),
            "{text}"
        );
        profile.topology.packages = Some(2);
        profile.topology.threads_per_core = Some(1);
        profile.topology.huge_page_bytes = vec![2 << 20];
        profile.topology.transparent_huge_pages = Some("madvise".to_owned());
        profile.topology.control_group =
            Some(ControlGroup { processor_quota: Some(1.5), ..ControlGroup::default() });
        let text = topology(&profile);
        for part in [
            "2 packages, 1 thread per core",
            "huge ones 2.00 MiB (transparent: madvise)",
            "control group: 1.50 processors' worth of time",
        ] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    }

    #[test]
    fn a_row_for_each_way_and_size_and_a_column_for_each_number_of_threads() {
        let mut profile = published();
        let point = profile.bandwidth[0].clone();
        let read = |pattern: &str, threads, bytes, rate| slimfit_hardware::Bandwidth {
            kind: BandwidthKind::Read,
            pattern: pattern.to_owned(),
            threads,
            working_set_bytes: bytes,
            bytes_per_s: Figure::read(rate),
            ..point.clone()
        };
        profile.bandwidth = vec![
            read("strided", 1, 1 << 20, 3e9),
            read("sequential", 1, 1 << 20, 1e9),
            read("sequential", 2, (1 << 20) - 4096, 2e9),
        ];
        let table = bandwidth(&profile);
        let lines: Vec<String> = table
            .trim_fmt()
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines[0], "bandwidth pattern streams pages working set 1 thread 2 threads");
        assert_eq!(lines[1], "read sequential 1 base 1.00 MiB 1.00 GB/s ± 0 % (1) 2.00 GB/s ± 0 % (1)");
        assert_eq!(lines[2], "read strided 1 base 1.00 MiB 3.00 GB/s ± 0 % (1)");
        assert_eq!(rate(&Figure::unavailable("no time"), "B/s"), "unavailable");
    }
}
