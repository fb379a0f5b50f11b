//! Files that are damaged or meant to harm: each is refused with a place and a reason, or read as what it is; never a
//! panic, never more memory than a small multiple of the file.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod allocation;
mod configs;
mod gguf;
mod gguf_file;
mod safetensors;
mod survey;
