//! What an operation costs more among others than its kernel costs by itself.

use slimfit_hardware::HardwareProfile;

/// Seconds by bytes of activations: one line for one token, one for many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct HandOvers {
    one: Line,
    many: Line,
}

/// `at_first + per_byte · (bytes − first)`, never below 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Line {
    first: f64,
    at_first: f64,
    per_byte: f64,
}

impl HandOvers {
    pub(crate) fn new(profile: &HardwareProfile, threads: u32) -> Self {
        let line = |many: bool| {
            let mut points: Vec<(f64, f64)> = profile
                .overhead
                .hand_over
                .iter()
                .filter(|point| point.threads == threads && (point.tokens > 1) == many)
                .filter_map(|point| Some((point.activation_bytes as f64, point.seconds.value?)))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line::through(&points)
        };
        Self { one: line(false), many: line(true) }
    }

    /// Seconds of an operation that reads and writes so many bytes of activations.
    pub(crate) fn seconds(&self, tokens: f64, activation_bytes: f64) -> f64 {
        let line = if tokens > 1.0 { &self.many } else { &self.one };
        (line.at_first + line.per_byte * (activation_bytes - line.first)).max(0.0)
    }
}

impl Line {
    /// Through the first and the last point; level through one, or where more bytes cost less.
    fn through(points: &[(f64, f64)]) -> Self {
        match points {
            [] => Self::default(),
            [(first, at_first), .., (last, at_last)] => {
                let per_byte = ((at_last - at_first) / (last - first)).max(0.0);
                Self { first: *first, at_first: *at_first, per_byte }
            }
            [(first, at_first)] => Self { first: *first, at_first: *at_first, per_byte: 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_two_points_never_falls_below_nothing() {
        let line = Line::through(&[(1000.0, 1e-7), (3000.0, 5e-7)]);
        let hand_overs = HandOvers { one: line, many: Line::default() };
        assert!((hand_overs.seconds(1.0, 2000.0) - 3e-7).abs() < 1e-18);
        assert_eq!(hand_overs.seconds(1.0, 0.0), 0.0);
        assert_eq!(hand_overs.seconds(2.0, 2000.0), 0.0, "nothing is known of many tokens");
        assert_eq!(Line::through(&[(1.0, 2e-7), (2.0, 1e-7)]).per_byte, 0.0);
    }
}
