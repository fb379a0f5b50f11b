//! Models that were run in both studies under the same conditions.

use super::Records;
use super::change::{change, ratio};
use slimfit_quantity::Figure;
use slimfit_study::{Change, ComparedRun, Measurement, RunFigures};

/// A figure of a run: its name, whether more is better, whether reads of memory or arithmetic bind it, and where it lies.
type RunFigure = (&'static str, bool, Bound, fn(&RunFigures) -> &Figure);

#[derive(Clone, Copy)]
enum Bound {
    Memory,
    Arithmetic,
    Neither,
}

const FIGURES: [RunFigure; 6] = [
    ("prefill_tokens_per_s", true, Bound::Arithmetic, |run| &run.prefill_tokens_per_s),
    ("decode_tokens_per_s", true, Bound::Memory, |run| &run.decode_tokens_per_s),
    ("ttft_seconds", false, Bound::Arithmetic, |run| &run.ttft_seconds),
    ("tpot_seconds", false, Bound::Memory, |run| &run.tpot_seconds),
    ("peak_memory_bytes", false, Bound::Neither, |run| &run.peak_memory_bytes),
    ("joules_per_token", false, Bound::Neither, |run| &run.joules_per_token),
];

pub(super) fn compared(first: &Records, second: &Records) -> Vec<ComparedRun> {
    let same_machine = first.same_machine(second);
    let pair = |ours: &Measurement| {
        // The latest of several.
        let theirs =
            second.measurements.iter().rev().find(|theirs| conditions(theirs) == conditions(ours))?;
        let compared = run(ours, theirs, same_machine);
        (!compared.changes.is_empty()).then_some(compared)
    };
    first.measurements.iter().filter_map(pair).collect()
}

/// All that decides what a run costs, but for the machine.
fn conditions(run: &Measurement) -> impl PartialEq {
    let tokens = (run.prompt_tokens, run.generated_tokens, run.depth_tokens);
    let engine = run.engine.as_ref().map(|engine| engine.name.clone());
    (run.id.clone(), run.weights, run.kv, run.threads, tokens, engine)
}

fn run(first: &Measurement, second: &Measurement, same_machine: bool) -> ComparedRun {
    let read = [first, second].map(|run| run.sentinel.read_bytes_per_s);
    let peak = [first, second].map(|run| run.sentinel.peak_ops_per_s);
    let mean = |[before, after]: [f64; 2]| f64::midpoint(before, after);
    let ratios = [read, peak].map(|[ours, theirs]| ratio(mean(ours), mean(theirs)));
    // On one machine the difference between two moments is no difference between two programs; on two machines only what
    // each moved by itself counts as noise.
    let moved = |rates: [[f64; 2]; 2], ratio: Option<f64>| {
        let within = rates.iter().map(|[before, after]| spread(*before, *after)).fold(0.0, f64::max);
        let between = ratio.filter(|_| same_machine).map_or(0.0, |ratio| ratio.max(1.0 / ratio) - 1.0);
        within.max(between)
    };
    let (by_read, by_peak) = (moved(read, ratios[0]), moved(peak, ratios[1]));
    let figure = |(name, maximised, bound, of): &RunFigure| -> Option<Change> {
        let widened = match bound {
            Bound::Memory => by_read,
            Bound::Arithmetic => by_peak,
            Bound::Neither => 0.0,
        };
        change(name, (of(&first.measured), of(&second.measured)), *maximised, widened)
    };
    ComparedRun {
        id: first.id.clone(),
        name: first.name.clone().or_else(|| second.name.clone()),
        conditions: format!(
            "{} weights, {} cache, {}, {} prompt tokens, {} generated after {}",
            first.weights,
            first.kv,
            if first.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", first.threads) },
            first.prompt_tokens,
            first.generated_tokens,
            first.depth_tokens
        ),
        read_ratio: ratios[0],
        peak_ratio: ratios[1],
        changes: FIGURES.iter().filter_map(figure).collect(),
    }
}

/// How far two rates lie apart, as a share.
fn spread(a: f64, b: f64) -> f64 {
    let spread = a.max(b) / a.min(b) - 1.0;
    if spread.is_finite() { spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use slimfit_formats::builtin;
    use slimfit_quantity::Measured;

    /// A run whose machine read `read` bytes a second right before and right after.
    fn measurement(seconds: f64, read: [f64; 2]) -> Measurement {
        let missing = Figure::unavailable("not run");
        let tpot = Measured::new(vec![seconds * 0.99, seconds, seconds * 1.01]).unwrap().figure();
        let figures = |tpot: &Figure| {
            json!({"prefill_tokens_per_s": missing, "decode_tokens_per_s": missing, "ttft_seconds": missing,
                   "tpot_seconds": tpot, "peak_memory_bytes": missing, "joules_per_token": missing})
        };
        let tail = json!({"p50": null, "p95": null, "p99": null});
        serde_json::from_value(json!({
            "id": "0123456789ab", "architecture": builtin::find("smollm2-135m").unwrap().architecture,
            "weights": "q4_0", "kv": "f16", "threads": 2, "isa": "avx2",
            "prompt_tokens": 0, "generated_tokens": 32, "depth_tokens": 0,
            "measured": figures(&tpot), "predicted": figures(&missing),
            "percentiles": {"ttft_seconds": tail, "tpot_seconds": tail},
            "sentinel": {"read_bytes_per_s": read, "peak_ops_per_s": [1e11, 1e11]},
            "share": {"decode_of_bandwidth": null, "prefill_of_peak": null}, "operations": []
        }))
        .unwrap()
    }

    #[test]
    fn a_machine_that_moved_by_itself_explains_a_difference() {
        let tpot = |second: &Measurement, same_machine| {
            let compared = run(&measurement(0.010, [20e9, 20e9]), second, same_machine);
            assert_eq!(compared.changes.len(), 1, "what is unavailable is not compared");
            compared.changes[0].clone()
        };
        let slower = tpot(&measurement(0.012, [20e9, 20e9]), true);
        assert!(slower.beyond_noise == Some(true) && (slower.ratio.unwrap() - 1.2).abs() < 1e-9);
        let explained = tpot(&measurement(0.012, [16e9, 16e9]), true);
        assert_eq!(explained.beyond_noise, Some(false), "memory was read as much slower");
        let device = tpot(&measurement(0.012, [16e9, 16e9]), false);
        assert_eq!(device.beyond_noise, Some(true), "a slower device is a difference");
        let restless = tpot(&measurement(0.012, [20e9, 16e9]), false);
        assert_eq!(restless.beyond_noise, Some(false), "it changed as much within the run");
    }

    #[test]
    fn only_runs_under_the_same_conditions_are_compared() {
        let records = |measurements| Records {
            label: String::new(),
            front: None,
            profile: None,
            measurements,
            verification: None,
        };
        let other = Measurement { threads: 1, ..measurement(0.02, [20e9, 20e9]) };
        let first = records(vec![measurement(0.01, [20e9, 20e9])]);
        assert!(compared(&first, &records(vec![other.clone()])).is_empty());
        let latest = records(vec![measurement(0.02, [20e9, 20e9]), measurement(0.03, [20e9, 20e9]), other]);
        let found = compared(&first, &latest);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].changes[0].second.value, Some(0.03), "the latest of several");
    }
}
