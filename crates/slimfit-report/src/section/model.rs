//! Model: for each pick its shape, where its predicted time goes, what binds, and its config.

use super::{nothing, picks};
use crate::ReportInput;
use crate::data::{folded, kv_cache};
use crate::mark::{count, number, predicted, read, scroll, segment, unavailable};
use crate::shape::{layer_runs, shape_words};
use crate::unit::Unit;
use maud::{Markup, html};
use slimfit_quantity::{Source, format_integer};
use slimfit_study::{Explanation, FrontPoint};

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
                            (pick.picks.join(", "))
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
        div.panel role="tabpanel" id={ "model-" (pick.id) } aria-labelledby={ "tab-" (pick.id) } data-model=(pick.id) data-under={ "/front/points/id=" (segment(&pick.id)) } {
            h3 { (read("id", &pick.id)) }
            p { (read("architecture", shape_words(&pick.architecture))) "." }
            (facts(pick))
            (drawing(pick))
            (kv_growth(pick))
            @for phase in ["decode", "prefill"] {
                (time(&pick.picks.join(", "), input.explanations.iter().enumerate().find(|(_, explanation)| explanation.id == pick.id && explanation.phase == phase), phase))
            }
            h4 { "Architecture" }
            p { "This is the record that every command takes as a model. "
                code data-source="read" data-at="id" { "slimfit emit --pick " (pick.id) } " writes the Hugging Face config of the same shape." }
            div.config {
                button.copy type="button" data-copy={ "config-" (pick.id) } { "Copy" }
                pre tabindex="0" role="region" aria-label="The architecture as JSON" id={ "config-" (pick.id) } data-source="read" data-at="architecture" { (json) }
            }
        }
    }
}

fn facts(pick: &FrontPoint) -> Markup {
    let parameters = &pick.parameters;
    html! {
        dl.facts {
            div { dt { "Parameters" } dd { (count("parameters/total", parameters.total)) } }
            div { dt { "Without embeddings" } dd { (count("parameters/non_embedding", parameters.non_embedding)) } }
            div { dt { "Embeddings" } dd { (count("parameters/embedding", parameters.embedding)) } }
            div { dt { "Active for a token" } dd { (count("parameters/active", parameters.active)) } }
            div { dt { "Weights, KV cache" } dd { (read("weights kv", format!("{}, {}", pick.weights, pick.kv))) } }
            div { dt { "Threads" } dd { (read("threads", pick.threads)) } }
        }
    }
}

/// The model from input to output, one box for each run of equal layers.
fn drawing(pick: &FrontPoint) -> Markup {
    let architecture = &pick.architecture;
    html! {
        ol.stack data-under={ "/front/points/id=" (segment(&pick.id)) "/architecture" } aria-label="The model from input to output" {
            li.end { "Embedding: " (read("vocabulary_size hidden_size", format!("{} × {}", architecture.vocabulary_size, architecture.hidden_size))) }
            @for (index, (repeat, attention, ffn)) in layer_runs(architecture).into_iter().enumerate() {
                li.layer data-under={ "/front/points/id=" (segment(&pick.id)) "/architecture/layers/" (index) } {
                    span.times { (read("repeat", format!("{repeat} ×"))) }
                    span { strong { "Attention " } (read("attention", attention)) br; strong { "FFN " } (read("ffn", ffn)) }
                }
            }
            @if let Some(loops) = architecture.loops {
                li.loop { "Layers from " (read("loops/first", loops.first)) ", " (read("loops/layers", loops.layers)) " of them, run " (read("loops/count", loops.count)) " times" }
            }
            li.end { "Output head: " (read("hidden_size vocabulary_size", format!("{} × {}", architecture.hidden_size, architecture.vocabulary_size)))
                @if architecture.tied_embeddings { ", the embedding table again" } }
        }
    }
}

