//! How steady the machine was where a prediction rests on it: at the working set that is read, in the products of many
//! tokens. Not the worst of all cells: a cache that a neighbour shares says nothing of a model that lies in memory.

use slimfit_hardware::{BandwidthKind, HardwareProfile};
use slimfit_quantity::{Figure, median};

/// Past a factor of two the profile should be measured again, which its own warning says, and a wider interval would say
/// nothing.
const LARGEST: f64 = 1.0;

/// Half the range of a figure's middle half of samples over its value.
fn of_figure(figure: &Figure) -> Option<f64> {
    let (value, low, high) = (figure.value?, figure.low?, figure.high?);
    (value > 0.0 && high >= low).then(|| ((high - low) / 2.0 / value).min(LARGEST))
}

/// One thread count's.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scatter {
    /// By working set in bytes, ascending: of the fastest read.
    reads: Vec<(f64, f64)>,
    /// Of products of many tokens.
    products: f64,
}

impl Scatter {
    pub(crate) fn new(profile: &HardwareProfile, threads: u32) -> Self {
        // (bytes, rate, scatter)
        let mut all: Vec<(u64, f64, f64)> = profile
            .bandwidth
            .iter()
            .filter(|point| point.kind == BandwidthKind::Read && point.threads == threads)
            .filter_map(|point| {
                let scatter = of_figure(&point.bytes_per_s)?;
                Some((point.working_set_bytes, point.bytes_per_s.value?, scatter))
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        all.dedup_by_key(|point| point.0);
        let products: Vec<f64> = profile
            .kernels
            .iter()
            .filter(|time| time.operation == "matmul" && time.threads == threads && time.batch > 1)
            .filter_map(|time| of_figure(&time.seconds))
            .collect();
        Self {
            reads: all.into_iter().map(|(bytes, _, scatter)| (bytes as f64, scatter)).collect(),
            products: if products.is_empty() { 0.0 } else { median(&products) },
        }
    }

    /// Of reads of a working set: the larger of the two that were sampled around it.
    pub(crate) fn of_reads(&self, working_set_bytes: f64) -> f64 {
        let above = self.reads.partition_point(|point| point.0 < working_set_bytes);
        let around = self.reads.get(above).into_iter().chain(self.reads.get(above.wrapping_sub(1)));
        around.map(|point| point.1).fold(0.0, f64::max)
    }

    /// Of products of many tokens: the median over shapes and formats.
    pub(crate) fn of_products(&self) -> f64 {
        self.products
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_set_has_the_scatter_of_what_was_sampled_around_it() {
        let scatter = Scatter { reads: vec![(8.0, 0.01), (32.0, 0.2), (64.0, 0.05)], products: 0.0 };
        let found: Vec<f64> = [1.0, 8.0, 9.0, 40.0, 1e9].map(|bytes| scatter.of_reads(bytes)).to_vec();
        assert_eq!(found, [0.01, 0.01, 0.2, 0.2, 0.05]);
        assert_eq!(Scatter::default().of_reads(1.0), 0.0);
    }

    #[test]
    fn the_middle_half_of_the_samples_counts_up_to_a_limit() {
        assert_eq!(of_figure(&Figure::read(3.0)), Some(0.0));
        assert_eq!(of_figure(&Figure::unavailable("not measured")), None);
        let mut figure = Figure::read(100.0);
        (figure.low, figure.high) = (Some(75.0), Some(125.0));
        assert_eq!(of_figure(&figure), Some(0.25));
        figure.high = Some(1e6);
        assert_eq!(of_figure(&figure), Some(LARGEST));
    }
}
