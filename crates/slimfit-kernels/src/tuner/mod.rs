//! Finds the fastest implementation of a matrix product for a shape on this machine. Adapter.
//!
//! The candidates are the lines of the tables that read the same layout on the same tier: the same kernel with other
//! numbers of address streams, distances of prefetch, tiles, or another split between threads. Each is first
//! [checked](check) against the scalar specification, then they [race](race), interleaved, for a bounded time.
//!
//! What is found is a [`Tuning`]: choices by key. [`Kernels::tuned`](crate::Kernels::tuned) takes from it what a
//! model's products need. Keys are written as text that nobody else has to understand.

mod check;
mod key;
mod race;
mod subject;

pub use key::TuningKey;

use crate::matmul::{GEMM, GEMV, MatMulVariant, layout_for, select};
use crate::operation::MatMul;
use crate::packed::weight_format;
use crate::pool::Pool;
use crate::{Isa, KernelError};
use race::{Incumbent, Race};
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use subject::Subject;

/// What was chosen for each key: the name of an implementation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuning {
    choices: BTreeMap<TuningKey, &'static str>,
}

/// How one race ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TuningOutcome {
    /// What was raced for.
    pub key: TuningKey,
    /// The winner's name.
    pub variant: &'static str,
    /// Its times, seconds of one product.
    pub seconds: Vec<f64>,
    /// The name of what would run without a tuning.
    pub default_variant: &'static str,
    /// That one's times in the same rounds.
    pub default_seconds: Vec<f64>,
    /// Implementations that raced.
    pub candidates: usize,
    /// Names of those that did not agree with the specification: errors of this library, which never run.
    pub rejected: Vec<&'static str>,
}

