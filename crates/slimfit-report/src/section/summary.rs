//! Summary: the question, the answer, the pick and the three errors.

use super::{nothing, pick_reason, picks, warnings};
use crate::ReportInput;
use crate::mark::{count, number, predicted, range, read, segment, unavailable};
use crate::shape::shape_words;
use crate::unit::{Unit, devices, limit_words, objective_label};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count, format_integer};
use slimfit_study::{ErrorSummary, Front, FrontPoint, Measurement, Natural};

pub(crate) fn section(input: &ReportInput) -> Markup {
    html! {
        section #summary aria-labelledby="summary-title" {
            h2 #summary-title { "Summary" }
            (super::running::panel(input))
            @match &input.front {
                None => {
                    (nothing("This study holds no search result yet: there is no front, and so no answer. Run `slimfit search` or `slimfit run` to its end; what was measured so far stands below."))
                    (errors(input, None))
                }
                Some(front) => {
                    (question(input, front))
                    (answer(input, front))
                    (errors(input, Some(front)))
                    (warnings("/front/warnings", &front.head.warnings))
                }
            }
        }
    }
}

fn question(input: &ReportInput, front: &Front) -> Markup {
    let head = &front.head;
    let several = !head.profiles.is_empty();
    let each = head.objectives.iter().any(|objective| objective.by_device.is_some());
    let (device_at, device) = match &input.profile {
        Some(profile) if !several => ("/profile/name", profile.name.clone()),
        _ if several => ("/front/profiles", devices(head)),
        _ => ("/front/profile/name", devices(head)),
    };
    html! {
        p.question {
            strong { "Question. " }
            "Which small language models of the space " (read("/front/space/name", &head.space.name)) " are worth their cost on "
            (read(device_at, device)) " for the workload " (read("/front/workload", &head.workload)) ", trained by the recipe " (read("/front/recipe/name", &head.recipe.name))
            " on " (read("/front/recipe/tokens", format_count(head.recipe.tokens as f64))) " tokens"
            @if head.constraints.is_empty() { ", without further limits?" } @else {
                ", within "
                @for (index, constraint) in head.constraints.iter().enumerate() {
                    @if index > 0 { ", " }
                    (objective_label(&constraint.name).to_lowercase()) " "
                    (read(format!("/front/constraints/{index}/limit"), limit_words(&constraint.name, constraint.limit)))
                }
                "?"
            }
            @if several {
                @if each { " What a model takes on each device is an objective of its own; limits hold on all of them." }
                @else { " Times, memory and energy are the worst over these devices." }
            }
        }
    }
}

fn answer(input: &ReportInput, front: &Front) -> Markup {
    let head = &front.head;
    if front.points.is_empty() {
        return html! {
            (nothing("The front is empty: no point of the space is a valid model that keeps every limit."))
            @if let Some(miss) = &head.nearest_miss {
                p data-under="/front/nearest_miss" {
                    "The nearest miss, " (read("id", &miss.id)) ", breaks "
                    @for (index, broken) in miss.breaks.iter().enumerate() {
                        @if index > 0 { " and " }
                        @let unit = Unit::of_objective(&broken.name);
                        (objective_label(&broken.name).to_lowercase()) ": "
                        (number(format!("breaks/{index}/value"), Source::Modelled, unit.show(broken.value))) " against a limit of "
                        (read(format!("breaks/{index}/limit"), unit.show(broken.limit)))
                    }
                    "."
                }
            }
        };
    }
    let picks = picks(front);
    html! {
        p.answer {
            strong { "Answer. " }
            "Of " (count("/front/space_size", &head.space_size)) " points in the space, " (number("/front/front_size", Source::Measured, format_integer(head.front_size)))
            @if front.points.len() == 1 { " is" } @else { " are" }
            " on the front: no other point is as good in every objective and better in one. "
            @match picks.first() {
                None => { "The search picked none of them over the others. " }
                Some(pick) => {
                    "The first pick (" (pick.picks.join(", ")) ") is " (read(at(pick, "id"), &pick.id)) ", a model of "
                    (read(at(pick, "parameters/total"), format_count(pick.parameters.total as f64))) " parameters in "
                    (read(at(pick, "weights"), pick.weights.name())) " on " (read(threads_at(pick), threads(pick))) ", predicted to reach "
                    (objectives(front, pick)) ". "
                }
            }
            (measured_sentence(input, picks.first().copied()))
        }
        @if !picks.is_empty() {
            div.cards {
                @for pick in &picks { (card(input, front, pick)) }
            }
        }
    }
}

