//! The effective clock, two ways: cycles that the processor counts, where it may be asked, and a chain of dependent
//! additions of one cycle each.

/// What the processor's own cycle counter says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CycleCheck {
    /// Cycles counted while the chain ran ÷ additions of the chain: 1 where an addition takes one cycle.
    CyclesPerAddition(f64),
    /// Why nothing was counted.
    Unavailable(String),
}

#[cfg(target_os = "linux")]
pub(crate) fn check() -> CycleCheck {
    use perf_event::Builder;
    use perf_event::events::Hardware;
    const ADDITIONS: u64 = 1_000_000;
    let counted = || -> std::io::Result<(u64, u64)> {
        let mut counter = Builder::new().kind(Hardware::CPU_CYCLES).build()?;
        counter.enable()?;
        let done = slimfit_kernels::limits::dependent_adds(ADDITIONS);
        counter.disable()?;
        Ok((counter.read()?, done))
    };
    match counted() {
        Ok((0, _)) => CycleCheck::Unavailable("the cycle counter reads zero".to_owned()),
        Ok((cycles, done)) => CycleCheck::CyclesPerAddition(cycles as f64 / done as f64),
        Err(error) => CycleCheck::Unavailable(refusal(&error)),
    }
}

/// Why no counter was given, in a user's words.
#[cfg(target_os = "linux")]
fn refusal(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "the system keeps its cycle counter from this user ({error}); \
             `sudo sysctl kernel.perf_event_paranoid=2` gives it"
        ),
        ErrorKind::NotFound | ErrorKind::Unsupported => {
            format!("this machine shows no cycle counter, as virtual machines often do ({error})")
        }
        _ => format!("the system gives no cycle counter ({error})"),
    }
}

/// Does `work`; returns the cycles of this thread outside the kernel meanwhile, nothing where they cannot be counted.
#[cfg(target_os = "linux")]
pub(crate) fn count_cycles(work: impl FnOnce()) -> Option<u64> {
    use perf_event::Builder;
    use perf_event::events::Hardware;
    let mut counter = Builder::new().kind(Hardware::CPU_CYCLES).build().ok();
    let enabled = counter.as_mut().is_some_and(|counter| counter.enable().is_ok());
    work();
    let counter = counter.as_mut().filter(|_| enabled)?;
    counter.disable().ok()?;
    counter.read().ok().filter(|cycles| *cycles > 0)
}

/// Does `work`; counts nothing here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn count_cycles(work: impl FnOnce()) -> Option<u64> {
    work();
    None
}

impl CycleCheck {
    /// Whether the processor's count can stand for the clock: an addition takes one cycle of it.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::CyclesPerAddition(ratio) if (ratio - 1.0).abs() <= TRUSTED)
    }
}

/// How far from one cycle an addition may be.
pub(crate) const TRUSTED: f64 = 0.05;

#[cfg(not(target_os = "linux"))]
pub(crate) fn check() -> CycleCheck {
    CycleCheck::Unavailable("cycle counters are read on Linux only".to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let denied = refusal(&std::io::ErrorKind::PermissionDenied.into());
        assert!(denied.contains("perf_event_paranoid"), "{denied}");
        let absent = refusal(&std::io::ErrorKind::NotFound.into());
        assert!(absent.contains("virtual machines"), "{absent}");
    }

    #[test]
    fn counting_and_checking_agree() {
        let counted = count_cycles(|| {
            slimfit_kernels::limits::dependent_adds(1_000_000);
        });
        match check() {
            CycleCheck::CyclesPerAddition(_) => assert!(counted.is_some_and(|cycles| cycles > 100_000)),
            CycleCheck::Unavailable(reason) => assert!(counted.is_none() && !reason.is_empty()),
        }
        assert!(CycleCheck::CyclesPerAddition(1.02).is_trusted());
        assert!(!CycleCheck::CyclesPerAddition(0.5).is_trusted(), "half the cycles were not seen");
    }
}
