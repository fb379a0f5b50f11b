//! The parts of a profile that depend on where threads lie: those of the usual placement, and those of another.

use crate::cells::{bandwidth, hand_over, kernels, overhead, peak, streaming};
use crate::placements::{Group, Looks, View};
use slimfit_hardware::{Bandwidth, BandwidthKind, HardwareProfile, OtherPlacement};
use slimfit_quantity::{Figure, Warning};

/// Everything that was measured on several threads, and on one.
pub(crate) struct Points {
    pub bandwidth: Vec<bandwidth::Point>,
    pub peak: Vec<peak::Point>,
    pub kernels: Vec<kernels::Point>,
    pub streaming: Vec<streaming::Point>,
    pub hand_over: Vec<hand_over::Point>,
}

/// The entries of these threads that were measured.
fn measured<P, E>(
    points: &[P],
    finish: impl Fn(&P) -> E,
    wanted: impl Fn(&E) -> (u32, &Figure),
    threads: u32,
) -> Vec<E> {
    let kept = |entry: &E| {
        let (count, figure) = wanted(entry);
        count == threads && figure.value.is_some()
    };
    points.iter().map(finish).filter(kept).collect()
}

impl Points {
    /// Fills the profile's lists.
    pub fn finish(&self, looks: &[(u32, Looks)], profile: &mut HardwareProfile) {
        let usual = View::usual(looks);
        profile.bandwidth = self.bandwidth.iter().map(|point| point.finish(usual)).collect();
        profile.peak = self.peak.iter().map(|point| point.finish(usual)).collect();
        profile.kernels = self.kernels.iter().map(|point| point.finish(usual)).collect();
        profile.streaming = self.streaming.iter().map(|point| point.finish(usual)).collect();
        profile.overhead.hand_over = self.hand_over.iter().map(|point| point.finish(usual)).collect();
        for (threads, looks) in looks.iter().filter(|(_, looks)| looks.are_two()) {
            let view = [(*threads, looks.clone())];
            profile.other_placements.push(self.other(*threads, looks, View::other(&view)));
        }
        profile.fill_from_other_placements();
        for (threads, looks) in looks.iter().filter(|(_, looks)| looks.are_two()) {
            let Some(place) = profile.other_placements.iter().position(|other| other.threads == *threads)
            else {
                continue;
            };
            let kept = is_described(&profile.other_placements[place], profile);
            profile.warnings.push(warning(&profile.other_placements[place], looks, kept));
            if !kept {
                profile.other_placements.remove(place);
            }
        }
    }

    fn other(&self, threads: u32, looks: &Looks, view: View<'_>) -> OtherPlacement {
        let group = if looks.usual() == Group::Near { Group::Far } else { Group::Near };
        OtherPlacement {
            threads,
            share: looks.share(group),
            barrier: overhead::barrier(looks, group),
            bandwidth: measured(
                &self.bandwidth,
                |point| point.finish(view),
                |entry| (entry.threads, &entry.bytes_per_s),
                threads,
            ),
            peak: measured(
                &self.peak,
                |point| point.finish(view),
                |entry| (entry.threads, &entry.ops_per_s),
                threads,
            ),
            kernels: measured(
                &self.kernels,
                |point| point.finish(view),
                |entry| (entry.threads, &entry.seconds),
                threads,
            ),
            streaming: measured(
                &self.streaming,
                |point| point.finish(view),
                |entry| (entry.threads, &entry.share_of_read),
                threads,
            ),
            hand_over: measured(
                &self.hand_over,
                |point| point.finish(view),
                |entry| (entry.threads, &entry.seconds),
                threads,
            ),
        }
    }
}

