//! Hugging Face `config.json` → [`Architecture`].
//!
//! One function for each `model_type`, which takes the defaults of the class of that name in `transformers`. What is not
//! known is refused by name; what is known but cannot be held by an `Architecture` is refused with the reason.

mod bloom;
mod decoder;
mod falcon;
mod fields;
mod gemma;
mod glm;
mod gpt;
mod harmless;
mod llama;
mod mistral;
mod mixture;
mod olmo;
mod openelm;
mod opt;
mod parallel;
mod phi;
mod qwen;
mod refused;
mod rope;
mod slimfit;
#[cfg(test)]
mod tests;

use crate::FormatsError;
use decoder::Decoded;
use fields::Fields;
use slimfit_arch::{Architecture, ArchitectureError};
use slimfit_document::{Document, suggestion};
use slimfit_quantity::NumberFormat;

type Read = fn(&Fields) -> Result<Decoded, FormatsError>;

/// Every `model_type` that is read, and how.
const FAMILIES: &[(&str, Read)] = &[
    ("arcee", llama::arcee),
    ("bloom", bloom::bloom),
    ("codegen", gpt::gptj),
    ("cohere", parallel::cohere),
    ("cohere2", parallel::cohere2),
    ("deepseek", mixture::deepseek),
    ("ernie4_5", llama::ernie4_5),
    ("exaone", llama::exaone),
    ("exaone4", glm::exaone4),
    ("falcon", falcon::falcon),
    ("RefinedWeb", falcon::falcon),
    ("RefinedWebModel", falcon::falcon),
    ("gemma", gemma::gemma),
    ("gemma2", gemma::gemma2),
    ("gemma3_text", gemma::gemma3),
    ("glm", glm::glm),
    ("glm4", glm::glm4),
    ("gpt2", gpt::gpt2),
    ("gpt_bigcode", gpt::gpt_bigcode),
    ("gpt_neo", gpt::gpt_neo),
    ("gpt_neox", gpt::gpt_neox),
    ("gptj", gpt::gptj),
    ("granite", llama::granite),
    ("granitemoe", mixture::granitemoe),
    ("granitemoeshared", mixture::granitemoe),
    ("helium", llama::helium),
    ("hunyuan_v1_dense", llama::hunyuan_dense),
    ("internlm2", llama::internlm2),
    ("llama", llama::llama),
    ("minicpm", llama::minicpm),
    ("ministral", mistral::ministral),
    ("mistral", mistral::mistral),
    ("mixtral", mixture::mixtral),
    ("mobilellm", llama::mobilellm),
    ("mpt", bloom::mpt),
    ("nemotron", parallel::nemotron),
    ("olmo", olmo::olmo),
    ("olmo2", olmo::olmo2),
    ("olmo3", olmo::olmo3),
    ("olmoe", mixture::olmoe),
    ("openelm", openelm::openelm),
    ("opt", opt::opt),
    ("persimmon", parallel::persimmon),
    ("phi", phi::phi),
    ("phi3", phi::phi3),
    ("qwen2", qwen::qwen2),
    ("qwen2_moe", qwen::qwen2_moe),
    ("qwen3", qwen::qwen3),
    ("qwen3_moe", qwen::qwen3_moe),
    ("seed_oss", llama::seed_oss),
    ("slimfit", slimfit::slimfit),
    ("smollm3", llama::smollm3),
    ("stablelm", parallel::stablelm),
    ("starcoder2", parallel::starcoder2),
    ("vaultgemma", gemma::vaultgemma),
];

/// What a `config.json` says about the model itself.
#[derive(Debug, Clone, PartialEq)]
pub struct HuggingFaceModel {
    /// The `model_type`.
    pub family: String,
    /// The network.
    pub architecture: Architecture,
    /// Tokens it was made for, where the config says.
    pub context: Option<u64>,
    /// The format of the published weights (`dtype`, formerly `torch_dtype`), where the config says.
    pub weights_format: Option<NumberFormat>,
}

/// The values of `model_type` that can be read.
pub fn known_families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

/// Reads the text of a `config.json`; `origin` names it in errors.
///
/// # Errors
/// Text that is no JSON object, a `model_type` that is unknown or cannot be held, a field that is wrong, contradicts
/// another or would change the model unseen, and sizes that fit no architecture.
pub fn read_config(text: &str, origin: &str) -> Result<HuggingFaceModel, FormatsError> {
    from_document(&Document::from_str(text, origin)?)
}

pub(crate) fn from_document(document: &Document) -> Result<HuggingFaceModel, FormatsError> {
    let value = document.value()?;
    let Some(map) = value.as_object() else {
        return Err(document.error_at("", "not a model configuration").allowed("a JSON object").into());
    };
    let fields = Fields::new(document, map);
    let family = fields.text("model_type", "")?;
    let Some((_, read)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
        return Err(unknown_family(document, family).into());
    };
    check_purpose(&fields)?;
    let Decoded { architecture, context } = read(&fields)?;
    fields.refuse_unread(family)?;
    let weights_format = weights_format(&fields)?;
    architecture.validate().map_err(|error| impossible(document, error))?;
    Ok(HuggingFaceModel {
        family: family.to_owned(),
        architecture: architecture.normalised(),
        context,
        weights_format,
    })
}

fn unknown_family(document: &Document, family: &str) -> slimfit_document::DocumentError {
    if family.is_empty() {
        let message = "the configuration does not say what kind of model it is";
        return document.error_at("", message).code("model_type").allowed("a field `model_type`");
    }
    let known = known_families().collect::<Vec<_>>().join(", ");
    let error = document.error_at("model_type", "unsupported model type").code("model_type").found(family);
    match refused::reason(family) {
        Some(reason) => error.allowed(known).hint(format!("`{family}` models are not read: {reason}")),
        None => error.allowed(known).maybe_hint(suggestion(family, known_families())),
    }
}

/// Only models that predict the next token are counted: other heads change the tensors.
fn check_purpose(fields: &Fields) -> Result<(), FormatsError> {
    fields.must_be("is_encoder_decoder", false, "a decoder alone")?;
    let others = ["SequenceClassification", "TokenClassification", "QuestionAnswering", "RewardModel"];
    for (index, class) in fields.list("architectures")?.unwrap_or_default().iter().enumerate() {
        let Some(name) = class.as_str() else { continue };
        if others.iter().any(|other| name.contains(other)) {
            let field = format!("architectures[{index}]");
            return Err(fields.refuse(
                &field,
                name,
                "a model with a language head, such as `LlamaForCausalLM`",
            ));
        }
    }
    Ok(())
}

/// The stored format; none for formats slimfit has no name for, or when the checkpoint is quantised some other way.
fn weights_format(fields: &Fields) -> Result<Option<NumberFormat>, FormatsError> {
    let name = if fields.has("dtype") { "dtype" } else { "torch_dtype" };
    let format = match fields.value(name).and_then(serde_json::Value::as_str) {
        Some("float32") => Some(NumberFormat::F32),
        Some("float16") => Some(NumberFormat::F16),
        Some("bfloat16") => Some(NumberFormat::Bf16),
        _ => None,
    };
    Ok(format.filter(|_| fields.value("quantization_config").is_none()))
}

fn impossible(document: &Document, error: ArchitectureError) -> FormatsError {
    match error {
        ArchitectureError::Field { field, found, allowed } => {
            let message = format!("no such model can exist: `{field}` does not fit");
            document.error_at("", message).code("architecture").found(found).allowed(allowed).into()
        }
        other => document.error_at("", other.to_string()).code("architecture").into(),
    }
}
