//! Vocabularies of bytes, GPT-2's kind: every byte is a printable letter, words are cut by a regular expression.

use super::file::TokenizerFile;
use super::pipeline::steps;
use super::vocabulary::Vocabulary;
use slimfit_document::{Document, DocumentError};
use slimfit_quantity::Warning;

/// The merges in their order, as llama.cpp reads them.
///
/// # Errors
/// A step before the model that it does not do, bytes that have no token.
pub(super) fn merges(
    document: &Document,
    file: &TokenizerFile,
    vocabulary: &Vocabulary,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<String>, DocumentError> {
    for step in steps(document, &file.normalizer, "normalizer", "normalizers")? {
        if step.kind != "NFC" {
            let error =
                step.error(document, "", "llama.cpp changes no letter of a text before it cuts words");
            let error = error.code("unsupported-tokenizer").allowed("none, or `NFC`");
            return Err(error
                .hint("train the tokenizer without it, or write the file without one: `--tokenizer none`"));
        }
        warnings.push(Warning::new(
            "tokenizer-differs",
            "llama.cpp does not compose letters and marks (NFC) first, which this tokenizer does: give it composed text",
        ));
    }
    // A byte without a token vanishes from the text, and its neighbours merge here but not there.
    if let Some(byte) = (0..=u8::MAX).find(|&byte| vocabulary.id(&letter(byte).to_string()).is_none()) {
        let error = document.error_at("model.vocab", "a byte has no token").code("unsupported-tokenizer");
        let error = error.found(format!("no `{}` for the byte {byte:#04x}", letter(byte)));
        return Err(error.allowed("all 256").hint("train with `initial_alphabet=ByteLevel.alphabet()`"));
    }
    let written = |index: usize, left: &str, right: &str| {
        if left.contains(' ') || right.contains(' ') {
            let error =
                document.error_at(&format!("model.merges[{index}]"), "a space inside a token of bytes");
            return Err(error.code("unsupported-tokenizer").found(format!("`{left}` and `{right}`")));
        }
        Ok(format!("{left} {right}"))
    };
    file.model.merges.iter().enumerate().map(|(index, merge)| written(index, &merge.0, &merge.1)).collect()
}

/// The letter that stands for a byte: itself where it is printable, else the next one from U+0100 on.
pub(super) fn letter(byte: u8) -> char {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(&byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before)
        .expect("68 bytes are not printable, and there are letters from U+0100 to U+0143")
}

#[cfg(test)]
mod tests {
    use super::letter;
    use std::collections::HashSet;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let letters: HashSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters.len(), 256);
        // As GPT-2's vocabulary spells a space, a line end, a tab and the bytes of `é`.
        assert_eq!([b' ', b'\n', b'\t', 0xc3, 0xa9].map(letter), ['Ġ', 'Ċ', 'ĉ', 'Ã', '©']);
    }
}
