//! One test of a whole model, as `llama-bench` has them: a prompt, or tokens one by one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Tokens that one decode run generates.
pub const GENERATED: u64 = 32;

/// One test of a whole model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Test {
    /// A prompt from an empty cache.
    Prefill {
        /// Its tokens.
        tokens: u64,
    },
    /// Tokens one by one.
    Decode {
        /// Tokens in the cache before them.
        depth: u64,
    },
}

impl Test {
    /// Tokens that the cache must hold.
    pub const fn context(self) -> u64 {
        match self {
            Self::Prefill { tokens } => tokens,
            Self::Decode { depth } => depth + GENERATED,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefill { tokens } => write!(f, "p{tokens}"),
            Self::Decode { depth } => write!(f, "d{depth}"),
        }
    }
}

impl FromStr for Test {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no test; pN is a prompt of N tokens, dN decoding after N tokens");
        let (kind, number) = text.split_at_checked(1).ok_or_else(bad)?;
        let number: u64 = number.parse().map_err(|_| bad())?;
        match kind {
            "p" if number > 0 => Ok(Self::Prefill { tokens: number }),
            "d" => Ok(Self::Decode { depth: number }),
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Test {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Test> for String {
    fn from(test: Test) -> Self {
        test.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_written_as_they_are_read() {
        for text in ["p128", "d0", "d1024"] {
            assert_eq!(text.parse::<Test>().unwrap().to_string(), text);
        }
        for text in ["", "p", "p0", "x1", "d-1", "é"] {
            assert!(text.parse::<Test>().unwrap_err().contains("no test"), "{text}");
        }
    }
}
