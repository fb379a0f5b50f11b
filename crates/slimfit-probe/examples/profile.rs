//! Measures this device and prints its profile: `cargo run --release -p slimfit-probe --example profile -- 20`.

use slimfit_kernels::Isa;
use slimfit_probe::{DEFAULT_BUDGET_SECONDS, ProbeOptions, probe};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let budget_seconds = match std::env::args().nth(1) {
        Some(seconds) => seconds.parse()?,
        None => DEFAULT_BUDGET_SECONDS,
    };
    let profile = probe(
        &ProbeOptions { budget_seconds, ..ProbeOptions::new(Isa::selected()?) },
        &mut |what, share| {
            eprint!("\r{:3.0} % {what:60}", share * 100.0);
            true
        },
    )?;
    eprintln!();
    println!("{}", profile.to_yaml()?);
    Ok(())
}
