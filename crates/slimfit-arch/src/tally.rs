//! A sum of products that notices when it leaves 64 bits.

/// A checked sum; once it has overflowed it stays so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally(Option<u64>);

impl Tally {
    /// Nothing counted yet.
    pub(crate) const fn new() -> Self {
        Self(Some(0))
    }

    /// Adds the product of `factors`.
    pub(crate) fn add<const N: usize>(&mut self, factors: [u64; N]) {
        // A zero anywhere makes the product zero even where the other factors alone would overflow.
        if factors.contains(&0) {
            return;
        }
        let product = factors.iter().try_fold(1_u64, |product, &factor| product.checked_mul(factor));
        self.0 = self.0.zip(product).and_then(|(sum, product)| sum.checked_add(product));
    }

    /// Adds the product of `factors` where `condition` holds.
    pub(crate) fn add_if<const N: usize>(&mut self, condition: bool, factors: [u64; N]) {
        if condition {
            self.add(factors);
        }
    }

    /// Adds `times` another sum.
    pub(crate) fn add_tally(&mut self, times: u64, other: Self) {
        match other.0 {
            Some(sum) => self.add([times, sum]),
            None => self.0 = None,
        }
    }

    /// The sum, or none when it overflowed.
    pub(crate) const fn total(self) -> Option<u64> {
        self.0
    }
}
