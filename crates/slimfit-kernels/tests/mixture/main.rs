//! The router and the experts on every tier of this machine, against exact integers and against f64.
//!
//! All buffers end at guard pages, outputs are poisoned, and work is done in 1, 2 and 5 shares.
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

mod experts;
mod router;

use slimfit_kernels::{
    ActivationFunction, Experts, Invocation, Isa, Kernels, Operation, Part, Route, phases,
};
use slimfit_quantity::NumberFormat;

const SEED: u64 = 0x51_1f19;

/// Of every tier of this machine or, where `SLIMFIT_ISA` names one, of that one.
fn tiers() -> impl Iterator<Item = Kernels> {
    Isa::named()
        .unwrap()
        .map_or_else(Isa::available, |isa| vec![isa])
        .into_iter()
        .map(|isa| Kernels::for_isa(isa).unwrap())
}

/// Does all shares of all phases, one after the other.
fn execute(
    kernels: &Kernels,
    operation: &Operation,
    tokens: usize,
    invocation: &Invocation<'_>,
    shares: usize,
) {
    Kernels::supports(operation).unwrap();
    for phase in 0..phases(operation, tokens) {
        for index in 0..shares {
            kernels.execute(invocation, Part { phase, index, of: shares });
        }
    }
}

#[test]
fn impossible_choices_and_partial_blocks_are_refused_by_name() {
    let route = |experts, top_k| {
        Kernels::supports(&Operation::Route(Route {
            columns: 32,
            experts,
            top_k,
            normalise: true,
            bias: false,
        }))
    };
    assert!(route(4, 4).is_ok());
    for (experts, top_k) in [(4, 0), (4, 5), ((1 << 24) + 1, 2)] {
        let error = route(experts, top_k).unwrap_err().to_string();
        assert!(error.contains("`route`") && error.contains(&format!("{top_k} from {experts}")), "{error}");
    }
    let experts = |columns, size| {
        Kernels::supports(&Operation::Experts(Experts {
            columns,
            size,
            experts: 4,
            top_k: 2,
            gated: true,
            function: ActivationFunction::Silu,
            format: NumberFormat::Q8_0,
            accumulate: None,
        }))
    };
    assert!(experts(64, 32).is_ok());
    assert!(experts(64, 33).unwrap_err().to_string().contains("33 columns"));
    assert!(experts(65, 32).unwrap_err().to_string().contains("65 columns"));
}

#[test]
fn the_variant_that_is_named_is_the_product_that_runs() {
    let experts = Operation::Experts(Experts {
        columns: 64,
        size: 32,
        experts: 8,
        top_k: 2,
        gated: true,
        function: ActivationFunction::Silu,
        format: NumberFormat::Q8_0,
        accumulate: None,
    });
    for kernels in tiers() {
        for (tokens, kind) in [(1, "gemv"), (3, "gemv"), (5, "gemm"), (64, "gemm")] {
            let name = kernels.variant_name(&experts, tokens).unwrap();
            println!("{} {tokens}: {name}", kernels.isa());
            assert!(name.starts_with(kind), "{name} for {tokens} tokens");
        }
    }
}
