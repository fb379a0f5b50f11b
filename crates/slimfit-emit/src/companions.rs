//! What stands beside an emitted model for people: the training recipe, the model card and its picture.

use crate::card::{Card, PICTURE_FILE};
use crate::{EmitError, RenderedFile};

/// The training recipe, the card's picture and the card, the card last: where it lies, all lie. `picture`: a PNG file.
///
/// # Errors
/// When the recipe cannot be written.
pub fn companions(card: &Card<'_>, picture: Vec<u8>) -> Result<Vec<RenderedFile>, EmitError> {
    Ok(vec![
        RenderedFile::new("training.yaml", "slimfit-training-recipe", card.training.to_yaml()?.into_bytes()),
        RenderedFile::new(PICTURE_FILE, "png", picture),
        RenderedFile::new("README.md", "model-card", card.render().into_bytes()),
    ])
}
