//! The choice with exponentials on vectors. Weights are off by at most 2⁻²⁰ of themselves.

#![expect(unsafe_code, reason = "reads the shared scores and writes its own tokens' choices")]

use super::{RouteArgs, largest};
use crate::Part;
use crate::vector::{Tier, exp, load_tail, store_tail};

#[inline(always)]
pub(super) fn choose<T: Tier>(tier: T, args: &RouteArgs<'_>, part: Part) {
    let (experts, top_k) = (args.product.rows(), args.top_k);
    for token in part.range(args.product.tokens, 1) {
        // SAFETY: the phases before wrote the scores; nobody writes them in this one.
        let scores = unsafe { args.product.output.slice(token * experts..(token + 1) * experts) };
        // SAFETY: only this share has this token.
        let choices = unsafe { args.choices.slice_mut(token * 2 * top_k..(token + 1) * 2 * top_k) };
        let (numbers, kept) = choices.split_at_mut(top_k);
        largest(scores, numbers, kept);
        let highest = kept[0];
        let total = if args.normalise { powers(tier, kept, highest) } else { powers(tier, scores, highest) };
        let (highest, total) = (tier.splat(highest), tier.splat(total));
        for index in (0..top_k).step_by(T::LANES) {
            let power = exp(tier, tier.sub(load_tail(tier, kept, index), highest));
            store_tail(tier, kept, index, tier.div(power, total));
        }
    }
}

/// `Σ e^(score − highest)`.
#[inline(always)]
fn powers<T: Tier>(tier: T, scores: &[f32], highest: f32) -> f32 {
    let highest = tier.splat(highest);
    let whole = scores.len() / T::LANES * T::LANES;
    let mut sum = tier.splat(0.0);
    for index in (0..whole).step_by(T::LANES) {
        sum = tier.add(sum, exp(tier, tier.sub(load_tail(tier, scores, index), highest)));
    }
    let mut total = tier.sum(sum);
    if whole < scores.len() {
        let mut lanes = [0.0; 16];
        store_tail(tier, &mut lanes, 0, exp(tier, tier.sub(load_tail(tier, scores, whole), highest)));
        for lane in &lanes[..scores.len() - whole] {
            total += lane;
        }
    }
    total
}
