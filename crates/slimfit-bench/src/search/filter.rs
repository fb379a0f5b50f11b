//! The non-dominated filter beside moocore's.

use crate::clouds;
use crate::peer::Peer;
use crate::row::{Row, both, seconds};
use crate::timing::in_turns;
use anyhow::Result;
use serde_json::json;
use slimfit_search::non_dominated;

/// Clouds and objectives; whether a goal stands for it.
pub fn rows(peer: &mut Peer) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for dimensions in [2, 3, 4, 5] {
        let what = format!("filter, 10⁶ uniform points × {dimensions}");
        rows.push(row(peer, what, &clouds::uniform(1_000_000, dimensions), dimensions)?);
    }
    for (shape, bulging) in [("bulging", true), ("hollow", false)] {
        for dimensions in [3, 4, 5] {
            let what = format!("filter, 10⁵ on a {shape} sphere × {dimensions}");
            rows.push(row(peer, what, &clouds::sphere(100_000, dimensions, bulging), dimensions)?);
        }
    }
    Ok(rows)
}

fn row(peer: &mut Peer, what: String, values: &[f64], dimensions: usize) -> Result<Row> {
    let file = peer.write("points", values.iter().map(|value| value.to_le_bytes()))?;
    peer.ask(&json!({"do": "load", "file": file, "dimensions": dimensions}))?;
    let request = json!({"do": "non_dominated", "file": file, "dimensions": dimensions});
    let mut named = request.clone();
    named["out"] = json!(peer.file("kept"));
    peer.ask(&named)?;
    let kept = non_dominated(values, dimensions);
    let same = kept == peer.places("kept")?;
    let turns = in_turns(|| non_dominated(values, dimensions), || peer.number(&request, "seconds"))?;
    // The next cloud has the same name.
    peer.ask(&json!({"do": "forget"}))?;
    let ratio = turns.least_ratio();
    Ok(Row {
        what,
        goal: if dimensions < 5 { "faster than moocore".to_owned() } else { String::new() },
        ours: both(turns.ours, seconds),
        peer: both(turns.peer, seconds),
        met: if dimensions < 5 { Some(same && ratio > 1.0) } else { None },
        remark: if same {
            format!("{} kept by both, {ratio:.1} ×", kept.len())
        } else {
            format!("DIFFERENT POINTS: {} kept", kept.len())
        },
        figures: json!({"ours_seconds": turns.ours, "peer_seconds": turns.peer, "kept": kept.len(), "same": same}),
    })
}
