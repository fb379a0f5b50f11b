//! What can be wrong with an architecture.

use slimfit_quantity::NumberFormat;

/// An architecture that cannot exist, or a count of it that cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchitectureError {
    /// A field has an impossible value.
    #[error("`{field}` is {found}; allowed: {allowed}")]
    Field {
        /// The path of the field, such as `layers[0].attention.kv_heads`.
        field: String,
        /// What it holds.
        found: String,
        /// What it may hold.
        allowed: String,
    },
    /// Passes are asked for of a model without looped layers.
    #[error("no layers of the model loop, so `loops` cannot be {count}")]
    NotLooped {
        /// The passes.
        count: u64,
    },
    /// A count does not fit 64 bits.
    #[error("the architecture is too large: {what} overflow 64 bits")]
    Overflow {
        /// What was counted.
        what: &'static str,
    },
    /// A matrix cannot be stored in a block format.
    #[error(
        "`{tensor}` cannot be stored as {format}: its rows have {columns} values, no multiple of the block of {block}"
    )]
    PartialBlock {
        /// The canonical name of the tensor, or `kv_cache`.
        tensor: String,
        /// Values per row.
        columns: u64,
        /// The format asked for.
        format: NumberFormat,
        /// Its values per block.
        block: u64,
    },
}
