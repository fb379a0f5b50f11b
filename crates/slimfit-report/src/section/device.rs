//! Device: what it is, how fast it reads and computes, and how quiet it was.

use super::{nothing, warnings};
use crate::ReportInput;
use crate::mark::{code, count, figure, read, scroll};
use crate::unit::Unit;
use maud::{Markup, html};
use slimfit_hardware::{HardwareProfile, PeakType, ProfileKind};

/// Rows of the table of kernels that are written without the help of the page's script; it adds the others.
const WRITTEN_ROWS: usize = 60;

pub(crate) fn section(input: &ReportInput) -> Markup {
    html! {
        section #device aria-labelledby="device-title" data-under="/profile" {
            h2 #device-title { "Device" }
            @match &input.profile {
                None => { (nothing("This study holds no hardware profile. `slimfit profile` measures one.")) }
                Some(profile) => {
                    p.lead { (read("name", &profile.name))
                        @if input.front.as_ref().is_some_and(|front| !front.head.profiles.is_empty()) { ", the first of the devices that the models are chosen for" }
                    }
                    (facts(profile))
                    (warnings("/profile/warnings", &profile.warnings))
                    h3 { "Memory bandwidth" }
                    (bandwidth(profile))
                    h3 { "Roofline" }
                    (roofline(profile))
                    h3 { "Throughput by number type" }
                    (throughput(profile))
                    h3 { "Fixed costs" }
                    (overhead(profile))
                    h3 { "Power" }
                    (power(profile))
                    h3 { "Noise" }
                    (noise(profile))
                    (kernels(profile))
                }
            }
        }
    }
}

pub(crate) fn type_name(number: PeakType) -> &'static str {
    match number {
        PeakType::F32 => "f32",
        PeakType::F64 => "f64",
        PeakType::F16 => "f16",
        PeakType::Bf16 => "bf16",
        PeakType::Int8 => "int8",
    }
}

fn facts(profile: &HardwareProfile) -> Markup {
    let topology = &profile.topology;
    let print = &profile.fingerprint;
    html! {
        dl.facts {
            div { dt { "Maker, family, model, stepping" } dd { (read("fingerprint/vendor fingerprint/family fingerprint/model fingerprint/stepping", format!("{}, {}, {}, {}", print.vendor, print.family, print.model, print.stepping))) } }
            div { dt { "Class" } dd { (read("device_class", &profile.device_class)) } }
            div { dt { "Cores, threads" } dd { (read("topology/cores topology/threads", format!("{}, {}", topology.cores, topology.threads))) } }
            div { dt { "Instruction sets" } dd { (read("fingerprint/isa", print.isa.join(", "))) } }
            div { dt { "Caches" } dd {
                @if topology.caches.is_empty() { (crate::mark::unavailable("topology/caches", "the system shows none")) }
                @for (index, cache) in topology.caches.iter().enumerate() {
                    @if index > 0 { ", " }
                    (read(format!("topology/caches/{index}"), format!("L{} {} for {}", cache.level, Unit::Bytes.show(cache.bytes as f64), if cache.shared_by == 1 { "one thread".to_owned() } else { format!("{} threads", cache.shared_by) })))
                }
            } }
            div { dt { "Memory it may use" } dd { (read("topology/memory_limit_bytes", Unit::Bytes.show(topology.memory_limit_bytes as f64))) } }
            div { dt { "Pages, memory nodes" } dd { (read("topology/page_bytes topology/numa_nodes", format!("{}, {}", Unit::Bytes.show(topology.page_bytes as f64), topology.numa_nodes))) } }
            div { dt { "Hypervisor" } dd { (read("topology/hypervisor", topology.hypervisor.as_deref().unwrap_or("none seen"))) } }
            div { dt { "Figures" } dd {
                @match profile.provenance.kind {
                    ProfileKind::Measured => { "measured on the device by " }
                    ProfileKind::Published => { "described from publications, written by " }
                }
                (read("provenance/tool", &profile.provenance.tool)) ", " (read("provenance/created", &profile.provenance.created))
            } }
        }
    }
}

