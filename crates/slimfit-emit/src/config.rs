//! The files of a model without weights: its Hugging Face config, and the architecture in slimfit's own form.

use crate::rendered::RenderedFile;
use crate::{EmitError, huggingface};
use slimfit_arch::Architecture;
use slimfit_document::WrittenFile;
use slimfit_formats::architecture_json;
use std::path::Path;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// The point's name in errors: its id or a pick.
    pub name: String,
    /// What it is.
    pub architecture: Architecture,
    /// Positions the config promises (`max_position_embeddings`).
    pub context: u64,
}

/// Writes `config.json`, `generation_config.json` and `architecture.json` into `folder`, which must be empty or not
/// exist; and `modeling_slimfit.py` where no standard class holds the architecture.
///
/// # Errors
/// When the folder is not empty or cannot be written. Everything is rendered before the first file is written, so
/// nothing is left half-done.
pub fn emit_config(emission: &Emission, folder: &Path) -> Result<Vec<WrittenFile>, EmitError> {
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmitError::NotEmpty(folder.to_owned()));
    }
    let mut files = huggingface::files(emission)?;
    let own = architecture_json(&emission.architecture);
    files.push(RenderedFile::json("architecture.json", "slimfit-architecture", &own)?);
    files.iter().map(|file| file.write(folder).map_err(EmitError::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_arch::Loops;

    fn names(architecture: &Architecture, folder: &Path) -> Vec<String> {
        let emission = Emission { name: "pick".into(), architecture: architecture.clone(), context: 512 };
        let written = emit_config(&emission, folder).unwrap();
        let name = |file: WrittenFile| file.path.rsplit('/').next().unwrap_or_default().to_owned();
        written.into_iter().map(name).collect()
    }

    #[test]
    fn code_is_written_only_where_no_standard_class_holds_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let smollm = slimfit_formats::builtin::find("smollm2-135m").unwrap().architecture.clone();
        let standard = folder.path().join("standard");
        let plain = ["config.json", "generation_config.json", "architecture.json"];
        assert_eq!(names(&smollm, &standard), plain);
        let loops = Some(Loops { first: 0, layers: 30, count: 2, immediate: false });
        let looped = Architecture { loops, ..smollm.clone() };
        let own = folder.path().join("own");
        assert_eq!(names(&looped, &own).len(), 4);
        let code = std::fs::read_to_string(own.join("modeling_slimfit.py")).unwrap();
        assert_eq!(code, crate::MODELING_SLIMFIT);
        for (folder, right) in [(&standard, &smollm), (&own, &looped)] {
            for file in ["config.json", "architecture.json"] {
                let model = slimfit_formats::load_model(folder.join(file).to_str().unwrap()).unwrap();
                assert_eq!(model.architecture.normalised(), right.normalised(), "{file}");
            }
        }
        let emission = Emission { name: "pick".into(), architecture: looped, context: 512 };
        assert!(matches!(emit_config(&emission, &own), Err(EmitError::NotEmpty(_))));
    }
}
