//! The page in a real browser: Chromium without a window opens it, moves sliders, sorts, switches theme, prints.
//!
//! A driver script is added to a copy of the page; the page itself carries no test code.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chromium;
mod fixture;

use serde_json::Value;
use slimfit_report::{ReportInput, render_html, render_parts};
use std::path::Path;
use std::time::Instant;

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
const DRIVER: [&str; 4] = [
    include_str!("browser/layout.js"),
    include_str!("browser/figures.js"),
    include_str!("browser/access.js"),
    include_str!("browser/driver.js"),
];
const LIVE: &str = include_str!("browser/live.js");
/// Writes when the page answered, what drawing the scatter takes, and what a move of a slider takes with the scatter that
/// follows it.
const TIMES: &str = "(()=>{const interactive=performance.getEntriesByName('slimfit-interactive')[0].startTime;\
    const timed=act=>{const start=performance.now();act();return performance.now()-start};\
    const box=document.getElementById('log-y'),redraw=()=>box.dispatchEvent(new Event('change'));\
    const first=timed(redraw),again=timed(redraw);window.requestAnimationFrame=act=>{act();return 0};\
    const slider=document.querySelector('input[name=max_tpot]');let step=0;\
    const moves=Array.from({length:5},()=>timed(()=>{slider.value=slider.max*(0.8-0.1*step++);\
    slider.dispatchEvent(new Event('input'))}));\
    const p=document.createElement('pre');p.id='test-result';\
    p.textContent=encodeURIComponent(JSON.stringify({interactive,first,again,slider:Math.max(...moves),\
    dust:JSON.parse(document.getElementById('slimfit-data').textContent).cloud.count}));document.body.append(p)})()";
const AXE: &str = include_str!("vendor/axe.min.js");

/// Runs Chromium on a page that lies on the disk.
fn run(page: &Path, size: (u32, u32), dark: bool, arguments: &[&str]) -> String {
    chromium::run(&format!("file://{}", page.display()), size, dark, arguments)
}

/// A window of Chromium is never narrower than 500 pixels, so a phone is a frame in one.
const PHONE: &str = "<!DOCTYPE html><html><head><style>:root{color-scheme:light dark}</style></head><body>\
    <iframe src=\"report.html\" width=\"390\" height=\"844\" style=\"border:0\"></iframe><script>\
    addEventListener('message',e=>{const p=document.createElement('pre');p.id='test-result';p.textContent=e.data;\
    document.body.append(p)})</script></body></html>";

/// Opens the report with the driver in it, in a window or as on a phone; what the driver saw.
fn driven(input: &ReportInput, phone: bool, dark: bool) -> Value {
    driven_with(CATCHER, input, phone, dark)
}

fn driven_with(first: &str, input: &ReportInput, phone: bool, dark: bool) -> Value {
    let html = render_html(input).unwrap();
    let html = html.replacen("<head>", &format!("<head>{first}"), 1);
    let html = html.replacen(
        "<script type=\"application/json\"",
        &format!("{STASH}<script type=\"application/json\""),
        1,
    );
    // The chart library holds this tag in a string, so the last one counts.
    let (before, after) = html.rsplit_once("</body>").unwrap();
    let html = format!("{before}<script>{AXE}</script><script>{}</script></body>{after}", DRIVER.concat());
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    std::fs::write(&page, html).unwrap();
    let frame = folder.path().join("phone.html");
    std::fs::write(&frame, PHONE).unwrap();
    let dom = run(
        if phone { &frame } else { &page },
        (1280, 900),
        dark,
        &["--virtual-time-budget=200000", "--dump-dom"],
    );
    result_of(&dom)
}

