//! What a study keeps comes back, and nothing that was found is ever changed.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod made_up;

use made_up::{cloud, explanation, front, reference, request};
use rusqlite::Connection;
use slimfit_study::{Findings, Front, InputKind, Natural, SearchId, Study, StudyError};
use std::path::Path;

fn findings<'a>(front: &'a Front, indices: &'a [Natural]) -> Findings<'a> {
    Findings {
        front,
        complete: front.head.unvisited == 0,
        indices,
        cloud: &[],
        explanations: &[],
        references: &[],
    }
}

fn read_json(path: &Path) -> Front {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_front_comes_back_as_it_was_and_lies_in_the_folder_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let (front, cloud) = (front(300), cloud(50));
    let huge: Natural = format!("7{}", "0".repeat(61)).parse().unwrap();
    let indices: Vec<Natural> = (0..300_u64)
        .map(|place| if place == 7 { huge.clone() } else { Natural::from(place * place) })
        .collect();
    let search = study.begin_search(&request(1)).unwrap();
    let kept = Findings {
        front: &front,
        complete: true,
        indices: &indices,
        cloud: &cloud,
        explanations: &[explanation("a"), explanation("b")],
        references: &[reference("public")],
    };
    study.finish_search(search.id, &kept).unwrap();
    drop(study);
    let study = Study::open(folder.path()).unwrap();
    study.check().unwrap();
    assert!(study.front().unwrap().unwrap() == front);
    assert_eq!(study.head().unwrap().unwrap(), front.head);
    assert_eq!(study.indices_of(search.id).unwrap(), indices);
    assert_eq!(study.cloud().unwrap(), cloud);
    assert_eq!(study.explanations().unwrap(), kept.explanations);
    assert_eq!(study.references().unwrap(), kept.references);
    assert!(read_json(&folder.path().join("front.json")) == front);
    let csv = std::fs::read_to_string(folder.path().join("front.csv")).unwrap();
    assert_eq!(csv, slimfit_study::front_csv(&front));
    assert_eq!(csv.lines().count(), 301);
    let space = std::fs::read_to_string(study.input(InputKind::Space)).unwrap();
    assert_eq!(space, "schema: space\n");
}

#[test]
fn a_front_without_points_comes_back_and_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let empty = front(0);
    let search = study.begin_search(&request(1)).unwrap();
    study.finish_search(search.id, &findings(&empty, &[])).unwrap();
    assert!(study.front().unwrap().unwrap() == empty);
    assert!(read_json(&folder.path().join("front.json")) == empty);
    assert!(study.indices_of(search.id).unwrap().is_empty());
}

#[test]
fn a_second_search_stands_beside_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let (small, large) = (front(5), front(9));
    let first = study.begin_search(&request(1)).unwrap();
    study.finish_search(first.id, &findings(&small, &[])).unwrap();
    let second = study.begin_search(&request(2)).unwrap();
    assert_ne!(first.id, second.id);
    assert!(study.front().unwrap().unwrap() == small, "a search that only began shows nothing yet");
    study.finish_search(second.id, &findings(&large, &[])).unwrap();
    assert!(study.front().unwrap().unwrap() == large);
    assert!(study.front_of(first.id).unwrap().unwrap() == small);
    let searches = study.searches().unwrap();
    assert_eq!(searches.iter().map(|search| search.request.seed).collect::<Vec<_>>(), [1, 2]);
    assert!(searches.iter().all(|search| search.complete && search.request.inputs.len() == 2));
    assert_eq!(study.inputs().unwrap().len(), 2, "equal inputs are kept once");
    let input = &study.inputs().unwrap()[0];
    assert_eq!(study.input_text(input).unwrap().as_deref(), Some("schema: profile\n"));
}

#[test]
fn an_unfinished_search_is_taken_up_and_a_finished_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let begun = study.begin_search(&request(1)).unwrap();
    assert!(!begun.resumed);
    let again = study.begin_search(&request(1)).unwrap();
    assert_eq!((again.id, again.resumed), (begun.id, true));
    let mut stopped = front(3);
    stopped.head.unvisited = Natural::from(10_u64);
    study.finish_search(begun.id, &findings(&stopped, &[])).unwrap();
    assert!(study.begin_search(&request(1)).unwrap().resumed, "what was stopped goes on");
    let whole = front(4);
    study.finish_search(begun.id, &findings(&whole, &[])).unwrap();
    // Another process that ends the same search later changes nothing.
    study.finish_search(begun.id, &findings(&front(8), &[])).unwrap();
    assert!(study.front().unwrap().unwrap() == whole);
    assert!(!study.begin_search(&request(1)).unwrap().resumed);
}

