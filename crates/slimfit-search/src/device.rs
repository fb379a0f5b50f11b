//! A device that points are priced on, alone or as one of several that one model is chosen for.

use crate::metric::rounded;
use crate::{Metric, Values};
use slimfit_cost::{BusyTime, CostModel, EnergyModel, Percentile, RunTime, TailModel};

/// A device, and what of it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device<'a> {
    pub(crate) cost: &'a CostModel,
    pub(crate) energy: Option<&'a EnergyModel>,
    pub(crate) tails: Option<&'a TailModel>,
}

impl<'a> Device<'a> {
    pub(crate) fn new(cost: &'a CostModel) -> Self {
        Self { cost, energy: cost.energy().ok(), tails: cost.tails().ok() }
    }

    /// Joules of a decoded token's time, where the device's power is known.
    pub(crate) fn joules(&self, time: BusyTime, threads: u32) -> Option<f64> {
        self.energy?.joules(time, threads)
    }

    /// Whether it can give a metric.
    pub(crate) fn gives(&self, metric: Metric) -> bool {
        match metric.quantity() {
            Metric::JoulesPerToken => self.cost.has_power(),
            Metric::TtftSeconds => self.cost.has_prefill(),
            Metric::TtftP95Seconds => self.cost.has_prefill() && self.tails.is_some(),
            Metric::TpotP95Seconds => self.tails.is_some(),
            _ => true,
        }
    }

    /// Writes every metric of a point that depends on the device.
    pub(crate) fn write(&self, price: &RunTime, bytes_per_token: f64, values: &mut Values) {
        values[Metric::TtftSeconds.column()] = rounded(price.ttft.seconds);
        values[Metric::TpotSeconds.column()] = rounded(price.tpot.seconds);
        values[Metric::SecondsPerByte.column()] = rounded(price.tpot.seconds / bytes_per_token);
        values[Metric::MemoryBytes.column()] = price.memory_bytes as f64;
        if let Some(joules) = self.joules(price.tpot, price.threads) {
            values[Metric::JoulesPerToken.column()] = rounded(joules);
        }
        if let Some(tails) = self.tails {
            let p95 = |time: BusyTime| {
                let excess = tails.excess(Percentile::P95, time, price.threads, price.working_set_bytes);
                rounded(excess.map_or(f64::INFINITY, |excess| time.seconds * (1.0 + excess)))
            };
            values[Metric::TtftP95Seconds.column()] = p95(price.ttft);
            values[Metric::TpotP95Seconds.column()] = p95(price.tpot);
        }
    }
}