/// The path of a part of a point's record.
fn at(point: &FrontPoint, part: &str) -> String {
    format!("/front/points/id={}/{part}", segment(&point.id))
}

fn objective_at(point: &FrontPoint, name: &str) -> String {
    at(point, &format!("objectives/{}", segment(name)))
}

fn threads_at(point: &FrontPoint) -> String {
    at(point, if point.by_device.is_empty() { "threads" } else { "by_device" })
}

/// Threads of a point, on each device where they are several.
fn threads(point: &FrontPoint) -> String {
    if point.by_device.is_empty() {
        let threads = point.threads;
        return format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
    }
    let each: Vec<String> = point.by_device.iter().map(|device| device.threads.to_string()).collect();
    format!("{} threads", each.join(" and "))
}

fn objectives(front: &Front, point: &FrontPoint) -> Markup {
    let known: Vec<_> = front
        .head
        .objectives
        .iter()
        .filter(|objective| point.objectives.contains_key(&objective.name))
        .collect();
    html! {
        @for (index, objective) in known.iter().enumerate() {
            @if index > 0 { @if index + 1 == known.len() { " and " } @else { ", " } }
            @let unit = Unit::of_objective(&objective.name);
            @let place = objective_at(point, &objective.name);
            (objective_label(&objective.name).to_lowercase()) " "
            @match measured_score(point, &objective.name) {
                Some(value) => { (number(place, Source::Measured, unit.show(value))) " (measured)" }
                None => { (predicted(place, unit, point.objectives.get(&objective.name).copied(), None)) }
            }
        }
    }
}

/// A score from the user's table, which stands in the place of a prediction.
fn measured_score(point: &FrontPoint, name: &str) -> Option<f64> {
    (point.sources.get(name) == Some(&Source::Measured)).then(|| point.objectives.get(name).copied())?
}

/// A point's run, and its place among all.
fn run_of<'a>(input: &'a ReportInput, point: &FrontPoint) -> Option<(usize, &'a Measurement)> {
    input.measurements.iter().enumerate().find(|(_, measurement)| measurement.id == point.id)
}

fn measured_sentence(input: &ReportInput, pick: Option<&FrontPoint>) -> Markup {
    let Some((place, run)) = pick.and_then(|pick| run_of(input, pick)) else {
        return html! { "It has not been run here, so these are predictions only." };
    };
    html! {
        "Run for real with random weights, it took "
        (crate::mark::central(format!("/measurements/{place}/measured/tpot_seconds"), Unit::Seconds, &run.measured.tpot_seconds)) " per token after a first token at "
        (crate::mark::central(format!("/measurements/{place}/measured/ttft_seconds"), Unit::Seconds, &run.measured.ttft_seconds)) "; speed and memory can be checked so, its loss cannot."
    }
}

fn card(input: &ReportInput, front: &Front, pick: &FrontPoint) -> Markup {
    let run = run_of(input, pick);
    html! {
        article.card data-pick=(pick.id) {
            h3 { (pick.picks.join(", ")) " " span.id data-source="read" data-at=(at(pick, "id")) { (pick.id) } }
            p { (read(at(pick, "architecture"), shape_words(&pick.architecture))) "; " (read(at(pick, "weights"), pick.weights.name())) " weights, "
                (read(at(pick, "kv"), pick.kv.name())) " cache, " (read(threads_at(pick), threads(pick))) "." }
            table.facts {
                thead { tr { td {} th scope="col" { "predicted" } th scope="col" { "measured" } } }
                tbody {
                    @for objective in &front.head.objectives {
                        @let unit = Unit::of_objective(&objective.name);
                        @let place = objective_at(pick, &objective.name);
                        tr {
                            th scope="row" { (objective_label(&objective.name)) }
                            @match measured_score(pick, &objective.name) {
                                Some(value) => {
                                    td { (unavailable(&place, "a measured score stands in its place")) }
                                    td { (number(&place, Source::Measured, unit.show(value))) }
                                }
                                None => {
                                    td { (predicted(&place, unit, pick.objectives.get(&objective.name).copied(), pick.intervals.get(&objective.name))) }
                                    td { (measured_objective(front, run, &objective.name)) }
                                }
                            }
                        }
                    }
                }
            }
            @for name in &pick.picks {
                p.why { strong { "Why “" (name) "”? " }
                    @match pick_reason(name) {
                        Some(reason) => { "Because " (reason) "." }
                        None => { "The search gave it this name." }
                    }
                }
            }
            p { a href="#model" { "What it is made of" } }
            @if !pick.flags.is_empty() { p.flag { "Flagged: " (pick.flags.join(", ")) "." } }
        }
    }
}

