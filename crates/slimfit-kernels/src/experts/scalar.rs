//! The specification of the experts, token by token from the specifications of the product and of the non-linearity.
//! All of it is done in the first phase, split by tokens.

#![expect(unsafe_code, reason = "writes its own tokens of the output and its own scratch")]

use super::{ExpertsArgs, ExpertsRun};
use crate::Part;
use crate::activate::scalar::activate;
use crate::matmul::scalar::gemv;

pub(super) fn experts(run: &ExpertsRun<'_>, part: Part) {
    if part.phase > 0 {
        return;
    }
    let seat = run.args.seat.map_or(part.index, |seat| seat.index);
    // Its products know of one thread: the stretch of scratch is this one's alone.
    let args = &ExpertsArgs { seat: None, ..run.args };
    let shape = args.shape();
    let own = shape.specification_bytes();
    let floats = |count: usize| (4 * count).next_multiple_of(64);
    let scratch = args.scratch.part(seat * own..(seat + 1) * own);
    let up = scratch.part(0..4 * shape.up_rows()).cast::<f32>();
    let after_up = floats(shape.up_rows());
    let inner = scratch.part(after_up..after_up + 4 * args.size).cast::<f32>();
    let product = scratch.part(after_up + floats(args.size)..own);
    for token in part.range(args.tokens, 1) {
        let input = &args.input[token * args.columns..][..args.columns];
        let output = args.output.part(token * args.columns..(token + 1) * args.columns);
        if args.accumulate.is_none() {
            // SAFETY: only this share has this token.
            unsafe { output.slice_mut(0..args.columns) }.fill(0.0);
        }
        for rank in 0..args.top_k {
            let (expert, weight) = args.choice(token, rank);
            gemv(&args.product_up(expert, 1, input, up, product), Part::whole(0));
            // SAFETY: this share's own scratch, which nobody writes while the slice is used.
            let gate_up = unsafe { up.slice(0..up.len()) };
            activate(&args.activation(1, gate_up, inner), Part::whole(0));
            // SAFETY: as above.
            let inner = unsafe { inner.slice(0..inner.len()) };
            let mut down = args.product_down(expert, 1, inner, output, product);
            down.accumulate = Some(args.accumulate.unwrap_or(1.0) * weight);
            gemv(&down, Part::whole(0));
        }
    }
}
