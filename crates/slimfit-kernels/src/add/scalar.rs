//! The specification of the addition.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::AddArgs;
use crate::Part;

pub(super) fn add(args: &AddArgs<'_>, part: Part) {
    let range = part.range(args.input.len(), 16);
    // SAFETY: only this share has this range.
    let output = unsafe { args.output.slice_mut(range.clone()) };
    for (y, x) in output.iter_mut().zip(&args.input[range]) {
        *y += args.scale * x;
    }
}
