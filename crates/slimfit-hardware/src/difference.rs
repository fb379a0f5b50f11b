//! What changed between two profiles.

use crate::HardwareProfile;
use slimfit_quantity::{Figure, Source};

/// A figure that both profiles hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its part of the profile: `bandwidth`, `peak`, `kernels`, `overhead`, `power`.
    pub part: &'static str,
    /// Which figure: `Read sequential, 1 thread, 4 streams, 1048576 bytes`.
    pub what: String,
    /// In the first profile.
    pub before: f64,
    /// In the second.
    pub after: f64,
    /// Where both come from; modelled where each has a source of its own.
    pub source: Source,
    /// Whether the quartiles of the two lie apart: less is noise.
    pub beyond_noise: bool,
}

impl Difference {
    /// The second over the first.
    pub fn ratio(&self) -> f64 {
        self.after / self.before
    }
}

impl HardwareProfile {
    /// Every figure that this profile and `other` both hold, in this profile's order; positive ones only, since what is 0
    /// has no ratio.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let others = figures(other);
        figures(self)
            .into_iter()
            .filter_map(|(part, what, before)| {
                let (_, _, after) =
                    others.iter().find(|(known, named, _)| *known == part && *named == what)?;
                let (a, b) = (before.value.filter(|a| *a > 0.0)?, after.value.filter(|b| *b > 0.0)?);
                let beyond_noise = match (before.low, before.high, after.low, after.high) {
                    (Some(low), Some(high), Some(other_low), Some(other_high)) => {
                        other_low > high || other_high < low
                    }
                    _ => a != b,
                };
                let source = if before.source == after.source { before.source } else { Source::Modelled };
                Some(Difference { part, what, before: a, after: b, source, beyond_noise })
            })
            .collect()
    }
}

fn threads(count: u32) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

fn figures(profile: &HardwareProfile) -> Vec<(&'static str, String, &Figure)> {
    let mut all: Vec<(&'static str, String, &Figure)> = Vec::new();
    for point in &profile.bandwidth {
        let what = format!(
            "{:?} {}, {}, {} streams, {} bytes{}",
            point.kind,
            point.pattern,
            threads(point.threads),
            point.streams,
            point.working_set_bytes,
            if point.huge_pages { "" } else { ", small pages" }
        );
        all.push(("bandwidth", what, &point.bytes_per_s));
    }
    for point in &profile.latency {
        all.push(("latency", format!("{} bytes", point.working_set_bytes), &point.seconds));
    }
    for peak in &profile.peak {
        let what = format!("{:?} {} ({}), {}", peak.number, peak.sequence, peak.isa, threads(peak.threads));
        all.push(("peak", what, &peak.ops_per_s));
    }
    for time in &profile.kernels {
        let what = format!(
            "{}{} {} {}x{}{}, {} tokens, {}",
            time.operation,
            if time.qk_norm { " of normed heads" } else { "" },
            time.format,
            time.rows,
            time.columns,
            time.kv_heads.map_or_else(String::new, |heads| format!(" over {heads} heads")),
            time.batch,
            threads(time.threads)
        );
        all.push(("kernels", what, &time.seconds));
    }
    for stream in &profile.streaming {
        let what = format!(
            "{} {} {}x{}{}, {} bytes, {}",
            stream.operation,
            stream.format,
            stream.rows,
            stream.columns,
            stream.kv_heads.map_or_else(String::new, |heads| format!(" over {heads} heads")),
            stream.working_set_bytes,
            threads(stream.threads)
        );
        all.push(("streaming", what, &stream.share_of_read));
    }
    for barrier in &profile.overhead.barrier {
        all.push(("overhead", format!("barrier of {} threads", barrier.threads), &barrier.seconds));
    }
    all.push(("overhead", "dispatch".to_owned(), &profile.overhead.dispatch));
    all.push(("power", "idle".to_owned(), &profile.power.idle_watts));
    for load in &profile.power.loaded {
        all.push(("power", format!("{}, {}", load.class, threads(load.threads)), &load.watts));
    }
    all
}