fn bandwidth(profile: &HardwareProfile) -> Markup {
    let content = html! {
        table {
            caption { "Bandwidth by working set and threads, median and quartiles" }
            thead { tr { th scope="col" { "What moves" } th scope="col" { "Pattern" } th scope="col" { "Streams" }
                th scope="col" { "Working set" } th scope="col" { "Threads" } th scope="col" { "Huge pages" } th scope="col" { "Bandwidth" } } }
            tbody {
                @for (index, point) in profile.bandwidth.iter().enumerate() {
                    tr data-under={ "/profile/bandwidth/" (index) } {
                        td { (format!("{:?}", point.kind).to_lowercase()) }
                        td { (point.pattern) }
                        td { (read("streams", point.streams)) }
                        td { (read("working_set_bytes", Unit::Bytes.show(point.working_set_bytes as f64))) }
                        td { (read("threads", point.threads)) }
                        td { @if point.huge_pages { "yes" } @else { "no" } }
                        td { (figure("bytes_per_s", Unit::BytesPerSecond, &point.bytes_per_s)) }
                    }
                }
            }
        }
    };
    html! {
        @if profile.bandwidth.is_empty() {
            (nothing("The profile holds no bandwidth."))
        } @else {
            figure.chart {
                div #bandwidth-chart role="img" aria-label="Bandwidth by working set; the table below holds the same values" {}
                figcaption { "Reading from memory, by the bytes that all threads touch together. Each step down is a cache that no longer holds them; bars are quartiles." }
            }
            details { summary { "All bandwidth figures" } p.small { (count("bandwidth", profile.bandwidth.len() as u64)) " of them" }
                (scroll("Table of bandwidth", &content)) }
        }
    }
}

fn roofline(profile: &HardwareProfile) -> Markup {
    let placed = profile.kernels.iter().filter(|kernel| crate::roofline::placed(kernel).is_some()).count();
    html! {
        @if profile.kernels.is_empty() || profile.peak.is_empty() || profile.bandwidth.is_empty() {
            (nothing("The profile lacks peaks, bandwidth or kernel times, so no roofline can be drawn."))
        } @else {
            figure.chart {
                div #roofline-chart role="img" aria-label="Roofline with the measured kernels; the table of kernels holds the same times" {}
                figcaption {
                    "Slanted lines: measured read bandwidth at the smallest and the largest working set. Level lines: measured peaks. "
                    "Filled marks: " (count("/roofline/kernels", placed as u64)) " of our own kernels that multiply, as measured. "
                    "Hollow marks: operations of the picks as predicted. "
                    @if placed < profile.kernels.len() {
                        "Kernels that do not multiply (" (count("/counts/kernels_without_place", (profile.kernels.len() - placed) as u64)) ") stand only in the table."
                    }
                }
            }
        }
    }
}

fn throughput(profile: &HardwareProfile) -> Markup {
    let content = html! {
        table {
            caption { "Peak multiply-add throughput; a multiply-add counts as two operations" }
            thead { tr { th scope="col" { "Type" } th scope="col" { "Instruction set" } th scope="col" { "Instructions" }
                th scope="col" { "Threads" } th scope="col" { "Throughput" } th scope="col" { "Effective clock" } } }
            tbody {
                @for (index, peak) in profile.peak.iter().enumerate() {
                    tr data-under={ "/profile/peak/" (index) } {
                        td { (read("type", type_name(peak.number))) }
                        td { (read("isa", &peak.isa)) }
                        td { (code("sequence", &peak.sequence)) }
                        td { (read("threads", peak.threads)) }
                        td { (figure("ops_per_s", Unit::OperationsPerSecond, &peak.ops_per_s)) }
                        td { (figure("clock_hz", Unit::Hertz, &peak.clock_hz)) }
                    }
                }
            }
        }
    };
    html! {
        @if profile.peak.is_empty() { (nothing("The profile holds no throughput.")) }
        @else { (scroll("Table of throughput", &content)) }
    }
}

