//! The thread pool: a fixed set of pinned threads that run one closure together, many thousand times a second.
//!
//! A model's step is a few hundred operations of some microseconds each, so what counts here is the hand-over: posting
//! a closure writes one cache line, finishing it writes one line per worker, and nothing on the way takes a lock or
//! allocates. Between runs workers spin for a while ([`Pool::set_patience`]) and then park.
//!
//! It is not a task scheduler: every worker gets the same closure, and which part of the work is whose follows from
//! [`Worker::index`] and [`Worker::count`]. Work that comes in phases ([`Pool::run_phases`]) is also shared by claims
//! where equal shares would make everybody wait for the slowest core: see [`Sharing`].
#![expect(unsafe_code, reason = "workers borrow the caller's closure for the length of one run")]

mod affinity;
mod barrier;
mod claims;
mod neighbours;
mod sharing;
#[cfg(test)]
mod tests;

pub use affinity::allowed_cpus;
pub use claims::Pieces;
pub use sharing::{SHARING_VARIABLE, Sharing};

use barrier::{Barrier, Poisoned};
use claims::{Claims, Gate, Phase};
use neighbours::Neighbours;
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread, ThreadId};
use std::time::{Duration, Instant};

/// How long an idle worker spins before it parks, unless told otherwise. Waking a parked thread takes tens of
/// microseconds, so this covers the sequential stretches between two operations of a step.
const PATIENCE: Duration = Duration::from_micros(100);

/// Pauses before a waiting thread starts to yield its core: some ten microseconds.
const SPINS: u32 = 1 << 10;
/// The same where there are more threads than cores, so that the one waited for may need this core to run.
const SPINS_OVERSUBSCRIBED: u32 = 1 << 4;

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No thread was asked for.
    #[error("a thread pool needs at least 1 thread, found `0`")]
    NoThreads,
    /// More threads than the barrier serves.
    #[error("a thread pool has at most `{allowed}` threads, found `{found}`")]
    TooManyThreads {
        /// The number asked for.
        found: usize,
        /// The most there may be.
        allowed: usize,
    },
    /// The system refused a thread.
    #[error("cannot start thread {index} of the pool: {source}")]
    Spawn {
        /// Which worker.
        index: usize,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The environment asks for a way of sharing that there is not.
    #[error("`{SHARING_VARIABLE}` is `{found}`, allowed are `automatic`, `equal` and `claimed`")]
    UnknownSharing {
        /// Its value.
        found: String,
    },
}

/// Alone on its cache line, and on the line's neighbour that the hardware fetches along with it.
#[repr(align(128))]
struct Line<T>(T);

/// A closure of the running [`Pool::run`], without its lifetime and type.
#[derive(Clone, Copy)]
struct Job {
    closure: *const (),
    call: unsafe fn(*const (), Worker<'_>),
    barrier_base: u64,
}

struct Post {
    /// Number of the last job; odd where its phases are claimed, so that a worker need not take part.
    epoch: AtomicU64,
    job: UnsafeCell<Option<Job>>,
}

struct Seat {
    /// Epoch of the last job this worker finished.
    done: AtomicU64,
    parked: AtomicBool,
    thread: OnceLock<Thread>,
}

struct Shared {
    post: Line<Post>,
    /// One per worker but the caller: `seats[i]` is that of worker `i + 1`.
    seats: Box<[Line<Seat>]>,
    barrier: Barrier,
    claims: Claims,
    gate: Gate,
    contention: Contention,
    patience_nanoseconds: AtomicU64,
    spins: u32,
    /// The first panic of the current run.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    all_pinned: AtomicBool,
}

/// When a worker last found that somebody else wants its core.
struct Contention {
    began: Instant,
    /// Nanoseconds from `began` until which that is believed.
    until: AtomicU64,
}

// SAFETY: `job` is the only part that is not `Sync` by itself. It is written by the caller's thread while every
// worker waits for the next epoch, and read by workers after they saw that epoch (release, acquire).
unsafe impl Sync for Shared {}
// SAFETY: the pointers in `job` are only followed during the run that posted them, whose closure is `Sync`.
unsafe impl Send for Shared {}

/// One thread's view of a run.
pub struct Worker<'a> {
    /// Which worker this is; 0 is the thread that called [`Pool::run`].
    pub index: usize,
    /// Workers in the run.
    pub count: usize,
    barrier: &'a Barrier,
    barriers_passed: &'a Cell<u64>,
    /// Where phases are claimed: from what, and which comes next.
    claims: Option<(&'a Claims, Cell<Phase>)>,
    neighbours: &'a Neighbours,
}

/// How long a worker has its core before it gives way between phases, if somebody else wants it: less than the system
/// lets it, so that it is not taken away in the midst of a piece.
const TURN: Duration = Duration::from_micros(2500);
/// The same where a worker leaves a run or the caller begins one: nobody waits for it there.
const TURN_AT_EDGES: Duration = Duration::from_micros(1000);

impl Worker<'_> {
    /// Whether the phases of this run are claimed, and want more pieces than there are workers.
    pub fn claims(&self) -> bool {
        self.claims.is_some()
    }

