//! `--portable`: the loaders that every point of a space must be held by.

use crate::failure::Failure;
use slimfit_document::{DocumentError, suggestion};
use slimfit_formats::Loader;
use slimfit_search::Space;

const FLAG: &str = "--portable";
const NONE: &str = "none";

/// Which loaders must hold every point.
#[derive(Debug, clap::Args)]
pub struct PortableArgument {
    /// Keep only points that these load without code of their own: `hf` (a class of the transformers library),
    /// `llama.cpp` (an architecture of it), or `none` for stranger shapes; what the space file says unless given, and
    /// both where it says nothing.
    #[arg(long, value_name = "LOADERS", value_delimiter = ',')]
    portable: Vec<String>,
}

impl PortableArgument {
    /// The space, held to the loaders that were given.
    pub fn applied(&self, space: Space) -> Result<Space, Failure> {
        if self.portable.is_empty() {
            return Ok(space);
        }
        Ok(space.held_by(loaders(&self.portable)?)?)
    }
}

fn loaders(names: &[String]) -> Result<Vec<Loader>, DocumentError> {
    let wrong = |message: &str, found: &str| {
        DocumentError::new("usage", message).field(FLAG).found(format!("`{found}`"))
    };
    if names.len() > 1 && names.iter().any(|name| name == NONE) {
        return Err(wrong("`none` stands alone", &names.join(",")).allowed("`none`, or loaders"));
    }
    if names == [NONE] {
        return Ok(Vec::new());
    }
    let mut loaders = Vec::new();
    for name in names {
        let Some(loader) = Loader::named(name) else {
            let known = || Loader::ALL.map(Loader::name).into_iter().chain([NONE]);
            let allowed = known().collect::<Vec<_>>().join(", ");
            return Err(wrong("unknown loader", name).allowed(allowed).maybe_hint(suggestion(name, known())));
        };
        if loaders.contains(&loader) {
            return Err(wrong("the loader stands twice", name).allowed("each loader once"));
        }
        loaders.push(loader);
    }
    Ok(loaders)
}
