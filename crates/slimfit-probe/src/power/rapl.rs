//! The processor's energy counters through Linux' powercap tree (Intel, and AMD under the same name).

use super::{MeterError, PowerMeter, number};
use crate::SystemTree;

const METER: &str = "rapl";
const FOLDER: &str = "/sys/class/powercap";

/// A counter in microjoules that starts again at zero past `range`.
#[derive(Debug, Clone, PartialEq)]
struct Counter {
    file: String,
    range: f64,
    last: f64,
    microjoules: f64,
}

/// The sum of all packages, and of their memory where it has a counter of its own.
#[derive(Debug)]
pub struct RaplMeter {
    tree: SystemTree,
    name: String,
    counters: Vec<Counter>,
}

impl RaplMeter {
    /// Finds `intel-rapl:N` packages, and `dram` domains below them. `core` and `uncore` are parts of a package, and
    /// `psys` holds the packages again: they are left out.
    ///
    /// # Errors
    /// There are none, they may not be read, or they read zero.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        let mut counters = Vec::new();
        let mut names = Vec::new();
        for folder in tree.names(FOLDER) {
            let Some(numbers) = folder.strip_prefix("intel-rapl:") else { continue };
            let Some(name) = tree.read(&format!("{FOLDER}/{folder}/name")) else { continue };
            let wanted = if numbers.contains(':') { name == "dram" } else { name.starts_with("package") };
            if !wanted {
                continue;
            }
            let file = format!("{FOLDER}/{folder}/energy_uj");
            let last = number(tree, METER, &file)?;
            let range = number(tree, METER, &format!("{FOLDER}/{folder}/max_energy_range_uj"))?;
            names.push(name);
            counters.push(Counter { file, range, last, microjoules: 0.0 });
        }
        if counters.is_empty() {
            return Err(MeterError::Absent { meter: METER, reason: format!("no package below `{FOLDER}`") });
        }
        if counters.iter().all(|counter| counter.last == 0.0) {
            return Err(MeterError::Implausible {
                meter: METER,
                reason: "every counter reads zero".to_owned(),
            });
        }
        Ok(Self { tree: tree.clone(), name: format!("rapl ({})", names.join(", ")), counters })
    }
}

impl PowerMeter for RaplMeter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, _seconds: f64) -> Result<f64, MeterError> {
        for counter in &mut self.counters {
            let now = number(&self.tree, METER, &counter.file)?;
            let mut passed = now - counter.last;
            if passed < 0.0 {
                passed += counter.range;
                // A wrapped counter stands early in its range; one that merely fell did not wrap.
                if passed < 0.0 || passed > counter.range / 2.0 {
                    let (last, file) = (counter.last, &counter.file);
                    return Err(MeterError::Implausible {
                        meter: METER,
                        reason: format!("`{file}` ran backwards from {last} to {now} microjoules"),
                    });
                }
            }
            counter.microjoules += passed;
            counter.last = now;
        }
        Ok(self.counters.iter().map(|counter| counter.microjoules).sum::<f64>() * 1e-6)
    }
}
