//! Trust: predicted against measured, and where everything on the page comes from.

use super::nothing;
use crate::ReportInput;
use crate::mark::{code, count, hash, number, range, read, scroll, unavailable};
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
        p { (count("/verification/samples", verification.samples)) " models that the cost model had not seen were predicted first and run afterwards. "
            "The predictions were hashed before the first run: " (hash("/verification/predictions_sha256", &verification.predictions_sha256)) }
        (scroll("Errors of the cost model", &errors(verification)))
        (baselines(verification))
        details { summary { "All cells" } p.small { (count("/verification/rows", verification.rows.len() as u64)) " of them" } (scroll("Verification cells", &rows(&verification.rows))) }
        @if !verification.skipped.is_empty() {
            details { summary { "Models that were not run" }
                p.small { (count("/verification/skipped", verification.skipped.len() as u64)) " of them" }
                ul { @for (index, skipped) in verification.skipped.iter().enumerate() { li data-under={ "/verification/skipped/" (index) } {
                    (code("id", &skipped.id)) ": " span data-source="read" data-at="reason" { (super::ticked(&skipped.reason)) } } } } }
        }
    }
}

fn errors(verification: &Verification) -> Markup {
    let (raw, normalised) = (&verification.summary, &verification.normalised);
    let lines = [
        ("Time per token", "raw", "summary/decode", raw.decode),
        ("Time per token", "drift taken out", "normalised/decode", normalised.decode),
        ("Prefill", "raw", "summary/prefill", raw.prefill),
        ("Prefill", "drift taken out", "normalised/prefill", normalised.prefill),
        ("Memory", "raw", "summary/memory", raw.memory),
    ];
    html! {
        table {
            caption { "Errors of the cost model on this device" }
            thead { tr { th scope="col" { "What" } th scope="col" { "Drift" } th scope="col" { "Cells" } th scope="col" { "Mean error" } th scope="col" { "Bias" }
                th scope="col" { "Nine of ten below" } th scope="col" { "Within a tenth" } th scope="col" { "Rank agreement" }
                th scope="col" { "Close pairs right" } th scope="col" { "Inside the interval" } th scope="col" { "Interval width" } th scope="col" { "Retest" } } }
            tbody {
                @for (what, how, at, summary) in lines {
                    @if let Some(summary) = summary { (error_row(what, how, at, &summary)) }
                }
            }
        }
    }
}

fn error_row(what: &str, how: &str, at: &str, summary: &ErrorSummary) -> Markup {
    let percent = |at: &str, value: f64| number(at, Source::Measured, Unit::Fraction.show(value));
    let or_not = |at: &str, value: Option<f64>, unit: Unit, reason: &str| match value {
        Some(value) => number(
            at,
            Source::Measured,
            if unit == Unit::Fraction { unit.show(value) } else { digits(value) },
        ),
        None => unavailable(at, reason),
    };
    html! {
        tr data-under={ "/verification/" (at) } {
            th scope="row" { (what) }
            td { (how) }
            td { (number("n", Source::Measured, summary.n)) }
            td { (percent("mape", summary.mape)) }
            td { (percent("bias", summary.bias)) }
            td { (percent("p90", summary.p90)) }
            td { (percent("within_10", summary.within_10)) }
            td { (or_not("kendall_tau", summary.kendall_tau, Unit::Plain, "too few cells")) }
            td { (or_not("pair_accuracy", summary.pair_accuracy, Unit::Fraction, "no close pairs")) }
            td { (percent("coverage_90", summary.coverage_90)) }
            td { (percent("mean_interval_width", summary.mean_interval_width)) }
            td { (or_not("retest_mape", summary.retest_mape, Unit::Fraction, "run once")) }
        }
    }
}

