//! Where a search keeps how far it is: what was done before it was killed, and what others at work on it do, is not done
//! again.

use slimfit_study::{Claim, News, SaveOutcome, SearchProgress, StudyError, Worker};
use std::time::Duration;

/// One process's hand in the record of a search.
///
/// A search is cut into units, numbered from 0 in the order of their promise. A process claims units, searches them, and
/// saves all that it knows from time to time: units that are done, with what became of their points, and the points that
/// ruled out others. What a unit's points came to, and the points that were needed to tell, are saved in one step or not
/// at all.
pub trait Journal: Send {
    /// What this process kept, and what it took over from dead ones: parts whose units are disjoint.
    ///
    /// # Errors
    /// When it cannot be read.
    fn progress(&mut self) -> Result<Vec<SearchProgress>, StudyError>;

    /// Claims up to so many units.
    ///
    /// # Errors
    /// When it cannot be written.
    fn claim(&mut self, count: u64) -> Result<Claim, StudyError>;

    /// Keeps all that this process knows: what [`progress`](Self::progress) gave, and what it did since.
    ///
    /// # Errors
    /// When it cannot be written.
    fn save(&mut self, progress: &SearchProgress) -> Result<SaveOutcome, StudyError>;

    /// What others kept since this was last asked.
    ///
    /// # Errors
    /// When it cannot be read.
    fn news(&mut self) -> Result<Option<News>, StudyError>;

    /// What others kept: parts whose units are disjoint. `None` where another process finished the search.
    ///
    /// # Errors
    /// When it cannot be read.
    fn others(&self) -> Result<Option<Vec<SearchProgress>>, StudyError>;

    /// Whether another process is at work on the search.
    ///
    /// # Errors
    /// When it cannot be read.
    fn has_company(&self) -> Result<bool, StudyError>;

    /// The least time between two saves. They are further apart where they take long.
    fn interval(&self) -> Duration {
        Duration::from_millis(300)
    }
}

impl Journal for Worker {
    fn progress(&mut self) -> Result<Vec<SearchProgress>, StudyError> {
        Self::progress(self)
    }

    fn claim(&mut self, count: u64) -> Result<Claim, StudyError> {
        Self::claim(self, count)
    }

    fn save(&mut self, progress: &SearchProgress) -> Result<SaveOutcome, StudyError> {
        Self::save(self, progress)
    }

    fn news(&mut self) -> Result<Option<News>, StudyError> {
        Self::news(self)
    }

    fn others(&self) -> Result<Option<Vec<SearchProgress>>, StudyError> {
        Self::others(self)
    }

    fn has_company(&self) -> Result<bool, StudyError> {
        Self::has_company(self)
    }
}

/// A search that was begun before, or that another process is at work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenUp {
    /// Points that were looked at or ruled out in the first pass that is not whole.
    pub visited: u64,
    /// Points in the space.
    pub size: u64,
    /// That pass, counted from 1.
    pub pass: usize,
    /// How many passes there are.
    pub passes: usize,
    /// Whether another process is at work on it now.
    pub has_company: bool,
}
