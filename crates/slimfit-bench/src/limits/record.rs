//! The record of the limits, its table and its goals.

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};
use slimfit_quantity::{Figure, format_bytes};
use std::fmt;
use std::path::PathBuf;

/// Ratios to the peer that count as reached, in memory and everywhere else.
const MEMORY_GOAL: f64 = 0.95;
const GOAL: f64 = 0.97;
/// A share of the ports' limit above this breaks it: the clock beside it is known to half a per cent.
const ABOVE: f64 = 1.005;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The processor's name.
    pub name: String,
    /// The cap on our instruction set.
    pub isa: String,
    /// The limits.
    pub cells: Vec<LimitCell>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitCell {
    /// `L1`, `L2`, `L3`, `Ram` or a type.
    pub what: String,
    /// Threads.
    pub threads: usize,
    /// Bytes that all threads read together; nothing for multiply-adds.
    pub bytes: Option<u64>,
    /// Our loop.
    pub ours: String,
    /// Bytes or operations per second of it.
    pub per_s: Figure,
    /// The peer's kernel.
    pub peer: Option<String>,
    /// Bytes or operations per second of that.
    pub peer_per_s: Option<Figure>,
    /// Ours ÷ the peer's, pair by pair.
    pub ratio: Option<Figure>,
    /// Our rate in huge pages ÷ that in the pages the peer has.
    pub huge_pages_gain: Option<Figure>,
    /// What the ports allow, where we know them.
    pub limit: Option<Limit>,
}

/// What the ports of a core allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Bytes or operations of all threads in one cycle.
    pub per_cycle: f64,
    /// The effective clock right after each run of ours.
    pub clock_hz: Figure,
    /// Our rate ÷ (work per cycle × clock), run by run.
    pub share: Figure,
}

impl LimitCell {
    fn goal(&self) -> f64 {
        if self.what == "Ram" { MEMORY_GOAL } else { GOAL }
    }

    /// The share of what is to be reached: of the peer where there is one, else of the ports' limit.
    fn reached(&self) -> Option<f64> {
        match (&self.ratio, &self.limit) {
            (Some(ratio), _) => ratio.value,
            (None, Some(limit)) if self.bytes.is_none() => limit.share.value,
            _ => None,
        }
    }

    fn verdict(&self) -> &'static str {
        let above =
            self.limit.as_ref().and_then(|limit| limit.share.value).is_some_and(|share| share > ABOVE);
        match self.reached() {
            _ if above => "ABOVE THE LIMIT",
            Some(share) if share >= self.goal() => "OK",
            Some(_) => "short",
            None => "no yardstick",
        }
    }
}

