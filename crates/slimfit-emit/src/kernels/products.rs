//! `matmul/products.rs` of an emitted crate: a function for each shape of a matrix, which calls the kernels that are
//! fastest for it.

use super::names;
use super::text::grouped;
use crate::EmitError;
use slimfit_kernels::{
    Isa, MatMul, MatMulVariant, Operation, Tuning, WeightFormat, layout_for, product_variant,
};
use slimfit_plan::Plan;
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A shape of matrices and who multiplies by it.
struct Product {
    format: NumberFormat,
    rows: u64,
    columns: u64,
    /// Where such matrices are: `qkv`, `down`, …
    labels: Vec<&'static str>,
    /// Whether its function serves any matrix, as routers' do.
    any: bool,
    gemv: MatMulVariant,
    gemm: MatMulVariant,
}

/// The text of the file.
///
/// # Errors
/// A fault of this program: a product without a kernel.
pub(super) fn text(plan: &Plan, tier: Isa, tuning: &Tuning) -> Result<String, EmitError> {
    let products = products(plan, tier, tuning)?;
    let mut text = String::from(
        "//! The products of this model: a kernel for each shape, with the shape as constants.\n//!\n\
         //! For one token `gemv`, whose parameters are address streams and bytes prefetched ahead; for several `gemm`, whose\n\
         //! last parameter is the tokens of a tile.\n\n\
         #![expect(unsafe_code, reason = \"kernels for tiers that were detected\")]\n\n",
    );
    text += &imports(&products, tier);
    text += &format!(
        "\n#[cfg(test)]\n#[path = \"products_tests.rs\"]\nmod tests;\n\n/// The layout that matrices have for a tier.\n\
         pub(crate) fn layout(format: WeightFormat, isa: Isa) -> Layout {{\n    match isa {{\n        \
         TIER => {},\n        Isa::Scalar => Layout::rows(format),\n        _ => Layout::interleaved(format, 8),\n    }}\n}}\n",
        layout_text(tier)
    );
    for product in products.iter() {
        text += &function(product, tier);
    }
    for format in expert_formats(plan) {
        text += &experts(format, tier)?;
    }
    text += &tests(&products);
    Ok(text)
}

fn products(plan: &Plan, tier: Isa, tuning: &Tuning) -> Result<Vec<Product>, EmitError> {
    let mut found: BTreeMap<(&'static str, u64, u64), Product> = BTreeMap::new();
    let working_set = plan.memory().weight_bytes;
    let threads = usize::try_from(plan.options.threads).unwrap_or(1);
    for step in &plan.steps {
        let any = matches!(step.operation, Operation::Route(_));
        if !any && !matches!(step.operation, Operation::MatMul(_)) {
            continue;
        }
        let slot = step.matrix.map(|slot| &plan.matrices[slot]);
        let slot = slot.ok_or(EmitError::Internal("a product without a matrix"))?;
        let shape = MatMul {
            rows: slot.rows,
            columns: slot.columns,
            format: slot.format,
            bias: false,
            accumulate: None,
            softcap: None,
        };
        let variant = |tokens| {
            product_variant(&shape, tokens, tier, threads, tuning, working_set)
                .ok_or_else(|| EmitError::ForeignTier(tier.name()))
        };
        let known = (slot.format.name(), slot.rows, slot.columns);
        let product = match found.entry(known) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Product {
                format: slot.format,
                rows: slot.rows,
                columns: slot.columns,
                labels: Vec::new(),
                any,
                gemv: variant(1)?,
                gemm: variant(256)?,
            }),
        };
        if !product.labels.contains(&step.label) {
            product.labels.push(step.label);
        }
    }
    Ok(found.into_values().collect())
}

fn expert_formats(plan: &Plan) -> Vec<NumberFormat> {
    let mut formats: Vec<NumberFormat> = Vec::new();
    for step in &plan.steps {
        if let Operation::Experts(experts) = &step.operation
            && !formats.contains(&experts.format)
        {
            formats.push(experts.format);
        }
    }
    formats
}

/// What the emitted file imports.
fn imports(products: &[Product], tier: Isa) -> String {
    let mut modules: Vec<&str> = vec!["portable", "scalar"];
    let mut shapes = Vec::new();
    for path in products.iter().flat_map(|product| [product.gemv.path, product.gemm.path]) {
        if let Some((module, _)) = path.split_once("::")
            && !modules.contains(&module)
        {
            modules.push(module);
        }
        for name in ["OfF32", "OfF16", "OfBf16"] {
            if path.contains(name) && !shapes.contains(&name) {
                shapes.push(name);
            }
        }
    }
    modules.sort_unstable();
    let architecture = architecture(tier);
    let mut text = String::new();
    for module in &modules {
        if !matches!(*module, "portable" | "scalar") {
            let module = module.trim();
            text += &format!("#[cfg(target_arch = \"{architecture}\")]\nuse super::{module};\n");
        }
    }
    if !shapes.is_empty() {
        text += &format!(
            "#[cfg(target_arch = \"aarch64\")]\nuse super::neon::float::{{{}}};\n",
            shapes.join(", ")
        );
    }
    text + "use super::{Exactly, Layout, MatMulArgs, WeightFormat, portable, scalar};\nuse crate::model::TIER;\n\
            use crate::{Isa, Part};\n"
}

