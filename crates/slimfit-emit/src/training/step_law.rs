//! The Step Law: learning rate and batch size from parameters and tokens.
//!
//! Li et al. 2025, "Predictable Scale: Part I, Step Law", arXiv 2503.04715v7, equation 1 and table 2:
//!
//! ```text
//! peak learning rate = 1.79 · N^-0.713 · D^0.307
//! tokens of a batch  = 0.58 · D^0.571
//! ```
//!
//! `N` counts parameters without the input table and the output head, `D` training tokens. It was fitted on grid searches
//! over dense pre-norm transformers (RMS norms, gated feed-forward parts, sequences of 2048 tokens, AdamW, a cosine to a
//! final rate of 1e-5). In mixtures `N` counts every expert, visited or not: the best learning rates that the authors
//! publish for 16 mixtures (1 to 3 of 8 to 89 experts, 2.15 billion parameters, 2 to 20 billion tokens) lie within a factor
//! of 2 of the law's for all parameters in 15 cases, and at a half to a tenth of the law's for visited ones.

/// The publication.
pub(super) const CITATION: &str =
    "Step Law: Li et al. 2025, Predictable Scale: Part I, arXiv 2503.04715v7, equation 1";
/// The learning rate in words.
pub(super) const PEAK_LEARNING_RATE: &str = "1.79 * N^-0.713 * D^0.307";
/// The batch in words.
pub(super) const BATCH_TOKENS: &str = "0.58 * D^0.571";

/// The least parameters that it was fitted on.
pub(super) const LEAST_PARAMETERS: u64 = 60_000_000;
/// The most parameters that dense models had in the fit and in its test.
pub(super) const MOST_PARAMETERS: u64 = 1_073_741_824;
/// The most parameters that mixtures had where their grids were searched.
pub(super) const MOST_PARAMETERS_OF_MIXTURES: u64 = 2_156_188_672;
/// The fewest tokens.
pub(super) const LEAST_TOKENS: u64 = 2_000_000_000;
/// The most tokens.
pub(super) const MOST_TOKENS: u64 = 100_000_000_000;
/// Tokens of a sequence in all runs.
pub(super) const SEQUENCE_LENGTH: u64 = 2048;
/// The highest learning rate of the grids: what lies above was never tried.
pub(super) const HIGHEST_TRIED: f64 = 2.21e-2;

/// The best peak learning rate.
pub(super) fn peak_learning_rate(parameters: f64, tokens: f64) -> f64 {
    1.79 * parameters.powf(-0.713) * tokens.powf(0.307)
}

/// The best tokens of a batch.
pub(super) fn batch_tokens(tokens: f64) -> f64 {
    0.58 * tokens.powf(0.571)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Near `value`, to the digits that the source prints.
    fn near(found: f64, value: f64) -> bool {
        (found / value - 1.0).abs() < 0.005
    }

    #[test]
    fn the_mixture_that_the_paper_trains_gets_the_papers_rate() {
        // Table 3: 6.5 billion parameters, 10 billion tokens.
        assert!(near(peak_learning_rate(6.5e9, 1e10), 2.12e-4), "{}", peak_learning_rate(6.5e9, 1e10));
    }

    #[test]
    fn best_cells_of_the_published_grids_lie_within_a_factor_of_two() {
        // step-law/steplaw, data/dense_lr_bs_loss.csv: the cell of lowest smoothed loss; batches in sequences of 2048.
        for (parameters, tokens, rate, sequences) in [
            (214_663_680.0, 4e9, 2.762e-3, 128.0),
            (214_663_680.0, 1e11, 7.812e-3, 1024.0),
            (268_304_384.0, 8e10, 3.906e-3, 512.0),
            (536_872_960.0, 1e10, 9.766e-4, 128.0),
            (1_073_741_824.0, 2e10, 1.381e-3, 256.0),
            (1_073_741_824.0, 5.69e10, 1.381e-3, 256.0),
        ] {
            let ratio = rate / peak_learning_rate(parameters, tokens);
            assert!((0.5..2.0).contains(&ratio), "{parameters} {tokens}: {ratio}");
            let ratio = sequences * 2048.0 / batch_tokens(tokens);
            assert!((0.5..2.0).contains(&ratio), "{tokens}: {ratio}");
        }
    }

    #[test]
    fn rates_fall_with_size_and_rise_with_data_and_batches_with_data_alone() {
        let ratio = peak_learning_rate(2e8, 1e10) / peak_learning_rate(1e8, 1e10);
        assert!((ratio - 2_f64.powf(-0.713)).abs() < 1e-12);
        let ratio = peak_learning_rate(1e8, 2e10) / peak_learning_rate(1e8, 1e10);
        assert!((ratio - 2_f64.powf(0.307)).abs() < 1e-12);
        assert!((batch_tokens(2e10) / batch_tokens(1e10) - 2_f64.powf(0.571)).abs() < 1e-12);
        assert!(near(batch_tokens(1e11), 1.108e6));
    }
}
