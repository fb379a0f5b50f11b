//! Numbers as people read them: three digits and a unit.

use slimfit_quantity::{format_bytes, format_count, format_duration, format_seconds};
use slimfit_study::SearchHead;

pub(crate) use slimfit_study::objective_label;

/// What a number counts, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Times.
    Seconds,
    /// Times of hours and days.
    Duration,
    /// Operations; a multiply-add counts 2.
    Operations,
    /// Percents, as scores are.
    Percent,
    /// Money in the user's currency.
    Money,
    /// Sizes, in powers of 1024.
    Bytes,
    /// Bandwidth, in powers of 1000 as vendors and STREAM write it.
    BytesPerSecond,
    /// Throughput; a multiply-add counts 2.
    OperationsPerSecond,
    /// Clocks.
    Hertz,
    /// Tokens per second.
    TokensPerSecond,
    /// Energy.
    Joules,
    /// Power.
    Watts,
    /// Parts of one, written in percent.
    Fraction,
    /// Things that are counted, shortened: `135M`.
    Count,
    /// Everything else, `loss` above all: four digits.
    Plain,
}

impl Unit {
    /// The unit of an objective, by the contract's suffixes.
    pub(crate) fn of_objective(name: &str) -> Self {
        let name = quantity(name);
        if name == "training_seconds" {
            Self::Duration
        } else if name == "training_cost" {
            Self::Money
        } else if name.starts_with("score_") {
            Self::Percent
        } else if name.ends_with("_seconds") || name.starts_with("seconds") {
            Self::Seconds
        } else if name.ends_with("_bytes") {
            Self::Bytes
        } else if name.starts_with("joules") {
            Self::Joules
        } else if name.ends_with("_flops") {
            Self::Operations
        } else if name == "parameters" {
            Self::Count
        } else {
            Self::Plain
        }
    }

    /// The name that the page's script knows it by.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Duration => "duration",
            Self::Operations => "operations",
            Self::Percent => "percent",
            Self::Money => "money",
            Self::Bytes => "bytes",
            Self::BytesPerSecond => "bytes_per_s",
            Self::OperationsPerSecond => "ops_per_s",
            Self::Hertz => "hertz",
            Self::TokensPerSecond => "tokens_per_s",
            Self::Joules => "joules",
            Self::Watts => "watts",
            Self::Fraction => "fraction",
            Self::Count => "count",
            Self::Plain => "plain",
        }
    }

    /// `12.3 ms`, `1.50 GiB`, `4.2 %`. What is no number is called so.
    pub(crate) fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return "not a number".to_owned();
        }
        match self {
            Self::Seconds => format_seconds(value),
            Self::Duration => format_duration(value),
            Self::Operations => scaled(value, "FLOP"),
            Self::Percent => format!("{value:.1} %"),
            Self::Money => digits(value),
            Self::Bytes => format_bytes(value),
            Self::BytesPerSecond => scaled(value, "B/s"),
            Self::OperationsPerSecond => scaled(value, "op/s"),
            Self::Hertz => scaled(value, "Hz"),
            Self::TokensPerSecond => format!("{} tok/s", digits(value)),
            Self::Joules => scaled(value, "J"),
            Self::Watts => format!("{} W", digits(value)),
            Self::Fraction => format!("{} %", digits(value * 100.0)),
            Self::Count => format_count(value),
            Self::Plain => format!("{value:.4}"),
        }
    }
}

/// Three significant digits, or all of a whole number's.
pub(crate) fn digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.2}")
    } else {
        format!("{value:.1e}")
    }
}

fn scaled(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 12] = [
        (1e24, "Y"),
        (1e21, "Z"),
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
    ];
    if value == 0.0 {
        return format!("0 {unit}");
    }
    let (size, prefix) =
        PREFIXES.into_iter().find(|(size, _)| value.abs() >= *size).unwrap_or(PREFIXES[PREFIXES.len() - 1]);
    format!("{} {prefix}{unit}", digits(value / size))
}

/// Whether more of an objective is better.
pub(crate) fn is_maximised(name: &str) -> bool {
    name.starts_with("score_")
}

/// `≤ 1.00 GiB`; `≥ 40.0 %` where more is better.
pub(crate) fn limit_words(name: &str, limit: f64) -> String {
    format!("{} {}", if is_maximised(name) { "≥" } else { "≤" }, Unit::of_objective(name).show(limit))
}

/// What an objective is of: its name, but for the device where it is that of one of several.
pub(crate) fn quantity(name: &str) -> &str {
    name.split_once('@').map_or(name, |(quantity, _)| quantity)
}

/// The device of a front, or all of them.
pub(crate) fn devices(head: &SearchHead) -> String {
    match head.profiles.as_slice() {
        [] => head.profile.name.clone(),
        several => {
            let named = several
                .iter()
                .enumerate()
                .map(|(place, profile)| format!("{} ({})", profile.name, place + 1));
            named.collect::<Vec<_>>().join(" and ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        for (unit, value, text) in [
            (Unit::Seconds, 0.0123, "12.3 ms"),
            (Unit::Bytes, 1_610_612_736.0, "1.50 GiB"),
            (Unit::BytesPerSecond, 23.4e9, "23.4 GB/s"),
            (Unit::OperationsPerSecond, 1.234e11, "123 Gop/s"),
            (Unit::Joules, 0.00042, "420 µJ"),
            (Unit::Fraction, 0.0423, "4.23 %"),
            (Unit::Fraction, 0.0, "0 %"),
            (Unit::Plain, 2.71234, "2.7123"),
            (Unit::Operations, 6.4e19, "64.0 EFLOP"),
            (Unit::Duration, 200_000.0, "2.31 days"),
            (Unit::Percent, 41.26, "41.3 %"),
            (Unit::Money, 1234.5, "1234"),
            (Unit::Plain, f64::NAN, "not a number"),
            (Unit::Seconds, f64::INFINITY, "not a number"),
        ] {
            assert_eq!(unit.show(value), text);
        }
    }

    #[test]
    fn objectives_are_known_by_their_suffix() {
        assert_eq!(Unit::of_objective("tpot_seconds"), Unit::Seconds);
        assert_eq!(Unit::of_objective("seconds_per_byte"), Unit::Seconds);
        assert_eq!(Unit::of_objective("memory_bytes"), Unit::Bytes);
        assert_eq!(Unit::of_objective("joules_per_token"), Unit::Joules);
        assert_eq!(Unit::of_objective("loss_per_byte"), Unit::Plain);
        assert_eq!(Unit::of_objective("training_seconds"), Unit::Duration);
        assert_eq!(Unit::of_objective("score_piqa"), Unit::Percent);
        assert_eq!(objective_label("score_hellaswag"), "hellaswag");
        assert_eq!(limit_words("score_piqa", 60.0), "≥ 60.0 %");
        assert_eq!(limit_words("tpot_seconds", 0.03), "≤ 30.0 ms");
        assert_eq!(Unit::of_objective("tpot_seconds@2"), Unit::Seconds);
        assert_eq!(objective_label("tpot_seconds@2"), "Time per token, device 2");
    }
}
