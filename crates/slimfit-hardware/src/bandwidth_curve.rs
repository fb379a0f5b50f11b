//! Bandwidth as a function of the working set, and its cut into bins of constant rate.

/// The largest factor, less 1, by which the rate moves inside one bin.
pub const MAXIMUM_MOVE: f64 = 0.03;

/// A stretch of working sets that is treated as having one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandwidthBin {
    /// Working sets up to this many bytes belong here; `u64::MAX` for the last bin.
    pub up_to_bytes: u64,
    /// Bytes per second of all threads together: the geometric mean of the bin's smallest and largest rate.
    pub bytes_per_s: f64,
}

/// Measured rates by working set, for one thread count. Between points the rate is geometric in the logarithm of the
/// working set (a straight line on log-log paper, as cache transitions look); outside it is that of the last point.
#[derive(Debug, Clone, PartialEq)]
pub struct BandwidthCurve {
    /// (bytes, bytes per second), ascending in bytes, rates positive.
    points: Vec<(f64, f64)>,
}

impl BandwidthCurve {
    /// Of the points given, the best rate at each working set counts: which number of address streams is best differs
    /// from level to level, and a kernel may use any. Nothing when there are no points.
    pub fn new(points: impl IntoIterator<Item = (u64, f64)>) -> Option<Self> {
        let mut sorted: Vec<(u64, f64)> =
            points.into_iter().filter(|&(bytes, rate)| bytes > 0 && rate.is_finite() && rate > 0.0).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        sorted.dedup_by_key(|point| point.0);
        let points: Vec<(f64, f64)> = sorted.into_iter().map(|(bytes, rate)| (bytes as f64, rate)).collect();
        (!points.is_empty()).then_some(Self { points })
    }

    /// The points, ascending: (bytes, bytes per second).
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// Bytes per second at a working set.
    pub fn rate(&self, working_set_bytes: f64) -> f64 {
        let after = self.points.partition_point(|point| point.0 < working_set_bytes);
        if after == 0 {
            return self.points[0].1;
        }
        let Some(&(high, high_rate)) = self.points.get(after) else { return self.points[after - 1].1 };
        let (low, low_rate) = self.points[after - 1];
        let share = (working_set_bytes / low).ln() / (high / low).ln();
        low_rate * (high_rate / low_rate).powf(share)
    }

    /// Bins in which the rate moves by at most [`MAXIMUM_MOVE`], ascending; together they cover every working set.
    pub fn bins(&self) -> Vec<BandwidthBin> {
        let limit = 1.0 + MAXIMUM_MOVE;
        let mut bins = Vec::new();
        let (mut bytes, mut rate) = self.points[0];
        let (mut smallest, mut largest) = (rate, rate);
        for &(next_bytes, next_rate) in &self.points[1..] {
            // The rate is monotone within a segment, so the first point that breaks the limit is where it reaches
            // `limit` times the smallest rate (rising) or the largest rate ÷ `limit` (falling).
            while next_rate.max(largest) / next_rate.min(smallest) > limit {
                let border = if next_rate > rate { smallest * limit } else { largest / limit };
                let share = ((border / rate).ln() / (next_rate / rate).ln()).clamp(0.0, 1.0);
                bytes *= (next_bytes / bytes).powf(share);
                rate = border;
                smallest = smallest.min(rate);
                largest = largest.max(rate);
                bins.push(BandwidthBin {
                    up_to_bytes: bytes as u64,
                    bytes_per_s: (smallest * largest).sqrt(),
                });
                (smallest, largest) = (rate, rate);
            }
            (bytes, rate) = (next_bytes, next_rate);
            smallest = smallest.min(rate);
            largest = largest.max(rate);
        }
        bins.push(BandwidthBin { up_to_bytes: u64::MAX, bytes_per_s: (smallest * largest).sqrt() });
        bins.dedup_by_key(|bin| bin.up_to_bytes);
        bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_flat_curve_is_one_bin() {
        let curve = BandwidthCurve::new([(1 << 14, 100.0), (1 << 20, 101.0), (1 << 26, 99.5)]).unwrap();
        let bins = curve.bins();
        assert_eq!(bins.len(), 1);
        assert_eq!(bins[0].up_to_bytes, u64::MAX);
        assert!((bins[0].bytes_per_s - 100.25).abs() < 0.1);
    }

    #[test]
    fn between_points_the_rate_is_geometric() {
        let curve = BandwidthCurve::new([(1 << 10, 400.0), (1 << 12, 100.0)]).unwrap();
        assert!((curve.rate(2048.0) - 200.0).abs() < 1e-9);
        assert_eq!(curve.rate(1.0), 400.0);
        assert_eq!(curve.rate(1e12), 100.0);
    }

    #[test]
    fn the_best_of_several_streams_counts() {
        let curve =
            BandwidthCurve::new([(64, 1.0), (64, 3.0), (64, 2.0), (0, 9.0), (128, f64::NAN)]).unwrap();
        assert_eq!(curve.points(), [(64.0, 3.0)]);
        assert!(BandwidthCurve::new([]).is_none());
    }

    proptest! {
        #[test]
        fn bins_are_ascending_and_close_to_the_curve(
            rates in proptest::collection::vec(1e8_f64..1e12, 1..20),
            probe in 12.0_f64..36.0,
        ) {
            let points = rates.iter().enumerate().map(|(index, &rate)| (1_u64 << (14 + index), rate));
            let curve = BandwidthCurve::new(points).unwrap();
            let bins = curve.bins();
            prop_assert!(bins.windows(2).all(|pair| pair[0].up_to_bytes < pair[1].up_to_bytes));
            prop_assert_eq!(bins[bins.len() - 1].up_to_bytes, u64::MAX);
            let bytes = probe.exp2() as u64;
            let bin = bins.iter().find(|bin| bytes <= bin.up_to_bytes).unwrap();
            // Half the move on either side; borders are whole bytes, hence the slack.
            let ratio = bin.bytes_per_s / curve.rate(bytes as f64);
            prop_assert!((ratio.ln()).abs() <= (1.0 + MAXIMUM_MOVE).ln() / 2.0 + 5e-3, "{}", ratio);
        }
    }
}
