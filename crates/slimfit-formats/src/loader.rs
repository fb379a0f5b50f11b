//! The programs that a model may have to be loadable by, and whether one of them is.

use crate::config_out::{NoClass, standard_class};
use crate::gguf_out::{NoFamily, gguf_family};
use slimfit_arch::Architecture;
use std::fmt;

/// A program that loads models without code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loader {
    /// The `transformers` library, by one of its classes: see [`standard_class`].
    Transformers,
    /// Upstream llama.cpp, from a GGUF file: see [`gguf_family`].
    LlamaCpp,
}

impl Loader {
    /// Every loader.
    pub const ALL: [Self; 2] = [Self::Transformers, Self::LlamaCpp];

    /// Its name in files and flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transformers => "hf",
            Self::LlamaCpp => "llama.cpp",
        }
    }

    /// The loader of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|loader| loader.name() == name)
    }

    /// Whether it computes a (validated) architecture exactly, whatever the format of its weights.
    ///
    /// # Errors
    /// What comes nearest and what stands in its way.
    pub fn check(self, architecture: &Architecture) -> Result<(), NotHeld> {
        match self {
            Self::Transformers => standard_class(architecture).map(|_| ()).map_err(NotHeld::Class),
            Self::LlamaCpp => gguf_family(architecture).map(|_| ()).map_err(NotHeld::Family),
        }
    }
}

/// Why a loader does not hold a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotHeld {
    /// No class of the `transformers` library does.
    Class(NoClass),
    /// No architecture of llama.cpp does.
    Family(NoFamily),
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(error) => error.fmt(f),
            Self::Family(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotHeld {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    #[test]
    fn loaders_are_found_by_name_and_say_why_not() {
        for loader in Loader::ALL {
            assert_eq!(Loader::named(loader.name()), Some(loader));
        }
        assert_eq!(Loader::named("llama"), None);
        let held = |name: &str| {
            let model = builtin::find(name).unwrap();
            Loader::ALL.map(|loader| loader.check(&model.architecture).err().map(|error| error.to_string()))
        };
        assert_eq!(held("smollm2-135m"), [None, None]);
        // GPT-2 has no class here, but an architecture there.
        let [class, family] = held("gpt2");
        assert!(class.unwrap().contains("no standard Hugging Face class"));
        assert_eq!(family, None);
    }
}
