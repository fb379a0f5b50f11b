//! The cycle counter beside the chain of dependent additions: two ways to the effective clock.

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
        Err(error) => CycleCheck::Unavailable(format!("the kernel gives no cycle counter ({error})")),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn check() -> CycleCheck {
    CycleCheck::Unavailable("cycle counters are read on Linux only".to_owned())
}
