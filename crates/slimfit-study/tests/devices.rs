//! What a study keeps of a front for several devices.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod made_up;

use slimfit_study::{DevicePoint, ExportFormat, ExportTable, Findings, Input, InputKind, ProfileRef, Study};

#[test]
fn each_device_has_its_profile_and_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let mut front = made_up::front(5);
    let first = front.head.profile.clone();
    front.head.profiles = vec![first.clone(), ProfileRef { name: "the other".to_owned(), ..first }];
    for point in &mut front.points {
        let worst = point.objectives["tpot_seconds"];
        let on = |threads, tpot: f64| DevicePoint {
            threads,
            objectives: [("tpot_seconds".to_owned(), tpot)].into(),
        };
        point.by_device = vec![on(point.threads, worst), on(8, worst / 2.0)];
    }
    let mut request = made_up::request(1);
    let of_kind = |input: &&Input| input.kind == InputKind::Profile;
    assert_eq!(request.inputs.iter().filter(of_kind).count(), 1);
    request.inputs.insert(1, Input::new(InputKind::Profile, "the other", "schema: other profile\n"));
    // One device less is another search.
    let mut lesser = request.clone();
    lesser.inputs.remove(1);
    let other = study.begin_search(&lesser).unwrap();
    let search = study.begin_search(&request).unwrap();
    assert!(other.id != search.id && !search.resumed);
    assert!(study.begin_search(&request).unwrap().id == search.id);
    let findings = Findings {
        front: &front,
        complete: true,
        indices: &[],
        cloud: &[],
        explanations: &[],
        references: &[],
    };
    study.finish_search(search.id, &findings).unwrap();

    assert!(study.front().unwrap().unwrap() == front);
    let copy = |place| std::fs::read_to_string(study.input_of(InputKind::Profile, place)).unwrap();
    assert_eq!((copy(0).as_str(), copy(1).as_str()), ("schema: profile\n", "schema: other profile\n"));
    assert!(study.input_of(InputKind::Profile, 1).ends_with("profile-2.yaml"));

    let text = std::fs::read_to_string(folder.path().join("front.csv")).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().ends_with(",loops,threads@1,tpot_seconds@1,threads@2,tpot_seconds@2"));
    let worst = front.points[0].objectives["tpot_seconds"];
    let end = format!(",{},{worst},8,{}", front.points[0].threads, worst / 2.0);
    assert!(lines.next().unwrap().ends_with(&end), "{text}");
    let mut bytes = Vec::new();
    study.table(ExportTable::Front, None).unwrap().write(ExportFormat::Csv, &mut bytes).unwrap();
    let exported = String::from_utf8(bytes).unwrap();
    assert!(exported.lines().nth(1).unwrap().ends_with(&end), "{exported}");
}
