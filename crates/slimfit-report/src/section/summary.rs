//! Summary: the question, the answer, the pick and the three errors.

use super::{nothing, pick_reason, picks, warnings};
use crate::ReportInput;
use crate::mark::{count, number, predicted, range, read, unavailable};
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
                    (warnings(&front.head.warnings))
                }
            }
        }
    }
}

fn question(input: &ReportInput, front: &Front) -> Markup {
    let head = &front.head;
    let several = !head.profiles.is_empty();
    let each = head.objectives.iter().any(|objective| objective.by_device.is_some());
    let device = match &input.profile {
        Some(profile) if !several => profile.name.clone(),
        _ => devices(head),
    };
    html! {
        p.question {
            strong { "Question. " }
            "Which small language models of the space " (read(&head.space.name)) " are worth their cost on "
            (read(device)) " for the workload " (read(&head.workload)) ", trained by the recipe " (read(&head.recipe.name))
            " on " (read(format_count(head.recipe.tokens as f64))) " tokens"
            @if head.constraints.is_empty() { ", without further limits?" } @else {
                ", within "
                @for (index, constraint) in head.constraints.iter().enumerate() {
                    @if index > 0 { ", " }
                    (objective_label(&constraint.name).to_lowercase()) " "
                    (read(limit_words(&constraint.name, constraint.limit)))
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
                p {
                    "The nearest miss, " (read(&miss.id)) ", breaks "
                    @for (index, broken) in miss.breaks.iter().enumerate() {
                        @if index > 0 { " and " }
                        @let unit = Unit::of_objective(&broken.name);
                        (objective_label(&broken.name).to_lowercase()) ": "
                        (number(Source::Modelled, unit.show(broken.value))) " against a limit of "
                        (read(unit.show(broken.limit)))
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
            "Of " (count(&head.space_size)) " points in the space, " (number(Source::Measured, format_integer(head.front_size)))
            @if front.points.len() == 1 { " is" } @else { " are" }
            " on the front: no other point is as good in every objective and better in one. "
            @match picks.first() {
                None => { "The search picked none of them over the others. " }
                Some(pick) => {
                    "The first pick (" (pick.picks.join(", ")) ") is " (read(&pick.id)) ", a model of "
                    (read(format_count(pick.parameters.total as f64))) " parameters in " (read(pick.weights.name()))
                    " on " (read(threads(pick))) ", predicted to reach "
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
            (objective_label(&objective.name).to_lowercase()) " "
            @match measured_score(point, &objective.name) {
                Some(value) => { (number(Source::Measured, unit.show(value))) " (measured)" }
                None => { (predicted(unit, point.objectives.get(&objective.name).copied(), None)) }
            }
        }
    }
}

/// A score from the user's table, which stands in the place of a prediction.
fn measured_score(point: &FrontPoint, name: &str) -> Option<f64> {
    (point.sources.get(name) == Some(&Source::Measured)).then(|| point.objectives.get(name).copied())?
}

fn run_of<'a>(input: &'a ReportInput, point: &FrontPoint) -> Option<&'a Measurement> {
    input.measurements.iter().find(|measurement| measurement.id == point.id)
}

fn measured_sentence(input: &ReportInput, pick: Option<&FrontPoint>) -> Markup {
    let Some(run) = pick.and_then(|pick| run_of(input, pick)) else {
        return html! { "It has not been run here, so these are predictions only." };
    };
    html! {
        "Run for real with random weights, it took "
        (crate::mark::central(Unit::Seconds, &run.measured.tpot_seconds)) " per token after a first token at "
        (crate::mark::central(Unit::Seconds, &run.measured.ttft_seconds)) "; speed and memory can be checked so, its loss cannot."
    }
}

fn card(input: &ReportInput, front: &Front, pick: &FrontPoint) -> Markup {
    let run = run_of(input, pick);
    html! {
        article.card data-pick=(pick.id) {
            h3 { (pick.picks.join(", ")) " " a href="#model" class="id" data-source="read" { (pick.id) } }
            p { (read(shape_words(&pick.architecture))) "; " (read(pick.weights.name())) " weights, "
                (read(pick.kv.name())) " cache, " (read(threads(pick))) "." }
            table.facts {
                thead { tr { th { "" } th scope="col" { "predicted" } th scope="col" { "measured" } } }
                tbody {
                    @for objective in &front.head.objectives {
                        @let unit = Unit::of_objective(&objective.name);
                        tr {
                            th scope="row" { (objective_label(&objective.name)) }
                            @match measured_score(pick, &objective.name) {
                                Some(value) => {
                                    td { (unavailable("a measured score stands in its place")) }
                                    td { (number(Source::Measured, unit.show(value))) }
                                }
                                None => {
                                    td { (predicted(unit, pick.objectives.get(&objective.name).copied(), pick.intervals.get(&objective.name))) }
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
            @if !pick.flags.is_empty() { p.flag { "Flagged: " (pick.flags.join(", ")) "." } }
        }
    }
}

fn measured_objective(front: &Front, run: Option<&Measurement>, name: &str) -> Markup {
    if ["loss", "score_", "training_"].iter().any(|start| name.starts_with(start)) {
        return unavailable("the model would have to be trained");
    }
    if !front.head.profiles.is_empty() {
        return unavailable("a run is on one of several devices");
    }
    let Some(run) = run else { return unavailable("not run here") };
    let unit = Unit::of_objective(name);
    match name {
        "ttft_seconds" => crate::mark::figure(unit, &run.measured.ttft_seconds),
        "tpot_seconds" => crate::mark::figure(unit, &run.measured.tpot_seconds),
        "memory_bytes" => crate::mark::figure(unit, &run.measured.peak_memory_bytes),
        "joules_per_token" => crate::mark::figure(unit, &run.measured.joules_per_token),
        _ => unavailable("no run measures it"),
    }
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
    let Some(front) = front else { return html! { p.big { (unavailable("no search was finished")) } } };
    let head = &front.head;
    html! {
        @if head.exact {
            p.big { (number(Source::Measured, "0")) }
            p { "The front is exact for the two models: each of the " (count(&head.space_size))
                " points was evaluated (" (count(&head.evaluated)) "), ruled out by a proven bound ("
                (count(head.pruned.iter().map(|bound| &bound.count).sum::<Natural>())) ") or is no valid model ("
                (count(&head.invalid)) ")." }
        } @else if let Some(epsilon) = head.epsilon {
            p.big { (number(Source::Modelled, format!("≤ {}", Unit::Fraction.show(epsilon)))) }
            p { "No point of the exact front is better than a point here by more than this factor in every objective." }
        } @else if let Some(measured) = &head.measured_search {
            p.big { (unavailable("a search by measuring: nothing is proven about points that were not measured")) }
            p { (count(measured.evaluations)) " of " (count(&head.space_size)) " points were asked about, and "
                (count(measured.failed)) " could not be measured." }
        } @else {
            p.big { (unavailable("the search was interrupted, and nothing is proven about points that were not looked at")) }
        }
        @if !head.invalid_by.is_empty() {
            details { summary { "Why points are no valid model" }
                ul { @for reason in &head.invalid_by { li { span data-source="read" { (reason.reason) } ": " (count(&reason.count)) } } } }
        }
        @if !head.unvisited.is_zero() && head.measured_search.is_none() {
            p.flag { "The search was interrupted: " (count(&head.unvisited)) " points were not looked at." }
        }
        p.small { "It took " (number(Source::Measured, Unit::Seconds.show(head.seconds))) " and "
            @if let Some(bytes) = head.peak_memory_bytes { (number(Source::Measured, Unit::Bytes.show(bytes as f64))) }
            @else { (unavailable("this system does not tell the peak memory of a process")) }
            " of memory." }
    }
}

fn cost_error(input: &ReportInput) -> Markup {
    let Some(verification) = &input.verification else {
        return html! {
            p.big { (unavailable("not verified")) }
            p { "No predictions were checked on this device. " code { "slimfit verify" } " runs unseen models and puts the error here." }
        };
    };
    let phases = [
        ("time per token", verification.summary.decode, verification.normalised.decode),
        ("prefill", verification.summary.prefill, verification.normalised.prefill),
        ("memory", verification.summary.memory, verification.normalised.memory),
    ];
    html! {
        @for (index, (name, raw, normalised)) in phases.iter().enumerate() {
            @if let Some(raw) = raw {
                @if index == 0 { p.big { (error_number(raw)) " " span.unit { (name) } } }
                @else { p { (error_number(raw)) " " (name) } }
                @if *name != "memory" { p.small { (beside(raw, normalised.as_ref())) } }
            }
        }
        p.small { "Mean error: the size of predicted ÷ measured − " (read("1")) ", over models the cost model had not seen." }
    }
}

fn error_number(summary: &ErrorSummary) -> Markup {
    number(Source::Measured, format!("{} (n {})", Unit::Fraction.show(summary.mape), summary.n))
}

fn beside(raw: &ErrorSummary, normalised: Option<&ErrorSummary>) -> Markup {
    html! {
        @if let Some(normalised) = normalised {
            "With the machine's drift taken out: " (number(Source::Measured, Unit::Fraction.show(normalised.mape))) ". "
        }
        @match raw.retest_mape {
            Some(retest) => { "Running the same thing twice differs by " (number(Source::Measured, Unit::Fraction.show(retest))) ", which no model can beat." }
            None => { "Retest: " (unavailable("each cell was run once")) "." }
        }
    }
}

fn quality_error(front: Option<&Front>) -> Markup {
    let Some(front) = front else { return html! { p.big { (unavailable("no search was finished")) } } };
    let quality = {
        let named =
            |start: &str| front.head.objectives.iter().find(|objective| objective.name.starts_with(start));
        named("loss").or_else(|| named("score_"))
    };
    let pick = picks(front).first().copied().or_else(|| front.points.first());
    let shown = quality.zip(pick).and_then(|(objective, pick)| {
        let interval = pick.intervals.get(&objective.name)?;
        Some((objective, range(Unit::of_objective(&objective.name), interval.low, interval.high)?))
    });
    let extrapolated =
        front.points.iter().filter(|point| point.flags.iter().any(|flag| flag == "extrapolated")).count();
    html! {
        @match shown {
            Some((objective, range)) => {
                p.big { (number(Source::Modelled, range)) }
                p { "The interval that should hold nine of ten such models, for the first pick's "
                    (objective_label(&objective.name).to_lowercase()) " in " (objective.unit)
                    ". It comes from a scaling law fitted to published training runs; nothing was trained here." }
            }
            None => {
                p.big { (unavailable("no interval was recorded")) }
                p { "The records hold no interval for quality." }
            }
        }
        @if extrapolated > 0 {
            p.flag { (count(extrapolated as u64)) " of " (count(front.points.len() as u64))
                " points lie outside the sizes the law was fitted to (flagged extrapolated, interval doubled)." }
        }
    }
}