    /// Does this worker's share of a phase and returns when all of the phase is done: what it wrote is visible then.
    ///
    /// `work` is called with the number of a piece and whether this worker did another of this phase before. Of equal
    /// shares ([`claims`](Self::claims) says no) each worker does the one of its index, and `pieces` is not looked at.
    ///
    /// # Panics
    /// When another worker panicked, so that nobody waits for it in vain.
    pub fn phase(&self, pieces: usize, mut work: impl FnMut(usize, bool)) {
        let Some((claims, phase)) = &self.claims else {
            work(self.index, false);
            return self.barrier();
        };
        let this = Phase { pieces, ..phase.get() };
        phase.set(Phase { number: this.number + 1, before: this.before + pieces as u64, pieces });
        if this.number == 0 && self.index == 0 {
            self.neighbours.give_way(TURN_AT_EDGES);
        }
        if claims.take_part(self.index, this, &self.barrier.poisoned, work) > 0 {
            self.neighbours.give_way(TURN);
        }
    }

    /// Waits until every worker of the run has come here as often. What others wrote before is visible after.
    ///
    /// # Panics
    /// When another worker panicked, so that nobody waits for it in vain; or in a run whose phases are claimed.
    pub fn barrier(&self) {
        assert!(self.claims.is_none(), "workers of claimed phases do not wait for each other");
        if self.count > 1 {
            let ticket = self.barriers_passed.get() + 1;
            self.barriers_passed.set(ticket);
            self.barrier.wait(self.index, ticket);
        }
    }

    /// This worker's share of `0..length`, in whole multiples of `unit` (the last share takes the rest).
    pub fn share(&self, length: usize, unit: usize) -> std::ops::Range<usize> {
        let units = length.div_ceil(unit.max(1));
        let bound = |index: usize| (units * index / self.count * unit).min(length);
        bound(self.index)..bound(self.index + 1)
    }
}

/// Pinned threads that run closures together. The calling thread is worker 0 and is pinned as long as the pool lives.
///
/// Not `Sync`: one thread at a time runs closures on it.
pub struct Pool {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    running: Cell<bool>,
    barrier_base: Cell<u64>,
    caller: Option<(ThreadId, affinity::Mask)>,
    sharing: Cell<Sharing>,
    /// Whether the workers' cores are of different speeds by what the system says.
    unequal: bool,
    /// The caller's.
    neighbours: Neighbours,
}

