//! Solves models of 24 layers of 20 kinds and prints how long that takes, how many labels there are, the proven ε, and how
//! far the front is from a finer run's, by hypervolume.
//!
//! `cargo run --release -p slimfit-search --example layers -- [--epsilon E] [--reference E] [--labels N] [--reference-labels N]
//! [--spread S] [--four]`: three quantities (parameters, decoding, bytes), or four with prefill; costs of kinds vary by up to `S`.

use slimfit_search::LogScale;
use slimfit_search::layers::{Direction, Options, Positions, Problem, Solution, solve};

/// Made-up but of the size that small models have: width 512, 8-bit weights, a device that reads 20 GB/s and computes 100
/// GFLOP/s, a context of 1024 tokens.
fn problem(four: bool, spread: f64) -> Problem {
    let (width, head) = (512.0, 64.0);
    let mut kinds = Vec::new();
    for window in [false, true] {
        for kv_heads in [2.0, 4.0, 8.0] {
            for ratio in [1.5, 2.0, 3.0, 4.0] {
                if window && kv_heads == 8.0 {
                    continue;
                }
                let attention = width * width * 2.0 + 2.0 * width * kv_heads * head;
                let feed_forward = 3.0 * width * f64::round(width * ratio / 32.0) * 32.0;
                let parameters = attention + feed_forward + 2.0 * width;
                let reach: f64 = if window { 512.0 } else { 1024.0 };
                let cache = 2.0 * kv_heads * head * 2.0 * reach;
                let weights = parameters * 1.0625;
                // Narrow matrices read slower, wide ones multiply faster.
                let decode = (attention * 1.0625 * (1.0 + 0.4 / kv_heads)
                    + feed_forward * 1.0625 * (1.0 + 0.1 / ratio))
                    / 20e9
                    + cache / 15e9
                    + 3e-6;
                let prefill =
                    512.0 * 2.0 * (attention * (1.0 + 0.5 / kv_heads) + feed_forward * (1.0 + 0.3 / ratio))
                        / 100e9
                        + 512.0 * reach * width * 2.0 / 40e9;
                // What regular formulas leave out: each kind is better at one thing than at another.
                let number = kinds.len() as f64 + 1.0;
                let odd = |root: f64| 1.0 + spread * (number * root).fract();
                let bytes = ((weights + cache) * odd(2.0_f64.sqrt())).round();
                let mut values = vec![parameters, decode * odd(5.0_f64.sqrt()), bytes];
                if four {
                    values.push(prefill * odd(3.0_f64.sqrt()));
                }
                kinds.push(values);
            }
        }
    }
    let table = 32_000.0 * width;
    let mut fixed = vec![table, table * 1.0625 / 20e9, table * 1.0625];
    let mut directions = vec![Direction::Most, Direction::Least, Direction::Least];
    if four {
        fixed.push(table * 2.0 / 100e9);
        directions.push(Direction::Least);
    }
    let all = (0..kinds.len()).collect();
    Problem {
        directions,
        fixed,
        positions: vec![Positions { count: 24, kinds: all }],
        kinds,
        ..Problem::default()
    }
}

fn print(name: &str, solution: &Solution) {
    println!(
        "{name}: {:.2} s, {} labels, epsilon {:.5}, exact {}, {:?} multisets, {:?} sequences",
        solution.duration.as_secs_f64(),
        solution.labels.len(),
        solution.epsilon,
        solution.exact,
        solution.multisets.unwrap_or_default(),
        solution.sequences.unwrap_or_default(),
    );
    println!("    {:?}", solution.tally);
}

/// Sums as one list; what is to be the most as its inverse, so that less is better.
fn flat(problem: &Problem, solution: &Solution) -> Vec<f64> {
    let better = |(sum, direction): (&f64, &Direction)| match direction {
        Direction::Least => *sum,
        Direction::Most => 1.0 / sum,
    };
    solution.labels.iter().flat_map(|label| label.sums.iter().zip(&problem.directions).map(better)).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|place| arguments.get(place + 1))
    };
    let epsilon: f64 = value("--epsilon").map_or(Ok(0.01), |text| text.parse())?;
    let finer: f64 = value("--reference").map_or(Ok(epsilon / 3.0), |text| text.parse())?;
    let most_labels: usize = value("--labels").map_or(Ok(8_000_000), |text| text.parse())?;
    let reference_labels: usize =
        value("--reference-labels").map_or(Ok(8 * most_labels), |text| text.parse())?;
    let spread: f64 = value("--spread").map_or(Ok(0.3), |text| text.parse())?;
    let problem = problem(arguments.iter().any(|argument| argument == "--four"), spread);
    let workers = std::thread::available_parallelism()?.get();
    println!("{} kinds", problem.kinds.len());
    let options = Options { most_labels, finest_epsilon: epsilon, workers, ..Options::default() };
    let solution = solve(&problem, &options)?;
    print("run", &solution);
    let reference =
        solve(&problem, &Options { finest_epsilon: finer, most_labels: reference_labels, ..options })?;
    print("reference", &reference);
    let (ours, theirs) = (flat(&problem, &solution), flat(&problem, &reference));
    let scale = LogScale::of_union(&[&ours, &theirs], problem.directions.len())?;
    let (a, b) = (scale.hypervolume(&ours), scale.hypervolume(&theirs));
    println!("hypervolume {a:.6} of {b:.6}: ratio {:.6}", a / b);
    Ok(())
}
