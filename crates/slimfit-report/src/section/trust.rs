//! Trust: predicted against measured, and where everything on the page comes from.

use super::nothing;
use crate::ReportInput;
use crate::mark::{count, number, range, read, scroll, unavailable};
use crate::unit::{Unit, digits};
use maud::{Markup, html};
use slimfit_quantity::Source;
use slimfit_study::{ErrorSummary, Verification, VerificationRow};

pub(crate) fn section(input: &ReportInput) -> Markup {
    html! {
        section #trust aria-labelledby="trust-title" {
            h2 #trust-title { "Trust" }
            h3 { "Predicted against measured" }
            @if input.verification.is_some() || !input.measurements.is_empty() {
                div.controls {
                    label { "Show " select #agreement-phase {
                        option value="decode" { "time per token" } option value="prefill" { "prefill" } option value="memory" { "memory" }
                    } }
                }
                figure.chart {
                    div #agreement-chart role="img" aria-label="Predicted against measured; the tables below hold the same values" {}
                    figcaption { "On the slanted line a prediction is right; the band around it is a tenth either way. Across: predicted, with the interval that should hold nine of ten. Up: measured, first run and retest joined." }
                }
            }
            @match &input.verification {
                Some(verification) => { (verified(verification)) }
                None => { (nothing("No predictions of unseen models were checked on this device, so the error of the cost model is unknown here. `slimfit verify` checks them.")) }
            }
            (super::quality::section(input))
            (provenance(input))
        }
    }
}

fn verified(verification: &Verification) -> Markup {
    html! {
        p { (count(verification.samples)) " models that the cost model had not seen were predicted first and run afterwards. "
            "The predictions were hashed before the first run: " code.hash data-source="read" { (verification.predictions_sha256) } }
        (scroll("Errors of the cost model", &errors(verification)))
        (baselines(verification))
        details { summary { "All " (count(verification.rows.len() as u64)) " cells" } (scroll("Verification cells", &rows(&verification.rows))) }
        @if !verification.skipped.is_empty() {
            details { summary { "Models that were not run: " (count(verification.skipped.len() as u64)) }
                ul { @for skipped in &verification.skipped { li { code data-source="read" { (skipped.id) } ": " span data-source="read" { (super::ticked(&skipped.reason)) } } } } }
        }
    }
}

fn errors(verification: &Verification) -> Markup {
    let (raw, normalised) = (&verification.summary, &verification.normalised);
    let lines = [
        ("Time per token", "raw", raw.decode),
        ("Time per token", "drift taken out", normalised.decode),
        ("Prefill", "raw", raw.prefill),
        ("Prefill", "drift taken out", normalised.prefill),
        ("Memory", "raw", raw.memory),
    ];
    html! {
        table {
            caption { "Errors of the cost model on this device" }
            thead { tr { th scope="col" { "What" } th scope="col" { "" } th scope="col" { "Cells" } th scope="col" { "Mean error" } th scope="col" { "Bias" }
                th scope="col" { "Nine of ten below" } th scope="col" { "Within a tenth" } th scope="col" { "Rank agreement" }
                th scope="col" { "Close pairs right" } th scope="col" { "Inside the interval" } th scope="col" { "Interval width" } th scope="col" { "Retest" } } }
            tbody {
                @for (what, how, summary) in lines {
                    @if let Some(summary) = summary { (error_row(what, how, &summary)) }
                }
            }
        }
    }
}

fn error_row(what: &str, how: &str, summary: &ErrorSummary) -> Markup {
    let percent = |value: f64| number(Source::Measured, Unit::Fraction.show(value));
    let or_not = |value: Option<f64>, unit: Unit, reason: &str| match value {
        Some(value) => {
            number(Source::Measured, if unit == Unit::Fraction { unit.show(value) } else { digits(value) })
        }
        None => unavailable(reason),
    };
    html! {
        tr {
            th scope="row" { (what) }
            td { (how) }
            td { (number(Source::Measured, summary.n)) }
            td { (percent(summary.mape)) }
            td { (percent(summary.bias)) }
            td { (percent(summary.p90)) }
            td { (percent(summary.within_10)) }
            td { (or_not(summary.kendall_tau, Unit::Plain, "too few cells")) }
            td { (or_not(summary.pair_accuracy, Unit::Fraction, "no close pairs")) }
            td { (percent(summary.coverage_90)) }
            td { (percent(summary.mean_interval_width)) }
            td { (or_not(summary.retest_mape, Unit::Fraction, "run once")) }
        }
    }
}