/// What the KV cache takes at growing contexts.
fn kv_growth(pick: &FrontPoint) -> Markup {
    let growth = kv_cache(pick);
    let at = format!("/kv_cache/id={}/contexts", segment(&pick.id));
    html! {
        @if !growth.is_empty() {
            h4 { "KV cache as the context grows" }
            (scroll(&format!("KV cache of {}", pick.picks.join(", ")), &html! {
                table {
                    caption { "Bytes of the cache, counted from the shape" }
                    thead { tr { th scope="col" { "Tokens in the cache" } th scope="col" { "KV cache" } } }
                    tbody {
                        @for (index, (tokens, bytes)) in growth.iter().enumerate() {
                            tr data-under={ (at) "/" (index) } {
                                th scope="row" { (count("tokens", tokens)) }
                                td { (read("bytes", Unit::Bytes.show(*bytes as f64))) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// `explanation`: its place among all, and itself.
fn time(pick: &str, explanation: Option<(usize, &Explanation)>, phase: &str) -> Markup {
    let title = if phase == "decode" { "Decode: one token" } else { "Prefill: the prompt" };
    let Some((place, explanation)) = explanation else {
        return html! { h4 { (title) } p.nothing { "The study holds no terms of this prediction: " (unavailable("/explanations", "it was not explained")) } };
    };
    html! {
        h4 { (title) }
        p data-under={ "/explanations/" (place) } { (predicted("seconds", Unit::Seconds, Some(explanation.seconds), None)) " for "
            (read("tokens", tokens(explanation.tokens))) " with " (read("depth_tokens", format_integer(explanation.depth_tokens))) " in the cache, on "
            (read("threads", explanation.threads)) @if explanation.threads == 1 { " thread." } @else { " threads." } }
        figure.chart.layers {
            div.layer-chart data-model=(explanation.id) data-phase=(phase) role="img"
                aria-label="Predicted time of each layer by operation, coloured by what binds it; the table below holds the same" {}
            figcaption.legend {
                span.key.memory { "memory binds" } span.key.compute { "instructions bind" } span.key.overhead { "hand-over and dispatch bind" }
            }
        }
        details { summary { "Operations of this step" } (scroll(&format!("Operations of {phase}, {pick}"), &operations(place, explanation))) }
    }
}

fn tokens(tokens: u64) -> String {
    format!("{} token{}", format_integer(tokens), if tokens == 1 { "" } else { "s" })
}

/// Operations that differ only in their layer share a line, which says how many they are.
fn operations(place: usize, explanation: &Explanation) -> Markup {
    let lines = folded(explanation);
    let modelled = |at: &str, unit: Unit, value: f64| number(at, Source::Modelled, unit.show(value));
    html! {
        table {
            caption { "One execution of each operation; times counts equal ones" }
            thead { tr { th scope="col" { "Operation" } th scope="col" { "Kind" } th scope="col" { "Times" } th scope="col" { "Bytes" }
                th scope="col" { "Operations" } th scope="col" { "Memory alone" } th scope="col" { "Instructions alone" }
                th scope="col" { "Hand-over" } th scope="col" { "Together" } th scope="col" { "Binds" } } }
            tbody {
                @for (index, (operation, layers)) in lines.iter().enumerate() {
                    tr data-under={ "/explanations/" (place) "/operations/" (index) } {
                        th scope="row" { (operation.name) }
                        td { (operation.kind) }
                        td { @if operation.layer.is_none() && layers.is_empty() { "once" } @else { (read("layers", layers.len())) } }
                        td { (modelled("bytes", Unit::Bytes, operation.bytes)) }
                        td { (modelled("flops", Unit::Count, operation.flops)) }
                        td { (modelled("memory_seconds", Unit::Seconds, operation.memory_seconds)) }
                        td { (modelled("compute_seconds", Unit::Seconds, operation.compute_seconds)) }
                        td { (modelled("overhead_seconds", Unit::Seconds, operation.overhead_seconds)) }
                        td { (modelled("seconds", Unit::Seconds, operation.seconds)) }
                        td { span class={ "key " (operation.bound) } { (operation.bound) } }
                    }
                }
            }
        }
    }
}
