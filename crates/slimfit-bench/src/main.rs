//! `cargo xtask bench kernels`: kernels and runtime beside their yardsticks, in tables with goals.
//!
//! Everything is a ratio from one run: what is compared is interleaved, every run stands between two sentinels, and
//! every cell is measured twice.

mod disturbance;
mod exchange;
mod gguf_files;
mod llama_bench;
mod models;
mod options;
mod record;
mod tables;
mod targets;
mod whole_model;

use anyhow::Result;
use clap::Parser;
use gguf_files::GgufFiles;
use llama_bench::LlamaBench;
use options::{Options, Section};
use record::Record;
use slimfit_kernels::Isa;
use std::process::ExitCode;
use whole_model::{Peer, Subject};

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> Result<()> {
    if !options.from.is_empty() {
        print(&Record::merged(&options.from)?);
        return Ok(());
    }
    let options = options.complete()?;
    let isa = Isa::selected()?;
    let mut record = Record::empty(isa.name());
    let bench = options.llama_bench.as_deref().map(LlamaBench::new).transpose()?;
    let files = GgufFiles::new(options.gguf_folder.clone().unwrap_or_default());
    let peer = bench.as_ref().map(|bench| Peer { bench, files: &files });
    if options.wants(Section::Models) {
        for name in &options.models {
            let architecture = models::find(name)?;
            for &weights in &options.formats {
                let subject = Subject { name, architecture: &architecture, weights, isa };
                whole_model::measure(&subject, &options, peer.as_ref(), |cell, build| {
                    record.llama_build = build.or(record.llama_build.take());
                    record.models.push(cell);
                    options.save(&record)
                })?;
            }
        }
    }
    print(&record);
    Ok(())
}

fn print(record: &Record) {
    print!("slimfit {}, instruction set {}", record.version, record.isa);
    match &record.llama_build {
        Some(build) => println!(", beside llama.cpp {build}"),
        None => println!(),
    }
    if !record.models.is_empty() {
        println!("\n{}", tables::models(record));
    }
    let disturbed = record.models.iter().filter(|cell| cell.is_disturbed()).count();
    if disturbed > 0 {
        println!(
            "\n! in {disturbed} of {} cells other programs or machines took more than {:.0} % of the processors: repeat them",
            record.models.len(),
            100.0 * disturbance::WORTH_SAYING
        );
    }
    let rows = targets::rows(record);
    if !rows.is_empty() {
        println!("\n{}", tables::targets(&rows));
    }
}
