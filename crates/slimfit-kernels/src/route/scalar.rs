//! The specification of the choice: exponentials and sums in f64.

#![expect(unsafe_code, reason = "reads the shared scores and writes its own tokens' choices")]

use super::{RouteArgs, largest};
use crate::Part;

pub(super) fn choose(args: &RouteArgs<'_>, part: Part) {
    let (experts, top_k) = (args.product.rows(), args.top_k);
    for token in part.range(args.product.tokens, 1) {
        // SAFETY: the phases before wrote the scores; nobody writes them in this one.
        let scores = unsafe { args.product.output.slice(token * experts..(token + 1) * experts) };
        // SAFETY: only this share has this token.
        let choices = unsafe { args.choices.slice_mut(token * 2 * top_k..(token + 1) * 2 * top_k) };
        let (numbers, kept) = choices.split_at_mut(top_k);
        largest(scores, numbers, kept);
        let highest = f64::from(kept[0]);
        let power = |score: f32| (f64::from(score) - highest).exp();
        let total: f64 = if args.normalise {
            kept.iter().map(|&score| power(score)).sum()
        } else {
            scores.iter().map(|&score| power(score)).sum()
        };
        for weight in kept {
            *weight = (power(*weight) / total) as f32;
        }
    }
}
