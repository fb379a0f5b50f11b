//! Compute seconds of matrix products of any shape, from a few that were sampled.
//!
//! At each sampled number of tokens a product costs so much for every weight, output row and input column, and something
//! fixed: the columns are quantised and laid out, the rows written, and a narrow matrix pays for both more often. The four
//! coefficients are those, none negative, with the least squared relative error over the sampled shapes.

use crate::curve::WorkCurve;

/// What one unit of each costs, in seconds: weight, row, column, product.
type Coefficients = [f64; 4];

/// Rounds of coordinate descent: the four are few and far from parallel.
const ROUNDS: usize = 3000;

/// One sampled product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) tokens: f64,
    pub(crate) rows: f64,
    pub(crate) columns: f64,
    pub(crate) seconds: f64,
}

/// Products of one format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Products(Vec<(f64, Coefficients)>);

impl Products {
    /// None where there is no usable sample.
    pub(crate) fn new(samples: &[Sample]) -> Option<Self> {
        let usable = |sample: &&Sample| sample.seconds > 0.0 && sample.seconds.is_finite();
        let mut tokens: Vec<f64> = samples.iter().filter(usable).map(|sample| sample.tokens).collect();
        tokens.sort_by(f64::total_cmp);
        tokens.dedup();
        let at = |tokens: f64| {
            let here: Vec<Sample> =
                samples.iter().filter(usable).filter(|sample| sample.tokens == tokens).copied().collect();
            (tokens, fit(&here))
        };
        let nodes: Vec<_> = tokens.into_iter().map(at).collect();
        (!nodes.is_empty()).then_some(Self(nodes))
    }

    /// Seconds of a product `(rows, columns)` of so many tokens: between two sampled numbers of tokens by their logarithms,
    /// beyond them at the rate of the nearest.
    pub(crate) fn seconds(&self, rows: f64, columns: f64, tokens: f64) -> f64 {
        let units = units(rows, columns);
        let seconds = |coefficients: &Coefficients| dot(&units, coefficients);
        let points = self.0.iter().map(|(tokens, coefficients)| (*tokens, seconds(coefficients))).collect();
        WorkCurve::new(points).map_or(0.0, |curve| curve.seconds(tokens))
    }
}

fn units(rows: f64, columns: f64) -> [f64; 4] {
    [rows * columns, rows, columns, 1.0]
}

fn dot(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Coordinate descent on relative errors, from all time being the weights'.
fn fit(samples: &[Sample]) -> Coefficients {
    // Each sample as the units of one of its seconds: the sum of their costs should be 1.
    let relative: Vec<[f64; 4]> = samples
        .iter()
        .map(|sample| units(sample.rows, sample.columns).map(|unit| unit / sample.seconds))
        .collect();
    let mean = relative.iter().map(|units| 1.0 / units[0]).sum::<f64>() / relative.len() as f64;
    let mut coefficients = [mean, 0.0, 0.0, 0.0];
    if relative.len() < 2 {
        return coefficients;
    }
    for _ in 0..ROUNDS {
        for place in 0..coefficients.len() {
            let (mut against, mut square) = (0.0, 0.0);
            for units in &relative {
                let others = dot(units, &coefficients) - units[place] * coefficients[place];
                against += units[place] * (1.0 - others);
                square += units[place] * units[place];
            }
            coefficients[place] = (against / square).max(0.0);
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(tokens: f64, rows: f64, columns: f64) -> Sample {
        let seconds = tokens * (rows * columns * 2e-12 + rows * 1e-10 + columns * 4e-10) + 1e-7;
        Sample { tokens, rows, columns, seconds }
    }

    #[test]
    fn a_shape_between_the_sampled_ones_is_met() {
        let shapes = [(576.0, 576.0), (1536.0, 576.0), (576.0, 1536.0), (384.0, 128.0), (1536.0, 1536.0)];
        let samples: Vec<Sample> =
            shapes.into_iter().map(|(rows, columns)| sample(128.0, rows, columns)).collect();
        let products = Products::new(&samples).unwrap();
        for (rows, columns) in [(1024.0, 256.0), (768.0, 768.0), (2048.0, 1024.0)] {
            let (found, wanted) =
                (products.seconds(rows, columns, 128.0), sample(128.0, rows, columns).seconds);
            assert!((found / wanted - 1.0).abs() < 0.02, "{rows}x{columns}: {found} and {wanted}");
        }
    }

    #[test]
    fn one_shape_gives_its_weights_rate() {
        let products =
            Products::new(&[Sample { tokens: 1.0, rows: 10.0, columns: 10.0, seconds: 1e-6 }]).unwrap();
        assert!((products.seconds(20.0, 10.0, 1.0) - 2e-6).abs() < 1e-15);
        assert!((products.seconds(10.0, 10.0, 3.0) - 3e-6).abs() < 1e-15, "the rate goes on");
        assert_eq!(Products::new(&[]), None);
    }
}
