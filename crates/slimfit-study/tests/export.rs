//! What is exported is what the study holds, in every format.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod made_up;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use slimfit_study::{Evaluation, ExportFormat, ExportTable, Findings, Natural, Study, Table, Values};
use std::collections::BTreeMap;

/// A study with a front, a sample and evaluations.
fn study(folder: &std::path::Path) -> Study {
    let study = Study::create(folder).unwrap();
    let front = made_up::front(40);
    let indices: Vec<Natural> = (0..40_u64).map(|place| Natural::from(u128::from(place) << 80)).collect();
    let search = study.begin_search(&made_up::request(1)).unwrap();
    let evaluations = [
        Evaluation {
            id: "00000000000a".to_owned(),
            index: Some(Natural::from(7_u64)),
            values: BTreeMap::from([("loss".to_owned(), 3.25)]),
            predicted: BTreeMap::from([("loss".to_owned(), 3.125)]),
            failure: None,
            feasible: true,
        },
        Evaluation {
            id: "00000000000b".to_owned(),
            index: None,
            values: BTreeMap::from([("loss".to_owned(), 3.5), ("tpot_seconds".to_owned(), 0.01)]),
            predicted: BTreeMap::new(),
            failure: None,
            feasible: false,
        },
        Evaluation {
            id: "00000000000c".to_owned(),
            index: Some(Natural::from(9_u64)),
            values: BTreeMap::new(),
            predicted: BTreeMap::from([("loss".to_owned(), 3.0)]),
            failure: Some("it diverged".to_owned()),
            feasible: false,
        },
    ];
    study.add_evaluations(search.id, &evaluations).unwrap();
    assert_eq!(study.evaluations(search.id).unwrap(), evaluations);
    let cloud = made_up::cloud(25);
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &indices,
        cloud: &cloud,
        explanations: &[],
        references: &[],
    };
    study.finish_search(search.id, &findings).unwrap();
    study
}

fn bytes(table: &Table, format: ExportFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.write(format, &mut bytes).unwrap();
    bytes
}

/// Each cell as text, empty where there is none.
fn cells(table: &Table) -> Vec<Vec<String>> {
    let cell = |values: &Values, row: usize| match values {
        Values::Text(values) => values[row].clone().unwrap_or_default(),
        Values::Integer(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
        Values::Real(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
        Values::Flag(values) => values[row].map(|value| value.to_string()).unwrap_or_default(),
    };
    (0..table.rows())
        .map(|row| table.columns.iter().map(|column| cell(&column.values, row)).collect())
        .collect()
}

#[test]
fn every_table_comes_back_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    for (name, rows) in [(ExportTable::Front, 40), (ExportTable::Sample, 25), (ExportTable::Evaluations, 3)] {
        let table = study.table(name, None).unwrap();
        assert_eq!(table.rows(), rows, "{}", table.name);
        let (names, cells): (Vec<&str>, _) =
            (table.columns.iter().map(|column| column.name.as_str()).collect(), cells(&table));

        let text = bytes(&table, ExportFormat::Csv);
        let mut read = csv::Reader::from_reader(text.as_slice());
        assert_eq!(read.headers().unwrap(), names);
        let back: Vec<Vec<String>> =
            read.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(back, cells);

        let object: serde_json::Value = serde_json::from_slice(&bytes(&table, ExportFormat::Json)).unwrap();
        assert_eq!(object["table"], table.name);
        let back: Vec<Vec<String>> = object["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let cell = |name: &&str| match &row[*name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Number(number) if number.is_f64() => {
                        number.as_f64().unwrap().to_string()
                    }
                    other => other.to_string(),
                };
                names.iter().map(cell).collect()
            })
            .collect();
        assert_eq!(back, cells);

        let file =
            SerializedFileReader::new(bytes::Bytes::from(bytes(&table, ExportFormat::Parquet))).unwrap();
        assert_eq!(file.metadata().file_metadata().num_rows(), rows as i64);
        let back: Vec<Vec<String>> = file
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                assert!(row.get_column_iter().map(|(name, _)| name.as_str()).eq(names.iter().copied()));
                row.get_column_iter()
                    .map(|(_, field)| match field {
                        Field::Null => String::new(),
                        Field::Str(text) => text.clone(),
                        Field::Double(value) => value.to_string(),
                        Field::Long(value) => value.to_string(),
                        Field::Bool(value) => value.to_string(),
                        other => panic!("a field that no column has: {other:?}"),
                    })
                    .collect()
            })
            .collect();
        assert_eq!(back, cells);
    }
}

#[test]
fn measured_values_predictions_and_failures_have_columns_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let table = study(folder.path()).table(ExportTable::Evaluations, None).unwrap();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "index", "loss", "tpot_seconds", "predicted_loss", "failure", "feasible"]);
    let cells = cells(&table);
    assert_eq!(cells[0], ["00000000000a", "7", "3.25", "", "3.125", "", "true"]);
    assert_eq!(cells[2], ["00000000000c", "9", "", "", "3", "it diverged", "false"]);
}

#[test]
fn a_table_larger_than_a_row_group_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let (front, cloud) = (made_up::front(1), made_up::cloud(140_000));
    let search = study.begin_search(&made_up::request(1)).unwrap();
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &[],
        cloud: &cloud,
        explanations: &[],
        references: &[],
    };
    study.finish_search(search.id, &findings).unwrap();
    let table = study.table(ExportTable::Sample, Some(search.id)).unwrap();
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes(&table, ExportFormat::Parquet))).unwrap();
    assert_eq!(file.num_row_groups(), 2);
    let last = file.get_row_iter(None).unwrap().last().unwrap().unwrap();
    let Some((_, Field::Double(parameters))) = last.get_column_iter().next() else { panic!("a number") };
    assert_eq!(*parameters, cloud.last().unwrap().parameters);
}

#[test]
fn a_study_without_such_rows_exports_none_and_an_unknown_search_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    for table in ExportTable::ALL {
        let table = study.table(table, None).unwrap();
        assert_eq!(table.rows(), 0);
        for format in ExportFormat::ALL {
            bytes(&table, format);
        }
    }
    let error = study.table(ExportTable::Front, Some(slimfit_study::SearchId(4))).unwrap_err();
    assert!(error.to_string().contains("no search 4"), "{error}");
}

#[test]
fn contents_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    study.append("note", "", &1).unwrap();
    study.append("note", "", &2).unwrap();
    let contents = study.contents().unwrap();
    let [search] = contents.searches.as_slice() else { panic!("one search") };
    assert_eq!((search.sample_points, search.evaluations, search.units_done), (25, 3, 0));
    assert_eq!(search.search.head.as_ref().unwrap().front_size, 40);
    assert!(contents.store_bytes > 0 && contents.store_version == 2);
    assert_eq!(contents.inputs.len(), 2);
    let notes: Vec<u64> =
        contents.records.iter().filter(|record| record.kind == "note").map(|record| record.count).collect();
    assert_eq!(notes, [2]);
}
