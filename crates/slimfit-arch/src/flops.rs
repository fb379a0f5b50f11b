//! Floating-point operations of one pass, by the convention of the contract: matrix products and attention, a
//! multiply-add counts 2, norms and non-linearities are left out.

use crate::tally::Tally;
use crate::{Architecture, ArchitectureError, FeedForward, LayerRun};

impl Architecture {
    /// Operations of a causal prefill of `context` tokens from an empty cache, the output head once.
    ///
    /// # Errors
    /// [`ArchitectureError::Field`] when `context` is 0, [`ArchitectureError::Overflow`] past 64 bits.
    pub fn prefill_flops(&self, context: u64) -> Result<u64, ArchitectureError> {
        self.causal_flops(context, 1)
    }

    /// Operations of the forward pass over a training sequence of `context` tokens: causal, and the output head at every
    /// token, since each of them is a target. Looking up an embedding costs none.
    ///
    /// # Errors
    /// [`ArchitectureError::Field`] when `context` is 0, [`ArchitectureError::Overflow`] past 64 bits.
    pub fn forward_flops(&self, context: u64) -> Result<u64, ArchitectureError> {
        self.causal_flops(context, context)
    }

    /// A causal pass over `context` tokens, the output head at `targets` of them.
    fn causal_flops(&self, context: u64, targets: u64) -> Result<u64, ArchitectureError> {
        check_context(context)?;
        let mut flops = scaled(targets, self.head_flops());
        flops.add_tally(context, self.input_flops());
        self.each_executed_run(|times, run| {
            flops.add_tally(times, scaled(context, self.layer_flops(run)));
            // Query i sees min(i, window) keys; their sum is a triangle, then a rectangle.
            let window = run.attention.window.unwrap_or(context).min(context);
            let mut keys = Tally::new();
            let (even, odd) =
                if window % 2 == 0 { (window / 2, window + 1) } else { (window, window.div_ceil(2)) };
            keys.add([even, odd]);
            keys.add([context - window, window]);
            flops.add_tally(times, scaled_by_heads(run, keys));
        });
        flops.total().ok_or(ArchitectureError::Overflow { what: "its operations" })
    }

    /// [`Architecture::prefill_flops`] divided by `context`.
    ///
    /// # Errors
    /// The same.
    pub fn prefill_flops_per_token(&self, context: u64) -> Result<f64, ArchitectureError> {
        Ok(self.prefill_flops(context)? as f64 / context as f64)
    }

    /// Operations of one decoded token that attends to `context` keys, itself included; the output head once.
    ///
    /// # Errors
    /// [`ArchitectureError::Field`] when `context` is 0, [`ArchitectureError::Overflow`] past 64 bits.
    pub fn decode_flops(&self, context: u64) -> Result<u64, ArchitectureError> {
        check_context(context)?;
        let mut flops = self.head_flops();
        flops.add_tally(1, self.input_flops());
        self.each_executed_run(|times, run| {
            flops.add_tally(times, self.layer_flops(run));
            let mut keys = Tally::new();
            keys.add([run.attention.window.unwrap_or(context).min(context)]);
            flops.add_tally(times, scaled_by_heads(run, keys));
        });
        flops.total().ok_or(ArchitectureError::Overflow { what: "its operations" })
    }

    /// Calls `visit` with every run and how often its layers are executed, loops included.
    pub(crate) fn each_executed_run(&self, mut visit: impl FnMut(u64, &LayerRun)) {
        let mut first = 0_u64;
        for run in &self.layers {
            let after = first.saturating_add(run.repeat);
            let mut times = run.repeat;
            if let Some(loops) = self.loops {
                let looped_after = loops.first.saturating_add(loops.layers).min(after);
                let looped = looped_after.saturating_sub(loops.first.max(first));
                times = times.saturating_add(looped.saturating_mul(loops.count.saturating_sub(1)));
            }
            visit(times, run);
            first = after;
        }
    }

    /// The head and, with factorised embeddings, the projection before it.
    fn head_flops(&self) -> Tally {
        let mut flops = Tally::new();
        let table = self.embedding_size.unwrap_or(self.hidden_size);
        flops.add([2, self.vocabulary_size, table]);
        flops.add_if(table != self.hidden_size, [2, table, self.hidden_size]);
        flops
    }

    /// The projection after the table, with factorised embeddings.
    fn input_flops(&self) -> Tally {
        let mut flops = Tally::new();
        let table = self.embedding_size.unwrap_or(self.hidden_size);
        flops.add_if(table != self.hidden_size, [2, table, self.hidden_size]);
        flops
    }

    /// The matrix products of one token in one layer.
    fn layer_flops(&self, run: &LayerRun) -> Tally {
        let hidden = self.hidden_size;
        let mut flops = Tally::new();
        flops.add([2, 2, run.attention.heads, run.attention.head_size, hidden]);
        flops.add([2, 2, run.attention.kv_heads, run.attention.head_size, hidden]);
        match &run.ffn {
            FeedForward::Dense(mlp) => flops.add([2, 2 + u64::from(mlp.gated), mlp.size, hidden]),
            FeedForward::Moe(moe) => {
                let matrices = 2 + u64::from(moe.gated);
                flops.add([2, moe.experts, hidden]);
                flops.add([2, moe.top_k, matrices, moe.expert_size, hidden]);
                flops.add([2, matrices, moe.shared_size, hidden]);
                flops.add_if(moe.shared_gate && moe.shared_size > 0, [2, hidden]);
            }
        }
        flops
    }
}

/// Scores and their weighted sum: two products of `head_size` for each head and key.
fn scaled_by_heads(run: &LayerRun, keys: Tally) -> Tally {
    let mut size = Tally::new();
    size.add([4, run.attention.heads, run.attention.head_size]);
    match size.total() {
        Some(size) => scaled(size, keys),
        None => size,
    }
}

fn scaled(times: u64, tally: Tally) -> Tally {
    let mut product = Tally::new();
    product.add_tally(times, tally);
    product
}

fn check_context(context: u64) -> Result<(), ArchitectureError> {
    if context > 0 {
        return Ok(());
    }
    let (field, found, allowed) = ("context".to_owned(), "0".to_owned(), "1 or more tokens".to_owned());
    Err(ArchitectureError::Field { field, found, allowed })
}
