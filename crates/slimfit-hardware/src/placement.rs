//! Where the threads lie: what changes when a hypervisor moves a virtual machine's processors.
//!
//! Its processors lie now on cores that share a cache, now on cores that do not, for seconds or minutes, and nothing in
//! the machine says which. What several threads do together changes by factors: how long they wait for each other, how
//! fast they hand data over, how much they read. The time of a barrier tells the two apart.

use crate::{Bandwidth, HandOver, HardwareProfile, KernelTime, Peak, Streaming};
use serde::{Deserialize, Serialize};
use slimfit_quantity::{Figure, NumberFormat, Source};

/// A barrier that takes so many times longer or shorter than in every placement that was profiled is of none of them.
const FAR_OFF: f64 = 2.5;

/// What was measured with one number of threads while they lay elsewhere than most of the time. The profile's own lists
/// describe the usual placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherPlacement {
    /// Threads.
    pub threads: u32,
    /// Share of the looks at the machine, while it was measured, that found this placement: above 0, at most a half.
    pub share: f64,
    /// Seconds of a barrier, which the placement is told by.
    pub barrier: Figure,
    /// As in the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bandwidth: Vec<Bandwidth>,
    /// As in the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peak: Vec<Peak>,
    /// As in the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelTime>,
    /// As in the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streaming: Vec<Streaming>,
    /// As in the profile's overhead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hand_over: Vec<HandOver>,
}

impl OtherPlacement {
    /// What `found` says of `threads` threads in a placement that `profile` does not know, its usual or its other one.
    pub fn new_to(profile: &HardwareProfile, threads: u32, found: HardwareProfile) -> Option<Self> {
        let unknown = |barrier: &Figure| {
            barrier.value.is_some_and(|seconds| profile.placement_of(threads, seconds) == Placement::Unknown)
        };
        let usual = found.overhead.barrier.iter().find(|barrier| barrier.threads == threads);
        if let Some(usual) = usual.filter(|usual| unknown(&usual.seconds)) {
            let known = profile.overhead.barrier.iter().find(|barrier| barrier.threads == threads);
            let (looks, known) = (usual.seconds.n, known.map_or(0, |known| known.seconds.n));
            return Some(Self {
                threads,
                // Of the looks of both measurements.
                share: (looks as f64 / (looks + known).max(1) as f64).clamp(f64::MIN_POSITIVE, 0.5),
                barrier: usual.seconds.clone(),
                bandwidth: found.bandwidth,
                peak: found.peak,
                kernels: found.kernels,
                streaming: found.streaming,
                hand_over: found.overhead.hand_over,
            });
        }
        found.other_placements.into_iter().find(|other| other.threads == threads && unknown(&other.barrier))
    }
}

/// Which of its placements a profile's machine is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// The one that its own lists describe.
    Usual,
    /// That of [`OtherPlacement`].
    Other,
    /// None that was seen while it was profiled.
    Unknown,
}

impl Placement {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

/// Seconds of a barrier in each placement of one number of threads that a profile saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlacementBarriers {
    usual: Option<f64>,
    other: Option<f64>,
}

impl PlacementBarriers {
    /// The placement in which a barrier takes nearest to so many seconds; the usual one where none was measured.
    pub fn placement_of(self, barrier_seconds: f64) -> Placement {
        let nearest = [(Placement::Usual, self.usual), (Placement::Other, self.other)]
            .into_iter()
            .filter_map(|(placement, seconds)| Some((placement, seconds.filter(|seconds| *seconds > 0.0)?)))
            .map(|(placement, seconds)| (placement, (barrier_seconds / seconds).ln().abs()))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        match nearest {
            Some((_, distance)) if distance > FAR_OFF.ln() => Placement::Unknown,
            Some((placement, _)) => placement,
            None => Placement::Usual,
        }
    }
}

impl HardwareProfile {
    /// The other placement of so many threads, where one was seen.
    pub fn other_placement(&self, threads: u32) -> Option<&OtherPlacement> {
        self.other_placements.iter().find(|placement| placement.threads == threads)
    }

    /// What tells the placements of so many threads apart.
    pub fn placement_barriers(&self, threads: u32) -> PlacementBarriers {
        let other = self.other_placement(threads).and_then(|other| other.barrier.value);
        PlacementBarriers { usual: self.barrier_seconds(threads), other }
    }

