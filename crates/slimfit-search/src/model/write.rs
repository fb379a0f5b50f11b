//! The values of a point, once it is priced and valued.

use super::Counted;
use super::validity::Valued;
use crate::{Evaluator, Metric, ModelEvaluator, Space, Values};
use slimfit_cost::RunTime;
use slimfit_quality::TrainingCost;

impl ModelEvaluator<'_> {
    /// All that is known of the point of that number; nothing where it is none.
    pub(crate) fn values(&self, space: &Space, index: u64) -> Option<Values> {
        let inner_size = space.inner_size();
        let mut prepared = self.prepare(space, &space.block(index / inner_size).ok()?).ok()?;
        let mut values = Metric::UNKNOWN;
        self.evaluate(&mut prepared, space.inner(index % inner_size), &mut values).ok()?;
        Some(values)
    }

    /// Writes all that is known of a point but what depends on the device. `index`: its number, by which it may have been
    /// measured.
    pub(crate) fn write(
        &self,
        (index, point): (u64, &Counted),
        valued: &Valued,
        loss_nats: f64,
        file_bytes: u64,
        values: &mut Values,
    ) {
        let sizes = (point.non_embedding, self.total_parameters(point));
        self.write_predicted(sizes, valued.training, loss_nats, file_bytes, values);
        if let Some(row) = self.table.of_point(index) {
            row.replace(values);
        }
    }

    /// Writes all that is predicted of a point with so many parameters in all, but what depends on the device.
    pub(crate) fn write_predicted(
        &self,
        (non_embedding, total_parameters): (u64, u64),
        training: Option<TrainingCost>,
        loss_nats: f64,
        file_bytes: u64,
        values: &mut Values,
    ) {
        values[Metric::Loss.column()] = loss_nats;
        values[Metric::LossPerByte.column()] = self.law.per_byte(loss_nats);
        for (metric, curve) in &self.scores {
            let shift = self.anchor_shift(*metric, non_embedding);
            values[metric.column()] = curve.percent(loss_nats + shift);
        }
        if let Some(TrainingCost { flops, seconds, money }) = training {
            values[Metric::TrainingFlops.column()] = flops;
            values[Metric::TrainingSeconds.column()] = seconds.unwrap_or(f64::INFINITY);
            values[Metric::TrainingCost.column()] = money.unwrap_or(f64::INFINITY);
        }
        values[Metric::FileBytes.column()] = file_bytes as f64;
        values[Metric::Parameters.column()] = total_parameters as f64;
    }

    /// Writes what a point takes on a device: the worst of those up to this one, and what is asked for on this one. To be
    /// called for each device in order.
    pub(crate) fn write_on(&self, place: usize, vocabulary: usize, price: &RunTime, values: &mut Values) {
        let (_, _, bytes_per_token) = self.vocabularies[vocabulary];
        let device = &self.devices[place];
        if self.devices.len() == 1 {
            device.write(price, bytes_per_token, values);
            return;
        }
        let mut own = Metric::UNKNOWN;
        device.write(price, bytes_per_token, &mut own);
        for column in Metric::OF_DEVICE.map(Metric::column) {
            values[column] = if place == 0 { own[column] } else { values[column].max(own[column]) };
        }
        for metric in self.on_devices.iter().filter(|metric| metric.device() == Some(place)) {
            values[metric.column()] = own[metric.quantity().column()];
        }
    }
}
