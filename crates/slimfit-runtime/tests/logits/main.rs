//! Logits of whole models against the f64 reference, for every option, format, cache format and instruction set.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

mod agreement;
mod case;
mod chunks;
mod window;