fn measured_objective(front: &Front, run: Option<(usize, &Measurement)>, name: &str) -> Markup {
    if ["loss", "score_", "training_"].iter().any(|start| name.starts_with(start)) {
        return unavailable("/measurements", "the model would have to be trained");
    }
    if !front.head.profiles.is_empty() {
        return unavailable("/measurements", "a run is on one of several devices");
    }
    let Some((place, run)) = run else { return unavailable("/measurements", "not run here") };
    let measured = &run.measured;
    let (found, figure) = match name {
        "ttft_seconds" => ("ttft_seconds", &measured.ttft_seconds),
        "tpot_seconds" => ("tpot_seconds", &measured.tpot_seconds),
        "memory_bytes" => ("peak_memory_bytes", &measured.peak_memory_bytes),
        "joules_per_token" => ("joules_per_token", &measured.joules_per_token),
        _ => return unavailable(format!("/measurements/{place}/measured"), "no run measures it"),
    };
    crate::mark::figure(format!("/measurements/{place}/measured/{found}"), Unit::of_objective(name), figure)
}

/// The three errors that stand beside every front.
fn errors(input: &ReportInput, front: Option<&Front>) -> Markup {
    html! {
        h3 { "How wrong can this be?" }
        div.cards.errors {
            article.card { h4 { "The search" } (search_error(front)) }
            article.card { h4 { "The cost model" } (cost_error(input)) }
            article.card { h4 { "The quality model" } (quality_error(front)) }
        }
    }
}

fn search_error(front: Option<&Front>) -> Markup {
    let Some(front) = front else {
        return html! { p.big { (unavailable("/front", "no search was finished")) } };
    };
    let head = &front.head;
    html! {
        @if head.exact {
            p.big { (number("/front/exact", Source::Measured, "none")) }
            p { "The front is exact for the two models: each of the " (count("/front/space_size", &head.space_size))
                " points was evaluated (" (count("/front/evaluated", &head.evaluated)) "), ruled out by a proven bound ("
                (count("/front/pruned", head.pruned.iter().map(|bound| &bound.count).sum::<Natural>())) ") or is no valid model ("
                (count("/front/invalid", &head.invalid)) ")." }
        } @else if let Some(epsilon) = head.epsilon {
            p.big { (number("/front/epsilon", Source::Modelled, format!("≤ {}", Unit::Fraction.show(epsilon)))) }
            p { "No point of the exact front is better than a point here by more than this factor in every objective." }
        } @else if let Some(measured) = &head.measured_search {
            p.big { (unavailable("/front/epsilon", "a search by measuring: nothing is proven about points that were not measured")) }
            p { (count("/front/measured_search/evaluations", measured.evaluations)) " of " (count("/front/space_size", &head.space_size)) " points were asked about, and "
                (count("/front/measured_search/failed", measured.failed)) " could not be measured." }
        } @else {
            p.big { (unavailable("/front/epsilon", "the search was interrupted, and nothing is proven about points that were not looked at")) }
        }
        @if !head.invalid_by.is_empty() {
            details { summary { "Why points are no valid model" }
                ul { @for (index, reason) in head.invalid_by.iter().enumerate() {
                    li data-under={ "/front/invalid_by/" (index) } { (read("reason", &reason.reason)) ": " (count("count", &reason.count)) } } } }
        }
        @if !head.unvisited.is_zero() && head.measured_search.is_none() {
            p.flag { "The search was interrupted: " (count("/front/unvisited", &head.unvisited)) " points were not looked at." }
        }
        p.small { "It took " (number("/front/seconds", Source::Measured, Unit::Seconds.show(head.seconds))) " and "
            @if let Some(bytes) = head.peak_memory_bytes { (number("/front/peak_memory_bytes", Source::Measured, Unit::Bytes.show(bytes as f64))) }
            @else { (unavailable("/front/peak_memory_bytes", "this system does not tell the peak memory of a process")) }
            " of memory." }
    }
}

