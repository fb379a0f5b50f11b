//! Linux powercap (RAPL of Intel and AMD): microjoules that wrap around at a stated range.

use super::PowerMeter;
use crate::SystemTree;

const FOLDER: &str = "/sys/class/powercap";

/// The package domains of a machine. They include their cores; other domains would count twice.
pub(super) struct Powercap {
    tree: SystemTree,
    packages: Vec<Package>,
}

struct Package {
    path: String,
    name: String,
    range_microjoules: u64,
    last_microjoules: u64,
    microjoules: f64,
}

impl Powercap {
    pub(super) fn open(tree: &SystemTree) -> Result<Self, String> {
        let mut packages = Vec::new();
        let mut refused = false;
        for entry in tree.names(FOLDER) {
            // `intel-rapl:0` is a package, `intel-rapl:0:1` one of its parts.
            if entry.matches(':').count() != 1 {
                continue;
            }
            let path = format!("{FOLDER}/{entry}");
            let Some(name) = tree.read(&format!("{path}/name")).filter(|name| name.starts_with("package")) else {
                continue;
            };
            let range_microjoules = tree.number(&format!("{path}/max_energy_range_uj")).unwrap_or(u64::MAX);
            match tree.number(&format!("{path}/energy_uj")) {
                Some(last_microjoules) => {
                    packages.push(Package { path, name, range_microjoules, last_microjoules, microjoules: 0.0 });
                }
                None => refused = true,
            }
        }
        if !packages.is_empty() {
            return Ok(Self { tree: tree.clone(), packages });
        }
        Err(if refused {
            format!("`{FOLDER}` has a package, but its counter may not be read (it is for root)")
        } else {
            format!("`{FOLDER}` has no package")
        })
    }
}

impl PowerMeter for Powercap {
    fn name(&self) -> String {
        let names: Vec<&str> = self.packages.iter().map(|package| package.name.as_str()).collect();
        format!("powercap {}", names.join(" "))
    }

    fn joules(&mut self) -> Result<f64, String> {
        let mut sum = 0.0;
        for package in &mut self.packages {
            let now = self
                .tree
                .number(&format!("{}/energy_uj", package.path))
                .ok_or_else(|| format!("`{}` no longer answers", package.path))?;
            let step = if now >= package.last_microjoules {
                now - package.last_microjoules
            } else {
                // Wrapped around: the rest of the range, and what was counted since.
                package.range_microjoules.saturating_sub(package.last_microjoules) + now
            };
            package.last_microjoules = now;
            package.microjoules += step as f64;
            sum += package.microjoules;
        }
        Ok(sum * 1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn tree(root: &Path, energy: &str) -> SystemTree {
        let package = root.join("sys/class/powercap/intel-rapl:0");
        fs::create_dir_all(&package).expect("a folder");
        fs::create_dir_all(root.join("sys/class/powercap/intel-rapl:0:0")).expect("a folder");
        fs::write(root.join("sys/class/powercap/intel-rapl:0:0/name"), "core\n").expect("a file");
        fs::write(package.join("name"), "package-0\n").expect("a file");
        fs::write(package.join("max_energy_range_uj"), "262143328850\n").expect("a file");
        fs::write(package.join("energy_uj"), energy).expect("a file");
        SystemTree::below(root)
    }

    fn set(root: &Path, energy: &str) {
        fs::write(root.join("sys/class/powercap/intel-rapl:0/energy_uj"), energy).expect("a file");
    }

    #[test]
    fn joules_are_counted_across_the_wrap_around() {
        let root = tempfile::tempdir().expect("a folder");
        let mut meter = Powercap::open(&tree(root.path(), "262143000000\n")).expect("a package");
        assert_eq!(meter.name(), "powercap package-0");
        assert_eq!(meter.joules(), Ok(0.0));
        set(root.path(), "1000000\n");
        let joules = meter.joules().expect("it answers");
        assert!((joules - 1.328_850).abs() < 1e-9, "{joules}");
        set(root.path(), "3000000\n");
        assert!((meter.joules().expect("it answers") - 3.328_850).abs() < 1e-9);
    }

    #[test]
    fn a_counter_that_vanishes_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        let mut meter = Powercap::open(&tree(root.path(), "5\n")).expect("a package");
        fs::remove_file(root.path().join("sys/class/powercap/intel-rapl:0/energy_uj")).expect("it was there");
        assert!(meter.joules().is_err());
    }

    #[test]
    fn missing_and_unreadable_are_told_apart() {
        let root = tempfile::tempdir().expect("a folder");
        let none = Powercap::open(&SystemTree::below(root.path())).err().expect("nothing is there");
        assert!(none.contains("no package"), "{none}");
        let locked = Powercap::open(&tree(root.path(), "")).err().expect("nothing can be read");
        assert!(locked.contains("may not be read"), "{locked}");
    }
}
