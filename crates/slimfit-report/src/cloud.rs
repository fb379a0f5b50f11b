//! The dominated cloud, small enough for a page: each objective as 16 bits between its least and greatest value.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use slimfit_study::CloudPoint;

const STEPS: f64 = u16::MAX as f64;

/// What the page's script unpacks.
#[derive(Debug, Serialize)]
pub(crate) struct PackedCloud {
    /// Points in the study's sample.
    pub(crate) kept: usize,
    /// Points packed here: those with finite objectives, evenly thinned where they were too many.
    pub(crate) count: usize,
    scales: Vec<Scale>,
    /// Little-endian `u16`, `(objectives, count)` row-major, in base64.
    data: String,
}

/// How 0 ..= 65535 spans one objective.
#[derive(Debug, Serialize)]
struct Scale {
    low: f64,
    high: f64,
    /// Steps are equal ratios, not equal differences.
    log: bool,
}

/// Packs the points that have `objectives` finite values into at most `largest` bytes of base64.
pub(crate) fn packed(cloud: &[CloudPoint], objectives: usize, largest: usize) -> Option<PackedCloud> {
    let finite: Vec<&CloudPoint> = cloud
        .iter()
        .filter(|point| {
            point.objectives.len() == objectives && point.objectives.iter().all(|value| value.is_finite())
        })
        .collect();
    if finite.is_empty() || objectives == 0 {
        return None;
    }
    let fitting = (largest * 3 / 4 / (2 * objectives)).max(1);
    let stride = finite.len().div_ceil(fitting).max(1);
    let drawn: Vec<&CloudPoint> = finite.into_iter().step_by(stride).collect();
    let mut bytes = Vec::with_capacity(drawn.len() * objectives * 2);
    let scales = (0..objectives)
        .map(|objective| {
            let values = drawn.iter().map(|point| point.objectives[objective]);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
            let log = low > 0.0 && high / low > 4.0;
            let place = |value: f64| if log { value.ln() } else { value };
            let span = place(high) - place(low);
            for value in values {
                let share = if span > 0.0 { (place(value) - place(low)) / span } else { 0.0 };
                bytes.extend_from_slice(&((share * STEPS).round() as u16).to_le_bytes());
            }
            Scale { low, high, log }
        })
        .collect();
    Some(PackedCloud { kept: cloud.len(), count: drawn.len(), scales, data: STANDARD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(cloud: &PackedCloud, objective: usize, point: usize) -> f64 {
        let bytes = STANDARD.decode(&cloud.data).unwrap();
        let index = 2 * (objective * cloud.count + point);
        let share = f64::from(u16::from_le_bytes([bytes[index], bytes[index + 1]])) / STEPS;
        let Scale { low, high, log } = cloud.scales[objective];
        if log { low * (high / low).powf(share) } else { low + (high - low) * share }
    }

    #[test]
    fn values_come_back_within_a_step() {
        let cloud: Vec<CloudPoint> = (1..=1000)
            .map(|index| CloudPoint {
                parameters: 1e6,
                objectives: vec![2.0 + f64::from(index) / 1000.0, f64::from(index) * 1e-3],
            })
            .collect();
        let small = packed(&cloud, 2, 100_000).unwrap();
        assert_eq!((small.kept, small.count), (1000, 1000));
        for (index, point) in cloud.iter().enumerate() {
            for (objective, value) in point.objectives.iter().enumerate() {
                assert!((unpacked(&small, objective, index) / value - 1.0).abs() < 2e-4);
            }
        }
    }

    #[test]
    fn a_large_cloud_stays_small_and_what_is_no_number_is_left_out() {
        let mut cloud: Vec<CloudPoint> = (0..100_000)
            .map(|index| CloudPoint { parameters: 1.0, objectives: vec![f64::from(index); 4] })
            .collect();
        cloud[7].objectives[2] = f64::NAN;
        cloud[8].objectives.pop();
        let small = packed(&cloud, 4, 600_000).unwrap();
        assert!(small.data.len() <= 600_000, "{} bytes", small.data.len());
        assert!(small.count > 40_000 && small.kept == 100_000);
        assert!(packed(&[], 4, 600_000).is_none());
    }
}
