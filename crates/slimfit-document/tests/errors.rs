//! What a reader of a wrong file is told.

use serde::Deserialize;
use slimfit_document::{Document, DocumentError, Syntax};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Space {
    schema: String,
    axes: Axes,
    #[serde(default)]
    formats: Vec<Format>,
    #[serde(default)]
    limit: Option<f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Axes {
    depth: Vec<u32>,
    #[serde(default)]
    hidden_size: Vec<u64>,
    #[serde(default)]
    tied: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    F32,
    Bf16,
}

const RIGHT: &str =
    "schema: slimfit/space/v1\naxes:\n  depth: [2, 4]\n  hidden_size:\n    - 64\n    - 128\nformats: [f32]\n";

fn error(text: &str, origin: &str) -> DocumentError {
    match Document::from_str(text, origin) {
        Err(error) => error,
        Ok(document) => document.parse::<Space>().expect_err("the text is wrong"),
    }
}

#[track_caller]
fn check(text: &str, code: &str, place: (u64, u64), field: Option<&str>) -> DocumentError {
    let origin = if text.starts_with('{') { "space.json" } else { "space.yaml" };
    let error = error(text, origin);
    assert_eq!(error.code, code, "{error}");
    assert_eq!((error.line, error.column), (Some(place.0), Some(place.1)), "{error}");
    assert_eq!(error.field.as_deref(), field, "{error}");
    assert_eq!(error.file.as_deref(), Some(origin));
    error
}

#[test]
fn a_right_file_is_read_in_both_syntaxes_and_with_a_byte_order_mark() {
    let yaml: Space = Document::from_str(&format!("\u{feff}{RIGHT}"), "a.yaml").unwrap().parse().unwrap();
    assert_eq!(yaml.axes.hidden_size, [64, 128]);
    let text = r#"{"schema": "slimfit/space/v1", "axes": {"depth": [2, 4], "hidden_size": [64, 128]}, "formats": ["f32"]}"#;
    let document = Document::from_str(text, "built-in").unwrap();
    assert_eq!(document.syntax(), Syntax::Json);
    assert_eq!(document.parse::<Space>().unwrap(), yaml);
    assert_eq!(document.keys("axes"), ["depth", "hidden_size"]);
    assert!(document.has("axes.depth[1]") && !document.has("axes.depth[2]"));
}

#[test]
fn an_unknown_field_names_the_nearest() {
    let found = check(
        "schema: slimfit/space/v1\naxes:\n  depth: [2]\n  hiden_size: [64]\n",
        "unknown-field",
        (4, 3),
        Some("axes.hiden_size"),
    );
    assert_eq!(found.hint.as_deref(), Some("did you mean `hidden_size`?"));
    assert_eq!(found.allowed.as_deref(), Some("`depth`, `hidden_size`, `tied`"));
    assert_eq!(
        found.to_string(),
        "space.yaml:4:3: `axes.hiden_size`: unknown field `hiden_size`; allowed: `depth`, `hidden_size`, `tied`\n\
         hint: did you mean `hidden_size`?"
    );
    let json = "{\"schema\": \"slimfit/space/v1\",\n \"axes\": {\"depth\": [2],\n   \"hiden_size\": [64]}}";
    check(json, "unknown-field", (3, 4), Some("axes.hiden_size"));
    check("schema: slimfit/space/v1\naxis:\n  depth: [2]\n", "unknown-field", (2, 1), Some("axis"));
}

#[test]
fn a_missing_field_names_its_parent_s_place() {
    check("schema: slimfit/space/v1\naxes:\n  tied: true\n", "missing-field", (2, 1), Some("axes.depth"));
    check("schema: slimfit/space/v1\n", "missing-field", (1, 1), Some("axes"));
    check("{\"axes\":\n  {\"depth\": [2]}}", "missing-field", (1, 1), Some("schema"));
}

#[test]
fn a_wrong_type_says_what_was_found_and_what_is_allowed() {
    let found = check(
        "schema: slimfit/space/v1\naxes:\n  depth: [2, six]\n",
        "wrong-type",
        (3, 14),
        Some("axes.depth[1]"),
    );
    assert_eq!(found.found.as_deref(), Some("string \"six\""));
    assert_eq!(found.allowed.as_deref(), Some("a whole number, 0 or more"));
    let text = "{\"schema\": \"x\", \"axes\": {\"depth\": [2],\n \"tied\": \"yes\"}}";
    let found = check(text, "wrong-type", (2, 10), Some("axes.tied"));
    assert_eq!(found.allowed.as_deref(), Some("`true` or `false`"));
    check("schema: slimfit/space/v1\naxes:\n  depth: [-2]\n", "wrong-type", (3, 11), Some("axes.depth[0]"));
    check("schema: slimfit/space/v1\naxes:\n  depth: 3\n", "wrong-type", (3, 10), Some("axes.depth"));
    let found = check("- 1\n- 2\n", "wrong-type", (1, 1), None);
    assert_eq!(found.found.as_deref(), Some("a list"));
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones() {
    let found = check(&RIGHT.replace("[f32]", "[f32, bf61]"), "unknown-variant", (7, 16), Some("formats[1]"));
    assert_eq!(found.found.as_deref(), Some("`bf61`"));
    assert_eq!(found.allowed.as_deref(), Some("`f32`, `bf16`"));
    assert_eq!(found.hint.as_deref(), Some("did you mean `bf16`?"));
}

#[test]
fn what_is_no_number_is_refused() {
    let found = check("schema: x\naxes: {depth: [1]}\nlimit: .nan\n", "not-finite", (3, 8), None);
    assert_eq!(found.found.as_deref(), Some("`.nan`"));
    check("schema: x\nlimit: -.inf\n", "not-finite", (2, 8), None);
    check("schema: x\nlimit: Infinity\n", "not-finite", (2, 8), None);
    for word in ["NaN", "Infinity", "-Infinity"] {
        let text = format!("{{\"schema\": \"x\",\n \"limit\": {word}}}");
        let error = error(&text, "a.json");
        assert_eq!((error.code.as_str(), error.line), ("not-finite", Some(2)), "{error}");
    }
    assert_eq!(error("schema: x\naxes: {depth: [1]}\nlimit: 1e999\n", "a.yaml").code, "wrong-type");
    check("{\"limit\":\n 1e999}", "not-finite", (2, 2), None);
}

#[test]
fn duplicate_keys_are_refused() {
    check("schema: x\naxes:\n  depth: [1]\n  depth: [2]\n", "duplicate-key", (4, 3), None);
    check("{\"schema\": \"x\",\n \"schema\": \"y\"}", "duplicate-key", (2, 2), None);
    check("{\"a\": 1,\n \"\\u0061\": 2}", "duplicate-key", (2, 2), None);
}

#[test]
fn broken_syntax_has_a_place() {
    let error = error("schema: x\naxes: [1, 2\nformats: 3\n", "a.yaml");
    assert_eq!(error.code, "syntax");
    assert!(error.line.is_some_and(|line| line >= 2), "{error}");
    let json = super_error("{\"schema\": \"x\",\n \"axes\": }");
    assert_eq!((json.code.as_str(), json.line), ("syntax", Some(2)));
    let truncated = super_error("{\"schema\": \"x\", \"axes\": {");
    assert_eq!(truncated.code, "syntax");
    assert_eq!(super_error("").code, "empty");
    assert_eq!(super_error("# only a comment\n").code, "empty");
    assert_eq!(super_error("a: 1\n---\nb: 2\n").code, "syntax");
    assert_eq!(super_error("a: !thing 1\n").code, "syntax");
    assert_eq!(super_error("a: \0\n").code, "syntax");
}

fn super_error(text: &str) -> DocumentError {
    error(text, "text")
}

#[test]
fn a_git_lfs_pointer_is_recognised() {
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n";
    let error = error(text, "config.json");
    assert_eq!(error.code, "git-lfs-pointer");
    assert!(error.hint.as_deref().unwrap().contains("git lfs pull"));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(super_error(&laughs).code, "too-many-aliases");
    assert_eq!(super_error("a: &a [*a]\n").code, "too-many-aliases");
    for depth in [100, 1000, 100_000] {
        assert_eq!(super_error(&"[".repeat(depth)).code, "syntax");
        let error = error(&format!("a: {}{}", "[".repeat(depth), "]".repeat(depth)), "a.yaml");
        assert_eq!(error.code, "too-deep", "{depth} {error}");
        let error = super_error(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(error.code, "too-deep");
        let nested: String = (0..depth.min(1000)).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        assert_eq!(super_error(&nested).code, "too-deep");
    }
}

#[test]
fn harmless_aliases_are_read() {
    let text = "schema: x\naxes:\n  depth: &few [2, 4]\n  hidden_size: *few\n";
    let space: Space = Document::from_str(text, "a.yaml").unwrap().parse().unwrap();
    assert_eq!(space.axes.hidden_size, [2, 4]);
}

#[test]
fn the_schema_line_is_checked() {
    let known = ["slimfit/space/v1"];
    let document = |text: &str| Document::from_str(text, "a.yaml").unwrap();
    assert_eq!(document(RIGHT).schema(&known), Ok("slimfit/space/v1"));
    let error = document("a: 1\n").schema(&known).unwrap_err();
    assert_eq!(error.code, "schema-missing");
    let error = document("a: 1\nschema: slimfit/space/v2\n").schema(&known).unwrap_err();
    assert_eq!((error.code.as_str(), error.line, error.column), ("schema-unknown", Some(2), Some(9)));
    assert!(error.message.contains("version") && error.allowed.as_deref() == Some("`slimfit/space/v1`"));
    let error = document("schema: slimfit/profile/v1\n").schema(&known).unwrap_err();
    assert!(error.message.contains("another kind"), "{error}");
    assert_eq!(document("schema: 3\n").schema(&known).unwrap_err().code, "schema-unknown");
    assert_eq!(document("- 1\n").schema(&known).unwrap_err().code, "schema-missing");
}

#[test]
fn own_rules_get_the_place_of_the_field_or_of_its_parent() {
    let document = Document::from_str(RIGHT, "space.yaml").unwrap();
    let error = document
        .error_at("axes.hidden_size[1]", "not divisible by the heads")
        .found(128)
        .allowed("multiples of 96");
    assert_eq!((error.line, error.column), (Some(6), Some(7)));
    assert_eq!(
        error.to_string(),
        "space.yaml:6:7: `axes.hidden_size[1]`: not divisible by the heads: found 128; allowed: multiples of 96"
    );
    let error = document.error_at("axes.heads", "is needed");
    assert_eq!((error.line, error.column), (Some(2), Some(1)));
    let object = document.error_at("axes", "is wrong").code("odd").to_json();
    assert_eq!(object["schema"], "slimfit/error/v1");
    assert_eq!(object["error"]["line"], 2);
    assert_eq!(object["error"]["code"], "odd");
    assert!(object["error"].get("hint").is_none());
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Tagged {
    Narrow {
        #[expect(dead_code, reason = "only read by serde")]
        width: u32,
    },
}

#[test]
fn below_a_tagged_enum_an_unknown_field_is_still_found() {
    let document = Document::from_str("items:\n  - kind: narrow\n    widht: 3\n", "a.yaml").unwrap();
    let error = document.parse::<std::collections::BTreeMap<String, Vec<Tagged>>>().unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.line, error.column),
        ("unknown-field", Some(3), Some(5)),
        "{error}"
    );
    assert_eq!(error.field.as_deref(), Some("items[0].widht"));
}
