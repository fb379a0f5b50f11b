//! Bytes per token as a real tokenizer makes them of a real text.
//!
//! Not here: the tokenizer. It is a function from a piece of text to its number of tokens.

use crate::QualityError;
use slimfit_document::DocumentError;
use slimfit_quantity::{Measured, Predicted};

/// The least text that says anything, bytes: 32 chunks of 64.
pub const LEAST_TEXT_BYTES: usize = 2048;
const CHUNKS: usize = 32;
const LARGEST_CHUNK: usize = 4096;

/// How many bytes of a text a tokenizer puts into a token.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredText {
    /// Bytes that were read.
    pub bytes: u64,
    /// Tokens they became.
    pub tokens: u64,
    /// Bytes per token of each chunk that was counted on its own.
    pub chunks: Measured,
    /// All bytes over all tokens, with the 90 % interval of that ratio when text like this is drawn again: the spread of
    /// the chunks about the ratio, as if they were independent. Text of another kind lies outside it.
    pub bytes_per_token: Predicted,
}

impl MeasuredText {
    /// Cuts each text into chunks before white space, and counts the tokens of each.
    ///
    /// # Errors
    /// When there is less than [`LEAST_TEXT_BYTES`] of text, when a chunk has no token, and what `count` says.
    pub fn of<E: From<QualityError>>(
        texts: &[&str],
        mut count: impl FnMut(&str) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        if bytes < LEAST_TEXT_BYTES || texts.iter().all(|text| text.trim().is_empty()) {
            let empty = texts.iter().all(|text| text.trim().is_empty());
            let message = if empty { "the text is empty" } else { "the text is too short to measure" };
            let error = DocumentError::new("text-too-short", message).found(format!("{bytes} bytes"));
            let error = error.allowed(format!("{LEAST_TEXT_BYTES} bytes or more"));
            return Err(QualityError::from(error.hint("take text like the one the model will read")).into());
        }
        let size = (bytes / CHUNKS).min(LARGEST_CHUNK);
        let mut counted = Vec::new();
        for chunk in texts.iter().flat_map(|text| chunks(text, size)) {
            let tokens = count(chunk)?;
            if tokens == 0 && chunk.trim().is_empty() {
                // Tokenizers that drop white space make nothing of a blank stretch; its bytes count all the same.
                counted.push((chunk.len() as f64, 0.0));
                continue;
            }
            if tokens == 0 {
                let start: String = chunk.chars().take(40).collect();
                let error = DocumentError::new("no-tokens", "the tokenizer makes no token of some text");
                return Err(QualityError::from(error.found(format!("{start:?}"))).into());
            }
            counted.push((chunk.len() as f64, tokens as f64));
        }
        let tokens: f64 = counted.iter().map(|(_, tokens)| tokens).sum();
        let value = bytes as f64 / tokens;
        // Variance of a ratio of sums: deviations of each chunk's bytes from what its tokens would make of them.
        let n = counted.len() as f64;
        let squares: f64 = counted.iter().map(|(bytes, tokens)| (bytes - value * tokens).powi(2)).sum();
        let sigma = (n / (n - 1.0) * squares).sqrt() / tokens;
        let ratios = counted.iter().filter(|(_, tokens)| *tokens > 0.0).map(|(bytes, tokens)| bytes / tokens);
        let chunks = Measured::new(ratios.collect()).ok_or_else(|| {
            let error = DocumentError::new("no-tokens", "the tokenizer makes no token of the text");
            E::from(QualityError::from(error))
        })?;
        let half = crate::Z90 * sigma;
        Ok(Self {
            bytes: bytes as u64,
            tokens: tokens as u64,
            chunks,
            bytes_per_token: Predicted { value, low: value - half, high: value + half },
        })
    }
}

/// Pieces of at least `size` bytes, the last one excepted, each but the first beginning with white space: where words
/// begin, tokenizers cut anyway. A stretch without any is cut at twice the size.
fn chunks(text: &str, size: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > size {
        let mut later = rest.char_indices().skip_while(|(place, _)| *place < size);
        let cut = later
            .find(|(place, letter)| letter.is_whitespace() || *place >= 2 * size)
            .map_or(rest.len(), |(place, _)| place);
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<usize, QualityError> {
        Ok(text.split_whitespace().count())
    }

    #[test]
    fn all_text_is_counted_once_and_cut_between_words() {
        let text = "one three five seventy ".repeat(500);
        let measured = MeasuredText::of(&[&text], words).unwrap();
        assert_eq!((measured.bytes, measured.tokens), (11_500, 2000));
        assert!((measured.bytes_per_token.value - 5.75).abs() < 1e-12);
        assert!(measured.chunks.samples.len() >= 30, "{}", measured.chunks.samples.len());
        let pieces = chunks(&text, 359);
        assert_eq!(pieces.concat(), text);
        assert!(pieces[1..].iter().all(|piece| piece.starts_with(' ')));
    }

    #[test]
    fn the_interval_is_that_of_a_ratio_and_shrinks_with_more_text() {
        // Words of 2 and of 14 letters in stretches, so that chunks differ.
        let text = |stretches: usize| -> String {
            let short = "ab ".repeat(400);
            let long = "abcdefghijklmn ".repeat(80);
            (0..stretches).map(|place| if place % 2 == 0 { short.as_str() } else { long.as_str() }).collect()
        };
        let width = |stretches| {
            let text = text(stretches);
            let found = MeasuredText::of(&[&text], words).unwrap().bytes_per_token;
            assert!((found.value - 5.0).abs() < 0.05, "{found:?}");
            found.high - found.low
        };
        let (few, many) = (width(8), width(800));
        assert!(few > 0.0 && many > 0.0 && many < few / 2.0, "{few} {many}");
        let even = MeasuredText::of(&["abc ".repeat(1000).as_str()], words).unwrap().bytes_per_token;
        assert!(even.high - even.low < 0.1, "{even:?}");
    }

    #[test]
    fn no_text_and_too_little_text_are_refused() {
        for (text, words_of) in [("", "is empty"), (" \n\n ", "is empty"), ("a few words", "too short")] {
            let error = MeasuredText::of(&[text], words).unwrap_err().to_string();
            assert!(error.contains(words_of), "{error}");
        }
        let blank = " ".repeat(5000);
        assert!(MeasuredText::of(&[&blank], words).unwrap_err().to_string().contains("is empty"));
        let text = "word ".repeat(1000);
        let error = MeasuredText::of(&[&text], |_| Ok::<_, QualityError>(0)).unwrap_err().to_string();
        assert!(error.contains("no token of some text"), "{error}");
    }

    #[test]
    fn text_without_spaces_is_cut_between_characters() {
        let text = "文字".repeat(2000);
        let measured =
            MeasuredText::of(&[&text], |piece| Ok::<_, QualityError>(piece.chars().count())).unwrap();
        assert!((measured.bytes_per_token.value - 3.0).abs() < 1e-12);
        assert_eq!(measured.tokens, 4000);
    }
}
