//! The statements of emitted code: one call for each step of a plan.

use super::names;
use super::text::{float, grouped, list, literal, option};
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
            format!("run.embed({});", literal("EmbedArgs", &fields, indent))
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
            format!("run.norm({});", literal("NormArgs", &fields, indent))
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
            let inner = " ".repeat(indent + 4);
            let args = if changes.is_empty() {
                times("", indent + 4)
            } else {
                changes.push(("", times("..", indent + 8)));
                literal("MatMulArgs", &changes, indent + 4)
            };
            format!("run.product(\n{inner}products::{multiply},\n{inner}{args},\n{});", " ".repeat(indent))
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
            let store = literal("RotateStoreArgs", &fields, indent);
            format!("run.move_keys(cache);\n{margin}run.rotate_store({store});")
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
            format!("run.attend({});", literal("AttendArgs", &fields, indent))
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
            format!("run.activate({});", literal("ActivateArgs", &fields, indent))
        }
        Operation::Add(add) => {
            let fields =
                [("scale", float(add.scale)), ("input", input(add.width)), ("output", output(add.width))];
            format!("run.add({});", literal("AddArgs", &fields, indent))
        }
        Operation::Route(route) => {
            let (field, slot) = matrix(step.matrix);
            let multiply = names::product(slot.format, slot.rows, slot.columns);
            let buffer = format!("run.buffers.{}", names::buffer(step.output));
            let scores = write(step.rows, step.output, route.experts);
            let times =
                format!("{field}.times_any({count}, {}, {scores}, run.scratch)", input(route.columns));
            let product = match vector(0) {
                Some(bias) => literal(
                    "MatMulArgs",
                    &[("bias", format!("Some({bias})")), ("", format!("..{times}"))],
                    indent + 8,
                ),
                None => times,
            };
            let (experts, chosen) = (grouped(route.experts), grouped(2 * route.top_k));
            let fields = [
                ("top_k", grouped(route.top_k)),
                ("normalise", route.normalise.to_string()),
                ("product", product),
                ("choices", format!("{buffer}.part({count} * {experts}..{count} * ({experts} + {chosen}))")),
            ];
            let inner = " ".repeat(indent + 4);
            format!(
                "run.route(\n{inner}products::{multiply},\n{inner}{},\n{});",
                literal("RouteArgs", &fields, indent + 4),
                " ".repeat(indent)
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
            let inner = " ".repeat(indent + 4);
            format!(
                "run.experts(\n{inner}{},\n{inner}products::experts_{}(run.kernels.isa),\n{});",
                literal("ExpertsArgs", &fields, indent + 4),
                experts.format.name(),
                " ".repeat(indent)
            )
        }
    }
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
