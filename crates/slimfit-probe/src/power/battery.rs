//! A battery while it discharges: microwatts, or microamperes times microvolts.

use super::{Integral, PowerMeter};
use crate::SystemTree;

const FOLDER: &str = "/sys/class/power_supply";

/// One discharging battery.
pub(super) struct Battery {
    tree: SystemTree,
    path: String,
    integral: Integral,
}

impl Battery {
    pub(super) fn open(tree: &SystemTree) -> Result<Self, String> {
        let mut charging = false;
        for entry in tree.names(FOLDER) {
            let path = format!("{FOLDER}/{entry}");
            if tree.read(&format!("{path}/type")).is_none_or(|kind| kind != "Battery") {
                continue;
            }
            if watts(tree, &path).is_ok() {
                return Ok(Self { tree: tree.clone(), path, integral: Integral::new() });
            }
            charging = true;
        }
        Err(if charging {
            "the battery is not discharging, so it measures nothing: unplug the device".to_owned()
        } else {
            format!("`{FOLDER}` has no battery")
        })
    }
}

/// Watts that leave the battery. Drivers differ in the sign of a current that flows out.
fn watts(tree: &SystemTree, path: &str) -> Result<f64, String> {
    let value = |file: &str| -> Option<f64> { tree.read(&format!("{path}/{file}"))?.parse::<f64>().ok() };
    let status = tree.read(&format!("{path}/status")).ok_or_else(|| format!("`{path}` no longer answers"))?;
    if status != "Discharging" {
        return Err(format!("the battery is {}", status.to_lowercase()));
    }
    let direct = value("power_now").map(|microwatts| microwatts.abs() * 1e-6);
    let product = || Some(value("current_now")?.abs() * value("voltage_now")?.abs() * 1e-12);
    direct.or_else(product).filter(|watts| *watts > 0.0).ok_or_else(|| format!("`{path}` states no power"))
}

impl PowerMeter for Battery {
    fn name(&self) -> String {
        "battery".to_owned()
    }

    fn joules(&mut self) -> Result<f64, String> {
        let watts = watts(&self.tree, &self.path)?;
        Ok(self.integral.add(watts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn current_of_either_sign_times_voltage_while_discharging_only() {
        let root = tempfile::tempdir().expect("a folder");
        let battery = root.path().join("sys/class/power_supply/BAT0");
        fs::create_dir_all(&battery).expect("a folder");
        for (file, text) in
            [("type", "Battery"), ("status", "Discharging"), ("current_now", "-2000000"), ("voltage_now", "10000000")]
        {
            fs::write(battery.join(file), text).expect("a file");
        }
        let tree = SystemTree::below(root.path());
        let path = "/sys/class/power_supply/BAT0";
        assert!((watts(&tree, path).expect("it discharges") - 20.0).abs() < 1e-9);
        let mut meter = Battery::open(&tree).expect("it discharges");
        assert!(meter.joules().expect("it answers") >= 0.0);
        fs::write(battery.join("status"), "Charging").expect("a file");
        assert!(meter.joules().is_err());
        assert!(Battery::open(&tree).err().expect("it charges").contains("unplug"));
    }
}