    /// The placement in which a barrier of `threads` takes nearest to so many seconds. One thread has one placement.
    pub fn placement_of(&self, threads: u32, barrier_seconds: f64) -> Placement {
        self.placement_barriers(threads).placement_of(barrier_seconds)
    }

    /// This profile as it would be, had `threads` threads lain the other way most of the time: what was measured so, and
    /// for what was not, the usual figure scaled as its nearest relatives that were measured both ways (marked as modelled).
    /// Nothing where no other placement was seen.
    pub fn in_other_placement(&self, threads: u32) -> Option<Self> {
        let other = self.other_placement(threads)?;
        let mut profile = self.clone();
        profile.other_placements.retain(|placement| placement.threads != threads);
        profile.bandwidth = overlaid(&self.bandwidth, &other.bandwidth, threads);
        profile.peak = overlaid(&self.peak, &other.peak, threads);
        profile.kernels = overlaid(&self.kernels, &other.kernels, threads);
        profile.streaming = overlaid(&self.streaming, &other.streaming, threads);
        profile.overhead.hand_over = overlaid(&self.overhead.hand_over, &other.hand_over, threads);
        for barrier in profile.overhead.barrier.iter_mut().filter(|barrier| barrier.threads == threads) {
            barrier.seconds = other.barrier.clone();
        }
        Some(profile)
    }

    /// The same for every thread count that has another placement; nothing where none has.
    pub fn in_other_placements(&self) -> Option<Self> {
        let first = self.in_other_placement(self.other_placements.first()?.threads)?;
        Some(first.in_other_placements().unwrap_or(first))
    }

    /// Adds to the profile's own lists what was only measured in the other placement, scaled (and marked as modelled).
    pub fn fill_from_other_placements(&mut self) {
        for other in std::mem::take(&mut self.other_placements) {
            let threads = other.threads;
            fill(&mut self.bandwidth, &other.bandwidth, threads);
            fill(&mut self.peak, &other.peak, threads);
            fill(&mut self.kernels, &other.kernels, threads);
            fill(&mut self.streaming, &other.streaming, threads);
            fill(&mut self.overhead.hand_over, &other.hand_over, threads);
            self.other_placements.push(other);
        }
        // The points of a curve rise.
        let curve = |point: &Bandwidth| {
            let name = (point.kind as u8, point.pattern.clone(), point.streams, point.threads);
            (name, !point.huge_pages, point.working_set_bytes)
        };
        if self.bandwidth.iter().any(|point| point.bytes_per_s.source == Source::Modelled) {
            self.bandwidth.sort_by_key(curve);
        }
    }
}

/// A figure of a profile that depends on where the threads lie.
trait Entry: Clone {
    /// What two entries share that are measured in the same way and differ in size.
    type Family: PartialEq;
    fn threads(&self) -> u32;
    fn family(&self) -> Self::Family;
    /// What stands in where nothing of the family was measured both ways.
    fn kin(&self) -> (&str, bool);
    /// By how much relatives differ.
    fn size(&self) -> f64;
    /// What tells relatives of one size apart.
    fn shape(&self) -> [u64; 3];
    fn figure(&self) -> &Figure;
    fn figure_mut(&mut self) -> &mut Figure;

    fn is(&self, other: &Self) -> bool {
        self.threads() == other.threads() && self.family() == other.family() && self.shape() == other.shape()
    }
}

impl Entry for Bandwidth {
    type Family = (crate::BandwidthKind, String, u32, bool);
    fn threads(&self) -> u32 {
        self.threads
    }
    fn family(&self) -> Self::Family {
        (self.kind, self.pattern.clone(), self.streams, self.huge_pages)
    }
    fn kin(&self) -> (&str, bool) {
        (&self.pattern, false)
    }
    fn size(&self) -> f64 {
        self.working_set_bytes as f64
    }
    fn shape(&self) -> [u64; 3] {
        [self.working_set_bytes, 0, 0]
    }
    fn figure(&self) -> &Figure {
        &self.bytes_per_s
    }
    fn figure_mut(&mut self) -> &mut Figure {
        &mut self.bytes_per_s
    }
}

