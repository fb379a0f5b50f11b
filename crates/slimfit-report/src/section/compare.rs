//! Compare: models that ran side by side, and public models on the same device.

use super::{nothing, ticked};
use crate::ReportInput;
use crate::mark::{code, figure, number, predicted, read, scroll, segment, unavailable};
use crate::unit::{Unit, objective_label};
use maud::{Markup, html};
use slimfit_quantity::{Figure, Source, format_count};
use slimfit_study::{Measurement, RunFigures};

/// A row of the side-by-side table: its label, its unit, and its figure's name and place.
type FigureRow = (&'static str, Unit, &'static str, fn(&RunFigures) -> &Figure);

const FIGURES: [FigureRow; 6] = [
    ("Time to first token", Unit::Seconds, "ttft_seconds", |run| &run.ttft_seconds),
    ("Time per token", Unit::Seconds, "tpot_seconds", |run| &run.tpot_seconds),
    ("Prefill", Unit::TokensPerSecond, "prefill_tokens_per_s", |run| &run.prefill_tokens_per_s),
    ("Decode", Unit::TokensPerSecond, "decode_tokens_per_s", |run| &run.decode_tokens_per_s),
    ("Peak memory", Unit::Bytes, "peak_memory_bytes", |run| &run.peak_memory_bytes),
    ("Energy per token", Unit::Joules, "joules_per_token", |run| &run.joules_per_token),
];

/// Places of models in their table, in words: what opens on a click is no figure itself.
const ORDINALS: [&str; 10] =
    ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

pub(crate) fn section(input: &ReportInput) -> Markup {
    html! {
        section #compare aria-labelledby="compare-title" {
            h2 #compare-title { "Compare" }
            @if let Some(comparison) = &input.comparison { (super::studies::compared(comparison)) }
            (super::pair::controls(input))
            h3 { "Models that ran here" }
            @if input.measurements.is_empty() {
                (nothing("Nothing was run in this study, so there is nothing measured to compare. `slimfit run` or `slimfit measure` runs models for real."))
            } @else {
                @if input.measurements.len() == 1 { p.flag { "A single model was run: there is nothing to compare it with but its own prediction." } }
                (scroll("Measured models side by side", &side_by_side(&input.measurements)))
                @for (index, run) in input.measurements.iter().enumerate() { (operations(index, run)) }
            }
            h3 { "Public models on this device" }
            @if input.references.is_empty() {
                (nothing("No public models were priced for this device and workload."))
            } @else {
                (references(input))
            }
            @if let Some(front) = &input.front { (super::existing::ranked(&front.head)) }
            @if input.comparison.is_none() {
                p.small { (ticked("This page shows one study. `slimfit report --compare` puts another beside it.")) }
            }
        }
    }
}

fn name(run: &Measurement) -> &str {
    run.name.as_deref().unwrap_or(&run.id)
}

fn side_by_side(runs: &[Measurement]) -> Markup {
    html! {
        table.side {
            caption { "Each figure twice: measured, and on a line of its own what was predicted before" }
            thead { tr {
                th scope="col" { "Quantity" } th scope="col" { "How it is known" }
                @for (index, run) in runs.iter().enumerate() { th scope="col" data-under=(at(index)) { (named(run)) @if run.name.is_some() { " " span.range data-source="read" data-at="id" { (run.id) } } } }
            } }
            tbody {
                tr { th scope="row" { "Weights / KV" } td { "read" } @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (read("weights kv", format!("{} / {}", run.weights, run.kv))) } } }
                tr { th scope="row" { "Threads, instruction set" } td { "read" } @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (read("threads isa", format!("{}, {}", run.threads, run.isa))) } } }
                tr { th scope="row" { "Prompt, generated, in cache before" } td { "read" }
                    @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (read("prompt_tokens generated_tokens depth_tokens", format!("{}, {}, {}", run.prompt_tokens, run.generated_tokens, run.depth_tokens))) } } }
                @for (label, unit, name, of) in FIGURES {
                    tr { th scope="row" rowspan="2" { (label) } td { "measured" } @for (index, run) in runs.iter().enumerate() { td { (figure(format!("{}/measured/{name}", at(index)), unit, of(&run.measured))) } } }
                    tr { td.predicted { "predicted" } @for (index, run) in runs.iter().enumerate() { td { (figure(format!("{}/predicted/{name}", at(index)), unit, of(&run.predicted))) } } }
                }
                tr { th scope="row" { "Decode, share of read bandwidth" } td { "measured" } @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (share("share/decode_of_bandwidth", run.share.decode_of_bandwidth, "nothing was decoded")) } } }
                tr { th scope="row" { "Prefill, share of peak" } td { "measured" } @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (share("share/prefill_of_peak", run.share.prefill_of_peak, "no prompt was run")) } } }
                tr { th scope="row" { "Time per token: the median, and what one in twenty and one in a hundred exceed" } td { "measured" } @for (index, run) in runs.iter().enumerate() { td data-under=(at(index)) { (tail(run)) } } }
            }
        }
    }
}

