//! What measuring some points of a front moved, as text.

use crate::table::table;
use slimfit_quantity::format_seconds;
use slimfit_study::{Refinement, VerificationRow};
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The runs, what the correction is worth, and what it moved.
pub fn text(refinement: &Refinement) -> String {
    let mut text = String::from("\nmeasured on this machine\n");
    let mut rows = table(&["id", "phase", "tokens", "predicted", "measured", "", "in the interval"]);
    for row in &refinement.rows {
        rows.add_row(cells(row));
    }
    let _ = writeln!(text, "{rows}");
    let models: BTreeSet<&str> = refinement.rows.iter().map(|row| row.id.as_str()).collect();
    for error in &refinement.errors {
        let how = if error.helps { "used" } else { "not used: no help" };
        let _ = writeln!(
            text,
            "{}: mean error of models left out {} without a correction by the others, {} with it ({} runs of {} models): {how}",
            error.phase,
            percent(error.before),
            percent(error.after),
            error.n,
            models.len(),
        );
    }
    let Some(moved) = &refinement.moved else {
        text.push_str("the front stays as it was: no correction makes predictions of other models better\n");
        return text;
    };
    let _ = writeln!(
        text,
        "searched again: {} of {} points stay on the front, which now has {}",
        moved.stayed, moved.front_before, moved.front_after
    );
    for shift in &moved.shifts {
        if let (Some(factor), Some(low), Some(high)) = (shift.factor, shift.low, shift.high)
            && (low, high) != (1.0, 1.0)
        {
            let _ = writeln!(
                text,
                "  {}: {} of before in the middle, {} to {}",
                shift.objective,
                percent(factor),
                percent(low),
                percent(high)
            );
        }
    }
    for pick in &moved.picks {
        let what = match (pick.moved, pick.beyond_noise) {
            (false, _) => format!("still {}", pick.after.id),
            (true, true) => format!("{} instead of {}", pick.after.id, pick.before.id),
            (true, false) => {
                format!("{} instead of {}, which is within the noise", pick.after.id, pick.before.id)
            }
        };
        let _ = writeln!(text, "  {}: {what}", pick.pick);
    }
    text
}

fn cells(row: &VerificationRow) -> Vec<String> {
    // As the machine was when it was profiled.
    let ratio = if row.sentinel_ratio > 0.0 { row.sentinel_ratio } else { 1.0 };
    let measured = row.measured * ratio;
    let (tokens, predicted) =
        (if row.phase == "prefill" { row.prompt_tokens } else { row.depth_tokens }, row.predicted);
    let inside = (predicted.low..=predicted.high).contains(&measured);
    vec![
        row.id.clone(),
        row.phase.clone(),
        tokens.to_string(),
        format_seconds(predicted.value),
        format_seconds(measured),
        format!("{:+.1} %", (measured / predicted.value - 1.0) * 100.0),
        if inside { "yes" } else { "no" }.to_owned(),
    ]
}
