//! The specification of the gather.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{EmbedArgs, share};
use crate::Part;

pub(super) fn embed(args: &EmbedArgs<'_>, part: Part) {
    let (tokens, columns) = share(args.tokens.len(), args.width, part);
    let group_bytes = args.layout.group_bytes(args.width);
    for token in tokens {
        let row = args.tokens[token] as usize;
        assert!(row < args.vocabulary, "token {row} of a vocabulary of {}", args.vocabulary);
        let start = token * args.width + columns.start;
        // SAFETY: only this share has these columns of this token.
        let output = unsafe { args.output.slice_mut(start..start + columns.len()) };
        let group = &args.table[row / args.layout.interleave * group_bytes..][..group_bytes];
        args.layout.read_row(group, row % args.layout.interleave, columns.start, output);
        for value in output.iter_mut() {
            *value *= args.scale;
        }
        if let Some(positions) = args.positions {
            for (value, position) in output.iter_mut().zip(&positions[start..]) {
                *value += position;
            }
        }
    }
}
