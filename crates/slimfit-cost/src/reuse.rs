//! Which cache a looped layer's weights come from when they are read again.

use crate::{CostError, CostModel, RegimeId};
use slimfit_plan::{Plan, Shape, traffic};

impl CostModel {
    /// The regime of each step of `plan`: `regime`, that of everything the plan touches, where a matrix is read for the
    /// first time; where a loop reads it again, that of the bytes read since, which decide what still holds it.
    ///
    /// # Errors
    /// As [`CostModel::regime`].
    pub(crate) fn step_regimes(
        &self,
        plan: &Plan,
        shape: Shape,
        regime: RegimeId,
    ) -> Result<Vec<RegimeId>, CostError> {
        let threads = self.regimes[regime.index()].threads;
        // Bytes read before each matrix was last read.
        let mut before = vec![None; plan.matrices.len()];
        let mut total = 0.0;
        plan.steps
            .iter()
            .map(|step| {
                let moved = traffic(step, shape);
                let start = total;
                total += moved.weight_bytes + moved.kv_read_bytes;
                let last = step.matrix.and_then(|matrix| before[matrix].replace(start));
                // A tied table is a gather of a few rows first and a product at the end: no loop.
                match last.filter(|_| step.layer.is_some()) {
                    Some(last) => Ok(regime.min(self.regime(threads, start - last)?)),
                    None => Ok(regime),
                }
            })
            .collect()
    }
}
