//! What one worker of a search has gathered.

use crate::SearchError;
use crate::archive::{Archive, Exchange, Found};
use crate::{Invalid, Metric};
use slimfit_study::{BoundCount, Natural, PassCounts, ReasonCount};
use std::collections::BTreeMap;

/// Why points were not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    /// A point that was seen dominates a lower bound of all of them.
    Dominated,
    /// A point that was seen is within the allowed distance of a lower bound of all of them.
    WithinEpsilon,
    /// A lower bound of all of them breaks a limit.
    Limit,
}

impl Bound {
    const ALL: [Self; 3] = [Self::Dominated, Self::WithinEpsilon, Self::Limit];

    const fn name(self) -> &'static str {
        match self {
            Self::Dominated => "dominated",
            Self::WithinEpsilon => "within epsilon",
            Self::Limit => "limit",
        }
    }
}

/// Where points went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    evaluated: u64,
    invalid: BTreeMap<Invalid, u64>,
    pruned: BTreeMap<Bound, u64>,
}

impl Counts {
    /// All points that were counted.
    pub(crate) fn total(&self) -> u64 {
        self.evaluated + self.invalid.values().sum::<u64>() + self.pruned.values().sum::<u64>()
    }

    /// Adds others.
    pub(crate) fn add(&mut self, other: Self) {
        self.evaluated += other.evaluated;
        for (reason, count) in other.invalid {
            *self.invalid.entry(reason).or_insert(0) += count;
        }
        for (bound, count) in other.pruned {
            *self.pruned.entry(bound).or_insert(0) += count;
        }
    }

    /// As a journal keeps them.
    pub(crate) fn record(&self) -> PassCounts {
        let named = |(name, count): (&str, &u64)| (name.to_owned(), Natural::from(*count));
        PassCounts {
            evaluated: Natural::from(self.evaluated),
            invalid: self.invalid.iter().map(|(reason, count)| named((reason.reason(), count))).collect(),
            pruned: self.pruned.iter().map(|(bound, count)| named((bound.name(), count))).collect(),
        }
    }

    /// What a journal kept.
    ///
    /// # Errors
    /// When no search of this version counts so.
    pub(crate) fn read(kept: &PassCounts) -> Result<Self, SearchError> {
        let count = |count: &Natural| {
            let number = count.to_u128().and_then(|count| u64::try_from(count).ok());
            number.ok_or_else(|| SearchError::Kept(format!("{count} points are more than a space has")))
        };
        let mut counts = Self { evaluated: count(&kept.evaluated)?, ..Self::default() };
        for (reason, number) in &kept.invalid {
            counts.invalid.insert(Invalid::owned(reason.clone()), count(number)?);
        }
        for (name, number) in &kept.pruned {
            let bound = Bound::ALL.into_iter().find(|bound| bound.name() == name);
            let bound = bound
                .ok_or_else(|| SearchError::Kept(format!("points were ruled out by the bound `{name}`")))?;
            counts.pruned.insert(bound, count(number)?);
        }
        Ok(counts)
    }
}

/// The front so far, where every point went, and the nearest miss.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) archive: Archive,
    pub(crate) evaluated: u64,
    invalid: BTreeMap<Invalid, u64>,
    pruned: BTreeMap<Bound, u64>,
    /// How far the point that comes nearest to all limits lies beyond its worst one, as a logarithm, and the point.
    pub(crate) miss: Option<(f64, Found)>,
}

impl Tally {
    pub(crate) fn new(objectives: &[Metric]) -> Self {
        Self {
            archive: Archive::new(objectives),
            evaluated: 0,
            invalid: BTreeMap::new(),
            pruned: BTreeMap::new(),
            miss: None,
        }
    }

    /// Counts points that are none.
    pub(crate) fn refuse(&mut self, reason: Invalid, count: u64) {
        *self.invalid.entry(reason).or_insert(0) += count;
    }

    /// Counts points that were ruled out unseen.
    pub(crate) fn rule_out(&mut self, bound: Bound, count: u64) {
        *self.pruned.entry(bound).or_insert(0) += count;
    }

    /// Takes what was counted since this was last asked.
    pub(crate) fn take_counts(&mut self) -> Counts {
        Counts {
            evaluated: std::mem::take(&mut self.evaluated),
            invalid: std::mem::take(&mut self.invalid),
            pruned: std::mem::take(&mut self.pruned),
        }
    }

    /// Adds what was counted.
    pub(crate) fn absorb_counts(&mut self, counts: Counts) {
        self.evaluated += counts.evaluated;
        for (reason, count) in counts.invalid {
            self.refuse(reason, count);
        }
        for (bound, count) in counts.pruned {
            self.rule_out(bound, count);
        }
    }

    /// All points that were counted.
    pub(crate) fn counted(&self) -> u64 {
        self.evaluated + self.invalid() + self.pruned.values().sum::<u64>()
    }

    /// Counts a point and keeps what it shows.
    pub(crate) fn add(&mut self, found: Found, limits: &[(Metric, f64)], told: Option<(&Exchange, usize)>) {
        self.evaluated += 1;
        self.offer(found, limits, told);
    }

    /// Keeps what a point shows: on the front, or as the nearest miss.
    pub(crate) fn offer(&mut self, found: Found, limits: &[(Metric, f64)], told: Option<(&Exchange, usize)>) {
        let excess =
            limits.iter().map(|(metric, limit)| metric.excess(found.values[metric.column()], *limit));
        let worst = excess.fold(f64::NEG_INFINITY, f64::max);
        if worst > 0.0 {
            self.offer_miss((worst, found));
        } else {
            self.archive.offer(found, told);
        }
    }

    fn offer_miss(&mut self, miss: (f64, Found)) {
        let nearer = |best: &(f64, Found)| (miss.0, miss.1.index) < (best.0, best.1.index);
        if self.miss.as_ref().is_none_or(nearer) {
            self.miss = Some(miss);
        }
    }

    /// Joins what another worker gathered.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.archive.absorb(other.archive);
        self.evaluated += other.evaluated;
        for (reason, count) in other.invalid {
            self.refuse(reason, count);
        }
        for (bound, count) in other.pruned {
            self.rule_out(bound, count);
        }
        if let Some(miss) = other.miss {
            self.offer_miss(miss);
        }
    }

    /// Points that are none.
    pub(crate) fn invalid(&self) -> u64 {
        self.invalid.values().sum()
    }

    /// Points that are none, by reason.
    pub(crate) fn invalid_by(&self) -> Vec<ReasonCount> {
        let each = self.invalid.iter();
        each.map(|(invalid, count)| ReasonCount {
            reason: invalid.reason().to_owned(),
            count: (*count).into(),
        })
        .collect()
    }

    /// Points that were ruled out unseen, by bound.
    pub(crate) fn pruned(&self) -> Vec<BoundCount> {
        let each = self.pruned.iter();
        each.map(|(bound, count)| BoundCount { bound: bound.name().to_owned(), count: (*count).into() })
            .collect()
    }
}
