//! `cargo xtask bench kernels`: kernels and runtime beside their yardsticks, in tables with goals.
//!
//! Everything is a ratio from one run: what is compared is interleaved, every run stands between two sentinels, and
//! every cell is measured twice.

mod attention;
mod disturbance;
mod exchange;
mod float_peers;
mod openblas;
mod options;
mod peak_memory;
mod peaks;
mod product;
mod products;
mod record;
mod tables;
mod targets;
mod whole_model;

use anyhow::Result;
use clap::Parser;
use comfy_table::Table;
use openblas::OpenBlas;
use options::{Options, Section};
use record::Record;
use slimfit_bench::gguf_files::GgufFiles;
use slimfit_bench::llama_bench::LlamaBench;
use slimfit_bench::models;
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{MEMORY_PROBE_ARGUMENT, memory_probe};
use std::process::ExitCode;
use whole_model::{Peer, Subject};

fn main() -> ExitCode {
    let child = std::env::args().nth(1).is_some_and(|argument| argument == MEMORY_PROBE_ARGUMENT);
    match if child { memory_child() } else { run(Options::parse()) } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The process whose memory is measured: reads its request, answers, and does nothing else.
fn memory_child() -> Result<()> {
    let request = serde_json::from_reader(std::io::stdin())?;
    let report = memory_probe(&request)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn run(options: Options) -> Result<()> {
    if !options.from.is_empty() {
        print(&Record::merged(&options.from)?);
        return Ok(());
    }
    let options = options.complete()?;
    let isa = Isa::selected()?;
    let mut record = Record::empty(isa.name());
    // Before any pool: peers' threads take over the processors of the thread that starts them.
    let openblas = options.wants(Section::Floats).then(OpenBlas::load).flatten();
    record.openblas = openblas.is_some();
    if options.wants(Section::Floats) {
        float_peers::start_threads(options.threads.iter().copied().max().unwrap_or(1))?;
    }
    let bench = options.llama_bench.as_deref().map(LlamaBench::new).transpose()?;
    let files = GgufFiles::new(options.gguf_folder.as_deref())?;
    let peer = bench.as_ref().map(|bench| Peer { bench, files: &files });
    if options.wants(Section::Models) {
        let mut seconds = 0.0;
        for name in &options.models {
            let architecture = models::find(name)?;
            let estimate = |&weights: &NumberFormat| {
                whole_model::estimate(&architecture, weights, &options, peer.is_some())
            };
            seconds += options.formats.iter().map(estimate).sum::<f64>();
        }
        eprintln!("whole models: at most about {:.0} minutes", (seconds / 60.0).ceil());
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
    if options.wants(Section::Products) {
        record.products = products::measure(&options, isa)?;
        options.save(&record)?;
    }
    if options.wants(Section::Floats) {
        record.float_products = float_peers::measure(&options, isa, openblas.as_ref())?;
        options.save(&record)?;
    }
    if options.wants(Section::Attention) {
        record.attention = attention::measure(&options, isa)?;
        options.save(&record)?;
    }
    if options.wants(Section::Memory) {
        record.memory = peak_memory::measure(&options, isa)?;
        options.save(&record)?;
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
    let sections = [
        (record.models.len(), "Whole models", tables::models as fn(&Record) -> Table),
        (record.products.len(), "Products of many tokens", tables::products),
        (record.float_products.len(), "Products in f32 beside other libraries", tables::float_products),
        (record.attention.len(), "Attention, one layer", tables::attention),
        (record.memory.len(), "Peak memory of a process", tables::memory),
    ];
    for (cells, title, table) in sections {
        if cells > 0 {
            println!("\n{title}\n{}", table(record));
        }
    }
    if !record.float_products.is_empty() && !record.openblas {
        println!("\nOpenBLAS is not installed here, so it is not among the libraries.");
    }
    let peers = record.llama_build.is_some() || !record.float_products.is_empty();
    if peers && record.isa != Isa::best().name() {
        println!(
            "\nPeers are not capped at `{}`: libraries use all instructions of the machine, llama.cpp those it was built for.",
            record.isa
        );
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
        println!("\nGoals\n{}", tables::targets(&rows));
    }
}
