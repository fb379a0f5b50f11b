//! The typed values of GGUF metadata.

use super::cursor::Cursor;
use crate::FormatsError;

/// A metadata value. Long lists (vocabularies) are skipped over and only counted.
#[derive(Debug, Clone, PartialEq)]
pub enum GgufValue {
    /// Any unsigned or signed integer that is not negative.
    Unsigned(u64),
    /// A negative integer.
    Negative(i64),
    /// A float of either width.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// A short list of numbers or truth values.
    List(Vec<GgufValue>),
    /// A list that was not kept, with its length.
    Skipped(u64),
}

/// Lists up to this length are kept: one value for each layer or each rotated pair.
const KEPT: usize = 1 << 16;

impl GgufValue {
    pub(super) fn read(cursor: &mut Cursor, what: &str) -> Result<Self, FormatsError> {
        let kind = cursor.u32(what)?;
        if kind != 9 {
            return Self::scalar(cursor, kind, what);
        }
        let kind = cursor.u32(what)?;
        let count = cursor.count(smallest(cursor, kind, what)?, what)?;
        if kind == 8 {
            for _ in 0..count {
                cursor.text(what)?;
            }
            return Ok(Self::Skipped(count as u64));
        }
        if count > KEPT {
            let bytes = count * smallest(cursor, kind, what)?;
            cursor.take(bytes, what)?;
            return Ok(Self::Skipped(count as u64));
        }
        (0..count).map(|_| Self::scalar(cursor, kind, what)).collect::<Result<_, _>>().map(Self::List)
    }

    fn scalar(cursor: &mut Cursor, kind: u32, what: &str) -> Result<Self, FormatsError> {
        let signed = |value: i64| match u64::try_from(value) {
            Ok(value) => Self::Unsigned(value),
            Err(_) => Self::Negative(value),
        };
        Ok(match kind {
            0 => Self::Unsigned(cursor.byte(what)?.into()),
            1 => signed(i64::from(cursor.byte(what)?.cast_signed())),
            2 => Self::Unsigned(cursor.u16(what)?.into()),
            3 => signed(i64::from(cursor.u16(what)?.cast_signed())),
            4 => Self::Unsigned(cursor.u32(what)?.into()),
            5 => signed(i64::from(cursor.u32(what)?.cast_signed())),
            6 => Self::Float(f32::from_bits(cursor.u32(what)?).into()),
            7 => match cursor.byte(what)? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                other => return Err(cursor.error(format!("{what} is {other}, and a truth value is 0 or 1"))),
            },
            8 => Self::Text(cursor.text(what)?.to_owned()),
            10 => Self::Unsigned(cursor.u64(what)?),
            11 => signed(cursor.u64(what)?.cast_signed()),
            12 => Self::Float(f64::from_bits(cursor.u64(what)?)),
            9 => return Err(cursor.error(format!("{what} is a list of lists, which is not supported"))),
            other => return Err(cursor.error(format!("{what} has the unknown type {other}"))),
        })
    }

    /// A whole number that is not negative.
    pub fn as_size(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            _ => None,
        }
    }

    /// Any number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Unsigned(value) => Some(*value as f64),
            Self::Negative(value) => Some(*value as f64),
            _ => None,
        }
    }
}

/// Bytes of the smallest value of a type.
fn smallest(cursor: &Cursor, kind: u32, what: &str) -> Result<usize, FormatsError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        8 | 10..=12 => Ok(8),
        9 => Err(cursor.error(format!("{what} is a list of lists, which is not supported"))),
        other => Err(cursor.error(format!("{what} is a list of the unknown type {other}"))),
    }
}
