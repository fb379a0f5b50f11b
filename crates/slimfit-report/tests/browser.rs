//! The page in a real browser: Chromium without a window opens it, moves sliders, sorts, switches theme, prints.
//!
//! A driver script is added to a copy of the page; the page itself carries no test code.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod fixture;

use serde_json::Value;
use slimfit_report::{ReportInput, render_html};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Catches what goes wrong before the driver starts.
const CATCHER: &str = "<script>window.testErrors=[];\
    addEventListener('error',e=>testErrors.push(String(e.message)));\
    addEventListener('unhandledrejection',e=>testErrors.push(String(e.reason)));\
    addEventListener('securitypolicyviolation',e=>testErrors.push('request: '+e.blockedURI));\
    Object.defineProperty(navigator,'clipboard',{value:{writeText:t=>{window.testCopied=t;return Promise.resolve()}}});\
    for(const k of ['error','warn']){console[k]=(...a)=>testErrors.push(k+': '+a.join(' '))}</script>";
/// Takes some of the written rows away, so that the page's script writes them again and both can be compared.
const STASH: &str = "<script>window.testRows=[...document.querySelectorAll('#front-table tbody tr')].slice(0,7)\
    .map(row=>{const text=row.outerHTML;row.remove();return text})</script>";
const DRIVER: &str = include_str!("browser/driver.js");

fn chromium() -> PathBuf {
    let named = std::env::var_os("SLIMFIT_CHROMIUM").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).flat_map(|folder| {
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
            .map(|name| folder.join(name))
    });
    named.into_iter().chain(found).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no Chromium on this machine, so the report cannot be tried in a browser\n\
             hint: `cargo xtask test` installs it; or set `SLIMFIT_CHROMIUM` to the program"
        )
    })
}

