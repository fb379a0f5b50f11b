//! What is compared, and how one run of ours is taken.

use crate::likwid::Likwid;
use crate::ports::Ports;
use crate::record::{Limit, LimitCell, Record};
use anyhow::{Context, Result};
use slimfit_hardware::Cache;
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, HugePages, PEAKS, PeakLoop, READS, ReadLoop, dependent_adds};
use slimfit_kernels::pool::Pool;
use slimfit_probe::{SystemDescription, SystemTree, allowed_processors};
use slimfit_quantity::{Bracketed, Cell, Measured, interleave, median};
use std::cell::RefCell;
use std::time::Instant;

/// A limit of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Reading half of the first cache.
    L1,
    /// Reading half of the second cache.
    L2,
    /// Reading half of the third cache.
    L3,
    /// Reading four times the last cache.
    Ram,
    /// Multiply-adds in f32.
    F32,
    /// Multiply-adds in f64.
    F64,
    /// Multiply-adds of bf16 factors, beside the ports' limit only.
    Bf16,
    /// Multiply-adds of int8 factors, beside the ports' limit only.
    Int8,
}

impl What {
    /// Every limit.
    pub const ALL: [Self; 8] =
        [Self::L1, Self::L2, Self::L3, Self::Ram, Self::F32, Self::F64, Self::Bf16, Self::Int8];

    /// The type whose multiply-adds are counted; nothing for reads.
    fn type_name(self) -> Option<&'static str> {
        match self {
            Self::F32 => Some("f32"),
            Self::F64 => Some("f64"),
            Self::Bf16 => Some("bf16"),
            Self::Int8 => Some("int8"),
            Self::L1 | Self::L2 | Self::L3 | Self::Ram => None,
        }
    }

    /// Kernels of likwid-bench that measure it, with the tier that they need; the fastest counts.
    fn kernels(self) -> &'static [(&'static str, Isa)] {
        match self {
            Self::L1 | Self::L2 | Self::L3 | Self::Ram => {
                &[("load_avx512", Isa::Avx512), ("load_avx", Isa::Avx2), ("load", Isa::Scalar)]
            }
            Self::F32 => &[
                ("peakflops_sp_avx512_fma", Isa::Avx512),
                ("peakflops_sp_avx_fma", Isa::Avx2),
                ("peakflops_sp", Isa::Scalar),
            ],
            Self::F64 => &[
                ("peakflops_avx512_fma", Isa::Avx512),
                ("peakflops_avx_fma", Isa::Avx2),
                ("peakflops", Isa::Scalar),
            ],
            Self::Bf16 | Self::Int8 => &[],
        }
    }
}