/// How Rust names the processors of a tier.
const fn architecture(tier: Isa) -> &'static str {
    match tier {
        Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonBf16 => "aarch64",
        _ => "x86_64",
    }
}

fn layout_text(tier: Isa) -> String {
    let layout = layout_for(WeightFormat::Q8_0, tier);
    match (layout.interleave, layout.biased) {
        (1, _) => "Layout::rows(format)".to_owned(),
        (rows, true) => format!("Layout::biased(format, {rows})"),
        (rows, false) => format!("Layout::interleaved(format, {rows})"),
    }
}

fn function(product: &Product, tier: Isa) -> String {
    let Product { format, rows, columns, labels, any, gemv, gemm } = product;
    let name = names::product(*format, *rows, *columns);
    let places = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
    let shape =
        if *any { String::new() } else { format!(", Exactly<{}, {}>", grouped(*rows), grouped(*columns)) };
    let mut text = format!(
        "\n/// {places}: {} x {} in {format}.\npub(crate) fn {name}(isa: Isa, args: &MatMulArgs<'_{shape}>, part: Part) {{\n    \
         // SAFETY: the tier was detected, the matrix checked the lengths, and shares of a phase write disjoint memory.\n    \
         unsafe {{\n        match (isa, args.tokens) {{\n",
        grouped(*rows),
        grouped(*columns)
    );
    if !matches!(tier, Isa::Scalar | Isa::Portable) {
        let architecture = architecture(tier);
        for (tokens, variant) in [("1", gemv), ("_", gemm)] {
            text += &format!(
                "            #[cfg(target_arch = \"{architecture}\")]\n            (TIER, {tokens}) => {}(args, part),\n",
                path_of(variant)
            );
        }
    }
    text += "            (Isa::Scalar, 1) => scalar::gemv(args, part),\n            (Isa::Scalar, _) => scalar::gemm(args, part),\n            \
             (_, 1) => portable::gemv(args, part),\n            _ => portable::gemm(args, part),\n        }\n    }\n}\n";
    text
}

/// The path of a kernel's function, spaced as people do.
fn path_of(variant: &MatMulVariant) -> String {
    variant.path.replace(" :: ", "::").replace("< ", "<").replace(" >", ">").replace("- ", "-")
}

/// What experts multiply with: one token's products and several tokens'.
fn experts(format: NumberFormat, tier: Isa) -> Result<String, EmitError> {
    // Experts run what is usual, whatever their shape.
    let shape = MatMul { rows: 1, columns: 1, format, bias: false, accumulate: None, softcap: None };
    let path = |tokens| {
        product_variant(&shape, tokens, tier, 1, &Tuning::default(), 0)
            .map(|variant| path_of(&variant))
            .ok_or_else(|| EmitError::ForeignTier(tier.name()))
    };
    let mut arms = String::new();
    if !matches!(tier, Isa::Scalar | Isa::Portable) {
        arms += &format!(
            "        #[cfg(target_arch = \"{}\")]\n        TIER => [{}, {}],\n",
            architecture(tier),
            path(1)?,
            path(256)?
        );
    }
    Ok(format!(
        "\n/// The products of experts in {format}.\npub(crate) fn experts_{}(isa: Isa) -> [super::MatMulFunction; 2] {{\n    match isa {{\n{arms}        \
         Isa::Scalar => [scalar::gemv, scalar::gemm],\n        _ => [portable::gemv, portable::gemm],\n    }}\n}}\n",
        format.name()
    ))
}

/// The list that the tests go through.
fn tests(products: &[Product]) -> String {
    let (any, exact) =
        (products.iter().any(|product| product.any), products.iter().any(|product| !product.any));
    let functions = match (exact, any) {
        (true, true) => "{agrees, agrees_any}",
        (false, true) => "agrees_any",
        _ => "agrees",
    };
    let mut text =
        format!("\n#[cfg(test)]\nmod agreement {{\n    use super::tests::{functions};\n    use super::*;\n");
    for product in products {
        let Product { format, rows, columns, any, .. } = product;
        let name = names::product(*format, *rows, *columns);
        let variant = names::format_variant(*format);
        let agrees = if *any { "agrees_any" } else { "agrees" };
        text += &format!(
            "\n    #[test]\n    fn {name}_is_what_the_specification_says() {{\n        \
             {agrees}::<{}, {}>(\"{name}\", {variant}, {name});\n    }}\n",
            grouped(*rows),
            grouped(*columns)
        );
    }
    text + "}\n"
}