/// Runs Chromium on a page with `arguments`; standard output, or a panic that says what it printed.
fn run(page: &Path, (width, height): (u32, u32), dark: bool, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(chromium())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(output.reopen().unwrap())
        .stderr(errors.reopen().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = std::fs::read_to_string(errors.path()).unwrap_or_default();
    match status {
        Some(status) if status.success() => {}
        Some(status) => panic!("Chromium ended with {status}:\n{said}"),
        None => panic!("Chromium did not finish within two minutes:\n{said}"),
    }
    std::fs::read_to_string(output.path()).unwrap()
}

/// A window of Chromium is never narrower than 500 pixels, so a phone is a frame in one.
const PHONE: &str = "<!DOCTYPE html><html><head><style>:root{color-scheme:light dark}</style></head><body>\
    <iframe src=\"report.html\" width=\"390\" height=\"844\" style=\"border:0\"></iframe><script>\
    addEventListener('message',e=>{const p=document.createElement('pre');p.id='test-result';p.textContent=e.data;\
    document.body.append(p)})</script></body></html>";

/// Opens the report with the driver in it, in a window or as on a phone; what the driver saw.
fn driven(input: &ReportInput, phone: bool, dark: bool) -> Value {
    let html = render_html(input).unwrap();
    let html = html.replacen("<head>", &format!("<head>{CATCHER}"), 1);
    let html = html.replacen(
        "<script type=\"application/json\"",
        &format!("{STASH}<script type=\"application/json\""),
        1,
    );
    // The chart library holds this tag in a string, so the last one counts.
    let (before, after) = html.rsplit_once("</body>").unwrap();
    let html = format!("{before}<script>{DRIVER}</script></body>{after}");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    std::fs::write(&page, html).unwrap();
    let frame = folder.path().join("phone.html");
    std::fs::write(&frame, PHONE).unwrap();
    let dom = run(
        if phone { &frame } else { &page },
        (1280, 900),
        dark,
        &["--virtual-time-budget=20000", "--dump-dom"],
    );
    let start =
        dom.find("<pre id=\"test-result\">").expect("the driver finished") + "<pre id=\"test-result\">".len();
    let end = start + dom[start..].find("</pre>").unwrap();
    serde_json::from_str(&percent_decoded(&dom[start..end])).unwrap()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_reader_uses_the_whole_page_on_a_desktop() {
    let seen = driven(&fixture::full(), false, false);
    assert_eq!(seen["errors"], serde_json::json!([]), "nothing on the console");
    assert_eq!(seen["resources"], serde_json::json!([]), "nothing is requested");
    assert_eq!((&seen["dark"], &seen["overflow"]), (&false.into(), &0.into()));
    for (chart, shades) in seen["charts"].as_object().unwrap() {
        assert!(shades.as_u64().unwrap() > 8, "{chart} is empty: {shades} shades");
    }
    assert_eq!(seen["layerCharts"], 2);
    assert_eq!(seen["rows"], 240);
    let steps = &seen["steps"];
    assert_eq!(steps["rowsAgree"], serde_json::json!([]), "rows by the script read as rows by the page");
    let greyed = steps["greyed"].as_u64().unwrap();
    assert!(greyed > 0 && greyed < 240 && steps["greyed"] == steps["greyedExpected"], "{steps}");
    assert_eq!(steps["greyedAfter"], 0);
    assert!(
        steps["fitText"].as_str().unwrap().starts_with(&format!("{} of 240 points fit", 240 - greyed)),
        "{steps}"
    );
    assert_eq!((&steps["sortedUp"], &steps["sortedDown"]), (&true.into(), &true.into()));
    assert!(steps["tooltip"].as_str().unwrap().contains("all predicted"), "{steps}");
    assert_eq!(steps["visibleRows"], 240, "ties are listed when asked for");
    assert_eq!(steps["panel"], steps["panelExpected"]);
    assert_eq!(steps["copied"][0], "Copied");
    let copied: slimfit_arch::Architecture =
        serde_json::from_str(steps["copied"][1].as_str().unwrap()).unwrap();
    assert_eq!(copied, fixture::front(240).points[0].architecture);
    pair_of_models(steps);
    let themes = steps["themes"].as_array().unwrap();
    assert_eq!(
        themes.iter().map(|theme| &theme[0]).collect::<Vec<_>>(),
        ["Theme: light", "Theme: dark", "Theme: system"]
    );
    assert_ne!(themes[0][1], themes[1][1], "dark is another background");
    assert_eq!(themes[2][1], seen["background"]);
}

/// The two models that stand side by side are those of the fields, and an id that is none is told.
fn pair_of_models(steps: &Value) {
    let front = fixture::front(240);
    let ids: Vec<&str> =
        steps["pair"]["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let point = |id: &str| front.points.iter().find(|point| point.id == id).unwrap();
    let (first, second) = (point(ids[0]), point(ids[1]));
    assert_ne!(ids[0], ids[1]);
    let rows = steps["pair"]["rows"].as_array().unwrap();
    let row =
        |label: &str| rows.iter().find(|row| row[0] == label).unwrap_or_else(|| panic!("{label}: {rows:?}"));
    let time = row("Time per token");
    let ratio = second.objectives["tpot_seconds"] / first.objectives["tpot_seconds"];
    let words = time[3].as_str().unwrap();
    assert_eq!(words.contains("less"), (0.5..1.0).contains(&ratio), "{time}");
    assert!(time[1].as_str().unwrap().ends_with("ms)"), "a value with its interval: {time}");
    assert!(["more than the noise", "within both intervals"].contains(&time[4].as_str().unwrap()), "{time}");
    assert_eq!(row("Weights / KV")[1], format!("{} / {}", first.weights, first.kv));
    assert!(steps["pair"]["told"].as_str().unwrap().contains("objectives"));
    assert_eq!(steps["pairUnknown"][0], true);
    assert_eq!(steps["pairUnknown"][1], "No point of this page has the id “no such id”.");
    assert_eq!(steps["pairBack"].as_u64().unwrap() as usize, rows.len());
}

#[test]
fn a_dark_phone_shows_all_of_it_without_scrolling_sideways() {
    let seen = driven(&fixture::full(), true, true);
    assert_eq!(seen["errors"], serde_json::json!([]));
    assert_eq!((&seen["width"], &seen["overflow"], &seen["dark"]), (&390.into(), &0.into(), &true.into()));
    for (chart, shades) in seen["charts"].as_object().unwrap() {
        assert!(shades.as_u64().unwrap() > 8, "{chart} is empty: {shades} shades");
    }
}

#[test]
fn a_large_front_hostile_names_and_an_empty_study_work_too() {
    let large =
        ReportInput { front: Some(fixture::front(3_000)), cloud: fixture::cloud(30_000), ..fixture::full() };
    let mut hostile = fixture::full();
    let names = "\"><script>testErrors.push('ran')</script>'&<img src=x onerror=testErrors.push('ran')>";
    hostile.references[0].name = names.to_owned();
    hostile.explanations[0].operations[0].name = names.to_owned();
    let front = hostile.front.as_mut().unwrap();
    for point in &mut front.points {
        point.flags = vec![names.to_owned()];
    }
    front.points[5].objectives.insert("tpot_seconds".to_owned(), f64::NAN);
    front.points[9].objectives.clear();
    let single = ReportInput { front: Some(fixture::front(1)), verification: None, ..fixture::full() };
    for (what, input) in [
        ("a large front", large),
        ("hostile names", hostile),
        ("a single point", single),
        ("nothing", ReportInput::default()),
    ] {
        let seen = driven(&input, false, false);
        assert_eq!(seen["errors"], serde_json::json!([]), "{what}");
        assert_eq!(seen["overflow"], 0, "{what}");
        assert_eq!(seen["steps"]["rowsAgree"], serde_json::json!([]), "{what}");
        assert_eq!(seen["resources"], serde_json::json!([]), "{what}");
    }
}

#[test]
fn it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let (page, print) = (folder.path().join("report.html"), folder.path().join("report.pdf"));
    std::fs::write(&page, render_html(&fixture::full()).unwrap()).unwrap();
    run(
        &page,
        (1280, 900),
        false,
        &[&format!("--print-to-pdf={}", print.display()), "--virtual-time-budget=5000"],
    );
    let bytes = std::fs::read(&print).unwrap();
    assert!(bytes.starts_with(b"%PDF") && bytes.len() > 50_000, "{} bytes", bytes.len());
}
