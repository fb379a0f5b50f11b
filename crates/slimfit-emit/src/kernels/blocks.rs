//! The layers of a plan, sorted into kinds that share code.

use super::calls::{self, Code};
use super::names;
use super::text::grouped;
use slimfit_arch::Architecture;
use slimfit_plan::{Plan, Step};

/// A field of the weights of a layer, or of what stands outside the layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) kind: String,
    /// What it is.
    pub(super) documentation: String,
    /// Which matrix or vector of the plan it is.
    pub(super) slot: Slot,
}

/// An index into a plan's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A matrix.
    Matrix(usize),
    /// A vector.
    Vector(usize),
}

/// Layers that run the same code.
#[derive(Debug)]
pub(super) struct Kind {
    /// `Layer`, or `LayerA`, `LayerB`, … where there are several kinds.
    pub(super) name: String,
    /// Its weights' fields, of the first such layer.
    pub(super) fields: Vec<Field>,
    /// The statements of one pass.
    pub(super) body: String,
    /// The stored layers, first to last.
    pub(super) layers: Vec<u64>,
}

/// One pass through one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// The kind, by place.
    pub(super) kind: usize,
    /// The layer, by its place among those of its kind.
    pub(super) layer: usize,
    /// Its cache.
    pub(super) cache: usize,
}

/// A plan in the order in which it is written down.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) kinds: Vec<Kind>,
    /// Passes, in the order they run.
    pub(super) visits: Vec<Visit>,
    /// Weights outside the layers.
    pub(super) outer: Vec<Field>,
    /// Before the layers.
    pub(super) begin: String,
    /// After them: for the last token only.
    pub(super) end: String,
}

impl Blocks {
    /// Sorts the steps of a plan of `architecture`.
    pub(super) fn of(architecture: &Architecture, plan: &Plan) -> Self {
        let first = plan.steps.iter().position(|step| step.layer.is_some()).unwrap_or(plan.steps.len());
        let last = plan.steps.iter().rposition(|step| step.layer.is_some()).map_or(first, |last| last + 1);
        let (begin, rest) = plan.steps.split_at(first);
        let (inner, end) = rest.split_at(last - first);
        let order = architecture.execution_order();
        let mut passes = Vec::new();
        let mut steps = inner;
        for &layer in &order {
            let of_layer = inner.iter().filter(|step| step.layer == Some(layer)).count();
            let times = order.iter().filter(|other| **other == layer).count();
            let (own, others) = steps.split_at(of_layer / times);
            passes.push((layer, own));
            steps = others;
        }
        let mut kinds: Vec<Kind> = Vec::new();
        let mut visits = Vec::new();
        for (layer, steps) in passes {
            let body = calls::body(plan, steps, Code { owner: "layer", indent: 4 });
            let fields = fields(plan, steps);
            let same = |kind: &Kind| kind.body == body && alike(&kind.fields, &fields);
            let kind = kinds.iter().position(same).unwrap_or(kinds.len());
            if kind == kinds.len() {
                kinds.push(Kind { name: String::new(), fields, body, layers: Vec::new() });
            }
            let known = &mut kinds[kind].layers;
            let place = known.iter().position(|known| *known == layer).unwrap_or(known.len());
            if place == known.len() {
                known.push(layer);
            }
            let cache = steps.iter().find_map(|step| step.kv).unwrap_or(0);
            visits.push(Visit { kind, layer: place, cache });
        }
        let several = kinds.len() > 1;
        for (place, kind) in kinds.iter_mut().enumerate() {
            kind.name = if several { format!("Layer{}", place + 1) } else { "Layer".to_owned() };
        }
        let outer: Vec<Step> = begin.iter().chain(end).cloned().collect();
        Self {
            kinds,
            visits,
            outer: fields_of(plan, outer.iter()),
            begin: calls::body(plan, begin, Code { owner: "run.weights", indent: 4 }),
            end: calls::body(plan, end, Code { owner: "run.weights", indent: 4 }),
        }
    }
}

fn alike(a: &[Field], b: &[Field]) -> bool {
    let shown = |fields: &[Field]| -> Vec<(String, String)> {
        fields.iter().map(|field| (field.name.clone(), field.kind.clone())).collect()
    };
    shown(a) == shown(b)
}

fn fields(plan: &Plan, steps: &[Step]) -> Vec<Field> {
    fields_of(plan, steps.iter())
}

/// The slots that steps use, each once, in the order in which they are met.
fn fields_of<'a>(plan: &Plan, steps: impl Iterator<Item = &'a Step>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for step in steps {
        let matrices = step.matrix.into_iter().chain(step.second_matrix).map(Slot::Matrix);
        let vectors = step.vectors.into_iter().flatten().map(Slot::Vector);
        for slot in matrices.chain(vectors) {
            if fields.iter().all(|field| field.slot != slot) {
                fields.push(field(plan, slot));
            }
        }
    }
    fields
}

fn field(plan: &Plan, slot: Slot) -> Field {
    match slot {
        Slot::Matrix(index) => {
            let matrix = &plan.matrices[index];
            let (rows, columns, count) = (matrix.rows, matrix.columns, matrix.count);
            let format = matrix.format;
            let shape = format!("{} x {} in {format}", grouped(rows), grouped(columns));
            let (kind, documentation) = if count == 1 {
                (names::matrix(rows, columns), format!("{shape}."))
            } else {
                ("Stack".to_owned(), format!("{} times {shape}.", grouped(count)))
            };
            Field { name: matrix.label.to_owned(), kind, documentation, slot }
        }
        Slot::Vector(index) => {
            let vector = &plan.vectors[index];
            Field {
                name: names::vector(vector),
                kind: "Vec<f32>".to_owned(),
                documentation: format!("{} values.", grouped(vector.values)),
                slot,
            }
        }
    }
}
