//! Products, sums and norms of plain vectors.

use slimfit_arch::{Norm, NormKind};

/// `matrix` is `(rows, x.len())` row-major; returns its product with `x`.
pub(super) fn matrix_product(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn add_scaled(sum: &mut [f64], addend: &[f64], scale: f64) {
    assert_eq!(sum.len(), addend.len());
    for (sum, addend) in sum.iter_mut().zip(addend) {
        *sum += scale * addend;
    }
}

/// One norm over all of `x`; `weight` has its offset already folded in.
pub(super) fn normalise(x: &[f64], norm: &Norm, weight: Option<&[f64]>, bias: Option<&[f64]>) -> Vec<f64> {
    let count = x.len() as f64;
    let mean = match norm.kind {
        NormKind::Rms => 0.0,
        NormKind::Layer | NormKind::LayerNoBias | NormKind::LayerPlain => x.iter().sum::<f64>() / count,
    };
    let variance = x.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let factor = 1.0 / (variance + norm.epsilon).sqrt();
    let at = |values: Option<&[f64]>, index: usize, otherwise: f64| values.map_or(otherwise, |v| v[index]);
    x.iter()
        .enumerate()
        .map(|(index, value)| (value - mean) * factor * at(weight, index, 1.0) + at(bias, index, 0.0))
        .collect()
}

pub(super) fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_by_hand() {
        let norm = |kind| Norm { kind, epsilon: 0.0, weight_plus_one: false };
        assert_eq!(normalise(&[3.0, 4.0], &norm(NormKind::Rms), None, None)[0], 3.0 / 12.5_f64.sqrt());
        let layer = normalise(&[1.0, 3.0], &norm(NormKind::Layer), Some(&[2.0, 2.0]), Some(&[0.5, 0.0]));
        assert_eq!(layer, [-1.5, 2.0]);
    }

    #[test]
    fn softmax_sums_to_one_and_survives_large_scores() {
        let mut scores = [1000.0, 1000.0, -1000.0];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5, 0.0]);
    }
}
