//! An estimate as JSON and as text for people.

use super::question::Valued;
use crate::failure::Failure;
use crate::table::table;
use serde_json::{Map, Value, json};
use slimfit_quality::{AnchorShift, Score, Shape, Z90};
use slimfit_quantity::{Figure, Predicted, Source, Warning, format_count};
use std::fmt::Write as _;

/// Heads of the table of a batch.
pub const HEADS: [&str; 8] =
    ["line", "name", "parameters", "tokens", "loss", "loss, 90 %", "HellaSwag", "remarks"];

/// How tasks are written.
const TASKS: [(&str, &str); 11] = [
    ("hellaswag", "HellaSwag"),
    ("piqa", "PIQA"),
    ("arc_easy", "ARC-e"),
    ("arc_challenge", "ARC-c"),
    ("openbookqa", "OpenBookQA"),
    ("commonsense_qa", "CommonsenseQA"),
    ("winogrande", "WinoGrande"),
    ("social_iqa", "SIQA"),
    ("lambada", "LAMBADA"),
    ("mmlu", "MMLU"),
    ("boolq", "BoolQ"),
];

/// Everything that `--json` prints of one model.
pub fn fields(valued: &Valued) -> Result<Value, Failure> {
    let Valued { candidate, text, model, estimate } = valued;
    let law = model.law(candidate.tokens, text);
    let (prompt_tokens, generated_tokens) = law.workload_tokens(candidate.architecture.vocabulary_size);
    let scores = estimate.scores.iter().map(|(task, score)| -> Result<(String, Value), Failure> {
        let mut figure = json!(score.percent.figure());
        figure["unit"] = json!("percent");
        figure["same_recipe_points"] = json!(score.same_recipe_points);
        if let Some((shift, _)) = followed(valued, task)? {
            figure["anchor"] = json!(shift.anchor.model);
        }
        Ok((task.clone(), figure))
    });
    let terms = estimate.terms.iter().map(|term| {
        let assumed = term.source.contains("assumed: ");
        json!({ "name": term.name, "nats": term.nats, "source": term.source, "assumed": assumed })
    });
    let not_predicted = estimate.not_predicted.iter();
    let assumptions = estimate.assumptions.iter().map(|assumed| {
        json!({
            "name": assumed.assumption.name(),
            "what": assumed.assumption.what(),
            "nats": assumed.nats.figure(),
            "source": assumed.source,
        })
    });
    let anchors = model.anchors().iter().map(|shift| {
        json!({
            "model": shift.anchor.model,
            "tokens": shift.anchor.tokens,
            "task": shift.anchor.task,
            "percent": shift.anchor.percent,
            "predicted_percent": shift.predicted_percent,
            "residual_nats": shift.residual_nats,
            "shift_nats": shift.shift_nats,
            "source": shift.source,
        })
    });
    Ok(json!({
        "warnings": warnings(valued),
        "name": candidate.name,
        "id": candidate.architecture.id(candidate.weights, candidate.kv),
        "recipe": estimate.recipe,
        "tokens": estimate.tokens,
        "weights": candidate.weights,
        "kv": candidate.kv,
        "workload": {
            "prompt_bytes": text.prompt_bytes,
            "generated_bytes": text.generated_bytes,
            "prompt_tokens": prompt_tokens,
            "generated_tokens": generated_tokens,
        },
        "parameters": candidate.architecture.checked_parameters()?,
        "effective_size": estimate.effective_size,
        "loss": estimate.loss.figure(),
        "uncertainty": {
            "shape_sigma_nats": estimate.noise.shape,
            "axis_sigma_nats": estimate.noise.axis,
            "recipe_sigma_nats": estimate.noise.recipe,
        },
        "loss_per_byte": estimate.loss_per_byte.figure(),
        "bytes_per_token": bytes_per_token(valued),
        "terms": terms.collect::<Vec<_>>(),
        "scores": scores.collect::<Result<Map<_, _>, Failure>>()?,
        "not_predicted": not_predicted.map(|task| json!({ "task": task.task, "reason": task.reason })).collect::<Vec<_>>(),
        "anchors": anchors.collect::<Vec<_>>(),
        "assumptions": assumptions.collect::<Vec<_>>(),
        "flags": estimate.flags.names().collect::<Vec<_>>(),
    }))
}

/// What a reader must not overlook.
pub fn warnings(valued: &Valued) -> Vec<Warning> {
    let Valued { candidate, model, .. } = valued;
    let mut warnings = Vec::new();
    if let Ok(shape) = Shape::of(&candidate.architecture) {
        let outside = model.outside(&shape, candidate.tokens);
        if !outside.is_empty() {
            let message =
                format!("outside what was fitted, so the interval is doubled: {}", outside.join("; "));
            warnings.push(Warning::new("extrapolated", message));
        }
    }
    for shift in model.anchors().iter().filter(|shift| shift.is_implausible(model.recipe())) {
        let message = format!(
            "anchor `{}` lies {:+.2} nats from the law, more than three times the noise between recipes: was its score \
             measured in the recipe's setting ({})?",
            shift.anchor.model,
            shift.residual_nats,
            model.recipe().scores.source
        );
        warnings.push(Warning::new("anchor-implausible", message));
    }
    warnings
}

/// Given by the user, or from the recipe's table.
fn bytes_per_token(valued: &Valued) -> Figure {
    let figure = valued.estimate.bytes_per_token.figure();
    match valued.candidate.bytes_per_token {
        None => figure,
        Some(_) => Figure { source: Source::Read, n: 1, ..figure },
    }
}

