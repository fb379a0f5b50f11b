//! Writes a recipe as YAML that older readers take too.

use super::TrainingRecipe;
use crate::FormatsError;
use slimfit_document::DocumentError;
use std::fmt::Write as _;

const REMARK: &str = "\
# How to train this model from its initial weights. Each setting has its `value`, its `source` and a `citation`:
#   published  a publication says so for models of this size and kind
#   modelled   worked out: counted on the architecture, or a published law outside the range it was fitted on
#   given      chosen by whoever asked for this file
# `flags` lists what to know before relying on them.
";

pub(super) fn write(recipe: &TrainingRecipe) -> Result<String, FormatsError> {
    let plain = serde_yaml::to_string(recipe).map_err(|error| {
        DocumentError::new("unprintable", format!("the training recipe cannot be written as YAML: {error}"))
    })?;
    let mut text = REMARK.to_owned();
    for line in plain.lines() {
        let _ = match exponent(line) {
            Some((head, number)) => writeln!(text, "{head}{number}"),
            None => writeln!(text, "{line}"),
        };
    }
    Ok(text)
}

/// A line whose value is a number with an exponent, split before the number, which is written anew: YAML 1.1, which
/// PyYAML reads, takes `1e-8` for a string and wants `1.0e-8`, and a sign before the exponent.
fn exponent(line: &str) -> Option<(&str, String)> {
    let start = line.rfind(": ")? + 2;
    let (head, number) = line.split_at(start);
    let value: f64 = number.parse().ok().filter(|value: &f64| value.is_finite())?;
    if !number.contains('e') {
        return None;
    }
    let short = format!("{value:e}");
    let (digits, power) = short.split_once('e')?;
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if power.starts_with('-') { "" } else { "+" };
    Some((head, format!("{digits}{point}e{sign}{power}")))
}

#[cfg(test)]
mod tests {
    use super::exponent;

    #[test]
    fn exponents_get_a_point_and_a_sign_and_all_else_stays() {
        for (line, written) in [
            ("  value: 1e-8", Some("  value: 1.0e-8")),
            ("  value: 8.1e19", Some("  value: 8.1e+19")),
            ("  value: -1e-5", Some("  value: -1.0e-5")),
            ("  value: 0.00214", None),
            ("  value: '1e5'", None),
            ("  name: 1e-8x", None),
            ("  value: inf", None),
            ("flags: []", None),
            ("# remark", None),
        ] {
            let found = exponent(line).map(|(head, number)| format!("{head}{number}"));
            assert_eq!(found.as_deref(), written, "{line}");
        }
    }
}