/// The path of a run's record.
fn at(index: usize) -> String {
    format!("/measurements/{index}")
}

fn named(run: &Measurement) -> Markup {
    read(if run.name.is_some() { "name" } else { "id" }, name(run))
}

fn share(at: &str, value: Option<f64>, reason: &str) -> Markup {
    value.map_or_else(
        || unavailable(at, reason),
        |value| number(at, Source::Measured, Unit::Fraction.show(value)),
    )
}

fn tail(run: &Measurement) -> Markup {
    let tail = run.percentiles.tpot_seconds;
    let part = |name: &str, value: Option<f64>| {
        let at = format!("percentiles/tpot_seconds/{name}");
        match value {
            None => unavailable(at, "too few samples"),
            Some(value) => number(at, Source::Measured, Unit::Seconds.show(value)),
        }
    };
    html! { (part("p50", tail.p50)) ", " (part("p95", tail.p95)) ", " (part("p99", tail.p99)) }
}

fn operations(index: usize, run: &Measurement) -> Markup {
    let content = html! {
        table {
            caption { "Measured time by operation" }
            thead { tr { th scope="col" { "Phase" } th scope="col" { "Operation" } th scope="col" { "Kernel" } th scope="col" { "Time per step" }
                th scope="col" { "Share of time" } th scope="col" { "Share of what the roofline allows" } } }
            tbody {
                @for (place, operation) in run.operations.iter().enumerate() {
                    tr data-under={ (at(index)) "/operations/" (place) } {
                        td { (operation.phase) }
                        th scope="row" { (operation.name) }
                        td { (code("variant", &operation.variant)) }
                        td { (number("seconds", Source::Measured, Unit::Seconds.show(operation.seconds))) }
                        td { (number("share_of_time", Source::Measured, Unit::Fraction.show(operation.share_of_time))) }
                        td { (share("share_of_roofline", operation.share_of_roofline, "no bound is known for it")) }
                    }
                }
            }
        }
    };
    html! {
        @if !run.operations.is_empty() {
            details data-under=(at(index)) { summary { "Where the measured time of the " (ORDINALS.get(index).unwrap_or(&"next")) " model went" } p.small { "Of " (named(run)) } (scroll(&format!("Measured operations of {}", name(run)), &content)) }
        }
    }
}

fn references(input: &ReportInput) -> Markup {
    let none = Vec::new();
    let objectives = input.front.as_ref().map_or(&none, |front| &front.head.objectives);
    let content = html! {
        table {
            caption { "Public models: time and memory predicted for this device, scores as published" }
            thead { tr { th scope="col" { "Model" } th scope="col" { "Parameters" } th scope="col" { "Weights" } th scope="col" { "Threads" }
                @for objective in objectives { th scope="col" { (objective_label(&objective.name)) " (predicted)" } }
                th scope="col" { "Trained on" } th scope="col" { "Scores" } } }
            tbody {
                @for (index, model) in input.references.iter().enumerate() {
                    tr data-under={ "/references/" (index) } {
                        th scope="row" { (number("name", Source::Published, &model.name)) }
                        td { (read("parameters", format_count(model.parameters as f64))) }
                        td { (read("weights", &model.weights)) }
                        td { (read("threads", model.threads)) }
                        @for objective in objectives {
                            td { (predicted(format!("objectives/{}", segment(&objective.name)), Unit::of_objective(&objective.name), model.objectives.get(&objective.name).copied(), None)) }
                        }
                        td { @match model.training_tokens {
                            Some(tokens) => { (number("training_tokens", Source::Published, format!("{} tokens", format_count(tokens)))) }
                            None => { (unavailable("training_tokens", "not published")) }
                        } }
                        td { @if model.scores.is_empty() { (unavailable("scores", "none recorded")) }
                            @for (index, score) in model.scores.iter().enumerate() {
                                @if index > 0 { ", " }
                                (score.task) " " span data-source="published" data-at={ "scores/" (index) "/percent" } title=(score.source) { (format!("{:.1} %", score.percent)) }
                            } }
                    }
                }
            }
        }
    };
    html! {
        p { "The loss of a public model is its shape’s under this study’s recipe where it stands, not what its makers reached with theirs." }
        (scroll("Public models", &content))
    }
}
