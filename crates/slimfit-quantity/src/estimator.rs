//! Robust estimators: median, quartiles, flagged (never dropped) outliers.

/// A sample far from the rest. It is reported and kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// Its place in the samples.
    pub index: usize,
    /// Its modified z-score: 0.6745 · (x − median) ÷ MAD (Iglewicz and Hoaglin, 1993).
    pub modified_z: f64,
}

/// What a set of samples says.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The middle sample.
    pub median: f64,
    /// 25 % quantile.
    pub lower_quartile: f64,
    /// 75 % quantile.
    pub upper_quartile: f64,
    /// Smallest sample.
    pub minimum: f64,
    /// Largest sample.
    pub maximum: f64,
    /// Samples whose modified z-score exceeds 3.5.
    pub outliers: Vec<Outlier>,
}

impl Summary {
    /// Nothing when `samples` is empty or holds a value that is not finite.
    pub fn of(samples: &[f64]) -> Option<Self> {
        if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = quantile_of_sorted(&sorted, 0.5);
        let mut deviations: Vec<f64> = sorted.iter().map(|sample| (sample - median).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let deviation = quantile_of_sorted(&deviations, 0.5);
        let outliers = samples
            .iter()
            .enumerate()
            .filter(|_| deviation > 0.0)
            .map(|(index, sample)| Outlier { index, modified_z: 0.6745 * (sample - median) / deviation })
            .filter(|outlier| outlier.modified_z.abs() > 3.5)
            .collect();
        Some(Self {
            median,
            lower_quartile: quantile_of_sorted(&sorted, 0.25),
            upper_quartile: quantile_of_sorted(&sorted, 0.75),
            minimum: sorted[0],
            maximum: sorted[sorted.len() - 1],
            outliers,
        })
    }

    /// Half the interquartile range over the median: a spread as a fraction.
    pub fn relative_spread(&self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.upper_quartile - self.lower_quartile) / 2.0 / self.median.abs()
        }
    }
}

/// The median of `samples`; NaN when there are none.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// The `fraction` quantile (0 to 1), linear between neighbours; NaN when there are no samples.
pub fn quantile(samples: &[f64], fraction: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_of_sorted(&sorted, fraction)
}

fn quantile_of_sorted(sorted: &[f64], fraction: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = fraction.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_five() {
        let summary = Summary::of(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!((summary.lower_quartile, summary.median, summary.upper_quartile), (2.0, 3.0, 4.0));
        assert!(summary.outliers.is_empty());
    }

    #[test]
    fn an_outlier_is_flagged_and_kept() {
        let samples = [1.0, 1.01, 0.99, 1.02, 0.98, 9.0];
        let summary = Summary::of(&samples).unwrap();
        assert_eq!(summary.outliers.iter().map(|outlier| outlier.index).collect::<Vec<_>>(), [5]);
        assert_eq!(summary.maximum, 9.0);
    }

    #[test]
    fn no_samples_and_no_number_give_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
        assert!(median(&[]).is_nan());
    }
}
