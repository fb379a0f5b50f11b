//! What the cost model asks a profile.

use crate::{
    BandwidthBin, BandwidthCurve, BandwidthKind, HardwareProfile, KernelTime, Peak, PeakType, ProfileKind,
    Topology,
};
use slimfit_quantity::NumberFormat;

impl Topology {
    /// Bytes of one last-level data cache; nothing where no cache is known.
    pub fn last_cache_bytes(&self) -> Option<u64> {
        self.caches.iter().max_by_key(|cache| cache.level).map(|cache| cache.bytes)
    }

    /// Bytes of one cache of this level.
    pub fn cache_bytes(&self, level: u32) -> Option<u64> {
        self.caches.iter().find(|cache| cache.level == level).map(|cache| cache.bytes)
    }
}

impl HardwareProfile {
    /// Whether the figures were measured on the device.
    pub fn is_measured(&self) -> bool {
        self.provenance.kind == ProfileKind::Measured
    }

    /// Thread counts for which read bandwidth is known, ascending.
    pub fn thread_counts(&self) -> Vec<u32> {
        let mut counts: Vec<u32> = self
            .bandwidth
            .iter()
            .filter(|point| point.kind == BandwidthKind::Read && point.bytes_per_s.value.is_some())
            .map(|point| point.threads)
            .collect();
        counts.sort_unstable();
        counts.dedup();
        counts
    }

    /// The curve of sequential read bandwidth, the best number of address streams at each working set.
    pub fn read_curve(&self, threads: u32) -> Option<BandwidthCurve> {
        self.curve(BandwidthKind::Read, "sequential", threads)
    }

    /// The curve of any kind and pattern (`sequential`, `strided`).
    pub fn curve(&self, kind: BandwidthKind, pattern: &str, threads: u32) -> Option<BandwidthCurve> {
        BandwidthCurve::new(
            self.bandwidth
                .iter()
                .filter(|point| point.kind == kind && point.pattern == pattern && point.threads == threads)
                .filter_map(|point| Some((point.working_set_bytes, point.bytes_per_s.value?))),
        )
    }

    /// Sequential read bandwidth in bytes per second of all threads together; nothing for a thread count that was not
    /// measured.
    pub fn read_bandwidth(&self, threads: u32, working_set_bytes: u64) -> Option<f64> {
        Some(self.read_curve(threads)?.rate(working_set_bytes as f64))
    }

    /// The read curve cut into bins of constant rate, ascending; empty for a thread count that was not measured.
    pub fn bandwidth_bins(&self, threads: u32) -> Vec<BandwidthBin> {
        self.read_curve(threads).map(|curve| curve.bins()).unwrap_or_default()
    }

    /// The data sheet's bandwidth in bytes per second, where the profile states one.
    pub fn theoretical_bandwidth(&self) -> Option<f64> {
        self.bandwidth
            .iter()
            .filter(|point| point.kind == BandwidthKind::Theoretical)
            .filter_map(|point| point.bytes_per_s.value)
            .reduce(f64::max)
    }

    /// The fastest instruction sequence for a type at a thread count.
    pub fn peak(&self, number: PeakType, threads: u32) -> Option<&Peak> {
        self.peak
            .iter()
            .filter(|peak| peak.number == number && peak.threads == threads && peak.ops_per_s.value.is_some())
            .max_by(|a, b| a.ops_per_s.value.unwrap_or(0.0).total_cmp(&b.ops_per_s.value.unwrap_or(0.0)))
    }

    /// Operations per second of the fastest sequence, all threads together; a multiply-add counts 2.
    pub fn peak_ops(&self, number: PeakType, threads: u32) -> Option<f64> {
        self.peak(number, threads)?.ops_per_s.value
    }

    /// The sampled times of one kernel, ascending in batch, rows and columns.
    pub fn kernel_times(&self, operation: &str, format: NumberFormat, threads: u32) -> Vec<&KernelTime> {
        let mut times: Vec<&KernelTime> = self
            .kernels
            .iter()
            .filter(|time| {
                time.operation == operation
                    && time.format == format
                    && time.threads == threads
                    && time.seconds.value.is_some()
            })
            .collect();
        times.sort_by_key(|time| (time.batch, time.rows, time.columns));
        times
    }

    /// Seconds of one barrier. One thread has nobody to wait for: 0, unless the profile measured it.
    pub fn barrier_seconds(&self, threads: u32) -> Option<f64> {
        let measured = self
            .overhead
            .barrier
            .iter()
            .find(|time| time.threads == threads)
            .and_then(|time| time.seconds.value);
        measured.or((threads == 1).then_some(0.0))
    }

    /// Seconds of starting one operation on one thread.
    pub fn dispatch_seconds(&self) -> Option<f64> {
        self.overhead.dispatch.value
    }
}
