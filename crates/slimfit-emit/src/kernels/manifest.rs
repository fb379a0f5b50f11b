//! `Cargo.toml` and `lib.rs` of an emitted crate.

use slimfit_kernels::Operation;
use slimfit_plan::Plan;

/// The manifest. The crate stands for itself, wherever it lies.
pub(super) fn cargo(name: &str, title: &str) -> String {
    format!(
        r#"# Written by slimfit.
[package]
name = "{name}"
description = "{title}: one token or several to logits, with kernels for its shapes"
version = "0.1.0"
edition = "2024"
rust-version = "1.95"
license = "MIT OR Apache-2.0"
publish = false

[lib]
crate-type = ["rlib", "cdylib"]
# `cargo bench -- ARGUMENTS` are for the roofline alone.
bench = false

[dependencies]
half = "2"
libc = "0.2"
thiserror = "2"
wide = "1"

[[bench]]
name = "roofline"
harness = false

[profile.release]
codegen-units = 1
lto = "fat"

# Belongs to no workspace around it.
[workspace]
"#
    )
}

/// The root module.
pub(super) fn lib(title: &str, plan: &Plan) -> String {
    let weights = plan.options.weights;
    let cache = plan.options.kv;
    let experts = plan.steps.iter().any(|step| matches!(step.operation, Operation::Experts(_)));
    let whole = if experts { "experts included, " } else { "" };
    format!(
        r#"//! {title}: one token or several to logits, {whole}in weights of {weights} and a cache of {cache}.
//!
//! [`Model`] is all there is to use. `model.rs` is the model as it is computed, operation by operation;
//! `matmul/products.rs` its products, a kernel for each shape. The other files are slimfit's kernels as its own runtime has
//! them: a folder for each operation with a scalar specification and what is faster, the thread pool, and the loops that
//! say what the machine could do at best (`limits`).

#![allow(dead_code, reason = "the kernels serve more operations than one model needs")]
#![allow(clippy::needless_range_loop, reason = "kernels walk several arrays by place")]
#![allow(clippy::too_many_arguments, reason = "each is a buffer of the operation")]

mod activate;
mod add;
mod attend;
mod cache;
mod codec;
mod cuts;
mod embed;
mod error;
mod experts;
mod failure;
mod ffi;
mod gguf;
mod isa;
mod kv;
pub mod limits;
mod matmul;
mod memory;
mod model;
mod norm;
pub mod pool;
mod rotate_store;
mod route;
mod run;
mod session;
mod shared;
mod variant;
mod vector;
mod weights;

pub use error::KernelError;
pub use failure::ModelError;
pub use isa::{{ISA_VARIABLE, Isa, IsaError}};
pub use memory::{{ALIGNMENT, AlignedBytes}};
pub use model::{{CONTEXT, KEY_BYTES, VOCABULARY, WEIGHT_BYTES}};
pub use session::Model;
pub use shared::{{Part, Seat, SharedMut}};

pub(crate) use matmul::layout::WeightFormat;
"#
    )
}
