//! Figures as people read them.

use super::text::sentence;
use slimfit_quantity::{Figure, Source, format_bytes, format_count, format_duration, format_seconds};

/// A value of the quantity `name`, with its unit.
pub(super) fn value(name: &str, value: f64) -> String {
    let name = name.split('@').next().unwrap_or(name);
    if name == "training_seconds" {
        format_duration(value)
    } else if name.ends_with("_seconds") || name.starts_with("seconds") {
        format_seconds(value)
    } else if name.ends_with("_bytes") {
        format_bytes(value)
    } else if name.starts_with("joules") {
        joules(value)
    } else if name.ends_with("_flops") {
        flops(value)
    } else if name.ends_with("_per_s") {
        format!("{} tokens/s", short(value))
    } else if name.starts_with("score_") {
        format!("{value:.1} %")
    } else if name == "parameters" {
        format_count(value)
    } else if name == "loss" || name == "loss_per_byte" {
        format!("{value:.4} nats")
    } else {
        short(value)
    }
}

/// `2.31e19 operations`.
pub(super) fn flops(value: f64) -> String {
    format!("{value:.2e} floating-point operations")
}

fn joules(value: f64) -> String {
    let (size, unit) = [(1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ")]
        .into_iter()
        .find(|(size, _)| value.abs() >= *size)
        .unwrap_or((1e-9, "nJ"));
    format!("{} {unit}", short(value / size))
}

/// Three significant digits.
fn short(value: f64) -> String {
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

/// The cells of a figure: value, interval, source. What is no number counts as unavailable, and says so.
pub(super) fn cells(name: &str, figure: &Figure) -> [String; 3] {
    let Some(central) = figure.value.filter(|value| value.is_finite()) else {
        let reason = figure.reason.as_deref().unwrap_or("not recorded");
        return ["unavailable".to_owned(), "–".to_owned(), format!("unavailable: {}", sentence(reason))];
    };
    let interval = match (figure.low, figure.high) {
        (Some(low), Some(high)) if low.is_finite() && high.is_finite() && low != high => {
            format!("{} – {}", value(name, low), value(name, high))
        }
        _ => "–".to_owned(),
    };
    let samples = if figure.n > 1 { format!(", n = {}", figure.n) } else { String::new() };
    let origin = figure.citation.as_deref().map_or_else(String::new, |from| format!(": {}", sentence(from)));
    [value(name, central), interval, format!("{}{samples}{origin}", source(figure.source))]
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Measured => "measured",
        Source::Read => "read",
        Source::Published => "published",
        Source::Modelled => "modelled",
        Source::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_quantity::Predicted;

    #[test]
    fn values_have_the_units_of_their_names() {
        for (name, number, text) in [
            ("tpot_seconds", 0.0123, "12.3 ms"),
            ("tpot_seconds@2", 0.0123, "12.3 ms"),
            ("memory_bytes", 1_610_612_736.0, "1.50 GiB"),
            ("joules_per_token", 0.042, "42.0 mJ"),
            ("loss", 2.71234, "2.7123 nats"),
            ("score_piqa", 61.26, "61.3 %"),
            ("decode_tokens_per_s", 81.25, "81.2 tokens/s"),
            ("training_seconds", 200_000.0, "2.31 days"),
            ("training_flops", 6.4e19, "6.40e19 floating-point operations"),
        ] {
            assert_eq!(value(name, number), text, "{name}");
        }
    }

    #[test]
    fn what_is_no_number_never_looks_like_one() {
        let mut figure = Predicted { value: 1.0, low: 0.5, high: 2.0 }.figure();
        assert_eq!(cells("tpot_seconds", &figure), ["1 s", "500 ms – 2 s", "modelled"]);
        figure.high = Some(f64::INFINITY);
        assert_eq!(cells("tpot_seconds", &figure)[1], "–");
        figure.value = Some(f64::NAN);
        assert_eq!(cells("tpot_seconds", &figure)[0], "unavailable");
        let missing = Figure::unavailable("no `meter` | here");
        assert_eq!(cells("x", &missing)[2], "unavailable: no `meter` \\| here");
    }
}
