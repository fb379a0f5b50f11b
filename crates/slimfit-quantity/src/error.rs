//! What can go wrong when a quantity is read or counted.

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// A size, time or count that does not parse.
    #[error("`{found}` is not a {what}; write it like {example}")]
    Unparsable {
        /// What was expected: "size", "time", "count".
        what: &'static str,
        /// The text found.
        found: String,
        /// Two or three right examples.
        example: &'static str,
    },
    /// A number format that is not known.
    #[error("number format `{found}` is not known; known are {allowed}")]
    UnknownFormat {
        /// The text found.
        found: String,
        /// All names, comma-separated.
        allowed: String,
    },
    /// A row whose length is no multiple of the format's block.
    #[error("{values} values are not a whole number of {format} blocks of {block}")]
    PartialBlock {
        /// How many values.
        values: u64,
        /// The format's name.
        format: &'static str,
        /// Values per block.
        block: u64,
    },
    /// A count that does not fit 64 bits.
    #[error("{what} overflows 64 bits")]
    Overflow {
        /// What was counted.
        what: &'static str,
    },
}
