//! What several of the benchmarks share: shapes, tests of whole models, and llama.cpp beside them.

pub mod gguf_files;
pub mod llama_bench;
pub mod models;
pub mod race;
pub mod test;
