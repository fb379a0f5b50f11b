//! Objectives of several devices: the worst over them, or one for each.

use crate::metric::interned;
use crate::{Metric, SearchError};
use slimfit_quality::{MOST_TASKS, Recipe};
use slimfit_study::Objective;

/// What objectives and limits mean where one model is chosen for several devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceObjectives {
    /// Each is the worst over the devices.
    #[default]
    Worst,
    /// Each that depends on the device becomes one objective for each device.
    Each,
}

/// A quantity on one of several devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnDevice {
    /// Place in [`Metric::FIXED`].
    quantity: u8,
    /// Place of the device.
    device: u8,
    column: u8,
    name: &'static str,
}

impl OnDevice {
    pub(crate) const fn quantity(self) -> Metric {
        Metric::FIXED[self.quantity as usize]
    }

    pub(crate) const fn column(self) -> usize {
        self.column as usize
    }

    pub(crate) const fn name(self) -> &'static str {
        self.name
    }
}

impl Metric {
    /// All that depend on the device.
    pub const OF_DEVICE: [Self; 7] = [
        Self::TtftSeconds,
        Self::TpotSeconds,
        Self::SecondsPerByte,
        Self::MemoryBytes,
        Self::JoulesPerToken,
        Self::TtftP95Seconds,
        Self::TpotP95Seconds,
    ];

    /// What is taken on a device; the metric itself where it is not one of a single device of several.
    pub const fn quantity(self) -> Self {
        match self {
            Self::OnDevice(on) => on.quantity(),
            other => other,
        }
    }

    /// Place of the device, where it is the metric of one of several.
    pub const fn device(self) -> Option<usize> {
        match self {
            Self::OnDevice(on) => Some(on.device as usize),
            _ => None,
        }
    }

    /// Whether it depends on the device.
    pub fn is_of_device(self) -> bool {
        Self::OF_DEVICE.contains(&self.quantity())
    }

    /// `objectives`, where each that depends on the device is taken on each of so many instead: `tpot_seconds@1`,
    /// `tpot_seconds@2` and so on, devices counted from 1.
    ///
    /// # Errors
    /// When points cannot hold so many.
    pub fn on_each_device(
        objectives: &[Self],
        devices: usize,
        recipe: &Recipe,
    ) -> Result<Vec<Self>, SearchError> {
        if devices < 2 {
            return Ok(objectives.to_vec());
        }
        // Tasks that the recipe does not have leave their columns free.
        let room = MOST_TASKS - recipe.scores.tasks.len();
        let of_device = objectives.iter().filter(|metric| metric.is_of_device()).count();
        if of_device * devices > room || devices > usize::from(u8::MAX) {
            return Err(SearchError::Option {
                name: "objectives".to_owned(),
                found: format!("{of_device} that depend on the device, each on {devices} devices"),
                allowed: format!(
                    "at most {room} in all: fewer objectives or devices, or the worst over the devices"
                ),
            });
        }
        let mut columns = (0..Self::COUNT).rev();
        let mut all = Vec::new();
        for metric in objectives {
            if !metric.is_of_device() {
                all.push(*metric);
                continue;
            }
            for device in 0..devices {
                let column = columns.next().expect("there is room for all");
                all.push(Self::OnDevice(OnDevice {
                    quantity: metric.column() as u8,
                    device: device as u8,
                    column: column as u8,
                    name: interned(format!("{}@{}", metric.name(), device + 1)),
                }));
            }
        }
        Ok(all)
    }

    /// The metrics that records name, those of one of several devices too.
    ///
    /// # Errors
    /// The first name that is not known.
    pub fn recorded(objectives: &[Objective], recipe: &Recipe) -> Result<Vec<Self>, String> {
        let unknown = |objective: &Objective| objective.name.clone();
        let (mut quantities, mut devices) = (Vec::new(), 1);
        for objective in objectives {
            let name = objective.by_device.as_ref().map_or(&objective.name, |by_device| &by_device.objective);
            let metric = Self::named(name, recipe).ok_or_else(|| unknown(objective))?;
            devices = objective.by_device.as_ref().map_or(devices, |one| devices.max(one.device as usize));
            if !quantities.contains(&metric) {
                quantities.push(metric);
            }
        }
        let metrics = Self::on_each_device(&quantities, devices, recipe);
        let metrics = metrics.map_err(|_| objectives.last().map(unknown).unwrap_or_default())?;
        let known = |objective: &&Objective| metrics.iter().any(|metric| metric.name() == objective.name);
        match objectives.iter().find(|objective| !known(objective)) {
            Some(objective) => Err(unknown(objective)),
            None => Ok(metrics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_device_is_taken_on_each_and_all_else_once() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        let objectives = [Metric::Loss, Metric::TpotSeconds, Metric::FileBytes, Metric::MemoryBytes];
        let each = Metric::on_each_device(&objectives, 2, &recipe).unwrap();
        let names: Vec<&str> = each.iter().map(|metric| metric.name()).collect();
        assert_eq!(
            names,
            ["loss", "tpot_seconds@1", "tpot_seconds@2", "file_bytes", "memory_bytes@1", "memory_bytes@2"]
        );
        let mut columns: Vec<usize> = each.iter().map(|metric| metric.column()).collect();
        columns.extend(Metric::scores(&recipe).map(Metric::column));
        let count = columns.len();
        columns.sort_unstable();
        columns.dedup();
        assert_eq!(columns.len(), count, "no two metrics share a column");
        assert!(columns.iter().all(|column| *column < Metric::COUNT));
        assert_eq!((each[2].quantity(), each[2].device()), (Metric::TpotSeconds, Some(1)));
        assert_eq!((each[2].unit(), each[2].is_quality()), ("s/token", false));
        let by_device = each[2].objective().by_device.unwrap();
        assert_eq!((by_device.objective.as_str(), by_device.device), ("tpot_seconds", 2));
        assert_eq!(each[0].objective().by_device, None);
        assert_eq!(Metric::on_each_device(&objectives, 1, &recipe).unwrap(), objectives);
        let records: Vec<Objective> = each.iter().map(|metric| metric.objective()).collect();
        assert_eq!(Metric::recorded(&records, &recipe).unwrap(), each);
        let records: Vec<Objective> = objectives.iter().map(|metric| metric.objective()).collect();
        assert_eq!(Metric::recorded(&records, &recipe).unwrap(), objectives);
        let strange = Objective { name: "speed".to_owned(), ..records[0].clone() };
        assert_eq!(Metric::recorded(&[strange], &recipe), Err("speed".to_owned()));
    }

    #[test]
    fn more_than_points_hold_are_refused_by_number() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        let error = Metric::on_each_device(&Metric::OF_DEVICE, 3, &recipe).unwrap_err().to_string();
        let room = MOST_TASKS - recipe.scores.tasks.len();
        assert!(error.contains("7 that depend on the device, each on 3 devices"), "{error}");
        assert!(error.contains(&format!("at most {room} in all")), "{error}");
    }
}
