//! Linux hwmon: sensors that state microwatts (INA2xx, INA3221 on Jetson, Arm SCMI) or count microjoules.

use super::{Integral, PowerMeter};
use crate::SystemTree;

const FOLDER: &str = "/sys/class/hwmon";

/// One input: the whole board's where a chip labels one so, else the first.
pub(super) struct Hwmon {
    tree: SystemTree,
    name: String,
    input: Input,
}

enum Input {
    /// A path that states microwatts, and what was counted of it.
    Power(String, Integral),
    /// A path that counts microjoules, and its value when the meter was opened.
    Energy(String, u64),
}

impl Hwmon {
    pub(super) fn open(tree: &SystemTree) -> Result<Self, String> {
        let mut found: Vec<(bool, String, String)> = Vec::new();
        for (_, entry) in tree.numbered(FOLDER, "hwmon") {
            let chip = format!("{FOLDER}/{entry}");
            let name = tree.read(&format!("{chip}/name")).unwrap_or(entry);
            for file in tree.names(&chip) {
                let is_input = file.ends_with("_input") && (file.starts_with("power") || file.starts_with("energy"));
                let path = format!("{chip}/{file}");
                if !is_input || tree.number(&path).is_none_or(|value| value == 0) {
                    continue;
                }
                let label = tree.read(&path.replace("_input", "_label")).unwrap_or_default();
                let whole = ["VDD_IN", "POM_5V_IN", "total", "board"].iter().any(|known| label.contains(known));
                found.push((!whole, path, format!("hwmon {name} {label}").trim_end().to_owned()));
            }
        }
        found.sort();
        let (_, path, name) =
            found.into_iter().next().ok_or_else(|| format!("`{FOLDER}` has no power or energy input"))?;
        let energy = path.rsplit('/').next().is_some_and(|file| file.starts_with("energy"));
        let input = if energy {
            let start = tree.number(&path).ok_or_else(|| format!("`{path}` does not answer"))?;
            Input::Energy(path, start)
        } else {
            Input::Power(path, Integral::new())
        };
        Ok(Self { tree: tree.clone(), name, input })
    }
}

impl PowerMeter for Hwmon {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn joules(&mut self) -> Result<f64, String> {
        let gone = |path: &str| format!("`{path}` no longer answers");
        match &mut self.input {
            Input::Power(path, integral) => {
                let microwatts = self.tree.number(path).ok_or_else(|| gone(path))?;
                Ok(integral.add(microwatts as f64 * 1e-6))
            }
            Input::Energy(path, start) => {
                let now = self.tree.number(path).ok_or_else(|| gone(path))?;
                let counted = now.checked_sub(*start).ok_or_else(|| format!("`{path}` counts backwards"))?;
                Ok(counted as f64 * 1e-6)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_board_s_own_input_is_preferred_and_microjoules_are_counted() {
        let root = tempfile::tempdir().expect("a folder");
        let chip = root.path().join("sys/class/hwmon/hwmon3");
        fs::create_dir_all(&chip).expect("a folder");
        fs::write(chip.join("name"), "scmi_sensors\n").expect("a file");
        fs::write(chip.join("power1_input"), "700000\n").expect("a file");
        fs::write(chip.join("energy2_input"), "1000000\n").expect("a file");
        fs::write(chip.join("energy2_label"), "board\n").expect("a file");
        let mut meter = Hwmon::open(&SystemTree::below(root.path())).expect("an input");
        assert_eq!(meter.name(), "hwmon scmi_sensors board");
        fs::write(chip.join("energy2_input"), "3500000\n").expect("a file");
        assert_eq!(meter.joules(), Ok(2.5));
        fs::write(chip.join("energy2_input"), "10\n").expect("a file");
        assert!(meter.joules().is_err());
    }

    #[test]
    fn an_input_that_reads_zero_is_no_meter() {
        let root = tempfile::tempdir().expect("a folder");
        let chip = root.path().join("sys/class/hwmon/hwmon0");
        fs::create_dir_all(&chip).expect("a folder");
        fs::write(chip.join("power1_input"), "0\n").expect("a file");
        assert!(Hwmon::open(&SystemTree::below(root.path())).is_err());
    }
}
