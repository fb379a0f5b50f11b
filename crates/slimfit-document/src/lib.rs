//! Strict YAML and JSON documents with errors a person can act on.
//!
//! Layer 0: knows files and text, nothing of models or devices, and never prints.
#![doc = include_str!("../README.md")]

mod document;
mod error;
mod explain;
mod folder;
mod json;
mod nearest;
mod path;
mod position;
mod space;
mod write;
mod written;
mod yaml;

pub use document::{Document, MAXIMUM_BYTES, MAXIMUM_DEPTH, Syntax, read_text};
pub use error::{DocumentError, ERROR_SCHEMA, ErrorDetails};
pub use folder::NewFolder;
pub use nearest::{nearest, suggestion};
pub use space::available_bytes;
pub use write::{create_directory, stream_atomically, stream_in_place, write_atomically};
pub use written::{WrittenFile, sha256_hex};
