//! How fast our kernels stream weights and caches that a step uses once, as shares of a plain read.

use crate::rates::HeadLayout;
use slimfit_hardware::{HardwareProfile, Streaming};
use slimfit_kernels::Operation;
use slimfit_quantity::NumberFormat;

/// Below this share a sample was disturbed beyond use, above it some of the data did not come from where it should.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.02..=1.6;

/// A kind of kernel that streams.
#[derive(Debug, Clone, PartialEq)]
struct Kind {
    operation: &'static str,
    format: NumberFormat,
    heads: HeadLayout,
    /// By working set, ascending.
    nodes: Vec<Node>,
}

/// What one execution costs at a working set, in bytes of a plain read: `start + bytes / efficiency`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    working_set_bytes: f64,
    /// Bytes that a plain read would move while an execution starts its address streams.
    pub(crate) start_bytes: f64,
    /// Bytes per second over those of a plain read, once it streams.
    pub(crate) efficiency: f64,
}

/// All kinds of one thread count.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Streams(Vec<Kind>);

/// Names a kind of [`Streams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(usize);

impl Streams {
    pub(crate) fn new(profile: &HardwareProfile, threads: u32) -> Self {
        let mut samples: Vec<(&'static str, NumberFormat, HeadLayout, Vec<&Streaming>)> = Vec::new();
        for sample in profile.streaming.iter().filter(|sample| sample.threads == threads) {
            let usable = sample.share_of_read.value.is_some_and(|share| PLAUSIBLE.contains(&share));
            let Some(operation) = ["matmul", "attend"].into_iter().find(|name| *name == sample.operation)
            else {
                continue;
            };
            if !usable {
                continue;
            }
            let heads = match (sample.head_size, sample.kv_heads) {
                (Some(size), Some(kv_heads)) => HeadLayout::new(size, sample.rows / size.max(1), kv_heads),
                _ => HeadLayout::NONE,
            };
            let same = |known: &&mut (&'static str, NumberFormat, HeadLayout, Vec<&Streaming>)| {
                (known.0, known.1, known.2) == (operation, sample.format, heads)
            };
            match samples.iter_mut().find(same) {
                Some(known) => known.3.push(sample),
                None => samples.push((operation, sample.format, heads, vec![sample])),
            }
        }
        Self(
            samples
                .into_iter()
                .map(|(operation, format, heads, samples)| Kind {
                    operation,
                    format,
                    heads,
                    nodes: nodes(&samples),
                })
                .collect(),
        )
    }

    /// The kind that a planned operation belongs to: of attention, that of the nearest heads.
    pub(crate) fn find(&self, operation: &Operation) -> Option<StreamId> {
        let (name, format, heads) = match operation {
            Operation::MatMul(product) => ("matmul", product.format, HeadLayout::NONE),
            Operation::Experts(experts) => ("matmul", experts.format, HeadLayout::NONE),
            Operation::Attend(attend) => {
                ("attend", attend.kv_format, HeadLayout::new(attend.head_size, attend.heads, attend.kv_heads))
            }
            _ => return None,
        };
        let kinds = self.0.iter().enumerate();
        let same = kinds.filter(|(_, kind)| kind.operation == name && kind.format == format);
        same.min_by(|(_, a), (_, b)| a.heads.distance(heads).total_cmp(&b.heads.distance(heads)))
            .map(|(place, _)| StreamId(place))
    }

    /// What an execution costs at a working set: between two that were sampled by its logarithm, beyond them as at the
    /// nearest.
    pub(crate) fn at(&self, id: StreamId, working_set_bytes: f64) -> Node {
        let nodes = &self.0[id.0].nodes;
        let above = nodes.partition_point(|node| node.working_set_bytes < working_set_bytes);
        if above == 0 || above == nodes.len() {
            return nodes[above.min(nodes.len() - 1)];
        }
        let (low, high) = (nodes[above - 1], nodes[above]);
        let place = (working_set_bytes / low.working_set_bytes).ln()
            / (high.working_set_bytes / low.working_set_bytes).ln();
        let between = |a: f64, b: f64| a + place * (b - a);
        Node {
            working_set_bytes,
            start_bytes: between(low.start_bytes, high.start_bytes),
            efficiency: between(low.efficiency, high.efficiency),
        }
    }
}

/// One node for each working set. Samples of two sizes tell the start from the rate; those of one are all rate.
fn nodes(samples: &[&Streaming]) -> Vec<Node> {
    let mut sets: Vec<u64> = samples.iter().map(|sample| sample.working_set_bytes).collect();
    sets.sort_unstable();
    sets.dedup();
    sets.into_iter()
        .map(|set| {
            let mut points: Vec<(f64, f64)> = samples
                .iter()
                .filter(|sample| sample.working_set_bytes == set)
                .filter_map(|sample| Some((sample.bytes as f64, sample.share_of_read.value?)))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (start_bytes, efficiency) = match points[..] {
                [(few, slow), .., (many, fast)] if many > few => {
                    // Bytes of a plain read that take as long.
                    let (few_cost, many_cost) = (few / slow, many / fast);
                    let efficiency = (many - few) / (many_cost - few_cost);
                    if many_cost > few_cost && efficiency >= fast {
                        (few_cost - few / efficiency, efficiency)
                    } else {
                        (0.0, fast)
                    }
                }
                _ => (0.0, points.last().map_or(1.0, |point| point.1)),
            };
            Node { working_set_bytes: set as f64, start_bytes: start_bytes.max(0.0), efficiency }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_quantity::Figure;

    fn sample(bytes: u64, working_set_bytes: u64, share: f64) -> Streaming {
        Streaming {
            operation: "matmul".to_owned(),
            variant: "made-up".to_owned(),
            format: NumberFormat::Q8_0,
            rows: 1,
            columns: 1,
            head_size: None,
            kv_heads: None,
            threads: 1,
            bytes,
            working_set_bytes,
            share_of_read: Figure::read(share),
        }
    }

    #[test]
    fn two_sizes_tell_the_start_from_the_rate() {
        // An execution costs 1000 + bytes / 0.8.
        let share = |bytes: f64| bytes / (1000.0 + bytes / 0.8);
        let (few, many) = (sample(4000, 1 << 27, share(4000.0)), sample(64_000, 1 << 27, share(64_000.0)));
        let nodes = nodes(&[&many, &few]);
        assert_eq!(nodes.len(), 1);
        assert!((nodes[0].start_bytes - 1000.0).abs() < 1e-6, "{nodes:?}");
        assert!((nodes[0].efficiency - 0.8).abs() < 1e-9, "{nodes:?}");
    }

    #[test]
    fn a_small_matrix_that_looks_faster_has_no_negative_start() {
        let nodes = nodes(&[&sample(4000, 1 << 27, 0.95), &sample(64_000, 1 << 27, 0.9)]);
        assert_eq!((nodes[0].start_bytes, nodes[0].efficiency), (0.0, 0.9));
    }

    #[test]
    fn between_two_working_sets_it_is_the_logarithm_that_counts() {
        let streams = Streams(vec![Kind {
            operation: "matmul",
            format: NumberFormat::Q8_0,
            heads: HeadLayout::NONE,
            nodes: nodes(&[&sample(4000, 1 << 20, 0.6), &sample(4000, 1 << 24, 1.0)]),
        }]);
        let efficiency = |bytes: f64| streams.at(StreamId(0), bytes).efficiency;
        assert_eq!((efficiency(1.0), efficiency(f64::INFINITY)), (0.6, 1.0));
        assert!((efficiency(f64::from(1 << 22)) - 0.8).abs() < 1e-12);
    }
}
