//! The page: one file that carries its style, its script, its chart library and its records.

use crate::data::{Budget, embedded};
use crate::mark::read;
use crate::section::{compare, device, front, model, summary, trust};
use crate::{ReportError, ReportInput};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use std::collections::BTreeMap;

const CHARTS: &str = include_str!("../vendor/echarts.min.js");
const STYLE: &str = include_str!("page/style.css");
/// The page's own script, in the order in which its parts build on each other; they share one scope.
const SCRIPTS: [&str; 16] = [
    include_str!("page/format.js"),
    include_str!("page/records.js"),
    include_str!("page/points.js"),
    include_str!("page/trace.js"),
    include_str!("page/chart.js"),
    include_str!("page/labels.js"),
    include_str!("page/export.js"),
    include_str!("page/budget.js"),
    include_str!("page/table.js"),
    include_str!("page/scatter.js"),
    include_str!("page/front.js"),
    include_str!("page/device.js"),
    include_str!("page/model.js"),
    include_str!("page/running.js"),
    include_str!("page/pair.js"),
    include_str!("page/main.js"),
];
/// What a page that is served has beside.
const LIVE: &str = include_str!("page/live.js");
/// Lets the page run what it carries and load nothing at all.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
                      base-uri 'none'; form-action 'none'";

/// A page is sent by mail and opened on phones.
const LARGEST_PAGE: usize = 2_950_000;

/// The whole page. Names and messages in the records are shown as text, whatever they hold.
///
/// # Errors
/// When the records cannot be written as JSON.
pub fn render_html(input: &ReportInput) -> Result<String, ReportError> {
    render_public(&input.without_private_parts(), None)
}

/// The page that `slimfit serve` answers with: it asks its server for what is new since `revision`.
pub(crate) fn render_live(input: &ReportInput, revision: &str) -> Result<String, ReportError> {
    render_public(&input.without_private_parts(), Some(revision))
}

/// The page of records that hold nothing private any more; `revision` where it is live.
pub(crate) fn render_public(input: &ReportInput, revision: Option<&str>) -> Result<String, ReportError> {
    let mut part = 1.0;
    let mut page = render(input, Budget::share(part), revision)?;
    // What is too much is taken from the parts that can shrink, and a little more: they are counted in round figures.
    for _ in 0..4 {
        let Some(excess @ 1..) = page.len().checked_sub(LARGEST_PAGE) else { break };
        part = (part - 1.1 * excess as f64 / Budget::share(1.0).bytes() as f64 - 0.02).max(0.0);
        page = render(input, Budget::share(part), revision)?;
    }
    Ok(page)
}

/// The sections in their order: id, name, and what they hold.
fn sections(input: &ReportInput, left_out: usize) -> [(&'static str, &'static str, Markup); 6] {
    [
        ("summary", "Summary", summary::section(input)),
        ("front", "Front", front::section(input, left_out)),
        ("device", "Device", device::section(input)),
        ("model", "Model", model::section(input)),
        ("trust", "Trust", trust::section(input)),
        ("compare", "Compare", compare::section(input)),
    ]
}

/// What an open page needs to show newer records: its script's `slimfit.show(parts)` takes this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageParts {
    /// The JSON text that the page carries in `script#slimfit-data`.
    pub records: String,
    /// The markup of each section, by its id.
    pub sections: BTreeMap<&'static str, String>,
}

/// The parts of the page that change with the records; the rest of it (style, scripts, chart library) stays.
///
/// # Errors
/// When the records cannot be written as JSON.
pub fn render_parts(input: &ReportInput) -> Result<PageParts, ReportError> {
    let input = &input.without_private_parts();
    let (records, left_out) = embedded(input, Budget::share(1.0))?;
    let sections = sections(input, left_out).into_iter();
    Ok(PageParts {
        records,
        sections: sections.map(|(id, _, section)| (id, section.into_string())).collect(),
    })
}

fn render(input: &ReportInput, budget: Budget, revision: Option<&str>) -> Result<String, ReportError> {
    let (data, left_out) = embedded(input, budget)?;
    let device = input
        .profile
        .as_ref()
        .map(|profile| profile.name.as_str())
        .or(input.front.as_ref().map(|front| front.head.profile.name.as_str()));
    let several = input.front.iter().flat_map(|front| &front.head.profiles);
    let several: Vec<&str> = several.map(|profile| profile.name.as_str()).collect();
    let devices = if several.is_empty() {
        device.unwrap_or("an unmeasured device").to_owned()
    } else {
        several.join(" and ")
    };
    let devices_known = device.is_some() || !several.is_empty();
    let devices_at = match (several.is_empty(), &input.profile) {
        (false, _) => "/front/profiles",
        (true, Some(_)) => "/profile/name",
        (true, None) => "/front/profile/name",
    };
    let sections = sections(input, left_out);
    let live = if revision.is_some() { LIVE } else { "" };
    let own = format!("(function () {{\n'use strict';\n{}{live}}}());", SCRIPTS.concat());
    let policy = if revision.is_some() { format!("{POLICY}; connect-src 'self'") } else { POLICY.to_owned() };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "slimfit " (input.tool_version) };
                link rel="icon" href="data:,";
                title { "slimfit: " (device.unwrap_or("report")) }
                style { (PreEscaped(STYLE)) }
                noscript { style { "#front-table tr[hidden]{display:table-row}.panel{display:block}.chart,.controls,.tabs,.copy,#theme{display:none}" } }
            }
            body {
                a.skip href="#summary" { "Skip to the summary" }
                header {
                    div.bar {
                        p.brand { "slimfit" }
                        nav aria-label="Sections" { @for (id, label, _) in &sections { a href={ "#" (id) } { (label) } } }
                        button #tracing type="button" aria-pressed="false" title="Makes every figure a stop of the Tab key; Enter opens its record" { "Trace figures" }
                        button #theme type="button" aria-live="polite" { "Theme: system" }
                    }
                }
                main {
                    h1 { "Small language models for " span data-source=(if devices_known { "read" } else { "unavailable" }) data-at=(devices_at) { (devices) } }
                    p.byline {
                        "slimfit " (read("/version", &input.tool_version))
                        @if !input.created.is_empty() { ", " (read("/created", &input.created)) }
                        @if let Some(revision) = revision { ". " span #live role="status" data-revision=(revision) { "Live" } }
                    }
                    @for (_, _, section) in &sections { (section) }
                }
                div #trace role="dialog" aria-labelledby="trace-title" hidden {
                    div.head {
                        h2 #trace-title tabindex="-1" { "Where this comes from" }
                        button #trace-copy type="button" { "Copy" }
                        button #trace-close type="button" { "Close" }
                    }
                    div #trace-body {}
                }
                footer { p { "Made by slimfit. " @if revision.is_some() { "This page asks the program that serves it, on this machine, for what is new." } @else { "This file holds its records and loads nothing." } } }
                script type="application/json" id="slimfit-data" { (PreEscaped(data)) }
                // The page answers before the chart library is read; its charts follow.
                script { (PreEscaped(own)) }
                script { (PreEscaped(CHARTS)) }
            }
        }
    };
    Ok(page.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_embedded_script_or_style_ends_its_element_early() {
        for script in SCRIPTS.iter().chain([&CHARTS, &LIVE]) {
            assert!(!script.to_ascii_lowercase().contains("</script"));
            assert!(!script.contains("<!--"));
        }
        assert!(!STYLE.to_ascii_lowercase().contains("</style"));
    }
}
