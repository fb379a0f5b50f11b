//! Whether the processor's own counters can be read. They would check the clock that dependent additions tell.

use slimfit_quantity::Warning;

/// A plain statement where the kernel gives no cycle counter.
pub(crate) fn warning() -> Option<Warning> {
    let reason = cycles().err()?;
    Some(Warning::new(
        "no-cycle-counter",
        format!(
            "the system gives no cycle counter ({reason}): clocks are told by dependent additions alone; on Linux \
             `sysctl kernel.perf_event_paranoid=1` may allow it"
        ),
    ))
}

/// Cycles that a known number of dependent additions takes, by the processor's own counter: about one each.
///
/// # Errors
/// Why the counter cannot be read.
#[cfg(target_os = "linux")]
pub(crate) fn cycles() -> Result<u64, String> {
    use perf_event::Builder;
    use perf_event::events::Hardware;
    let mut counter = Builder::new().kind(Hardware::CPU_CYCLES).build().map_err(|error| error.to_string())?;
    counter.enable().map_err(|error| error.to_string())?;
    std::hint::black_box(slimfit_kernels::limits::dependent_adds(1_000_000));
    counter.disable().map_err(|error| error.to_string())?;
    match counter.read().map_err(|error| error.to_string())? {
        0 => Err("it stays at zero".to_owned()),
        cycles => Ok(cycles),
    }
}

/// Cycles by the processor's own counter.
///
/// # Errors
/// Always: no counter is read on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn cycles() -> Result<u64, String> {
    Err("only Linux's counters are read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts_or_says_why_not() {
        match cycles() {
            // Additions depend on each other, so none takes less than a cycle; interruptions add some.
            Ok(cycles) => assert!(cycles >= 900_000, "{cycles} cycles for a million additions"),
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
}