/// The anchor that a task follows.
fn followed<'a>(valued: &'a Valued, task: &str) -> Result<Option<(&'a AnchorShift, f64)>, Failure> {
    let shape = Shape::of(&valued.candidate.architecture)?;
    Ok(valued.model.anchor_for(task, shape.non_embedding))
}

/// One model for people.
pub fn text(valued: &Valued) -> String {
    let Valued { candidate, text: asked, model, estimate } = valued;
    let parameters = candidate.architecture.parameters();
    let mut text = String::new();
    let name = candidate.name.as_deref().unwrap_or("model");
    let _ = writeln!(
        text,
        "{name}: {} parameters, {} without embeddings, {} visited by a token",
        format_count(parameters.total as f64),
        format_count(parameters.non_embedding as f64),
        format_count(parameters.active as f64)
    );
    let _ = writeln!(
        text,
        "recipe `{}`, {} tokens of its tokenizer; weights {}, KV {}; {} bytes in, {} out",
        estimate.recipe,
        format_count(estimate.tokens as f64),
        candidate.weights,
        candidate.kv,
        asked.prompt_bytes,
        asked.generated_bytes
    );
    let interval = |figure: Predicted, digits: usize| {
        format!("{:.digits$} ({:.digits$}–{:.digits$}, 90 %)", figure.value, figure.low, figure.high)
    };
    let _ = writeln!(text, "\nloss             {} nats per token of the recipe", interval(estimate.loss, 3));
    let noise = &estimate.noise;
    for (name, sigma, what) in [
        ("shape", noise.shape, "how far the law misses a shape it has not seen"),
        ("axes", noise.axis, "heads, window, vocabulary, loops and formats of this model"),
        ("recipe", noise.recipe, "between recipes: the same for all candidates, not in the interval above"),
    ] {
        let _ = writeln!(text, "  {name:<14} ±{:.3}  {what}", Z90 * sigma);
    }
    let _ = writeln!(text, "loss per byte    {} nats", interval(estimate.loss_per_byte, 4));
    let origin = if candidate.bytes_per_token.is_some() { ", as given" } else { ", by the recipe's table" };
    let _ = writeln!(text, "bytes per token  {}{origin}", interval(estimate.bytes_per_token, 2));
    let _ = writeln!(
        text,
        "effective size   {} parameters of the best shape, without embeddings",
        format_count(estimate.effective_size)
    );
    let mut rows = table(&["term", "nats", "source"]);
    for term in &estimate.terms {
        rows.add_row(vec![term.name.to_owned(), format!("{:+.4}", term.nats), term.source.clone()]);
    }
    let _ = writeln!(text, "\n{}", rows.trim_fmt());
    let _ = writeln!(text, "\nscores ({})", model.recipe().scores.source);
    for (task, score) in &estimate.scores {
        let beside = match followed(valued, task) {
            Ok(Some((shift, _))) => format!("; beside `{}`", shift.anchor.model),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {} {}{beside}", spoken(task), scored(score));
    }
    for shift in model.anchors() {
        let AnchorShift { anchor, predicted_percent, residual_nats, shift_nats, source, .. } = shift;
        let _ = writeln!(
            text,
            "anchor `{}`: {} {:.1} against {predicted_percent:.1} by the recipe, {residual_nats:+.3} nats; the level of {} \
             moves by {shift_nats:+.3}\n  {source}",
            anchor.model,
            spoken(&anchor.task),
            anchor.percent,
            spoken(&anchor.task)
        );
    }
    if !estimate.not_predicted.is_empty() {
        let _ = writeln!(text, "\nnot predicted");
    }
    for task in &estimate.not_predicted {
        let _ = writeln!(text, "  {}: {}", spoken(&task.task), task.reason);
    }
    if !estimate.assumptions.is_empty() {
        let _ = writeln!(text, "\nassumed, each from a single ablation");
    }
    for assumed in &estimate.assumptions {
        let _ = writeln!(text, "  {assumed}");
    }
    let flags: Vec<&str> = estimate.flags.names().collect();
    if !flags.is_empty() {
        let _ = writeln!(text, "\nflags: {}", flags.join(", "));
    }
    text
}

/// One row of a batch.
pub fn row(line: u64, valued: &Valued) -> Vec<String> {
    let Valued { candidate, estimate, .. } = valued;
    let loss = estimate.loss;
    let flags: Vec<&str> = estimate.flags.names().collect();
    vec![
        line.to_string(),
        candidate.name.clone().unwrap_or_else(|| candidate.architecture.id(candidate.weights, candidate.kv)),
        format_count(candidate.architecture.parameters().total as f64),
        format_count(estimate.tokens as f64),
        format!("{:.3}", loss.value),
        format!("{:.3}–{:.3}", loss.low, loss.high),
        estimate.scores.get("hellaswag").map_or_else(
            || "–".to_owned(),
            |score| {
                let percent = score.percent;
                format!("{:.0} ({:.0}–{:.0})", percent.value, percent.low, percent.high)
            },
        ),
        flags.join(" "),
    ]
}

/// `46 (38–54, 90 %; same-recipe ±1.7)`.
fn scored(score: &Score) -> String {
    let Predicted { value, low, high } = score.percent;
    format!("{value:.0} ({low:.0}–{high:.0}, 90 %; same-recipe ±{:.1})", score.same_recipe_points)
}

fn spoken(task: &str) -> &str {
    TASKS.iter().find(|(known, _)| *known == task).map_or(task, |(_, spoken)| *spoken)
}