fn baselines(verification: &Verification) -> Markup {
    let bandwidth = &verification.baselines.bytes_over_bandwidth;
    let tau = |value: Option<f64>| match value {
        Some(value) => number(Source::Measured, digits(value)),
        None => unavailable("too few cells"),
    };
    html! {
        p { "For scale, plain predictors of the time per token: ranking by parameter count agrees with the measured order at "
            (tau(verification.baselines.parameters.kendall_tau)) "; weight bytes over read bandwidth is off by "
            @match bandwidth.mape {
                Some(error) => { (number(Source::Measured, Unit::Fraction.show(error))) }
                None => { (unavailable("too few cells")) }
            }
            " and agrees at " (tau(bandwidth.kendall_tau)) ". (Agreement of order is Kendall’s tau: " (read("1")) " is the same order, " (read("0")) " is none.)" }
    }
}

fn rows(rows: &[VerificationRow]) -> Markup {
    html! {
        table {
            caption { "Every cell: a model in one phase at one context" }
            thead { tr { th scope="col" { "Model" } th scope="col" { "Parameters" } th scope="col" { "Weights / KV" } th scope="col" { "Threads" }
                th scope="col" { "Phase" } th scope="col" { "Tokens" } th scope="col" { "Predicted" } th scope="col" { "Measured" }
                th scope="col" { "Retest" } th scope="col" { "Machine against profile" } } }
            tbody {
                @for row in rows {
                    @let unit = if row.phase == "memory" { Unit::Bytes } else { Unit::Seconds };
                    tr {
                        td { code data-source="read" { (row.id) } }
                        td { (read(slimfit_quantity::format_count(row.parameters as f64))) }
                        td { (read(format!("{} / {}", row.weights, row.kv))) }
                        td { (read(row.threads)) }
                        td { (row.phase) }
                        td { (read(if row.phase == "prefill" { row.prompt_tokens } else { row.depth_tokens })) }
                        td { span data-source="modelled" { (unit.show(row.predicted.value))
                            @if let Some(range) = range(unit, row.predicted.low, row.predicted.high) { " " span.range { (range) } } } }
                        td { (number(Source::Measured, unit.show(row.measured))) }
                        td { @match row.retest {
                            Some(retest) => { (number(Source::Measured, unit.show(retest))) }
                            None => { (unavailable("run once")) }
                        } }
                        td { (number(Source::Measured, digits(row.sentinel_ratio))) }
                    }
                }
            }
        }
    }
}

fn provenance(input: &ReportInput) -> Markup {
    let head = input.front.as_ref().map(|front| &front.head);
    html! {
        h3 { "Where the numbers come from" }
        ul.sources {
            li { span.sample data-source="measured" { "measured" } " timed or counted here, on this device: median, quartiles and number of samples" }
            li { span.sample data-source="modelled" { "modelled" } " computed by the cost or quality model: central value and the interval that should hold nine of ten. Slanted everywhere on this page" }
            li { span.sample data-source="read" { "read" } " taken from the system or from an input, or counted exactly from a shape" }
            li { span.sample data-source="published" { "published" } " taken from a publication, which is named" }
            li { span.sample.unavailable data-source="unavailable" { "unavailable" } " cannot be had here, with the reason; never a zero" }
        }
        h3 { "How to repeat this" }
        div.config {
            @if input.command.is_empty() {
                p { (unavailable("the command was not recorded")) }
            } @else {
                button.copy type="button" data-copy="repeat-command" { "Copy" }
                pre #repeat-command tabindex="0" data-source="read" { (input.command) }
            }
        }
        dl.facts.hashes {
            div { dt { "slimfit" } dd { (read(&input.tool_version)) } }
            div { dt { "Report made" } dd { @if input.created.is_empty() { (unavailable("the time was not recorded")) } @else { (read(&input.created)) } } }
            @if let Some(head) = head {
                div { dt { "Search space " (read(&head.space.name)) } dd { code.hash data-source="read" { (head.space.sha256) } } }
                @for profile in if head.profiles.is_empty() { std::slice::from_ref(&head.profile) } else { &head.profiles[..] } {
                    div { dt { "Hardware profile " (read(&profile.fingerprint_id)) } dd { code.hash data-source="read" { (profile.sha256) } } }
                }
                div { dt { "Recipe, tokens" } dd { (read(format!("{}, {}", head.recipe.name, slimfit_quantity::format_integer(head.recipe.tokens)))) } }
            }
            @if let Some(profile) = &input.profile {
                div { dt { "Profile measured by" } dd { (read(&profile.provenance.tool)) ", " (read(&profile.provenance.created)) ", in "
                    (number(Source::Measured, Unit::Seconds.show(profile.provenance.seconds))) " of " (read(Unit::Seconds.show(profile.provenance.budget_seconds))) } }
            }
            div { dt { "Chart library in this page" } dd { (read("Apache ECharts 6.1.0, Apache-2.0")) } }
        }
    }
}
