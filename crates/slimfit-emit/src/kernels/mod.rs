//! A crate of its own for one model on one device: the kernels of its shapes, its step, a C interface, tests and a benchmark.
//!
//! Everything that does not depend on the model is copied: the kernels from `slimfit-kernels`, which exports its own sources,
//! the rest from `template/`. What depends on it is written here: `model.rs` from the plan, `matmul/products.rs` from the
//! shapes and what the tuner chose for them.

mod blocks;
mod calls;
mod manifest;
mod model;
mod names;
mod products;
mod readme;
mod text;

use crate::EmitError;
use crate::card::CardFacts;
use model::ModelText;
use slimfit_arch::Architecture;
use slimfit_kernels::{Isa, Tuning, WeightFormat, sources};
use slimfit_plan::Plan;

/// What a crate of kernels is written from.
#[derive(Debug, Clone, Copy)]
pub struct KernelCrate<'a> {
    /// The point's name or id: the crate is named after it.
    pub name: &'a str,
    /// What people call the model.
    pub title: &'a str,
    /// The model.
    pub architecture: &'a Architecture,
    /// Its plan: formats, threads, context.
    pub plan: &'a Plan,
    /// The instructions of the device.
    pub tier: Isa,
    /// What was found fastest there.
    pub tuning: &'a Tuning,
    /// The `general.architecture` of the GGUF files that it reads.
    pub family: &'a str,
    /// The device, in words.
    pub device: &'a str,
    /// What was measured and predicted of it.
    pub facts: &'a CardFacts,
    /// The command that writes it again.
    pub command: &'a str,
}

/// A file of the crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedFile {
    /// Its place in the crate's folder.
    pub path: String,
    /// What it says.
    pub text: String,
    /// Whether it is the same for every model of these formats on this tier.
    pub shared: bool,
}

/// The files that stand for themselves, with their places.
const TEMPLATES: [(&str, &str); 8] = [
    ("src/failure.rs", include_str!("template/failure.rs")),
    ("src/ffi.rs", include_str!("template/ffi.rs")),
    ("src/gguf.rs", include_str!("template/gguf.rs")),
    ("src/run.rs", include_str!("template/run.rs")),
    ("src/session.rs", include_str!("template/session.rs")),
    ("src/weights.rs", include_str!("template/weights.rs")),
    ("src/matmul/products_tests.rs", include_str!("template/products_tests.rs")),
    ("tests/model.rs", include_str!("template/model_test.rs")),
];

impl KernelCrate<'_> {
    /// Every file, in the order of their paths.
    ///
    /// # Errors
    /// The name has no letter, or a fault of this program.
    pub fn files(&self) -> Result<Vec<EmittedFile>, EmitError> {
        // It stands in comments, strings and a manifest, and must end none of them.
        let title = text::one_line(self.title);
        KernelCrate { title: &title, ..*self }.rendered()
    }

    fn rendered(&self) -> Result<Vec<EmittedFile>, EmitError> {
        let name = self.crate_name()?;
        let tier = self.tier;
        let tiers = [tier, Isa::Portable, Isa::Scalar];
        let formats: Vec<WeightFormat> =
            self.plan.matrices.iter().map(|slot| names::format_of(slot.format)).collect();
        let mut files: Vec<EmittedFile> = Vec::new();
        let mut add = |path: &str, text: String, shared: bool| {
            files.push(EmittedFile { path: path.to_owned(), text, shared });
        };
        for source in sources(&tiers, &formats) {
            let text =
                if source.path == "matmul/mod.rs" { with_products(&source.text)? } else { source.text };
            add(&format!("src/{}", source.path), text, true);
        }
        for (path, text) in TEMPLATES {
            let filled = self.filled(text, &name);
            let shared = filled == text;
            add(path, filled, shared);
        }
        let model = ModelText {
            architecture: self.architecture,
            plan: self.plan,
            family: self.family,
            tier,
            title: self.title,
        };
        add("rustfmt.toml", "max_width = 110\nuse_small_heuristics = \"Max\"\n".to_owned(), false);
        add("Cargo.toml", manifest::cargo(&name, self.title), false);
        add(".gitignore", "/target\n".to_owned(), false);
        add("README.md", readme::text(self, &name), false);
        add("benches/roofline.rs", self.filled(include_str!("template/roofline.rs"), &name), false);
        add(&format!("include/{name}.h"), self.filled(include_str!("template/interface.h"), &name), false);
        add("src/lib.rs", manifest::lib(self.title, self.plan), false);
        add("src/model.rs", model.render()?, false);
        add("src/matmul/products.rs", products::text(self.plan, self.tier, self.tuning)?, false);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// The crate's name: letters, digits and underscores.
    ///
    /// # Errors
    /// The point's name has neither a letter nor a digit of ASCII.
    pub fn crate_name(&self) -> Result<String, EmitError> {
        let letters: String = self
            .name
            .to_lowercase()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
            .collect();
        let trimmed = letters.trim_matches('_');
        if trimmed.is_empty() {
            return Err(EmitError::Unnameable(self.name.to_owned()));
        }
        // No number first, and no word that Rust or C keep for themselves.
        Ok(format!("kernels_{trimmed}"))
    }

    fn filled(&self, template: &str, name: &str) -> String {
        let tolerance = if self.plan.options.weights.block_values() == 1 { "1e-4" } else { "2e-2" };
        let tolerance = if self.tier.rounds_activations() { "5e-2" } else { tolerance };
        let filled = template
            .replace("NAME", name)
            .replace("GUARD", &name.to_uppercase())
            .replace("CRATE", name)
            .replace("TOLERANCE", tolerance)
            .replace("THREADS", &self.plan.options.threads.to_string())
            // Last: whatever words it has are the user's.
            .replace("TITLE", self.title);
        text::with_broken_signatures(&filled)
    }
}

/// Declares the module that takes the place of the library's table.
fn with_products(text: &str) -> Result<String, EmitError> {
    let before = "pub(crate) mod scalar;\n";
    if !text.contains(before) {
        return Err(EmitError::Internal("the products have another neighbour in the kernels' sources"));
    }
    Ok(text.replacen(before, &format!("pub(crate) mod products;\n{before}"), 1))
}
