//! `slimfit space`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::portable::PortableArgument;
use crate::table::table;
use serde_json::{Value, json};
use slimfit_arch::{Attention, FeedForward, LayerRun};
use slimfit_quality::Assumption;
use slimfit_quantity::{format_count, format_integer};
use slimfit_search::{Point, Space, SpaceSummary};
use slimfit_study::ReasonCount;
use std::fmt::Write as _;

/// Points that are shown.
const EXAMPLES: usize = 10;
/// Reasons that are shown.
const REASONS: usize = 10;

/// Arguments of `space`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit space slm-edge\n  slimfit space my-space.yaml --assume vocab,mqa --json"
)]
pub struct Arguments {
    /// A built-in search space or a file.
    space: String,
    /// Let in weakly founded values that the space lists: `mqa`, `vocab`, `loops`.
    #[arg(long, value_delimiter = ',')]
    assume: Vec<String>,
    #[command(flatten)]
    portable: PortableArgument,
    /// Seed of the examples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let assume =
        arguments.assume.iter().map(|name| Assumption::named(name)).collect::<Result<Vec<_>, _>>()?;
    let space = arguments.portable.applied(Space::load(&arguments.space, &assume)?)?;
    let summary = space.summary(EXAMPLES, arguments.seed);
    let hash = space.named_hash();
    if output.is_json() {
        let fields = json!({
            "seed": arguments.seed,
            "warnings": [],
            "name": hash.name,
            "sha256": hash.sha256,
            "description": space.description(),
            "size": summary.size,
            "possible": summary.possible,
            "invalid_by": summary.invalid_by,
            "portable": space.portable().iter().map(|loader| loader.name()).collect::<Vec<_>>(),
            "parameters": summary.parameters.map(|(least, most)| json!({ "least": least, "most": most })),
            "axes": space.axis_lengths().into_iter().map(|(name, values)| json!({ "name": name, "values": values })).collect::<Vec<_>>(),
            "per_layer": space.per_layer().iter().map(|axis| axis.name()).collect::<Vec<_>>(),
            "assumptions": Assumption::ALL
                .into_iter()
                .filter(|assumption| space.lists(*assumption))
                .map(|assumption| json!({ "name": assumption.name(), "in_force": space.assumes(assumption) }))
                .collect::<Vec<_>>(),
            "examples": summary.examples.iter().map(example).collect::<Vec<_>>(),
        });
        output.object("space-summary", "space", fields)?;
        return Ok(Outcome::Done);
    }
    output.text(&text(&space, &summary))?;
    Ok(Outcome::Done)
}

/// `2048`, or `1024–4096` where layers differ.
fn range(values: impl Iterator<Item = u64> + Clone) -> String {
    match (values.clone().min(), values.max()) {
        (Some(least), Some(most)) if least < most => format!("{least}–{most}"),
        (least, _) => least.unwrap_or_default().to_string(),
    }
}

/// The inner widths of feed-forward parts, or their experts; dense ones first where there are both.
fn feed_forward(runs: &[LayerRun]) -> String {
    let dense = runs.iter().filter_map(|run| match &run.ffn {
        FeedForward::Dense(mlp) => Some(mlp.size),
        FeedForward::Moe(_) => None,
    });
    let experts = runs.iter().filter_map(|run| match &run.ffn {
        FeedForward::Moe(moe) => Some(moe),
        FeedForward::Dense(_) => None,
    });
    let mut parts = Vec::new();
    if dense.clone().next().is_some() {
        parts.push(range(dense));
    }
    if experts.clone().next().is_some() {
        let counts = range(experts.clone().map(|moe| moe.experts));
        let visited = range(experts.clone().map(|moe| moe.top_k));
        parts.push(format!("{visited} of {counts} × {}", range(experts.map(|moe| moe.expert_size))));
    }
    parts.join("; ")
}

fn example(point: &Point) -> Value {
    json!({
        "id": point.architecture.id(point.weights, point.kv),
        "parameters": point.architecture.parameters().total,
        "weights": point.weights,
        "kv": point.kv,
        "architecture": point.architecture,
    })
}

