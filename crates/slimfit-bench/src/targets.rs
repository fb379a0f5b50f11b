//! The goals, and whether what was measured reaches them.

use crate::peak_memory::ALLOWANCE;
use crate::record::{ModelCell, Record};
use slimfit_bench::test::Test;
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;

/// A goal beside what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What is compared.
    pub what: String,
    /// The goal, in words.
    pub goal: String,
    /// Cells behind it.
    pub cells: usize,
    /// Geometric mean over the cells.
    pub mean: f64,
    /// The smallest cell.
    pub minimum: f64,
    /// Which it is.
    pub worst: String,
    /// Whether mean and minimum reach the goal.
    pub reached: bool,
}

/// A goal for a set of cells: for their geometric mean, for each of them, or both.
#[derive(Debug, Clone, Copy)]
struct Goal {
    mean: Option<f64>,
    each: f64,
}

impl Goal {
    fn words(self) -> String {
        match self.mean {
            Some(mean) => format!("mean ≥ {mean}, each ≥ {}", self.each),
            None => format!("each ≥ {}", self.each),
        }
    }
}

/// Below this many parameters a model counts as in cache.
const IN_CACHE_PARAMETERS: u64 = 50_000_000;

/// Every goal that the record has cells for.
pub fn rows(record: &Record) -> Vec<Row> {
    let wide = record.isa.parse::<Isa>().is_ok_and(|isa| isa >= Isa::Avx512);
    let cells = &record.models;
    let mut rows = Vec::new();
    let large = |cell: &&ModelCell| cell.parameters >= IN_CACHE_PARAMETERS;
    for (class, from, to, goal) in [
        ("100–200M", 100_000_000, 200_000_000, 0.82),
        ("300–600M", 300_000_000, 600_000_000, 0.88),
        ("≥ 1B", 1_000_000_000, u64::MAX, 0.92),
    ] {
        rows.extend(row(
            &format!("decode, share of read bandwidth, {class}"),
            Goal { mean: None, each: goal },
            cells
                .iter()
                .filter(|cell| {
                    (from..to).contains(&cell.parameters) && is_decode_at(cell, |depth| depth == 0)
                })
                .filter_map(share),
        ));
    }
    rows.extend(row(
        "decode against llama.cpp, empty cache",
        Goal { mean: Some(if wide { 1.4 } else { 1.6 }), each: 1.15 },
        cells.iter().filter(large).filter(|cell| is_decode_at(cell, |depth| depth == 0)).filter_map(ratio),
    ));
    let deep = |cell: &&ModelCell| is_decode_at(cell, |depth| depth >= 1024);
    rows.extend(row(
        "decode against llama.cpp, 1024 in the cache",
        Goal { mean: Some(1.8), each: 1.25 },
        cells.iter().filter(large).filter(deep).filter_map(ratio),
    ));
    rows.extend(row(
        "decode with 1024 in the cache, share of read bandwidth",
        Goal { mean: None, each: 0.75 },
        cells.iter().filter(large).filter(deep).filter_map(share),
    ));
    let small = |cell: &&ModelCell| !large(cell) && is_decode_at(cell, |depth| depth == 0);
    rows.extend(row(
        "decode in cache against llama.cpp, 1 thread",
        Goal { mean: None, each: 2.0 },
        cells.iter().filter(small).filter(|cell| cell.threads == 1).filter_map(ratio),
    ));
    rows.extend(row(
        "decode in cache, gain of a second thread",
        Goal { mean: None, each: 1.0 },
        cells.iter().filter(small).filter(|cell| cell.threads == 1).filter_map(|one| {
            let same = |cell: &&ModelCell| {
                (&cell.model, cell.weights, cell.test, cell.threads) == (&one.model, one.weights, one.test, 2)
            };
            let two = cells.iter().find(same)?;
            Some((two.tokens_per_s.value? / one.tokens_per_s.value?, describe(one)))
        }),
    ));
    for (formats, words, mean) in [
        (&[NumberFormat::Q4_0, NumberFormat::Q8_0][..], "q4_0 and q8_0", 2.0),
        (&[NumberFormat::Bf16], "bf16", 1.3),
        (&[NumberFormat::F32], "f32", 1.0),
    ] {
        rows.extend(row(
            &format!("prefill against llama.cpp, {words}"),
            Goal { mean: Some(mean), each: 1.0 },
            cells
                .iter()
                .filter(large)
                .filter(|cell| matches!(cell.test, Test::Prefill { .. }) && formats.contains(&cell.weights))
                .filter_map(ratio),
        ));
    }
    for (formats, words, goal) in [
        (&[NumberFormat::Q4_0, NumberFormat::Q8_0][..], "int8 and int4", 0.60),
        (&[NumberFormat::Bf16], "bf16", 0.75),
        (&[NumberFormat::F32], "f32", 0.85),
    ] {
        rows.extend(row(
            &format!("product of 128 tokens and more, share of peak, {words}"),
            Goal { mean: None, each: goal },
            record
                .products
                .iter()
                .filter(|cell| cell.tokens >= 128 && formats.contains(&cell.weights))
                .filter_map(|cell| {
                    let (tokens, rows, columns) = (cell.tokens, cell.rows, cell.columns);
                    let which = format!("{} {tokens}×{rows}×{columns} ×{}", cell.weights, cell.threads);
                    Some((cell.share.value?, which))
                }),
        ));
    }
    rows.extend(row(
        "f32 product against the best of the libraries",
        Goal { mean: Some(1.0), each: 0.92 },
        record.float_products.iter().map(|cell| {
            let which =
                format!("{}×{}×{} ×{} ({:?})", cell.tokens, cell.rows, cell.columns, cell.threads, cell.peer);
            (cell.ratio, which.to_lowercase())
        }),
    ));
    rows.extend(row(
        "weights, cache and 64 MiB over peak memory",
        Goal { mean: None, each: 1.0 },
        record.memory.iter().map(|cell| {
            let allowed = cell.weight_bytes + cell.kv_bytes + ALLOWANCE;
            (allowed as f64 / cell.peak_bytes as f64, format!("{} {}", cell.model, cell.weights))
        }),
    ));
    rows
}

