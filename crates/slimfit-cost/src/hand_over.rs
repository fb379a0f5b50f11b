//! What an operation costs more among others than its kernel costs by itself.

use slimfit_hardware::{HandOver, HardwareProfile};
use slimfit_kernels::splits_tokens;

/// One thread count's.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HandOvers {
    /// Seconds by bytes of activations: of one token, and of many where the profile does not tell weights apart.
    one: Line,
    plain_many: Line,
    /// Of many tokens, by how threads split a product and by working set, ascending.
    many: Vec<Many>,
    threads: u32,
}

/// `at_first + per_byte · (bytes − first)`, never below 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Line {
    first: f64,
    at_first: f64,
    per_byte: f64,
}

/// Of many tokens, in one working set: seconds for each byte of weights and of activations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Many {
    by_tokens: bool,
    working_set_bytes: f64,
    rates: Rates,
}

/// Seconds for each byte.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Rates {
    /// Of weights that come from beyond the near caches.
    pub weight: f64,
    /// Of activations that other operations left.
    pub activation: f64,
}

impl HandOvers {
    pub(crate) fn new(profile: &HardwareProfile, threads: u32) -> Self {
        let of_threads = || profile.overhead.hand_over.iter().filter(move |point| point.threads == threads);
        let line = |many: bool| {
            let mut points: Vec<(f64, f64)> = of_threads()
                .filter(|point| (point.tokens > 1) == many && point.weight_bytes.is_none())
                .filter_map(|point| Some((point.activation_bytes as f64, point.seconds.value?)))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Line::through(&points)
        };
        let mut many: Vec<(bool, bool, Vec<&HandOver>)> = Vec::new();
        let last_cache = profile.topology.last_cache_bytes().unwrap_or(0);
        for point in of_threads().filter(|point| point.seconds.value.is_some()) {
            let Some(set) = point.working_set_bytes else { continue };
            // Two sets: within the last cache, and past it. Their matrices are not equally many.
            let key = (splits_tokens(point.tokens as usize, threads as usize), set > last_cache);
            match many.iter_mut().find(|known| (known.0, known.1) == key) {
                Some(known) => known.2.push(point),
                None => many.push((key.0, key.1, vec![point])),
            }
        }
        let mut many: Vec<Many> = many
            .into_iter()
            .map(|(by_tokens, _, points)| Many {
                by_tokens,
                working_set_bytes: middle(&points),
                rates: Rates::of(&points),
            })
            .collect();
        many.sort_by(|a, b| a.working_set_bytes.total_cmp(&b.working_set_bytes));
        Self { one: line(false), plain_many: line(true), many, threads }
    }

    /// Seconds of an operation that reads and writes so many bytes of activations, where what its weights cost is counted
    /// apart.
    pub(crate) fn seconds(&self, tokens: f64, activation_bytes: f64) -> f64 {
        let line = if tokens > 1.0 { &self.plain_many } else { &self.one };
        (line.at_first + line.per_byte * (activation_bytes - line.first)).max(0.0)
    }

    /// Seconds for each byte of an operation on so many tokens, in a model that touches so many bytes; nothing for one token,
    /// and where the profile does not tell. Between two working sets they are interpolated by their logarithm.
    pub(crate) fn rates(&self, tokens: f64, working_set_bytes: f64) -> Option<Rates> {
        if tokens <= 1.0 {
            return None;
        }
        let by_tokens = splits_tokens(tokens as usize, self.threads as usize);
        let of_class = |class: bool| {
            let sets: Vec<&Many> = self.many.iter().filter(|many| many.by_tokens == class).collect();
            let above = sets.partition_point(|many| many.working_set_bytes < working_set_bytes);
            let (low, high) = (sets.get(above.wrapping_sub(1)), sets.get(above));
            match (low, high) {
                (Some(low), Some(high)) => {
                    let place = (working_set_bytes / low.working_set_bytes).ln()
                        / (high.working_set_bytes / low.working_set_bytes).ln();
                    Some(low.rates.towards(high.rates, place))
                }
                (nearest, None) | (None, nearest) => nearest.map(|many| many.rates),
            }
        };
        of_class(by_tokens).or_else(|| of_class(!by_tokens))
    }
}

/// The geometric middle of working sets.
fn middle(points: &[&HandOver]) -> f64 {
    let sets = points.iter().filter_map(|point| point.working_set_bytes);
    (sets.map(|set| (set as f64).ln()).sum::<f64>() / points.len() as f64).exp()
}

