//! What was measured, as tables with goals and as JSON.

use crate::Found;
use comfy_table::Table;
use serde_json::{Value, json};
use slimfit_kernels::Isa;

/// The goals for emitted crates beside the library: where instructions bind, where memory binds, and for each cell.
const INSTRUCTIONS: f64 = 1.05;
const MEMORY: f64 = 0.98;

/// The goal beside llama.cpp: wide instructions help it, too.
fn llama_goal(isa: Isa) -> f64 {
    if isa >= Isa::Avx512 { 1.4 } else { 1.6 }
}

/// The geometric mean of all passes; nothing where there are none.
fn mean<'a>(ratios: impl Iterator<Item = &'a [f64; 2]>) -> Option<f64> {
    let logs: Vec<f64> = ratios.flat_map(|passes| passes.map(f64::ln)).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

fn of_library(found: &Found, in_instructions: bool) -> Option<f64> {
    mean(found.library.iter().filter(|cell| cell.in_instructions == in_instructions).map(|cell| &cell.ratios))
}

fn least(found: &Found) -> Option<f64> {
    found.library.iter().flat_map(|cell| cell.ratios).min_by(f64::total_cmp)
}

pub fn json(isa: Isa, found: &Found) -> Value {
    let library: Vec<Value> = found
        .library
        .iter()
        .map(|cell| {
            json!({"name": cell.name, "ratio": cell.ratios, "tokens_per_s": cell.tokens_per_s,
                   "bound": bound(cell.in_instructions)})
        })
        .collect();
    let llama: Vec<Value> = found
        .llama
        .iter()
        .map(|cell| {
            json!({"name": cell.name, "ratio": cell.ratios, "tokens_per_s": cell.tokens_per_s,
                   "llama_tokens_per_s": cell.llama_tokens_per_s, "llama_build": cell.build})
        })
        .collect();
    json!({
        "isa": isa.name(),
        "cells": library,
        "instructions": of_library(found, true),
        "memory": of_library(found, false),
        "least": least(found),
        "llama": llama,
        "llama_mean": mean(found.llama.iter().map(|cell| &cell.ratios)),
    })
}

const fn bound(in_instructions: bool) -> &'static str {
    if in_instructions { "instructions" } else { "memory" }
}

fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table
}

pub fn print(isa: Isa, found: &Found) {
    println!("slimfit {}, instruction set {isa}: emitted crates", env!("CARGO_PKG_VERSION"));
    if let Some(least) = least(found) {
        let rows = found.library.iter().map(|cell| {
            let [test, retest] = cell.ratios.map(|ratio| format!("{ratio:.3}"));
            let rate = format!("{:.0}", cell.tokens_per_s);
            [cell.name.clone(), bound(cell.in_instructions).to_owned(), test, retest, rate]
        });
        println!("\n{}", table(["beside the library", "bound by", "ratio", "retest", "tokens/s"], rows));
        for (in_instructions, goal) in [(true, INSTRUCTIONS), (false, MEMORY)] {
            if let Some(mean) = of_library(found, in_instructions) {
                println!("geometric mean where {} bind: {mean:.3}, goal {goal}", bound(in_instructions));
            }
        }
        println!("least: {least:.3}, goal {MEMORY}");
    }
    if let Some(mean) = mean(found.llama.iter().map(|cell| &cell.ratios)) {
        let rows = found.llama.iter().map(|cell| {
            let [test, retest] = cell.ratios.map(|ratio| format!("{ratio:.2}"));
            let rates = [cell.tokens_per_s, cell.llama_tokens_per_s].map(|rate| format!("{rate:.0}"));
            let [ours, theirs] = rates;
            [cell.name.clone(), test, retest, ours, theirs]
        });
        let header = ["beside llama.cpp", "ratio", "retest", "tokens/s", "llama.cpp"];
        println!("\n{}", table(header, rows));
        println!("geometric mean: {mean:.2}, goal {}", llama_goal(isa));
        let build = found.llama.first().map_or("", |cell| &cell.build);
        println!("llama.cpp {build}, which is not capped at `{isa}`: it uses what it was built for");
    }
}
