//! Where a kernel or an operation stands on the roofline.

use crate::section::device::type_name;
use crate::staircase::{rate, staircase};
use crate::unit::Unit;
use slimfit_hardware::{HardwareProfile, KernelTime};
use slimfit_study::OperationCost;

/// A place: operations per byte across, operations per second up.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Place {
    /// Operations per byte of matrix and activations moved.
    pub(crate) operations_per_byte: f64,
    /// Operations per second.
    pub(crate) operations_per_second: f64,
}

/// The place of a measured kernel that multiplies: matrix products, `2·rows·columns·batch` operations over the bytes of
/// the matrix as it is stored; attention, `4·rows·columns·batch` over the bytes of the keys and values; f32 inputs and
/// outputs are added to both. Other kernels are bound by their hand-over, and records do not say what they compute.
pub(crate) fn placed(kernel: &KernelTime) -> Option<Place> {
    let (rows, columns, batch) = (kernel.rows as f64, kernel.columns as f64, kernel.batch as f64);
    let stored = kernel.format.bits_per_value() / 8.0;
    let (operations, bytes) = match kernel.operation.as_str() {
        "matmul" => (2.0 * rows * columns * batch, rows * columns * stored + 4.0 * batch * (rows + columns)),
        "attend" => {
            let values = 2.0 * columns * (kernel.kv_heads? * kernel.head_size?) as f64;
            (4.0 * rows * columns * batch, values * stored + 8.0 * batch * rows)
        }
        _ => return None,
    };
    place(operations, bytes, kernel.seconds.value?)
}

/// The place of a predicted operation.
pub(crate) fn predicted(operation: &OperationCost) -> Option<Place> {
    place(operation.flops, operation.bytes, operation.seconds)
}

/// Nothing where it cannot be drawn.
pub(crate) fn place(operations: f64, bytes: f64, seconds: f64) -> Option<Place> {
    let place =
        Place { operations_per_byte: operations / bytes, operations_per_second: operations / seconds };
    let drawable = |value: f64| value.is_finite() && value > 0.0;
    (drawable(place.operations_per_byte) && drawable(place.operations_per_second)).then_some(place)
}

/// A level of the roof.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Peak {
    /// `int8 vnni, 2 threads`.
    pub(crate) label: String,
    /// Operations per second.
    pub(crate) operations_per_second: f64,
}

/// The highest measured peak of each number type, on the most threads measured.
pub(crate) fn peaks(profile: &HardwareProfile) -> Vec<Peak> {
    let mut best: Vec<&slimfit_hardware::Peak> = Vec::new();
    let rate =
        |peak: &slimfit_hardware::Peak| peak.ops_per_s.value.filter(|rate| rate.is_finite() && *rate > 0.0);
    for peak in profile.peak.iter().filter(|peak| rate(peak).is_some()) {
        match best.iter_mut().find(|known| known.number == peak.number) {
            Some(known) if rate(peak) > rate(known) => *known = peak,
            Some(_) => {}
            None => best.push(peak),
        }
    }
    best.into_iter()
        .filter_map(|peak| {
            let threads = format!("{} thread{}", peak.threads, if peak.threads == 1 { "" } else { "s" });
            let label = format!("{} {}, {threads}", type_name(peak.number), peak.isa);
            Some(Peak { label, operations_per_second: rate(peak)? })
        })
        .collect()
}

/// Read bandwidth of the most threads at the smallest and at the largest working set, each with a label.
pub(crate) fn bandwidths(profile: &HardwareProfile) -> Vec<(String, f64)> {
    let steps = staircase(profile);
    let Some(most) = steps.last() else { return Vec::new() };
    let (smallest, largest) = (most.points.first(), most.points.last());
    let mut lines: Vec<(String, f64)> = smallest
        .into_iter()
        .chain(largest)
        .map(|point| {
            let rate = rate(point);
            let words = format!(
                "{} at {}",
                Unit::BytesPerSecond.show(rate),
                Unit::Bytes.show(point.working_set_bytes as f64)
            );
            (words, rate)
        })
        .collect();
    lines.dedup();
    lines
}
