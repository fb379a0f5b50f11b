//! `model.rs` of an emitted crate: sizes, weights, and the step that was made from the plan.

use super::blocks::{Blocks, Field, Kind, Slot, Visit};
use super::names;
use super::text::{double, float, grouped, list, option};
use crate::EmitError;
use slimfit_arch::{Architecture, Tensor, TensorPart, TensorRole};
use slimfit_formats::gguf::{CONTAINER_FAMILY, architecture_text, stored_place};
use slimfit_kernels::{Isa, Operation};
use slimfit_plan::{Buffer, Plan, RopeSlot};
use slimfit_runtime::rotation_frequencies;
use std::collections::BTreeSet;

/// What the file is written from.
pub(super) struct ModelText<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) plan: &'a Plan,
    /// Whose names and order of rows the weights' file has.
    pub(super) family: &'a str,
    pub(super) tier: Isa,
    pub(super) title: &'a str,
}

/// Values on a cache line.
const LINE: u64 = 16;

impl ModelText<'_> {
    /// The text of the file.
    ///
    /// # Errors
    /// A fault of this program: a plan with a tensor that the architecture lacks.
    pub(super) fn render(&self) -> Result<String, EmitError> {
        let blocks = Blocks::of(self.architecture, self.plan);
        let mut text = format!("//! {}: its sizes, its weights and its step.\n\n", self.title);
        text += &imports(self.plan, &blocks);
        text += &self.constants();
        text += &self.buffers();
        text += &self.weights(&blocks)?;
        text += &self.tables();
        text += &self.steps(&blocks);
        Ok(text)
    }

    fn constants(&self) -> String {
        let options = &self.plan.options;
        let chunk = options.chunk.min(options.context);
        let streamed: u64 = self.streamed_bytes();
        let keys: u64 = self.plan.kv.iter().map(|slot| slot.bytes_per_position()).sum();
        let constants = [
            (
                "pub const VOCABULARY",
                "usize",
                grouped(self.architecture.vocabulary_size),
                "Tokens that there are.",
            ),
            ("pub const CONTEXT", "usize", grouped(options.context), "The most tokens of a text."),
            ("pub const WEIGHT_BYTES", "usize", grouped(streamed), "Bytes of weights that each token reads."),
            (
                "pub const KEY_BYTES",
                "usize",
                grouped(keys),
                "Bytes of keys and values that each token reads of one before it.",
            ),
            ("pub(crate) const CHUNK", "usize", grouped(chunk), "Most tokens of a step."),
            (
                "pub(crate) const TIER",
                "Isa",
                format!("Isa::{:?}", self.tier),
                "The instructions that this was made for.",
            ),
            ("pub(crate) const FILE", "FileOf", self.file(), "What its files say of themselves."),
        ];
        constants
            .iter()
            .map(|(name, kind, value, documentation)| {
                format!("/// {documentation}\n{name}: {kind} = {value};\n")
            })
            .collect()
    }

    /// The family, and in slimfit's own container the very model: two that differ in a constant have the same tensors.
    fn file(&self) -> String {
        let architecture = (self.family == CONTAINER_FAMILY).then(|| {
            let digits = format!("{:016x}", fnv1a(architecture_text(self.architecture).as_bytes()));
            format!("0x{}_{}_{}_{}", &digits[..4], &digits[4..8], &digits[8..12], &digits[12..])
        });
        format!("FileOf {{ family: \"{}\", architecture: {} }}", self.family, option(architecture))
    }

    /// Packed bytes of the matrices that one token multiplies with.
    fn streamed_bytes(&self) -> u64 {
        let mut bytes = 0;
        for step in &self.plan.steps {
            let share = match &step.operation {
                Operation::MatMul(_) | Operation::Route(_) => (1, 1),
                Operation::Experts(experts) => (experts.top_k, experts.experts),
                _ => continue,
            };
            for slot in step.matrix.into_iter().chain(step.second_matrix) {
                bytes += self.plan.matrices[slot].packed_bytes * share.0 / share.1;
            }
        }
        bytes
    }

    fn buffers(&self) -> String {
        let (mut fields, mut parts, mut end, mut logits) = (String::new(), String::new(), 0, 0);
        for &(buffer, width) in &self.plan.buffers {
            let name = names::buffer(buffer);
            let values = width * self.plan.buffer_rows(buffer);
            if buffer == Buffer::Logits {
                logits = end;
            }
            fields += &format!(
                "    /// {}\n    pub(crate) {name}: SharedMut<'a, f32>,\n",
                names::buffer_doc(buffer)
            );
            parts +=
                &format!("            {name}: memory.part({}..{}),\n", grouped(end), grouped(end + values));
            end = (end + values).next_multiple_of(LINE);
        }
        format!(
            "\n/// Activations: a row for each token of a step.\n#[derive(Clone, Copy)]\npub(crate) struct Buffers<'a> {{\n{fields}}}\n\n\
             impl<'a> Buffers<'a> {{\n    /// Values of all of them.\n    pub(crate) const VALUES: usize = {};\n    \
             /// Where the logits begin.\n    pub(crate) const LOGITS: usize = {};\n\n    \
             /// The buffers in memory of so many values.\n    pub(crate) fn of(memory: SharedMut<'a, f32>) -> Self {{\n        Self {{\n{parts}        }}\n    }}\n}}\n",
            grouped(end),
            grouped(logits)
        )
    }

    fn weights(&self, blocks: &Blocks) -> Result<String, EmitError> {
        let mut text = String::new();
        for kind in &blocks.kinds {
            text += &format!(
                "\n/// The weights of {}.\n#[derive(Debug)]\npub(crate) struct {} {{\n",
                layers(kind),
                kind.name
            );
            text += &declared(&kind.fields);
            text += "}\n\n";
            let layer = kind.layers.first().copied();
            text += &format!("impl {} {{\n", kind.name);
            text += &lengths_text(self.plan, &kind.fields);
            text += &format!(
                "\n    fn load(loader: &mut Loader<'_>, isa: Isa, layer: usize) -> Result<Self, ModelError> {{\n        Ok(Self {{\n{}        }})\n    }}\n}}\n",
                self.loads(&kind.fields, layer)?
            );
        }
        text += "\n/// All weights.\n#[derive(Debug)]\npub(crate) struct Weights {\n";
        text += &declared(&blocks.outer);
        for kind in &blocks.kinds {
            text += &format!(
                "    /// {} of them.\n    {}: Vec<{}>,\n",
                kind.layers.len(),
                field_of(kind),
                kind.name
            );
        }
        text += "}\n\nimpl Weights {\n";
        text += &lengths_text(self.plan, &blocks.outer);
        text += "\n    /// Reads and packs them for a tier.\n    pub(crate) fn load(source: &Source, isa: Isa) -> Result<Self, ModelError> {\n        \
                 let mut lengths = Self::lengths(isa);\n";
        for kind in &blocks.kinds {
            text += &format!(
                "        (0..{}).for_each(|_| lengths.extend({}::lengths(isa)));\n",
                kind.layers.len(),
                kind.name
            );
        }
        text += "        let loader = &mut Loader::new(source, &lengths)?;\n        Ok(Self {\n";
        text += &self.loads(&blocks.outer, None)?;
        for kind in &blocks.kinds {
            let calls = [
                indices(&kind.layers),
                if consecutive(&kind.layers) { "" } else { ".into_iter()" }.to_owned(),
                format!(".map(|layer| {}::load(loader, isa, layer))", kind.name),
                ".collect::<Result<_, _>>()?".to_owned(),
            ];
            text += &format!("            {}: {},\n", field_of(kind), chain(&calls, field_of(kind).len()));
        }
        text += "        })\n    }\n}\n";
        Ok(text)
    }

    /// The initialisers of fields.
    fn loads(&self, fields: &[Field], layer: Option<u64>) -> Result<String, EmitError> {
        let mut text = String::new();
        for field in fields {
            let value = match field.slot {
                Slot::Matrix(index) => {
                    let slot = &self.plan.matrices[index];
                    let layout = format!("products::layout({}, isa)", names::format_variant(slot.format));
                    let columns = slot.count * slot.columns;
                    let parts =
                        slot.parts.iter().map(|role| self.stored(*role, TensorPart::Weight, layer, columns));
                    let parts = list("&[", &parts.collect::<Result<Vec<_>, _>>()?, "]", (16, 16));
                    if slot.count == 1 {
                        list(
                            "Matrix::load(",
                            &["loader".to_owned(), layout, parts],
                            ")?",
                            (12, 12 + field.name.len() + 2),
                        )
                    } else {
                        let shape = format!(
                            "({}, {}, {})",
                            grouped(slot.count),
                            grouped(slot.rows),
                            grouped(slot.columns)
                        );
                        list(
                            "Stack::load(",
                            &["loader".to_owned(), layout, shape, parts],
                            ")?",
                            (12, 12 + field.name.len() + 2),
                        )
                    }
                }
                Slot::Vector(index) => {
                    let slot = &self.plan.vectors[index];
                    let parts = slot.parts.iter().map(|(role, part)| self.stored(*role, *part, layer, 1));
                    let parts = list("&[", &parts.collect::<Result<Vec<_>, _>>()?, "]", (16, 16));
                    // Norms lie around 1: files of llama.cpp's families hold the sum where weights are offsets from it.
                    let norm =
                        slot.parts.iter().any(|(role, part)| role.is_norm() && *part == TensorPart::Weight);
                    let middle = if norm { "1.0" } else { "0.0" };
                    let mut arguments = vec![parts, float(slot.scale)];
                    let method = if slot.plus_one && self.family == CONTAINER_FAMILY {
                        arguments.insert(0, "loader".to_owned());
                        "Loader::offsets("
                    } else {
                        arguments.push(middle.to_owned());
                        "loader.source.vector("
                    };
                    list(method, &arguments, ")?", (12, 12 + field.name.len() + 2))
                }
            };
            text += &format!("            {}: {value},\n", field.name);
        }
        Ok(text)
    }

    /// How a tensor is named in the file, and its rows of `columns` values.
    fn stored(
        &self,
        role: TensorRole,
        part: TensorPart,
        layer: Option<u64>,
        columns: u64,
    ) -> Result<String, EmitError> {
        let tensors = self.architecture.tensors();
        // A tied head is the input table.
        let layer = if is_outside(role) { None } else { layer };
        let found =
            tensors.iter().find(|tensor| (tensor.role, tensor.part, tensor.layer) == (role, part, layer));
        let tensor = found.ok_or(EmitError::Internal("a plan whose tensor the architecture lacks"))?;
        let place = stored_place(self.family, self.architecture, tensor);
        let name = match layer {
            Some(layer) => {
                format!("format!(\"{}\")", place.name.replacen(&format!("blk.{layer}."), "blk.{layer}.", 1))
            }
            None => format!("\"{}\"", place.name),
        };
        // Whatever lies in the same stored tensor.
        let together = tensors.iter().filter(|other| {
            other.layer == layer && stored_place(self.family, self.architecture, other).name == place.name
        });
        let whole: u64 = together.map(Tensor::parameters).sum();
        let (own, rows) = (tensor.parameters(), grouped(tensor.parameters() / columns));
        Ok(match place.interleaved {
            Some(head) => format!("Stored::interleaved({name}, {rows}, {})", grouped(head)),
            None if whole > own => {
                let (first, whole) = (grouped(place.first), grouped(whole / columns));
                format!("Stored::part({name}, {rows}, {first}, {whole})")
            }
            None => format!("Stored::plain({name}, {rows})"),
        })
    }

    fn tables(&self) -> String {
        let mut text = String::new();
        let context = self.plan.options.context;
        let mut rotations = Vec::new();
        for (place, slot) in self.plan.ropes.iter().enumerate() {
            let (name, magnitude) = (format!("FREQUENCIES_{place}"), rope(slot, context).1);
            text += &frequencies(&name, &rope(slot, context).0);
            rotations.push(format!("Rotation::new(&{name}, {}, CONTEXT)", double(magnitude)));
        }
        text += &format!(
            "\n/// Cosines and sines of every position.\npub(crate) fn rotations() -> Vec<Rotation> {{\n    {}\n}}\n",
            list("vec![", &rotations, "]", (4, 4))
        );
        text += "\n/// What each layer keeps in each pass.\npub(crate) fn caches() -> Vec<CacheShape> {\n    let mut caches = Vec::new();\n";
        for run in self.plan.kv.chunk_by(|a, b| a == b) {
            let slot = &run[0];
            let format = match slot.format.name() {
                "f32" => "F32",
                "f16" => "F16",
                _ => "Q8_0",
            };
            text += &format!(
                "    caches.extend(std::iter::repeat_n(\n        CacheShape {{ format: KvFormat::{format}, kv_heads: {}, head_size: {}, window: {}, positions: {} }},\n        {},\n    ));\n",
                grouped(slot.kv_heads),
                grouped(slot.head_size),
                option(slot.window.map(grouped)),
                grouped(slot.positions),
                run.len()
            );
        }
        text += "    caches\n}\n";
        text + &self.scratch()
    }

    /// The scratch of the greediest operation.
    fn scratch(&self) -> String {
        let mut needs: BTreeSet<String> = BTreeSet::new();
        for step in &self.plan.steps {
            for tokens in ["1", "2", "CHUNK"] {
                let tokens = if step.rows == slimfit_plan::TokenRows::All { tokens } else { "1" };
                let need = match &step.operation {
                    Operation::MatMul(product) => format!(
                        "matmul::scratch_bytes({}, {}, {tokens}, threads)",
                        names::format_variant(product.format),
                        grouped(product.columns)
                    ),
                    Operation::Route(route) => format!(
                        "matmul::scratch_bytes(WeightFormat::F32, {}, {tokens}, threads)",
                        grouped(route.columns)
                    ),
                    Operation::Attend(attend) => {
                        // One token's attention leaves sums for each of its pieces.
                        let shares =
                            if tokens == "1" { "cuts::most_attend_pieces(threads)" } else { "threads" };
                        let keys = attend
                            .window
                            .map_or_else(|| "CONTEXT".to_owned(), |window| format!("CONTEXT.min({window})"));
                        format!(
                            "{shares} * attend::thread_scratch_bytes({}, {}, {}, {tokens}, {keys})",
                            grouped(attend.heads),
                            grouped(attend.kv_heads),
                            grouped(attend.head_size)
                        )
                    }
                    Operation::Experts(experts) => format!(
                        "experts::scratch_bytes(\n            experts::Shape {{\n                columns: {},\n                size: {},\n                experts: {},\n                top_k: {},\n                gated: {},\n                format: {},\n            }},\n            {tokens},\n            threads,\n        )",
                        grouped(experts.columns),
                        grouped(experts.size),
                        grouped(experts.experts),
                        grouped(experts.top_k),
                        experts.gated,
                        names::format_variant(experts.format)
                    ),
                    _ => continue,
                };
                needs.insert(need);
            }
        }
        let lines: String = needs.iter().map(|need| format!("        {need},\n")).collect();
        format!(
            "\n/// Bytes of scratch for so many threads.\npub(crate) fn scratch_bytes(threads: usize) -> usize {{\n    let needs = [\n{lines}    ];\n    needs.into_iter().max().unwrap_or(0)\n}}\n"
        )
    }

    fn steps(&self, blocks: &Blocks) -> String {
        let mut text = String::new();
        for kind in &blocks.kinds {
            text += &format!(
                "\n/// One pass through one of {}.\nfn {}<'a>(run: &Run<'a>, layer: &'a {}, cache: usize) {{\n{}}}\n",
                layers(kind),
                function_of(kind),
                kind.name,
                kind.body
            );
        }
        text += &format!(
            "\n/// All operations of a step, by every worker.\npub(crate) fn step(run: &Run<'_>) {{\n{}",
            blocks.begin
        );
        for (visit, count) in visits(&blocks.visits) {
            let kind = &blocks.kinds[visit.kind];
            let (function, field) = (function_of(kind), field_of(kind));
            let place =
                |first: usize| if first == 0 { "index".to_owned() } else { format!("{first} + index") };
            if count == 1 {
                text += &format!(
                    "    {function}(run, &run.weights.{field}[{}], {});\n",
                    visit.layer, visit.cache
                );
            } else {
                text += &format!(
                    "    for index in 0..{count} {{\n        {function}(run, &run.weights.{field}[{}], {});\n    }}\n",
                    place(visit.layer),
                    place(visit.cache)
                );
            }
        }
        text + &format!("    if !run.logits {{\n        return;\n    }}\n{}}}\n", blocks.end)
    }
}