#[test]
fn rows_that_tell_what_was_found_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let search = study.begin_search(&request(1)).unwrap();
    study.finish_search(search.id, &findings(&front(3), &[])).unwrap();
    study.append("note", "", &1).unwrap();
    let other = Connection::open(folder.path().join("study.sqlite")).unwrap();
    for change in [
        "UPDATE front_point SET threads = 9",
        "DELETE FROM record",
        "DELETE FROM search",
        "UPDATE input SET text = ''",
    ] {
        let error = other.execute(change, []).unwrap_err().to_string();
        assert!(error.contains("only ever added"), "{change}: {error}");
    }
    let orphan = "INSERT INTO finding (search, complete, head) VALUES (99, 0, '{}')";
    other.pragma_update(None, "foreign_keys", true).unwrap();
    assert!(other.execute(orphan, []).unwrap_err().to_string().contains("FOREIGN KEY"));
}

#[test]
fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let good = front(3);
    let missing = study.finish_search(SearchId(7), &findings(&good, &[])).unwrap_err();
    assert!(matches!(missing, StudyError::NoSearch { found: 7, .. }), "{missing}");
    let search = study.begin_search(&request(1)).unwrap();
    let mut foreign = front(3);
    foreign.points[2].objectives.insert("beauty".to_owned(), 1.0);
    let refused = study.finish_search(search.id, &findings(&foreign, &[])).unwrap_err();
    assert!(refused.to_string().contains("`beauty`"), "{refused}");
    assert!(study.front().unwrap().is_none());
    assert!(!folder.path().join("front.json").exists());
    study.finish_search(search.id, &findings(&good, &[])).unwrap();
    assert!(study.front().unwrap().unwrap() == good);
}

#[test]
fn files_that_are_no_study_or_of_a_newer_version_are_refused_and_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.sqlite");
    assert!(matches!(Study::open(folder.path()), Err(StudyError::Missing(_))));
    std::fs::write(
        &file,
        "a text, and not a short one: SQLite looks at the first hundred bytes of its files",
    )
    .unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(matches!(Study::open(folder.path()), Err(StudyError::NotAStudy(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);

    std::fs::remove_file(&file).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    drop(other);
    let before = std::fs::read(&file).unwrap();
    assert!(matches!(Study::open(folder.path()), Err(StudyError::NotAStudy(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);

    std::fs::remove_file(&file).unwrap();
    drop(Study::create(folder.path()).unwrap());
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Study::open(folder.path()).unwrap_err();
    assert!(matches!(error, StudyError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_study_of_version_1_is_migrated_with_all_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.sqlite");
    let (first, second, marks) = (front(4), front(6), cloud(9));
    let old = Connection::open(&file).unwrap();
    old.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA user_version = 1;
         CREATE TABLE record (
             sequence INTEGER PRIMARY KEY AUTOINCREMENT,
             kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
             written TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')));
         CREATE INDEX record_kind ON record (kind, key, sequence);",
    )
    .unwrap();
    use erased::Json;
    let rows = [
        ("run-step", "profile", "\"done\"".to_owned()),
        ("explanation", "x/decode", explanation("x").json()),
        ("front", "", first.json()),
        ("cloud", "", marks.json()),
        ("explanation", "a/decode", explanation("a").json()),
        ("references", "", vec![reference("public")].json()),
        ("front", "", second.json()),
        ("note", "", "1".to_owned()),
    ];
    for (kind, key, json) in rows {
        old.execute("INSERT INTO record (kind, key, json) VALUES (?1, ?2, ?3)", [kind, key, &json]).unwrap();
    }
    drop(old);
    std::fs::write(folder.path().join("profile.yaml"), "schema: profile\n").unwrap();
    std::fs::write(folder.path().join("space.yaml"), "another space since then\n").unwrap();

    let study = Study::open(folder.path()).unwrap();
    study.check().unwrap();
    assert!(study.front().unwrap().unwrap() == second);
    assert!(study.front_of(SearchId(1)).unwrap().unwrap() == first);
    assert_eq!(study.cloud().unwrap(), marks);
    assert_eq!(study.explanations().unwrap(), [explanation("a")]);
    assert_eq!(study.references().unwrap(), [reference("public")]);
    assert_eq!(study.latest::<String>("run-step", "profile").unwrap().as_deref(), Some("done"));
    assert_eq!(study.latest::<u32>("note", "").unwrap(), Some(1));
    let kinds: Vec<InputKind> = study.inputs().unwrap().iter().map(|input| input.kind).collect();
    assert_eq!(kinds, [InputKind::Profile], "a copy of another content is not the search's");
    assert_eq!(study.searches().unwrap().len(), 2);
    drop(study);
    Study::open(folder.path()).unwrap().check().unwrap();
}

mod erased {
    /// Anything that is JSON.
    pub trait Json {
        fn json(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }
}

#[test]
fn several_openers_of_a_new_folder_agree() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = folder.path();
            scope.spawn(move || {
                let study = Study::create(path).unwrap();
                study.append("note", &number.to_string(), &number).unwrap();
                assert_eq!(study.begin_search(&request(1)).unwrap().id, SearchId(1));
            });
        }
    });
    let study = Study::open(folder.path()).unwrap();
    assert_eq!(study.all::<u32>("note").unwrap().len(), 8);
    assert_eq!(study.searches().unwrap().len(), 1);
}
