//! `README.md` of an emitted crate: what it is for, its shapes, figures, and the command that wrote it.

use super::KernelCrate;
use super::text::grouped;
use crate::card::{PredictedFigure, cells};
use slimfit_study::objective_label;
use std::collections::BTreeMap;

/// A figure of the model on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// What it is.
    pub what: String,
    /// Its value with its unit.
    pub value: String,
    /// `measured`, `modelled`, …
    pub source: String,
}

impl Measured {
    /// A figure of the model's card; none where there is none.
    pub fn predicted(predicted: &PredictedFigure) -> Option<Self> {
        predicted.figure.value?;
        let [value, interval, source] = cells(&predicted.name, &predicted.figure);
        Some(Self { what: objective_label(&predicted.name), value: format!("{value} ({interval})"), source })
    }
}

pub(super) fn text(emitted: &KernelCrate<'_>, name: &str) -> String {
    let KernelCrate { title, plan, tier, family, device, measured, command, .. } = emitted;
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
    let mut figures = String::new();
    for figure in *measured {
        figures += &format!("| {} | {} | {} |\n", figure.what, figure.value, figure.source);
    }
    let figures = if figures.is_empty() {
        "No figures were at hand; `cargo bench` measures them here.\n".to_owned()
    } else {
        format!("| what | value | source |\n|---|---|---|\n{figures}")
    };
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

It reads GGUF files of the architecture `{family}` with the tensors of this model, in these formats:

{table}
## Figures

{figures}
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
