//! `slimfit models`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use serde_json::json;
use slimfit_formats::builtin;
use slimfit_quantity::format_count;

/// Arguments of `models`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  slimfit models --family qwen2")]
pub struct Arguments {
    /// Only models of this family (the `model_type` of their config).
    #[arg(long)]
    family: Option<String>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let models: Vec<_> = builtin::models()
        .iter()
        .filter(|model| arguments.family.as_ref().is_none_or(|family| *family == model.family))
        .collect();
    if models.is_empty() {
        let mut families: Vec<&str> = builtin::models().iter().map(|model| model.family.as_str()).collect();
        families.sort_unstable();
        families.dedup();
        let found = arguments.family.clone().unwrap_or_default();
        let hint = slimfit_document::suggestion(&found, families.iter().copied());
        return Err(slimfit_document::DocumentError::new(
            "unknown-family",
            "no built-in model of this family",
        )
        .found(format!("`{found}`"))
        .allowed(families.join(", "))
        .maybe_hint(hint)
        .into());
    }
    if output.is_json() {
        let rows: Vec<_> = models
            .iter()
            .map(|model| {
                json!({
                    "name": model.name,
                    "family": model.family,
                    "repository": model.repository,
                    "aliases": model.aliases,
                    "context": model.context,
                    "parameters": model.architecture.parameters(),
                    "published_parameters": model.parameters.total,
                    "rounded_to": model.parameters.rounded_to,
                    "source": model.parameters.source,
                })
            })
            .collect();
        output.object("models", "models", json!({ "models": rows }))?;
        return Ok(Outcome::Done);
    }
    let mut rows = table(&["name", "family", "parameters", "total", "context", "published as"]);
    for model in models {
        let total = model.architecture.parameters().total;
        rows.add_row(vec![
            model.name.clone(),
            model.family.clone(),
            format_count(total as f64),
            total.to_string(),
            model.context.to_string(),
            model.repository.clone(),
        ]);
    }
    output.text(&rows.trim_fmt())?;
    Ok(Outcome::Done)
}
