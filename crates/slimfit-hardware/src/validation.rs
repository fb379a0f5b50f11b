//! The rules of a profile beyond its types.

use crate::{BandwidthKind, HardwareProfile, PROFILE_SCHEMA, ProfileKind};
use slimfit_quantity::{Figure, Source};
use std::collections::HashMap;
use std::fmt;

/// The operation kinds that `kernels[].operation` may name.
pub const OPERATIONS: [&str; 9] =
    ["embed", "norm", "matmul", "rotate_store", "attend", "activate", "add", "route", "experts"];

/// The operation kinds whose streaming is measured.
const STREAMED: [&str; 2] = ["matmul", "attend"];
const DEVICE_CLASSES: [&str; 6] = ["server", "laptop", "desktop", "board", "phone", "unknown"];
const HUGE_PAGE_MODES: [&str; 3] = ["always", "madvise", "never"];
const PATTERNS: [&str; 2] = ["sequential", "strided"];
/// Past this a profile is wrong, not a little off.
const LARGEST_FACTOR: f64 = 4.0;
const LARGEST_SCALE: f64 = 10.0;
const LOAD_CLASSES: [&str; 2] = ["read", "compute"];

/// A rule that a field breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field: `bandwidth[3].bytes_per_s.value`.
    pub field: String,
    /// What is wrong, lower-case.
    pub message: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}: found {}; allowed: {}", self.field, self.message, self.found, self.allowed)
    }
}

/// Whether 0 is a value that the quantity can have.
#[derive(Clone, Copy, PartialEq)]
enum Zero {
    Allowed,
    Refused,
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn check(
        &mut self,
        right: bool,
        field: impl Into<String>,
        message: &str,
        found: impl fmt::Display,
        allowed: impl fmt::Display,
    ) {
        if !right {
            self.0.push(Fault {
                field: field.into(),
                message: message.to_owned(),
                found: found.to_string(),
                allowed: allowed.to_string(),
            });
        }
    }

    fn one_of(&mut self, field: impl Into<String>, found: &str, allowed: &[&str]) {
        let names = allowed.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        self.check(allowed.contains(&found), field, "unknown value", format!("`{found}`"), names);
    }

    fn at_least_one(&mut self, field: impl Into<String>, found: u64) {
        self.check(found >= 1, field, "too small", found, "1 or more");
    }

    /// A figure is consistent with its source.
    fn figure(&mut self, field: &str, figure: &Figure, zero: Zero) {
        let Some(value) = figure.value else {
            let silent = figure.low.is_none() && figure.high.is_none();
            self.check(
                figure.source == Source::Unavailable,
                format!("{field}.value"),
                "a figure without value",
                "`null`",
                "`null` only where the source is `unavailable`",
            );
            self.check(silent, format!("{field}.low"), "bounds without a value", "a number", "`null`");
            let reasoned = figure.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
            self.check(
                reasoned,
                format!("{field}.reason"),
                "an unavailable figure without reason",
                "nothing",
                "a sentence",
            );
            return;
        };
        self.check(
            figure.source != Source::Unavailable,
            format!("{field}.value"),
            "an unavailable figure with a value",
            value,
            "`null`",
        );
        let right = value.is_finite() && (value > 0.0 || zero == Zero::Allowed && value == 0.0);
        let range = if zero == Zero::Allowed { "0 or more" } else { "more than 0" };
        self.check(right, format!("{field}.value"), "out of range", value, range);
        for (name, bound, ordered) in [
            ("low", figure.low, figure.low.is_none_or(|low| low <= value)),
            ("high", figure.high, figure.high.is_none_or(|high| high >= value)),
        ] {
            let found = bound.map_or_else(|| "`null`".to_owned(), |bound| bound.to_string());
            let side = if name == "low" { "at most the value" } else { "at least the value" };
            self.check(
                bound.is_some_and(f64::is_finite) && ordered,
                format!("{field}.{name}"),
                "a bound on the wrong side, or missing",
                found,
                format!("a number {side} {value}"),
            );
        }
        if figure.source == Source::Measured {
            self.at_least_one(format!("{field}.n"), figure.n);
        }
        if figure.source == Source::Published {
            let cited = figure.citation.as_deref().is_some_and(|citation| !citation.trim().is_empty());
            self.check(
                cited,
                format!("{field}.citation"),
                "a published figure without citation",
                "nothing",
                "a source",
            );
        }
    }
}

