//! The fastest sequence of instructions that can compute products of a weight format.

use anyhow::{Context, Result};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{PEAKS, PeakLoop};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::NumberFormat;
use std::time::Instant;

/// Iterations of a loop in one sample: a few milliseconds.
const ITERATIONS: u64 = 500_000;

/// A loop, and the rate it has just now.
#[derive(Clone, Copy)]
pub struct Peak {
    looped: &'static PeakLoop,
}

impl Peak {
    /// The fastest of the loops up to `isa`. Weights of 4 bits may sum their products in 16 bits first; bf16 counts the
    /// f32 sequences too, since a product of many tokens widens its weights once for all of them.
    ///
    /// # Errors
    /// A format without a loop.
    pub fn fastest(pool: &Pool, format: NumberFormat, isa: Isa) -> Result<Self> {
        PEAKS
            .iter()
            .filter(|peak| peak.isa <= isa && peak.isa.is_available() && serves(peak, format))
            .map(|looped| Self { looped })
            .map(|peak| (peak.ops_per_s(pool).max(peak.ops_per_s(pool)), peak))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, peak)| peak)
            .with_context(|| format!("no peak is known for weights in `{format}`"))
    }

    /// Operations per second of all threads together, now.
    pub fn ops_per_s(self, pool: &Pool) -> f64 {
        let start = Instant::now();
        pool.run(|_| {
            std::hint::black_box(self.looped.run(ITERATIONS));
        });
        (ITERATIONS * self.looped.operations) as f64 * pool.threads() as f64 / start.elapsed().as_secs_f64()
    }

    /// The instructions.
    pub fn name(self) -> String {
        self.looped.name()
    }
}

fn serves(peak: &PeakLoop, format: NumberFormat) -> bool {
    match format {
        NumberFormat::F32 => peak.type_name == "f32",
        NumberFormat::Bf16 => matches!(peak.type_name, "bf16" | "f32"),
        NumberFormat::Q8_0 | NumberFormat::Q6_K => peak.type_name == "int8" && !peak.four_bit_only,
        NumberFormat::Q4_0 | NumberFormat::Q4_K => peak.type_name == "int8",
        NumberFormat::F16 => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_the_loops_that_can_compute_it() {
        let pool = Pool::new(1).unwrap();
        let name = |format| Peak::fastest(&pool, format, Isa::best()).unwrap().name();
        assert!(name(NumberFormat::F32).starts_with("peak-f32"));
        assert!(name(NumberFormat::Q8_0).starts_with("peak-int8"));
        assert!(Peak::fastest(&pool, NumberFormat::F16, Isa::best()).is_err());
        let short = PEAKS.iter().filter(|peak| peak.four_bit_only);
        for peak in short {
            assert!(serves(peak, NumberFormat::Q4_0) && !serves(peak, NumberFormat::Q8_0));
        }
    }
}
