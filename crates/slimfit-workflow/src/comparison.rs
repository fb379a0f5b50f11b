//! What verification rows add up to: errors, ranks, coverage, and two plain baselines.

use slimfit_quantity::{kendall_tau, quantile};
use slimfit_study::{
    BandwidthBaseline, Baselines, ErrorSummary, ParameterBaseline, PhaseErrors, PredictedValue,
    VerificationRow,
};

/// Errors of every phase; `normalised` takes the machine's drift out by the bracketing sentinels first.
pub fn phase_errors(rows: &[VerificationRow], normalised: bool) -> PhaseErrors {
    let phase = |name: &str| {
        let cells: Vec<Cell> = rows
            .iter()
            .filter(|row| row.phase == name && row.impossible.is_none())
            .map(|row| Cell::new(row, normalised))
            .collect();
        summarise(&cells)
    };
    let tails: Vec<Cell> = rows.iter().filter_map(|row| Cell::tail(row, normalised)).collect();
    PhaseErrors {
        decode: phase("decode"),
        prefill: phase("prefill"),
        memory: phase("memory"),
        decode_p95: summarise(&tails),
    }
}

/// Ranking by parameters, and weight bytes over read bandwidth (`seconds_by_bytes`, one for each row), for decode.
pub fn baselines(rows: &[VerificationRow], seconds_by_bytes: &[f64]) -> Baselines {
    let decode: Vec<(&VerificationRow, f64)> = rows
        .iter()
        .zip(seconds_by_bytes.iter().copied())
        .filter(|(row, _)| row.phase == "decode" && row.impossible.is_none())
        .collect();
    let measured: Vec<f64> = decode.iter().map(|(row, _)| row.measured).collect();
    let parameters: Vec<f64> = decode.iter().map(|(row, _)| row.parameters as f64).collect();
    let seconds: Vec<f64> = decode.iter().map(|(_, seconds)| *seconds).collect();
    Baselines {
        parameters: ParameterBaseline { kendall_tau: kendall_tau(&parameters, &measured) },
        bytes_over_bandwidth: BandwidthBaseline {
            mape: mean(
                seconds.iter().zip(&measured).map(|(seconds, measured)| (seconds / measured - 1.0).abs()),
            ),
            kendall_tau: kendall_tau(&seconds, &measured),
        },
    }
}

struct Cell {
    predicted: f64,
    low: f64,
    high: f64,
    measured: f64,
    retest: f64,
}

impl Cell {
    fn new(row: &VerificationRow, normalised: bool) -> Self {
        Self::of(row, row.predicted, (row.measured, row.retest.unwrap_or(f64::NAN)), normalised)
    }

    /// The 95th percentile of a row that has one. Both passes make one percentile, so there is no retest.
    fn tail(row: &VerificationRow, normalised: bool) -> Option<Self> {
        Some(Self::of(row, row.predicted_p95?, (row.measured_p95?, f64::NAN), normalised))
    }

    fn of(
        row: &VerificationRow,
        predicted: PredictedValue,
        (measured, retest): (f64, f64),
        normalised: bool,
    ) -> Self {
        // A machine that runs at half its profiled rate takes twice the predicted time.
        let ratio = if normalised && row.sentinel_ratio > 0.0 { row.sentinel_ratio } else { 1.0 };
        Self {
            predicted: predicted.value / ratio,
            low: predicted.low / ratio,
            high: predicted.high / ratio,
            measured,
            retest,
        }
    }

    fn error(&self) -> f64 {
        self.predicted / self.measured - 1.0
    }

    fn retest_error(&self) -> f64 {
        (self.measured / self.retest - 1.0).abs()
    }
}

fn summarise(cells: &[Cell]) -> Option<ErrorSummary> {
    if cells.is_empty() {
        return None;
    }
    let errors: Vec<f64> = cells.iter().map(Cell::error).collect();
    let absolute: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    let retests: Vec<f64> = cells.iter().map(Cell::retest_error).filter(|error| error.is_finite()).collect();
    let near = if retests.is_empty() { 0.10 } else { quantile(&retests, 0.95).max(0.10) };
    let share = |holds: &dyn Fn(usize) -> bool| {
        (0..cells.len()).filter(|&index| holds(index)).count() as f64 / cells.len() as f64
    };
    let predicted: Vec<f64> = cells.iter().map(|cell| cell.predicted).collect();
    let measured: Vec<f64> = cells.iter().map(|cell| cell.measured).collect();
    Some(ErrorSummary {
        n: cells.len() as u64,
        mape: mean(absolute.iter().copied())?,
        bias: mean(errors.iter().copied())?,
        p90: quantile(&absolute, 0.9),
        within_10: share(&|index| absolute[index] <= near),
        kendall_tau: kendall_tau(&predicted, &measured),
        pair_accuracy: pair_accuracy(&predicted, &measured),
        coverage_90: share(&|index| {
            let cell = &cells[index];
            (cell.low..=cell.high).contains(&cell.measured)
        }),
        mean_interval_width: mean(cells.iter().map(|cell| (cell.high - cell.low) / cell.predicted))?,
        retest_mape: mean(retests.iter().copied()),
    })
}

/// Of pairs within a factor 1.5 whose measurements differ by more than 10 %, the share ordered rightly.
fn pair_accuracy(predicted: &[f64], measured: &[f64]) -> Option<f64> {
    let (mut right, mut all) = (0_u64, 0_u64);
    for i in 0..measured.len() {
        for j in 0..i {
            let ratio = measured[i].max(measured[j]) / measured[i].min(measured[j]);
            if ratio > 1.1 && ratio <= 1.5 {
                all += 1;
                right += u64::from((predicted[i] < predicted[j]) == (measured[i] < measured[j]));
            }
        }
    }
    (all > 0).then(|| right as f64 / all as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(predicted: f64, measured: f64, retest: f64) -> Cell {
        Cell { predicted, low: predicted * 0.9, high: predicted * 1.1, measured, retest }
    }

    #[test]
    fn errors_of_a_known_set() {
        let cells = [cell(1.1, 1.0, 1.0), cell(0.9, 1.0, 1.25), cell(2.0, 2.0, 2.0)];
        let summary = summarise(&cells).expect("there are cells");
        assert!((summary.mape - 0.2 / 3.0).abs() < 1e-12);
        assert!(summary.bias.abs() < 1e-12);
        assert_eq!(summary.within_10, 1.0);
        assert!((summary.coverage_90 - 2.0 / 3.0).abs() < 1e-12, "{}", summary.coverage_90);
        assert!((summary.retest_mape.expect("retests") - 0.2 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn pairs_too_near_or_too_far_do_not_count() {
        assert_eq!(pair_accuracy(&[1.0, 2.0], &[1.0, 1.05]), None);
        assert_eq!(pair_accuracy(&[1.0, 2.0], &[1.0, 1.6]), None);
        assert_eq!(pair_accuracy(&[1.0, 2.0, 1.5], &[1.0, 1.2, 1.4]), Some(2.0 / 3.0));
    }

    #[test]
    fn nothing_measured_is_no_summary() {
        let errors = phase_errors(&[], false);
        assert!(errors.decode.is_none() && errors.prefill.is_none() && errors.memory.is_none());
    }
}
