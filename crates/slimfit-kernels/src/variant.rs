//! One implementation of an operation, and how the one to run is chosen.

use crate::Isa;

/// An implementation of an operation for one tier. `F` is a pointer to a function that takes the operation's
/// arguments and a [`Part`](crate::Part).
#[derive(Debug, Clone, Copy)]
pub struct Variant<F> {
    /// Name in tables, logs, profiles and reports: `operation[-format]-tier`.
    pub name: &'static str,
    /// The tier whose features the function relies on.
    pub isa: Isa,
    /// The function. Calling it is sound where the tier is available.
    pub function: F,
}

/// The richest variant that runs here under a cap. Every table has a scalar one.
pub(crate) fn richest<F: Copy>(table: &[Variant<F>], cap: Isa) -> Variant<F> {
    *table
        .iter()
        .filter(|variant| variant.isa <= cap && variant.isa.is_available())
        .max_by_key(|variant| variant.isa)
        .expect("every table has a scalar variant")
}
