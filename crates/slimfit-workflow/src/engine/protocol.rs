//! The line that goes to an engine and the line that comes back. `engines/README.md` says what each field means.

use serde::Serialize;
use serde_json::{Map, Value};
use slimfit_arch::{Architecture, FeedForward};
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::NumberFormat;
use slimfit_study::WeightsSource;
use std::path::PathBuf;

/// The schema of requests.
pub const REQUEST_SCHEMA: &str = "slimfit/engine-request/v1";
/// The schema of answers.
pub const ANSWER_SCHEMA: &str = "slimfit/engine-answer/v1";

const FIELDS: [&str; 7] =
    ["schema", "engine", "prefill_seconds", "decode_seconds", "token_seconds", "peak_memory_bytes", "error"];

/// What an engine is asked to time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct EngineRequest {
    pub(super) schema: &'static str,
    pub(super) slimfit: &'static str,
    pub(super) model: ModelFiles,
    pub(super) architecture: Summary,
    pub(super) weights: NumberFormat,
    pub(super) kv: NumberFormat,
    pub(super) threads: u32,
    pub(super) context_tokens: u64,
    pub(super) prompt_tokens: u64,
    pub(super) generated_tokens: u64,
    pub(super) depth_tokens: u64,
    pub(super) repetitions: usize,
    pub(super) seed: u64,
}

/// The model as files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ModelFiles {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) gguf: Option<PathBuf>,
    pub(super) huggingface: Option<PathBuf>,
    pub(super) weights_source: WeightsSource,
}

/// The sizes that most engines want to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    parameters: u64,
    layers: u64,
    hidden_size: u64,
    vocabulary_size: u64,
    tied_embeddings: bool,
    heads: Option<u64>,
    kv_heads: Option<u64>,
    head_size: Option<u64>,
    ffn_size: Option<u64>,
}

impl Summary {
    pub(super) fn of(architecture: &Architecture) -> Self {
        let first = architecture.layers.first();
        let attention = first.map(|run| &run.attention);
        Self {
            parameters: architecture.parameters().total,
            layers: architecture.depth(),
            hidden_size: architecture.hidden_size,
            vocabulary_size: architecture.vocabulary_size,
            tied_embeddings: architecture.tied_embeddings,
            heads: attention.map(|attention| attention.heads),
            kv_heads: attention.map(|attention| attention.kv_heads),
            head_size: attention.map(|attention| attention.head_size),
            ffn_size: first.and_then(|run| match &run.ffn {
                FeedForward::Dense(mlp) => Some(mlp.size),
                FeedForward::Moe(_) => None,
            }),
        }
    }
}

/// What an engine said: as many times as were asked for, each above 0 and finite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EngineAnswer {
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// Seconds of each prompt.
    pub(super) prefill_seconds: Vec<f64>,
    /// Seconds of all generated tokens of each repetition.
    pub(super) decode_seconds: Vec<f64>,
    /// Seconds of single tokens, where it tells them.
    pub(super) token_seconds: Vec<f64>,
    /// The most that was resident, where it tells.
    pub(super) peak_memory_bytes: Option<f64>,
}

/// Why an answer is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoAnswer {
    /// The engine says that it cannot run this.
    Refused(String),
    /// What it printed breaks the protocol.
    Broken(DocumentError),
}

impl From<DocumentError> for NoAnswer {
    fn from(error: DocumentError) -> Self {
        Self::Broken(error)
    }
}

fn broken(message: impl Into<String>) -> DocumentError {
    DocumentError::new("engine-answer", message).field("--engine-command")
}

