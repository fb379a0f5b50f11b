//! The parts of a profile that depend on where threads lie: those of the usual placement, and those of another.

use crate::cells::{bandwidth, hand_over, kernels, overhead, peak, streaming};
use crate::placements::{Group, Looks, View};
use slimfit_hardware::{HardwareProfile, OtherPlacement};
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
            let other =
                self.other(*threads, looks, View::other(std::slice::from_ref(&(*threads, looks.clone()))));
            profile.warnings.push(warning(&other, looks));
            profile.other_placements.push(other);
        }
        profile.fill_from_other_placements();
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

fn warning(other: &OtherPlacement, looks: &Looks) -> Warning {
    let nanoseconds = |figure: &Figure| figure.value.map_or(f64::NAN, |seconds| seconds * 1e9);
    let usual = overhead::barrier(looks, looks.usual());
    Warning::new(
        "threads-moved",
        format!(
            "the hypervisor moves this machine's processors: {} threads waited {:.0} ns for each other in {:.0} % of the \
             looks and {:.0} ns in the others; both are in the profile, and predictions are of the first unless they say \
             otherwise",
            other.threads,
            nanoseconds(&usual),
            (1.0 - other.share) * 100.0,
            nanoseconds(&other.barrier),
        ),
    )
}
