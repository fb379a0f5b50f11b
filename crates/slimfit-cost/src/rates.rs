//! What the profile's kernel times say about any shape: compute seconds of an operation whose data is near.

use crate::CostError;
use crate::curve::WorkCurve;
use crate::products::{Products, Sample};
use slimfit_hardware::{HardwareProfile, KernelTime};
use slimfit_kernels::{Activate, Add, Operation, QkNormKind};
use slimfit_plan::{Shape, visited_experts};
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;

/// Rotation of heads that are normed first: another kernel's time under the same operation.
const NORMED_ROTATION: &str = "rotate_store of normed heads";

/// Operation kind, format, and whether many tokens are computed.
type Kind = (String, NumberFormat, bool);
/// Work and seconds.
type Points = Vec<(f64, f64)>;

/// Kernel times of one thread count.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    /// Matrix products by format.
    products: HashMap<NumberFormat, Products>,
    /// Everything else by kind, format and whether one or many tokens are computed: seconds by work, one curve for
    /// each head layout.
    others: HashMap<Kind, Vec<(HeadLayout, WorkCurve)>>,
    threads: u32,
}

/// What decides an attention kernel's rate beside its work: the size of a head and how many query heads share a KV
/// head. The same value for kinds that have no heads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HeadLayout {
    head_size: f64,
    group: f64,
}

impl HeadLayout {
    pub(crate) const NONE: Self = Self { head_size: 1.0, group: 1.0 };

    pub(crate) fn new(head_size: u64, heads: u64, kv_heads: u64) -> Self {
        Self { head_size: head_size as f64, group: heads as f64 / kv_heads as f64 }
    }

    /// How far apart two layouts are, as factors.
    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.head_size / other.head_size).ln().abs() + (self.group / other.group).ln().abs()
    }
}

impl Rates {
    /// `barrier_seconds` is part of every sampled time of several threads, and comes off it: the model adds it to each
    /// operation itself.
    pub(crate) fn new(profile: &HardwareProfile, threads: u32, barrier_seconds: f64) -> Self {
        let mut products: HashMap<NumberFormat, Vec<Sample>> = HashMap::new();
        let mut others: HashMap<Kind, Vec<(HeadLayout, Points)>> = HashMap::new();
        for time in profile.kernels.iter().filter(|time| time.threads == threads) {
            let Some(sampled) = time.seconds.value else { continue };
            let seconds = (sampled - barrier_seconds).max(sampled / 2.0);
            let (tokens, work) = (time.batch as f64, sampled_work(time));
            if time.operation == "matmul" {
                let (rows, columns) = (time.rows as f64, time.columns as f64);
                products.entry(time.format).or_default().push(Sample { tokens, rows, columns, seconds });
                continue;
            }
            let layout = match (time.head_size, time.kv_heads) {
                (Some(size), Some(kv_heads)) => HeadLayout::new(size, time.rows / size.max(1), kv_heads),
                _ => HeadLayout::NONE,
            };
            let layouts = others.entry((sampled_name(time), time.format, time.batch > 1)).or_default();
            match layouts.iter_mut().find(|(known, _)| *known == layout) {
                Some((_, points)) => points.push((work, seconds)),
                None => layouts.push((layout, vec![(work, seconds)])),
            }
        }
        let curves = |layouts: Vec<(HeadLayout, Points)>| -> Vec<(HeadLayout, WorkCurve)> {
            layouts
                .into_iter()
                .filter_map(|(layout, points)| Some((layout, WorkCurve::new(points)?)))
                .collect()
        };
        Self {
            products: products
                .into_iter()
                .filter_map(|(key, points)| Some((key, Products::new(&points)?)))
                .collect(),
            others: others.into_iter().map(|(key, layouts)| (key, curves(layouts))).collect(),
            threads,
        }
    }

