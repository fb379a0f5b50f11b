//! An emitted crate beside llama.cpp, which reads the same GGUF file.
//!
//! Runs alternate, each between two sentinels; two of the crate for one of llama.cpp with flash attention and one without,
//! the better of which counts. llama.cpp runs in a process of its own, as its benchmark does.

use crate::library::Request;
use anyhow::{Context, Result};
use slimfit_bench::llama_bench::{LlamaBench, LlamaRun};
use slimfit_bench::test::{GENERATED, Test};
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_probe::ReadSentinel;
use slimfit_quantity::{Cell, CellResult, interleave, median};
use slimfit_runtime::seeded_tokens;
use std::path::Path;

/// Repetitions in a run, of which the median counts.
const REPETITIONS: usize = 3;

/// What is decoded.
pub struct Contest<'a> {
    /// Model, format and threads, as rows of the table begin.
    pub name: String,
    /// The program.
    pub bench: &'a LlamaBench,
    /// The model that both read.
    pub file: &'a Path,
    /// Ids of tokens.
    pub vocabulary: u64,
    /// Bytes that one token reads.
    pub weight_bytes: u64,
    /// The cap on the instruction set of the sentinels.
    pub isa: Isa,
    /// Rounds in each of the two passes.
    pub rounds: usize,
}

/// One row of the table.
pub struct LlamaCell {
    /// Model, format, threads, tokens in the cache.
    pub name: String,
    /// Rate of the emitted crate for that of llama.cpp: first pass, second pass.
    pub ratios: [f64; 2],
    /// Tokens a second of the emitted crate.
    pub tokens_per_s: f64,
    /// Tokens a second of llama.cpp.
    pub llama_tokens_per_s: f64,
    /// What llama.cpp was built from.
    pub build: String,
}

/// Decoding after `depth` tokens; `asked` runs the emitted crate on the threads of `pool`.
///
/// # Errors
/// One of the two refuses.
pub fn measure(
    contest: &Contest<'_>,
    depth: u64,
    pool: &Pool,
    asked: &dyn Fn(Request) -> Result<f64>,
) -> Result<LlamaCell> {
    let sentinel = ReadSentinel::new(pool, contest.weight_bytes, contest.isa)?;
    let before = seeded_tokens(contest.vocabulary, depth, 2);
    let tokens = seeded_tokens(contest.vocabulary, GENERATED, 1);
    let emitted = || -> Result<f64> {
        let once = |_| asked(Request::Decode { before: before.clone(), tokens: tokens.clone() });
        let samples: Vec<f64> = (0..REPETITIONS).map(once).collect::<Result<_>>()?;
        Ok(median(&samples) / GENERATED as f64)
    };
    emitted()?;
    let build = std::cell::RefCell::new(String::new());
    let mut cells: Vec<Cell<'_, anyhow::Error>> = Vec::new();
    for flash_attention in [false, true] {
        let build = &build;
        cells.push(Cell {
            name: "emitted".to_owned(),
            run: Box::new(emitted),
            sentinel: Box::new(|| Ok(sentinel.bytes_per_s(pool))),
        });
        cells.push(Cell {
            name: format!("llama.cpp, flash attention {}", if flash_attention { "on" } else { "off" }),
            run: Box::new(move || {
                let (seconds, commit) = contest.bench.run(LlamaRun {
                    model: contest.file,
                    threads: pool.threads(),
                    test: Test::Decode { depth },
                    flash_attention,
                    repetitions: REPETITIONS,
                })?;
                build.replace(commit);
                Ok(seconds)
            }),
            sentinel: Box::new(|| Ok(sentinel.bytes_per_s(pool))),
        });
    }
    let results = interleave(&mut cells, contest.rounds, |_, _, _| {})?;
    drop(cells);
    let [ours, off, again, on]: [CellResult; 4] =
        results.try_into().ok().context("a result for each of the four cells")?;
    let values = |cells: &[&CellResult], pass: fn(&CellResult) -> &[slimfit_quantity::Bracketed]| {
        let seconds: Vec<f64> = cells.iter().flat_map(|cell| pass(cell)).map(|run| run.value).collect();
        median(&seconds)
    };
    let passes: [fn(&CellResult) -> &[slimfit_quantity::Bracketed]; 2] =
        [|cell| &cell.test, |cell| &cell.retest];
    let rates = |cells: &[&CellResult]| passes.map(|pass| 1.0 / values(cells, pass));
    let middle = |[test, retest]: [f64; 2]| f64::midpoint(test, retest);
    let ours = rates(&[&ours, &again]);
    let theirs = [rates(&[&off]), rates(&[&on])];
    let theirs = theirs[usize::from(middle(theirs[1]) > middle(theirs[0]))];
    let cell = LlamaCell {
        name: format!("{}, decode after {depth}", contest.name),
        ratios: [ours[0] / theirs[0], ours[1] / theirs[1]],
        tokens_per_s: middle(ours),
        llama_tokens_per_s: middle(theirs),
        build: build.into_inner(),
    };
    eprintln!("{}: {:.2}, {:.2} times llama.cpp", cell.name, cell.ratios[0], cell.ratios[1]);
    Ok(cell)
}
