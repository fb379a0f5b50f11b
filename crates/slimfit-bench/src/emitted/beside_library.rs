//! An emitted crate beside the library that it is made from: the same plan, in the same process, in turn.

use crate::library::Request;
use anyhow::Result;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::median;
use slimfit_runtime::{Model, Session, seeded_tokens};
use std::time::Instant;

/// Tokens decoded in a round.
const STEPS: usize = 32;

/// What is run in a round.
#[derive(Debug, Clone, Copy)]
enum Test {
    Decode,
    Prefill(usize),
}

/// One cell of the table.
pub struct Cell {
    /// Model, format, threads, test.
    pub name: String,
    /// Seconds of the library for those of the emitted crate: first half of the rounds, second half.
    pub ratios: [f64; 2],
    /// Tokens a second of the emitted crate.
    pub tokens_per_s: f64,
    /// Whether instructions bind rather than memory: several tokens, or weights in the cache.
    pub in_instructions: bool,
}

/// What is run of a model.
pub struct Race<'a> {
    /// Model, format and threads, as rows of the table begin.
    pub name: String,
    /// The library's side.
    pub model: &'a Model,
    /// Whether the weights stay in the cache.
    pub in_cache: bool,
    /// Tokens of the prompts.
    pub prompts: &'a [usize],
    /// Rounds; the second half is the retest.
    pub rounds: u64,
}

/// All tests on the threads of `pool`; `asked` runs the emitted crate.
///
/// # Errors
/// One of the two refuses.
pub fn measure(race: &Race<'_>, pool: &Pool, asked: &dyn Fn(Request) -> Result<f64>) -> Result<Vec<Cell>> {
    let mut session = Session::new(race.model, pool)?;
    let mut cells = Vec::new();
    let tests = [Test::Decode].into_iter().chain(race.prompts.iter().map(|&tokens| Test::Prefill(tokens)));
    for test in tests {
        let tokens = seeded_tokens(race.model.architecture().vocabulary_size, count(test) as u64, 1);
        let mut ours = || -> Result<f64> {
            session.reset();
            let start = Instant::now();
            match test {
                Test::Decode => tokens.iter().try_for_each(|&token| session.decode(token).map(drop))?,
                Test::Prefill(_) => session.prefill(&tokens).map(drop)?,
            }
            Ok(start.elapsed().as_secs_f64())
        };
        let mut theirs = || {
            asked(match test {
                Test::Decode => Request::Decode { before: Vec::new(), tokens: tokens.clone() },
                Test::Prefill(_) => Request::Prefill(tokens.clone()),
            })
        };
        let once = ours()?.max(theirs()?);
        // A round is long enough for the clock, and short beside what neighbours do.
        let times = (0.03 / once).ceil().max(1.0) as usize;
        let several = |run: &mut dyn FnMut() -> Result<f64>| -> Result<f64> {
            (0..times).try_fold(0.0, |sum, _| Ok(sum + run()?))
        };
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        for round in 0..race.rounds {
            let (library, crate_seconds) = if round % 2 == 0 {
                let library = several(&mut ours)?;
                (library, several(&mut theirs)?)
            } else {
                let emitted = several(&mut theirs)?;
                (several(&mut ours)?, emitted)
            };
            ratios.push(library / crate_seconds);
            rates.push((times * count(test)) as f64 / crate_seconds);
        }
        let half = ratios.len() / 2;
        cells.push(Cell {
            name: format!("{}, {}", race.name, spoken(test)),
            ratios: [median(&ratios[..half]), median(&ratios[half..])],
            tokens_per_s: median(&rates),
            in_instructions: race.in_cache || !matches!(test, Test::Decode),
        });
        eprintln!("{} {:.3}", cells[cells.len() - 1].name, median(&ratios));
    }
    Ok(cells)
}

fn count(test: Test) -> usize {
    match test {
        Test::Decode => STEPS,
        Test::Prefill(tokens) => tokens,
    }
}

fn spoken(test: Test) -> String {
    match test {
        Test::Decode => "decode".to_owned(),
        Test::Prefill(tokens) => format!("prompt of {tokens}"),
    }
}
