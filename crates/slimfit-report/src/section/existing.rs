//! Models that exist, ranked on the device: the best in its recommended format first, and why the others are not.

use crate::mark::{count, figure, number, predicted, read, scroll, segment, unavailable};
use crate::unit::{Unit, objective_label};
use maud::{Markup, html};
use slimfit_quantity::{Source, format_count};
use slimfit_study::{CandidateModel, Candidates, Dominator, DominatorKind, SearchHead};

/// Models listed beside the user's own.
const LISTED: usize = 40;
/// Costs shown, where they can be predicted.
const COSTS: [&str; 4] = ["ttft_seconds", "tpot_seconds", "memory_bytes", "joules_per_token"];
/// Costs shown where they are an objective or limited.
const ASKED_COSTS: [&str; 1] = ["file_bytes"];

/// The models that the page lists, with their places: the best, and all files.
pub(crate) fn listed(candidates: &Candidates) -> Vec<(usize, &CandidateModel)> {
    let all = candidates.candidates.iter().enumerate();
    all.filter(|(place, model)| *place < LISTED || model.path.is_some()).collect()
}

/// Nothing where no models were asked for.
pub(crate) fn ranked(head: &SearchHead) -> Markup {
    let candidates = &head.existing;
    let Some(basis) = &candidates.candidates_ranked_by else { return html! {} };
    let all = &candidates.candidates;
    let has = |name: &str| all.iter().any(|model| model.formats[0].objectives.contains_key(name));
    let asked = ASKED_COSTS.into_iter().filter(|name| head.asked().any(|asked| asked == *name));
    let costs: Vec<&str> = COSTS.into_iter().chain(asked).filter(|name| has(name)).collect();
    let listed = listed(candidates);
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
                    tr data-under={ "/existing/candidates/place=" (place + 1) } {
                        td { @if model.keeps_limits { (read("place", place + 1)) } @else { "breaks a limit" } }
                        th scope="row" { (read("name", &model.name)) }
                        td { (read("parameters/total", format_count(model.parameters.total as f64))) }
                        td { (read(if model.stored_as.is_some() { "stored_as formats/0/kv" } else { "formats/0/weights formats/0/kv" }, format!("{} / {}", model.stored_as.as_deref().unwrap_or(best.weights.name()), best.kv))) }
                        td { (read("formats/0/threads", best.threads)) }
                        td { (figure("quality", quality, &model.quality)) }
                        @for name in &costs {
                            td { (predicted(format!("formats/0/objectives/{}", segment(name)), Unit::of_objective(name), best.objectives.get(*name).copied(), best.intervals.get(*name))) }
                        }
                        td { @match &model.training {
                            Some(training) if !training.assumed => {
                                (number("training/tokens", Source::Published, format!("{} tokens", format_count(training.tokens as f64))))
                            }
                            _ => { (unavailable("training/tokens", "not known")) }
                        } }
                        td { (remarks(place + 1, model)) }
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
            p.small { (count("/existing/listed", listed.len() as u64)) " are listed, the best and all files; " code { "front.json" } " holds all " (count("/existing/count", all.len() as u64)) "." }
        }
        @if !candidates.candidates_skipped.is_empty() {
            details { summary { "Models that could not be read or priced" }
                ul { @for (index, skipped) in candidates.candidates_skipped.iter().enumerate() {
                    li { (read(format!("/existing/candidates_skipped/{index}"), format!("{}: {}", skipped.candidate, skipped.reason))) } } }
            }
        }
    }
}

fn meaning(name: &str, setting: Option<&str>, recipe: &str) -> Markup {
    html! {
        @match setting {
            Some(setting) => {
                "Ranked by " (objective_label(name)) " (" (read("/existing/candidates_ranked_by/setting", setting)) "): as published, less what the weight format is predicted to cost; "
                "where nothing was published, as recipe " (read("/existing/candidates_ranked_by/recipe", recipe)) " predicts it for the model’s own training."
            }
            None => {
                "Ranked by the " (objective_label(name).to_lowercase()) " that recipe " (read("/existing/candidates_ranked_by/recipe", recipe)) " predicts for each model’s own training: published scores are of another setting than its, and none is compared with them."
            }
        }
    }
}

fn remarks(place: usize, model: &CandidateModel) -> Markup {
    let best = &model.formats[0];
    html! {
        ul {
            @for (index, broken) in best.breaks.iter().enumerate() {
                @let unit = Unit::of_objective(&broken.name);
                li data-under={ "/existing/candidates/place=" (place) "/formats/0/breaks/" (index) } { (objective_label(&broken.name)) " " (number("value", Source::Modelled, unit.show(broken.value))) ", limit " (read("limit", unit.show(broken.limit))) }
            }
            @for (index, by) in model.dominated_by.iter().enumerate() { li data-under={ "/existing/candidates/place=" (place) "/dominated_by/" (index) } { (beaten(by)) } }
            @for (index, score) in model.scores.iter().enumerate() {
                li { (score.task) " " span data-source="published" data-at={ "scores/" (index) "/percent" } title=(score.source) { (Unit::Percent.show(score.percent)) } " published" }
            }
            @for flag in &model.flags { li { span.badge.warn { (flag) } } }
        }
    }
}

fn beaten(by: &Dominator) -> Markup {
    html! {
        @if by.quality.starts_with("published") { "beaten by " } @else { "predicted to be beaten by " }
        @match by.kind {
            DominatorKind::Candidate => { (read("name weights", format!("{} in {}", by.name, by.weights))) }
            DominatorKind::Point => { "a new model, point " (read("name", &by.name)) }
        }
        @if by.tied { ", within the noise" }
        @if by.count > 1 { ", the nearest of " (count("count", by.count)) " that do" }
    }
}