impl HardwareProfile {
    /// Every rule that the profile breaks, in the file's order; empty when it is sound.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        faults.one_of("schema", &self.schema, &[PROFILE_SCHEMA]);
        faults.check(!self.name.trim().is_empty(), "name", "empty", "nothing", "the processor's name");
        faults.one_of("device_class", &self.device_class, &DEVICE_CLASSES);
        faults.at_least_one("fingerprint.cores", u64::from(self.fingerprint.cores));
        self.check_topology(&mut faults);
        self.check_bandwidth(&mut faults);
        self.check_rates(&mut faults);
        self.check_power_and_noise(&mut faults);
        self.check_calibration(&mut faults);
        self.check_placements(&mut faults);
        faults.check(
            is_time(&self.provenance.created),
            "provenance.created",
            "not a time",
            format!("`{}`", self.provenance.created),
            "UTC like `2026-01-31T12:00:00Z`",
        );
        for (name, seconds) in
            [("seconds", self.provenance.seconds), ("budget_seconds", self.provenance.budget_seconds)]
        {
            let right = seconds.is_finite() && seconds >= 0.0;
            faults.check(right, format!("provenance.{name}"), "out of range", seconds, "0 or more");
        }
        faults.0
    }

    fn check_topology(&self, faults: &mut Faults) {
        let topology = &self.topology;
        faults.at_least_one("topology.cores", u64::from(topology.cores));
        faults.check(
            topology.threads >= topology.cores,
            "topology.threads",
            "fewer threads than cores",
            topology.threads,
            format!("{} or more", topology.cores),
        );
        for (index, cache) in topology.caches.iter().enumerate() {
            faults.at_least_one(format!("topology.caches[{index}].bytes"), cache.bytes);
            faults.at_least_one(format!("topology.caches[{index}].shared_by"), u64::from(cache.shared_by));
            let before = index.checked_sub(1).map_or(0, |before| topology.caches[before].level);
            faults.check(
                cache.level > before,
                format!("topology.caches[{index}].level"),
                "levels must rise",
                cache.level,
                format!("{} or more", before + 1),
            );
        }
        faults.at_least_one("topology.numa_nodes", u64::from(topology.numa_nodes));
        faults.check(
            topology.page_bytes.is_power_of_two(),
            "topology.page_bytes",
            "not a page size",
            topology.page_bytes,
            "a power of two",
        );
        for (index, bytes) in topology.huge_page_bytes.iter().enumerate() {
            faults.check(
                bytes.is_power_of_two() && *bytes > topology.page_bytes,
                format!("topology.huge_page_bytes[{index}]"),
                "not the size of a huge page",
                bytes,
                format!("a power of two above {}", topology.page_bytes),
            );
        }
        if let Some(mode) = &topology.transparent_huge_pages {
            faults.one_of("topology.transparent_huge_pages", mode, &HUGE_PAGE_MODES);
        }
        for (field, count) in
            [("packages", topology.packages), ("threads_per_core", topology.threads_per_core)]
        {
            faults.at_least_one(format!("topology.{field}"), count.map_or(1, u64::from));
        }
        if let Some(quota) = topology.control_group.as_ref().and_then(|group| group.processor_quota) {
            faults.check(
                quota.is_finite() && quota > 0.0,
                "topology.control_group.processor_quota",
                "out of range",
                quota,
                "more than 0",
            );
        }
        faults.at_least_one("topology.memory_limit_bytes", topology.memory_limit_bytes);
    }

    fn check_threads(&self, faults: &mut Faults, field: String, threads: u32) {
        let most = self.topology.threads;
        faults.check(
            (1..=most).contains(&threads),
            field,
            "more threads than there are",
            threads,
            format!("1 to {most}"),
        );
    }

    fn check_bandwidth(&self, faults: &mut Faults) {
        let mut last = HashMap::new();
        for (index, point) in self.bandwidth.iter().enumerate() {
            let field = format!("bandwidth[{index}]");
            faults.one_of(format!("{field}.pattern"), &point.pattern, &PATTERNS);
            faults.at_least_one(format!("{field}.streams"), u64::from(point.streams));
            faults.at_least_one(format!("{field}.working_set_bytes"), point.working_set_bytes);
            self.check_threads(faults, format!("{field}.threads"), point.threads);
            faults.figure(&format!("{field}.bytes_per_s"), &point.bytes_per_s, Zero::Refused);
            faults.check(
                point.kind != BandwidthKind::Theoretical || point.bytes_per_s.source != Source::Measured,
                format!("{field}.bytes_per_s.source"),
                "a theoretical figure cannot be measured",
                "`measured`",
                "`published`, `read` or `modelled`",
            );
            faults.check(
                self.provenance.kind != ProfileKind::Published
                    || point.bytes_per_s.source != Source::Measured,
                format!("{field}.bytes_per_s.source"),
                "measured, in a profile described from publications",
                "`measured`",
                "`published` or `unavailable`",
            );
            let curve = (point.kind, point.pattern.as_str(), point.streams, point.threads, point.huge_pages);
            let before = last.insert(curve, point.working_set_bytes).unwrap_or(0);
            faults.check(
                point.working_set_bytes > before,
                format!("{field}.working_set_bytes"),
                "the points of a curve must rise",
                point.working_set_bytes,
                format!("more than {before}"),
            );
        }
        if self.provenance.kind == ProfileKind::Measured {
            let read = self.bandwidth.iter().any(|point| {
                point.kind == BandwidthKind::Read && point.bytes_per_s.source == Source::Measured
            });
            faults.check(
                read,
                "bandwidth",
                "a measured profile without read bandwidth",
                "no measured `read` point",
                "at least one",
            );
        }
    }

    fn check_rates(&self, faults: &mut Faults) {
        let mut before = 0;
        for (index, point) in self.latency.iter().enumerate() {
            faults.check(
                point.working_set_bytes > before,
                format!("latency[{index}].working_set_bytes"),
                "the points of a curve must rise",
                point.working_set_bytes,
                format!("more than {before}"),
            );
            before = point.working_set_bytes;
            faults.figure(&format!("latency[{index}].seconds"), &point.seconds, Zero::Refused);
        }
        for (index, peak) in self.peak.iter().enumerate() {
            self.check_threads(faults, format!("peak[{index}].threads"), peak.threads);
            faults.figure(&format!("peak[{index}].ops_per_s"), &peak.ops_per_s, Zero::Refused);
            faults.figure(&format!("peak[{index}].clock_hz"), &peak.clock_hz, Zero::Refused);
        }
        if self.provenance.kind == ProfileKind::Measured {
            let measured = self.peak.iter().any(|peak| peak.ops_per_s.source == Source::Measured);
            faults.check(
                measured,
                "peak",
                "a measured profile without peak",
                "no measured point",
                "at least one",
            );
        }
        for (index, time) in self.kernels.iter().enumerate() {
            let field = format!("kernels[{index}]");
            faults.one_of(format!("{field}.operation"), &time.operation, &OPERATIONS);
            for (name, size) in [("rows", time.rows), ("columns", time.columns), ("batch", time.batch)] {
                faults.at_least_one(format!("{field}.{name}"), size);
            }
            self.check_threads(faults, format!("{field}.threads"), time.threads);
            faults.figure(&format!("{field}.seconds"), &time.seconds, Zero::Refused);
        }
        for (index, stream) in self.streaming.iter().enumerate() {
            let field = format!("streaming[{index}]");
            faults.one_of(format!("{field}.operation"), &stream.operation, &STREAMED);
            for (name, size) in [
                ("rows", stream.rows),
                ("columns", stream.columns),
                ("bytes", stream.bytes),
                ("working_set_bytes", stream.working_set_bytes),
            ] {
                faults.at_least_one(format!("{field}.{name}"), size);
            }
            self.check_threads(faults, format!("{field}.threads"), stream.threads);
            faults.figure(&format!("{field}.share_of_read"), &stream.share_of_read, Zero::Refused);
        }
        for (index, point) in self.overhead.hand_over.iter().enumerate() {
            let field = format!("overhead.hand_over[{index}]");
            self.check_threads(faults, format!("{field}.threads"), point.threads);
            faults.at_least_one(format!("{field}.tokens"), point.tokens);
            faults.at_least_one(format!("{field}.activation_bytes"), point.activation_bytes);
            faults.figure(&format!("{field}.seconds"), &point.seconds, Zero::Allowed);
        }
        let mut before = 0;
        for (index, barrier) in self.overhead.barrier.iter().enumerate() {
            let field = format!("overhead.barrier[{index}]");
            self.check_threads(faults, format!("{field}.threads"), barrier.threads);
            faults.check(
                barrier.threads > before,
                format!("{field}.threads"),
                "thread counts must rise",
                barrier.threads,
                format!("more than {before}"),
            );
            before = barrier.threads;
            faults.figure(&format!("{field}.seconds"), &barrier.seconds, Zero::Refused);
        }
        faults.figure("overhead.dispatch", &self.overhead.dispatch, Zero::Refused);
    }

    fn check_calibration(&self, faults: &mut Faults) {
        let Some(calibration) = &self.calibration else { return };
        faults.check(
            self.provenance.kind == ProfileKind::Measured,
            "calibration",
            "nothing was run on a device described from publications",
            "factors",
            "none",
        );
        faults.one_of("calibration.engine", &calibration.engine, &["slimfit"]);
        faults.at_least_one("calibration.models", calibration.models);
        faults.check(
            is_time(&calibration.created),
            "calibration.created",
            "not a time",
            format!("`{}`", calibration.created),
            "UTC like `2026-01-31T12:00:00Z`",
        );
        let mut seen = Vec::new();
        for (index, found) in calibration.factors.iter().enumerate() {
            let field = format!("calibration.factors[{index}]");
            let class = (found.phase, found.regime, found.term);
            faults.check(
                !seen.contains(&class),
                &field,
                "corrected twice",
                format!("`{} {} {}`", found.phase.name(), found.regime.name(), found.term.name()),
                "one factor for each phase, regime and term",
            );
            seen.push(class);
            let field = format!("{field}.factor");
            faults.figure(&field, &found.factor, Zero::Refused);
            let value = found.factor.value.unwrap_or(f64::NAN);
            let range = 1.0 / LARGEST_FACTOR..=LARGEST_FACTOR;
            faults.check(
                range.contains(&value),
                format!("{field}.value"),
                "no correction",
                value,
                format!("{} to {}", range.start(), range.end()),
            );
        }
        for (index, error) in calibration.errors.iter().enumerate() {
            for (name, value) in [("before", error.before), ("after", error.after)] {
                faults.check(
                    value.is_finite() && value >= 0.0,
                    format!("calibration.errors[{index}].{name}"),
                    "out of range",
                    value,
                    "0 or more",
                );
            }
            let scale = error.interval_scale.unwrap_or(1.0);
            let range = 1.0 / LARGEST_SCALE..=LARGEST_SCALE;
            faults.check(
                range.contains(&scale),
                format!("calibration.errors[{index}].interval_scale"),
                "out of range",
                scale,
                format!("{} to {}", range.start(), range.end()),
            );
        }
    }

    fn check_placements(&self, faults: &mut Faults) {
        for (index, other) in self.other_placements.iter().enumerate() {
            let field = format!("other_placements[{index}]");
            self.check_threads(faults, format!("{field}.threads"), other.threads);
            let right = other.share > 0.0 && other.share <= 0.5;
            faults.check(
                right,
                format!("{field}.share"),
                "out of range",
                other.share,
                "above 0, at most 0.5",
            );
            faults.figure(&format!("{field}.barrier"), &other.barrier, Zero::Refused);
            // Its lists keep the rules of the profile's own.
            let mut alone = self.clone();
            alone.other_placements = Vec::new();
            alone.bandwidth.clone_from(&other.bandwidth);
            alone.kernels.clone_from(&other.kernels);
            alone.streaming.clone_from(&other.streaming);
            alone.overhead.hand_over.clone_from(&other.hand_over);
            if !other.peak.is_empty() {
                alone.peak.clone_from(&other.peak);
            }
            let mut within = Faults::default();
            alone.check_bandwidth(&mut within);
            alone.check_rates(&mut within);
            let placed = |fault: Fault| {
                let list = fault.field.strip_prefix("overhead.").unwrap_or(&fault.field);
                Fault { field: format!("{field}.{list}"), ..fault }
            };
            faults.0.extend(within.0.into_iter().map(placed));
        }
    }

    fn check_power_and_noise(&self, faults: &mut Faults) {
        let power = &self.power;
        let mut figures = vec![
            ("power.idle_watts".to_owned(), &power.idle_watts),
            ("power.joules_per_byte".to_owned(), &power.joules_per_byte),
            ("power.joules_per_op".to_owned(), &power.joules_per_op),
        ];
        for (index, load) in power.loaded.iter().enumerate() {
            faults.one_of(format!("power.loaded[{index}].class"), &load.class, &LOAD_CLASSES);
            self.check_threads(faults, format!("power.loaded[{index}].threads"), load.threads);
            figures.push((format!("power.loaded[{index}].watts"), &load.watts));
        }
        for (field, figure) in figures {
            faults.figure(&field, figure, Zero::Refused);
            faults.check(
                power.meter.is_some() || figure.source != Source::Measured,
                format!("{field}.source"),
                "measured, but no meter is named",
                "`measured`",
                "any other source, or a `power.meter`",
            );
        }
        faults.figure("noise.steal_fraction", &self.noise.steal_fraction, Zero::Allowed);
        faults.figure("noise.drift", &self.noise.drift, Zero::Allowed);
        for (index, tail) in self.noise.tails.iter().enumerate() {
            let field = format!("noise.tails[{index}]");
            self.check_threads(faults, format!("{field}.threads"), tail.threads);
            faults.at_least_one(format!("{field}.working_set_bytes"), tail.working_set_bytes);
            faults.figure(&format!("{field}.seconds"), &tail.seconds, Zero::Refused);
            let mut before = tail.seconds.value.unwrap_or(0.0);
            for (name, percentile) in
                [("p90", tail.p90_seconds), ("p95", tail.p95_seconds), ("p99", tail.p99_seconds)]
            {
                let Some(percentile) = percentile else { continue };
                let right = percentile.is_finite() && percentile >= before;
                let (field, message) = (format!("{field}.{name}_seconds"), "percentiles must rise");
                faults.check(right, field, message, percentile, format!("{before} or more"));
                before = before.max(percentile);
            }
        }
    }
}

/// `2026-01-31T12:00:00Z`.
fn is_time(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:ddZ";
    text.len() == shape.len()
        && text
            .chars()
            .zip(shape.chars())
            .all(|(found, wanted)| if wanted == 'd' { found.is_ascii_digit() } else { found == wanted })
}