fn overhead(profile: &HardwareProfile) -> Markup {
    html! {
        dl.facts {
            div { dt { "Starting an operation" } dd { (figure("overhead/dispatch", Unit::Seconds, &profile.overhead.dispatch)) } }
            @for (index, barrier) in profile.overhead.barrier.iter().enumerate() {
                div data-under={ "/profile/overhead/barrier/" (index) } { dt { "Barrier of " (read("threads", barrier.threads)) @if barrier.threads == 1 { " thread" } @else { " threads" } } dd { (figure("seconds", Unit::Seconds, &barrier.seconds)) } }
            }
            @for (index, latency) in profile.latency.iter().enumerate() {
                div data-under={ "/profile/latency/" (index) } { dt { "Dependent load within " (read("working_set_bytes", Unit::Bytes.show(latency.working_set_bytes as f64))) } dd { (figure("seconds", Unit::Seconds, &latency.seconds)) } }
            }
        }
    }
}

fn power(profile: &HardwareProfile) -> Markup {
    let power = &profile.power;
    html! {
        dl.facts {
            div { dt { "Meter" } dd { @match &power.meter {
                Some(meter) => { (read("power/meter", meter)) }
                None => { (crate::mark::unavailable("power/meter", "no power meter answered")) }
            } } }
            div { dt { "Idle" } dd { (figure("power/idle_watts", Unit::Watts, &power.idle_watts)) } }
            @for (index, loaded) in power.loaded.iter().enumerate() {
                div data-under={ "/profile/power/loaded/" (index) } { dt { "Under load: " (loaded.class) ", threads " (read("threads", loaded.threads)) } dd { (figure("watts", Unit::Watts, &loaded.watts)) } }
            }
            div { dt { "Per byte read" } dd { (figure("power/joules_per_byte", Unit::Joules, &power.joules_per_byte)) } }
            div { dt { "Per operation" } dd { (figure("power/joules_per_op", Unit::Joules, &power.joules_per_op)) } }
        }
    }
}

fn noise(profile: &HardwareProfile) -> Markup {
    let noise = &profile.noise;
    html! {
        dl.facts {
            div { dt { "Virtual machine" } dd { @if noise.virtual_machine { "yes: neighbours may disturb it" } @else { "no" } } }
            div { dt { "Processor time taken by others" } dd { (figure("noise/steal_fraction", Unit::Fraction, &noise.steal_fraction)) } }
            div { dt { "Drift while measuring" } dd { (figure("noise/drift", Unit::Fraction, &noise.drift)) } }
            div { dt { "Disturbed samples, cells repeated" } dd { (crate::mark::number("noise/flagged noise/repeated", slimfit_quantity::Source::Measured, format!("{}, {}", noise.flagged, noise.repeated))) } }
        }
    }
}

fn kernels(profile: &HardwareProfile) -> Markup {
    let content = html! {
        table #kernel-table {
            caption { "Times of our own kernels, data in the nearest cache that holds it" }
            thead { tr { th scope="col" { "Operation" } th scope="col" { "Variant" } th scope="col" { "Format" } th scope="col" { "Rows" }
                th scope="col" { "Columns" } th scope="col" { "Batch" } th scope="col" { "Threads" } th scope="col" { "Time" } } }
            tbody {
                @for (index, kernel) in profile.kernels.iter().enumerate().take(WRITTEN_ROWS) {
                    tr data-under={ "/profile/kernels/" (index) } {
                        td { (kernel.operation) }
                        td { (code("variant", &kernel.variant)) }
                        td { (read("format", kernel.format.name())) }
                        td { (read("rows", kernel.rows)) }
                        td { (read("columns", kernel.columns)) }
                        td { (read("batch", kernel.batch)) }
                        td { (read("threads", kernel.threads)) }
                        td { (figure("seconds", Unit::Seconds, &kernel.seconds)) }
                    }
                }
            }
        }
    };
    html! {
        @if !profile.kernels.is_empty() {
            details { summary { "All kernel times" } p.small { (count("kernels", profile.kernels.len() as u64)) " of them" } (scroll("Table of kernel times", &content))
                @if profile.kernels.len() > WRITTEN_ROWS { noscript { p.flag { "Without scripts only the first of them are listed; " code { "tables/kernels.csv" } " holds them all." } } } }
        }
    }
}
