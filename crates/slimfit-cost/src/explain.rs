//! Where a predicted time goes: the terms of every operation, which add up to the prediction.

use crate::{CostError, CostModel, RunShape};
use slimfit_plan::{Phase, Plan, Shape, TokenRows, traffic};
use slimfit_study::{Explanation, OperationCost};

impl CostModel {
    /// The terms of a phase of `run`, in execution order; their sum is the time that [`CostModel::predict`] gives. A
    /// prompt's chunks are added up operation by operation.
    ///
    /// # Errors
    /// As [`CostModel::predict`].
    pub fn explain(
        &self,
        id: &str,
        phase: Phase,
        plan: &Plan,
        run: RunShape,
        threads: u32,
    ) -> Result<Explanation, CostError> {
        let depth = run.mean_depth();
        let regime = self.regime(threads, Self::working_set_bytes(plan, depth))?;
        let (shapes, tokens, depth_tokens) = match phase {
            Phase::Prefill => (Shape::prefill(run.prompt_tokens, plan.options.chunk), run.prompt_tokens, 0),
            Phase::Decode => (vec![Shape::decode(depth)], 1, depth),
        };
        let mut operations: Vec<OperationCost> = plan
            .steps
            .iter()
            .map(|step| OperationCost {
                name: step.label.to_owned(),
                kind: step.operation.name().to_owned(),
                layer: step.layer,
                ..OperationCost::default()
            })
            .collect();
        for (chunk, &shape) in shapes.iter().enumerate() {
            let last = chunk + 1 == shapes.len();
            let regimes = self.step_regimes(plan, shape, regime)?;
            for ((step, regime), sum) in plan.steps.iter().zip(regimes).zip(&mut operations) {
                // What only the last token needs is computed in the last chunk.
                if !last && step.rows != TokenRows::All {
                    continue;
                }
                let cost = self.step(step, shape, regime)?;
                let moved = traffic(step, shape);
                sum.bytes += moved.bytes();
                sum.flops += moved.flops;
                sum.memory_seconds += cost.memory_seconds;
                sum.compute_seconds += cost.compute_seconds;
                sum.overhead_seconds += cost.overhead_seconds;
                sum.seconds += cost.seconds;
            }
        }
        for sum in &mut operations {
            let terms = crate::StepCost {
                memory_seconds: sum.memory_seconds,
                compute_seconds: sum.compute_seconds,
                overhead_seconds: sum.overhead_seconds,
                seconds: sum.seconds,
            };
            terms.bound().name().clone_into(&mut sum.bound);
        }
        Ok(Explanation {
            id: id.to_owned(),
            phase: phase.name().to_owned(),
            tokens,
            depth_tokens,
            threads,
            seconds: operations.iter().map(|operation| operation.seconds).sum(),
            operations,
        })
    }
}