/// Our loop for a limit.
#[derive(Clone, Copy)]
enum Loop {
    Read(&'static ReadLoop),
    Peak(&'static PeakLoop),
}

impl Loop {
    fn name(self) -> String {
        match self {
            Self::Read(read) => read.name.to_owned(),
            Self::Peak(peak) => peak.name(),
        }
    }

    /// Instructions on multiplying ports for each vector of products. bf16 that is widened to f32 takes two.
    fn multiplies(self) -> u32 {
        let Self::Peak(peak) = self else { return 1 };
        let widened =
            peak.sequence.contains("vpmaddwd") || peak.type_name == "bf16" && peak.sequence.contains("fma");
        if widened { 2 } else { 1 }
    }
}

/// One run of ours.
#[derive(Debug, Clone, Copy)]
struct Run {
    per_s: f64,
    /// The effective clock right after it: the best of some short chains, since an interruption only slows one.
    clock_hz: f64,
}

/// The machine, the peer, and how long runs last.
pub struct Bench {
    isa: Isa,
    likwid: Option<Likwid>,
    seconds: f64,
    caches: Vec<Cache>,
    ports: Option<Ports>,
    name: String,
    /// Pages of the peer's memory: it gives no advice, so it has huge ones only where everyone has.
    pages: HugePages,
}

/// Additions of one chain: about a millisecond.
const ADDITIONS: u64 = 3_000_000;
const CHAINS: usize = 5;
/// Bytes that a peak kernel of likwid-bench loads from, one thread's: half of any first cache.
const PEAK_BYTES: u64 = 16_000;

impl Bench {
    /// Describes the machine.
    ///
    /// # Errors
    /// The system does not say what it is.
    pub fn new(isa: Isa, likwid: Option<Likwid>, seconds: f64) -> Result<Self> {
        let tree = SystemTree::live();
        let system = SystemDescription::read(&tree, &allowed_processors())?;
        let always = tree
            .read("/sys/kernel/mm/transparent_hugepage/enabled")
            .is_some_and(|modes| modes.contains("[always]"));
        Ok(Self {
            isa,
            likwid,
            seconds,
            ports: Ports::of(&system.fingerprint(isa)),
            caches: system.topology.caches,
            name: system.identity.name,
            pages: if always { HugePages::Advise } else { HugePages::Never },
        })
    }

    /// Measures `cells` on each of `threads`, `rounds` times in each of two passes.
    ///
    /// # Errors
    /// Memory or threads are refused, or likwid-bench fails.
    pub fn measure(&self, cells: &[What], threads: &[usize], rounds: usize) -> Result<Record> {
        let mut record =
            Record { name: self.name.clone(), isa: self.isa.name().to_owned(), cells: Vec::new() };
        let mut subjects = Vec::new();
        for &threads in threads {
            for &what in cells {
                if let Some(bytes) = self.bytes(what, threads) {
                    eprintln!("{what:?} on {threads}: choosing loops");
                    subjects.push(Subject::new(self, what, threads, bytes)?);
                }
            }
        }
        let mut cells: Vec<Cell<'_, anyhow::Error>> = subjects
            .iter()
            .map(|subject| Cell {
                name: format!("{:?} on {}", subject.what, subject.threads),
                run: Box::new(|| subject.peer()),
                sentinel: Box::new(|| subject.ours()),
            })
            .collect();
        let results = interleave(&mut cells, rounds, |done, total, name| eprintln!("{done}/{total} {name}"))?;
        drop(cells);
        let clocks: Vec<f64> = subjects.iter().flat_map(|subject| subject.clocks.borrow().clone()).collect();
        for (subject, result) in subjects.iter().zip(&results) {
            let runs: Vec<Bracketed> = result.test.iter().chain(&result.retest).copied().collect();
            record.cells.push(subject.finish(&runs, &clocks)?);
        }
        Ok(record)
    }

    /// Bytes that all threads go through together; nothing where the machine has no such cache.
    fn bytes(&self, what: What, threads: usize) -> Option<u64> {
        let level = |level: u32| {
            let cache = self.caches.iter().find(|cache| cache.level == level)?;
            let instances = (threads as u64).div_ceil(u64::from(cache.shared_by.max(1)));
            Some(cache.bytes / 2 * instances)
        };
        match what {
            What::L1 => level(1),
            What::L2 => level(2),
            What::L3 => level(3),
            What::Ram => Some(self.caches.iter().map(|cache| cache.bytes).max().unwrap_or(32 << 20) * 4),
            _ => Some(PEAK_BYTES * threads as u64),
        }
    }

    fn run(&self, chosen: Loop, threads: usize, bytes: u64, pages: HugePages, seconds: f64) -> Result<Run> {
        // Made anew for each run, as the peer does: pages lie elsewhere, and the peer is not bound to this pool's processors.
        let pool = Pool::new(threads)?;
        let per_s = match chosen {
            Loop::Read(read) => {
                let buffer = Buffer::new(bytes as usize, pages).context("memory to read")?;
                let words = buffer.as_f64();
                let share = words.len() / threads;
                let timed = |passes: usize| {
                    let start = Instant::now();
                    pool.run(|worker| {
                        std::hint::black_box(read.run(&words[worker.index * share..][..share], passes));
                    });
                    (passes * share * threads * 8) as f64 / start.elapsed().as_secs_f64()
                };
                timed(1);
                let estimate = timed(2);
                timed((seconds * estimate / bytes as f64).ceil() as usize)
            }
            Loop::Peak(peak) => {
                let timed = |iterations: u64| {
                    let start = Instant::now();
                    pool.run(|_| {
                        std::hint::black_box(peak.run(iterations));
                    });
                    (iterations * peak.operations * threads as u64) as f64 / start.elapsed().as_secs_f64()
                };
                let estimate = timed(20_000);
                timed((seconds * estimate / (peak.operations * threads as u64) as f64) as u64)
            }
        };
        let clock = || {
            let start = Instant::now();
            pool.run(|_| {
                std::hint::black_box(dependent_adds(ADDITIONS));
            });
            ADDITIONS as f64 / start.elapsed().as_secs_f64()
        };
        Ok(Run { per_s, clock_hz: (0..CHAINS).map(|_| clock()).fold(0.0, f64::max) })
    }
}

/// One limit on one number of threads.
struct Subject<'a> {
    bench: &'a Bench,
    what: What,
    threads: usize,
    /// Bytes asked of the peer, and those that it goes through: it leaves out what fills no turn of its loop.
    asked: u64,
    bytes: u64,
    chosen: Loop,
    kernel: Option<(&'static str, u64)>,
    runs: RefCell<Vec<Run>>,
    huge: RefCell<Vec<f64>>,
    /// The peer's rates with the clocks that they were reckoned with.
    answers: RefCell<Vec<(f64, f64)>>,
    clocks: RefCell<Vec<f64>>,
}

impl<'a> Subject<'a> {
    fn new(bench: &'a Bench, what: What, threads: usize, asked: u64) -> Result<Self> {
        let rate = |chosen: Loop| -> Result<f64> {
            let runs = [(); 3].map(|()| bench.run(chosen, threads, asked, bench.pages, bench.seconds / 5.0));
            Ok(median(&runs.into_iter().map(|run| Ok(run?.per_s)).collect::<Result<Vec<f64>>>()?))
        };
        let admitted = |isa: Isa| isa <= bench.isa && isa.is_available();
        let candidates: Vec<Loop> = match what.type_name() {
            None => READS.iter().filter(|read| admitted(read.isa)).map(Loop::Read).collect(),
            Some(name) => PEAKS
                .iter()
                .filter(|peak| peak.type_name == name && !peak.four_bit_only && admitted(peak.isa))
                .map(Loop::Peak)
                .collect(),
        };
        let mut best: Option<(f64, Loop)> = None;
        for candidate in candidates {
            let rate = rate(candidate)?;
            if best.is_none_or(|(known, _)| rate > known) {
                best = Some((rate, candidate));
            }
        }
        let (per_s, chosen) = best.with_context(|| format!("no loop measures {what:?} here"))?;
        let mut subject = Self {
            bench,
            what,
            threads,
            asked,
            bytes: asked,
            chosen,
            kernel: None,
            runs: RefCell::default(),
            huge: RefCell::default(),
            answers: RefCell::default(),
            clocks: RefCell::default(),
        };
        subject.kernel = subject.choose_kernel(per_s)?;
        subject.runs.borrow_mut().clear();
        Ok(subject)
    }

    /// The fastest kernel of the peer, with the iterations that fill a run.
    fn choose_kernel(&mut self, our_per_s: f64) -> Result<Option<(&'static str, u64)>> {
        let Some(likwid) = &self.bench.likwid else { return Ok(None) };
        let iterations = match self.what.type_name() {
            None => self.bench.seconds * our_per_s / self.bytes as f64,
            // Its peak kernels do 30 operations on each value.
            Some(name) => {
                let value_bytes = if name == "f64" { 8 } else { 4 };
                self.bench.seconds * our_per_s / (30 * self.bytes / value_bytes) as f64
            }
        };
        let iterations = iterations.ceil() as u64;
        let mut best: Option<(f64, &'static str, u64)> = None;
        let available = |(kernel, isa): &&(&'static str, Isa)| isa.is_available() && likwid.has(kernel);
        // A plain kernel stands in only where no vector kernel exists.
        let plain = |isa: Isa| isa == Isa::Scalar;
        let kernels: Vec<_> = self.what.kernels().iter().filter(available).collect();
        for &&(kernel, isa) in &kernels {
            if plain(isa) && best.is_some() {
                continue;
            }
            let answer = likwid.run(kernel, self.asked, self.threads, iterations)?;
            let rate = if self.what.type_name().is_some() { answer.ops_per_s } else { answer.bytes_per_s };
            if best.is_none_or(|(known, ..)| rate > known) {
                best = Some((rate, kernel, answer.bytes));
            }
        }
        if let (Some((.., bytes)), None) = (best, self.what.type_name()) {
            self.bytes = bytes;
        }
        Ok(best.map(|(_, kernel, _)| (kernel, iterations)))
    }

    /// One run of ours; where memory has a choice of pages, another with huge ones beside it.
    fn ours(&self) -> Result<f64> {
        let bench = self.bench;
        let run = bench.run(self.chosen, self.threads, self.bytes, bench.pages, bench.seconds)?;
        self.runs.borrow_mut().push(run);
        if matches!(self.what, What::L3 | What::Ram) && bench.pages == HugePages::Never {
            let huge = bench.run(self.chosen, self.threads, self.bytes, HugePages::Advise, bench.seconds)?;
            self.huge.borrow_mut().push(huge.per_s / run.per_s);
        }
        Ok(run.per_s)
    }

    /// One run of the peer; without one, the ports' limit at the clock of our last run, or 0 where neither is known.
    fn peer(&self) -> Result<f64> {
        if let (Some(likwid), Some((kernel, iterations))) = (&self.bench.likwid, self.kernel) {
            let answer = likwid.run(kernel, self.asked, self.threads, iterations)?;
            let rate = if self.what.type_name().is_some() { answer.ops_per_s } else { answer.bytes_per_s };
            self.answers.borrow_mut().push((rate, answer.clock_hz));
            self.clocks.borrow_mut().push(answer.clock_hz);
            return Ok(rate);
        }
        let clock = self.runs.borrow().last().map_or(0.0, |run| run.clock_hz);
        Ok(self.work_per_cycle().unwrap_or(0.0) * clock)
    }

    /// What the ports allow all threads in one cycle; known for multiply-adds and the first cache.
    fn work_per_cycle(&self) -> Option<f64> {
        let ports = self.bench.ports?;
        let work = match (self.what, self.what.type_name()) {
            (_, Some(name)) => ports.ops(name, self.chosen.multiplies())?,
            // No read is faster than the first cache.
            _ => f64::from(ports.load_bytes),
        };
        Some(work * self.threads as f64)
    }

    fn finish(&self, pairs: &[Bracketed], clocks: &[f64]) -> Result<LimitCell> {
        let ours: Vec<f64> = self.runs.borrow().iter().map(|run| run.per_s).collect();
        let ours = Measured::new(ours).context("a limit was not measured")?;
        let clock = if clocks.is_empty() { 1.0 } else { median(clocks) };
        let answers = self.answers.borrow();
        // The time-stamp counter has one rate, whatever a disturbed start measured.
        let peers: Vec<f64> = answers.iter().map(|(rate, reckoned)| rate * clock / reckoned).collect();
        let ratios: Vec<f64> = pairs
            .iter()
            .zip(&peers)
            .map(|(pair, peer)| (pair.before_per_s * pair.after_per_s).sqrt() / peer)
            .collect();
        let limit = self.work_per_cycle().and_then(|work| {
            let shares = self.runs.borrow().iter().map(|run| run.per_s / (work * run.clock_hz)).collect();
            let share = Measured::new(shares)?;
            let clock_hz = Measured::new(self.runs.borrow().iter().map(|run| run.clock_hz).collect())?;
            Some(Limit { per_cycle: work, clock_hz: clock_hz.figure(), share: share.figure() })
        });
        Ok(LimitCell {
            what: format!("{:?}", self.what),
            threads: self.threads,
            bytes: self.what.type_name().is_none().then_some(self.bytes),
            ours: self.chosen.name(),
            per_s: ours.figure(),
            peer: self.kernel.map(|(kernel, _)| kernel.to_owned()),
            peer_per_s: Measured::new(peers).map(|peers| peers.figure()),
            ratio: Measured::new(ratios).map(|ratios| ratios.figure()),
            huge_pages_gain: Measured::new(self.huge.borrow().clone()).map(|gain| gain.figure()),
            limit,
        })
    }
}