impl Record {
    /// The cells of several records of one machine.
    ///
    /// # Errors
    /// A file that cannot be read, or one of another machine.
    pub fn merged(files: &[PathBuf]) -> Result<Self> {
        let mut merged: Option<Self> = None;
        for file in files {
            let text = std::fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
            let next: Self = serde_json::from_str(&text).with_context(|| format!("`{}`", file.display()))?;
            match &mut merged {
                Some(known) => {
                    ensure!(
                        (&known.name, &known.isa) == (&next.name, &next.isa),
                        "`{}` is of `{}` capped at `{}`, not of `{}` capped at `{}`",
                        file.display(),
                        next.name,
                        next.isa,
                        known.name,
                        known.isa
                    );
                    known.cells.extend(next.cells);
                }
                None => merged = Some(next),
            }
        }
        merged.context("no record was given")
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, our instruction set {}", self.name, self.isa)?;
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(
            [
                "limit",
                "loop",
                "likwid-bench",
                "threads",
                "bytes",
                "ours G/s",
                "± %",
                "likwid G/s",
                "± %",
                "n",
                "ratio",
                "quartiles",
                "goal",
                "verdict",
                "of the ports",
                "most",
                "GHz",
                "huge pages",
            ],
        );
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for cell in &self.cells {
            let peer = cell.peer_per_s.as_ref();
            let limit = cell.limit.as_ref();
            table.add_row([
                cell.what.clone(),
                cell.ours.clone(),
                cell.peer.clone().unwrap_or_else(dash),
                cell.threads.to_string(),
                cell.bytes.map_or_else(dash, |bytes| format_bytes(bytes as f64)),
                giga(Some(&cell.per_s), 1),
                spread(Some(&cell.per_s)),
                giga(peer, 1),
                spread(peer),
                cell.ratio.as_ref().unwrap_or(&cell.per_s).n.to_string(),
                value(cell.ratio.as_ref()),
                quartiles(cell.ratio.as_ref()),
                format!("≥ {}", cell.goal()),
                cell.verdict().to_owned(),
                value(limit.map(|limit| &limit.share)),
                limit.and_then(|limit| limit.share.high).map_or_else(dash, |high| format!("{high:.3}")),
                giga(limit.map(|limit| &limit.clock_hz), 2),
                value(cell.huge_pages_gain.as_ref()),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "G/s: 10⁹ bytes or operations per second. ratio: ours ÷ likwid-bench, median of pairs in pages of one kind. \
             of the ports: ours ÷ (work that the core's ports allow in a cycle × clock), median; most: its upper quartile. \
             n: pairs, or runs where there is no peer. huge pages: what they bring ours."
        )
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn value(figure: Option<&Figure>) -> String {
    figure.and_then(|figure| figure.value).map_or_else(dash, |value| format!("{value:.3}"))
}

fn giga(figure: Option<&Figure>, digits: usize) -> String {
    figure.and_then(|figure| figure.value).map_or_else(dash, |value| format!("{:.digits$}", value * 1e-9))
}

fn quartiles(figure: Option<&Figure>) -> String {
    match figure.map(|figure| (figure.low, figure.high)) {
        Some((Some(low), Some(high))) => format!("{low:.3}–{high:.3}"),
        _ => dash(),
    }
}

/// Half the distance of the quartiles, in per cent of the value.
fn spread(figure: Option<&Figure>) -> String {
    match figure.map(|figure| (figure.value, figure.low, figure.high)) {
        Some((Some(value), Some(low), Some(high))) => format!("{:.1}", 50.0 * (high - low).abs() / value),
        _ => dash(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(what: &str, ratio: Option<f64>, share: f64) -> LimitCell {
        LimitCell {
            what: what.to_owned(),
            threads: 1,
            bytes: (what == "Ram" || what == "L1").then_some(1000),
            ours: "read-avx2-s1".to_owned(),
            per_s: Figure::read(2e9),
            peer: None,
            peer_per_s: None,
            ratio: ratio.map(Figure::read),
            huge_pages_gain: None,
            limit: Some(Limit { per_cycle: 64.0, clock_hz: Figure::read(3e9), share: Figure::read(share) }),
        }
    }

    #[test]
    fn memory_has_a_goal_of_its_own_and_the_ports_bind_all() {
        assert_eq!(cell("Ram", Some(0.96), 0.1).verdict(), "OK");
        assert_eq!(cell("L1", Some(0.96), 0.9).verdict(), "short");
        assert_eq!(cell("L1", Some(1.2), 1.02).verdict(), "ABOVE THE LIMIT");
        assert_eq!(cell("Int8", None, 0.98).verdict(), "OK", "without a peer the ports are the yardstick");
        assert_eq!(cell("Ram", None, 0.1).verdict(), "no yardstick", "no port limits memory");
    }

    #[test]
    fn records_of_one_machine_merge() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, record: &Record| {
            let file = folder.path().join(name);
            std::fs::write(&file, serde_json::to_string(record).unwrap()).unwrap();
            file
        };
        let record = Record { name: "A".into(), isa: "avx2".into(), cells: vec![cell("L1", Some(1.0), 0.9)] };
        let other = Record { isa: "avx512".into(), ..record.clone() };
        let (one, two, third) = (write("1", &record), write("2", &record), write("3", &other));
        let merged = Record::merged(&[one.clone(), two]).unwrap();
        assert_eq!(merged.cells.len(), 2);
        assert!(merged.to_string().contains("read-avx2-s1"));
        assert!(Record::merged(&[one, third]).unwrap_err().to_string().contains("`avx512`"));
    }
}
