//! The text of this crate's own files: a crate that runs one model is made of them, so that there is one truth.
//!
//! What is exported is what an operation consists of and what runs it. The *adapters*, which speak of number formats and
//! plans, and the choice between implementations stay here: such a crate binds and chooses when it is written. Exported
//! files import nothing but the standard library and `half`, `libc`, `thiserror` and `wide`.

use crate::Isa;
use crate::matmul::WeightFormat;
use std::collections::BTreeSet;
use std::path::Path;

/// A file of a crate of kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its place below `src`.
    pub path: &'static str,
    /// What it says.
    pub text: String,
}

/// Paragraphs of a file that begin with this line are not exported.
const LEFT_OUT: &str = "// Left out where a model has products of its own.";

/// Declares [`ALL`].
macro_rules! files {
    ($($path:literal,)+) => {
        /// Every exported file as it stands here: its place and its text.
        const ALL: &[(&str, &str)] = &[$(($path, include_str!($path)),)+];
    };
}

files! {
    "activate/mod.rs",
    "activate/scalar.rs",
    "activate/vectorised.rs",
    "add/mod.rs",
    "add/scalar.rs",
    "add/vectorised.rs",
    "attend/cached.rs",
    "attend/decode/ahead.rs",
    "attend/decode/mod.rs",
    "attend/decode/score.rs",
    "attend/decode/softmax.rs",
    "attend/decode/values.rs",
    "attend/mod.rs",
    "attend/prefill.rs",
    "attend/product.rs",
    "attend/scalar.rs",
    "attend/vectorised.rs",
    "cache.rs",
    "codec/activation.rs",
    "codec/float.rs",
    "codec/mod.rs",
    "codec/q4_0.rs",
    "codec/q4_k.rs",
    "codec/q6_k.rs",
    "codec/q8_0.rs",
    "cuts.rs",
    "embed/mod.rs",
    "embed/scalar.rs",
    "embed/vectorised.rs",
    "error.rs",
    "experts/grouped.rs",
    "experts/mod.rs",
    "experts/scalar.rs",
    "isa.rs",
    "kv.rs",
    "limits/buffer.rs",
    "limits/chase.rs",
    "limits/clock.rs",
    "limits/mod.rs",
    "limits/peak.rs",
    "limits/peak/neon.rs",
    "limits/peak/portable.rs",
    "limits/peak/x86.rs",
    "limits/stream.rs",
    "limits/stream/portable.rs",
    "limits/stream/read_x86.rs",
    "limits/stream/x86.rs",
    "matmul/avx2/float.rs",
    "matmul/avx2/float_panels.rs",
    "matmul/avx2/half.rs",
    "matmul/avx2/k_quants.rs",
    "matmul/avx2/k_quants/q4.rs",
    "matmul/avx2/k_quants/q6.rs",
    "matmul/avx2/lanes.rs",
    "matmul/avx2/mod.rs",
    "matmul/avx2/panels.rs",
    "matmul/avx2/quantised.rs",
    "matmul/avx2/transpose.rs",
    "matmul/avx512/float.rs",
    "matmul/avx512/half.rs",
    "matmul/avx512/k_quants.rs",
    "matmul/avx512/k_quants/q4.rs",
    "matmul/avx512/k_quants/q6.rs",
    "matmul/avx512/lanes.rs",
    "matmul/avx512/mod.rs",
    "matmul/avx512/quantised.rs",
    "matmul/avx_vnni.rs",
    "matmul/fetch.rs",
    "matmul/k_layout.rs",
    "matmul/layout.rs",
    "matmul/mod.rs",
    "matmul/neon/float.rs",
    "matmul/neon/k_quants.rs",
    "matmul/neon/mod.rs",
    "matmul/neon/multiply.rs",
    "matmul/neon/quantised.rs",
    "matmul/neon/rounded.rs",
    "matmul/portable.rs",
    "matmul/scalar.rs",
    "matmul/shape.rs",
    "matmul/tiles.rs",
    "memory.rs",
    "norm/mod.rs",
    "norm/scalar.rs",
    "norm/vectorised.rs",
    "pool.rs",
    "pool/affinity.rs",
    "pool/barrier.rs",
    "pool/claims.rs",
    "pool/neighbours.rs",
    "pool/sharing.rs",
    "rotate_store/mod.rs",
    "rotate_store/rotation.rs",
    "rotate_store/scalar.rs",
    "rotate_store/vectorised.rs",
    "route/mod.rs",
    "route/scalar.rs",
    "route/vectorised.rs",
    "shared.rs",
    "variant.rs",
    "vector/avx2.rs",
    "vector/avx512.rs",
    "vector/elementary.rs",
    "vector/mod.rs",
    "vector/neon.rs",
    "vector/portable.rs",
    "vector/rows.rs",
}

/// The files that a crate needs whose products are for these tiers and formats: without tests, and without the modules of
/// other tiers and formats. Whatever is not a product keeps all tiers of the architecture of `tiers`.
pub fn sources(tiers: &[Isa], formats: &[WeightFormat]) -> Vec<SourceFile> {
    let wanted: BTreeSet<&str> =
        ALL.iter().map(|(path, _)| *path).filter(|path| is_wanted(path, tiers, formats)).collect();
    let chosen = ALL.iter().filter(|(path, _)| wanted.contains(path));
    chosen.map(|&(path, text)| SourceFile { path, text: exported(path, text, &wanted) }).collect()
}

