//! `README.md` of an emitted crate: what it is for, its shapes, figures, and the command that wrote it.

use super::KernelCrate;
use super::text::grouped;
use crate::card::{CardFacts, measured_runs, predicted_table};
use slimfit_formats::gguf::CONTAINER_FAMILY;
use std::collections::BTreeMap;

pub(super) fn text(emitted: &KernelCrate<'_>, name: &str) -> String {
    let KernelCrate { title, plan, tier, family, device, facts, command, .. } = emitted;
    let options = &plan.options;
    let mut shapes: BTreeMap<(u64, u64, &str), Vec<&str>> = BTreeMap::new();
    for slot in &plan.matrices {
        let labels = shapes.entry((slot.rows, slot.columns, slot.format.name())).or_default();
        if !labels.contains(&slot.label) {
            labels.push(slot.label);
        }
    }
    let mut table = String::from("| rows | columns | format | where |\n|---|---|---|---|\n");
    for ((rows, columns, format), labels) in &shapes {
        let places = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        table += &format!("| {} | {} | {format} | {places} |\n", grouped(*rows), grouped(*columns));
    }
    let reads = if *family == CONTAINER_FAMILY {
        "It reads slimfit's own container of this very model, which `slimfit emit --what container` writes: a GGUF file of the\n\
         architecture `slimfit`, which llama.cpp does not load. Matrices and their formats:"
            .to_owned()
    } else {
        format!(
            "It reads GGUF files of the architecture `{family}` with the tensors of this model, in these formats:"
        )
    };
    let (measured, predicted) = (measured(facts), predicted(facts));
    let threads = options.threads;
    format!(
        r#"# {name}

{title} as a program: one token or several to logits, with kernels made for the shapes of its matrices. Made for {device},
instructions `{tier}`, {threads} threads, weights in {weights}, cache in {kv}, a context of {context} tokens. A processor
without these instructions runs portable ones.

```
cargo build --release     # target/release/lib{name}.so, and the Rust library
cargo test --release      # each product and the whole model against the scalar specification
cargo bench               # tokens a second and the share of the read bandwidth; -- --gguf FILE --threads N --depth D
```

```rust,no_run
let mut model = {name}::Model::open("model.gguf", {threads})?;
let logits = model.prefill(&[1, 2, 3])?;
let next = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
let logits = model.decode_step(next as u32)?;
# Ok::<(), {name}::ModelError>(())
```

From C, `include/{name}.h`:

```c
{name}_model *model = {name}_open("model.gguf", {threads});
const float *logits = {name}_decode_step(model, 1);
```

{reads}

{table}
## Measured

{measured}
## Predicted

{predicted}
## How it is laid out

- `src/model.rs`: the model as it is computed, one call for each operation of a layer.
- `src/matmul/products.rs`: for each shape the kernels that are fastest on the device, with the shape as constants.
- `src/session.rs`, `src/run.rs`: the text in progress, and what its operations share.
- the rest: kernels, codecs, thread pool and limits, the same text as in slimfit.

Written by slimfit {version}:

```
{command}
```
"#,
        weights = options.weights,
        kv = options.kv,
        context = grouped(options.context),
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// Runs of the study. They are of slimfit's runtime, which executes the same operations by the same kernels.
fn measured(facts: &CardFacts) -> String {
    if facts.measured.is_empty() {
        return "Not measured yet: `cargo bench` measures it here.\n".to_owned();
    }
    format!(
        "Runs for real before this crate was written, with the same kernels: medians with quartiles. `cargo bench` measures \
         this crate.\n{}",
        measured_runs(facts)
    )
}

fn predicted(facts: &CardFacts) -> String {
    if facts.predicted.iter().all(|known| known.figure.value.is_none()) {
        return "Nothing was predicted.\n".to_owned();
    }
    predicted_table(facts)
}
