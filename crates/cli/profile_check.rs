//! `slimfit profile --check` and `--compare`: whether a stored profile still holds, and what changed between two.

use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::table::table;
use crate::{Outcome, device, interrupt};
use serde_json::json;
use slimfit_hardware::{Difference, HardwareProfile};
use slimfit_kernels::Isa;
use slimfit_probe::Checked;
use slimfit_quantity::{format_bytes, format_seconds, median};
use std::fmt::Write as _;

/// How long a check may take.
const SECONDS: f64 = 5.0;
/// A rate that moved by less is taken as unchanged: machines drift by as much within a day.
const TOLERANCE: f64 = 0.15;
/// What a fixed cost may change of the fastest product: runs do not repeat better.
const NEGLIGIBLE: f64 = 0.02;
/// Differences that the text lists; `--json` has all.
const LISTED: usize = 20;

/// Measures the main rates of a profile again. Exit code 1 where one moved by more than the tolerance.
pub fn check(reference: Option<&str>, output: &Output) -> Result<Outcome, Failure> {
    let isa = Isa::selected()?;
    let profile = device::profile(reference, isa)?;
    device::another_machine(
        &profile,
        isa,
        "`--check` measures the machine that it runs on: run it there, or measure this one with `slimfit profile`",
    )?;
    let progress = Progress::start("profile --check");
    let checked = slimfit_probe::check(&profile, isa, SECONDS, &mut |what, done| {
        progress.set(done, what);
        !interrupt::flag().load(std::sync::atomic::Ordering::Relaxed)
    });
    interrupt::check()?;
    let checked = checked?;
    progress.finish("done");
    let holds = checked.iter().all(is_unchanged);
    if output.is_json() {
        let rows: Vec<_> = checked
            .iter()
            .map(|row| {
                json!({
                    "what": row.what,
                    "threads": row.threads,
                    "working_set_bytes": row.working_set_bytes,
                    "profile_per_s": row.profile_per_s,
                    "now_per_s": row.now_per_s,
                    "ratio": row.ratio(),
                    "effect": row.effect(),
                    "holds": is_unchanged(row),
                })
            })
            .collect();
        let fields = json!({
            "profile": profile_value(&profile),
            "tolerance": TOLERANCE,
            "holds": holds,
            "checks": rows,
        });
        output.object("profile-check", "profile", fields)?;
    } else {
        output.text(&check_text(&profile, &checked, holds))?;
    }
    Ok(if holds { Outcome::Done } else { Outcome::CheckFailed })
}

fn is_within_tolerance(row: &Checked) -> bool {
    row.ratio().is_some_and(|ratio| (1.0 / (1.0 + TOLERANCE)..=1.0 + TOLERANCE).contains(&ratio))
}

fn is_unchanged(row: &Checked) -> bool {
    is_within_tolerance(row) || row.effect().is_some_and(|effect| effect.abs() <= NEGLIGIBLE)
}

/// What the last column says.
fn verdict(row: &Checked) -> String {
    match row.effect() {
        _ if is_within_tolerance(row) => String::new(),
        Some(effect) if is_unchanged(row) => {
            format!("without effect: {:+.1} % of the fastest product", effect * 100.0)
        }
        _ => "moved".to_owned(),
    }
}

fn profile_value(profile: &HardwareProfile) -> serde_json::Value {
    json!({
        "name": profile.name,
        "fingerprint_id": profile.fingerprint.id(),
        "sha256": profile.sha256(),
        "created": profile.provenance.created,
    })
}

fn check_text(profile: &HardwareProfile, checked: &[Checked], holds: bool) -> String {
    let mut text = format!("{}, measured {}\n", profile.name, profile.provenance.created);
    let mut rows = table(&["", "threads", "working set", "profile", "now", "ratio", ""]);
    for row in checked {
        let spell = |per_second: f64| match row.what {
            "barrier" => format_seconds(1.0 / per_second),
            "read" => format!("{:.2} GB/s", per_second / 1e9),
            _ => format!("{:.1} Gop/s", per_second / 1e9),
        };
        rows.add_row(vec![
            row.what.to_owned(),
            row.threads.to_string(),
            row.working_set_bytes.map_or_else(String::new, |bytes| format_bytes(bytes as f64)),
            spell(row.profile_per_s),
            row.now_per_s.value.map_or_else(|| "unavailable".to_owned(), spell),
            row.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
            verdict(row),
        ]);
    }
    let _ = writeln!(text, "\n{}\n", rows.trim_fmt());
    let percent = TOLERANCE * 100.0;
    let _ = if holds {
        writeln!(text, "the profile holds: nothing that matters moved by more than {percent:.0} %")
    } else {
        writeln!(
            text,
            "the profile does not hold: what moved did so by more than {percent:.0} %; a neighbour may be at work now, or \
             was then; `slimfit profile` measures anew"
        )
    };
    text
}

