//! The line that an evaluator reads for a point. `evaluators/README.md` says what each field means.

use serde::Serialize;
use serde_json::{Value, json};
use slimfit_arch::Architecture;
use slimfit_formats::ARCHITECTURE_SCHEMA;
use slimfit_quantity::NumberFormat;
use slimfit_search::{Invalid, Metric, Point, Space};

/// A point that is to be measured.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Its number in the space.
    pub(super) index: u64,
    pub(super) id: String,
    pub(super) point: Point,
    /// What it chooses of each axis.
    axes: Value,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    measures: Vec<&'static str>,
    architecture: Written<'a>,
    weights: NumberFormat,
    kv: NumberFormat,
    axes: &'a Value,
}

/// An architecture as a file of its own would hold it.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    #[serde(flatten)]
    architecture: &'a Architecture,
}

impl Asked {
    pub(super) fn new(space: &Space, index: u64) -> Result<Self, Invalid> {
        let point = space.point(index)?;
        let id = point.architecture.id(point.weights, point.kv);
        let axes = axes(space, index)?;
        Ok(Self { index, id, point, axes })
    }

    pub(super) fn line(&self, measures: &[Metric]) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Line {
            id: &self.id,
            measures: measures.iter().map(|metric| metric.name()).collect(),
            architecture: Written { schema: ARCHITECTURE_SCHEMA, architecture: &self.point.architecture },
            weights: self.point.weights,
            kv: self.point.kv,
            axes: &self.axes,
        })
    }
}

/// The values of a point's axes by the names that space files give them.
fn axes(space: &Space, index: u64) -> Result<Value, Invalid> {
    let block = space.block(index / space.inner_size())?;
    let inner = space.inner(index % space.inner_size());
    let (experts, top_k) = block.experts.map_or((1, 1), |experts| (experts.count, experts.top_k));
    Ok(json!({
        "layers": space.depths()[inner.layers],
        "hidden_size": block.hidden_size,
        "heads": block.heads,
        "kv_heads": block.kv_heads,
        "head_size": block.head_size,
        "ffn": block.ffn,
        "gated": block.gated,
        "experts": experts,
        "top_k": top_k,
        "window": block.window.map(|window| json!({ "size": window.size, "full_every": window.full_every })),
        "vocabulary_size": space.vocabularies()[inner.vocabulary],
        "tied_embeddings": space.tyings()[inner.tied],
        "weights": space.weights()[inner.weights],
        "kv": space.kv()[inner.kv],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_the_page_says() {
        let space = Space::load("slm-demo", &[]).unwrap();
        let index = (0..space.size()).find(|index| space.point(*index).is_ok()).unwrap();
        let line = Asked::new(&space, index).unwrap().line(&[Metric::Loss]).unwrap();
        assert!(!line.contains('\n'));
        let object: Value = serde_json::from_str(&line).unwrap();
        let page = include_str!("../../evaluators/README.md");
        for name in object.as_object().unwrap().keys().chain(object["axes"].as_object().unwrap().keys()) {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        // The architecture is one that every command reads.
        let architecture: Architecture = {
            let mut fields = object["architecture"].clone();
            assert_eq!(fields.as_object_mut().unwrap().remove("schema").unwrap(), ARCHITECTURE_SCHEMA);
            serde_json::from_value(fields).unwrap()
        };
        let point = space.point(index).unwrap();
        assert_eq!(architecture, point.architecture);
        assert_eq!(object["id"], point.architecture.id(point.weights, point.kv));
        assert_eq!(object["axes"]["layers"], point.architecture.depth());
        assert_eq!(object["measures"], json!(["loss"]));
    }
}
