//! How much other programs, and the hypervisor, took of the processors while something was measured.

use serde::{Deserialize, Serialize};
use std::fs;

/// Past this share of the processors' time others were in the way.
pub const WORTH_SAYING: f64 = 0.03;

/// Clock ticks used so far, by all and by this program.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
    own: u64,
}

/// Shares of the processors' time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    /// Used by other programs.
    pub others: f64,
    /// Given to other machines by the hypervisor.
    pub stolen: f64,
}

impl Ticks {
    /// Now; nothing where the system does not say (it is read from `/proc`).
    pub fn now() -> Option<Self> {
        let own = own(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Self::of(&fs::read_to_string("/proc/stat").ok()?, own)
    }

    fn of(stat: &str, own: u64) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
        // user, nice, system, idle, waiting, interrupts, soft interrupts, stolen; then guests, counted in user.
        let [user, nice, system, idle, waiting, hard, soft, stolen] = *ticks.first_chunk::<8>()?;
        let busy = user + nice + system + hard + soft;
        Some(Self { busy, stolen, all: busy + idle + waiting + stolen, own })
    }

    /// What happened since `earlier`.
    pub fn since(self, earlier: Self) -> Option<Disturbance> {
        let all = self.all.checked_sub(earlier.all).filter(|&all| all > 0)? as f64;
        let others = (self.busy - earlier.busy).saturating_sub(self.own - earlier.own);
        Some(Disturbance { others: others as f64 / all, stolen: (self.stolen - earlier.stolen) as f64 / all })
    }
}

/// Ticks of this program and of the children it waited for.
fn own(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_what_is_neither_idle_nor_ours() {
        let stat = "42 (a) b) R 1 1 1 0 -1 4194304 100 0 0 0 30 10 5 5 20 0 2 0 1";
        assert_eq!(own(stat), Some(50));
        let before = Ticks::of("cpu  100 0 0 900 0 0 0 0 0 0\ncpu0 1", 10).unwrap();
        let after = Ticks::of("cpu  160 10 0 1000 10 5 5 10 7 0\ncpu0 1", 60).unwrap();
        let found = after.since(before).unwrap();
        assert_eq!(found, Disturbance { others: 30.0 / 200.0, stolen: 10.0 / 200.0 });
        assert_eq!(after.since(after), None);
        assert!(Ticks::of("intr 1", 0).is_none() && Ticks::of("cpu  1 2 3", 0).is_none());
    }
}
