//! What stands beside an emitted model for people: the training recipe, the model card and its picture.

use crate::EmitError;
use crate::card::{Card, PICTURE_FILE};

/// A file that is rendered and not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name in the model's folder.
    pub name: &'static str,
    /// What it is, as commands list it.
    pub kind: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The training recipe, the card's picture and the card, the card last: where it lies, all lie. `picture`: a PNG file.
///
/// # Errors
/// When the recipe cannot be written.
pub fn companions(card: &Card<'_>, picture: Vec<u8>) -> Result<Vec<RenderedFile>, EmitError> {
    Ok(vec![
        RenderedFile {
            name: "training.yaml",
            kind: "slimfit-training-recipe",
            bytes: card.training.to_yaml()?.into_bytes(),
        },
        RenderedFile { name: PICTURE_FILE, kind: "png", bytes: picture },
        RenderedFile { name: "README.md", kind: "model-card", bytes: card.render().into_bytes() },
    ])
}
