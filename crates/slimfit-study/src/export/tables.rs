//! The tables of a study, column by column.

use super::{Column, ExportTable, Table, Values};
use crate::natural::Natural;
use crate::study::from_json;
use crate::{Front, FrontPoint, Measurement, RunFigures, SearchId, Study, StudyError};
use slimfit_quantity::{Figure, Source};
use std::collections::BTreeSet;

type TakeFigure = fn(&RunFigures) -> &Figure;

impl Study {
    /// A table of one search, or of the newest that has one. Measurements are of the study: every one, repeated ones
    /// included.
    ///
    /// # Errors
    /// When the store cannot be read, or the study has no such search.
    pub fn table(&self, table: ExportTable, search: Option<SearchId>) -> Result<Table, StudyError> {
        if table == ExportTable::Measurements {
            return self.measurement_table();
        }
        let search = match search {
            Some(search) => {
                crate::searches::check(&self.store, search)?;
                Some(search)
            }
            None => self.newest_for(table)?,
        };
        let Some(search) = search else { return Ok(Table::new(table.name(), 0, Vec::new())) };
        match table {
            ExportTable::Front => self.front_table(search),
            ExportTable::Sample => self.sample_table(search),
            ExportTable::Evaluations | ExportTable::Measurements => self.evaluation_table(search),
        }
    }

    fn newest_for(&self, table: ExportTable) -> Result<Option<SearchId>, StudyError> {
        let statement = match table {
            ExportTable::Evaluations => "SELECT search FROM evaluation ORDER BY sequence DESC LIMIT 1",
            _ => "SELECT search FROM finding ORDER BY id DESC LIMIT 1",
        };
        self.store.first(statement, [], |row| row.get(0).map(SearchId))
    }

    fn front_table(&self, search: SearchId) -> Result<Table, StudyError> {
        let Some(front) = self.front_of(search)? else {
            return Ok(Table::new(ExportTable::Front.name(), 0, Vec::new()));
        };
        let indices = self.indices_of(search)?;
        Ok(front_columns(&front, &indices))
    }

    fn sample_table(&self, search: SearchId) -> Result<Table, StudyError> {
        let Some((head, cloud)) = self.cloud_of(search)? else {
            return Ok(Table::new(ExportTable::Sample.name(), 0, Vec::new()));
        };
        let mut columns = vec![real("parameters", cloud.iter().map(|point| Some(point.parameters)))];
        for (place, objective) in head.objectives.iter().enumerate() {
            let values = cloud.iter().map(|point| point.objectives.get(place).copied());
            columns.push(real(&objective.name, values));
        }
        Ok(Table::new(ExportTable::Sample.name(), cloud.len(), columns))
    }

    fn evaluation_table(&self, search: SearchId) -> Result<Table, StudyError> {
        let evaluations = self.evaluations(search)?;
        let names: BTreeSet<&String> =
            evaluations.iter().flat_map(|evaluation| evaluation.values.keys()).collect();
        let mut columns = vec![
            text("id", evaluations.iter().map(|evaluation| Some(evaluation.id.clone()))),
            text(
                "index",
                evaluations.iter().map(|evaluation| evaluation.index.as_ref().map(Natural::to_string)),
            ),
        ];
        for name in names {
            columns
                .push(real(name, evaluations.iter().map(|evaluation| evaluation.values.get(name).copied())));
        }
        let predicted: BTreeSet<&String> =
            evaluations.iter().flat_map(|evaluation| evaluation.predicted.keys()).collect();
        for name in predicted {
            let values = evaluations.iter().map(|evaluation| evaluation.predicted.get(name).copied());
            columns.push(real(&format!("predicted_{name}"), values));
        }
        if evaluations.iter().any(|evaluation| evaluation.failure.is_some()) {
            columns.push(text("failure", evaluations.iter().map(|evaluation| evaluation.failure.clone())));
        }
        columns.push(flag("feasible", evaluations.iter().map(|evaluation| evaluation.feasible)));
        Ok(Table::new(ExportTable::Evaluations.name(), evaluations.len(), columns))
    }

