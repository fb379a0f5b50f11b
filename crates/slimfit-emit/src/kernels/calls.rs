//! The statements of emitted code: one call for each step of a plan.

use super::names;
use super::text::{self, float, grouped, list, literal, option, short_literal};
use slimfit_kernels::{NormFormula, Operation, QkNormKind};
use slimfit_plan::{Buffer, Plan, Step, TokenRows};

/// Where statements stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    /// What holds the weights.
    pub(super) owner: &'static str,
    /// Columns before a statement.
    pub(super) indent: usize,
}

/// The statements of some steps, each with its label.
pub(super) fn body(plan: &Plan, steps: &[Step], code: Code) -> String {
    let margin = " ".repeat(code.indent);
    steps
        .iter()
        .map(|step| format!("{margin}// {}\n{margin}{}\n", step.label, call(plan, step, code)))
        .collect()
}

fn call(plan: &Plan, step: &Step, code: Code) -> String {
    let Code { owner, indent } = code;
    let matrix = |slot: Option<usize>| {
        let slot = &plan.matrices[slot.expect("the plan gives it its matrix")];
        (format!("{owner}.{}", slot.label), slot)
    };
    let vector = |place: usize| {
        step.vectors[place].map(|slot| format!("&{owner}.{}", names::vector(&plan.vectors[slot])))
    };
    let count = if step.rows == TokenRows::All { "run.count()" } else { "1" };
    let position = "run.first_position".to_owned();
    let cache = "run.cache.layer(cache)".to_owned();
    let scratch = "run.scratch".to_owned();
    let tokens = ("tokens", count.to_owned());
    let input = |width: u64| read(step.rows, step.input, width);
    let output = |width: u64| write(step.rows, step.output, width);
    match &step.operation {
        Operation::Embed(embed) => {
            let (table, _) = matrix(step.matrix);
            let positions = embed.position_offset.zip(vector(0)).map(|(offset, table)| {
                format!("run.positions({table}, {}, {})", grouped(offset), grouped(embed.width))
            });
            let fields = [
                ("vocabulary", grouped(embed.vocabulary)),
                ("width", grouped(embed.width)),
                ("scale", float(embed.scale)),
                ("layout", format!("{table}.layout()")),
                ("table", format!("{table}.bytes()")),
                ("positions", option(positions)),
                ("tokens", "run.tokens".to_owned()),
                ("output", output(embed.width)),
            ];
            simple("embed", embed.width, count, "EmbedArgs", &fields, indent)
        }
        Operation::Norm(norm) => {
            let fields = [
                ("width", grouped(norm.width)),
                tokens,
                ("formula", formula(norm.formula).to_owned()),
                ("epsilon", float(norm.epsilon)),
                ("accumulate", option(norm.accumulate.map(float))),
                ("input", input(norm.width)),
                ("weight", option(vector(0))),
                ("bias", option(vector(1))),
                ("output", output(norm.width)),
            ];
            simple("norm", norm.width, count, "NormArgs", &fields, indent)
        }
        Operation::MatMul(product) => {
            let (field, slot) = matrix(step.matrix);
            let multiply = names::product(slot.format, slot.rows, slot.columns);
            let times = |dots: &str, indent: usize| {
                let items = [
                    count.to_owned(),
                    input(product.columns),
                    output(product.rows),
                    "run.scratch".to_owned(),
                ];
                list(&format!("{dots}{field}.times("), &items, ")", (indent, indent))
            };
            let mut changes = Vec::new();
            if product.bias {
                changes.push(("bias", option(vector(0))));
            }
            if product.accumulate.is_some() {
                changes.push(("accumulate", option(product.accumulate.map(float))));
            }
            if product.softcap.is_some() {
                changes.push(("softcap", option(product.softcap.map(float))));
            }
            let call = format!("run.product(products::{multiply}, {count}, &{field}, || ");
            if !changes.is_empty() {
                changes.push(("", times("..", indent + 4)));
                return format!("{call}{});", literal("MatMulArgs", &changes, indent));
            }
            let (line, margin) = (times("", 0), " ".repeat(indent));
            if !line.contains('\n') && indent + call.len() + line.len() + 2 <= text::WIDTH {
                return format!("{call}{line});");
            }
            format!("{call}{{\n{margin}    {}\n{margin}}});", times("", indent + 4))
        }
        Operation::RotateStore(rotate) => {
            let width = (rotate.heads + 2 * rotate.kv_heads) * rotate.head_size;
            let rotation = step.rope.map_or_else(
                || "RotationTable { cosines: &[], sines: &[] }".to_owned(),
                |slot| format!("run.rotations[{slot}].table()"),
            );
            let norm = |place: usize| vector(place).unwrap_or_else(|| "&[]".to_owned());
            let fields = [
                ("heads", grouped(rotate.heads)),
                ("rotated", grouped(rotate.rotated)),
                ("interleaved", rotate.interleaved.to_string()),
                ("qk_norm", qk_norm(rotate.qk_norm).to_owned()),
                ("formula", formula(rotate.norm.0).to_owned()),
                ("epsilon", float(rotate.norm.1)),
                ("clip", option(rotate.clip.map(float))),
                tokens,
                ("first_position", position),
                ("qkv", output(width)),
                ("query_norm", norm(0)),
                ("key_norm", norm(2)),
                ("rotation", rotation),
                ("cache", cache),
            ];
            let margin = " ".repeat(indent);
            let store = simple("rotate_store", width, count, "RotateStoreArgs", &fields, indent);
            format!("run.move_keys(cache);\n{margin}{store}")
        }
        Operation::Attend(attend) => {
            let fields = [
                ("heads", grouped(attend.heads)),
                ("window", option(attend.window.map(grouped))),
                ("scale", float(attend.scale)),
                ("softcap", option(attend.softcap.map(float))),
                ("alibi", attend.alibi.to_string()),
                tokens,
                ("first_position", position),
                ("qkv", input((attend.heads + 2 * attend.kv_heads) * attend.head_size)),
                ("cache", cache),
                ("output", output(attend.heads * attend.head_size)),
                ("scratch", scratch),
                ("seat", "None".to_owned()),
            ];
            let (heads, window) = (grouped(attend.heads), option(attend.window.map(grouped)));
            let head = format!("({heads}, {window}), run.cache.layer(cache), || ");
            format!("run.attend({head}{});", literal("AttendArgs", &fields, indent))
        }
        Operation::Activate(activate) => {
            let width = if activate.gated { 2 * activate.size } else { activate.size };
            let scores = activate.scaled.then(|| read(step.rows, Buffer::Routing, 1));
            let fields = [
                ("size", grouped(activate.size)),
                tokens,
                ("gated", activate.gated.to_string()),
                ("function", format!("ActivationFunction::{:?}", activate.function)),
                ("input", input(width)),
                ("scores", option(scores)),
                ("output", output(activate.size)),
            ];
            simple("activate", activate.size, count, "ActivateArgs", &fields, indent)
        }
        Operation::Add(add) => {
            let fields =
                [("scale", float(add.scale)), ("input", input(add.width)), ("output", output(add.width))];
            simple("add", add.width, count, "AddArgs", &fields, indent)
        }
        Operation::Route(route) => {
            let (field, slot) = matrix(step.matrix);
            let multiply = names::product(slot.format, slot.rows, slot.columns);
            let buffer = format!("run.buffers.{}", names::buffer(step.output));
            let scores = write(step.rows, step.output, route.experts);
            let times = |dots: &str, indent: usize, column: usize| {
                let items =
                    [count.to_owned(), input(route.columns), scores.clone(), "run.scratch".to_owned()];
                list(&format!("{dots}{field}.times_any("), &items, ")", (indent, column))
            };
            let inner = indent + 4;
            let product = match vector(0) {
                Some(bias) => literal(
                    "MatMulArgs",
                    &[("bias", format!("Some({bias})")), ("", times("..", inner + 4, inner + 4))],
                    inner,
                ),
                None => times("", inner, inner + "product: ".len()),
            };
            let (experts, chosen) = (grouped(route.experts), grouped(2 * route.top_k));
            let fields = [
                ("top_k", grouped(route.top_k)),
                ("normalise", route.normalise.to_string()),
                ("product", product),
                ("choices", format!("{buffer}.part({count} * {experts}..{count} * ({experts} + {chosen}))")),
            ];
            format!(
                "run.route(products::{multiply}, &{field}, || {});",
                literal("RouteArgs", &fields, indent)
            )
        }
        Operation::Experts(experts) => {
            let ((up, _), (down, _)) = (matrix(step.matrix), matrix(step.second_matrix));
            let width = experts.experts + 2 * experts.top_k;
            let scores = format!("{count} * {}", grouped(experts.experts));
            let fields = [
                ("columns", grouped(experts.columns)),
                ("size", grouped(experts.size)),
                ("experts", grouped(experts.experts)),
                ("top_k", grouped(experts.top_k)),
                tokens,
                ("gated", experts.gated.to_string()),
                ("function", format!("ActivationFunction::{:?}", experts.function)),
                ("accumulate", option(experts.accumulate.map(float))),
                ("layout", format!("{up}.layout()")),
                ("up", format!("{up}.bytes()")),
                ("down", format!("{down}.bytes()")),
                ("input", input(experts.columns)),
                ("choices", format!("&{}[{scores}..]", read(step.rows, Buffer::Routing, width))),
                ("output", output(experts.columns)),
                ("scratch", scratch),
                ("seat", "None".to_owned()),
            ];
            let shape = [
                ("columns", grouped(experts.columns)),
                ("size", grouped(experts.size)),
                ("experts", grouped(experts.experts)),
                ("top_k", grouped(experts.top_k)),
                ("gated", experts.gated.to_string()),
                ("format", names::format_variant(experts.format)),
            ];
            let margin = " ".repeat(indent);
            format!(
                "let shape = {};\n{margin}run.experts(shape, products::experts_{}(run.kernels.isa), || {});",
                short_literal("experts::Shape", &shape, (indent, indent + "let shape = ".len())),
                experts.format.name(),
                literal("ExpertsArgs", &fields, indent)
            )
        }
    }
}