impl Entry for Peak {
    type Family = (crate::PeakType, String, String);
    fn threads(&self) -> u32 {
        self.threads
    }
    fn family(&self) -> Self::Family {
        (self.number, self.isa.clone(), self.sequence.clone())
    }
    fn kin(&self) -> (&str, bool) {
        ("", false)
    }
    fn size(&self) -> f64 {
        1.0
    }
    fn shape(&self) -> [u64; 3] {
        [0; 3]
    }
    fn figure(&self) -> &Figure {
        &self.ops_per_s
    }
    fn figure_mut(&mut self) -> &mut Figure {
        &mut self.ops_per_s
    }
}

impl Entry for KernelTime {
    type Family = (String, NumberFormat, bool, Option<u64>, Option<u64>, bool);
    fn threads(&self) -> u32 {
        self.threads
    }
    fn family(&self) -> Self::Family {
        let many = self.batch > 1;
        (self.operation.clone(), self.format, many, self.head_size, self.kv_heads, self.qk_norm)
    }
    fn kin(&self) -> (&str, bool) {
        (&self.operation, self.batch > 1)
    }
    fn size(&self) -> f64 {
        (self.rows * self.columns * self.batch) as f64
    }
    fn shape(&self) -> [u64; 3] {
        [self.rows, self.columns, self.batch]
    }
    fn figure(&self) -> &Figure {
        &self.seconds
    }
    fn figure_mut(&mut self) -> &mut Figure {
        &mut self.seconds
    }
}

impl Entry for Streaming {
    type Family = (String, NumberFormat, Option<u64>, Option<u64>);
    fn threads(&self) -> u32 {
        self.threads
    }
    fn family(&self) -> Self::Family {
        (self.operation.clone(), self.format, self.head_size, self.kv_heads)
    }
    fn kin(&self) -> (&str, bool) {
        (&self.operation, false)
    }
    fn size(&self) -> f64 {
        self.working_set_bytes as f64
    }
    fn shape(&self) -> [u64; 3] {
        [self.rows, self.columns, self.working_set_bytes]
    }
    fn figure(&self) -> &Figure {
        &self.share_of_read
    }
    fn figure_mut(&mut self) -> &mut Figure {
        &mut self.share_of_read
    }
}

impl Entry for HandOver {
    type Family = bool;
    fn threads(&self) -> u32 {
        self.threads
    }
    fn family(&self) -> bool {
        self.tokens > 1
    }
    fn kin(&self) -> (&str, bool) {
        ("", self.tokens > 1)
    }
    fn size(&self) -> f64 {
        self.activation_bytes as f64
    }
    fn shape(&self) -> [u64; 3] {
        [self.tokens, self.activation_bytes, self.working_set_bytes.unwrap_or(0)]
    }
    fn figure(&self) -> &Figure {
        &self.seconds
    }
    fn figure_mut(&mut self) -> &mut Figure {
        &mut self.seconds
    }
}

/// `usual`, those entries of `threads` replaced by `other`'s or scaled like them.
fn overlaid<E: Entry>(usual: &[E], other: &[E], threads: u32) -> Vec<E> {
    let scaled = |entry: &E| match other.iter().find(|candidate| candidate.is(entry)) {
        Some(measured) if measured.figure().value.is_some() => measured.clone(),
        _ => scaled(entry, other, usual),
    };
    let place = |entry: &E| if entry.threads() == threads { scaled(entry) } else { entry.clone() };
    usual.iter().map(place).collect()
}

/// Adds to `list` those entries of `from` that it lacks, scaled.
fn fill<E: Entry>(list: &mut Vec<E>, from: &[E], threads: u32) {
    let known = list.clone();
    for entry in from.iter().filter(|entry| entry.threads() == threads) {
        match list.iter_mut().find(|candidate| candidate.is(entry)) {
            Some(held) if held.figure().value.is_some() => {}
            Some(held) => *held = scaled(entry, &known, from),
            None => list.push(scaled(entry, &known, from)),
        }
    }
}

