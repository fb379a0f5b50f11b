//! The bandwidth staircase: reading rates by threads and working set.

use slimfit_hardware::{Bandwidth, BandwidthKind, HardwareProfile};

/// Reading with one number of threads.
pub(crate) struct Step<'a> {
    /// Threads.
    pub(crate) threads: u32,
    /// The best rate at each working set, smallest first: which number of address streams is best differs between them.
    pub(crate) points: Vec<&'a Bandwidth>,
}

/// Sequential reading as measured, by threads, fewest first.
pub(crate) fn staircase(profile: &HardwareProfile) -> Vec<Step<'_>> {
    let mut steps: Vec<Step> = Vec::new();
    for point in profile.bandwidth.iter().filter(|point| {
        point.kind == BandwidthKind::Read
            && point.pattern == "sequential"
            && point.working_set_bytes > 0
            && rate(point) > 0.0
    }) {
        let place = match steps.iter().position(|step| step.threads == point.threads) {
            Some(place) => place,
            None => {
                steps.push(Step { threads: point.threads, points: Vec::new() });
                steps.len() - 1
            }
        };
        let points = &mut steps[place].points;
        match points.iter_mut().find(|known| known.working_set_bytes == point.working_set_bytes) {
            Some(known) if rate(point) > rate(known) => *known = point,
            Some(_) => {}
            None => points.push(point),
        }
    }
    for step in &mut steps {
        step.points.sort_by_key(|point| point.working_set_bytes);
    }
    steps.sort_by_key(|step| step.threads);
    steps
}

/// The rate of a point, 0 where it is unavailable or no finite number.
pub(crate) fn rate(point: &Bandwidth) -> f64 {
    point.bytes_per_s.value.filter(|rate| rate.is_finite()).unwrap_or_default()
}
