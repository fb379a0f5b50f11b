//! Why a point of a space is not evaluated.

use slimfit_formats::Loader;
use std::borrow::Cow;

/// The reason, as `invalid_by` counts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// A fixed reason.
    pub const fn of(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }

    /// A reason that names something.
    pub fn owned(reason: String) -> Self {
        Self(Cow::Owned(reason))
    }

    /// A loader that points are held to does not hold it.
    pub(crate) const fn by_loader(loader: Loader) -> Self {
        Self::of(match loader {
            Loader::Transformers => "portable: no standard class holds it",
            Loader::LlamaCpp => "portable: llama.cpp has no architecture for it",
        })
    }

    /// Its text.
    pub fn reason(&self) -> &str {
        &self.0
    }
}
