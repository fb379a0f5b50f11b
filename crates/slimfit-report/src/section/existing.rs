//! Models that exist, ranked on the device: the best in its recommended format first, and why the others are not.

use crate::mark::{count, figure, number, predicted, read, scroll, unavailable};
use crate::unit::{Unit, objective_label};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count};
use slimfit_study::{CandidateModel, Dominator, DominatorKind, SearchHead};

/// Models listed beside the user's own.
const LISTED: usize = 40;
/// Costs shown, where they can be predicted.
const COSTS: [&str; 4] = ["ttft_seconds", "tpot_seconds", "memory_bytes", "joules_per_token"];
/// Costs shown where they are an objective or limited.
const ASKED_COSTS: [&str; 1] = ["file_bytes"];

/// Nothing where no models were asked for.
pub(crate) fn ranked(head: &SearchHead) -> Markup {
    let candidates = &head.existing;
    let Some(basis) = &candidates.candidates_ranked_by else { return html! {} };
    let all = &candidates.candidates;
    let has = |name: &str| all.iter().any(|model| model.formats[0].objectives.contains_key(name));
    let asked = ASKED_COSTS.into_iter().filter(|name| head.asked().any(|asked| asked == *name));
    let costs: Vec<&str> = COSTS.into_iter().chain(asked).filter(|name| has(name)).collect();
    let listed: Vec<(usize, &CandidateModel)> =
        all.iter().enumerate().filter(|(place, model)| *place < LISTED || model.path.is_some()).collect();
    let quality = Unit::of_objective(&basis.name);
    let content = html! {
        table #candidates-table {
            caption { "Models that exist, the best that keeps every limit first: times and sizes predicted for this device" }
            thead { tr { th scope="col" { "Place" } th scope="col" { "Model" } th scope="col" { "Parameters" }
                th scope="col" { "Weights / KV" } th scope="col" { "Threads" }
                th scope="col" { (objective_label(&basis.name)) }
                @for name in &costs { th scope="col" { (objective_label(name)) } }
                th scope="col" { "Trained on" } th scope="col" { "Remarks" } } }
            tbody {
                @for (place, model) in &listed {
                    @let best = &model.formats[0];
                    tr {
                        td { @if model.keeps_limits { (read(place + 1)) } @else { "breaks a limit" } }
                        th scope="row" { (read(&model.name)) }
                        td { (read(format_count(model.parameters.total as f64))) }
                        td { (read(format!("{} / {}", model.stored_as.as_deref().unwrap_or(best.weights.name()), best.kv))) }
                        td { (read(best.threads)) }
                        td { (figure(quality, &model.quality)) }
                        @for name in &costs {
                            td { (predicted(Unit::of_objective(name), best.objectives.get(*name).copied(), best.intervals.get(*name))) }
                        }
                        td { @match &model.training {
                            Some(training) if !training.assumed => {
                                (number(Source::Published, format!("{} tokens", format_count(training.tokens as f64))))
                            }
                            _ => { (unavailable("not known")) }
                        } }
                        td { (remarks(model)) }
                    }
                }
            }
        }
    };
    html! {
        h3 { "Models that exist, ranked" }
        p { (meaning(&basis.name, basis.setting.as_deref(), &basis.recipe)) }
        (scroll("Models that exist", &content))
        @if listed.len() < all.len() {
            p.small { "The first " (count(LISTED as u64)) " and all files are listed; " code { "front.json" } " holds all " (count(all.len() as u64)) "." }
        }
        @if !candidates.candidates_skipped.is_empty() {
            details { summary { (count(candidates.candidates_skipped.len() as u64)) " that could not be read or priced" }
                ul { @for skipped in &candidates.candidates_skipped { li { (read(format!("{}: {}", skipped.candidate, skipped.reason))) } } }
            }
        }
    }
}

fn meaning(name: &str, setting: Option<&str>, recipe: &str) -> Markup {
    html! {
        @match setting {
            Some(setting) => {
                "Ranked by " (objective_label(name)) " (" (read(setting)) "): as published, less what the weight format is predicted to cost; "
                "where nothing was published, as recipe " (read(recipe)) " predicts it for the model’s own training."
            }
            None => {
                "Ranked by the " (objective_label(name).to_lowercase()) " that recipe " (read(recipe)) " predicts for each model’s own training: published scores are of another setting than its, and none is compared with them."
            }
        }
    }
}

fn remarks(model: &CandidateModel) -> Markup {
    let best = &model.formats[0];
    html! {
        ul {
            @for broken in &best.breaks {
                @let unit = Unit::of_objective(&broken.name);
                li { (objective_label(&broken.name)) " " (number(Source::Modelled, unit.show(broken.value))) ", limit " (read(unit.show(broken.limit))) }
            }
            @for by in &model.dominated_by { li { (beaten(by)) } }
            @for score in &model.scores {
                li { (score.task) " " span data-source="published" title=(score.source) { (Unit::Percent.show(score.percent)) } " published" }
            }
            @for flag in &model.flags { li { span.badge.warn { (flag) } } }
        }
    }
}

fn beaten(by: &Dominator) -> Markup {
    html! {
        @if by.quality.starts_with("published") { "beaten by " } @else { "predicted to be beaten by " }
        @match by.kind {
            DominatorKind::Candidate => { (read(format!("{} in {}", by.name, by.weights))) }
            DominatorKind::Point => { "a new model, point " (read(&by.name)) }
        }
        @if by.tied { ", within the noise" }
        @if by.count > 1 { ", and " (count(by.count - 1)) " more" }
    }
}
