//! Workers of one search: several processes claim units of it, and each unit counts once.
//!
//! A worker lives as long as it holds the lock on a file of its own, which the system takes back however the process
//! ends. A dead worker's claims are free at once, and what it had saved passes to whoever finds it dead. A worker that
//! lives but says nothing for the length of its lease, a stopped process say, loses its claims too; when it wakes up, it is
//! told which of its units were lost and goes on from what it saved last.

use crate::news::Heard;
use crate::progress::{self, Saved, SearchProgress};
use crate::store::{Durability, Store};
use crate::units::Units;
use crate::{SearchId, Study, StudyError, searches};
use rusqlite::params;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a worker may say nothing before its claims are free, unless another time is wanted. A worker saves about every
/// second.
pub const LEASE: Duration = Duration::from_secs(60);

/// One worker of a search, with a connection of its own: it may move to another thread.
#[derive(Debug)]
pub struct Worker {
    pub(crate) store: Store,
    folder: PathBuf,
    pub(crate) search: SearchId,
    units: u64,
    lease: Duration,
    pub(crate) id: i64,
    /// Rows of `progress` whose content the caller knows: the next save replaces them.
    pub(crate) known: Vec<i64>,
    saved: Saved,
    pub(crate) heard: Heard,
    /// Held as long as the worker lives.
    lock: File,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// These units are this worker's, until it saves them or loses them.
    Units(Units),
    /// All that is left is claimed: by other workers, which may die, or by this one. Ask again later.
    Wait,
    /// Every unit is done and saved: [`Study::progress`] has all of it, for [`Study::finish_search`].
    Done,
    /// The search is finished: [`Study::front_of`] has its front.
    Finished,
}

/// What became of a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveOutcome {
    /// It is kept.
    Kept,
    /// These of its units are no longer this worker's: nothing was kept. [`Worker::progress`] has what it saved before, to
    /// go on from; its claims are free.
    Lost(Units),
    /// The search is finished by another process.
    Finished,
}

impl Study {
    /// Joins the work on a search of `units` units (0, 1, 2 …), and takes over what dead workers saved.
    ///
    /// # Errors
    /// When there is no such search, or the study cannot be written.
    pub fn join_search(&self, search: SearchId, units: u64, lease: Duration) -> Result<Worker, StudyError> {
        // A commit a second, of what can be computed again: after a power cut the last seconds are.
        let store = Store::open(&self.folder, Durability::Deferred)?;
        let (id, lock) = store.write(|store| {
            searches::check(store, search)?;
            let id = store.insert(
                "INSERT INTO worker (search, process, expires) VALUES (?1, ?2, ?3)",
                params![search.0, std::process::id(), expiry(lease)],
            )?;
            let path = lock_path(&self.folder, id);
            let fail = |source| StudyError::Io { path: path.clone(), source };
            let lock = File::create(&path).map_err(fail)?;
            lock.try_lock().map_err(|error| fail(error.into()))?;
            bury(store, &self.folder, search, id)?;
            sweep(store, &self.folder)?;
            Ok((id, lock))
        })?;
        let folder = self.folder.clone();
        let (known, saved, heard) = (Vec::new(), Saved::default(), Heard::default());
        Ok(Worker { store, folder, search, units, lease, id, known, saved, heard, lock })
    }
}

