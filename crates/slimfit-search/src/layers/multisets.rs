//! Exact labels of interchangeable layers, one layer at a time.

use super::labels::{Labels, Stop, Tally};
use super::problem::Scaled;
use std::collections::BTreeMap;

/// Labels that are summed with each other: more would make too many pairs.
const BASE: usize = 20_000;
/// Candidates held at once for each label that may be kept.
const CANDIDATES: usize = 8;

/// Exact labels of the layers of one set of kinds, by how many layers they have.
#[derive(Debug, Default)]
pub(crate) struct Multisets {
    pub(crate) exact: BTreeMap<usize, Labels>,
}

/// What bounds the work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    pub(crate) most_labels: usize,
    pub(crate) workers: usize,
    pub(crate) stop: Stop<'a>,
}

impl Multisets {
    /// Grows labels of `kinds` up to the last of `counts` layers, while they fit, and keeps those of `counts` and those
    /// few enough to be summed with each other.
    pub(crate) fn grow(
        scaled: &Scaled,
        kinds: &[usize],
        counts: &[usize],
        bounds: Bounds<'_>,
        tally: &mut Tally,
    ) -> Self {
        let most = counts.iter().copied().max().unwrap_or(0);
        let dimensions = scaled.dimensions.len();
        let mut first = Labels::new(dimensions, scaled.kinds.len());
        let mut own = Tally { sums: kinds.len() as u64, ..Tally::default() };
        for &kind in kinds {
            if over(&scaled.kinds[kind], &scaled.ceilings(scaled.layers - 1)) {
                own.over_limit += 1;
                continue;
            }
            first.values.extend(&scaled.kinds[kind]);
            let count = first.counts.len();
            first.counts.resize(count + first.kinds, 0);
            first.counts[count + kind] = 1;
        }
        (own.dominated, own.equal) = first.filter(1);
        own.kept = first.len() as u64;
        tally.add(own);
        let single: Vec<usize> = {
            let kind = |label: usize| first.count(label).iter().position(|count| *count > 0);
            let mut single: Vec<usize> = (0..first.len()).filter_map(kind).collect();
            single.sort_unstable();
            single
        };
        let mut grown = Self::default();
        let mut lengths = vec![first.len()];
        let mut last = first.clone();
        grown.exact.insert(1, first);
        for layers in 2..=most {
            if bounds.stop.now() || last.len() * single.len() > CANDIDATES * bounds.most_labels.max(BASE) {
                break;
            }
            let mut own = Tally::default();
            let mut next =
                extended(scaled, &last, &single, &scaled.ceilings(scaled.layers - layers), &mut own);
            (own.dominated, own.equal) = next.filter(bounds.workers);
            own.kept = next.len() as u64;
            tally.add(own);
            lengths.push(next.len());
            let asked = counts.contains(&layers);
            let fits = next.len() <= bounds.most_labels;
            if (asked && fits) || next.len() <= BASE.min(bounds.most_labels) {
                grown.exact.insert(layers, next.clone());
            } else if !fits || outgrows(&lengths, most, bounds.most_labels) {
                break;
            }
            last = next;
        }
        grown
    }
}

/// Whether labels that grow as they did would outgrow the bound by far.
fn outgrows(lengths: &[usize], layers: usize, most_labels: usize) -> bool {
    let have = lengths.len();
    if have < 4 {
        return false;
    }
    let (last, before) = (lengths[have - 1] as f64, lengths[have - 2] as f64);
    let power = (last / before).ln() / (have as f64 / (have - 1) as f64).ln();
    last * (layers as f64 / have as f64).powf(power) > 4.0 * most_labels as f64
}

/// Each label with one more layer, of its own last kind or a later one (Lemma 4).
fn extended(
    scaled: &Scaled,
    labels: &Labels,
    kinds: &[usize],
    ceilings: &[f64],
    tally: &mut Tally,
) -> Labels {
    let mut next = Labels::new(labels.dimensions, labels.kinds);
    for label in 0..labels.len() {
        let last = labels.count(label).iter().rposition(|count| *count > 0).unwrap_or(0);
        for &kind in &kinds[kinds.partition_point(|kind| *kind < last)..] {
            tally.sums += 1;
            let start = next.values.len();
            next.values.extend(labels.value(label).iter().zip(&scaled.kinds[kind]).map(|(a, b)| a + b));
            if over(&next.values[start..], ceilings) {
                next.values.truncate(start);
                tally.over_limit += 1;
                continue;
            }
            let start = next.counts.len();
            next.counts.extend(labels.count(label));
            next.counts[start + kind] += 1;
        }
    }
    next
}

/// Whether sums break a limit.
pub(crate) fn over(values: &[f64], ceilings: &[f64]) -> bool {
    values.iter().zip(ceilings).any(|(value, ceiling)| value > ceiling)
}
