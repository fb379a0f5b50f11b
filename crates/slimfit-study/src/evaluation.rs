//! Evaluations of searches that look at points one by one: each is kept.

use crate::natural::Natural;
use crate::study::{from_json, to_json};
use crate::{SearchId, Study, StudyError};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One point that was evaluated on its own: by an evolutionary search, or measured on the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The id of its architecture.
    pub id: String,
    /// Where it lies in the space, where it has a place there.
    pub index: Option<Natural>,
    /// What was found, by objective name; of a point that was measured, what was measured.
    pub values: BTreeMap<String, f64>,
    /// Of a point that was measured, what the model says of the same objectives.
    pub predicted: BTreeMap<String, f64>,
    /// Why it could not be evaluated; it has no values then.
    pub failure: Option<String>,
    /// Whether it keeps every limit.
    pub feasible: bool,
}

#[derive(Serialize, Deserialize)]
struct Values {
    values: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    predicted: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    feasible: bool,
}

impl Study {
    /// Keeps evaluations of a search, all of them or none.
    ///
    /// # Errors
    /// When there is no such search, or the store cannot be written.
    pub fn add_evaluations(&self, search: SearchId, evaluations: &[Evaluation]) -> Result<(), StudyError> {
        self.store.write(|store| {
            crate::searches::check(store, search)?;
            for evaluation in evaluations {
                let Evaluation { values, predicted, failure, feasible, .. } = evaluation.clone();
                let values = Values { values, predicted, failure, feasible };
                store.execute(
                    "INSERT INTO evaluation (search, point, id, json) VALUES (?1, ?2, ?3, ?4)",
                    params![
                        search.0,
                        evaluation.index.as_ref().map(Natural::bytes),
                        evaluation.id,
                        to_json(store, "evaluation", &values)?
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// Every evaluation of a search, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn evaluations(&self, search: SearchId) -> Result<Vec<Evaluation>, StudyError> {
        let rows = self.store.rows(
            "SELECT id, point, json FROM evaluation WHERE search = ?1 ORDER BY sequence",
            params![search.0],
            |row| Ok((row.get(0)?, row.get::<_, Option<Vec<u8>>>(1)?, row.get::<_, String>(2)?)),
        )?;
        rows.into_iter()
            .map(|(id, point, json)| {
                let Values { values, predicted, failure, feasible } =
                    from_json(&self.store, "evaluation", &json)?;
                let index = point.map(|bytes| Natural::from_bytes(&bytes));
                Ok(Evaluation { id, index, values, predicted, failure, feasible })
            })
            .collect()
    }
}
