//! Writes a model's weights in another format: `convert MODEL OUT FORMAT [SEED]`.
//!
//! `OUT` is a `.gguf` file, or a folder for `config.json` and safetensors. Values are the model's own, or initial ones
//! from `SEED`.

use slimfit_formats::gguf::GgufFile;
use slimfit_formats::gguf_out::GgufOutput;
use slimfit_formats::{
    InitialWeights, LoadedModel, ModelWeights, Origin, SHARD_BYTES, SafetensorsOutput, TensorNames,
    TensorSource, config_out, load_model,
};
use slimfit_quantity::NumberFormat;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, out, weights, seed) = match &arguments[..] {
        [model, out, weights] => (model, out, weights, None),
        [model, out, weights, seed] => (model, out, weights, Some(seed.parse()?)),
        _ => return Err("usage: convert MODEL OUT FORMAT [SEED]".into()),
    };
    let model = load_model(model)?;
    let weights: NumberFormat = weights.parse()?;
    let source: Box<dyn TensorSource> = match (seed, ModelWeights::open(&model)?) {
        (Some(seed), _) => Box::new(InitialWeights::new(&model.architecture, seed)),
        (None, Some(own)) => Box::new(own),
        (None, None) => return Err("the model has no weights; name a seed".into()),
    };
    let out = Path::new(out);
    if out.extension().is_some_and(|extension| extension == "gguf") {
        gguf(&model, out, weights, &*source)
    } else {
        huggingface(&model, out, weights, &*source)
    }
}

fn gguf(
    model: &LoadedModel,
    out: &Path,
    weights: NumberFormat,
    source: &dyn TensorSource,
) -> Result<(), Box<dyn Error>> {
    let tokenizer = match &model.origin {
        Origin::Gguf(path) => GgufFile::open(path)?.tokenizer()?,
        _ => None,
    };
    let output = GgufOutput {
        name: &model.name,
        architecture: &model.architecture,
        weights,
        context: model.context.unwrap_or(2048),
        tokenizer: tokenizer.as_ref(),
    };
    let written = output.write(out, source)?;
    println!("{}: {}, {} bytes", written.path, output.family()?.name(), written.bytes);
    Ok(())
}

fn huggingface(
    model: &LoadedModel,
    out: &Path,
    weights: NumberFormat,
    source: &dyn TensorSource,
) -> Result<(), Box<dyn Error>> {
    let class = config_out::standard_class(&model.architecture)?;
    let config = config_out::config_json(&model.architecture, model.context)?;
    let names = TensorNames::Class(class);
    let output =
        SafetensorsOutput { architecture: &model.architecture, names, weights, shard_bytes: SHARD_BYTES };
    for file in output.write(out, source)? {
        println!("{}: {}, {} bytes", file.path, class.class_name(), file.bytes);
    }
    std::fs::write(out.join("config.json"), serde_json::to_string_pretty(&config)?)?;
    Ok(())
}