/// `entry`, one of `from`, as it would be among `to`: times the ratio of its nearest relative that both hold.
fn scaled<E: Entry>(entry: &E, to: &[E], from: &[E]) -> E {
    let ratio = |relative: &E| {
        let here = relative.figure().value.filter(|value| *value > 0.0)?;
        let there = from.iter().find(|candidate| candidate.is(relative))?.figure().value?;
        (there > 0.0).then(|| here / there)
    };
    let distance = |relative: &E| (relative.size() / entry.size()).ln().abs();
    let nearest = |related: &dyn Fn(&E) -> bool| {
        to.iter()
            .filter(|relative| relative.threads() == entry.threads() && related(relative))
            .filter_map(|relative| Some((distance(relative), ratio(relative)?)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let nearest = nearest(&|relative| relative.family() == entry.family())
        .or_else(|| nearest(&|relative| relative.kin() == entry.kin()));
    let factor = nearest.map_or(1.0, |(_, ratio)| ratio);
    let mut entry = entry.clone();
    let figure = entry.figure_mut();
    if figure.value.is_some() {
        for value in [&mut figure.value, &mut figure.low, &mut figure.high] {
            *value = value.map(|value| value * factor);
        }
        figure.source = Source::Modelled;
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BandwidthKind;

    fn read(working_set_bytes: u64, threads: u32, rate: f64) -> Bandwidth {
        Bandwidth {
            kind: BandwidthKind::Read,
            pattern: "sequential".to_owned(),
            streams: 1,
            working_set_bytes,
            threads,
            huge_pages: true,
            bytes_per_s: Figure::read(rate),
        }
    }

    fn rates(points: &[Bandwidth]) -> Vec<(u64, Option<f64>)> {
        points.iter().map(|point| (point.working_set_bytes, point.bytes_per_s.value)).collect()
    }

    #[test]
    fn what_was_measured_the_other_way_replaces_and_the_rest_is_scaled_as_its_neighbour() {
        let usual =
            [read(1 << 10, 1, 9.0), read(1 << 10, 2, 20.0), read(1 << 20, 2, 10.0), read(1 << 30, 2, 4.0)];
        let other = [read(1 << 10, 2, 20.0), read(1 << 29, 2, 7.0), read(1 << 20, 2, 15.0)];
        let laid = overlaid(&usual, &other, 2);
        let expected = [(1 << 10, 9.0), (1 << 10, 20.0), (1 << 20, 15.0), (1 << 30, 6.0)];
        assert_eq!(rates(&laid), expected.map(|(bytes, rate)| (bytes, Some(rate))));
        let sources: Vec<Source> = laid.iter().map(|point| point.bytes_per_s.source).collect();
        assert_eq!(sources, [Source::Read, Source::Read, Source::Read, Source::Modelled]);
    }

    #[test]
    fn what_the_usual_placement_lacks_is_taken_from_the_other_scaled() {
        let mut usual = vec![read(1 << 20, 2, 10.0), read(1 << 30, 2, 4.0)];
        usual[1].bytes_per_s = Figure::unavailable("not seen");
        fill(&mut usual, &[read(1 << 20, 2, 20.0), read(1 << 25, 2, 12.0), read(1 << 30, 2, 8.0)], 2);
        assert_eq!(rates(&usual), [(1 << 20, Some(10.0)), (1 << 30, Some(4.0)), (1 << 25, Some(6.0))]);
    }

    #[test]
    fn a_barrier_tells_the_placement_or_that_it_is_none_of_those_known() {
        let both = PlacementBarriers { usual: Some(34e-9), other: Some(190e-9) };
        let found = [20e-9, 60e-9, 100e-9, 400e-9, 1e-6].map(|seconds| both.placement_of(seconds));
        use Placement::{Other, Unknown, Usual};
        assert_eq!(found, [Usual, Usual, Other, Other, Unknown]);
        let one = PlacementBarriers { usual: Some(34e-9), other: None };
        assert_eq!([40e-9, 190e-9].map(|seconds| one.placement_of(seconds)), [Usual, Unknown]);
        assert_eq!(PlacementBarriers::default().placement_of(1.0), Usual, "nothing is known of one thread");
    }

    #[test]
    fn without_a_relative_nothing_is_scaled() {
        let laid = overlaid(&[read(1 << 20, 2, 10.0)], &[], 2);
        assert_eq!(rates(&laid), [(1 << 20, Some(10.0))]);
        assert_eq!(laid[0].bytes_per_s.source, Source::Modelled);
    }
}