/// Why combinations are no points, the most frequent reasons first.
fn refused(text: &mut String, reasons: &[ReasonCount]) {
    let mut reasons: Vec<&ReasonCount> = reasons.iter().collect();
    reasons.sort_by(|a, b| b.count.to_f64().total_cmp(&a.count.to_f64()));
    for (place, reason) in reasons.iter().take(REASONS).enumerate() {
        let name = if place == 0 { "refused" } else { "" };
        let _ = writeln!(text, "{name:<12}{}: {}", format_integer(&reason.count), reason.reason);
    }
    if reasons.len() > REASONS {
        let _ =
            writeln!(text, "{:<12}and {} more reasons, which `--json` lists", "", reasons.len() - REASONS);
    }
}

fn text(space: &Space, summary: &SpaceSummary) -> String {
    let mut text = format!("{}: {}\n\n", space.name(), space.description());
    let _ = writeln!(text, "points      {}", format_integer(&summary.size));
    let _ = writeln!(
        text,
        "possible    {} whose layers can exist, and whose parameters and choices keep the space's bounds and rules",
        format_integer(&summary.possible)
    );
    refused(&mut text, &summary.invalid_by);
    if let Some((least, most)) = summary.parameters {
        let (least, most) = (format_count(least as f64), format_count(most as f64));
        let _ = writeln!(text, "parameters  {least} to {most} before those bounds");
    }
    let lengths: Vec<String> =
        space.axis_lengths().into_iter().map(|(name, values)| format!("{name} {values}")).collect();
    let _ = writeln!(text, "axes        {}", lengths.join(" × "));
    if space.is_layered() {
        let names: Vec<&str> = space.per_layer().iter().map(|axis| axis.name()).collect();
        let _ = writeln!(text, "per layer   each layer chooses its own {}", names.join(", "));
    }
    let loaders: Vec<&str> = space.portable().iter().map(|loader| loader.name()).collect();
    let held = if loaders.is_empty() { "to no loader".to_owned() } else { loaders.join(", ") };
    let _ = writeln!(text, "held        {held}");
    for assumption in Assumption::ALL.into_iter().filter(|assumption| space.lists(*assumption)) {
        let how = if space.assumes(assumption) { "in force" } else { "left out without `--assume`" };
        let _ = writeln!(text, "{:<12}{}: {how}", assumption.name(), assumption.what());
    }
    if summary.possible.is_zero() {
        text.push_str("\nno point of the space is possible: each is refused for one of the reasons above\n");
        return text;
    }
    if summary.examples.is_empty() {
        text.push_str("\nno possible point was met\n");
        return text;
    }
    let mut rows = table(&[
        "parameters",
        "layers",
        "hidden",
        "heads",
        "ffn",
        "window",
        "vocabulary",
        "",
        "weights",
        "kv",
        "id",
    ]);
    for point in &summary.examples {
        let architecture = &point.architecture;
        let runs = &architecture.layers;
        let windows: Vec<u64> = runs.iter().filter_map(|run| run.attention.window).collect();
        let depth = match architecture.loops {
            None => architecture.depth().to_string(),
            Some(loops) => format!("{}, run {}×", architecture.depth(), loops.count),
        };
        let full: u64 = runs.iter().filter(|run| run.attention.window.is_none()).map(|run| run.repeat).sum();
        let window = if windows.is_empty() {
            "none".to_owned()
        } else {
            format!("{}, {full} full", range(windows.into_iter()))
        };
        let attention = |of: fn(&Attention) -> u64| range(runs.iter().map(|run| of(&run.attention)));
        let heads = format!(
            "{}/{} × {}",
            attention(|attention| attention.heads),
            attention(|attention| attention.kv_heads),
            attention(|attention| attention.head_size)
        );
        rows.add_row(vec![
            format_count(architecture.parameters().total as f64),
            depth,
            architecture.hidden_size.to_string(),
            heads,
            feed_forward(runs),
            window,
            architecture.vocabulary_size.to_string(),
            if architecture.tied_embeddings { "tied" } else { "" }.to_owned(),
            point.weights.to_string(),
            point.kv.to_string(),
            architecture.id(point.weights, point.kv),
        ]);
    }
    let _ = write!(text, "\n{rows}\n");
    text
}
