//! The addition on vectors.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::AddArgs;
use crate::Part;
use crate::vector::{Tier, load_tail, store_tail};

#[inline(always)]
pub(super) fn add<T: Tier>(tier: T, args: &AddArgs<'_>, part: Part) {
    let range = part.range(args.input.len(), 16);
    // SAFETY: only this share has this range.
    let output = unsafe { args.output.slice_mut(range.clone()) };
    let input = &args.input[range];
    let scale = tier.splat(args.scale);
    for index in (0..output.len()).step_by(T::LANES) {
        let sum = tier.fma(scale, load_tail(tier, input, index), load_tail(tier, output, index));
        store_tail(tier, output, index, sum);
    }
}
