//! SIMD kernels: one folder per operation, a scalar specification and one file per ISA in each.
#![doc = include_str!("../README.md")]

mod activate;
mod add;
mod attend;
mod cache;
pub mod codec;
mod cuts;
mod dispatch;
mod embed;
mod error;
mod experts;
mod invocation;
mod isa;
mod kv;
pub mod limits;
mod matmul;
mod memory;
mod norm;
mod operation;
mod packed;
mod pieces;
pub mod pool;
mod rotate_store;
mod route;
mod shared;
mod sources;
mod tuner;
mod variant;
mod vector;

pub use activate::{ACTIVATE, ActivateArgs, ActivateFunction};
pub use add::{ADD, AddArgs, AddFunction};
pub use attend::{ATTEND, AttendArgs, AttendFunction};
pub use cache::{CacheShape, KvCache, SharedKvCache};
pub use dispatch::{Kernels, phases, product_variant, scratch_bytes};
pub use embed::{EMBED, EmbedArgs, EmbedFunction};
pub use error::KernelError;
pub use experts::{EXPERTS, ExpertsArgs, ExpertsFunction, ExpertsRun};
pub use invocation::Invocation;
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use kv::{KvFormat, KvLayer};
pub use matmul::{
    AnyShape, Exactly, GEMM, GEMV, Layout, MatMulArgs, MatMulFunction, MatMulVariant, MatrixShape,
    WeightFormat, layout_for,
};
pub use memory::{ALIGNMENT, AlignedBytes};
pub use norm::{NORM, NormArgs, NormFunction};
pub use operation::{
    Activate, ActivationFunction, Add, Attend, Embed, Experts, MatMul, NormFormula, NormOperation, Operation,
    QkNormKind, RotateStore, Route,
};
pub use packed::PackedMatrix;
pub use pieces::pieces;
pub use rotate_store::{ROTATE_STORE, RotateStoreArgs, RotateStoreFunction, Rotation, RotationTable};
pub use route::{ROUTE, RouteArgs, RouteFunction};
pub use shared::{Part, Seat, SharedMut, splits_tokens};
pub use sources::{SourceFile, sources};
pub use tuner::{Tuning, TuningKey, TuningOutcome, tune, usual_keys};
pub use variant::Variant;
