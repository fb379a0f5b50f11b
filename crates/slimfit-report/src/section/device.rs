//! Device: what it is, how fast it reads and computes, and how quiet it was.

use super::{nothing, warnings};
use crate::ReportInput;
use crate::mark::{count, figure, read, scroll};
use crate::unit::Unit;
use maud::{Markup, html};
use slimfit_hardware::{HardwareProfile, PeakType, ProfileKind};

pub(crate) fn section(input: &ReportInput) -> Markup {
    html! {
        section #device aria-labelledby="device-title" {
            h2 #device-title { "Device" }
            @match &input.profile {
                None => { (nothing("This study holds no hardware profile. `slimfit profile` measures one.")) }
                Some(profile) => {
                    p.lead { (read(&profile.name))
                        @if input.front.as_ref().is_some_and(|front| !front.head.profiles.is_empty()) { ", the first of the devices that the models are chosen for" }
                    }
                    (facts(profile))
                    (warnings(&profile.warnings))
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
            div { dt { "Maker, family, model, stepping" } dd { (read(format!("{}, {}, {}, {}", print.vendor, print.family, print.model, print.stepping))) } }
            div { dt { "Class" } dd { (read(&profile.device_class)) } }
            div { dt { "Cores, threads" } dd { (read(format!("{}, {}", topology.cores, topology.threads))) } }
            div { dt { "Instruction sets" } dd { (read(print.isa.join(", "))) } }
            div { dt { "Caches" } dd {
                @if topology.caches.is_empty() { (crate::mark::unavailable("the system shows none")) }
                @for (index, cache) in topology.caches.iter().enumerate() {
                    @if index > 0 { ", " }
                    (read(format!("L{} {} for {}", cache.level, Unit::Bytes.show(cache.bytes as f64), if cache.shared_by == 1 { "one thread".to_owned() } else { format!("{} threads", cache.shared_by) })))
                }
            } }
            div { dt { "Memory it may use" } dd { (read(Unit::Bytes.show(topology.memory_limit_bytes as f64))) } }
            div { dt { "Pages, memory nodes" } dd { (read(format!("{}, {}", Unit::Bytes.show(topology.page_bytes as f64), topology.numa_nodes))) } }
            div { dt { "Hypervisor" } dd { (read(topology.hypervisor.as_deref().unwrap_or("none seen"))) } }
            div { dt { "Figures" } dd {
                @match profile.provenance.kind {
                    ProfileKind::Measured => { "measured on the device by " }
                    ProfileKind::Published => { "described from publications, written by " }
                }
                (read(&profile.provenance.tool)) ", " (read(&profile.provenance.created))
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
                @for point in &profile.bandwidth {
                    tr {
                        td { (format!("{:?}", point.kind).to_lowercase()) }
                        td { (point.pattern) }
                        td { (read(point.streams)) }
                        td { (read(Unit::Bytes.show(point.working_set_bytes as f64))) }
                        td { (read(point.threads)) }
                        td { @if point.huge_pages { "yes" } @else { "no" } }
                        td { (figure(Unit::BytesPerSecond, &point.bytes_per_s)) }
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
            details { summary { "All " (count(profile.bandwidth.len() as u64)) " bandwidth figures" }
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
                    "Filled marks: " (count(placed as u64)) " of our own kernels that multiply, as measured. "
                    "Hollow marks: operations of the picks as predicted. "
                    @if placed < profile.kernels.len() {
                        "Kernels that do not multiply (" (count((profile.kernels.len() - placed) as u64)) ") stand only in the table."
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
                @for peak in &profile.peak {
                    tr {
                        td { span data-source="read" { (type_name(peak.number)) } }
                        td { (read(&peak.isa)) }
                        td { code data-source="read" { (peak.sequence) } }
                        td { (read(peak.threads)) }
                        td { (figure(Unit::OperationsPerSecond, &peak.ops_per_s)) }
                        td { (figure(Unit::Hertz, &peak.clock_hz)) }
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
            div { dt { "Starting an operation" } dd { (figure(Unit::Seconds, &profile.overhead.dispatch)) } }
            @for barrier in &profile.overhead.barrier {
                div { dt { "Barrier of " (read(barrier.threads)) @if barrier.threads == 1 { " thread" } @else { " threads" } } dd { (figure(Unit::Seconds, &barrier.seconds)) } }
            }
            @for latency in &profile.latency {
                div { dt { "Dependent load within " (read(Unit::Bytes.show(latency.working_set_bytes as f64))) } dd { (figure(Unit::Seconds, &latency.seconds)) } }
            }
        }
    }
}

fn power(profile: &HardwareProfile) -> Markup {
    let power = &profile.power;
    html! {
        dl.facts {
            div { dt { "Meter" } dd { @match &power.meter {
                Some(meter) => { (read(meter)) }
                None => { (crate::mark::unavailable("no power meter answered")) }
            } } }
            div { dt { "Idle" } dd { (figure(Unit::Watts, &power.idle_watts)) } }
            @for loaded in &power.loaded {
                div { dt { "Under load: " (loaded.class) ", threads " (read(loaded.threads)) } dd { (figure(Unit::Watts, &loaded.watts)) } }
            }
            div { dt { "Per byte read" } dd { (figure(Unit::Joules, &power.joules_per_byte)) } }
            div { dt { "Per operation" } dd { (figure(Unit::Joules, &power.joules_per_op)) } }
        }
    }
}

fn noise(profile: &HardwareProfile) -> Markup {
    let noise = &profile.noise;
    html! {
        dl.facts {
            div { dt { "Virtual machine" } dd { @if noise.virtual_machine { "yes: neighbours may disturb it" } @else { "no" } } }
            div { dt { "Processor time taken by others" } dd { (figure(Unit::Fraction, &noise.steal_fraction)) } }
            div { dt { "Drift while measuring" } dd { (figure(Unit::Fraction, &noise.drift)) } }
            div { dt { "Disturbed samples, cells repeated" } dd { (crate::mark::number(slimfit_quantity::Source::Measured, format!("{}, {}", noise.flagged, noise.repeated))) } }
        }
    }
}

fn kernels(profile: &HardwareProfile) -> Markup {
    let content = html! {
        table {
            caption { "Times of our own kernels, data in the nearest cache that holds it" }
            thead { tr { th scope="col" { "Operation" } th scope="col" { "Variant" } th scope="col" { "Format" } th scope="col" { "Rows" }
                th scope="col" { "Columns" } th scope="col" { "Batch" } th scope="col" { "Threads" } th scope="col" { "Time" } } }
            tbody {
                @for kernel in &profile.kernels {
                    tr {
                        td { (kernel.operation) }
                        td { code data-source="read" { (kernel.variant) } }
                        td { (read(kernel.format.name())) }
                        td { (read(kernel.rows)) }
                        td { (read(kernel.columns)) }
                        td { (read(kernel.batch)) }
                        td { (read(kernel.threads)) }
                        td { (figure(Unit::Seconds, &kernel.seconds)) }
                    }
                }
            }
        }
    };
    html! {
        @if !profile.kernels.is_empty() {
            details { summary { "All " (count(profile.kernels.len() as u64)) " kernel times" } (scroll("Table of kernel times", &content)) }
        }
    }
}
