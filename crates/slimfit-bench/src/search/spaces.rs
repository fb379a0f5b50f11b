//! How long the exact fronts of the shipped spaces take, and how much memory.

use crate::program::{Program, Searched};
use crate::row::{Row, both, seconds};
use anyhow::Result;
use serde_json::json;
use slimfit_search::Space;

/// A shipped space and what its search should reach.
struct Goal {
    space: &'static str,
    /// Three leave out the time to the first token.
    objectives: usize,
    seconds: Option<f64>,
    memory_bytes: Option<f64>,
    /// The distance from the exact front that is allowed; infinite where any that is proven within the time will do.
    epsilon: f64,
}

const GIB: f64 = (1_u64 << 30) as f64;

/// Those that a build of slimfit does not have are left out.
const GOALS: [Goal; 4] = [
    Goal {
        space: "slm-edge",
        objectives: 4,
        seconds: Some(15.0),
        memory_bytes: Some(2.0 * GIB),
        epsilon: 0.0,
    },
    Goal { space: "slm-1b", objectives: 4, seconds: None, memory_bytes: None, epsilon: 0.0 },
    Goal {
        space: "slm-huge",
        objectives: 4,
        seconds: Some(120.0),
        memory_bytes: None,
        epsilon: f64::INFINITY,
    },
    Goal { space: "slm-layers", objectives: 3, seconds: Some(60.0), memory_bytes: None, epsilon: 0.01 },
];

/// Rows of the spaces named, or of all.
pub fn rows(program: &Program, named: &[String]) -> Result<Vec<Row>> {
    for name in named {
        let known = GOALS.map(|goal| goal.space);
        anyhow::ensure!(known.contains(&name.as_str()), "`--spaces {name}`: known are {}", known.join(", "));
    }
    let built: Vec<&str> = Space::builtin_names().collect();
    let mut rows = Vec::new();
    for goal in GOALS.iter().filter(|goal| named.is_empty() || named.iter().any(|name| name == goal.space)) {
        if built.contains(&goal.space) {
            rows.extend(measured(program, goal)?);
        } else {
            eprintln!("{} is not built in: left out", goal.space);
        }
    }
    Ok(rows)
}

fn measured(program: &Program, goal: &Goal) -> Result<[Row; 2]> {
    // Times and losses are compared per byte where tokens of several vocabularies would be.
    let names = if Space::load(goal.space, &[])?.vocabulary_is_axis() {
        ["loss_per_byte", "seconds_per_byte", "memory_bytes", "ttft_seconds"]
    } else {
        ["loss", "tpot_seconds", "memory_bytes", "ttft_seconds"]
    };
    let names = &names[..goal.objectives];
    // Such a search is stopped at the limit, and passes it by what stopping takes.
    let limit = goal.seconds.filter(|_| goal.epsilon.is_infinite());
    let search = || program.search(goal.space, names, None, limit);
    let runs: [Searched; 2] = [search()?, search()?];
    let of = |name: &str| -> Result<[f64; 2]> { Ok([runs[0].number(name)?, runs[1].number(name)?]) };
    let (times, memory) = (of("seconds")?, of("peak_memory_bytes")?);
    let epsilon = runs.each_ref().map(|run| run.number("epsilon").ok());
    let (size, evaluated, front) = (of("space_size")?[1], of("evaluated")?[1], of("front_size")?[1]);
    let within = |values: [f64; 2], limit: f64| values.iter().all(|value| *value <= limit);
    let is_near = epsilon.iter().all(|epsilon| epsilon.is_some_and(|epsilon| epsilon <= goal.epsilon));
    let promised = match goal.epsilon {
        0.0 => String::new(),
        f64::INFINITY => ", else a proven ε".to_owned(),
        epsilon => format!(", ε ≤ {epsilon}"),
    };
    let shown = epsilon[1].map_or_else(|| "not proven".to_owned(), |epsilon| epsilon.to_string());
    let time = Row {
        what: format!("front of {}, {} objectives", goal.space, goal.objectives),
        goal: goal.seconds.map_or_else(String::new, |limit| format!("≤ {limit} s{promised}")),
        ours: both(times, seconds),
        peer: String::new(),
        met: goal.seconds.map(|seconds| is_near && (limit.is_some() || within(times, seconds))),
        remark: format!(
            "{size:.3e} points, {:.1e}/s; {evaluated:.3e} evaluated; {front} on the front, ε {shown}",
            size / times[1],
        ),
        figures: json!({
            "seconds": times, "space_size": size, "evaluated": evaluated, "front_size": front, "epsilon": epsilon,
        }),
    };
    let memory = Row {
        what: format!("memory of {}", goal.space),
        goal: goal.memory_bytes.map_or_else(String::new, |limit| format!("≤ {} GiB", limit / GIB)),
        ours: both(memory, |bytes| format!("{:.2} GiB", bytes / GIB)),
        peer: String::new(),
        met: goal.memory_bytes.map(|limit| within(memory, limit)),
        remark: String::new(),
        figures: json!({"peak_memory_bytes": memory}),
    };
    Ok([time, memory])
}
