//! Sizes, times and counts as people write them.

use crate::QuantityError;

const BINARY: [(&str, f64); 5] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("B", 1.0),
];
const DECIMAL_BYTES: [(&str, f64); 4] = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
const SECONDS: [(&str, f64); 6] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("min", 60.0), ("s", 1.0)];
const COUNTS: [(&str, f64); 4] = [("k", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)];

/// Reads `1GiB`, `512 MiB`, `2GB` or a plain number of bytes.
///
/// # Errors
/// When the text is no size, is negative or does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    let units: Vec<_> = BINARY.into_iter().take(4).chain(DECIMAL_BYTES).chain([BINARY[4]]).collect();
    whole(parse_with(text, &units), "size", text, "`1GiB`, `512MiB` or `2GB`")
}

/// Reads `500ms`, `1.5s`, `2min` or a plain number of seconds.
///
/// # Errors
/// When the text is no time or is negative.
pub fn parse_seconds(text: &str) -> Result<f64, QuantityError> {
    parse_with(text, &SECONDS).ok_or_else(|| unparsable("time", text, "`500ms`, `1.5s` or `2min`"))
}

/// Reads `36h`, `12d`, `90min` or a plain number of seconds: times as a training takes.
///
/// # Errors
/// When the text is no time or is negative.
pub fn parse_duration(text: &str) -> Result<f64, QuantityError> {
    const LONG: [(&str, f64); 4] = [("min", 60.0), ("h", 3600.0), ("d", 86_400.0), ("s", 1.0)];
    parse_with(text, &LONG).ok_or_else(|| unparsable("time", text, "`36h`, `12d` or `90min`"))
}

/// Watt-hours of a battery: `18Wh`, `0.5kWh`, `5000mAh@3.85V` or a plain number of watt-hours.
///
/// # Errors
/// When the text is no such energy, or nothing is in the battery. A charge says no energy without its voltage.
pub fn parse_watt_hours(text: &str) -> Result<f64, QuantityError> {
    const ENERGY: [(&str, f64); 3] = [("kWh", 1e3), ("mWh", 1e-3), ("Wh", 1.0)];
    const CHARGE: [(&str, f64); 2] = [("mAh", 1e-3), ("Ah", 1.0)];
    let watt_hours = match text.split_once('@') {
        None => parse_with(text, &ENERGY),
        // A number alone is neither a charge nor a voltage.
        Some((charge, volts)) if charge.trim_end().ends_with("Ah") && volts.trim_end().ends_with('V') => {
            parse_with(charge, &CHARGE)
                .and_then(|ampere_hours| Some(ampere_hours * parse_with(volts, &[("V", 1.0)])?))
        }
        Some(_) => None,
    };
    watt_hours
        .filter(|watt_hours| *watt_hours > 0.0)
        .ok_or_else(|| unparsable("battery", text, "`18Wh` or `5000mAh@3.85V`"))
}

/// Reads `100B`, `1.5T`, `20M` or a plain number. `B` is a billion, as in "100B tokens".
///
/// # Errors
/// When the text is no count, is negative or does not fit 64 bits.
pub fn parse_count(text: &str) -> Result<u64, QuantityError> {
    whole(parse_with(text, &COUNTS), "count", text, "`100B`, `1.5T` or `20M`")
}

/// Reads a rate of operations: `350T`, `1.2PFLOP/s` or a plain number of operations per second.
///
/// # Errors
/// When the text is no such rate, or nothing is done at it.
pub fn parse_flops_per_s(text: &str) -> Result<f64, QuantityError> {
    const RATES: [(&str, f64); 4] = [("G", 1e9), ("T", 1e12), ("P", 1e15), ("E", 1e18)];
    let number = ["FLOP/s", "FLOPS"].iter().find_map(|unit| text.trim().strip_suffix(unit)).unwrap_or(text);
    parse_with(number, &RATES)
        .filter(|rate| *rate > 0.0)
        .ok_or_else(|| unparsable("rate", text, "`350TFLOP/s`, `1.2P` or `3.5e14`"))
}

/// `1.50 GiB`, `12.0 MiB`, `17 B`.
pub fn format_bytes(bytes: f64) -> String {
    scaled(
        bytes,
        &[("TiB", BINARY[3].1), ("GiB", BINARY[2].1), ("MiB", BINARY[1].1), ("KiB", BINARY[0].1), ("B", 1.0)],
    )
}