impl Rates {
    /// The two rates, neither below 0, whose seconds are nearest to those of the points, each by its own size.
    fn of(points: &[&HandOver]) -> Self {
        let sizes: Vec<[f64; 3]> = points
            .iter()
            .filter_map(|point| {
                let weights = point.weight_bytes? as f64;
                Some([weights, point.activation_bytes as f64, point.seconds.value?])
            })
            .collect();
        // Relative to the larger term's bytes: a wide sequence would decide alone otherwise.
        let scale = |[weights, activations, _]: &[f64; 3]| 1.0 / (weights + activations).powi(2);
        let sum = |a: usize, b: usize| sizes.iter().map(|size| scale(size) * size[a] * size[b]).sum::<f64>();
        let (ww, wa, aa, ws, as_) = (sum(0, 0), sum(0, 1), sum(1, 1), sum(0, 2), sum(1, 2));
        let determinant = ww * aa - wa * wa;
        let (weight, activation) = if determinant > 1e-9 * ww * aa {
            ((ws * aa - as_ * wa) / determinant, (as_ * ww - ws * wa) / determinant)
        } else {
            (-1.0, -1.0)
        };
        match (weight >= 0.0, activation >= 0.0) {
            (true, true) => Self { weight, activation },
            (true, false) if ww > 0.0 => Self { weight: (ws / ww).max(0.0), activation: 0.0 },
            (false, true) if aa > 0.0 => Self { weight: 0.0, activation: (as_ / aa).max(0.0) },
            // Sizes in one proportion do not tell: all is laid on the weights.
            _ if ww > 0.0 => Self { weight: (ws / ww).max(0.0), activation: 0.0 },
            _ => Self::default(),
        }
    }

    fn towards(self, other: Self, place: f64) -> Self {
        let between = |a: f64, b: f64| a + place * (b - a);
        Self {
            weight: between(self.weight, other.weight),
            activation: between(self.activation, other.activation),
        }
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
    use slimfit_quantity::Figure;

    #[test]
    fn a_line_through_two_points_never_falls_below_nothing() {
        let line = Line::through(&[(1000.0, 1e-7), (3000.0, 5e-7)]);
        let hand_overs = HandOvers { one: line, ..HandOvers::default() };
        assert!((hand_overs.seconds(1.0, 2000.0) - 3e-7).abs() < 1e-18);
        assert_eq!(hand_overs.seconds(1.0, 0.0), 0.0);
        assert_eq!(hand_overs.seconds(2.0, 2000.0), 0.0, "nothing is known of many tokens");
        assert_eq!(Line::through(&[(1.0, 2e-7), (2.0, 1e-7)]).per_byte, 0.0);
    }

    fn point(weights: f64, activations: f64, seconds: f64) -> HandOver {
        HandOver {
            threads: 2,
            tokens: 32,
            activation_bytes: activations as u64,
            weight_bytes: Some(weights as u64),
            working_set_bytes: Some(1 << 26),
            seconds: Figure::read(seconds),
        }
    }

    #[test]
    fn two_sizes_tell_weights_from_activations() {
        let made = |weights: f64, activations: f64| {
            point(weights, activations, weights * 2e-11 + activations * 3e-10)
        };
        let points = [made(2e5, 2e5), made(2e6, 6e5)];
        let rates = Rates::of(&points.iter().collect::<Vec<_>>());
        assert!((rates.weight / 2e-11 - 1.0).abs() < 1e-6, "{rates:?}");
        assert!((rates.activation / 3e-10 - 1.0).abs() < 1e-6, "{rates:?}");
    }

    #[test]
    fn no_rate_is_below_nothing() {
        let points = [point(2e5, 2e5, 1e-5), point(2e6, 6e5, 1e-6)];
        let rates = Rates::of(&points.iter().collect::<Vec<_>>());
        assert!(rates.weight >= 0.0 && rates.activation >= 0.0, "{rates:?}");
        let same = [point(1e6, 1e6, 1e-5), point(2e6, 2e6, 2e-5)];
        let rates = Rates::of(&same.iter().collect::<Vec<_>>());
        assert!((rates.weight - 1e-11).abs() < 1e-16 && rates.activation == 0.0, "{rates:?}");
    }

    #[test]
    fn working_sets_between_are_interpolated_and_the_split_has_its_own() {
        let many = |by_tokens, working_set_bytes, weight| Many {
            by_tokens,
            working_set_bytes,
            rates: Rates { weight, activation: 0.0 },
        };
        let many = vec![many(false, 1e6, 1.0), many(true, 1e6, 3.0), many(false, 1e8, 2.0)];
        let hand_overs = HandOvers { many, threads: 2, ..HandOvers::default() };
        let weight = |tokens, set| hand_overs.rates(tokens, set).map(|rates| rates.weight);
        assert_eq!(weight(1.0, 1e7), None);
        assert!((weight(8.0, 1e7).unwrap() - 1.5).abs() < 1e-9);
        assert_eq!([weight(8.0, 1.0), weight(8.0, 1e12)], [Some(1.0), Some(2.0)]);
        assert_eq!(weight(512.0, 1e12), Some(3.0));
    }
}