/// A call whose arguments follow from so many values a token.
fn simple(
    function: &str,
    width: u64,
    count: &str,
    structure: &str,
    fields: &[(&str, String)],
    indent: usize,
) -> String {
    let values = if count == "1" { grouped(width) } else { format!("{} * {count}", grouped(width)) };
    format!("run.{function}({values}, || {});", literal(structure, fields, indent))
}

fn read(rows: TokenRows, buffer: Buffer, width: u64) -> String {
    let function = match rows {
        TokenRows::All => "read",
        TokenRows::Last => "read_last",
        TokenRows::First => "read_first",
    };
    format!("run.{function}(run.buffers.{}, {})", names::buffer(buffer), grouped(width))
}

fn write(rows: TokenRows, buffer: Buffer, width: u64) -> String {
    let function = if rows == TokenRows::All { "write" } else { "write_first" };
    format!("run.{function}(run.buffers.{}, {})", names::buffer(buffer), grouped(width))
}

const fn formula(formula: NormFormula) -> &'static str {
    match formula {
        NormFormula::Rms => "NormFormula::Rms",
        NormFormula::Layer => "NormFormula::Layer",
    }
}

const fn qk_norm(kind: QkNormKind) -> &'static str {
    match kind {
        QkNormKind::None => "QkNormKind::None",
        QkNormKind::PerHead => "QkNormKind::PerHead",
        QkNormKind::EachHead => "QkNormKind::EachHead",
        QkNormKind::AllHeads => "QkNormKind::AllHeads",
    }
}