fn cost_error(input: &ReportInput) -> Markup {
    let Some(verification) = &input.verification else {
        return html! {
            p.big { (unavailable("/verification", "not verified")) }
            p { "No predictions were checked on this device. " code { "slimfit verify" } " runs unseen models and puts the error here." }
        };
    };
    let phases = [
        ("time per token", "decode", verification.summary.decode, verification.normalised.decode),
        ("prefill", "prefill", verification.summary.prefill, verification.normalised.prefill),
        ("memory", "memory", verification.summary.memory, verification.normalised.memory),
    ];
    html! {
        @for (index, (name, phase, raw, normalised)) in phases.iter().enumerate() {
            @if let Some(raw) = raw {
                @if index == 0 { p.big { (error_number(phase, raw)) " " span.unit { (name) } } }
                @else { p { (error_number(phase, raw)) " " (name) } }
                @if *name != "memory" { p.small { (beside(phase, raw, normalised.as_ref())) } }
            }
        }
        p.small { "Mean error: how far predicted ÷ measured is from one, over models the cost model had not seen." }
    }
}

fn error_number(phase: &str, summary: &ErrorSummary) -> Markup {
    let at = format!("/verification/summary/{phase}/mape /verification/summary/{phase}/n");
    number(at, Source::Measured, format!("{} (n {})", Unit::Fraction.show(summary.mape), summary.n))
}

fn beside(phase: &str, raw: &ErrorSummary, normalised: Option<&ErrorSummary>) -> Markup {
    html! {
        @if let Some(normalised) = normalised {
            "With the machine's drift taken out: " (number(format!("/verification/normalised/{phase}/mape"), Source::Measured, Unit::Fraction.show(normalised.mape))) ". "
        }
        @match raw.retest_mape {
            Some(retest) => { "Running the same thing twice differs by " (number(format!("/verification/summary/{phase}/retest_mape"), Source::Measured, Unit::Fraction.show(retest))) ", which no model can beat." }
            None => { "Retest: " (unavailable(format!("/verification/summary/{phase}/retest_mape"), "each cell was run once")) "." }
        }
    }
}

fn quality_error(front: Option<&Front>) -> Markup {
    let Some(front) = front else {
        return html! { p.big { (unavailable("/front", "no search was finished")) } };
    };
    let quality = {
        let named =
            |start: &str| front.head.objectives.iter().find(|objective| objective.name.starts_with(start));
        named("loss").or_else(|| named("score_"))
    };
    let pick = picks(front).first().copied().or_else(|| front.points.first());
    let shown = quality.zip(pick).and_then(|(objective, pick)| {
        let interval = pick.intervals.get(&objective.name)?;
        Some((objective, pick, range(Unit::of_objective(&objective.name), interval.low, interval.high)?))
    });
    let extrapolated =
        front.points.iter().filter(|point| point.flags.iter().any(|flag| flag == "extrapolated")).count();
    html! {
        @match shown {
            Some((objective, pick, range)) => {
                p.big { (number(at(pick, &format!("intervals/{}", segment(&objective.name))), Source::Modelled, range)) }
                p { "The interval that should hold nine of ten such models, for the first pick's "
                    (objective_label(&objective.name).to_lowercase()) " in " (objective.unit)
                    ". It comes from a scaling law fitted to published training runs; nothing was trained here." }
            }
            None => {
                p.big { (unavailable("/front/points", "no interval was recorded")) }
                p { "The records hold no interval for quality." }
            }
        }
        @if extrapolated > 0 {
            p.flag { (count("/counts/extrapolated", extrapolated as u64)) " of " (count("/counts/points", front.points.len() as u64))
                " points lie outside the sizes the law was fitted to (flagged extrapolated, interval doubled)." }
        }
    }
}
