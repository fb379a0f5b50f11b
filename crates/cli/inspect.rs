//! `slimfit inspect MODEL`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::table;
use serde_json::{Map, json};
use slimfit_arch::{Architecture, Tensor};
use slimfit_formats::{LoadedModel, load_model};
use slimfit_quantity::{NumberFormat, format_bytes, format_count};
use std::fmt::Write as _;

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit inspect smollm2-135m --context 2048\n  slimfit inspect ./my-model/config.json --json"
)]
pub struct Arguments {
    /// A `config.json` or its folder, a `.gguf`, a slimfit architecture file, or a built-in name.
    model: String,
    /// Tokens of context for the work and the KV cache.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..))]
    context: u64,
    /// Format of the weights, for the id.
    #[arg(long, default_value = "bf16")]
    weights: NumberFormat,
    /// Format of the KV cache.
    #[arg(long, default_value = "f16")]
    kv: NumberFormat,
    /// List every tensor.
    #[arg(long)]
    tensors: bool,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let model = load_model(&arguments.model)?;
    let architecture = &model.architecture;
    let parameters = architecture.checked_parameters()?;
    let context = arguments.context;
    let prefill_per_token = architecture.prefill_flops_per_token(context)?;
    let decode_per_token = architecture.decode_flops(context)?;
    let kv_cache_per_token = architecture.kv_bytes_per_token(arguments.kv)?;
    let kv_cache = architecture.kv_cache_bytes(arguments.kv, context)?;
    let weights = weight_bytes(architecture);
    if output.is_json() {
        let tensors: Vec<_> = architecture
            .tensors()
            .iter()
            .map(|tensor| {
                json!({ "name": tensor.name(), "layer": tensor.layer, "shape": tensor.shape, "parameters": tensor.parameters() })
            })
            .collect();
        let mixed: Map<_, _> = weights
            .iter()
            .filter_map(|(format, _)| Some((*format, kept_apart(architecture, *format)?)))
            .map(|(format, (other, values))| (format.name().to_owned(), json!({ other.name(): values })))
            .collect();
        let weights: Map<_, _> =
            weights.iter().map(|(format, bytes)| (format.name().to_owned(), json!(bytes))).collect();
        let fields = json!({
            "name": model.name,
            "id": architecture.id(arguments.weights, arguments.kv),
            "family": model.family,
            "architecture": architecture,
            "parameters": parameters,
            "weights": arguments.weights,
            "kv": arguments.kv,
            "context": context,
            "bytes": {
                "weights": weights,
                "mixed": mixed,
                "kv_cache_per_token": kv_cache_per_token,
                "kv_cache": kv_cache,
            },
            "flops": { "prefill_per_token": prefill_per_token, "decode_per_token": decode_per_token },
            "tensors": tensors,
        });
        output.object("inspect", "inspect", fields)?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    let _ = writeln!(text, "{} ({})", model.name, model.family);
    let _ = writeln!(text, "  id              {}", architecture.id(arguments.weights, arguments.kv));
    shape(&mut text, &model);
    let _ = writeln!(text, "\nparameters");
    for (name, count) in [
        ("total", parameters.total),
        ("non-embedding", parameters.non_embedding),
        ("embedding", parameters.embedding),
        ("active", parameters.active),
    ] {
        let _ = writeln!(text, "  {name:<15} {count:>16}  {}", format_count(count as f64));
    }
    let _ = writeln!(text, "\nbytes of the weights");
    for (format, bytes) in &weights {
        let mixed = kept_apart(architecture, *format).map_or(String::new(), |(other, values)| {
            let share = 100.0 * values as f64 / parameters.total as f64;
            format!("  ({share:.0} % of the values in {other}: their rows hold no whole {format} blocks)")
        });
        let _ = writeln!(text, "  {:<15} {bytes:>16}  {}{mixed}", format.name(), format_bytes(*bytes as f64));
    }
    let _ = writeln!(text, "\nKV cache, {}", arguments.kv.name());
    let _ = writeln!(
        text,
        "  {:<15} {kv_cache_per_token:>16}  {}",
        "per token",
        format_bytes(kv_cache_per_token as f64)
    );
    let of_context = format!("{context} tokens");
    let _ = writeln!(text, "  {of_context:<15} {kv_cache:>16}  {}", format_bytes(kv_cache as f64));
    let _ = writeln!(text, "\noperations per token at {context} tokens (a multiply-add counts 2)");
    let _ = writeln!(
        text,
        "  {:<15} {:>16}  {}",
        "prefill",
        prefill_per_token.round(),
        format_count(prefill_per_token)
    );
    let _ = writeln!(
        text,
        "  {:<15} {decode_per_token:>16}  {}",
        "decode",
        format_count(decode_per_token as f64)
    );
    if arguments.tensors {
        let mut rows = table(&["tensor", "shape", "parameters"]);
        for tensor in architecture.tensors() {
            let shape: Vec<String> = tensor.shape.iter().map(u64::to_string).collect();
            rows.add_row(vec![tensor.name(), shape.join(" × "), tensor.parameters().to_string()]);
        }
        let _ = writeln!(text, "\n{}", rows.trim_fmt());
    }
    output.text(&text)?;
    Ok(Outcome::Done)
}

/// Every format that can hold the model's matrices whole.
fn weight_bytes(architecture: &Architecture) -> Vec<(NumberFormat, u64)> {
    NumberFormat::ALL
        .into_iter()
        .filter_map(|format| Some((format, architecture.weight_bytes(format).ok()?)))
        .collect()
}

/// In a model whose weights have a format: the other format that some matrices are kept in, and their values.
fn kept_apart(architecture: &Architecture, format: NumberFormat) -> Option<(NumberFormat, u64)> {
    let tensors = architecture.tensors();
    let apart = tensors.iter().filter(|tensor| tensor.is_quantisable() && tensor.stored_as(format) != format);
    let values: u64 = apart.clone().map(Tensor::parameters).sum();
    apart.map(|tensor| (tensor.stored_as(format), values)).next()
}

fn shape(text: &mut String, model: &LoadedModel) {
    let architecture = &model.architecture;
    let _ = writeln!(text, "  layers          {}", architecture.depth());
    let _ = writeln!(text, "  hidden size     {}", architecture.hidden_size);
    if let Some(run) = architecture.layers.first() {
        let attention = &run.attention;
        let _ = writeln!(
            text,
            "  attention       {} heads of {}, {} for keys and values",
            attention.heads, attention.head_size, attention.kv_heads
        );
    }
    let tied = if architecture.tied_embeddings { "tied" } else { "untied" };
    let _ = writeln!(text, "  vocabulary      {}, {tied}", architecture.vocabulary_size);
}
