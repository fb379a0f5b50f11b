//! `slimfit quality`: what a model would be worth, and what that rests on.

mod batch;
mod explain;
mod fit;
mod question;
mod row;
mod show;
mod tokens;

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use slimfit_document::Document;
use slimfit_quality::Recipe;
use std::path::Path;

/// Arguments of `quality`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  slimfit quality explain smollm2-135m --tokens 2T\n  slimfit quality tokens --tokenizer tokenizer.json --text sample.txt"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a model is worth term by term, with sources and intervals; with `--batch` thousands of them.
    Explain(Box<explain::Arguments>),
    /// Measure how many bytes of your text a tokenizer puts into a token.
    Tokens(tokens::Arguments),
    /// Make a recipe of your own training runs, and say how well it predicts runs that it has not seen.
    Fit(fit::Arguments),
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    match &arguments.command {
        Command::Explain(arguments) => explain::run(arguments, output),
        Command::Tokens(arguments) => tokens::run(arguments, output),
        Command::Fit(arguments) => fit::run(arguments, output),
    }
}

/// A built-in recipe, or a file where `reference` is no built-in name; and its text.
pub fn recipe(reference: &str) -> Result<(Recipe, String), Failure> {
    if let Some(text) = Recipe::builtin_text(reference) {
        return Ok((Recipe::builtin(reference)?, text.to_owned()));
    }
    if !reference.contains(['/', '\\', '.']) && !Path::new(reference).exists() {
        return Recipe::builtin(reference).map(|recipe| (recipe, String::new())).map_err(Failure::from);
    }
    let document = Document::read(reference)?;
    Ok((Recipe::from_document(&document)?, document.text().to_owned()))
}