/// Says what changed from the first profile to the second.
pub fn compare(first: &str, second: &str, output: &Output) -> Result<Outcome, Failure> {
    let isa = Isa::selected()?;
    let (before, after) = (device::profile(Some(first), isa)?, device::profile(Some(second), isa)?);
    let differences = before.differences(&after);
    let parts = by_part(&differences);
    if output.is_json() {
        let rows: Vec<_> = differences
            .iter()
            .map(|row| {
                json!({
                    "part": row.part,
                    "what": row.what,
                    "before": row.before,
                    "after": row.after,
                    "ratio": row.ratio(),
                    "beyond_noise": row.beyond_noise,
                })
            })
            .collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|part| {
                json!({
                    "part": part.part,
                    "figures": part.figures,
                    "beyond_noise": part.beyond_noise,
                    "median_ratio": part.median_ratio,
                })
            })
            .collect();
        let fields = json!({
            "before": profile_value(&before),
            "after": profile_value(&after),
            "same_machine": before.fingerprint == after.fingerprint,
            "parts": parts,
            "differences": rows,
        });
        output.object("profile-compare", "profile", fields)?;
        return Ok(Outcome::Done);
    }
    output.text(&compare_text(&before, &after, &differences, &parts))?;
    Ok(Outcome::Done)
}

/// One part of a profile as a whole.
struct PartSummary {
    part: &'static str,
    figures: usize,
    beyond_noise: usize,
    median_ratio: f64,
}

fn by_part(differences: &[Difference]) -> Vec<PartSummary> {
    let mut names: Vec<&'static str> = Vec::new();
    for difference in differences {
        if !names.contains(&difference.part) {
            names.push(difference.part);
        }
    }
    names
        .into_iter()
        .map(|part| {
            let rows: Vec<&Difference> = differences.iter().filter(|row| row.part == part).collect();
            let ratios: Vec<f64> = rows.iter().map(|row| row.ratio()).collect();
            PartSummary {
                part,
                figures: rows.len(),
                beyond_noise: rows.iter().filter(|row| row.beyond_noise).count(),
                median_ratio: median(&ratios),
            }
        })
        .collect()
}

fn compare_text(
    before: &HardwareProfile,
    after: &HardwareProfile,
    differences: &[Difference],
    parts: &[PartSummary],
) -> String {
    let mut text = String::new();
    for (name, profile) in [("before", before), ("after", after)] {
        let _ = writeln!(text, "{name}: {}, {}", profile.name, profile.provenance.created);
    }
    if before.fingerprint != after.fingerprint {
        let _ = writeln!(text, "the two are of different machines, or of different instruction-set caps");
    }
    let mut rows = table(&["part", "figures in both", "beyond noise", "after ÷ before, median"]);
    for part in parts {
        rows.add_row(vec![
            part.part.to_owned(),
            part.figures.to_string(),
            part.beyond_noise.to_string(),
            format!("{:.3}", part.median_ratio),
        ]);
    }
    let _ = writeln!(text, "\n{}", rows.trim_fmt());
    let mut moved: Vec<&Difference> = differences.iter().filter(|row| row.beyond_noise).collect();
    moved.sort_by(|a, b| b.ratio().ln().abs().total_cmp(&a.ratio().ln().abs()));
    if moved.is_empty() {
        let _ = writeln!(text, "\nnothing moved beyond its noise");
        return text;
    }
    let mut rows = table(&["moved most", "", "before", "after", "ratio"]);
    for row in moved.iter().take(LISTED) {
        rows.add_row(vec![
            row.part.to_owned(),
            row.what.clone(),
            format!("{:.4e}", row.before),
            format!("{:.4e}", row.after),
            format!("{:.2}", row.ratio()),
        ]);
    }
    let _ = writeln!(text, "\n{}", rows.trim_fmt());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_quantity::Figure;

    fn row(what: &'static str, ratio: f64, product_seconds: Option<f64>) -> Checked {
        Checked {
            what,
            threads: 2,
            working_set_bytes: None,
            profile_per_s: 1.0 / 34e-9,
            now_per_s: Figure::read(ratio / 34e-9),
            product_seconds,
        }
    }

    #[test]
    fn a_fixed_cost_counts_as_moved_only_where_products_feel_it() {
        let barrier = row("barrier", 34.0 / 50.0, Some(7e-6));
        assert!(is_unchanged(&barrier) && verdict(&barrier).contains("+0.5 %"), "{}", verdict(&barrier));
        let slow = row("barrier", 0.1, Some(7e-6));
        assert!(!is_unchanged(&slow) && verdict(&slow) == "moved");
        assert!(!is_unchanged(&row("barrier", 34.0 / 50.0, Some(1e-6))));
        assert!(!is_unchanged(&row("f32", 0.8, None)) && is_unchanged(&row("f32", 0.9, None)));
        assert_eq!(verdict(&row("f32", 0.9, None)), "");
    }
}
