//! Existing models as a table for people: the best first, and why the others are not.

use crate::front_text::spoken;
use crate::table::table;
use slimfit_quantity::{Source, format_bytes, format_count, format_seconds};
use slimfit_study::{BrokenLimit, CandidateModel, Candidates, Dominator, DominatorKind, PricedFormat};
use std::fmt::Write as _;

/// Models shown unless all are asked for.
pub const SHOWN: usize = 20;

/// The best `shown` models and every one of the user's own, then what was skipped and what the marks mean. `asked`: names of
/// the objectives and limits.
pub fn text(candidates: &Candidates, shown: usize, asked: &[&str]) -> String {
    let mut text = String::new();
    let Some(basis) = &candidates.candidates_ranked_by else { return text };
    let all = &candidates.candidates;
    let quality = basis.name.strip_prefix("score_").unwrap_or(&basis.name).replace('_', " ");
    let is_score = basis.name.starts_with("score_");
    // Where nothing predicts prefill, a column of dashes tells nothing.
    let has_ttft = all.iter().any(|model| model.formats[0].objectives.contains_key("ttft_seconds"));
    let columns = Columns { has_ttft, has_file: asked.contains(&"file_bytes") };
    let mut heads = vec!["", "model", "parameters", "weights", "threads", "tokens/s"];
    heads.extend(columns.has_ttft.then_some("TTFT"));
    heads.push("memory");
    heads.extend(columns.has_file.then_some("file"));
    heads.extend([quality.as_str(), "trained on", "remarks"]);
    let mut rows = table(&heads);
    let mut left_out = 0;
    for (place, model) in all.iter().enumerate() {
        if place >= shown && model.path.is_none() {
            left_out += 1;
            continue;
        }
        let number = if model.keeps_limits { (place + 1).to_string() } else { "–".to_owned() };
        rows.add_row(row(number, model, &basis.name, columns));
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    if left_out > 0 {
        let _ = writeln!(
            text,
            "{left_out} more are left out; `slimfit rank --all` lists them, `--json` holds them"
        );
    }
    for skipped in &candidates.candidates_skipped {
        let _ = writeln!(text, "skipped `{}`: {}", skipped.candidate, skipped.reason);
    }
    if all.iter().any(|model| model.training.is_none() && model.scores.is_empty()) {
        let _ = writeln!(
            text,
            "of unknown training nothing is predicted; `--tokens 2T` says for how many tokens to do so"
        );
    }
    let predicted =
        all.iter().any(|model| model.quality.source == Source::Modelled && model.quality.citation.is_none());
    if is_score {
        let setting = basis.setting.as_deref().unwrap_or_default();
        let _ = write!(
            text,
            "{quality}: in percent, {setting}, as published less what the weight format is predicted to cost"
        );
        let _ = if predicted {
            writeln!(
                text,
                "; ~ where nothing was published: predicted by recipe `{}`, ± half the 90 % interval",
                basis.recipe
            )
        } else {
            writeln!(text)
        };
    } else if all.iter().any(|model| !model.scores.is_empty()) {
        let _ = writeln!(
            text,
            "~ predicted by recipe `{}` for each model's own training, ± half the 90 % interval; its scores are of another setting \
             than published ones, which stand among the remarks; `slimfit rank` goes by those",
            basis.recipe
        );
    } else {
        let _ = writeln!(text, "~ predicted by recipe `{}`, ± half the 90 % interval", basis.recipe);
    }
    text
}

/// Columns that not every table has.
#[derive(Debug, Clone, Copy)]
struct Columns {
    has_ttft: bool,
    has_file: bool,
}

fn row(number: String, model: &CandidateModel, basis: &str, columns: Columns) -> Vec<String> {
    let best = &model.formats[0];
    let spelled = |name: &str, spell: fn(f64) -> String| {
        best.objectives.get(name).copied().map_or_else(|| "–".to_owned(), spell)
    };
    let mut cells = vec![
        number,
        model.name.clone(),
        format_count(model.parameters.total as f64),
        formats(model, best),
        best.threads.to_string(),
        spelled("tpot_seconds", |seconds| three_digits(1.0 / seconds)),
    ];
    cells.extend(columns.has_ttft.then(|| spelled("ttft_seconds", format_seconds)));
    cells.push(spelled("memory_bytes", format_bytes));
    cells.extend(columns.has_file.then(|| spelled("file_bytes", format_bytes)));
    cells.extend([quality(model, basis), training(model), remarks(model, basis).join("; ")]);
    cells
}

/// `7.21`, `72.1`, `721`, `7210`.
fn three_digits(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
    format!("{value:.decimals$}")
}

fn formats(model: &CandidateModel, format: &PricedFormat) -> String {
    let stored = model.stored_as.as_deref().unwrap_or(format.weights.name());
    let kv = format.kv.name();
    if kv == "f16" { stored.to_owned() } else { format!("{stored}, cache {kv}") }
}

fn training(model: &CandidateModel) -> String {
    match &model.training {
        Some(training) if !training.assumed => format_count(training.tokens as f64),
        _ => "?".to_owned(),
    }
}

fn quality(model: &CandidateModel, basis: &str) -> String {
    let figure = &model.quality;
    let Some(value) = figure.value else { return "–".to_owned() };
    let digits = if basis.starts_with("score_") { 1 } else { 3 };
    // A score that was published stays one when its format costs it a little.
    let is_published = figure.source == Source::Published || figure.citation.is_some();
    match (is_published, figure.low, figure.high) {
        (true, ..) => format!("{value:.digits$}"),
        (false, Some(low), Some(high)) => format!("~{value:.digits$} ±{:.digits$}", (high - low) / 2.0),
        _ => format!("~{value:.digits$}"),
    }
}

fn remarks(model: &CandidateModel, basis: &str) -> Vec<String> {
    let best = &model.formats[0];
    let mut remarks: Vec<String> = best.breaks.iter().map(broken).collect();
    if !model.keeps_limits && best.breaks.is_empty() {
        remarks.push("a limit on quality cannot be checked".to_owned());
    }
    if model.quality.value.is_none() {
        remarks.extend(model.quality.reason.clone());
    }
    remarks.extend(model.dominated_by.iter().map(beaten));
    if !basis.starts_with("score_") {
        let published = model.scores.iter();
        remarks.extend(
            published.map(|score| format!("{} {:.1} published", score.task.replace('_', " "), score.percent)),
        );
    }
    if let Some(other) = model.formats[1..].iter().find(|other| other.breaks.is_empty()) {
        remarks.extend(alternative(best, other, basis));
    }
    for flag in &model.flags {
        let words = match flag.as_str() {
            "variant" => "training counted as that of the model it was made of".to_owned(),
            "training-assumed" => {
                let tokens = model.training.as_ref().map_or(0, |training| training.tokens);
                format!("training unknown, counted as {} tokens", format_count(tokens as f64))
            }
            "converted" => format!("runs as {}", best.weights),
            "short-context" => {
                let context = model.context.unwrap_or_default();
                format!("made for {context} tokens, fewer than the workload needs")
            }
            // Their intervals are wider: the column of quality says so.
            "extrapolated" => continue,
            other => other.replace('-', " "),
        };
        remarks.push(words);
    }
    remarks
}

fn broken(broken: &BrokenLimit) -> String {
    let label = crate::front_text::label(&broken.name);
    let (value, limit) = (spoken(&broken.name, broken.value), spoken(&broken.name, broken.limit));
    format!("{label} {value}, limit {limit}")
}

fn beaten(by: &Dominator) -> String {
    let more = if by.count > 1 { format!(" and {} more", by.count - 1) } else { String::new() };
    let tied = if by.tied { " within the noise" } else { "" };
    match by.kind {
        DominatorKind::Candidate => {
            let how = if by.quality.starts_with("published") { "beaten" } else { "predicted to be beaten" };
            format!("{how} by {} in {}{tied}{more}", by.name, by.weights)
        }
        DominatorKind::Point => {
            format!("predicted to be beaten by a new model, point {}{tied}{more}", by.name)
        }
    }
}

/// What the fastest other format gives and takes.
fn alternative(best: &PricedFormat, other: &PricedFormat, basis: &str) -> Option<String> {
    let seconds = |format: &PricedFormat| format.objectives.get("tpot_seconds").copied();
    let speed = seconds(best)? / seconds(other)?;
    if speed <= 1.0 {
        return None;
    }
    let score =
        |format: &PricedFormat| format.objectives.get(basis).copied().filter(|_| basis.starts_with("score_"));
    let worth = match (score(best), score(other)) {
        (Some(best), Some(other)) => format!("{:+.1} points", other - best),
        _ => format!("{:+.3} nats", other.loss_nats - best.loss_nats),
    };
    let kv = if other.kv == best.kv { String::new() } else { format!(", cache {}", other.kv) };
    Some(format!("{}{kv}: {speed:.2}× as fast, {worth}", other.weights))
}
