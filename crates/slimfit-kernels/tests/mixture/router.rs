//! Scores, choices and weights.

use crate::{SEED, execute, tiers};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_kernels::{
    Invocation, Isa, Kernels, Operation, PackedMatrix, Route, RouteArgs, SharedMut, scratch_bytes,
};
use slimfit_quantity::NumberFormat;
use slimfit_testing::Guarded;

struct Routing {
    experts: usize,
    top_k: usize,
    normalise: bool,
    columns: usize,
    tokens: usize,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    input: Vec<f32>,
}

impl Routing {
    /// All scores, then all choices.
    fn run(&self, kernels: &Kernels, shares: usize) -> Vec<f32> {
        let operation = Route {
            columns: self.columns as u64,
            experts: self.experts as u64,
            top_k: self.top_k as u64,
            normalise: self.normalise,
            bias: self.bias.is_some(),
        };
        let described = Operation::Route(operation);
        let mut matrix =
            PackedMatrix::new(NumberFormat::F32, self.experts, self.columns, kernels.isa()).unwrap();
        matrix.pack_rows(0, &self.weights).unwrap();
        let input = Guarded::ending(&self.input);
        let bias = self.bias.as_deref().map(Guarded::ending);
        let mut routing = Guarded::ending(&vec![f32::NAN; self.tokens * (self.experts + 2 * self.top_k)]);
        let mut scratch = Guarded::ending(&vec![0xff_u8; scratch_bytes(&described, self.tokens, 0, shares)]);
        let args = RouteArgs::new(
            &operation,
            self.tokens,
            &matrix,
            bias.as_deref(),
            &input,
            SharedMut::new(&mut routing),
            SharedMut::new(&mut scratch),
        );
        execute(kernels, &described, self.tokens, &Invocation::Route(args), shares);
        routing.to_vec()
    }
}

#[test]
fn the_best_experts_are_chosen_with_their_shares_of_the_softmax() {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for kernels in tiers() {
        for (experts, top_k, columns, tokens) in [
            (1, 1, 7, 1),
            (2, 1, 16, 3),
            (4, 2, 64, 1),
            (7, 7, 33, 2),
            (8, 3, 32, 9),
            (17, 4, 40, 1),
            (64, 8, 96, 33),
            (128, 16, 31, 2),
        ] {
            for (normalise, bias) in [(false, false), (true, true)] {
                let mut values = |count| (0..count).map(|_| random.random_range(-1.0..1.0)).collect();
                let routing = Routing {
                    experts,
                    top_k,
                    normalise,
                    columns,
                    tokens,
                    weights: values(experts * columns),
                    bias: bias.then(|| values(experts)),
                    input: values(tokens * columns),
                };
                for shares in [1, 2, 5] {
                    check_choices(&routing, &routing.run(&kernels, shares), kernels.isa());
                }
            }
        }
    }
}

fn check_choices(routing: &Routing, found: &[f32], isa: Isa) {
    let &Routing { experts, top_k, columns, tokens, .. } = routing;
    for token in 0..tokens {
        let input = &routing.input[token * columns..][..columns];
        let scores: Vec<f64> = (0..experts)
            .map(|expert| {
                let weights = &routing.weights[expert * columns..][..columns];
                let sum: f64 = weights.iter().zip(input).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                sum + routing.bias.as_ref().map_or(0.0, |bias| f64::from(bias[expert]))
            })
            .collect();
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let sum = |chosen: &[usize]| -> f64 { chosen.iter().map(|&expert| scores[expert].exp()).sum() };
        let total = if routing.normalise { sum(&order[..top_k]) } else { sum(&order) };
        let choices = &found[tokens * experts + token * 2 * top_k..][..2 * top_k];
        for rank in 0..top_k {
            let (expert, weight) = (choices[rank], f64::from(choices[top_k + rank]));
            let what = format!("rank {rank} of token {token}, {top_k} of {experts}, {isa}, seed {SEED:#x}");
            assert_eq!(expert, order[rank] as f32, "{what}");
            let expected = scores[order[rank]].exp() / total;
            // The scores' own rounding, 2 √k 2⁻²⁴ Σ|w||x|, stands in the exponent.
            assert!((weight - expected).abs() <= 1e-5 * expected, "{what}: {weight} for {expected}");
        }
    }
}

#[test]
fn of_equal_scores_the_lower_expert_is_chosen_and_sums_are_exact() {
    for kernels in tiers() {
        let (experts, columns) = (9, 8);
        // Scores 0, 1, 2, 0, 1, 2 …
        let weights = (0..experts * columns).map(|place| (place / columns % 3) as f32 / 8.0).collect();
        let routing = Routing {
            experts,
            top_k: 5,
            normalise: false,
            columns,
            tokens: 1,
            weights,
            bias: None,
            input: vec![1.0; columns],
        };
        let found = routing.run(&kernels, 2);
        assert_eq!(found[..9], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
        assert_eq!(found[9..14], [2.0, 5.0, 8.0, 1.0, 4.0]);
    }
}

#[test]
fn scores_that_are_no_numbers_choose_each_expert_at_most_once() {
    for kernels in tiers() {
        let routing = Routing {
            experts: 5,
            top_k: 4,
            normalise: true,
            columns: 1,
            tokens: 1,
            weights: vec![1.0, f32::NAN, 3.0, f32::NAN, f32::INFINITY],
            bias: None,
            input: vec![1.0],
        };
        let mut chosen = routing.run(&kernels, 1)[5..9].to_vec();
        chosen.sort_by(f32::total_cmp);
        chosen.dedup();
        assert!(chosen.len() == 4 && chosen.iter().all(|&expert| (0.0..5.0).contains(&expert)));
    }
}
