//! `cargo xtask isa`: the tests of kernels and runtime, once for each instruction-set tier.

use crate::process::{Finished, cargo, find, heading, read, stream};
use crate::tally::Tally;
use anyhow::Result;
use slimfit_kernels::Isa;
use std::env::consts::ARCH;
use std::process::Command;

const KERNELS: &[&str] = &["slimfit-kernels"];
const RUNTIME: &[&str] = &["slimfit-runtime"];
const BOTH: &[&str] = &["slimfit-kernels", "slimfit-runtime"];
const GROUP: &str = "instruction sets";
const TARGET: &str = "aarch64-unknown-linux-gnu";
/// What runs each test binary: one that hangs fails after ten minutes, where the slowest takes two, instead of taking
/// the whole run with it. `--foreground` leaves the terminal's interrupt with the tests.
const LIMIT: &[&str] = &["timeout", "--foreground", "--kill-after=10", "600"];
/// The one test that means nothing under emulation.
const NOT_EMULATED: &str = "peak_memory_is_what_the_plan_says";
/// Each emulated processor, the tier that it is there for (or all that it has), and what is tested on it. Every kernel of
/// every tier runs; whole models, which take minutes where floats are emulated, on the plainest and the richest.
const FOREIGN: [(&str, Option<Isa>, &[&str]); 5] = [
    ("cortex-a53", None, KERNELS),
    ("cortex-a53", Some(Isa::Neon), RUNTIME),
    ("neoverse-n1", Some(Isa::NeonDotprod), KERNELS),
    ("max", Some(Isa::NeonI8mm), KERNELS),
    ("max", Some(Isa::NeonBf16), BOTH),
];

pub fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let best = Isa::best();
    for tier in Isa::available() {
        heading(&format!("kernels and runtime, capped at `{tier}`"));
        if tier == best && std::env::var_os("SLIMFIT_ISA").is_none() {
            println!("  this is the best tier of this machine");
        }
        let mut command = runner(BOTH);
        command.env("SLIMFIT_ISA", tier.name());
        if let Some(limit) = limit() {
            let variable = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", ARCH.to_ascii_uppercase());
            command.env(variable, limit);
        }
        tally.add_runner(&format!("{GROUP}: {tier}"), &stream(&mut command)?);
    }
    let absent: Vec<&str> =
        Isa::ALL.into_iter().filter(|tier| is_native(*tier) && !tier.is_available()).map(Isa::name).collect();
    for tier in absent {
        tally.add_skipped(GROUP, &format!("tier `{tier}`"), "this processor lacks it");
    }
    if cfg!(target_arch = "x86_64") {
        aarch64(&mut tally)?;
    }
    Ok(tally)
}

fn is_native(tier: Isa) -> bool {
    let arm = matches!(tier, Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonBf16);
    arm == cfg!(target_arch = "aarch64")
}

fn runner(crates: &[&str]) -> Command {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--lib", "--tests"]);
    for name in crates {
        command.args(["--package", name]);
    }
    command
}

/// AArch64 under qemu's user emulation; each thing that is missing is named.
fn aarch64(tally: &mut Tally) -> Result<()> {
    heading("kernels and runtime on AArch64, emulated");
    let (Some(linker), Some(emulator)) =
        (find(&["aarch64-linux-gnu-gcc"]), find(&["qemu-aarch64", "qemu-aarch64-static"]))
    else {
        let reason =
            "needs the packages gcc-aarch64-linux-gnu and qemu-user; `cargo xtask test` installs them";
        println!("  not tested: {reason}");
        tally.add_skipped(GROUP, "AArch64", reason);
        return Ok(());
    };
    if let Err(reason) = standard_library() {
        println!("  not tested: {reason}");
        tally.add_skipped(GROUP, "AArch64", &reason);
        return Ok(());
    }
    tally.add_skipped(
        GROUP,
        &format!("AArch64: `{NOT_EMULATED}`"),
        "an emulated process cannot start itself anew, and its memory would be the emulator's",
    );
    for (cpu, tier, crates) in FOREIGN {
        let mut command = runner(crates);
        command
            .args(["--target", TARGET, "--", "--skip", NOT_EMULATED])
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", &linker)
            .env("CC_aarch64_unknown_linux_gnu", &linker)
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
                format!(
                    "{} {} -L /usr/aarch64-linux-gnu -cpu {cpu}",
                    limit().unwrap_or_default(),
                    emulator.display()
                ),
            )
            .env("SLIMFIT_ISA", tier.map_or("", Isa::name));
        let finished: Finished = stream(&mut command)?;
        let tested = tier.map_or("all tiers", Isa::name);
        tally.add_runner(&format!("{GROUP}: AArch64 {cpu}, {tested}: {}", crates.join(", ")), &finished);
    }
    Ok(())
}

/// [`LIMIT`], where the system has that program.
fn limit() -> Option<String> {
    find(&LIMIT[..1]).map(|_| LIMIT.join(" "))
}

/// Makes sure that the foreign standard library is there.
fn standard_library() -> Result<(), String> {
    let folder = || -> Result<bool> {
        let sysroot = read(cargo_rustc().args(["--print", "sysroot"]))?;
        Ok(std::path::Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib").is_dir())
    };
    if folder().map_err(|error| error.to_string())? {
        return Ok(());
    }
    if find(&["rustup"]).is_none() {
        return Err(format!(
            "Rust's standard library for {TARGET} is missing, and there is no rustup to add it"
        ));
    }
    println!("  adding Rust's standard library for {TARGET}");
    match read(Command::new("rustup").args(["target", "add", TARGET])) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(format!("Rust's standard library for {TARGET} is missing, and rustup cannot fetch it here"))
        }
    }
}

fn cargo_rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(crate::process::root());
    command
}