impl Pool {
    /// Starts `threads − 1` threads beside the calling one. Each is pinned to a CPU of its own among those this
    /// process is allowed on, distinct cores before the second hardware thread of any; with more threads than CPUs
    /// they share.
    ///
    /// # Errors
    /// `threads` is 0 or above what the barrier serves, the system refuses a thread, or the environment asks for a
    /// [`Sharing`] that there is not. Refused pinning is no error: see [`pinned`](Self::pinned).
    pub fn new(threads: usize) -> Result<Self, PoolError> {
        let sharing = Sharing::selected()?;
        if threads == 0 {
            return Err(PoolError::NoThreads);
        }
        if threads > Barrier::MAXIMUM {
            return Err(PoolError::TooManyThreads { found: threads, allowed: Barrier::MAXIMUM });
        }
        let cpus = affinity::placement();
        let spins = if threads > cpus.len() { SPINS_OVERSUBSCRIBED } else { SPINS };
        let seat = |_| {
            Line(Seat { done: AtomicU64::new(0), parked: AtomicBool::new(false), thread: OnceLock::new() })
        };
        let shared = Arc::new(Shared {
            post: Line(Post { epoch: AtomicU64::new(0), job: UnsafeCell::new(None) }),
            seats: (1..threads).map(seat).collect(),
            barrier: Barrier::new(threads, spins),
            claims: Claims::new(threads, spins),
            gate: Gate::new(),
            contention: Contention { began: Instant::now(), until: AtomicU64::new(0) },
            patience_nanoseconds: AtomicU64::new(PATIENCE.as_nanos() as u64),
            spins,
            panic: Mutex::new(None),
            all_pinned: AtomicBool::new(true),
        });
        let mut pool = Self {
            shared,
            handles: Vec::with_capacity(threads - 1),
            running: Cell::new(false),
            barrier_base: Cell::new(0),
            caller: None,
            sharing: Cell::new(sharing),
            unequal: affinity::unequal(cpus.iter().take(threads)),
            neighbours: Neighbours::new(),
        };
        for index in 1..threads {
            let (shared, cpu) = (Arc::clone(&pool.shared), cpus[index % cpus.len()]);
            let handle = std::thread::Builder::new()
                .name(format!("slimfit-{index}"))
                .spawn(move || serve(&shared, index, cpu))
                .map_err(|source| PoolError::Spawn { index, source })?;
            // The seat is fresh, so this is its first and only thread.
            let _ = pool.shared.seats[index - 1].0.thread.set(handle.thread().clone());
            pool.handles.push(handle);
        }
        pool.caller = affinity::pin(cpus[0]).map(|before| (std::thread::current().id(), before));
        if pool.caller.is_none() {
            pool.shared.all_pinned.store(false, Ordering::Relaxed);
        }
        // Returns once every thread runs and has been pinned.
        pool.run(|_| {});
        Ok(pool)
    }

    /// Workers, the calling thread included.
    pub fn threads(&self) -> usize {
        self.handles.len() + 1
    }

    /// Whether the system let every thread be pinned.
    pub fn pinned(&self) -> bool {
        self.shared.all_pinned.load(Ordering::Relaxed)
    }

    /// How long an idle worker spins before it parks (default 100 µs).
    pub fn set_patience(&self, patience: Duration) {
        let nanoseconds = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.shared.patience_nanoseconds.store(nanoseconds, Ordering::Relaxed);
    }

    /// How [`run_phases`](Self::run_phases) shares work from now on (default: what the environment says, or
    /// [`Sharing::Automatic`]).
    pub fn set_sharing(&self, sharing: Sharing) {
        self.sharing.set(sharing);
    }

    /// Whether the next run's phases will be claimed.
    fn claims(&self) -> bool {
        let automatic = || {
            let contention = &self.shared.contention;
            self.unequal
                || contention.until.load(Ordering::Relaxed) > contention.began.elapsed().as_nanos() as u64
        };
        !self.handles.is_empty()
            && match self.sharing.get() {
                Sharing::Equal => false,
                Sharing::Claimed => true,
                Sharing::Automatic => automatic(),
            }
    }

