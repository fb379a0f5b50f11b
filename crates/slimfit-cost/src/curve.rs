//! Kernel times as curves: how long an operation takes when its data is near, by how much work it does.

/// Points `(work, seconds)`, both positive, rising in work; between them log-log interpolation, beyond them the rate of
/// the nearest end.
///
/// Log-log because times span six orders of magnitude and rates change slowly; constant rate outside because a kernel
/// that is past its fixed cost scales with its work.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkCurve {
    points: Vec<(f64, f64)>,
}

impl WorkCurve {
    /// Points with equal work are averaged. None when no point is left.
    pub(crate) fn new(mut points: Vec<(f64, f64)>) -> Option<Self> {
        points.retain(|(work, seconds)| {
            *work > 0.0 && *seconds > 0.0 && work.is_finite() && seconds.is_finite()
        });
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut merged: Vec<(f64, f64, f64)> = Vec::new();
        for (work, seconds) in points {
            match merged.last_mut() {
                Some(last) if last.0 == work => {
                    last.1 += seconds;
                    last.2 += 1.0;
                }
                _ => merged.push((work, seconds, 1.0)),
            }
        }
        let points: Vec<(f64, f64)> = merged.into_iter().map(|(work, sum, n)| (work, sum / n)).collect();
        (!points.is_empty()).then_some(Self { points })
    }

    /// Seconds for `work`; 0 for none.
    pub(crate) fn seconds(&self, work: f64) -> f64 {
        if work <= 0.0 {
            return 0.0;
        }
        let above = self.points.partition_point(|point| point.0 < work);
        if above == 0 {
            let (first, seconds) = self.points[0];
            return seconds * work / first;
        }
        if above == self.points.len() {
            let (last, seconds) = self.points[above - 1];
            return seconds * work / last;
        }
        let ((w0, s0), (w1, s1)) = (self.points[above - 1], self.points[above]);
        let place = (work / w0).ln() / (w1 / w0).ln();
        (s0.ln() + place * (s1 / s0).ln()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_met_between_is_log_log_and_ends_keep_their_rate() {
        let curve = WorkCurve::new(vec![(100.0, 4.0), (10.0, 1.0)]).unwrap();
        assert_eq!(curve.seconds(10.0), 1.0);
        assert!((curve.seconds(100.0) - 4.0).abs() < 1e-12);
        assert!((curve.seconds(1000.0_f64.sqrt()) - 2.0).abs() < 1e-12);
        assert_eq!(curve.seconds(5.0), 0.5);
        assert_eq!(curve.seconds(200.0), 8.0);
        assert_eq!(curve.seconds(0.0), 0.0);
    }

    #[test]
    fn nothing_usable_is_no_curve() {
        assert_eq!(WorkCurve::new(vec![(0.0, 1.0), (1.0, f64::NAN)]), None);
    }
}
