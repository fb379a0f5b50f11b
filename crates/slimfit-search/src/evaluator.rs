//! What a search asks about a point.

use crate::{Block, Inner, Invalid, Metric, Space, Values};

/// Gives the metrics of points.
///
/// Points that share a block are asked for one after the other, so what they share is prepared once.
pub trait Evaluator: Sync {
    /// What the points of one block share.
    type Prepared<'s>;

    /// The metrics it can give.
    fn metrics(&self) -> &[Metric];

    /// Prepares a block.
    ///
    /// # Errors
    /// Why no point of the block is valid.
    fn prepare<'s>(&'s self, space: &'s Space, block: &Block) -> Result<Self::Prepared<'s>, Invalid>;

    /// Writes the metrics of one point; those it cannot give stay infinite.
    ///
    /// # Errors
    /// Why the point is not valid.
    fn evaluate(
        &self,
        prepared: &mut Self::Prepared<'_>,
        inner: Inner,
        values: &mut Values,
    ) -> Result<(), Invalid>;
}
