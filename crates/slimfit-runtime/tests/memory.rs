//! Peak memory of a model in a fresh child: this program itself, started anew.

use slimfit_arch::FeedForward;
use slimfit_kernels::Isa;
use slimfit_plan::{Plan, PlanOptions};
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{MEMORY_PROBE_ARGUMENT, MemoryRequest, WeightsFrom, measure_memory, memory_probe};
use slimfit_testing::synthetic;

const NAME: &str = "peak_memory_is_what_the_plan_says";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has(MEMORY_PROBE_ARGUMENT) {
        let request: MemoryRequest = serde_json::from_reader(std::io::stdin()).expect("a request on stdin");
        let report = memory_probe(&request).expect("the request runs");
        println!("{}", serde_json::to_string(&report).expect("a report is JSON"));
    } else if has("--list") {
        // What test runners ask before they run.
        if !has("--ignored") {
            println!("{NAME}: test");
        }
    } else {
        // As the standard harness does: `--skip NAME`, and names to keep.
        let (mut filters, mut skipped) = (Vec::new(), false);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--skip" {
                skipped |= rest.next().is_some_and(|name| NAME.contains(name.as_str()));
            } else if !argument.starts_with('-') {
                filters.push(argument);
            }
        }
        let kept = filters.is_empty() || filters.iter().any(|filter| NAME.contains(filter.as_str()));
        if !has("--ignored") && kept && !skipped {
            peak_memory_is_what_the_plan_says();
        }
    }
}

fn peak_memory_is_what_the_plan_says() {
    let mut architecture = synthetic::plain();
    architecture.hidden_size = 512;
    architecture.vocabulary_size = 8192;
    architecture.layers[0].repeat = 4;
    let FeedForward::Dense(mlp) = &mut architecture.layers[0].ffn else { panic!("`plain` is dense") };
    mlp.size = 2048;
    let request = MemoryRequest {
        architecture,
        weights: NumberFormat::Q8_0,
        kv: NumberFormat::F32,
        isa: Isa::best().name().to_owned(),
        threads: 2,
        prompt: 64,
        generate: 4,
        depth: 4000,
        chunk: 32,
        source: WeightsFrom::Seeded { seed: 1 },
        seed: 1,
    };
    let report = measure_memory(&request).expect("the child runs");
    let options = PlanOptions {
        chunk: 32,
        ..PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F32, Isa::best(), 2, 4004)
    };
    let planned =
        Plan::new(&request.architecture, options).expect("it can be planned").memory().total_bytes();
    let found = report.peak_memory_bytes();
    println!("{NAME}: planned {planned}, found {found}");
    // On top of the plan: the pieces that loading holds, and pages of the program touched for the first time.
    assert!(found >= planned, "{found} bytes found, {planned} planned");
    assert!(found < planned + (6 << 20), "{found} bytes found, {planned} planned");

    let refused =
        measure_memory(&MemoryRequest { isa: "abacus".to_owned(), ..request }).expect_err("no such set");
    assert!(refused.to_string().contains("abacus"), "{refused}");
}