    /// Runs `closure` on the workers and returns when it is done, as [`run`](Self::run) does; but they meet by
    /// [`Worker::phase`] alone, which lets the pool share the work of each phase as [`Sharing`] says.
    ///
    /// Every worker must go through the same phases with as many pieces each. Where phases are claimed, a worker may go
    /// through phases that are over, or not take part at all: outside of `phase`'s closure nothing may be written, nor
    /// read what a phase writes.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub fn run_phases<F: Fn(Worker<'_>) + Sync>(&self, closure: F) {
        if !self.claims() {
            return self.run(closure);
        }
        assert!(!self.running.replace(true), "a pool runs one closure at a time");
        let job = Job {
            closure: (&raw const closure).cast(),
            call: call::<F>,
            barrier_base: self.barrier_base.get(),
        };
        self.shared.claims.restart();
        self.post(job, true);
        self.shared.execute(job, 0, true, &self.neighbours);
        self.shared.gate.close(self.shared.spins);
        self.running.set(false);
        self.rethrow();
    }

    /// Runs `closure` once on every worker, the calling thread among them, and returns when all are done. With one
    /// thread this is a plain call.
    ///
    /// Every worker must pass the same number of [`Worker::barrier`]s.
    ///
    /// # Panics
    /// With the payload of the first worker that panicked, once all have stopped; or when called from inside a run.
    pub fn run<F: Fn(Worker<'_>) + Sync>(&self, closure: F) {
        assert!(!self.running.replace(true), "a pool runs one closure at a time");
        let job = Job {
            closure: (&raw const closure).cast(),
            call: call::<F>,
            barrier_base: self.barrier_base.get(),
        };
        let epoch = self.post(job, false);
        let passed = self.shared.execute(job, 0, false, &self.neighbours);
        self.wait_for_workers(epoch);
        // A worker is at most one barrier ahead of another, so after a panic, too, no ticket is given out twice.
        self.barrier_base.set(passed + 2);
        self.running.set(false);
        self.rethrow();
    }

    /// Panics as a worker of the last run did, if any.
    fn rethrow(&self) {
        if self.shared.barrier.is_poisoned() {
            self.shared.barrier.heal();
            let payload = self.shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
            resume_unwind(payload.unwrap_or_else(|| Box::new("a worker of the pool panicked")));
        }
    }

    fn post(&self, job: Job, claimed: bool) -> u64 {
        if self.handles.is_empty() {
            return 0;
        }
        let post = &self.shared.post.0;
        // SAFETY: no worker reads this cell now: of a job that all must do, all are done (`run` waited), and of one whose
        // phases were claimed, those that came in have left, and the gate lets no other in.
        unsafe { *post.job.get() = Some(job) };
        self.announce(claimed)
    }

    fn announce(&self, claimed: bool) -> u64 {
        let post = &self.shared.post.0;
        let epoch = (post.epoch.load(Ordering::Relaxed) / 2 + 1) * 2 + u64::from(claimed);
        if claimed {
            self.shared.gate.open(epoch);
        }
        // Sequentially consistent, as is the exchange of `parked` and the load after it: either the worker sees the new
        // epoch before it parks, or this thread sees that it parked. Exchanges and no stores, since emulators of other
        // processors (qemu 7.2 for one) let a load overtake a sequentially consistent store, but no exchange.
        post.epoch.swap(epoch, Ordering::SeqCst);
        for Line(seat) in &self.shared.seats {
            if seat.parked.load(Ordering::SeqCst)
                && let Some(thread) = seat.thread.get()
            {
                thread.unpark();
            }
        }
        epoch
    }

    fn wait_for_workers(&self, epoch: u64) {
        for Line(seat) in &self.shared.seats {
            let mut spins = 0;
            while seat.done.load(Ordering::Acquire) != epoch {
                barrier::relax(&mut spins, self.shared.spins);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: as in `post`: no run is in progress, since `run` borrows the pool until all workers are done.
        unsafe { *self.shared.post.0.job.get() = None };
        self.announce(false);
        for handle in self.handles.drain(..) {
            // A worker catches the panics of its closures and has no others to report.
            let _ = handle.join();
        }
        if let Some((thread, mask)) = self.caller.take()
            && thread == std::thread::current().id()
        {
            affinity::restore(&mask);
        }
    }
}

/// Calls the closure behind the pointer.
///
/// # Safety
/// `closure` points to a live `F`.
unsafe fn call<F: Fn(Worker<'_>) + Sync>(closure: *const (), worker: Worker<'_>) {
    // SAFETY: the caller promises a live `F`, and `F: Sync` lets several threads share it.
    let closure = unsafe { &*closure.cast::<F>() };
    closure(worker);
}

impl Shared {
    /// Runs the job's closure as worker `index`; returns the last barrier ticket it took. Never unwinds.
    fn execute(&self, job: Job, index: usize, claimed: bool, neighbours: &Neighbours) -> u64 {
        let barriers_passed = Cell::new(job.barrier_base);
        let worker = Worker {
            index,
            count: self.seats.len() + 1,
            barrier: &self.barrier,
            barriers_passed: &barriers_passed,
            claims: claimed.then(|| (&self.claims, Cell::default())),
            neighbours,
        };
        // SAFETY: `run` keeps the closure alive until every worker has stored its `done`, which is after this call.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (job.call)(job.closure, worker) }));
        if let Err(payload) = outcome {
            if !payload.is::<Poisoned>() {
                let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(payload);
            }
            self.barrier.poison();
        }
        if self.seats.is_empty() {
            return barriers_passed.get();
        }
        if let Some(until) = neighbours.look() {
            let until = until.duration_since(self.contention.began).as_nanos() as u64;
            self.contention.until.fetch_max(until, Ordering::Relaxed);
        }
        barriers_passed.get()
    }

    /// Waits for an epoch after `seen`; spins first, then parks.
    fn next_epoch(&self, seat: &Seat, seen: u64) -> u64 {
        let epoch = || self.post.0.epoch.load(Ordering::SeqCst);
        let newer = |found: u64| (found != seen).then_some(found);
        for _ in 0..self.spins {
            if let Some(found) = newer(epoch()) {
                return found;
            }
            std::hint::spin_loop();
        }
        let patience = Duration::from_nanos(self.patience_nanoseconds.load(Ordering::Relaxed));
        let start = Instant::now();
        while start.elapsed() < patience {
            for _ in 0..self.spins.min(64) {
                if let Some(found) = newer(epoch()) {
                    return found;
                }
                std::hint::spin_loop();
            }
            if self.spins == SPINS_OVERSUBSCRIBED {
                std::thread::yield_now();
            }
        }
        loop {
            seat.parked.swap(true, Ordering::SeqCst);
            let found = epoch();
            if found != seen {
                seat.parked.store(false, Ordering::Relaxed);
                return found;
            }
            std::thread::park();
            seat.parked.store(false, Ordering::Relaxed);
        }
    }
}

/// A worker's life: wait for a job, run it, say so; a post without a job ends it.
fn serve(shared: &Shared, index: usize, cpu: usize) {
    if affinity::pin(cpu).is_none() {
        shared.all_pinned.store(false, Ordering::Relaxed);
    }
    let seat = &shared.seats[index - 1].0;
    let neighbours = Neighbours::new();
    let mut seen = 0;
    loop {
        seen = shared.next_epoch(seat, seen);
        let claimed = seen % 2 == 1;
        if claimed && !shared.gate.enter(seen) {
            continue;
        }
        // SAFETY: this epoch's store came after the job's, and the caller writes it again only after `done`, or when all
        // that the gate let in have left.
        let Some(job) = (unsafe { *shared.post.0.job.get() }) else { return };
        shared.execute(job, index, claimed, &neighbours);
        if claimed {
            shared.gate.leave();
            neighbours.give_way(TURN_AT_EDGES);
        } else {
            seat.done.store(seen, Ordering::Release);
        }
    }
}
