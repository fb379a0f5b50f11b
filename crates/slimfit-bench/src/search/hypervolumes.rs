//! Hypervolumes beside moocore's.

use crate::clouds;
use crate::peer::Peer;
use crate::row::{Row, both, seconds};
use crate::timing::in_turns;
use anyhow::Result;
use serde_json::json;
use slimfit_search::hypervolume;

/// Objectives, points, how they are written, and the most seconds.
const CASES: [(usize, usize, &str, f64); 4] =
    [(2, 100_000, "10⁵", 1.0), (3, 100_000, "10⁵", 1.0), (4, 10_000, "10⁴", 5.0), (5, 600, "600", 5.0)];
/// Sums of as many rounded terms may differ by so much of their value.
const AGREEMENT: f64 = 1e-10;

/// A row for each case.
pub fn rows(peer: &mut Peer) -> Result<Vec<Row>> {
    CASES
        .iter()
        .map(|(dimensions, count, written, goal)| row(peer, *dimensions, *count, written, *goal))
        .collect()
}

fn row(peer: &mut Peer, dimensions: usize, count: usize, written: &str, goal: f64) -> Result<Row> {
    let values = clouds::sphere(count, dimensions, true);
    let reference = vec![1.1; dimensions];
    let file = peer.write("points", values.iter().map(|value| value.to_le_bytes()))?;
    let request =
        json!({"do": "hypervolume", "file": file, "dimensions": dimensions, "reference": reference});
    let (own, other) = (hypervolume(&values, &reference), peer.number(&request, "value")?);
    let turns = in_turns(|| hypervolume(&values, &reference), || peer.number(&request, "seconds"))?;
    peer.ask(&json!({"do": "forget"}))?;
    let difference = (own / other - 1.0).abs();
    let slowest = turns.ours[0].max(turns.ours[1]);
    Ok(Row {
        what: format!("hypervolume, {written} on a sphere × {dimensions}"),
        goal: format!("moocore's; ≤ {goal} s"),
        ours: both(turns.ours, seconds),
        peer: both(turns.peer, seconds),
        met: Some(difference <= AGREEMENT && slowest <= goal),
        remark: format!("{own:.9}, differs by {difference:.0e}"),
        figures: json!({"ours_seconds": turns.ours, "peer_seconds": turns.peer, "ours": own, "peer": other}),
    })
}
