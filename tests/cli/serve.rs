//! `slimfit serve`: the page live on this machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use crate::harness::{Slimfit, validate};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A server at work; ended when it is dropped.
struct Serving {
    child: Child,
    port: u16,
}

impl Serving {
    fn of(folder: &Path) -> Self {
        let mut child =
            Slimfit::new(["serve", "--study", "study", "--port", "0", "--json"]).folder(folder).spawn();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        let errors = validate("serve", &object);
        assert!(errors.is_empty(), "{errors:?}");
        let port = object["url"].as_str().unwrap().trim_end_matches('/').rsplit(':').next().unwrap();
        Self { port: port.parse().unwrap(), child }
    }

    /// Status line and body of one request.
    fn ask(&self, request: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path}"), &format!("127.0.0.1:{}", self.port))
    }

    fn running(&self) -> Value {
        let (status, body) = self.get("/running.json");
        assert!(status.contains("200"), "{status}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn searched(folder: &Path) {
    let arguments = ["search", "--space", "slm-demo", "--profile", "raspberry-pi-5", "--out", "study"];
    Slimfit::new(arguments).folder(folder).run().done();
}

#[test]
fn a_study_is_served_to_this_machine_alone_and_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    searched(folder.path());
    let serving = Serving::of(folder.path());
    let (status, page) = serving.get("/");
    assert!(status.contains("200"), "{status}");
    for part in ["id=\"summary\"", "id=\"front\"", "id=\"live\"", "connect-src 'self'"] {
        assert!(page.contains(part), "{part}");
    }
    let state = serving.running();
    assert_eq!(state["running"], Value::Null);
    assert!(
        page.contains(&format!("data-revision={}", state["revision"])),
        "the page knows which state it shows"
    );

    let own = format!("localhost:{}", serving.port);
    for (request, host, wanted) in [
        ("GET /study.sqlite", own.as_str(), "404"),
        ("GET /../study.sqlite", &own, "404"),
        ("POST /", &own, "405"),
        ("DELETE /running.json", &own, "405"),
        ("GET /", "attacker.example", "403"),
        ("GET /", &format!("attacker.example:{}", serving.port), "403"),
    ] {
        let (status, body) = serving.ask(request, host);
        assert!(status.contains(wanted), "{request} of {host}: {status}");
        assert!(!body.contains("slimfit-data"), "{request} of {host}");
    }
    // The loopback address alone is bound: nothing listens on the others.
    let other = Slimfit::new(["serve", "--study", "study", "--port", &serving.port.to_string(), "--json"]);
    let error = other.folder(folder.path()).run().refused("report");
    assert!(error["message"].as_str().unwrap().contains(&serving.port.to_string()), "{error}");
}

#[test]
fn a_record_that_arrives_changes_the_page_and_an_interrupt_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    searched(folder.path());
    let mut serving = Serving::of(folder.path());
    let before = serving.running()["revision"].clone();
    // The same question once more: a search of its own, whose front is new.
    Slimfit::new([
        "search",
        "--space",
        "slm-demo",
        "--profile",
        "raspberry-pi-5",
        "--seed",
        "2",
        "--out",
        "study",
    ])
    .folder(folder.path())
    .run()
    .done();
    let after = serving.running()["revision"].clone();
    assert_ne!(before, after);
    let (_, page) = serving.get("/");
    assert!(page.contains(&format!("data-revision={after}")), "the page is made anew");

    let signalled = Command::new("kill").args(["-INT", &serving.child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let deadline = Instant::now() + Duration::from_secs(20);
    while serving.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(serving.child.wait().unwrap().success());
}

#[test]
fn a_search_at_work_is_shown_with_its_points() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("many.yaml"), crate::resume::SPACE).unwrap();
    let arguments = ["search", "--space", "many.yaml", "--profile", "raspberry-pi-4", "--out", "study"];
    let mut search = Slimfit::new(arguments).folder(folder).spawn();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.join("study/study.sqlite").is_file() {
        assert!(Instant::now() < deadline, "the search does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let serving = Serving::of(folder);
    let mut seen = None;
    while search.try_wait().unwrap().is_none() {
        let state = serving.running();
        if state["running"]["points"].as_array().is_some_and(|points| !points.is_empty()) {
            seen = Some(state);
            let _ = search.kill();
        }
        assert!(Instant::now() < deadline, "the search does not end");
    }
    let _ = search.wait();
    let running = &seen.expect("the search has points before it ends")["running"];
    assert!(running["at_work"].as_bool().unwrap(), "{running}");
    assert!(running["size"].as_u64().unwrap() > 0, "{running}");
    let objectives = running["objectives"].as_array().unwrap().len();
    let point = running["points"][0].as_array().unwrap();
    assert_eq!(point.len(), objectives);
    assert!(point.iter().all(|value| value.as_f64().unwrap() > 0.0), "{point:?}");
    let (_, page) = serving.get("/");
    assert!(page.contains("A search that is not finished"));
}
