//! The least times of parts over spans of regimes, whatever the thread count: what bounds of wide boxes ask for.
//!
//! The borders of all thread counts' regimes cut the working sets into intervals. Spans of 1, 2, 4, … intervals form a tree;
//! what a part takes at least in a span is the least of what it takes in the regimes that a working set of the span may be in.

use crate::device::Device;
use crate::parts::Part;
use slimfit_cost::{CostModel, RegimeId};

/// The most spans that a range of working sets is covered with.
const MOST_SPANS: usize = 4;

/// Intervals of working sets, and the regimes of each.
#[derive(Debug)]
pub(super) struct Intervals {
    /// Working sets up to which they reach, ascending; the last has no end.
    up_to_bytes: Vec<f64>,
    /// Place of the thread count, thread count, and its regime, one for each thread count.
    regimes: Vec<Vec<(usize, u32, RegimeId)>>,
}

/// A span of intervals: its node in the tree, and the working set up to which it reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RegimeSpan {
    pub(super) node: usize,
    pub(super) up_to_bytes: f64,
}

impl Intervals {
    pub(super) fn new(cost: &CostModel) -> Self {
        let mut up_to_bytes: Vec<f64> = cost.regimes().iter().map(|regime| regime.up_to_bytes).collect();
        up_to_bytes.sort_by(f64::total_cmp);
        up_to_bytes.dedup();
        let known = |bytes: f64| {
            let of = |(place, threads)| Some((place, threads, cost.regime(threads, bytes).ok()?));
            cost.thread_counts().enumerate().filter_map(of).collect()
        };
        Self { regimes: up_to_bytes.iter().map(|bytes| known(*bytes)).collect(), up_to_bytes }
    }

    /// A few spans that cover the working sets from `least` to `most`.
    pub(super) fn cover(&self, least: f64, most: f64) -> Vec<RegimeSpan> {
        let last = self.up_to_bytes.len() - 1;
        let place = |bytes: f64| self.up_to_bytes.partition_point(|up_to| *up_to < bytes).min(last);
        let (first, end) = (place(least), place(most.max(least)));
        let wide = (0..usize::BITS).find(|level| (end >> level) - (first >> level) < MOST_SPANS);
        let level = wide.unwrap_or_default();
        let span = |place: usize| RegimeSpan {
            node: (self.leaves() >> level) + place,
            up_to_bytes: self.up_to_bytes[(((place + 1) << level) - 1).min(last)],
        };
        (first >> level..=end >> level).map(span).collect()
    }

    fn leaves(&self) -> usize {
        self.up_to_bytes.len().next_power_of_two()
    }
}

/// What a part takes at least.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LeastTime {
    pub(super) decode_seconds: f64,
    pub(super) prefill_seconds: f64,
    pub(super) joules: f64,
}

impl LeastTime {
    pub(super) const NOTHING: Self = Self { decode_seconds: 0.0, prefill_seconds: 0.0, joules: 0.0 };
    const IMPOSSIBLE: Self =
        Self { decode_seconds: f64::INFINITY, prefill_seconds: f64::INFINITY, joules: f64::INFINITY };

    pub(super) fn min(self, other: Self) -> Self {
        Self {
            decode_seconds: self.decode_seconds.min(other.decode_seconds),
            prefill_seconds: self.prefill_seconds.min(other.prefill_seconds),
            joules: self.joules.min(other.joules),
        }
    }
}

/// Says what a part takes in a regime.
pub(super) type TimeOf<'t> = dyn FnMut(&mut Part) -> LeastTime + 't;

/// The least times of a list of parts by span.
#[derive(Debug, Clone, Default)]
pub(super) struct LeastTimes {
    nodes: Vec<Option<Vec<LeastTime>>>,
}

impl LeastTimes {
    /// Works out a span of a list of `count` parts; `part`: one of them, or what stands for one that is none.
    pub(super) fn prepare(
        &mut self,
        intervals: &Intervals,
        device: &Device<'_>,
        node: usize,
        count: usize,
        part: &mut dyn FnMut(usize, &mut TimeOf<'_>) -> LeastTime,
    ) {
        let leaves = intervals.leaves();
        self.nodes.resize(2 * leaves, None);
        if self.nodes[node].is_some() {
            return;
        }
        let mut least = vec![LeastTime::IMPOSSIBLE; count];
        if node < leaves {
            for child in [2 * node, 2 * node + 1] {
                self.prepare(intervals, device, child, count, part);
                let times = self.nodes[child].iter().flatten();
                least.iter_mut().zip(times).for_each(|(least, time)| *least = least.min(*time));
            }
        } else {
            for &(thread_place, threads, regime) in intervals.regimes.get(node - leaves).into_iter().flatten()
            {
                let mut time = |part: &mut Part| {
                    let times = part.times(device.cost, thread_place, regime);
                    LeastTime {
                        decode_seconds: times.decode.seconds,
                        prefill_seconds: times.prefill.seconds,
                        joules: device.joules(times.decode, threads).unwrap_or(f64::INFINITY),
                    }
                };
                for (place, least) in least.iter_mut().enumerate() {
                    *least = least.min(part(place, &mut time));
                }
            }
        }
        self.nodes[node] = Some(least);
    }

    /// Those of a span that was worked out.
    pub(super) fn at(&self, node: usize) -> &[LeastTime] {
        self.nodes[node].as_deref().expect("a span is worked out before it is asked for")
    }

    /// What one part takes, where it is one.
    pub(super) fn of<E>(part: Result<&mut Part, E>, time: &mut TimeOf<'_>) -> LeastTime {
        part.map_or(LeastTime::IMPOSSIBLE, time)
    }
}