impl EngineAnswer {
    /// Reads what the engine printed, which must answer `request`.
    pub(super) fn parse(output: &[u8], request: &EngineRequest) -> Result<Self, NoAnswer> {
        let fields = object(output)?;
        let schema = fields.get("schema").and_then(Value::as_str);
        if schema != Some(ANSWER_SCHEMA) {
            let found =
                fields.get("schema").map_or_else(|| "nothing".to_owned(), |found| format!("`{found}`"));
            let error = broken("the engine's answer has another schema").found(found);
            return Err(error.allowed(format!("`{ANSWER_SCHEMA}`")).into());
        }
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let error =
                broken("the engine's answer has a field that nothing reads").found(format!("`{unknown}`"));
            return Err(error.allowed(FIELDS.join(", ")).maybe_hint(suggestion(unknown, FIELDS)).into());
        }
        if let Some(error) = fields.get("error") {
            let sentence = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(NoAnswer::Refused(sentence));
        }
        let answer = Self {
            name: text(&fields, "name")?,
            version: text(&fields, "version")?,
            prefill_seconds: if request.prompt_tokens > 0 {
                seconds(&fields, "prefill_seconds", request.repetitions)?
            } else {
                Vec::new()
            },
            decode_seconds: Vec::new(),
            token_seconds: Vec::new(),
            peak_memory_bytes: match fields.get("peak_memory_bytes") {
                None | Some(Value::Null) => None,
                Some(value) => Some(above_zero(value, "peak_memory_bytes")?),
            },
        };
        if request.generated_tokens == 0 {
            return Ok(answer);
        }
        if fields.contains_key("decode_seconds") || !fields.contains_key("token_seconds") {
            let decode_seconds = seconds(&fields, "decode_seconds", request.repetitions)?;
            return Ok(Self { decode_seconds, ..answer });
        }
        let runs = list(&fields, "token_seconds", request.repetitions)?;
        let tokens = request.generated_tokens as usize;
        let runs = runs
            .iter()
            .map(|run| numbers(run, "token_seconds", tokens, "one for each generated token"))
            .collect::<Result<Vec<_>, _>>()?;
        let decode_seconds = runs.iter().map(|run| run.iter().sum()).collect();
        Ok(Self { decode_seconds, token_seconds: runs.concat(), ..answer })
    }
}

/// The one object that was printed.
fn object(output: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    let text = String::from_utf8_lossy(output);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let allowed = "one line with a JSON object";
    let Some(line) = lines.next() else {
        return Err(broken("the engine printed nothing").allowed(allowed));
    };
    let found = |line: &str| format!("`{}`", line.chars().take(120).collect::<String>());
    match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => match lines.next() {
            None => Ok(fields),
            Some(next) => {
                Err(broken("the engine printed more than one line").found(found(next)).allowed(allowed))
            }
        },
        _ => Err(broken("the engine printed no JSON object").found(found(line)).allowed(allowed)),
    }
}

/// A text of `engine`.
fn text(fields: &Map<String, Value>, name: &str) -> Result<String, DocumentError> {
    let found = fields.get("engine").and_then(|engine| engine.get(name));
    let said = found.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    said.map(str::to_owned).ok_or_else(|| missing(&format!("engine.{name}"), found, "a text"))
}

fn missing(name: &str, found: Option<&Value>, allowed: &str) -> DocumentError {
    match found {
        None | Some(Value::Null) => {
            broken(format!("`{name}` is missing in the engine's answer")).allowed(allowed)
        }
        Some(found) => broken(format!("`{name}` in the engine's answer is something else"))
            .found(format!("`{found}`"))
            .allowed(allowed),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str, count: usize) -> Result<&'a [Value], DocumentError> {
    let found = fields.get(name);
    let values = found.and_then(Value::as_array).ok_or_else(|| missing(name, found, "a list"))?;
    if values.len() != count {
        return Err(broken(format!("`{name}` in the engine's answer has another length"))
            .found(values.len().to_string())
            .allowed(format!("{count}: one for each repetition")));
    }
    Ok(values)
}

fn seconds(fields: &Map<String, Value>, name: &str, count: usize) -> Result<Vec<f64>, DocumentError> {
    list(fields, name, count)?.iter().map(|value| above_zero(value, name)).collect()
}

fn numbers(value: &Value, name: &str, count: usize, what: &str) -> Result<Vec<f64>, DocumentError> {
    let values = value.as_array().ok_or_else(|| missing(name, Some(value), "a list of lists"))?;
    if values.len() != count {
        return Err(broken(format!("a list of `{name}` in the engine's answer has another length"))
            .found(values.len().to_string())
            .allowed(format!("{count}: {what}")));
    }
    values.iter().map(|value| above_zero(value, name)).collect()
}

