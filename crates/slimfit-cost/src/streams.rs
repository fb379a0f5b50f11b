//! How fast our kernels stream weights and caches that a step uses once, as shares of a plain read.

use crate::Regime;
use crate::rates::HeadLayout;
use slimfit_hardware::{BandwidthBin, HardwareProfile, Streaming};
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

/// What one execution costs at a working set, in bytes of a plain read: `start + bytes / efficiency`; of attention, whose
/// heads' keys and values lie apart, the start is that of one KV head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    working_set_bytes: f64,
    /// Bytes that a plain read would move while an execution starts its address streams.
    pub(crate) start_bytes: f64,
    /// Bytes per second over those of a plain read, once it streams.
    pub(crate) efficiency: f64,
    /// Of that plain read: bytes per second.
    read_bytes_per_s: f64,
}

impl Node {
    /// The same kernel where a plain read gives less: the bytes take as much longer as they do on their way.
    fn farther_off(self, read_bytes_per_s: f64) -> Self {
        let more = 1.0 / read_bytes_per_s - 1.0 / self.read_bytes_per_s;
        if more <= 0.0 {
            return self;
        }
        let seconds_per_byte = 1.0 / (self.efficiency * self.read_bytes_per_s) + more;
        let start_seconds = self.start_bytes / self.read_bytes_per_s;
        Self {
            start_bytes: start_seconds * read_bytes_per_s,
            efficiency: 1.0 / (seconds_per_byte * read_bytes_per_s),
            read_bytes_per_s,
            ..self
        }
    }
}

/// The factor by which working sets differ at most within one regime where kernels were sampled on the edge of a cache.
const FINEST: f64 = 1.15;

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
                .filter_map(|(operation, format, heads, samples)| {
                    let starts = samples.iter().find_map(|sample| sample.kv_heads).unwrap_or(1) as f64;
                    let mut nodes = nodes(&samples);
                    for node in &mut nodes {
                        node.start_bytes /= starts;
                        let read = profile.read_bandwidth(threads, node.working_set_bytes as u64);
                        // A share of a read that was not measured tells nothing.
                        node.read_bytes_per_s = read?;
                    }
                    Some(Kind { operation, format, heads, nodes })
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

    /// What an execution costs in a regime, in bytes of its plain read. Between two working sets that were sampled it is
    /// the kernel's own time that is interpolated, and not its share of a read: a cache may keep a part of what a kernel
    /// goes through where it keeps nothing of what a plain loop does, whose rate then falls off a cliff that is not the
    /// kernel's. Past them the weights come from farther away: each byte takes what it took, and as much more as a plain
    /// read of it takes there. A kernel that computes longer than a cache delivers is so no slower from memory than
    /// memory is. Before them the nearest share holds.
    pub(crate) fn at(&self, id: StreamId, regime: &Regime) -> Node {
        let nodes = &self.0[id.0].nodes;
        let set = regime.middle_bytes();
        let above = nodes.partition_point(|node| node.working_set_bytes < set);
        if above == 0 {
            return nodes[0];
        }
        if above == nodes.len() {
            return nodes[above - 1].farther_off(regime.read_bytes_per_s);
        }
        let (low, high) = (nodes[above - 1], nodes[above]);
        let place = place_between(low, high, set);
        let seconds_per_byte = |node: Node| 1.0 / node.efficiency / node.read_bytes_per_s;
        let start_seconds = |node: Node| node.start_bytes / node.read_bytes_per_s;
        let (low_seconds, high_seconds) = (seconds_per_byte(low), seconds_per_byte(high));
        let read = regime.read_bytes_per_s;
        Node {
            working_set_bytes: set,
            start_bytes: read * (start_seconds(low) + place * (start_seconds(high) - start_seconds(low))),
            efficiency: 1.0 / (read * low_seconds * (high_seconds / low_seconds).powf(place)),
            read_bytes_per_s: read,
        }
    }

    /// Cuts bins where kernels were sampled so that their own rates, too, hardly move within one.
    pub(crate) fn refine(&self, bins: Vec<BandwidthBin>) -> Vec<BandwidthBin> {
        let sets = || self.0.iter().flat_map(|kind| &kind.nodes).map(|node| node.working_set_bytes);
        let (first, last) = (sets().fold(f64::INFINITY, f64::min), sets().fold(0.0, f64::max));
        let mut refined = Vec::with_capacity(bins.len());
        let mut above = 0.0_f64;
        for bin in bins {
            let (from, to) = (above.max(first), (bin.up_to_bytes as f64).min(last));
            if to > from {
                let cuts = ((to / from).ln() / FINEST.ln()).ceil() as i32;
                let border = |cut: i32| (from * (to / from).powf(f64::from(cut) / f64::from(cuts))) as u64;
                // The end of what was sampled is a border of its own where the bin goes on.
                let borders = (1..=cuts).map(border).filter(|border| *border < bin.up_to_bytes);
                refined.extend(borders.map(|up_to_bytes| BandwidthBin { up_to_bytes, ..bin }));
            }
            above = bin.up_to_bytes as f64;
            refined.push(bin);
        }
        refined
    }
}

/// Where a working set lies between two nodes by its logarithm, from 0 to 1.
fn place_between(low: Node, high: Node, working_set_bytes: f64) -> f64 {
    (working_set_bytes / low.working_set_bytes).ln() / (high.working_set_bytes / low.working_set_bytes).ln()
}

/// One node for each working set. Samples of two sizes tell the start from the rate; where there is one size, the start is
/// that of the working sets around, and where no set has two, there is none.
fn nodes(samples: &[&Streaming]) -> Vec<Node> {
    let points = by_set(samples);
    let started: Vec<Node> = points.iter().filter_map(|(set, points)| of_two_sizes(*set, points)).collect();
    let whole = |&(set, bytes, share): &(f64, f64, f64)| {
        let start = if started.is_empty() { 0.0 } else { start_between(&started, set) };
        // A start that would take longer than the whole is another's.
        let start_bytes = start.min(bytes / share / 2.0);
        let efficiency = bytes / (bytes / share - start_bytes);
        Node { working_set_bytes: set, start_bytes, efficiency, read_bytes_per_s: 1.0 }
    };
    points
        .iter()
        .filter_map(|(set, points)| {
            let known = started.iter().find(|node| node.working_set_bytes == *set).copied();
            known.or_else(|| points.last().map(|&(bytes, share)| whole(&(*set, bytes, share))))
        })
        .collect()
}

/// Bytes of an execution and its share of a plain read, ascending, for each working set.
type Points = Vec<(f64, Vec<(f64, f64)>)>;

fn by_set(samples: &[&Streaming]) -> Points {
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
            (set as f64, points)
        })
        .collect()
}

