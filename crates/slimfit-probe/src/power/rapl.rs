//! The processor's energy counters through Linux' powercap tree (Intel, and AMD under the same name).

use super::counter::EnergyCounter;
use super::{MeterError, PowerMeter, number};
use crate::SystemTree;

const METER: &str = "rapl";
const FOLDER: &str = "/sys/class/powercap";
const JOULES_PER_MICROJOULE: f64 = 1e-6;

/// The sum of all packages, and of their memory where it has a counter of its own; the whole platform where there are no
/// packages.
#[derive(Debug)]
pub struct RaplMeter {
    tree: SystemTree,
    name: String,
    counters: Vec<EnergyCounter>,
}

/// A zone of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Zone {
    /// What the kernel calls it: `package-0`, `package-0-die-1`, `dram`, `core`, `uncore`, `psys`.
    name: String,
    folder: String,
    /// Number of the package it belongs to.
    package: String,
}

impl RaplMeter {
    /// Finds `intel-rapl:N` packages, and `dram` zones below them. `core` and `uncore` are parts of a package and left out;
    /// so is `psys`, which holds the packages again and the rest of the board with them, unless it is all there is.
    ///
    /// # Errors
    /// There are none, they may not be read, or they read zero.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        let zones = zones(tree);
        let packages = zones.iter().filter(|zone| zone.name.starts_with("package")).count();
        let wanted = |zone: &&Zone| {
            if packages > 0 {
                zone.name.starts_with("package") || zone.name == "dram"
            } else {
                zone.name.starts_with("psys")
            }
        };
        let (mut counters, mut labels) = (Vec::new(), Vec::new());
        for zone in zones.iter().filter(wanted) {
            let file = format!("{}/energy_uj", zone.folder);
            let first = number(tree, METER, &file)?;
            if first == 0.0 {
                // Client processors list memory that they do not count.
                if zone.name == "dram" {
                    continue;
                }
                let reason = format!("`{file}` reads zero");
                return Err(MeterError::Implausible { meter: METER, reason });
            }
            let range = number(tree, METER, &format!("{}/max_energy_range_uj", zone.folder))?;
            labels.push(if zone.name == "dram" && packages > 1 {
                format!("dram-{}", zone.package)
            } else {
                zone.name.clone()
            });
            counters.push(EnergyCounter::new(METER, file, JOULES_PER_MICROJOULE, first).wrapping(range));
        }
        if counters.is_empty() {
            return Err(MeterError::Absent { meter: METER, reason: format!("no package below `{FOLDER}`") });
        }
        Ok(Self { tree: tree.clone(), name: format!("rapl ({})", labels.join(", ")), counters })
    }
}

/// `intel-rapl:0` and `intel-rapl:0:1`. The same counters appear once more as `intel-rapl-mmio` on some machines.
fn zones(tree: &SystemTree) -> Vec<Zone> {
    tree.names(FOLDER)
        .into_iter()
        .filter_map(|folder| {
            let package = folder.strip_prefix("intel-rapl:")?.split(':').next()?.to_owned();
            let folder = format!("{FOLDER}/{folder}");
            Some(Zone { name: tree.read(&format!("{folder}/name"))?, folder, package })
        })
        .collect()
}

impl PowerMeter for RaplMeter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        let mut joules = 0.0;
        for counter in &mut self.counters {
            let now = number(&self.tree, METER, &counter.label)?;
            joules += counter.add(now, seconds)?;
        }
        Ok(joules)
    }

    fn interval_seconds(&self) -> f64 {
        0.001
    }

    fn tells_watts(&self) -> bool {
        false
    }
}