fn baselines(verification: &Verification) -> Markup {
    let bandwidth = &verification.baselines.bytes_over_bandwidth;
    let tau = |at: &str, value: Option<f64>| match value {
        Some(value) => number(at, Source::Measured, digits(value)),
        None => unavailable(at, "too few cells"),
    };
    html! {
        p data-under="/verification/baselines" { "For scale, plain predictors of the time per token: ranking by parameter count agrees with the measured order at "
            (tau("parameters/kendall_tau", verification.baselines.parameters.kendall_tau)) "; weight bytes over read bandwidth is off by "
            @match bandwidth.mape {
                Some(error) => { (number("bytes_over_bandwidth/mape", Source::Measured, Unit::Fraction.show(error))) }
                None => { (unavailable("bytes_over_bandwidth/mape", "too few cells")) }
            }
            " and agrees at " (tau("bytes_over_bandwidth/kendall_tau", bandwidth.kendall_tau)) ". (Agreement of order is Kendall’s tau: one is the same order, zero is none.)" }
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
                @for (index, row) in rows.iter().enumerate() {
                    @let unit = if row.phase == "memory" { Unit::Bytes } else { Unit::Seconds };
                    tr data-under={ "/verification/rows/" (index) } {
                        td { (code("id", &row.id)) }
                        td { (read("parameters", slimfit_quantity::format_count(row.parameters as f64))) }
                        td { (read("weights kv", format!("{} / {}", row.weights, row.kv))) }
                        td { (read("threads", row.threads)) }
                        td { (row.phase) }
                        td { @if row.phase == "prefill" { (read("prompt_tokens", row.prompt_tokens)) } @else { (read("depth_tokens", row.depth_tokens)) } }
                        td { span data-source="modelled" data-at="predicted" { (unit.show(row.predicted.value))
                            @if let Some(range) = range(unit, row.predicted.low, row.predicted.high) { " " span.range { (range) } } } }
                        td { (number("measured", Source::Measured, unit.show(row.measured))) }
                        td { @match row.retest {
                            Some(retest) => { (number("retest", Source::Measured, unit.show(retest))) }
                            None => { (unavailable("retest", "run once")) }
                        } }
                        td { (number("sentinel_ratio", Source::Measured, digits(row.sentinel_ratio))) }
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
            li { span.sample.measured { "measured" } " timed or counted here, on this device: median, quartiles and number of samples" }
            li { span.sample.modelled { "modelled" } " computed by the cost or quality model: central value and the interval that should hold nine of ten. Slanted everywhere on this page" }
            li { span.sample.read { "read" } " taken from the system or from an input, or counted exactly from a shape" }
            li { span.sample.published { "published" } " taken from a publication, which is named" }
            li { span.sample.unavailable { "unavailable" } " cannot be had here, with the reason; never a zero" }
        }
        h3 { "How to repeat this" }
        div.config {
            @if input.command.is_empty() {
                p { (unavailable("/command", "the command was not recorded")) }
            } @else {
                button.copy type="button" data-copy="repeat-command" { "Copy" }
                pre #repeat-command tabindex="0" role="region" aria-label="The command" data-source="read" data-at="/command" { (input.command) }
            }
        }
        dl.facts.hashes {
            div { dt { "slimfit" } dd { (read("/version", &input.tool_version)) } }
            div { dt { "Report made" } dd { @if input.created.is_empty() { (unavailable("/created", "the time was not recorded")) } @else { (read("/created", &input.created)) } } }
            @if let Some(head) = head {
                div { dt { "Search space " (read("/front/space/name", &head.space.name)) } dd { (hash("/front/space/sha256", &head.space.sha256)) } }
                @for (index, profile) in if head.profiles.is_empty() { std::slice::from_ref(&head.profile) } else { &head.profiles[..] }.iter().enumerate() {
                    @let at = if head.profiles.is_empty() { "/front/profile".to_owned() } else { format!("/front/profiles/{index}") };
                    div data-under=(at) { dt { "Hardware profile " (read("fingerprint_id", &profile.fingerprint_id)) } dd { (hash("sha256", &profile.sha256)) } }
                }
                div { dt { "Recipe, tokens" } dd { (read("/front/recipe/name /front/recipe/tokens", format!("{}, {}", head.recipe.name, slimfit_quantity::format_integer(head.recipe.tokens)))) } }
            }
            @if let Some(profile) = &input.profile {
                div { dt { "Profile measured by" } dd { (read("/profile/provenance/tool", &profile.provenance.tool)) ", " (read("/profile/provenance/created", &profile.provenance.created))
                    @if profile.provenance.seconds > 0.0 {
                        ", in " (number("/profile/provenance/seconds", Source::Measured, Unit::Seconds.show(profile.provenance.seconds)))
                        " of " (read("/profile/provenance/budget_seconds", Unit::Seconds.show(profile.provenance.budget_seconds)))
                    } } }
            }
            div { dt { "Chart library in this page" } dd { (read("/chart_library", crate::data::CHART_LIBRARY)) } }
        }
    }
}