fn result_of(dom: &str) -> Value {
    const OPENS: &str = "<pre id=\"test-result\">";
    // The driver holds this tag in a string, so the last one counts.
    let start = dom.rfind(OPENS).expect("the driver finished") + OPENS.len();
    let end = start + dom[start..].find("</pre>").expect("the element ends");
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

/// A page of many points, used as any other; its figures are of the same kinds as those of smaller ones and are not all
/// clicked, nor are its many elements gone through by axe-core, which would take minutes.
#[test]
fn a_large_front_is_used_as_a_small_one() {
    let large =
        ReportInput { front: Some(fixture::front(3_000)), cloud: fixture::cloud(30_000), ..fixture::full() };
    let seen = driven_with(&format!("<script>window.testBrief=true</script>{CATCHER}"), &large, false, false);
    let none = serde_json::json!([]);
    for (what, found) in [
        ("errors", &seen["errors"]),
        ("resources", &seen["resources"]),
        ("layout", &seen["layout"]),
        ("layoutOpen", &seen["layoutOpen"]),
        ("rows", &seen["steps"]["rowsAgree"]),
        ("figures under a budget", &seen["steps"]["figuresUnderBudget"]),
    ] {
        assert_eq!(*found, none, "{what}");
    }
    assert_eq!(seen["overflow"], 0);
    assert!(seen["rows"].as_u64().unwrap() > 1_000, "{}", seen["rows"]);
    assert_eq!((&seen["steps"]["sortedUp"], &seen["steps"]["sortedDown"]), (&true.into(), &true.into()));
}

/// No fault that a reader with good or poor eyes, with or without a mouse, would meet.
fn assert_sound(seen: &Value, what: &str) {
    let none = serde_json::json!([]);
    assert_eq!(seen["errors"], none, "{what}: nothing on the console");
    assert_eq!(seen["resources"], none, "{what}: nothing is requested");
    assert_eq!(seen["overflow"], 0, "{what}: no scrolling sideways");
    assert_eq!(seen["blind"], none, "{what}: the checks see what they are shown");
    for part in ["layout", "layoutOpen"] {
        assert_eq!(seen[part], none, "{what}: text over text or cut off ({part})");
    }
    for part in ["access", "accessOpen"] {
        assert_eq!(seen[part], none, "{what}: axe-core ({part})");
    }
    assert_eq!(seen["figures"]["faults"], none, "{what}: figures against their records");
    assert_eq!(seen["steps"]["rowsAgree"], none, "{what}: rows by the script read as rows by the page");
    for table in seen["tables"].as_array().unwrap() {
        assert_eq!(table[1], true, "{what}: {table} as CSV, JSON and Markdown");
    }
}

#[test]
fn a_reader_uses_the_whole_page_on_a_desktop() {
    let seen = driven(&fixture::full(), false, false);
    assert_sound(&seen, "desktop");
    assert!(seen["figures"]["count"].as_u64().unwrap() > 3000, "{}", seen["figures"]["count"]);
    assert_eq!(seen["dark"], false);
    for (chart, shades) in seen["charts"].as_object().unwrap() {
        assert!(shades.as_u64().unwrap() > 8, "{chart} is empty: {shades} shades");
    }
    assert_eq!(seen["layerCharts"], 2);
    assert_eq!(seen["rows"], 240);
    let steps = &seen["steps"];
    let greyed = steps["greyed"].as_u64().unwrap();
    assert!(greyed > 0 && greyed < 240 && steps["greyed"] == steps["greyedExpected"], "{steps}");
    assert_eq!(steps["greyedAfter"], 0);
    assert!(
        steps["fitText"].as_str().unwrap().starts_with(&format!("{} of 240 points fit", 240 - greyed)),
        "{steps}"
    );
    assert_eq!(steps["recommended"][0], steps["recommended"][1], "the best loss of all that fit");
    assert!(steps["recommendation"].as_str().unwrap().starts_with("Within "), "{steps}");
    assert!(steps["publicAnswer"].as_str().unwrap().contains("public model"), "{steps}");
    assert_eq!(steps["figuresUnderBudget"], serde_json::json!([]));
    let selected = steps["region"][1].as_u64().unwrap();
    assert!(selected > 0 && selected < 240, "{steps}");
    assert!(steps["region"][0].as_str().unwrap().starts_with(&format!("{selected} point")), "{steps}");
    assert_eq!(steps["unregion"], steps["listed"], "all that was listed before");
    assert_eq!(steps["chosen"][0], steps["chosen"][1], "Enter on a row shows its point");
    assert_eq!(
        steps["traced"],
        serde_json::json!([true, "trace-title"]),
        "Enter on a figure shows its record"
    );
    assert_eq!(steps["untraced"], serde_json::json!([true, true]), "Escape leads back to it");
    assert_eq!(seen["pictures"], 6, "each chart in sight can be saved");
    let saved = serde_json::json!([["image/png", true, "PNG"], ["image/svg+xml", true, "svg"]]);
    assert_eq!(seen["saved"].as_array().unwrap().len(), 12);
    for pair in seen["saved"].as_array().unwrap().chunks(2) {
        assert_eq!(pair, saved.as_array().unwrap());
    }
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
    let shown: f64 = time[3].as_str().unwrap().trim_end_matches(" ×").parse().unwrap();
    assert!((shown / ratio - 1.0).abs() < 0.1, "{time}, {ratio}");
    assert!(time[1].as_str().unwrap().ends_with(" ms") && time[1].as_str().unwrap().contains('–'), "{time}");
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
    assert_sound(&seen, "dark phone");
    assert_eq!((&seen["width"], &seen["dark"]), (&390.into(), &true.into()));
    for (chart, shades) in seen["charts"].as_object().unwrap() {
        assert!(shades.as_u64().unwrap() > 8, "{chart} is empty: {shades} shades");
    }
}

#[test]
fn a_light_phone_and_a_dark_desktop_are_as_sound() {
    assert_sound(&driven(&fixture::full(), true, false), "light phone");
    assert_sound(&driven(&fixture::full(), false, true), "dark desktop");
}

#[test]
fn hostile_names_and_studies_with_little_in_them_are_as_sound() {
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
    let half = ReportInput { front: None, cloud: Vec::new(), explanations: Vec::new(), ..fixture::full() };
    let mut broken = fixture::full();
    broken.front.as_mut().unwrap().points.iter_mut().enumerate().for_each(|(index, point)| match index % 3 {
        0 => point.objectives.values_mut().for_each(|value| *value = f64::NAN),
        1 => point.objectives.clear(),
        _ => {}
    });
    broken.profile.as_mut().unwrap().bandwidth[0].bytes_per_s.value = Some(f64::NAN);
    let mut none = fixture::full();
    none.front.as_mut().unwrap().points.clear();
    let mut ranked = fixture::full();
    ranked.front.as_mut().unwrap().head.existing = fixture::candidates();
    for (what, input) in [
        ("hostile names", hostile),
        ("a single point", single),
        ("a half-written study", half),
        ("no numbers", broken),
        ("an empty front", none),
        ("models that exist", ranked),
        ("nothing", ReportInput::default()),
    ] {
        println!("{what}");
        assert_sound(&driven(&input, false, false), what);
    }
}

#[test]
fn an_open_page_takes_newer_records_and_keeps_what_the_reader_set() {
    let html = render_html(&ReportInput::default()).unwrap();
    let mut early = ReportInput { measurements: Vec::new(), ..fixture::full() };
    early.front.as_mut().unwrap().points.truncate(12);
    let parts = [early, fixture::full()].map(|input| render_parts(&input).unwrap());
    let parts = serde_json::to_string(&parts).unwrap().replace('<', "\\u003c");
    let html = html.replacen("<head>", &format!("<head>{CATCHER}"), 1);
    let (before, after) = html.rsplit_once("</body>").unwrap();
    let scripts = format!("window.testParts = {parts};\n{}{LIVE}", DRIVER[1]);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    std::fs::write(&page, format!("{before}<script>{scripts}</script></body>{after}")).unwrap();
    let seen = result_of(&run(&page, (1280, 900), false, &["--virtual-time-budget=200000", "--dump-dom"]));
    assert_eq!(seen["errors"], serde_json::json!([]));
    assert_eq!((&seen["before"], &seen["first"], &seen["second"]), (&0.into(), &12.into(), &240.into()));
    assert_eq!(seen["kept"][0], seen["kept"][1]);
    assert!(seen["greyed"].as_u64().unwrap() > 0, "the budget holds for new points, too");
    assert_eq!(seen["charts"], serde_json::json!([1, 1]));
    assert_eq!(seen["figures"], serde_json::json!([]));
}

/// Not asserted: what a clock says is for people to read. `--nocapture` prints it.
#[test]
fn how_soon_a_page_of_a_large_study_answers_is_printed() {
    let input =
        ReportInput { front: Some(fixture::front(8_000)), cloud: fixture::cloud(100_000), ..fixture::full() };
    let started = Instant::now();
    let html = render_html(&input).unwrap();
    let rendered = started.elapsed();
    let (before, after) = html.rsplit_once("</body>").unwrap();
    let html = format!("{before}<script>{TIMES}</script></body>{after}");
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    std::fs::write(&page, &html).unwrap();
    let dom = run(&page, (1280, 900), false, &["--dump-dom"]);
    let times = result_of(&dom);
    println!(
        "a page of {} bytes, written in {rendered:.1?}; milliseconds in the browser: {times}",
        html.len() - TIMES.len()
    );
    assert!(times["interactive"].is_number() && times["slider"].is_number(), "{times}");
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