fn of_two_sizes(working_set_bytes: f64, points: &[(f64, f64)]) -> Option<Node> {
    let [(few, slow), .., (many, fast)] = points[..] else { return None };
    if many <= few {
        return None;
    }
    // Bytes of a plain read that take as long.
    let (few_cost, many_cost) = (few / slow, many / fast);
    let efficiency = (many - few) / (many_cost - few_cost);
    let (start_bytes, efficiency) = if many_cost > few_cost && efficiency >= fast {
        (few_cost - few / efficiency, efficiency)
    } else {
        (0.0, fast)
    };
    Some(Node { working_set_bytes, start_bytes: start_bytes.max(0.0), efficiency, read_bytes_per_s: 1.0 })
}

/// The start between two nodes by the logarithm of the working set, beyond them as at the nearest.
fn start_between(nodes: &[Node], working_set_bytes: f64) -> f64 {
    let above = nodes.partition_point(|node| node.working_set_bytes < working_set_bytes);
    if above == 0 || above == nodes.len() {
        return nodes[above.min(nodes.len() - 1)].start_bytes;
    }
    let (low, high) = (nodes[above - 1], nodes[above]);
    low.start_bytes + place_between(low, high, working_set_bytes) * (high.start_bytes - low.start_bytes)
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
    fn where_one_size_was_measured_the_start_is_that_of_the_sets_around() {
        let share = |bytes: f64, efficiency: f64| bytes / (1000.0 + bytes / efficiency);
        let samples = [
            sample(4000, 1 << 20, share(4000.0, 0.8)),
            sample(64_000, 1 << 20, share(64_000.0, 0.8)),
            sample(64_000, 1 << 22, share(64_000.0, 0.5)),
            sample(4000, 1 << 24, share(4000.0, 0.9)),
            sample(64_000, 1 << 24, share(64_000.0, 0.9)),
        ];
        let nodes = nodes(&samples.iter().collect::<Vec<_>>());
        assert_eq!(nodes.len(), 3);
        assert!((nodes[1].start_bytes - 1000.0).abs() < 1e-6, "{nodes:?}");
        assert!((nodes[1].efficiency - 0.5).abs() < 1e-9, "{nodes:?}");
    }

    #[test]
    fn a_small_matrix_that_looks_faster_has_no_negative_start() {
        let nodes = nodes(&[&sample(4000, 1 << 27, 0.95), &sample(64_000, 1 << 27, 0.9)]);
        assert_eq!((nodes[0].start_bytes, nodes[0].efficiency), (0.0, 0.9));
    }

    fn streams() -> Streams {
        let mut nodes = nodes(&[&sample(4000, 1 << 20, 0.5), &sample(4000, 1 << 24, 1.0)]);
        // The plain read falls to a tenth, so the kernel's rates are 0.5 · 100 and 1.0 · 10.
        (nodes[0].read_bytes_per_s, nodes[1].read_bytes_per_s) = (100.0, 10.0);
        Streams(vec![Kind {
            operation: "matmul",
            format: NumberFormat::Q8_0,
            heads: HeadLayout::NONE,
            nodes,
        }])
    }

    fn regime(above_bytes: f64, up_to_bytes: f64, read_bytes_per_s: f64) -> Regime {
        Regime { threads: 1, above_bytes, up_to_bytes, read_bytes_per_s, overhead_seconds: 0.0 }
    }

    #[test]
    fn between_two_working_sets_the_kernels_own_rate_is_interpolated_whatever_a_read_does() {
        let streams = streams();
        let middle = f64::from(1 << 22);
        for read in [10.0, 60.0, 100.0] {
            let at = streams.at(StreamId(0), &regime(middle / 1.01, middle * 1.01, read));
            let rate = at.efficiency * read;
            assert!((rate - (50.0_f64 * 10.0).sqrt()).abs() < 1e-6, "{rate} of {read}");
        }
    }

    #[test]
    fn before_what_was_sampled_the_share_of_a_read_holds() {
        let streams = streams();
        assert_eq!(streams.at(StreamId(0), &regime(0.0, 1000.0, 200.0)).efficiency, 0.5);
    }

    #[test]
    fn past_what_was_sampled_bytes_take_as_much_longer_as_a_plain_read_of_them() {
        let streams = streams();
        let rate = |read| read * streams.at(StreamId(0), &regime(2e8, u64::MAX as f64, read)).efficiency;
        // The last sampled streams as fast as a read of 10 there.
        assert!((rate(5.0) - 5.0).abs() < 1e-9);
        assert!((rate(20.0) - 20.0).abs() < 1e-9, "from nearer the share holds");
        // One that computes: 0.25 of a read of 40 takes 0.1 a byte; from where a read takes 0.1 more, half the rate.
        let computing = Node { efficiency: 0.25, read_bytes_per_s: 40.0, ..streams.0[0].nodes[0] };
        let far = computing.farther_off(8.0);
        assert!((far.efficiency * 8.0 - 5.0).abs() < 1e-9, "{far:?}");
    }

    #[test]
    fn bins_are_cut_where_kernels_were_sampled_and_nowhere_else() {
        let bin = |up_to_bytes, bytes_per_s| BandwidthBin { up_to_bytes, bytes_per_s };
        let bins = streams().refine(vec![bin(1 << 18, 3.0), bin(1 << 21, 2.0), bin(u64::MAX, 1.0)]);
        assert!(bins.windows(2).all(|pair| pair[0].up_to_bytes < pair[1].up_to_bytes), "{bins:?}");
        assert_eq!((bins[0].up_to_bytes, bins[bins.len() - 1].up_to_bytes), (1 << 18, u64::MAX));
        let sampled = |bin: &&BandwidthBin| (1 << 20..=1 << 24).contains(&bin.up_to_bytes);
        let cut: Vec<u64> = bins.iter().filter(sampled).map(|bin| bin.up_to_bytes).collect();
        assert!(cut.windows(2).all(|pair| pair[1] as f64 / pair[0] as f64 <= FINEST + 1e-3), "{cut:?}");
        assert_eq!(cut.last(), Some(&(1 << 24)));
        assert!(bins.iter().all(|bin| bin.up_to_bytes > 1 << 21 || bin.bytes_per_s >= 2.0));
        assert_eq!(Streams::default().refine(vec![bin(u64::MAX, 1.0)]).len(), 1);
    }
}
