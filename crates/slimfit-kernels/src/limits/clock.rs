//! A chain of dependent integer additions: one cycle each on every CPU we know of, so that additions per second are the
//! effective clock in hertz.

/// Additions in one turn of the loop; its counter runs beside the chain.
const CHAIN: u64 = 64;

/// Does at least `count` additions, each on the sum of the one before, and returns how many it did.
///
/// Register to register: newer cores execute additions of small constants while renaming, at no cycle at all.
pub fn dependent_adds(count: u64) -> u64 {
    let turns = count.div_ceil(CHAIN);
    let sum = chain(turns, 1);
    assert_eq!(sum, turns * CHAIN, "a chain of additions of 1 must count them");
    sum
}

macro_rules! sixty_four {
    ($line:literal) => {
        concat!(sixteen!($line), sixteen!($line), sixteen!($line), sixteen!($line))
    };
}

macro_rules! sixteen {
    ($line:literal) => {
        concat!(
            $line, $line, $line, $line, $line, $line, $line, $line, $line, $line, $line, $line, $line, $line,
            $line, $line
        )
    };
}

#[cfg(target_arch = "x86_64")]
fn chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0;
    if turns > 0 {
        // SAFETY: touches only the registers it names.
        unsafe {
            std::arch::asm!(
                "2:",
                sixty_four!("add {sum}, {step}\n"),
                "dec {turns}",
                "jnz 2b",
                sum = inout(reg) sum,
                step = in(reg) step,
                turns = inout(reg) turns => _,
                options(nomem, nostack),
            );
        }
    }
    sum
}

#[cfg(target_arch = "aarch64")]
fn chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0;
    if turns > 0 {
        // SAFETY: touches only the registers it names.
        unsafe {
            std::arch::asm!(
                "2:",
                sixty_four!("add {sum}, {sum}, {step}\n"),
                "subs {turns}, {turns}, #1",
                "b.ne 2b",
                sum = inout(reg) sum,
                step = in(reg) step,
                turns = inout(reg) turns => _,
                options(nomem, nostack),
            );
        }
    }
    sum
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn chain(turns: u64, step: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..turns * CHAIN {
        sum = std::hint::black_box(sum + step);
    }
    sum
}
