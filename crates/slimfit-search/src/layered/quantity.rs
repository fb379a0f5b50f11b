//! The numbers of a model that are sums over its layers, and how those are charged that depend on threads and regime.

use crate::parts::PartTimes;
use crate::{Metric, ModelEvaluator};
use slimfit_cost::RegimeId;

/// A number that is a sum over layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Stored parameters without embeddings, of which more are better.
    NonEmbedding,
    /// Those of them that a token visits.
    Active,
    /// All stored parameters, of which fewer are better.
    Parameters,
    Decode,
    Prefill,
    Joules,
    Memory,
    TrainingFlops,
    /// Bytes of the tensors in a file.
    File,
    /// Bytes that each token touches again: what decides the regime.
    WorkingSet,
    /// Seconds that a token takes longer than with the thread count at a place.
    Slower(usize),
}

/// The quantities behind metrics that are asked for.
pub(crate) fn quantities(metrics: &[Metric], experts: bool) -> Vec<Quantity> {
    let mut found: Vec<Quantity> = Vec::new();
    for metric in metrics {
        let of_metric: &[Quantity] = match metric {
            Metric::Loss | Metric::LossPerByte | Metric::Score(_) if experts => {
                &[Quantity::NonEmbedding, Quantity::Active]
            }
            Metric::Loss | Metric::LossPerByte | Metric::Score(_) => &[Quantity::NonEmbedding],
            Metric::TtftSeconds | Metric::TtftP95Seconds => &[Quantity::Prefill],
            Metric::TpotSeconds | Metric::TpotP95Seconds | Metric::SecondsPerByte => &[Quantity::Decode],
            Metric::MemoryBytes => &[Quantity::Memory],
            Metric::JoulesPerToken => &[Quantity::Joules],
            Metric::Parameters => &[Quantity::Parameters],
            Metric::FileBytes => &[Quantity::File],
            Metric::TrainingFlops | Metric::TrainingSeconds | Metric::TrainingCost => {
                &[Quantity::TrainingFlops]
            }
            Metric::OnDevice(_) => unreachable!("several devices are refused"),
        };
        for quantity in of_metric {
            if !found.contains(quantity) {
                found.push(*quantity);
            }
        }
    }
    found
}

/// How quantities that depend on thread count and regime are charged.
#[derive(Debug, Clone)]
pub(crate) enum Charge {
    /// As with this thread count in these regimes, one for each count.
    Exact { thread_place: usize, regimes: Vec<RegimeId> },
    /// At the least of all that a model may have: a bound from below.
    Least(Vec<(usize, RegimeId)>),
}

/// A quantity that follows from times.
pub(super) fn charged(
    evaluator: &ModelEvaluator<'_>,
    quantity: Quantity,
    charge: &Charge,
    mut times: impl FnMut(usize, RegimeId) -> PartTimes,
) -> f64 {
    let mut value = |thread_place: usize, regime: RegimeId| {
        let times = times(thread_place, regime);
        match quantity {
            Quantity::Prefill => times.prefill.seconds,
            Quantity::Joules => {
                let threads = evaluator.cost().thread_counts().nth(thread_place).unwrap_or(1);
                evaluator.devices[0]
                    .joules(times.decode, threads)
                    .expect("a search for joules knows all watts")
            }
            _ => times.decode.seconds,
        }
    };
    match (charge, quantity) {
        (Charge::Exact { thread_place, regimes }, Quantity::Slower(other)) => {
            value(*thread_place, regimes[*thread_place]) - value(other, regimes[other])
        }
        (Charge::Exact { thread_place, regimes }, _) => value(*thread_place, regimes[*thread_place]),
        (Charge::Least(all), _) => {
            all.iter().map(|(place, regime)| value(*place, *regime)).fold(f64::INFINITY, f64::min)
        }
    }
}
