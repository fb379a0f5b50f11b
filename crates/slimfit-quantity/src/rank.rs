//! How far two lists agree in order.

/// Kendall's τ-b, which allows for equal values; none for fewer than two, or when one side never differs.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut concordant, mut discordant, mut tied_a, mut tied_b) = (0_i64, 0_i64, 0_i64, 0_i64);
    for i in 0..a.len() {
        for j in 0..i {
            let (in_a, in_b) = (a[i].total_cmp(&a[j]), b[i].total_cmp(&b[j]));
            match (in_a.is_eq(), in_b.is_eq()) {
                (true, true) => {}
                (true, false) => tied_a += 1,
                (false, true) => tied_b += 1,
                (false, false) if in_a == in_b => concordant += 1,
                (false, false) => discordant += 1,
            }
        }
    }
    let untied = concordant + discordant;
    let scale = ((untied + tied_a) as f64 * (untied + tied_b) as f64).sqrt();
    (scale > 0.0).then(|| (concordant - discordant) as f64 / scale)
}

/// Spearman's ρ, equal values sharing their mean rank; none for fewer than two, or when one side never differs.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum() };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    (scale > 0.0).then(|| product(&a, &b) / scale)
}

/// The rank of each value, from 0.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let equal =
            order[first..].iter().take_while(|place| values[**place] == values[order[first]]).count().max(1);
        for place in &order[first..first + equal] {
            ranks[*place] = first as f64 + (equal - 1) as f64 / 2.0;
        }
        first += equal;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kendall_counts_pairs() {
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), Some(1.0));
        assert_eq!(kendall_tau(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall_tau(&[1.0], &[1.0]), None);
    }

    #[test]
    fn spearman_sees_ranks_alone() {
        assert_eq!(spearman(&[1.0, 20.0, 300.0], &[-3.0, -2.0, 9.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0], &[4.0, 3.0, 2.0, 1.0]), Some(-1.0));
        // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
        let tied = spearman(&[1.0, 5.0, 5.0, 7.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((tied - 0.948_683_298_050_513_8).abs() < 1e-12, "{tied}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }
}
