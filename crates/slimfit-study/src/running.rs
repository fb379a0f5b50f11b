//! A search that is not finished, as a reader of the study sees it.

use crate::natural::Natural;
use crate::{InputKind, SearchId, Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The kind of [`SearchOutline`] records; the key is the search's number.
const OUTLINE: &str = "search-outline";
/// Points that are handed out at most: more show nothing new while they still change.
const MOST_POINTS: usize = 20_000;

/// What its progress is to be read by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchOutline {
    /// Points of the space.
    pub size: Natural,
    /// What the values of a kept point are, by objective name, in order.
    pub columns: Vec<String>,
}

/// What a search that is not finished has found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningSearch {
    /// Its number.
    pub id: SearchId,
    /// When it began: UTC, `2026-01-31T12:00:00Z`.
    pub began: String,
    /// The space's name.
    pub space: Option<String>,
    /// What is minimised or maximised, in order.
    pub objectives: Vec<String>,
    /// Points of the space, where the search said.
    pub size: Option<Natural>,
    /// Passes over the space that were begun, each nearer to the exact front.
    pub passes: u64,
    /// Points of the newest pass, of all passes before where it has none: looked at, ruled out, or no models.
    pub settled: Natural,
    /// Points that were looked at one by one or measured.
    pub evaluated: Natural,
    /// Seconds at work.
    pub seconds: f64,
    /// Whether some process said within the last minute that it is at work on it.
    pub at_work: bool,
    /// Points that nothing known beats, and perhaps some more.
    pub known: u64,
    /// Values of some of them in the order of `objectives`.
    pub points: Vec<Vec<f64>>,
}

impl Study {
    /// Keeps how the progress of a search is to be read.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn outline_search(&self, search: SearchId, outline: &SearchOutline) -> Result<(), StudyError> {
        self.append(OUTLINE, &search.to_string(), outline)
    }

    /// The newest search, where it is not finished: what it has so far.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn running_search(&self) -> Result<Option<RunningSearch>, StudyError> {
        let Some(search) = self.searches()?.pop().filter(|search| !search.complete) else { return Ok(None) };
        let outline: Option<SearchOutline> = self.latest(OUTLINE, &search.id.to_string())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        let at_work = self.store.first(
            "SELECT 1 FROM worker WHERE search = ?1 AND expires >= ?2 LIMIT 1",
            params![search.id.0, now],
            |_| Ok(()),
        )?;
        let space = search.request.inputs.iter().find(|input| input.kind == InputKind::Space);
        let mut running = RunningSearch {
            id: search.id,
            began: search.began,
            space: space.map(|input| input.name.clone()),
            objectives: search.request.objectives,
            size: outline.as_ref().map(|outline| outline.size.clone()),
            passes: 0,
            settled: Natural::default(),
            evaluated: Natural::default(),
            seconds: 0.0,
            at_work: at_work.is_some(),
            known: 0,
            points: Vec::new(),
        };
        self.add_progress(&mut running, outline.as_ref())?;
        self.add_evaluated(&mut running)?;
        Ok(Some(running))
    }

    /// What the workers of a search by bounds kept.
    fn add_progress(
        &self,
        running: &mut RunningSearch,
        outline: Option<&SearchOutline>,
    ) -> Result<(), StudyError> {
        let parts = self.progress(running.id)?.unwrap_or_default();
        let newest = parts.iter().map(|part| part.passes.len()).max().unwrap_or(0);
        running.passes = newest as u64;
        let places: Option<Vec<usize>> = outline.and_then(|outline| {
            let place = |name: &String| outline.columns.iter().position(|column| column == name);
            running.objectives.iter().map(place).collect()
        });
        for part in parts {
            running.seconds += part.seconds;
            if let Some(counts) = newest.checked_sub(1).and_then(|pass| part.passes.get(pass)) {
                running.evaluated.add(&counts.evaluated);
                running.settled.add(&counts.evaluated);
                for count in counts.invalid.values().chain(counts.pruned.values()) {
                    running.settled.add(count);
                }
            }
            running.known += part.archive.len() as u64;
            let Some(places) = &places else { continue };
            // Every n-th, so that all regions of a large front are seen.
            let step = part.archive.len().div_ceil(MOST_POINTS).max(1);
            for (_, values) in part.archive.iter().step_by(step) {
                let of = |place: &usize| values.get(*place).copied().unwrap_or(f64::NAN);
                running.points.push(places.iter().map(of).collect());
            }
        }
        Ok(())
    }

    /// What a search that looks at points one by one kept.
    fn add_evaluated(&self, running: &mut RunningSearch) -> Result<(), StudyError> {
        for evaluation in self.evaluations(running.id)? {
            running.evaluated.add(&Natural::from(1_u64));
            running.settled.add(&Natural::from(1_u64));
            let values: Option<Vec<f64>> =
                running.objectives.iter().map(|name| evaluation.values.get(name).copied()).collect();
            if let Some(values) = values.filter(|_| evaluation.feasible) {
                running.known += 1;
                running.points.push(values);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, LEASE, PassCounts, PointSet, SearchProgress, SearchRequest};

    fn request() -> SearchRequest {
        SearchRequest {
            program_version: "1".to_owned(),
            inputs: vec![crate::Input::new(InputKind::Space, "tiny", "axes")],
            engine: "slimfit".to_owned(),
            tokens: 1,
            objectives: vec!["tpot_seconds".to_owned(), "loss".to_owned()],
            limits: Vec::new(),
            seed: 0,
            sample: 0,
            settings: String::new(),
        }
    }

    #[test]
    fn a_search_at_work_shows_its_points_in_the_order_of_its_objectives() {
        let folder = tempfile::tempdir().unwrap();
        let study = Study::create(folder.path()).unwrap();
        assert_eq!(study.running_search().unwrap(), None);
        let search = study.begin_search(&request()).unwrap().id;
        let outline = SearchOutline {
            size: Natural::from(10_u64),
            columns: ["loss", "memory_bytes", "tpot_seconds"].map(str::to_owned).to_vec(),
        };
        study.outline_search(search, &outline).unwrap();
        let begun = study.running_search().unwrap().unwrap();
        assert_eq!((begun.space.as_deref(), begun.at_work, begun.known), (Some("tiny"), false, 0));

        let mut worker = study.join_search(search, 4, LEASE).unwrap();
        let Claim::Units(done) = worker.claim(2).unwrap() else { panic!("there are units") };
        let mut archive = PointSet::new(3);
        archive.push(Natural::from(7_u64), &[3.0, 100.0, 0.01]);
        let counts = PassCounts {
            evaluated: Natural::from(3_u64),
            pruned: [("bound".to_owned(), Natural::from(2_u64))].into(),
            ..PassCounts::default()
        };
        let progress =
            SearchProgress { done, passes: vec![counts], archive, seconds: 1.5, ..SearchProgress::default() };
        worker.save(&progress).unwrap();
        let running = study.running_search().unwrap().unwrap();
        assert_eq!(running.points, [[0.01, 3.0]]);
        assert_eq!((running.settled, running.evaluated), (Natural::from(5_u64), Natural::from(3_u64)));
        assert_eq!((running.size, running.passes, running.seconds), (Some(Natural::from(10_u64)), 1, 1.5));
        assert!(running.at_work);
    }
}
