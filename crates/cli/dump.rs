//! Every valid point of a small space as a table.

use crate::failure::Failure;
use crate::interrupt;
use slimfit_arch::FeedForward;
use slimfit_document::{DocumentError, write_atomically};
use slimfit_search::{Evaluator, Metric, for_each_point};
use slimfit_workflow::SearchInputs;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

/// Every valid point of the space, one a line. `objectives`: of the search; those of one device of several are written, too.
pub fn dump(
    inputs: &SearchInputs,
    objectives: &[Metric],
    limits: &[(Metric, f64)],
    file: &Path,
) -> Result<(), Failure> {
    /// Past this a CSV helps nobody.
    const MOST: u64 = 2_000_000;
    let space = &inputs.space;
    space.require_equal_layers("--dump-all")?;
    if space.size() > MOST {
        let error = DocumentError::new("usage", "the space is too large to write out").field("--dump-all");
        return Err(error
            .found(format!("{} points", space.size()))
            .allowed(format!("at most {MOST}"))
            .into());
    }
    let (costs, quality) = (inputs.costs()?, inputs.quality()?);
    let evaluator = inputs.evaluator(&costs, &quality)?.with_each_device(objectives);
    let metrics = evaluator.metrics().to_vec();
    let mut text = String::from(
        "id,layers,hidden_size,heads,kv_heads,head_size,ffn,gated,experts,top_k,window,vocabulary_size,tied_embeddings,weights,kv,loops",
    );
    for metric in &metrics {
        let _ = write!(text, ",{}", metric.name());
    }
    text.push_str(",feasible\n");
    let visited = for_each_point(space, &evaluator, limits, |found, feasible| {
        let Ok(point) = space.point(found.index) else { return ControlFlow::Continue(()) };
        let architecture = &point.architecture;
        let attention = &architecture.layers[0].attention;
        // As the axes say it: experts share out `ffn`, and a dense part is one expert that everyone visits.
        let (ffn, gated, experts, top_k) = match &architecture.layers[0].ffn {
            FeedForward::Dense(mlp) => (mlp.size, mlp.gated, 1, 1),
            FeedForward::Moe(moe) => (moe.top_k * moe.expert_size, moe.gated, moe.experts, moe.top_k),
        };
        let _ = write!(
            text,
            "{},{},{},{},{},{},{ffn},{gated},{experts},{top_k},{},{},{},{},{},{}",
            architecture.id(point.weights, point.kv),
            architecture.depth(),
            architecture.hidden_size,
            attention.heads,
            attention.kv_heads,
            attention.head_size,
            attention.window.map_or_else(String::new, |window| window.to_string()),
            architecture.vocabulary_size,
            architecture.tied_embeddings,
            point.weights.name(),
            point.kv.name(),
            architecture.loops.map_or(1, |loops| loops.count)
        );
        for metric in &metrics {
            let _ = write!(text, ",{}", found.values[metric.column()]);
        }
        let _ = writeln!(text, ",{feasible}");
        if interrupt::check().is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if visited.is_break() {
        return Err(Failure::Interrupted);
    }
    Ok(write_atomically(file, text.as_bytes())?)
}
