//! End-to-end tests: the binary as a user runs it.

mod axes;
mod calibrate;
mod candidates;
mod card;
mod compare;
mod conditions;
mod contract;
mod devices;
mod emit;
#[cfg(unix)]
mod engine;
#[cfg(unix)]
mod evolve;
mod file_size;
mod harness;
mod interruption;
mod layers;
mod manners;
mod measured;
mod pictures;
mod portable;
mod power;
mod published;
mod quality;
mod quality_fit;
mod refusals;
mod resume;
mod run_refusals;
mod search_quality;
mod serve;
mod study;
mod tails;
mod tokenizer;
mod why;
mod workload;
