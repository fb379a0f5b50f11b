//! A YAML or JSON document, read strictly.

use crate::explain::explain;
use crate::path;
use crate::position::{Kind, Node};
use crate::{DocumentError, json, nearest::suggestion, yaml};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The largest file that is read.
pub const MAXIMUM_BYTES: u64 = 64 << 20;
/// The deepest nesting that is read.
pub const MAXIMUM_DEPTH: usize = 64;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

/// A document whose syntax is right: one value, no duplicate keys, no NaN or Infinity, bounded nesting.
#[derive(Debug, Clone)]
pub struct Document {
    origin: String,
    text: String,
    syntax: Syntax,
    root: Node,
}

impl Document {
    /// Reads a file of at most [`MAXIMUM_BYTES`]. It is JSON when its name ends in `.json`, or when it begins with `{`
    /// or `[` and its name does not end in `.yaml` or `.yml`; a byte-order mark is accepted.
    ///
    /// # Errors
    /// When the file is missing, unreadable, too large, not UTF-8, a Git LFS pointer, or breaks the syntax.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DocumentError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let origin = path.display().to_string();
        Self::from_str(&text, &origin)
    }

    /// Takes a text that is already in memory; `origin` is the name that errors give it.
    ///
    /// # Errors
    /// When the text is too large, a Git LFS pointer, or breaks the syntax.
    pub fn from_str(text: &str, origin: &str) -> Result<Self, DocumentError> {
        if text.len() as u64 > MAXIMUM_BYTES {
            return Err(too_large(text.len() as u64).file(origin));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.starts_with("version https://git-lfs.github.com/spec/") {
            return Err(DocumentError::new(
                "git-lfs-pointer",
                "this is a Git LFS pointer: a placeholder of about 130 bytes in place of the real file",
            )
            .file(origin)
            .at(1, 1)
            .hint("run `git lfs pull` in that repository to fetch the file itself"));
        }
        if text.trim().is_empty() {
            return Err(yaml::empty().file(origin));
        }
        if let Some(index) = text.find('\0') {
            let line = text[..index].matches('\n').count() as u64 + 1;
            let start = text[..index].rfind('\n').map_or(0, |start| start + 1);
            let column = text[start..index].chars().count() as u64 + 1;
            return Err(DocumentError::new("syntax", "a zero byte: not a text file")
                .file(origin)
                .at(line, column));
        }
        let lower = origin.to_ascii_lowercase();
        let json = lower.ends_with(".json")
            || text.trim_start().starts_with(['{', '['])
                && !lower.ends_with(".yaml")
                && !lower.ends_with(".yml");
        let (syntax, root) =
            if json { (Syntax::Json, json::scan(text)) } else { (Syntax::Yaml, yaml::scan(text)) };
        let root = root.map_err(|error| error.file(origin))?;
        Ok(Self { origin: origin.to_owned(), text: text.to_owned(), syntax, root })
    }

    /// The file's path as the user gave it, or the name of a built-in document.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The whole text, without a byte-order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it is written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// The keys of the mapping at `field` (`""`: of the whole document), in the file's order; empty where no mapping is.
    pub fn keys(&self, field: &str) -> Vec<&str> {
        match self.root.get(&path::parse(field)).map(|node| &node.kind) {
            Some(Kind::Mapping(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the file says anything at `field`.
    pub fn has(&self, field: &str) -> bool {
        self.root.get(&path::parse(field)).is_some()
    }

    /// The document's `schema` field, which must be one of `known` (`slimfit/space/v1`).
    ///
    /// # Errors
    /// When the field is missing, or names a kind or version that is not read.
    pub fn schema<'a>(&self, known: &[&'a str]) -> Result<&'a str, DocumentError> {
        let allowed = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let found = self.value()?.get("schema").cloned();
        match found {
            Some(serde_json::Value::String(found)) => {
                if let Some(name) = known.iter().find(|name| **name == found) {
                    return Ok(name);
                }
                let kind = |name: &str| name.rsplit_once('/').map(|(kind, _)| kind.to_owned());
                let same_kind = known.iter().any(|name| kind(name) == kind(&found));
                let error = self
                    .error_at("schema", if same_kind { "unknown version" } else { "another kind of file" });
                Err(error.code("schema-unknown").found(format!("`{found}`")).allowed(allowed).maybe_hint(
                    if same_kind {
                        Some(
                            "the file was written by another version of slimfit; these are the versions read"
                                .to_owned(),
                        )
                    } else {
                        suggestion(&found, known.iter().copied())
                    },
                ))
            }
            Some(other) => Err(self
                .error_at("schema", "wrong type")
                .code("schema-unknown")
                .found(format!("`{other}`"))
                .allowed(allowed)),
            None => Err(self
                .error_at("schema", "missing field `schema`")
                .code("schema-missing")
                .allowed(&allowed)
                .hint(format!(
                    "add the line `schema: {}` at the top",
                    known.first().copied().unwrap_or_default()
                ))),
        }
    }

    /// The document as a tree of values.
    ///
    /// # Errors
    /// When the document holds what JSON cannot say.
    pub fn value(&self) -> Result<serde_json::Value, DocumentError> {
        self.parse()
    }

    /// Reads the document into a type.
    ///
    /// # Errors
    /// Unknown fields (where the type denies them), missing fields, wrong types, unknown variants: each with its place.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        match self.syntax {
            Syntax::Json => {
                let mut deserializer = serde_json::Deserializer::from_str(&self.text);
                serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
                    let inner = error.inner();
                    let fallback =
                        (inner.line() > 0).then_some((inner.line() as u64, inner.column().max(1) as u64));
                    explain(self, error.path(), &inner.to_string(), fallback)
                })
            }
            Syntax::Yaml => {
                let deserializer = serde_yaml::Deserializer::from_str(&self.text);
                serde_path_to_error::deserialize(deserializer).map_err(|error| {
                    let inner = error.inner();
                    let fallback = inner.location().map(|place| (place.line() as u64, place.column() as u64));
                    explain(self, error.path(), &inner.to_string(), fallback)
                })
            }
        }
    }

    /// An error about the value at `field` (`axes.hidden[2]`), for what only the reader's own rules can refuse. The place
    /// is that of the field, or of its nearest parent in the file; the code is `invalid` until another is set.
    pub fn error_at(&self, field: &str, message: impl Into<String>) -> DocumentError {
        let place = self.root.find(&path::parse(field));
        let error = DocumentError::new("invalid", message).file(&self.origin).at(place.line, place.column);
        if field.is_empty() { error } else { error.field(field) }
    }
}