    /// Compute seconds of `operation` on `tokens` tokens that see `keys` keys together.
    pub(crate) fn seconds(&self, operation: &Operation, tokens: f64, keys: f64) -> Result<f64, CostError> {
        if let Operation::MatMul(product) = operation {
            return self.product(product.format, (product.rows, product.columns), tokens);
        }
        if let Operation::Experts(experts) = operation {
            let up_rows = experts.size * if experts.gated { 2 } else { 1 };
            let visits = tokens * experts.top_k as f64;
            let (size, gated, function) = (experts.size, experts.gated, experts.function);
            let activate = Operation::Activate(Activate { size, gated, function, scaled: false });
            let visited = visited_experts(experts, tokens);
            let each = self.product(experts.format, (up_rows, experts.columns), visits / visited)?
                + self.product(experts.format, (experts.columns, experts.size), visits / visited)?;
            let mut others = self.seconds(&activate, visits, 0.0)?;
            if tokens > 1.0 {
                // Rows are gathered for each expert, and its results are added to its tokens'.
                let add = Operation::Add(Add { width: experts.columns, scale: 1.0 });
                others += 2.0 * self.seconds(&add, visits, 0.0)?;
            }
            return Ok(visited * each + others);
        }
        if let Operation::Route(route) = operation {
            return self.product(NumberFormat::F32, (route.experts, route.columns), tokens);
        }
        let (format, layout, work) = planned_work(operation, tokens, keys);
        let many = tokens > 1.0;
        let find = |many| {
            let named = |name: String| self.others.get(&(name, format, many));
            // A profile of an earlier version has no heads that are normed.
            let layouts = named(planned_name(operation)).or_else(|| named(operation.name().to_owned()))?;
            layouts.iter().min_by(|(a, _), (b, _)| a.distance(layout).total_cmp(&b.distance(layout)))
        };
        let nearest = find(many).or_else(|| find(!many));
        nearest.map(|(_, curve)| curve.seconds(work)).ok_or_else(|| CostError::Missing {
            what: format!(
                "times of the `{}` kernel in {format} with {} threads",
                operation.name(),
                self.threads
            ),
        })
    }

    fn product(
        &self,
        format: NumberFormat,
        (rows, columns): (u64, u64),
        tokens: f64,
    ) -> Result<f64, CostError> {
        let products = self.products.get(&format).ok_or_else(|| CostError::Missing {
            what: format!("times of the `matmul` kernel in {format} with {} threads", self.threads),
        })?;
        Ok(products.seconds(rows as f64, columns as f64, tokens))
    }
}

/// The operation, heads that are normed first apart.
fn sampled_name(time: &KernelTime) -> String {
    if time.qk_norm { NORMED_ROTATION.to_owned() } else { time.operation.clone() }
}

fn planned_name(operation: &Operation) -> String {
    match operation {
        Operation::RotateStore(rotate) if rotate.qk_norm != QkNormKind::None => NORMED_ROTATION.to_owned(),
        _ => operation.name().to_owned(),
    }
}

/// Work of a sampled kernel: values for the element-wise kinds, query values × keys seen for attention, whose
/// `columns` are the keys in the cache when the last of the tokens has been added.
fn sampled_work(time: &KernelTime) -> f64 {
    if time.operation == "attend" {
        let first_position = time.columns.saturating_sub(time.batch);
        let shape = Shape { tokens: time.batch, first_position };
        return time.rows as f64 * shape.keys_seen(None) as f64;
    }
    time.rows as f64 * time.batch as f64
}

/// Format, head layout and work of a planned operation, counted like [`sampled_work`].
fn planned_work(operation: &Operation, tokens: f64, keys: f64) -> (NumberFormat, HeadLayout, f64) {
    let plain = |width: u64| (NumberFormat::F32, HeadLayout::NONE, width as f64 * tokens);
    match operation {
        Operation::Embed(embed) => (embed.format, HeadLayout::NONE, embed.width as f64 * tokens),
        Operation::Norm(norm) => plain(norm.width),
        Operation::Activate(activate) => plain(activate.size),
        Operation::Add(add) => plain(add.width),
        Operation::RotateStore(rotate) => (
            rotate.kv_format,
            HeadLayout::new(rotate.head_size, rotate.heads, rotate.kv_heads),
            (rotate.heads * rotate.head_size) as f64 * tokens,
        ),
        Operation::Attend(attend) => (
            attend.kv_format,
            HeadLayout::new(attend.head_size, attend.heads, attend.kv_heads),
            (attend.heads * attend.head_size) as f64 * keys,
        ),
        Operation::MatMul(_) | Operation::Route(_) | Operation::Experts(_) => {
            unreachable!("priced as matrix products before")
        }
    }
}
