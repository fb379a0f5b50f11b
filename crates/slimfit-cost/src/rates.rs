//! What the profile's kernel times say about any shape: compute seconds of an operation whose data is near.

use crate::CostError;
use crate::curve::WorkCurve;
use slimfit_hardware::{HardwareProfile, KernelTime};
use slimfit_kernels::Operation;
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;

/// Kernel times of one thread count.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    /// Matrix products by format: seconds per multiply-add by tokens. Tokens decide how often a loaded weight is used,
    /// which decides the rate; the matrix's size does not, past a few rows.
    products: HashMap<NumberFormat, WorkCurve>,
    /// Everything else by kind, format and whether one or many tokens are computed: seconds by work.
    others: HashMap<(String, NumberFormat, bool), WorkCurve>,
    threads: u32,
}

impl Rates {
    pub(crate) fn new(profile: &HardwareProfile, threads: u32) -> Self {
        let mut products: HashMap<NumberFormat, Vec<(f64, f64)>> = HashMap::new();
        let mut others: HashMap<(String, NumberFormat, bool), Vec<(f64, f64)>> = HashMap::new();
        for time in profile.kernels.iter().filter(|time| time.threads == threads) {
            let Some(seconds) = time.seconds.value else { continue };
            let (tokens, work) = (time.batch as f64, sampled_work(time));
            if time.operation == "matmul" {
                // A curve over tokens of seconds for `tokens` multiply-adds: its slope is the rate.
                let per_weight = seconds / (time.rows as f64 * time.columns as f64);
                products.entry(time.format).or_default().push((tokens, per_weight));
            } else {
                let key = (time.operation.clone(), time.format, time.batch > 1);
                others.entry(key).or_default().push((work, seconds));
            }
        }
        let curves = |points: Vec<(f64, f64)>| WorkCurve::new(points);
        Self {
            products: products.into_iter().filter_map(|(key, points)| Some((key, curves(points)?))).collect(),
            others: others.into_iter().filter_map(|(key, points)| Some((key, curves(points)?))).collect(),
            threads,
        }
    }

    /// Compute seconds of `operation` on `tokens` tokens that see `keys` keys together.
    pub(crate) fn seconds(&self, operation: &Operation, tokens: f64, keys: f64) -> Result<f64, CostError> {
        if let Operation::MatMul(product) = operation {
            return self.product(product.format, product.rows as f64 * product.columns as f64, tokens);
        }
        if let Operation::Experts(experts) = operation {
            let rows = experts.size as f64 * if experts.gated { 3.0 } else { 2.0 };
            let visits = tokens * experts.top_k as f64;
            let (all, chosen) = (experts.experts as f64, experts.top_k as f64);
            let visited = all * (1.0 - (1.0 - chosen / all).powf(tokens));
            let each = self.product(experts.format, rows * experts.columns as f64, visits / visited)?;
            return Ok(visited * each);
        }
        if let Operation::Route(route) = operation {
            return self.product(NumberFormat::F32, (route.experts * route.columns) as f64, tokens);
        }
        let (format, work) = planned_work(operation, tokens, keys);
        let many = tokens > 1.0;
        let find = |many| self.others.get(&(operation.name().to_owned(), format, many));
        let curve = find(many).or_else(|| find(!many));
        curve.map(|curve| curve.seconds(work)).ok_or_else(|| CostError::Missing {
            what: format!(
                "times of the `{}` kernel in {format} with {} threads",
                operation.name(),
                self.threads
            ),
        })
    }

    fn product(&self, format: NumberFormat, weights: f64, tokens: f64) -> Result<f64, CostError> {
        let curve = self.products.get(&format).ok_or_else(|| CostError::Missing {
            what: format!("times of the `matmul` kernel in {format} with {} threads", self.threads),
        })?;
        Ok(weights * curve.seconds(tokens))
    }
}

/// Work of a sampled kernel: values for the element-wise kinds, query values × keys for attention.
fn sampled_work(time: &KernelTime) -> f64 {
    let keys = if time.operation == "attend" { time.columns as f64 } else { 1.0 };
    time.rows as f64 * keys * time.batch as f64
}

/// Format and work of a planned operation, counted like [`sampled_work`].
fn planned_work(operation: &Operation, tokens: f64, keys: f64) -> (NumberFormat, f64) {
    match operation {
        Operation::Embed(embed) => (embed.format, embed.width as f64 * tokens),
        Operation::Norm(norm) => (NumberFormat::F32, norm.width as f64 * tokens),
        Operation::RotateStore(rotate) => {
            (rotate.kv_format, (rotate.heads * rotate.head_size) as f64 * tokens)
        }
        Operation::Attend(attend) => (attend.kv_format, (attend.heads * attend.head_size) as f64 * keys),
        Operation::Activate(activate) => (NumberFormat::F32, activate.size as f64 * tokens),
        Operation::Add(add) => (NumberFormat::F32, add.width as f64 * tokens),
        Operation::MatMul(_) | Operation::Route(_) | Operation::Experts(_) => {
            unreachable!("priced as matrix products before")
        }
    }
}
