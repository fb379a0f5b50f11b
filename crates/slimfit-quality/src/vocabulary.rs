//! What a vocabulary far from the recipe's costs: a table over size and vocabulary.

use crate::recipe::VocabularyTerm;
use slimfit_document::{Document, DocumentError};

impl VocabularyTerm {
    /// Nats above the best vocabulary for a size: linear in ln V and ln N between the table's entries; along the outer
    /// segments beyond its vocabularies, and at the nearer end beyond its sizes.
    pub fn nats(&self, non_embedding: f64, vocabulary: f64) -> f64 {
        let (below, share) = segment(&self.parameters, non_embedding);
        let share = share.clamp(0.0, 1.0);
        let row = |place: usize| {
            let (left, share) = segment(&self.vocabularies, vocabulary);
            let nats = &self.nats[place];
            nats[left] + share * (nats[left + 1] - nats[left])
        };
        (1.0 - share) * row(below) + share * row(below + 1)
    }

    /// The least of [`VocabularyTerm::nats`] less that at `edge`, over all sizes from `least` to `most`: linear between
    /// knots, so it is found at one of the ends or at a knot between them.
    pub(crate) fn least_difference(&self, least: f64, most: f64, vocabulary: f64, edge: f64) -> f64 {
        let knots = self.parameters.iter().copied().filter(|knot| (least..=most).contains(knot));
        [least, most]
            .into_iter()
            .chain(knots)
            .map(|size| self.nats(size, vocabulary) - self.nats(size, edge))
            .fold(f64::INFINITY, f64::min)
    }

    /// Whether the table has ascending knots, and one number for each pair of them.
    pub(crate) fn check(&self, document: &Document) -> Result<(), DocumentError> {
        const FIELD: &str = "corrections.vocabulary";
        for (name, knots) in [("parameters", &self.parameters), ("vocabularies", &self.vocabularies)] {
            let ascend = knots.windows(2).all(|pair| pair[0] > 0.0 && pair[0] < pair[1]);
            if knots.len() < 2 || !ascend {
                let error = document.error_at(&format!("{FIELD}.{name}"), "knots do not ascend");
                return Err(error.found(format!("{knots:?}")).allowed("2 or more ascending numbers above 0"));
            }
        }
        let (rows, columns) = (self.parameters.len(), self.vocabularies.len());
        if self.nats.len() != rows || self.nats.iter().any(|row| row.len() != columns) {
            let lengths: Vec<usize> = self.nats.iter().map(Vec::len).collect();
            let error =
                document.error_at(&format!("{FIELD}.nats"), "the table has another shape than its knots");
            return Err(error
                .found(format!("rows of {lengths:?}"))
                .allowed(format!("{rows} rows of {columns}")));
        }
        Ok(())
    }
}

/// The segment of ascending knots that holds `value`, or is nearest, and how far along it lies in logarithms.
fn segment(knots: &[f64], value: f64) -> (usize, f64) {
    let last = knots.len() - 2;
    let below = (0..last).find(|&place| value <= knots[place + 1]).unwrap_or(last);
    (below, (value / knots[below]).ln() / (knots[below + 1] / knots[below]).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_through_its_entries_and_on_along_its_outer_segments() {
        let term = VocabularyTerm {
            source: "a test".to_owned(),
            assumed: true,
            parameters: vec![1e7, 1e8, 1e9],
            vocabularies: vec![1000.0, 10_000.0, 100_000.0],
            nats: vec![vec![0.0, 0.1, 0.4], vec![0.1, 0.0, 0.2], vec![0.3, 0.1, 0.0]],
            sigma: 0.03,
        };
        let near = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        near(term.nats(1e8, 10_000.0), 0.0);
        near(term.nats(1e7, 100_000.0), 0.4);
        near(term.nats((1e7_f64 * 1e8).sqrt(), 1000.0), 0.05);
        near(term.nats(1e8, 1_000_000.0), 0.4);
        near(term.nats(1e8, 100.0), 0.2);
        near(term.nats(1e10, 1000.0), 0.3);
        near(term.nats(1e6, 1000.0), 0.0);
    }
}
