//! How sure the quality figures are: three noises that are never one number, and what is not predicted at all.

use super::{nothing, ticked};
use crate::ReportInput;
use crate::mark::{code, count, hash, number, read, scroll};
use crate::unit::{Unit, digits};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count};
use slimfit_study::{AnchorRef, NoiseTerm, QualityNotes, QualityTableRef, SearchHead, TrainingRef};

pub(super) fn section(input: &ReportInput) -> Markup {
    let Some(head) = input.front.as_ref().map(|front| &front.head) else { return html! {} };
    html! {
        h3 { "What is known of quality" }
        @match &head.quality {
            Some(notes) => { (noises(head, notes)) (unpredicted(notes)) }
            None => { (nothing("The records of this study are of an earlier version and do not say how sure the quality figures are.")) }
        }
        @if !head.anchors.is_empty() { (anchored(&head.anchors)) }
        @if let Some(table) = &head.quality_table { (measured(table)) }
        @if let Some(training) = &head.training { (trained(head, training)) }
    }
}

fn noises(head: &SearchHead, notes: &QualityNotes) -> Markup {
    let content = html! {
        table {
            caption { "One standard deviation of each noise of the quality model, in nats per token of the recipe’s tokenizer" }
            thead { tr { th scope="col" { "Noise of" } th scope="col" { "Nats" } th scope="col" { "Counts in ties" } th scope="col" { "Source" } } }
            tbody {
                (noise("a shape", "shape", &notes.shape, "for every candidate"))
                @for (index, axis) in notes.axes.iter().enumerate() { (noise(&axis.name, &format!("axes/{index}"), axis, "where a candidate uses it")) }
                (noise("the recipe", "recipe", &notes.recipe, "no: candidates share it")) }
        }
    };
    html! {
        p { "Nothing was trained here: quality follows from a scaling law, the recipe " (read("/front/recipe/name", &head.recipe.name)) ". It is uncertain in three ways, which are never added up to one number. "
            "What a " em { "shape" } " is worth and what single " em { "axes" } " add differs between candidates: these two make the intervals of the loss, and points closer than their joint noise are marked as tied (≈). "
            "How good the " em { "recipe" } " is, its data above all, moves all candidates together: it cannot rank them, and it widens every absolute score." }
        (scroll("Noises of the quality model", &content))
    }
}

fn noise(label: &str, at: &str, term: &NoiseTerm, ties: &str) -> Markup {
    html! {
        tr data-under={ "/front/quality/" (at) } {
            th scope="row" { (read("name", label)) }
            td { (number("nats", Source::Modelled, format!("{:.4}", term.nats))) }
            td { (ties) }
            td { (read("source", &term.source)) }
        }
    }
}

fn unpredicted(notes: &QualityNotes) -> Markup {
    html! {
        @if !notes.not_predicted.is_empty() {
            p { "Not predicted, whatever the model:" }
            ul { @for (index, task) in notes.not_predicted.iter().enumerate() { li data-under={ "/front/quality/not_predicted/" (index) } {
                (code("task", &task.task)) ": " span data-source="read" data-at="reason" { (ticked(&task.reason)) } } } }
        }
    }
}

fn anchored(anchors: &[AnchorRef]) -> Markup {
    html! {
        p { "Anchors: trained models of known score move the level of their task, and of no other, towards what they reached." }
        ul {
            @for (index, anchor) in anchors.iter().enumerate() {
                li data-under={ "/front/anchors/" (index) } { (number("model percent task", Source::Published, format!("{} reaches {} % of {}", anchor.model, digits(anchor.percent), anchor.task)))
                    ", where " (number("predicted_percent", Source::Modelled, Unit::Percent.show(anchor.predicted_percent))) " is predicted: candidates are read off "
                    (number("shift_nats", Source::Modelled, format!("{:+.4}", anchor.shift_nats))) " nats away. " (read("source", &anchor.source)) }
            }
        }
    }
}

fn measured(table: &QualityTableRef) -> Markup {
    html! {
        p data-under="/front/quality_table" { "Measured scores of " (count("points", table.points)) " points stand for predictions (" (read("measured", table.measured.join(", "))) ", from " (code("name", &table.name))
            @if let Some(setting) = &table.setting { ", measured " (read("setting", setting)) }
            "): they are marked as measured wherever they are shown."
            @if table.ignored > 0 { " Further " (count("ignored", table.ignored)) " rows of that table name no candidate and were left out." } }
        p.small { "The table: " (hash("/front/quality_table/sha256", &table.sha256)) }
    }
}

fn trained(head: &SearchHead, training: &TrainingRef) -> Markup {
    html! {
        p data-under="/front/training" { "The training is counted, not measured: three forward passes for each of the candidate’s own tokens of the text that "
            (read("/front/recipe/tokens", format_count(head.recipe.tokens as f64))) " tokens of the recipe are, in sequences of " (count("context_tokens", training.context_tokens)) " tokens, output head and causal attention included."
            @if let (Some(rate), Some(gpus)) = (training.flops_per_s, training.gpus) {
                " Its time assumes that " (count("gpus", gpus)) @if gpus == 1 { " accelerator sustains " } @else { " accelerators together sustain " }
                (read("flops_per_s", format!("{}/s", Unit::Operations.show(rate)))) "."
            }
            @if let Some(price) = training.price_per_gpu_hour { " Its price assumes " (read("price_per_gpu_hour", digits(price))) " for an hour of one of them." } }
    }
}