    fn measurement_table(&self) -> Result<Table, StudyError> {
        let rows = self.store.rows(
            "SELECT json, written FROM record WHERE kind = 'measurement' ORDER BY sequence",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )?;
        let mut runs: Vec<(Measurement, String)> = Vec::with_capacity(rows.len());
        for (json, written) in rows {
            runs.push((from_json(&self.store, "measurement", &json)?, written));
        }
        let of = |take: fn(&Measurement) -> Option<String>| runs.iter().map(move |(run, _)| take(run));
        let count = |take: fn(&Measurement) -> u64| runs.iter().map(move |(run, _)| take(run));
        let mut columns = vec![
            text("id", of(|run| Some(run.id.clone()))),
            text("name", of(|run| run.name.clone())),
            text("written", runs.iter().map(|(_, written)| Some(written.clone()))),
            text(
                "engine",
                of(|run| run.engine.as_ref().map(|engine| format!("{} {}", engine.name, engine.version))),
            ),
            text("isa", of(|run| Some(run.isa.clone()))),
            text("weights", of(|run| Some(run.weights.name().to_owned()))),
            text("kv", of(|run| Some(run.kv.name().to_owned()))),
            integer("parameters", count(|run| run.architecture.parameters().total)),
            integer("threads", count(|run| u64::from(run.threads))),
            integer("prompt_tokens", count(|run| run.prompt_tokens)),
            integer("generated_tokens", count(|run| run.generated_tokens)),
            integer("depth_tokens", count(|run| run.depth_tokens)),
        ];
        let figures: [(&str, TakeFigure); 6] = [
            ("prefill_tokens_per_s", |run| &run.prefill_tokens_per_s),
            ("decode_tokens_per_s", |run| &run.decode_tokens_per_s),
            ("ttft_seconds", |run| &run.ttft_seconds),
            ("tpot_seconds", |run| &run.tpot_seconds),
            ("peak_memory_bytes", |run| &run.peak_memory_bytes),
            ("joules_per_token", |run| &run.joules_per_token),
        ];
        for (name, figure) in figures {
            let measured = || runs.iter().map(|(run, _)| figure(&run.measured));
            let predicted = || runs.iter().map(|(run, _)| figure(&run.predicted));
            columns.push(real(&format!("measured_{name}"), measured().map(|figure| figure.value)));
            columns.push(real(&format!("measured_{name}_low"), measured().map(|figure| figure.low)));
            columns.push(real(&format!("measured_{name}_high"), measured().map(|figure| figure.high)));
            columns.push(integer(&format!("measured_{name}_n"), measured().map(|figure| figure.n)));
            columns.push(real(&format!("predicted_{name}"), predicted().map(|figure| figure.value)));
            columns.push(real(&format!("predicted_{name}_low"), predicted().map(|figure| figure.low)));
            columns.push(real(&format!("predicted_{name}_high"), predicted().map(|figure| figure.high)));
        }
        Ok(Table::new(ExportTable::Measurements.name(), runs.len(), columns))
    }
}

/// The columns of `front.csv`, and where each point lies in its space.
fn front_columns(front: &Front, indices: &[Natural]) -> Table {
    let points = &front.points;
    let count = |take: fn(&FrontPoint) -> u64| points.iter().map(take);
    let name = |take: fn(&FrontPoint) -> String| points.iter().map(move |point| Some(take(point)));
    let mut columns = vec![
        text("id", name(|point| point.id.clone())),
        text("index", (0..points.len()).map(|place| indices.get(place).map(Natural::to_string))),
        integer("layers", count(|point| point.architecture.depth())),
        integer("hidden_size", count(|point| point.architecture.hidden_size)),
        integer("vocabulary_size", count(|point| point.architecture.vocabulary_size)),
        flag("tied_embeddings", points.iter().map(|point| point.architecture.tied_embeddings)),
        text("weights", name(|point| point.weights.name().to_owned())),
        text("kv", name(|point| point.kv.name().to_owned())),
        integer("parameters", count(|point| point.parameters.total)),
        integer("non_embedding", count(|point| point.parameters.non_embedding)),
        integer("active", count(|point| point.parameters.active)),
        integer("threads", count(|point| u64::from(point.threads))),
    ];
    for objective in &front.head.objectives {
        let key = &objective.name;
        let interval = |point: &FrontPoint| point.intervals.get(key).copied();
        columns.push(real(key, points.iter().map(|point| point.objectives.get(key).copied())));
        let low = points.iter().map(|point| interval(point).map(|interval| interval.low));
        columns.push(real(&format!("{key}_low"), low));
        let high = points.iter().map(|point| interval(point).map(|interval| interval.high));
        columns.push(real(&format!("{key}_high"), high));
    }
    columns.push(integer("tie_group", count(|point| point.tie_group)));
    columns.push(flag("representative", points.iter().map(|point| point.representative)));
    columns.push(text("picks", name(|point| point.picks.join(" "))));
    columns.push(text("flags", name(|point| point.flags.join(" "))));
    columns.push(text("measured", name(measured)));
    for place in 0..front.head.profiles.len() {
        let threads =
            points.iter().map(|point| point.by_device.get(place).map_or(0, |on| u64::from(on.threads)));
        columns.push(integer(&format!("threads@{}", place + 1), threads));
        for key in front.worst_of_devices() {
            let own = |point: &FrontPoint| point.by_device.get(place)?.objectives.get(key).copied();
            columns.push(real(&format!("{key}@{}", place + 1), points.iter().map(own)));
        }
    }
    Table::new(ExportTable::Front.name(), points.len(), columns)
}

/// Names of objectives that are measured.
fn measured(point: &FrontPoint) -> String {
    let names = point.sources.iter().filter(|(_, source)| **source == Source::Measured);
    names.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
}

fn text(name: &str, values: impl Iterator<Item = Option<String>>) -> Column {
    Column { name: name.to_owned(), values: Values::Text(values.collect()) }
}

fn integer(name: &str, values: impl Iterator<Item = u64>) -> Column {
    let values =
        values.map(|value| Some(i64::try_from(value).expect("the store's own counts are below 2⁶³")));
    Column { name: name.to_owned(), values: Values::Integer(values.collect()) }
}

fn real(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column { name: name.to_owned(), values: Values::Real(values.collect()) }
}

fn flag(name: &str, values: impl Iterator<Item = bool>) -> Column {
    Column { name: name.to_owned(), values: Values::Flag(values.map(Some).collect()) }
}