/// FNV-1a, as the crate computes it of a file.
fn fnv1a(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Stretches of visits of one kind whose layers and caches follow each other.
fn visits(visits: &[Visit]) -> Vec<(Visit, usize)> {
    let next = |a: &Visit, b: &Visit| a.kind == b.kind && a.layer + 1 == b.layer && a.cache + 1 == b.cache;
    visits.chunk_by(next).map(|run| (run[0], run.len())).collect()
}

const fn is_outside(role: TensorRole) -> bool {
    matches!(
        role,
        TensorRole::Embedding
            | TensorRole::PositionTable
            | TensorRole::EmbeddingNorm
            | TensorRole::EmbeddingIn
            | TensorRole::EmbeddingOut
            | TensorRole::FinalNorm
            | TensorRole::Head
    )
}

fn rope(slot: &RopeSlot, context: u64) -> (Vec<f64>, f64) {
    rotation_frequencies(slot, context)
}

fn frequencies(name: &str, values: &[f64]) -> String {
    let lines: String = values.iter().map(|value| format!("    {},\n", double(*value))).collect();
    format!(
        "\n/// Radians by which each pair turns from one position to the next.\nconst {name}: [f64; {}] = [\n{lines}];\n",
        values.len()
    )
}

fn declared(fields: &[Field]) -> String {
    fields
        .iter()
        .map(|field| format!("    /// {}\n    {}: {},\n", field.documentation, field.name, field.kind))
        .collect()
}

/// Lengths of the matrices among some fields.
fn lengths_text(plan: &Plan, fields: &[Field]) -> String {
    let mut lengths = Vec::new();
    for field in fields {
        let Slot::Matrix(index) = field.slot else { continue };
        let slot = &plan.matrices[index];
        let layout = format!("products::layout({}, isa)", names::format_variant(slot.format));
        let (rows, columns) = (grouped(slot.rows), grouped(slot.columns));
        lengths.push(if slot.count == 1 {
            format!("Matrix::<{rows}, {columns}>::bytes_in({layout})")
        } else {
            format!("Stack::bytes_in({layout}, {}, {rows}, {columns})", grouped(slot.count))
        });
    }
    format!(
        "    /// Bytes of its matrices, in the order in which they are loaded.\n    fn lengths(isa: Isa) -> Vec<usize> {{\n        {}\n    }}\n",
        list("vec![", &lengths, "]", (8, 8))
    )
}

fn layers(kind: &Kind) -> String {
    match kind.layers.as_slice() {
        [only] => format!("layer {only}"),
        [first, .., last] if last - first + 1 == kind.layers.len() as u64 => {
            format!("layers {first} to {last}")
        }
        all => format!("{} layers, from {} to {}", all.len(), all[0], all[all.len() - 1]),
    }
}

fn consecutive(layers: &[u64]) -> bool {
    layers.len() > 1 && layers[layers.len() - 1] - layers[0] + 1 == layers.len() as u64
}

/// The layers of a kind: a range or a list.
fn indices(layers: &[u64]) -> String {
    if consecutive(layers) {
        format!("({}..{})", layers[0], layers[layers.len() - 1] + 1)
    } else {
        format!("[{}]", layers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))
    }
}

