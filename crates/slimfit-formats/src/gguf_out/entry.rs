//! Metadata entries as bytes.

/// A value of the types that are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unsigned(u32),
    Float(f32),
    Bool(bool),
    Text(String),
    Bools(Vec<bool>),
    Integers(Vec<i32>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
}

/// Numbers of value types in the file.
const UNSIGNED: u32 = 4;
const INTEGER: u32 = 5;
const FLOAT: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;

/// A length and the bytes of a text.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A key, the type of its value, and the value.
pub(super) fn put_entry(bytes: &mut Vec<u8>, key: &str, value: &Value) {
    put_text(bytes, key);
    let mut put = |kind: u32, value: &[u8]| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    };
    match value {
        Value::Unsigned(value) => put(UNSIGNED, &value.to_le_bytes()),
        Value::Float(value) => put(FLOAT, &value.to_le_bytes()),
        Value::Bool(value) => put(BOOL, &[u8::from(*value)]),
        Value::Text(text) => {
            put(TEXT, &[]);
            put_text(bytes, text);
        }
        Value::Bools(values) => {
            put_list(bytes, BOOL, values.len());
            bytes.extend(values.iter().map(|&value| u8::from(value)));
        }
        Value::Integers(values) => {
            put_list(bytes, INTEGER, values.len());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Value::Floats(values) => {
            put_list(bytes, FLOAT, values.len());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Value::Texts(texts) => {
            put_list(bytes, TEXT, texts.len());
            texts.iter().for_each(|text| put_text(bytes, text));
        }
    }
}

/// What begins a list: that it is one, of which type, how long.
fn put_list(bytes: &mut Vec<u8>, kind: u32, count: usize) {
    bytes.extend(LIST.to_le_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes.extend((count as u64).to_le_bytes());
}