fn above_zero(value: &Value, name: &str) -> Result<f64, DocumentError> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| {
        broken(format!("`{name}` in the engine's answer cannot be"))
            .found(format!("`{value}`"))
            .allowed("a number above 0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn request(prompt: u64, generated: u64) -> EngineRequest {
        let architecture: Architecture = serde_json::from_value(json!({
            "hidden_size": 64, "vocabulary_size": 128, "tied_embeddings": true,
            "layers": [{"repeat": 2, "attention": {"heads": 2, "kv_heads": 1, "head_size": 32, "rope": {"base": 10000.0}},
                        "ffn": {"kind": "dense", "size": 96}}],
        }))
        .unwrap();
        EngineRequest {
            schema: REQUEST_SCHEMA,
            slimfit: "0.1.0",
            model: ModelFiles {
                name: "small".to_owned(),
                id: "0123456789ab".to_owned(),
                gguf: None,
                huggingface: None,
                weights_source: WeightsSource::Seeded,
            },
            architecture: Summary::of(&architecture),
            weights: NumberFormat::Q8_0,
            kv: NumberFormat::F16,
            threads: 2,
            context_tokens: 64,
            prompt_tokens: prompt,
            generated_tokens: generated,
            depth_tokens: 0,
            repetitions: 2,
            seed: 1,
        }
    }

    fn good() -> Value {
        json!({
            "schema": ANSWER_SCHEMA, "engine": {"name": "x", "version": "1"},
            "prefill_seconds": [0.5, 0.25], "decode_seconds": [1.0, 2.0], "peak_memory_bytes": 1000,
        })
    }

    fn parse(value: &Value, request: &EngineRequest) -> Result<EngineAnswer, NoAnswer> {
        EngineAnswer::parse(value.to_string().as_bytes(), request)
    }

    fn message(value: &Value) -> String {
        match parse(value, &request(8, 3)).unwrap_err() {
            NoAnswer::Broken(error) => error.to_string(),
            NoAnswer::Refused(sentence) => panic!("refused: {sentence}"),
        }
    }

    #[test]
    fn a_good_answer_is_read_with_single_tokens_or_without() {
        let answer = parse(&good(), &request(8, 3)).unwrap();
        assert_eq!(
            (&answer.prefill_seconds[..], &answer.decode_seconds[..]),
            (&[0.5, 0.25][..], &[1.0, 2.0][..])
        );
        assert_eq!(answer.peak_memory_bytes, Some(1000.0));
        let mut single = good();
        single["decode_seconds"].take();
        single.as_object_mut().unwrap().remove("decode_seconds");
        single["token_seconds"] = json!([[0.25, 0.25, 0.5], [0.5, 0.5, 1.0]]);
        let answer = parse(&single, &request(8, 3)).unwrap();
        assert_eq!(answer.decode_seconds, [1.0, 2.0]);
        assert_eq!(answer.token_seconds.len(), 6);
    }

    #[test]
    fn only_what_was_asked_for_must_be_there() {
        let mut decode = good();
        decode.as_object_mut().unwrap().remove("prefill_seconds");
        assert!(parse(&decode, &request(0, 3)).unwrap().prefill_seconds.is_empty());
        assert!(message(&decode).contains("`prefill_seconds` is missing"), "{}", message(&decode));
        let mut prefill = good();
        prefill.as_object_mut().unwrap().remove("decode_seconds");
        assert!(parse(&prefill, &request(8, 0)).unwrap().decode_seconds.is_empty());
        assert!(message(&prefill).contains("`decode_seconds` is missing"));
    }

    #[test]
    fn each_way_to_break_the_protocol_is_named() {
        let with = |name: &str, value: Value| {
            let mut answer = good();
            answer[name] = value;
            message(&answer)
        };
        assert!(with("schema", json!("slimfit/engine-answer/v9")).contains("slimfit/engine-answer/v9"));
        assert!(with("engine", json!({"name": "x"})).contains("`engine.version` is missing"));
        assert!(with("decode_second", json!(1)).contains("did you mean `decode_seconds`"));
        assert!(with("prefill_seconds", json!([0.5])).contains("has another length"));
        assert!(with("prefill_seconds", json!([0.5, -1.0])).contains("`-1.0`"));
        assert!(with("decode_seconds", json!([0, 1.0])).contains("a number above 0"));
        assert!(with("decode_seconds", json!(["1", 1.0])).contains("cannot be"));
        assert!(with("peak_memory_bytes", json!(-5)).contains("`peak_memory_bytes`"));
        assert!(with("decode_seconds", json!(1.0)).contains("something else"));
    }

    #[test]
    fn text_nothing_and_two_lines_are_no_answer() {
        let request = request(8, 3);
        for (output, expected) in [
            ("", "printed nothing"),
            ("llama 1\n", "`llama 1`"),
            ("[1]", "`[1]`"),
            ("{}\n{}", "more than one line"),
        ] {
            let NoAnswer::Broken(error) = EngineAnswer::parse(output.as_bytes(), &request).unwrap_err()
            else {
                panic!("{output}: refused");
            };
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn an_engine_may_refuse_in_its_own_words() {
        let answer = json!({"schema": ANSWER_SCHEMA, "error": "no q4_k here"});
        assert_eq!(parse(&answer, &request(8, 3)), Err(NoAnswer::Refused("no q4_k here".to_owned())));
    }

    #[test]
    fn a_request_says_what_the_page_says() {
        let written = serde_json::to_value(request(8, 3)).unwrap();
        let page = include_str!("../../engines/README.md");
        for name in written.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}.")), "{name}");
        }
        assert_eq!(written["architecture"]["ffn_size"], 96);
        assert!(FIELDS.iter().all(|field| page.contains(&format!("| `{field}` |"))));
    }
}