/// Whether so much was measured there that the rest can be scaled: half of the reads, of the peaks and of the kernels.
fn is_described(other: &OtherPlacement, profile: &HardwareProfile) -> bool {
    let reads = |points: &[Bandwidth]| {
        points
            .iter()
            .filter(|point| point.kind == BandwidthKind::Read && point.threads == other.threads)
            .count()
    };
    let peaks = profile.peak.iter().filter(|peak| peak.threads == other.threads).count();
    let kernels = profile.kernels.iter().filter(|time| time.threads == other.threads).count();
    2 * reads(&other.bandwidth) >= reads(&profile.bandwidth)
        && 2 * other.peak.len() >= peaks
        && 2 * other.kernels.len() >= kernels
}

fn warning(other: &OtherPlacement, looks: &Looks, kept: bool) -> Warning {
    let nanoseconds = |figure: &Figure| figure.value.map_or(f64::NAN, |seconds| seconds * 1e9);
    let usual = overhead::barrier(looks, looks.usual());
    let what = if kept {
        "both are in the profile, and predictions are of the first unless they say otherwise"
    } else {
        "that was too seldom to be profiled, and predictions are of the first"
    };
    Warning::new(
        "threads-moved",
        format!(
            "the hypervisor moves this machine's processors: {} threads waited {:.0} ns for each other in {:.0} % of the \
             looks and {:.0} ns in the others; {what}",
            other.threads,
            nanoseconds(&usual),
            (1.0 - other.share) * 100.0,
            nanoseconds(&other.barrier),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placements::Lay;
    use crate::schedule::Log;

    /// A profile whose lists are still to be filled.
    fn empty() -> HardwareProfile {
        let mut profile = HardwareProfile::builtin("raspberry-pi-5").unwrap().unwrap();
        profile.bandwidth.clear();
        profile.warnings.clear();
        profile
    }

    /// Looks at two threads: so many near, so many far.
    fn looks(near: usize, far: usize) -> Vec<(u32, Looks)> {
        let mut looks = Looks::default();
        (0..near).for_each(|_| looks.add(34e-9));
        (0..far).for_each(|_| looks.add(190e-9));
        vec![(2, looks)]
    }

    /// Two kernels; the first was timed in both placements, the second only where the threads lay near.
    fn points() -> Points {
        let time = |rows: u64, samples: &[(f64, f64)]| {
            let log = Log::default();
            samples.iter().for_each(|&(seconds, barrier)| log.push(seconds, Lay::At(barrier)));
            kernels::Point::made_up(rows, 2, log)
        };
        Points {
            bandwidth: Vec::new(),
            peak: Vec::new(),
            kernels: vec![time(1, &[(1.0, 34e-9), (1.5, 190e-9)]), time(2, &[(2.0, 34e-9)])],
            streaming: Vec::new(),
            hand_over: Vec::new(),
        }
    }

    #[test]
    fn a_placement_of_which_half_was_measured_is_kept_and_holes_are_scaled() {
        let mut profile = empty();
        points().finish(&looks(10, 30), &mut profile);
        let seconds = |times: &[slimfit_hardware::KernelTime]| -> Vec<Option<f64>> {
            times.iter().map(|time| time.seconds.value).collect()
        };
        assert_eq!(seconds(&profile.kernels), [Some(1.5), Some(3.0)], "far is usual; the second is scaled");
        assert_eq!(seconds(&profile.other_placements[0].kernels), [Some(1.0), Some(2.0)]);
        assert!(profile.warnings[0].message.contains("both are in the profile"), "{:?}", profile.warnings);
    }

    #[test]
    fn a_placement_of_which_little_was_measured_is_told_and_left_out() {
        let mut profile = empty();
        let mut points = points();
        // Four kernels, one of them timed where the threads lay far.
        let log = Log::default();
        log.push(5.0, Lay::At(34e-9));
        points.kernels.extend((3..6).map(|rows| kernels::Point::made_up(rows, 2, log.clone())));
        points.finish(&looks(30, 10), &mut profile);
        assert!(profile.other_placements.is_empty());
        assert!(profile.warnings[0].message.contains("too seldom"), "{:?}", profile.warnings);
        assert!(profile.kernels.iter().all(|time| time.seconds.value.is_some()));
    }
}