/// Calls on one line, where they fit after a field's name, or below each other.
fn chain(calls: &[String], name: usize) -> String {
    let line = calls.concat();
    if 12 + name + 2 + line.len() < 108 {
        return line;
    }
    let calls: Vec<&str> = calls.iter().map(String::as_str).filter(|call| !call.is_empty()).collect();
    calls.join("\n                ")
}

fn field_of(kind: &Kind) -> String {
    kind.name.replacen("Layer", "layers", 1)
}

fn function_of(kind: &Kind) -> String {
    kind.name.replacen("Layer", "layer", 1)
}

/// What the file imports: only what its code names.
fn imports(plan: &Plan, blocks: &Blocks) -> String {
    let code: String = blocks
        .kinds
        .iter()
        .map(|kind| kind.body.as_str())
        .chain([blocks.begin.as_str(), blocks.end.as_str()])
        .collect();
    let names = |module: &str, names: &[&str]| {
        let used: Vec<&str> = names.iter().copied().filter(|name| code.contains(name)).collect();
        match used.as_slice() {
            [] => String::new(),
            [only] => format!("use crate::{module}::{only};\n"),
            several => format!("use crate::{module}::{{{}}};\n", several.join(", ")),
        }
    };
    let has_experts = plan.steps.iter().any(|step| matches!(step.operation, Operation::Experts(_)));
    let stack =
        if has_experts { "Loader, Matrix, Source, Stack, Stored" } else { "Loader, Matrix, Source, Stored" };
    let product_args = if code.contains("MatMulArgs {") { ", MatMulArgs" } else { "" };
    let experts = if has_experts { ", experts" } else { "" };
    format!(
        "{}{}{}use crate::cache::CacheShape;\n{}{}use crate::gguf::FileOf;\nuse crate::kv::KvFormat;\nuse crate::matmul::{{self{product_args}, WeightFormat, products}};\n{}use crate::rotate_store::Rotation;\n{}{}use crate::run::Run;\nuse crate::weights::{{{stack}}};\nuse crate::{{Isa, ModelError, SharedMut, attend, cuts{experts}}};\n\n",
        names("activate", &["ActivateArgs", "ActivationFunction"]),
        names("add", &["AddArgs"]),
        names("attend", &["AttendArgs"]),
        names("embed", &["EmbedArgs"]),
        names("experts", &["ExpertsArgs"]),
        names("norm", &["NormArgs", "NormFormula"]),
        names("rotate_store", &["QkNormKind", "RotateStoreArgs", "RotationTable"]),
        names("route", &["RouteArgs"]),
    )
}
