//! The page: one file that carries its style, its script, its chart library and its records.

use crate::data::{Budget, embedded};
use crate::section::{compare, device, front, model, summary, trust};
use crate::{ReportError, ReportInput};
use maud::{DOCTYPE, PreEscaped, html};

const CHARTS: &str = include_str!("../vendor/echarts.min.js");
const STYLE: &str = include_str!("page/style.css");
/// The page's own script, in the order in which its parts build on each other; they share one scope.
const SCRIPTS: [&str; 8] = [
    include_str!("page/format.js"),
    include_str!("page/chart.js"),
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
    render_within_bounds(input, None)
}

/// The page that `slimfit serve` answers with: it asks its server for what is new since `revision`.
pub(crate) fn render_live(input: &ReportInput, revision: &str) -> Result<String, ReportError> {
    render_within_bounds(input, Some(revision))
}

fn render_within_bounds(input: &ReportInput, revision: Option<&str>) -> Result<String, ReportError> {
    let input = &input.without_private_parts();
    let mut page = String::new();
    for part in [1.0, 0.7, 0.4, 0.1] {
        page = render(input, Budget::share(part), revision)?;
        if page.len() <= LARGEST_PAGE {
            break;
        }
    }
    Ok(page)
}

fn render(input: &ReportInput, budget: Budget, revision: Option<&str>) -> Result<String, ReportError> {
    let (data, left_out) = embedded(input, budget, revision)?;
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
    let sections = [
        ("summary", "Summary"),
        ("front", "Front"),
        ("device", "Device"),
        ("model", "Model"),
        ("trust", "Trust"),
        ("compare", "Compare"),
    ];
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
                        nav aria-label="Sections" { @for (id, label) in sections { a href={ "#" (id) } { (label) } } }
                        button #theme type="button" aria-live="polite" { "Theme: system" }
                    }
                }
                main {
                    h1 { "Small language models for " span data-source="read" { (devices) } }
                    p.byline {
                        "slimfit " span data-source="read" { (input.tool_version) }
                        @if !input.created.is_empty() { ", " span data-source="read" { (input.created) } }
                        @if revision.is_some() { ". " span #live role="status" { "Live" } }
                    }
                    (summary::section(input))
                    (front::section(input, left_out))
                    (device::section(input))
                    (model::section(input))
                    (trust::section(input))
                    (compare::section(input))
                }
                footer { p { "Made by slimfit. " @if revision.is_some() { "This page asks the program that serves it, on this machine, for what is new." } @else { "This file holds its records and loads nothing." } } }
                script type="application/json" id="slimfit-data" { (PreEscaped(data)) }
                script { (PreEscaped(CHARTS)) }
                script { (PreEscaped(own)) }
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
