//! What no engine can beat: the model's bytes over this machine's bandwidth, its operations over the machine's peak.

use super::measure::EngineTimes;
use slimfit_plan::Plan;
use slimfit_quantity::{Warning, format_seconds, median};
use slimfit_runtime::{decode_streamed_bytes, prefill_flops};

/// How far past the fastest of the sentinels around the runs nobody comes: these machines drift by a fifth within minutes,
/// so that a little more than the sentinel saw may be true.
const MARGIN: f64 = 1.25;

/// The least that a model's phases move and compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// Bytes that must come from memory for a decoded token.
    pub(super) decode_bytes: f64,
    /// Operations of the prompt.
    pub(super) prefill_flops: f64,
}

impl Limits {
    pub(super) fn of(plan: &Plan, prompt: u64, depth: u64, generated: u64) -> Self {
        Self {
            decode_bytes: decode_streamed_bytes(plan, depth, generated),
            prefill_flops: prefill_flops(plan, prompt),
        }
    }

    /// Warnings for each phase that would have been faster than the machine can be.
    pub(super) fn impossible(&self, runs: &[EngineTimes]) -> Vec<Warning> {
        let fastest = |rates: fn(&EngineTimes) -> [f64; 2]| {
            runs.iter().flat_map(rates).fold(0.0_f64, |fastest, rate| fastest.max(rate))
        };
        let read = fastest(|run| run.read_bytes_per_s);
        let peak = fastest(|run| run.peak_ops_per_s);
        let token: Vec<f64> = runs.iter().flat_map(|run| run.tpot_seconds()).collect();
        let prompt: Vec<f64> = runs.iter().flat_map(|run| run.answer.prefill_seconds.clone()).collect();
        let phases = [
            ("impossible-decode", "a token", &token, self.decode_bytes, read, "GB/s of reading"),
            ("impossible-prefill", "the prompt", &prompt, self.prefill_flops, peak, "GFLOP/s"),
        ];
        let mut warnings = Vec::new();
        for (code, what, samples, work, rate, unit) in phases {
            if samples.is_empty() {
                continue;
            }
            let seconds = median(samples);
            let wanted = work / seconds;
            if wanted > MARGIN * rate {
                let message = format!(
                    "the engine says {what} took {}, which needs {:.1} {unit}; right before and after, this machine reached \
                     {:.1}: it did not run this model, or did not time all of it",
                    format_seconds(seconds),
                    wanted / 1e9,
                    rate / 1e9
                );
                warnings.push(Warning::new(code, message));
            }
        }
        warnings
    }
}
