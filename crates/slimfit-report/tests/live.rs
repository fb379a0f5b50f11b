//! The live page in a real browser: it follows a search, and shows a record that arrives while it is open.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chromium;
mod fixture;

use slimfit_report::{LiveReport, ReportInput};
use slimfit_study::{
    Claim, Input, InputKind, LEASE, Natural, PassCounts, PointSet, SearchOutline, SearchProgress,
    SearchRequest, Study,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Ends the server however the browser ends.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_open_page_follows_a_search_and_shows_what_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let study = Study::create(folder.path()).unwrap();
    let request = SearchRequest {
        program_version: "1".to_owned(),
        inputs: vec![Input::new(InputKind::Space, "tiny", "axes")],
        engine: "slimfit".to_owned(),
        tokens: 1,
        objectives: vec!["loss".to_owned(), "tpot_seconds".to_owned()],
        limits: Vec::new(),
        seed: 0,
        sample: 0,
        settings: String::new(),
    };
    let search = study.begin_search(&request).unwrap().id;
    let columns = request.objectives.clone();
    study.outline_search(search, &SearchOutline { size: Natural::from(40_000_u64), columns }).unwrap();
    let mut worker = study.join_search(search, 4, LEASE).unwrap();
    let Claim::Units(done) = worker.claim(2).unwrap() else { panic!("there are units") };
    let mut archive = PointSet::new(2);
    for place in 0..50_u64 {
        archive.push(Natural::from(place), &[3.0 - 0.01 * place as f64, 0.001 * (1.0 + place as f64)]);
    }
    let counts = PassCounts { evaluated: Natural::from(12_345_u64), ..PassCounts::default() };
    let progress =
        SearchProgress { done, passes: vec![counts], archive, seconds: 2.0, ..SearchProgress::default() };
    worker.save(&progress).unwrap();

    let front = fixture::front(12);
    let pick = front.points.iter().find(|point| !point.picks.is_empty()).unwrap();
    let measurement = fixture::runs::measurement(pick);
    let times = AtomicUsize::new(0);
    let describe = |input: &mut ReportInput| {
        input.created = "2026-01-31T12:00:00Z".to_owned();
        // The page that is just being made does not hold it: it has to ask.
        if times.fetch_add(1, Ordering::SeqCst) == 0 {
            study.add_measurement(&measurement).unwrap();
        }
    };
    let served = Study::open(folder.path()).unwrap();
    let live = LiveReport::bind(0).unwrap();
    let (stop, url) = (AtomicBool::new(false), live.url());
    let dom = std::thread::scope(|scope| {
        let browser = scope.spawn(|| {
            let _stop = StopAtEnd(&stop);
            chromium::run(&url, (1280, 900), false, &["--virtual-time-budget=20000", "--dump-dom"])
        });
        live.serve(&served, &describe, &stop).unwrap();
        browser.join().unwrap()
    });
    assert_eq!(times.load(Ordering::SeqCst), 2, "made once when it was opened, and once for the record");
    // What the chart library and the script hold of these words comes before.
    let page = &dom[..dom.find("id=\"slimfit-data\"").unwrap()];
    assert!(page.contains(">Live: a search is at work<"), "the page knows that a search is at work");
    assert!(page.contains("12\u{202f}345") && page.contains("40\u{202f}000"), "how far it is");
    let chart = page.split("id=\"running-chart\"").nth(1).unwrap();
    assert!(chart.split("</figure>").next().unwrap().contains("<canvas"), "its points are drawn");
    assert!(page.contains("A single model was run"), "the measurement that came later");
}