fn is_wanted(path: &str, tiers: &[Isa], formats: &[WeightFormat]) -> bool {
    let has = |isa: &[Isa]| tiers.iter().any(|tier| isa.contains(tier));
    let avx512 = has(&[Isa::Avx512, Isa::Avx512Bf16]);
    let x86 = avx512 || has(&[Isa::Avx2, Isa::AvxVnni]);
    let arm = has(&[Isa::Neon, Isa::NeonDotprod, Isa::NeonI8mm, Isa::NeonBf16]);
    let file = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let of_arm = path.split(['/', '.']).any(|part| part == "neon");
    let of_x86 = path.split(['/', '.']).any(|part| part.starts_with("avx") || part.ends_with("x86"));
    if (of_arm && !arm) || (of_x86 && !x86) || (file == "fetch" && !x86) {
        return false;
    }
    let Some(product) = path.strip_prefix("matmul/") else { return true };
    // What the richer tiers of x86-64 take from the plainer one.
    let shared = matches!(file, "lanes" | "transpose" | "mod");
    let tier = match product.split(['/', '.']).next() {
        Some("avx2") => shared || has(&[Isa::Avx2]),
        Some("avx512") => avx512,
        Some("avx_vnni") => has(&[Isa::AvxVnni]),
        _ => return true,
    };
    tier && (shared || product == "avx_vnni.rs" || is_of_formats(product, formats))
}

/// Whether a file of a tier of x86-64 serves one of these formats.
fn is_of_formats(product: &str, formats: &[WeightFormat]) -> bool {
    use WeightFormat::{Bf16, F16, F32, Q4_0, Q4K, Q6K, Q8_0};
    let serves: &[WeightFormat] = match product.split(['/', '.']).nth(1) {
        Some("float" | "float_panels") => &[F32, Bf16],
        Some("half") => &[F16],
        Some("quantised" | "panels") => &[Q8_0, Q4_0],
        Some("k_quants") => &[Q4K, Q6K],
        _ => &WeightFormat::ALL,
    };
    formats.iter().any(|format| serves.contains(format))
}

/// A file without its tests, what is marked as left out, and the modules that are not exported with it.
fn exported(path: &str, text: &str, wanted: &BTreeSet<&str>) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == LEFT_OUT {
            // To the end of the paragraph, its blank line included.
            for rest in lines.by_ref() {
                if rest.is_empty() {
                    break;
                }
            }
            continue;
        }
        if line == "#[cfg(test)]" {
            match lines.peek() {
                Some(next) if next.ends_with(';') => drop(lines.next()),
                // Tests of a file stand at its end.
                _ => break,
            }
            continue;
        }
        if let Some(module) = declared_module(line)
            && !module_files(path, module).iter().any(|file| wanted.contains(file.as_str()))
        {
            while kept.last().is_some_and(|before| before.starts_with("#[")) {
                kept.pop();
            }
            continue;
        }
        kept.push(line);
    }
    while kept.last().is_some_and(|line| line.is_empty()) {
        kept.pop();
    }
    let mut text = kept.join("\n");
    text.push('\n');
    text
}

/// The name of a module that lies in a file of its own.
fn declared_module(line: &str) -> Option<&str> {
    let (visibility, name) = line.strip_suffix(';')?.split_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
}

/// Where the file of a module may lie that `path` declares.
fn module_files(path: &str, module: &str) -> [String; 2] {
    let folder = match path.strip_suffix("/mod.rs") {
        Some(folder) => folder,
        None => path.trim_end_matches(".rs"),
    };
    [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that are not exported, with the reason.
    const KEPT: &[(&str, &str)] = &[
        ("dispatch.rs", "chooses when it runs"),
        ("invocation.rs", "adapter"),
        ("lib.rs", "the crate itself"),
        ("matmul/table.rs", "a model names its own products"),
        ("matmul/variants.rs", "chooses when it runs"),
        ("operation.rs", "adapter"),
        ("packed.rs", "adapter"),
        ("pieces.rs", "adapter"),
        ("sources.rs", "this list"),
    ];

    fn files_below(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn every_file_is_exported_or_kept_for_a_reason() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        files_below(&root, &root, &mut found);
        for file in &found {
            let exported = ALL.iter().any(|(path, _)| path == file);
            let kept = KEPT.iter().any(|(path, _)| path == file)
                || file.starts_with("tuner/")
                || file.ends_with("tests.rs");
            assert!(exported != kept, "`{file}`: exported {exported}, kept {kept}");
        }
        assert!(ALL.iter().all(|(path, _)| found.iter().any(|file| file == path)));
    }

    #[test]
    fn exported_files_know_no_other_crate_and_no_adapter() {
        for tier in Isa::ALL {
            for file in sources(&[tier, Isa::Portable], &WeightFormat::ALL) {
                for foreign in ["slimfit_", "cfg(test)", LEFT_OUT, "crate::operation", "crate::packed"] {
                    let code = file.text.lines().filter(|line| !line.trim_start().starts_with("//"));
                    assert!(!code.clone().any(|line| line.contains(foreign)), "{}: {foreign}", file.path);
                }
            }
        }
    }

    #[test]
    fn other_tiers_and_formats_are_left_out_with_their_declarations() {
        let files = sources(&[Isa::Avx512, Isa::Portable], &[WeightFormat::Q4_0]);
        let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
        assert!(text("matmul/avx512/quantised.rs").is_some() && text("matmul/avx512/float.rs").is_none());
        assert!(text("matmul/avx2/transpose.rs").is_some() && text("matmul/avx2/quantised.rs").is_none());
        let products = text("matmul/avx512/mod.rs").unwrap();
        assert!(products.contains("mod quantised;") && !products.contains("mod float;"), "{products}");
        let products = text("matmul/mod.rs").unwrap();
        for absent in ["mod neon;", "mod avx_vnni;", "table::", "variants::"] {
            assert!(!products.contains(absent), "{absent}");
        }
        assert!(
            !products.contains("#[cfg(target_arch = \"aarch64\")]\n\n"),
            "an attribute without its module"
        );
    }
}
