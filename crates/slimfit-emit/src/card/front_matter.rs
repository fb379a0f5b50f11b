//! What the Hugging Face hub reads: YAML before the card.

use super::{Card, ConfigClass, GgufArtefact};

/// No licence stands here: whose the trained weights are decides whoever trains them.
pub(super) fn front_matter(card: &Card<'_>) -> String {
    let mut tags = vec!["slimfit"];
    if !card.artefacts.given_weights {
        tags.push("untrained");
    }
    match &card.artefacts.class {
        ConfigClass::Standard { model_type, .. } => tags.push(model_type),
        ConfigClass::Slimfit { .. } => tags.push("custom_code"),
    }
    if matches!(card.artefacts.gguf, GgufArtefact::Written { .. }) || card.artefacts.container.is_some() {
        tags.push("gguf");
    }
    let tags: String = tags.iter().map(|tag| format!("- {tag}\n")).collect();
    format!("---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n{tags}---\n")
}
