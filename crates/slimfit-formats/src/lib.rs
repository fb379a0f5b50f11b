//! Models as files: Hugging Face `config.json`, GGUF, safetensors and slimfit's own architecture files, in and out, and
//! the built-in list of public models.
//!
//! Layer 2: it knows no hardware and decides nothing about a search; it says which standard class
//! and which architecture of llama.cpp hold a model.
#![doc = include_str!("../README.md")]

mod architecture_file;
pub mod builtin;
pub mod config_out;
mod error;
pub mod gguf;
pub mod gguf_out;
pub mod huggingface;
mod initial;
mod loader;
mod model;
mod obstacles;
pub mod safetensors_header;
mod safetensors_out;
#[cfg(test)]
mod samples;
mod source;
mod storage;
mod storage_out;
mod tokenizer;
pub mod training_recipe;
mod weights;

pub use architecture_file::{ARCHITECTURE_SCHEMA, architecture_json, read_architecture};
pub use builtin::PublishedModel;
pub use error::FormatsError;
pub use initial::InitialWeights;
pub use loader::{Loader, NotHeld};
pub use model::{LoadedModel, Origin, load_model};
pub use safetensors_out::{SHARD_BYTES, SafetensorsOutput, TensorNames};
pub use source::TensorSource;
pub use tokenizer::HuggingFaceTokenizer;
pub use training_recipe::{TRAINING_RECIPE_SCHEMA, TrainingRecipe};
pub use weights::ModelWeights;
