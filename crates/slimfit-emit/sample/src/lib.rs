//! sample: one token or several to logits, in weights of q8_0 and a cache of f16.
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
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use memory::{ALIGNMENT, AlignedBytes};
pub use model::{CONTEXT, KEY_BYTES, VOCABULARY, WEIGHT_BYTES};
pub use session::Model;
pub use shared::{Part, Seat, SharedMut};

pub(crate) use matmul::layout::WeightFormat;
