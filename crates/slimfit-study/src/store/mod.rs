//! The SQLite file: how it is opened, and how it is written.

mod migrate;
mod schema;

use crate::StudyError;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another process may hold the file before that is an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a commit reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Before the commit returns: for what cannot be had again cheaply.
    Synced,
    /// When the log is next moved into the file: a killed process loses nothing, a power cut the last commits.
    Deferred,
}

impl Durability {
    fn pragma(self) -> &'static str {
        match self {
            Self::Synced => "FULL",
            Self::Deferred => "NORMAL",
        }
    }
}

/// An open store of this program's version.
#[derive(Debug)]
pub(crate) struct Store {
    file: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens `folder/study.sqlite`, creates what is missing and migrates what is older.
    pub(crate) fn open(folder: &Path, durability: Durability) -> Result<Self, StudyError> {
        let file = folder.join("study.sqlite");
        let fail = |source| StudyError::store(&file, source);
        let connection = Connection::open(&file).map_err(fail)?;
        connection.busy_timeout(PATIENCE).map_err(fail)?;
        let mut store = Self { file: file.clone(), connection };
        // Before anything is changed, its journal mode included: the file may be another program's. In one look: another
        // process may be making it.
        let version = store.read(Self::version)?;
        store.write_ahead().map_err(fail)?;
        store.connection.pragma_update(None, "synchronous", durability.pragma()).map_err(fail)?;
        store.connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        // In kibibytes: a front is one transaction, and less of it is written twice.
        store.connection.pragma_update(None, "cache_size", -16_384).map_err(fail)?;
        // After a front the log shrinks again.
        store.connection.pragma_update(None, "journal_size_limit", 16 << 20).map_err(fail)?;
        if version != schema::VERSION {
            store.bring_up_to_date(folder)?;
        }
        Ok(store)
    }

    /// The layout's version; 0 for an empty file.
    fn version(&self) -> Result<i64, StudyError> {
        let read = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let found = read("user_version").map_err(|source| self.error(source))?;
        let owner = read("application_id").map_err(|source| self.error(source))?;
        let tables: i64 = self.one("SELECT count(*) FROM sqlite_schema")?;
        let known = match (owner, found) {
            (0, 0) => tables == 0,
            // Version 1 left no mark of its own.
            (0, 1) => self.one::<i64>("SELECT count(*) FROM sqlite_schema WHERE name = 'record'")? == 1,
            (schema::APPLICATION, found) => found >= 2,
            _ => false,
        };
        if !known {
            return Err(StudyError::NotAStudy(self.file.clone()));
        }
        if found > schema::VERSION {
            return Err(StudyError::Newer { path: self.file.clone(), found, known: schema::VERSION });
        }
        Ok(found)
    }

    /// Two processes that create the same file may both want to switch it; SQLite does not wait by itself there.
    fn write_ahead(&self) -> Result<(), rusqlite::Error> {
        let began = Instant::now();
        loop {
            match self.connection.pragma_update(None, "journal_mode", "WAL") {
                Err(rusqlite::Error::SqliteFailure(failure, _))
                    if failure.code == ErrorCode::DatabaseBusy && began.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(Duration::from_millis(5));
                }
                done => return done,
            }
        }
    }

    fn bring_up_to_date(&mut self, folder: &Path) -> Result<(), StudyError> {
        self.write(|store| {
            // Another process may have done it while this one waited.
            match store.version()? {
                schema::VERSION => return Ok(()),
                0 => store.run(schema::TABLES)?,
                1 => migrate::from_version_1(store, folder)?,
                found => unreachable!("version {found} was let in"),
            }
            store.run(&schema::append_only())?;
            store.run(&schema::mark())
        })
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> StudyError {
        StudyError::store(&self.file, source)
    }

    /// One transaction that writes: all of `work` is kept, or nothing of it.
    ///
    /// It takes the file's write lock at once. A transaction that only turns into a writing one later can fail for good
    /// where another process wrote in between.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StudyError>,
    ) -> Result<T, StudyError> {
        self.within(TransactionBehavior::Immediate, work)
    }

    /// Several reads of one and the same state.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Self) -> Result<T, StudyError>) -> Result<T, StudyError> {
        self.within(TransactionBehavior::Deferred, work)
    }

    fn within<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Self) -> Result<T, StudyError>,
    ) -> Result<T, StudyError> {
        let transaction =
            Transaction::new_unchecked(&self.connection, behavior).map_err(|source| self.error(source))?;
        let done = work(self)?;
        transaction.commit().map_err(|source| self.error(source))?;
        Ok(done)
    }

    /// Runs statements that return nothing.
    pub(crate) fn run(&self, statements: &str) -> Result<(), StudyError> {
        self.connection.execute_batch(statements).map_err(|source| self.error(source))
    }

    /// Runs one statement, prepared once, and returns how many rows it changed.
    pub(crate) fn execute(
        &self,
        statement: &str,
        values: impl rusqlite::Params,
    ) -> Result<usize, StudyError> {
        let done = self.connection.prepare_cached(statement).and_then(|mut ready| ready.execute(values));
        done.map_err(|source| self.error(source))
    }

    /// Inserts one row and returns its number.
    pub(crate) fn insert(&self, statement: &str, values: impl rusqlite::Params) -> Result<i64, StudyError> {
        self.execute(statement, values)?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The first column of the only row.
    pub(crate) fn one<T: rusqlite::types::FromSql>(&self, statement: &str) -> Result<T, StudyError> {
        let found = self.connection.query_row(statement, [], |row| row.get(0));
        found.map_err(|source| self.error(source))
    }

    /// Every row, in order.
    pub(crate) fn rows<T>(
        &self,
        statement: &str,
        values: impl rusqlite::Params,
        take: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, StudyError> {
        let mut ready = self.connection.prepare_cached(statement).map_err(|source| self.error(source))?;
        let rows = ready.query_map(values, take).map_err(|source| self.error(source))?;
        rows.collect::<Result<_, _>>().map_err(|source| self.error(source))
    }

    /// The first row, where there is one.
    pub(crate) fn first<T>(
        &self,
        statement: &str,
        values: impl rusqlite::Params,
        take: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, StudyError> {
        Ok(self.rows(statement, values, take)?.into_iter().next())
    }
}
