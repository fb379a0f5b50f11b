//! Model: for each pick its shape, where its predicted time goes, what binds, and its config.

use super::{nothing, picks};
use crate::ReportInput;
use crate::mark::{count, number, predicted, read, scroll, unavailable};
use crate::shape::{layer_runs, shape_words};
use crate::unit::Unit;
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count, format_integer};
use slimfit_study::{Explanation, FrontPoint, OperationCost};

pub(crate) fn section(input: &ReportInput) -> Markup {
    let picks = input.front.as_ref().map(picks).unwrap_or_default();
    html! {
        section #model aria-labelledby="model-title" {
            h2 #model-title { "Model" }
            @if picks.is_empty() {
                (nothing("No point was picked, so there is no model to take apart."))
            } @else {
                p { "Each pick, taken apart: what it is, and where the cost model says its time goes"
                    @if input.front.as_ref().is_some_and(|front| !front.head.profiles.is_empty()) { " on the first device" }
                    ". Everything in the bars is "
                    em { "predicted" } "; the measured share of each kernel stands under " a href="#compare" { "Compare" } "." }
                div.tabs role="tablist" aria-label="Picks" {
                    @for (index, pick) in picks.iter().enumerate() {
                        button type="button" role="tab" id={ "tab-" (pick.id) } data-pick=(pick.id) aria-controls={ "model-" (pick.id) }
                            aria-selected=(index == 0) tabindex=(if index == 0 { "0" } else { "-1" }) {
                            (pick.picks.join(", ")) " " span.range data-source="read" { (format_count(pick.parameters.total as f64)) }
                        }
                    }
                }
                @for pick in &picks { (panel(input, pick)) }
            }
        }
    }
}

fn panel(input: &ReportInput, pick: &FrontPoint) -> Markup {
    let json = serde_json::to_string_pretty(&pick.architecture).unwrap_or_default();
    html! {
        div.panel role="tabpanel" id={ "model-" (pick.id) } aria-labelledby={ "tab-" (pick.id) } data-model=(pick.id) {
            h3 { (read(&pick.id)) }
            p { (read(shape_words(&pick.architecture))) "." }
            (facts(pick))
            (drawing(pick))
            @for phase in ["decode", "prefill"] {
                (time(input.explanations.iter().find(|explanation| explanation.id == pick.id && explanation.phase == phase), phase))
            }
            h4 { "Architecture" }
            p { "This is the record that every command takes as a model. "
                code data-source="read" { "slimfit emit --pick " (pick.id) } " writes the Hugging Face config of the same shape." }
            div.config {
                button.copy type="button" data-copy={ "config-" (pick.id) } { "Copy" }
                pre tabindex="0" id={ "config-" (pick.id) } data-source="read" { (json) }
            }
        }
    }
}

fn facts(pick: &FrontPoint) -> Markup {
    let parameters = &pick.parameters;
    html! {
        dl.facts {
            div { dt { "Parameters" } dd { (count(parameters.total)) } }
            div { dt { "Without embeddings" } dd { (count(parameters.non_embedding)) } }
            div { dt { "Embeddings" } dd { (count(parameters.embedding)) } }
            div { dt { "Active for a token" } dd { (count(parameters.active)) } }
            div { dt { "Weights, KV cache" } dd { (read(format!("{}, {}", pick.weights, pick.kv))) } }
            div { dt { "Threads" } dd { (read(pick.threads)) } }
        }
    }
}

/// The model from input to output, one box for each run of equal layers.
fn drawing(pick: &FrontPoint) -> Markup {
    let architecture = &pick.architecture;
    html! {
        ol.stack aria-label="The model from input to output" {
            li.end { "Embedding: " (read(format!("{} × {}", architecture.vocabulary_size, architecture.hidden_size))) }
            @for (repeat, attention, ffn) in layer_runs(architecture) {
                li.layer {
                    span.times { (read(format!("{repeat} ×"))) }
                    span { strong { "Attention " } (read(attention)) br; strong { "FFN " } (read(ffn)) }
                }
            }
            @if let Some(loops) = architecture.loops {
                li.loop { "Layers from " (read(loops.first)) ", " (read(loops.layers)) " of them, run " (read(loops.count)) " times" }
            }
            li.end { "Output head: " (read(format!("{} × {}", architecture.hidden_size, architecture.vocabulary_size)))
                @if architecture.tied_embeddings { ", the embedding table again" } }
        }
    }
}

fn time(explanation: Option<&Explanation>, phase: &str) -> Markup {
    let title = if phase == "decode" { "Decode: one token" } else { "Prefill: the prompt" };
    let Some(explanation) = explanation else {
        return html! { h4 { (title) } p.nothing { "The study holds no terms of this prediction: " (unavailable("it was not explained")) } };
    };
    html! {
        h4 { (title) }
        p { (predicted(Unit::Seconds, Some(explanation.seconds), None)) " for "
            (read(tokens(explanation.tokens))) " with " (read(format_integer(explanation.depth_tokens))) " in the cache, on "
            (read(explanation.threads)) @if explanation.threads == 1 { " thread." } @else { " threads." } }
        figure.chart.layers {
            div.layer-chart data-model=(explanation.id) data-phase=(phase) role="img"
                aria-label="Predicted time of each layer by operation, coloured by what binds it; the table below holds the same" {}
            figcaption.legend {
                span.key.memory { "memory binds" } span.key.compute { "instructions bind" } span.key.overhead { "hand-over and dispatch bind" }
            }
        }
        details { summary { "Operations of this step" } (scroll("Table of operations", &operations(explanation))) }
    }
}

fn tokens(tokens: u64) -> String {
    format!("{} token{}", format_integer(tokens), if tokens == 1 { "" } else { "s" })
}

/// Operations that differ only in their layer share a line, which says how many they are.
fn operations(explanation: &Explanation) -> Markup {
    let mut lines: Vec<(OperationCost, u64)> = Vec::new();
    for operation in &explanation.operations {
        let bare = OperationCost { layer: None, ..operation.clone() };
        match lines.iter_mut().find(|(known, _)| *known == bare) {
            Some((_, times)) => *times += 1,
            None => lines.push((bare, 1)),
        }
    }
    let modelled = |unit: Unit, value: f64| number(Source::Modelled, unit.show(value));
    html! {
        table {
            caption { "One execution of each operation; times counts equal ones" }
            thead { tr { th scope="col" { "Operation" } th scope="col" { "Kind" } th scope="col" { "Times" } th scope="col" { "Bytes" }
                th scope="col" { "Operations" } th scope="col" { "Memory alone" } th scope="col" { "Instructions alone" }
                th scope="col" { "Hand-over" } th scope="col" { "Together" } th scope="col" { "Binds" } } }
            tbody {
                @for (operation, times) in &lines {
                    tr {
                        th scope="row" { (operation.name) }
                        td { (operation.kind) }
                        td { (read(times)) }
                        td { (modelled(Unit::Bytes, operation.bytes)) }
                        td { (modelled(Unit::Count, operation.flops)) }
                        td { (modelled(Unit::Seconds, operation.memory_seconds)) }
                        td { (modelled(Unit::Seconds, operation.compute_seconds)) }
                        td { (modelled(Unit::Seconds, operation.overhead_seconds)) }
                        td { (modelled(Unit::Seconds, operation.seconds)) }
                        td { span class={ "key " (operation.bound) } { (operation.bound) } }
                    }
                }
            }
        }
    }
}