/// `1.50 s`, `12.0 ms`, `3.10 µs`.
pub fn format_seconds(seconds: f64) -> String {
    scaled(seconds, &[("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)])
}

/// `90.0 s`, `2.50 h`, `12.3 days`: long times, as a training takes.
pub fn format_duration(seconds: f64) -> String {
    scaled(seconds, &[("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)])
}

/// `1.24B`, `135M`, `576`.
pub fn format_count(count: f64) -> String {
    scaled(count, &[("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)]).replace(' ', "")
}

/// `1 234 567` with narrow no-break spaces, for counts that matter to the last digit: whole numbers of any size.
pub fn format_integer(count: impl std::fmt::Display) -> String {
    let plain = count.to_string();
    let mut text = String::with_capacity(2 * plain.len());
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn scaled(value: f64, units: &[(&str, f64)]) -> String {
    let (name, size) =
        units.iter().find(|(_, size)| value.abs() >= *size).copied().unwrap_or(units[units.len() - 1]);
    let number = value / size;
    let digits = if value == 0.0 || size == 1.0 && number.fract() == 0.0 {
        0
    } else if number.abs() < 10.0 {
        2
    } else if number.abs() < 100.0 {
        1
    } else {
        0
    };
    format!("{number:.digits$} {name}")
}

fn parse_with(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let (number, size) = units
        .iter()
        .find_map(|(unit, size)| text.strip_suffix(unit).map(|number| (number, *size)))
        .unwrap_or((text, 1.0));
    let value = number.trim().replace('_', "").parse::<f64>().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value * size)
}

fn whole(
    value: Option<f64>,
    what: &'static str,
    found: &str,
    example: &'static str,
) -> Result<u64, QuantityError> {
    match value {
        Some(value) if value < u64::MAX as f64 => Ok(value.round() as u64),
        _ => Err(unparsable(what, found, example)),
    }
}

fn unparsable(what: &'static str, found: &str, example: &'static str) -> QuantityError {
    QuantityError::Unparsable { what, found: found.to_owned(), example }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_grouped_by_thousands() {
        assert_eq!(format_integer(14_745_600), "14\u{202f}745\u{202f}600");
        assert_eq!((format_integer(12), format_integer(1000)), ("12".to_owned(), "1\u{202f}000".to_owned()));
    }

    #[test]
    fn people_s_spellings() {
        assert_eq!(parse_bytes("1GiB"), Ok(1 << 30));
        assert_eq!(parse_bytes("2 GB"), Ok(2_000_000_000));
        assert_eq!(parse_bytes("17"), Ok(17));
        assert_eq!(parse_seconds("500ms"), Ok(0.5));
        assert_eq!(parse_seconds("2min"), Ok(120.0));
        assert_eq!(parse_count("100B"), Ok(100_000_000_000));
        for wrong in ["", "-1", "NaN", "inf", "1XB", "GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn batteries_are_energy_or_charge_with_voltage() {
        assert_eq!(parse_watt_hours("18Wh"), Ok(18.0));
        assert_eq!(parse_watt_hours(" 0.5 kWh "), Ok(500.0));
        assert_eq!(parse_watt_hours("18"), Ok(18.0));
        assert_eq!(parse_watt_hours("5000mAh@3.7V"), Ok(5.0 * 3.7));
        assert_eq!(parse_watt_hours("2Ah @ 12V"), Ok(24.0));
        for wrong in ["", "0Wh", "-3Wh", "5000mAh", "5000@3.7V", "5Ah@3.7", "18J", "NaN"] {
            assert!(parse_watt_hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_of_operations_and_how_long_they_last() {
        assert_eq!(parse_duration("36h"), Ok(129_600.0));
        assert_eq!(parse_duration("1.5d"), Ok(129_600.0));
        assert_eq!(parse_duration("90"), Ok(90.0));
        assert!(parse_duration("3 weeks").is_err());
        assert_eq!(parse_flops_per_s("350T"), Ok(350e12));
        assert_eq!(parse_flops_per_s("1.2 PFLOP/s"), Ok(1.2e15));
        assert_eq!(parse_flops_per_s("40TFLOPS"), Ok(40e12));
        assert_eq!(parse_flops_per_s("3.5e14"), Ok(3.5e14));
        for wrong in ["", "0", "-1T", "FLOP/s", "3X", "NaN"] {
            assert!(parse_flops_per_s(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn printed_sizes() {
        assert_eq!(format_bytes(1_610_612_736.0), "1.50 GiB");
        assert_eq!(format_seconds(0.0123), "12.3 ms");
        assert_eq!(format_count(134_515_008.0), "135M");
        assert_eq!(format_count(576.0), "576");
        assert_eq!(format_seconds(0.0), "0 ns");
        assert_eq!(format_duration(5400.0), "1.50 h");
        assert_eq!(format_duration(1_062_720.0), "12.3 days");
        assert_eq!(format_duration(0.25), "0.25 s");
    }
}