impl Worker {
    /// What this worker saved, and what it took over from dead ones, in parts whose units are disjoint. To be merged into
    /// the state that is saved next.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn progress(&mut self) -> Result<Vec<SearchProgress>, StudyError> {
        let (id, store) = (self.id, &self.store);
        let (rows, parts) = store.read(|store| {
            let rows: Vec<i64> =
                store.rows("SELECT id FROM progress WHERE worker = ?1 ORDER BY id", params![id], |row| {
                    row.get(0)
                })?;
            let parts: Vec<SearchProgress> =
                rows.iter().map(|row| progress::read(store, *row)).collect::<Result<_, _>>()?;
            Ok((rows, parts))
        })?;
        self.known = rows;
        self.saved = Saved::default();
        Ok(parts)
    }

    /// Claims up to `count` free units, the lowest first.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn claim(&mut self, count: u64) -> Result<Claim, StudyError> {
        self.store.write(|store| {
            if progress::is_finished(store, self.search)? {
                return Ok(Claim::Finished);
            }
            self.renew()?;
            bury(store, &self.folder, self.search, self.id)?;
            store.execute(
                "DELETE FROM claim WHERE worker IN
                 (SELECT id FROM worker WHERE search = ?1 AND expires < ?2 AND id <> ?3)",
                params![self.search.0, now(), self.id],
            )?;
            let all = Units::from(0..self.units);
            let undone = all.without(&progress::all_done(store, self.search)?);
            if undone.is_empty() {
                return Ok(Claim::Done);
            }
            let free = undone.without(&claims(store, "search", self.search.0)?).first(count);
            if free.is_empty() {
                return Ok(Claim::Wait);
            }
            self.add_claims(&free)?;
            Ok(Claim::Units(free))
        })
    }

    /// Saves all that this worker knows: what [`progress`](Self::progress) gave it, and the claimed units it has done since.
    /// Saving the same again changes nothing.
    ///
    /// # Errors
    /// When the store cannot be written: what was saved before is whole.
    ///
    /// # Panics
    /// When units are missing that were saved before.
    pub fn save(&mut self, progress: &SearchProgress) -> Result<SaveOutcome, StudyError> {
        let outcome = self.store.write(|store| {
            if progress::is_finished(store, self.search)? {
                return Ok(Err(SaveOutcome::Finished));
            }
            self.renew()?;
            let mut before = Units::new();
            for row in &self.known {
                before.union(&progress::read_done(store, *row)?);
            }
            assert!(before.without(&progress.done).is_empty(), "done units stay done");
            let mine = claims(store, "worker", self.id)?;
            let lost = progress.done.without(&before).without(&mine);
            store.execute("DELETE FROM claim WHERE worker = ?1", params![self.id])?;
            if !lost.is_empty() {
                return Ok(Err(SaveOutcome::Lost(lost)));
            }
            self.add_claims(&mine.without(&progress.done))?;
            let row = match self.known.first() {
                Some(row) => *row,
                None => store.insert(
                    "INSERT INTO progress (search, worker, done, counts) VALUES (?1, ?2, x'', '{}')",
                    params![self.search.0, self.id],
                )?,
            };
            for taken_over in self.known.iter().skip(1) {
                progress::remove(store, *taken_over)?;
            }
            Ok(Ok((row, progress::write(store, row, progress, &self.saved)?)))
        })?;
        match outcome {
            Ok((row, saved)) => {
                self.known = vec![row];
                self.saved = saved;
                Ok(SaveOutcome::Kept)
            }
            Err(other) => Ok(other),
        }
    }

    /// The search.
    pub fn search(&self) -> SearchId {
        self.search
    }

    /// Says that the worker lives.
    fn renew(&self) -> Result<(), StudyError> {
        let expires = expiry(self.lease);
        let rows =
            self.store.execute("UPDATE worker SET expires = ?2 WHERE id = ?1", params![self.id, expires])?;
        if rows == 0 {
            let lock = lock_path(&self.folder, self.id);
            let problem = format!("`{}` was removed while its worker lived", lock.display());
            return Err(StudyError::damaged(self.store.file(), problem));
        }
        Ok(())
    }

    fn add_claims(&self, units: &Units) -> Result<(), StudyError> {
        for range in units.ranges() {
            self.store.execute(
                "INSERT INTO claim (search, worker, first, after) VALUES (?1, ?2, ?3, ?4)",
                params![self.search.0, self.id, range.start, range.end],
            )?;
        }
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Best effort: whoever joins next removes what is left.
        let _ = std::fs::remove_file(lock_path(&self.folder, self.id));
        let _ = self.lock.unlock();
    }
}

fn lock_path(folder: &Path, worker: i64) -> PathBuf {
    folder.join(format!("{LOCK_PREFIX}{worker}{LOCK_SUFFIX}"))
}

const LOCK_PREFIX: &str = ".worker-";
const LOCK_SUFFIX: &str = ".lock";

/// Frees the claims of dead workers of a search and hands their progress to `heir`.
fn bury(store: &Store, folder: &Path, search: SearchId, heir: i64) -> Result<(), StudyError> {
    let others: Vec<i64> = store.rows(
        "SELECT id FROM worker WHERE search = ?1 AND id <> ?2",
        params![search.0, heir],
        |row| row.get(0),
    )?;
    for other in others {
        let path = lock_path(folder, other);
        if is_locked(&path)? {
            continue;
        }
        store.execute("DELETE FROM claim WHERE worker = ?1", params![other])?;
        store.execute("UPDATE progress SET worker = ?2 WHERE worker = ?1", params![other, heir])?;
        store.execute("DELETE FROM worker WHERE id = ?1", params![other])?;
        let _ = std::fs::remove_file(&path);
    }
    Ok(())
}

/// Removes lock files of workers that died before they were known or after they were forgotten.
fn sweep(store: &Store, folder: &Path) -> Result<(), StudyError> {
    let fail = |source| StudyError::Io { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(LOCK_PREFIX)?.strip_suffix(LOCK_SUFFIX)?.parse::<i64>().ok());
        let Some(number) = number else { continue };
        let known = store.first("SELECT 1 FROM worker WHERE id = ?1", params![number], |_| Ok(()))?;
        let path = lock_path(folder, number);
        if known.is_none() && !is_locked(&path)? {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

fn is_locked(path: &Path) -> Result<bool, StudyError> {
    let fail = |source| StudyError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(fail(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

/// Claimed units of a search or a worker.
fn claims(store: &Store, of: &str, id: i64) -> Result<Units, StudyError> {
    let rows =
        store.rows(&format!("SELECT first, after FROM claim WHERE {of} = ?1"), params![id], |row| {
            Ok(row.get::<_, u64>(0)?..row.get::<_, u64>(1)?)
        })?;
    Ok(rows.into_iter().collect())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn expiry(lease: Duration) -> f64 {
    now() + lease.as_secs_f64()
}
