//! What cuts a text into words before bytes are merged, and what llama.cpp calls it.
//!
//! A GGUF file does not say how, it says whose: a name under which llama.cpp has the regular expressions built in
//! (`llm_tokenizer_bpe` and `load` of its `src/llama-vocab.cpp`). One that is nearly the same gives other tokens for some
//! texts and says nothing, so a tokenizer has the name whose expressions are its own, or none. Left out are those names
//! whose expressions llama.cpp only approximates: with `tekken` and `gpt-4o`, words end before combining marks there.

use super::pipeline::{Step, steps};
use serde_json::Value;
use slimfit_document::{Document, DocumentError};

/// The expression of GPT-2, which the `ByteLevel` step of the `tokenizers` library has built in.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BAILING: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const SEED: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const DIGIT: &str = r"\p{N}";

/// The expressions in their order, whether a word that is a token is taken whole (`ignore_merges`), the name, and the
/// models that are known by it.
const KNOWN: [(&[&str], bool, &str, &str); 9] = [
    (&[GPT2], false, "gpt-2", "GPT-2"),
    (&[DIGIT, GPT2], false, "smollm", "SmolLM and StarCoder"),
    (&[LLAMA3], true, "llama-bpe", "Llama 3"),
    (&[LLAMA3], false, "dbrx", "DBRX"),
    (&[QWEN2], false, "qwen2", "Qwen 2 and 3"),
    (&[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_V3], false, "deepseek-v3", "DeepSeek V3"),
    (&[BAILING], false, "bailingmoe", "Ling"),
    (&[SEED], false, "seed-coder", "Seed Coder"),
    // Only recent releases know it; others refuse the file by this name.
    (&[QWEN35], false, "qwen35", "Qwen 3.5"),
];

/// Whether the steps end in bytes.
pub(super) fn is_byte_level(document: &Document, value: &Value) -> Result<bool, DocumentError> {
    Ok(steps(document, value, FIELD, PARTS)?.iter().any(|step| step.kind == "ByteLevel"))
}

const FIELD: &str = "pre_tokenizer";
pub(super) const PARTS: &str = "pretokenizers";

/// The name of a byte-level pre-tokenizer.
///
/// # Errors
/// None of llama.cpp's does the same.
pub(super) fn name(
    document: &Document,
    value: &Value,
    ignore_merges: bool,
) -> Result<&'static str, DocumentError> {
    let mut expressions = Vec::new();
    let mut in_bytes = false;
    for step in steps(document, value, FIELD, PARTS)? {
        if in_bytes {
            return Err(unknown(step.error(document, "", "a step after bytes, which llama.cpp does not do")));
        }
        if step.kind == "ByteLevel" {
            in_bytes = true;
            // The library's own default is true.
            if step.flag("add_prefix_space", true) {
                let error = step.error(document, "add_prefix_space", "llama.cpp puts no space before a text");
                return Err(code(error)
                    .allowed("`false`")
                    .hint(format!("train the tokenizer without it, or {WITHOUT}")));
            }
            if step.flag("use_regex", true) {
                expressions.push(GPT2.to_owned());
            }
        } else {
            expressions.push(expression(document, &step)?);
        }
    }
    let same = |known: &&[&str]| known.iter().eq(expressions.iter());
    let row = KNOWN.iter().find(|(known, whole, ..)| same(known) && *whole == ignore_merges);
    if let Some((_, _, name, _)) = row {
        return Ok(name);
    }
    if KNOWN.iter().any(|(known, ..)| same(known)) {
        let message = "llama.cpp knows this pre-tokenizer only with the other choice";
        let error = document.error_at("model.ignore_merges", message).found(format!("`{ignore_merges}`"));
        let hint = format!("set `ignore_merges` so before training on the tokens, or {WITHOUT}");
        return Err(code(error).allowed(format!("`{}`", !ignore_merges)).hint(hint));
    }
    let found = format!("`{}`", expressions.join("` then `"));
    Err(unknown(
        document.error_at(FIELD, "llama.cpp has no pre-tokenizer that cuts text like this").found(found),
    ))
}

/// The expression of a step that cuts at what matches, and between.
fn expression(document: &Document, step: &Step<'_>) -> Result<String, DocumentError> {
    match step.kind {
        "Split" => {
            let isolates = step.text("behavior") == Some("Isolated") && !step.flag("invert", false);
            if !isolates {
                let part = if step.text("behavior") == Some("Isolated") { "invert" } else { "behavior" };
                let error = step.error(document, part, "llama.cpp keeps what it cuts at");
                return Err(unknown(error).allowed("`Isolated`, not inverted"));
            }
            let regex = step.get("pattern").and_then(|pattern| pattern.get("Regex")).and_then(Value::as_str);
            // Line ends are written out in some files.
            let plain = |regex: &str| regex.replace('\r', r"\r").replace('\n', r"\n");
            regex.map(plain).ok_or_else(|| unknown(step.error(document, "pattern", "no regular expression")))
        }
        "Digits" if step.flag("individual_digits", false) => Ok(DIGIT.to_owned()),
        _ => Err(unknown(step.error(document, "", "llama.cpp has no such step before bytes"))),
    }
}

const WITHOUT: &str = "write the file without one: `--tokenizer none`";

fn code(error: DocumentError) -> DocumentError {
    error.code("unsupported-tokenizer")
}

fn unknown(error: DocumentError) -> DocumentError {
    let names: Vec<String> =
        KNOWN.iter().map(|(_, _, name, models)| format!("`{name}` ({models})")).collect();
    let hint = format!(
        "a wrong pre-tokenizer gives wrong tokens without a word; train a tokenizer that cuts text like one of these, or {WITHOUT}"
    );
    code(error).allowed(format!("what llama.cpp calls {}", names.join(", "))).hint(hint)
}