fn is_decode_at(cell: &ModelCell, wants: impl Fn(u64) -> bool) -> bool {
    matches!(cell.test, Test::Decode { depth } if wants(depth))
}

fn share(cell: &ModelCell) -> Option<(f64, String)> {
    Some((cell.share.value?, describe(cell)))
}

fn ratio(cell: &ModelCell) -> Option<(f64, String)> {
    Some((cell.llama.as_ref()?.ratio, describe(cell)))
}

fn describe(cell: &ModelCell) -> String {
    format!("{} {} {} ×{}", cell.model, cell.weights, cell.test, cell.threads)
}

fn row(what: &str, goal: Goal, cells: impl Iterator<Item = (f64, String)>) -> Option<Row> {
    let mut cells: Vec<(f64, String)> = cells.collect();
    let mean = (cells.iter().map(|(value, _)| value.ln()).sum::<f64>() / cells.len() as f64).exp();
    let count = cells.len();
    let (minimum, worst) = cells.drain(..).min_by(|a, b| a.0.total_cmp(&b.0))?;
    let reached = minimum >= goal.each && goal.mean.is_none_or(|goal| mean >= goal);
    Some(Row { what: what.to_owned(), goal: goal.words(), cells: count, mean, minimum, worst, reached })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disturbance::Disturbance;
    use crate::record::LlamaCell;
    use slimfit_quantity::Figure;

    fn cell(threads: usize, tokens_per_s: f64, share: f64, ratio: f64) -> ModelCell {
        ModelCell {
            model: "m".to_owned(),
            parameters: 135_000_000,
            weights: NumberFormat::Q4_0,
            threads,
            tuned_seconds: 0.0,
            test: Test::Decode { depth: 0 },
            tokens_per_s: Figure::read(tokens_per_s),
            retest_error: 0.0,
            share: Figure::read(share),
            sentinel_per_s: 1.0,
            disturbance: Disturbance::default(),
            exchange: None,
            llama: Some(LlamaCell {
                flash_attention: true,
                tokens_per_s: Figure::read(tokens_per_s / ratio),
                retest_error: 0.0,
                other_tokens_per_s: 1.0,
                ratio,
            }),
        }
    }

    #[test]
    fn means_are_geometric_and_minima_named() {
        let record = Record {
            models: vec![cell(1, 10.0, 0.9, 1.0), cell(2, 15.0, 0.8, 4.0)],
            ..Record::empty("avx2")
        };
        let rows = rows(&record);
        let whats: Vec<_> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(
            whats,
            ["decode, share of read bandwidth, 100–200M", "decode against llama.cpp, empty cache"]
        );
        assert!((rows[1].mean - 2.0).abs() < 1e-12 && !rows[1].reached, "{:?}", rows[1]);
        assert_eq!((rows[0].minimum, rows[0].worst.as_str(), rows[0].reached), (0.8, "m q4_0 d0 ×2", false));
    }

    #[test]
    fn the_goal_against_llama_depends_on_the_tier() {
        let reached = |isa| {
            let record = Record { models: vec![cell(1, 1.0, 0.9, 1.5)], ..Record::empty(isa) };
            rows(&record)[1].reached
        };
        assert!(!reached("avx2") && reached("avx512"));
    }

    #[test]
    fn a_second_thread_gains_where_it_is_faster() {
        let small = |threads, rate| ModelCell { parameters: 10_000_000, ..cell(threads, rate, 0.5, 3.0) };
        let record = Record { models: vec![small(1, 10.0), small(2, 12.0)], ..Record::empty("avx2") };
        let gain = rows(&record).into_iter().find(|row| row.what.contains("second thread")).unwrap();
        assert!((gain.mean - 1.2).abs() < 1e-12 && gain.reached && gain.cells == 1);
    }
}