/// Reads a text file of at most [`MAXIMUM_BYTES`] that is no document: a table, a sample of text.
///
/// # Errors
/// When the file is missing, unreadable, too large or not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> Result<String, DocumentError> {
    let path = path.as_ref();
    let origin = path.display().to_string();
    let bytes = read_bytes(path).map_err(|error| error.file(&origin))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        let start = valid.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let column = String::from_utf8_lossy(&valid[start..]).chars().count() as u64 + 1;
        DocumentError::new("not-utf8", "not a UTF-8 text file").file(&origin).at(line, column)
    })
}

fn too_large(bytes: u64) -> DocumentError {
    DocumentError::new("file-too-large", "the file is too large")
        .found(format!("{bytes} bytes"))
        .allowed(format!("{MAXIMUM_BYTES} bytes"))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, DocumentError> {
    let fail = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => DocumentError::new("file-missing", "no such file").maybe_hint(near_file(path)),
        ErrorKind::PermissionDenied => DocumentError::new("file-unreadable", "the file may not be read")
            .hint("check its owner and permissions with `ls -l`"),
        _ => DocumentError::new("file-unreadable", format!("the file cannot be read: {error}")),
    };
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err(DocumentError::new("file-unreadable", "this is a folder, not a file"));
    }
    if metadata.len() > MAXIMUM_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // Pipes state no length: read one byte past the limit to notice.
    file.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MAXIMUM_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// A file of a similar name in the same folder.
fn near_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = match std::fs::read_dir(folder) {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).take(1000).collect()
        }
        Err(_) => return Some(format!("the folder `{}` does not exist either", folder.display())),
    };
    suggestion(name, names.iter().map(String::as_str))
}