impl Tuning {
    /// The choices that `entries` (key and implementation) hold.
    ///
    /// # Errors
    /// A key that is none, or a name that is not among the implementations for it: the entries are another version's.
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, KernelError> {
        let mut choices = BTreeMap::new();
        for (key, name) in entries {
            let unknown = || KernelError::UnknownTuning { key: key.to_owned(), variant: name.to_owned() };
            let parsed: TuningKey = key.parse().map_err(|_| unknown())?;
            let known = candidates(&parsed)?.into_iter().find(|entry| entry.variant.name == name);
            choices.insert(parsed, known.ok_or_else(unknown)?.variant.name);
        }
        Ok(Self { choices })
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Keys and names, in the order of the keys.
    pub fn choices(&self) -> impl Iterator<Item = (&TuningKey, &'static str)> {
        self.choices.iter().map(|(key, name)| (key, *name))
    }

    /// Takes a winner over.
    pub fn choose(&mut self, outcome: &TuningOutcome) {
        self.choices.insert(outcome.key, outcome.variant);
    }

    /// The implementation chosen for the nearest key that is near enough.
    pub(crate) fn nearest(&self, wanted: &TuningKey) -> Option<MatMulVariant> {
        let (key, name) = self
            .choices
            .iter()
            .filter_map(|(key, name)| Some((wanted.distance(key)?, key, name)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key, name)| (key, *name))?;
        candidates(key).ok()?.into_iter().find(|entry| entry.variant.name == name)
    }
}

/// The implementations that may run for a key, the one that runs without a tuning first.
fn candidates(key: &TuningKey) -> Result<Vec<MatMulVariant>, KernelError> {
    let format = weight_format(key.format);
    let table = if key.tokens == 1 { GEMV } else { GEMM };
    let default = select(table, format, key.isa);
    let layout = layout_for(format, key.isa);
    let same = |entry: &&MatMulVariant| entry.layout == layout && entry.variant.isa == default.variant.isa;
    Ok(table.iter().filter(same).copied().collect())
}

/// Races the candidates of each key until `deadline`, each with an equal part of what is left. `known` is what an
/// earlier run chose: it is displaced only by what beats it beyond the noise. `progress` is told the races done and the
/// key of the next, and answers whether to go on. Keys for which there is only one candidate are left out, as are those
/// the time does not reach.
///
/// # Errors
/// A key of another tier or number of threads than can run here, or memory is refused.
pub fn tune(
    pool: &Pool,
    keys: &[TuningKey],
    known: &Tuning,
    deadline: Instant,
    progress: &mut dyn FnMut(usize, &TuningKey) -> bool,
) -> Result<Vec<TuningOutcome>, KernelError> {
    let mut checks = check::Checks::default();
    let mut agrees = |entry: &MatMulVariant| checks.agrees(entry);
    let left = || deadline.saturating_duration_since(Instant::now());
    for key in keys {
        Isa::capped(key.isa.name())?;
        assert_eq!(key.threads, pool.threads(), "a key of another number of threads");
    }
    tune_by(keys, known, &left, progress, &mut agrees, &mut |key, entries, incumbent, time| {
        let mut subject = Subject::new(key, entries[0].layout, pool)?;
        let end = Instant::now() + time;
        let go_on = || Instant::now() < end;
        Ok(race::run(entries.len(), incumbent, go_on, |candidate| subject.seconds(pool, &entries[candidate])))
    })
}

/// Runs a race of the implementations, the incumbent among them, for about so long.
type Racer<'a> =
    dyn FnMut(&TuningKey, &[MatMulVariant], Incumbent, Duration) -> Result<Race, KernelError> + 'a;

/// [`tune`] by another clock, check and race.
fn tune_by(
    keys: &[TuningKey],
    known: &Tuning,
    left: &dyn Fn() -> Duration,
    progress: &mut dyn FnMut(usize, &TuningKey) -> bool,
    agrees: &mut dyn FnMut(&MatMulVariant) -> Result<bool, KernelError>,
    race: &mut Racer<'_>,
) -> Result<Vec<TuningOutcome>, KernelError> {
    let mut outcomes = Vec::new();
    for (done, key) in keys.iter().enumerate() {
        let left = left();
        if left.is_zero() || !progress(done, key) {
            break;
        }
        let (mut entries, mut rejected) = (Vec::new(), Vec::new());
        for entry in candidates(key)? {
            if agrees(&entry)? { entries.push(entry) } else { rejected.push(entry.variant.name) }
        }
        if entries.len() + rejected.len() < 2 || entries.is_empty() {
            continue;
        }
        let share = left / u32::try_from(keys.len() - done).unwrap_or(u32::MAX);
        let place = |name: &str| entries.iter().position(|entry| entry.variant.name == name);
        let chosen = known.choices.get(key).and_then(|name| place(name));
        let incumbent = Incumbent { place: chosen.unwrap_or(0), chosen: chosen.is_some() };
        let race = race(key, &entries, incumbent, share)?;
        outcomes.push(outcome(key, &entries, rejected, &race));
    }
    Ok(outcomes)
}

fn outcome(
    key: &TuningKey,
    entries: &[MatMulVariant],
    rejected: Vec<&'static str>,
    race: &Race,
) -> TuningOutcome {
    let (winner, samples) = (race.winner(), &race.samples);
    TuningOutcome {
        key: *key,
        variant: entries[winner].variant.name,
        seconds: samples[winner].clone(),
        default_variant: entries[0].variant.name,
        default_seconds: samples[0].clone(),
        candidates: entries.len(),
        rejected,
    }
}

/// The key under which a product of a model is looked up.
pub(crate) fn key_of(
    product: &MatMul,
    tokens: usize,
    isa: Isa,
    threads: usize,
    working_set_bytes: u64,
) -> TuningKey {
    TuningKey {
        format: product.format,
        rows: product.rows,
        columns: product.columns,
        tokens,
        working_set_bytes,
        threads,
        isa,
    }
}

/// Shapes that stand for those of small models, for each format: one token in memory and in a cache, and a chunk of a
/// prompt. First what most of a model's time goes to, in every format in the order of `formats`: what the time does not
/// reach is what counts least.
pub fn usual_keys(formats: &[NumberFormat], isa: Isa, threads: usize) -> Vec<TuningKey> {
    /// Weights of a model that memory streams, and of one that stays in a cache.
    const MEMORY: u64 = 96 << 20;
    const CACHE: u64 = 8 << 20;
    const WIDE: (u64, u64) = (3072, 576);
    const DEEP: (u64, u64) = (576, 1536);
    const LARGE: (u64, u64) = (4096, 2048);
    const CHUNK: usize = 256;
    let kinds = [
        (WIDE, 1, MEMORY),
        (DEEP, 1, MEMORY),
        (WIDE, CHUNK, MEMORY),
        (DEEP, CHUNK, MEMORY),
        (LARGE, 1, MEMORY),
        (WIDE, 1, CACHE),
        (DEEP, 1, CACHE),
        (LARGE, CHUNK, MEMORY),
    ];
    let of = |((rows, columns), tokens, working_set_bytes), format| TuningKey {
        format,
        rows,
        columns,
        tokens,
        working_set_bytes,
        threads,
        isa,
    };
    kinds.into_iter().flat_map(|kind| formats.iter().map(move |&format| of(kind, format))).collect()
}

#[cfg(test)]
mod tests;
