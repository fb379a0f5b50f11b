//! The experts by the products of a tier: all at once for one token, one after the other for several.

#![expect(
    unsafe_code,
    reason = "reads and writes shared scratch phase by phase, and calls kernels of its own tier"
)]

use super::{ExpertsRun, STEPS};
use crate::vector::{Tier, load_tail, store_tail};
use crate::{Part, SharedMut};
use std::ops::Range;

/// The parts of the scratch.
struct Scratch<'a> {
    lists: SharedMut<'a, u32>,
    rows: SharedMut<'a, f32>,
    up: SharedMut<'a, f32>,
    inner: SharedMut<'a, f32>,
    results: SharedMut<'a, f32>,
    product: SharedMut<'a, u8>,
}

impl<'a> Scratch<'a> {
    fn new(run: &ExpertsRun<'a>, threads: usize) -> Self {
        let sizes = run.args.shape().sizes(run.args.tokens, threads);
        let mut end = 0;
        let mut next = |bytes: usize| {
            end += bytes;
            run.args.scratch.part(end - bytes..end)
        };
        Self {
            lists: next(sizes.lists).cast(),
            rows: next(sizes.rows).cast(),
            up: next(sizes.up).cast(),
            inner: next(sizes.inner).cast(),
            results: next(sizes.results).cast(),
            product: next(sizes.product),
        }
    }
}

#[inline(always)]
pub(super) fn experts<T: Tier>(tier: T, run: &ExpertsRun<'_>, part: Part) {
    let scratch = Scratch::new(run, run.args.seat.map_or(part.of, |seat| seat.of));
    if run.args.tokens == 1 {
        one_token(run, &scratch, part);
    } else {
        several_tokens(tier, run, &scratch, part);
    }
}

/// What a phase before this one wrote.
///
/// # Safety
/// Nobody writes it in this phase.
unsafe fn written<'a, V>(buffer: SharedMut<'a, V>, range: Range<usize>) -> &'a [V] {
    // SAFETY: the caller's promise.
    unsafe { buffer.slice(range) }
}

/// Every product of a phase is split in the same way, so that a share adds up its own rows of all experts.
fn one_token(run: &ExpertsRun<'_>, scratch: &Scratch<'_>, part: Part) {
    let args = &run.args;
    let (up_rows, size) = (args.shape().up_rows(), args.size);
    let whole = Part { phase: 0, ..part };
    match part.phase {
        0 => {
            for rank in 0..args.top_k {
                let (expert, _) = args.choice(0, rank);
                let output = scratch.up.part(rank * up_rows..(rank + 1) * up_rows);
                let product = args.product_up(expert, 1, args.input, output, scratch.product);
                // SAFETY: the tier is there, the lengths fit, and shares write disjoint rows.
                unsafe { (run.gemv)(&product, whole) };
            }
        }
        1 => {
            if args.accumulate.is_none() {
                zero(run, part);
            }
            let rows = args.top_k;
            // SAFETY: the phase before wrote it.
            let gate_up = unsafe { written(scratch.up, 0..rows * up_rows) };
            let activation = args.activation(rows, gate_up, scratch.inner.part(0..rows * size));
            // SAFETY: the tier is there, the lengths fit, and shares write disjoint columns.
            unsafe { (run.activate)(&activation, whole) };
        }
        _ => {
            for rank in 0..args.top_k {
                let (expert, weight) = args.choice(0, rank);
                // SAFETY: the phase before wrote it.
                let inner = unsafe { written(scratch.inner, rank * size..(rank + 1) * size) };
                let mut product = args.product_down(expert, 1, inner, args.output, scratch.product);
                product.accumulate = Some(args.accumulate.unwrap_or(1.0) * weight);
                // SAFETY: the tier is there, the lengths fit, and shares write disjoint rows.
                unsafe { (run.gemv)(&product, whole) };
            }
        }
    }
}

/// Zeroes this share's part of the output.
fn zero(run: &ExpertsRun<'_>, part: Part) {
    // SAFETY: only this share has this range.
    unsafe { run.args.output.slice_mut(part.range(run.args.output.len(), 16)) }.fill(0.0);
}

#[inline(always)]
fn several_tokens<T: Tier>(tier: T, run: &ExpertsRun<'_>, scratch: &Scratch<'_>, part: Part) {
    let args = &run.args;
    if part.phase == 0 {
        if part.index == 0 {
            sort(run, scratch);
        }
        if args.accumulate.is_none() {
            zero(run, part);
        }
        return;
    }
    let (place, step) = ((part.phase - 1) / STEPS, (part.phase - 1) % STEPS);
    // SAFETY: the first phase wrote them.
    let lists = unsafe { written(scratch.lists, 0..scratch.lists.len()) };
    let lists = Lists { lists, experts: args.experts };
    if step == 0
        && place > 0
        && let Some((_, entries)) = lists.expert(place - 1)
    {
        scatter(tier, run, scratch, &lists, entries, part);
    }
    let Some((expert, entries)) = lists.expert(place) else { return };
    let count = entries.len();
    let (columns, size, up_rows) = (args.columns, args.size, args.shape().up_rows());
    let (rows, up) = (scratch.rows.part(0..count * columns), scratch.up.part(0..count * up_rows));
    let (inner, results) = (scratch.inner.part(0..count * size), scratch.results.part(0..count * columns));
    // One token's product has no phase that converts.
    let multiply = |phase: usize| Part { phase: phase.min(usize::from(count > 1)), ..part };
    let converts = step == 1 || step == 4;
    if converts && count == 1 {
        return;
    }
    let product = if count == 1 { run.gemv } else { run.gemm };
    match step {
        0 => {
            for index in part.range(count, 1) {
                let (token, _) = lists.entry(entries.start + index);
                // SAFETY: only this share has this row.
                let row = unsafe { rows.slice_mut(index * columns..(index + 1) * columns) };
                row.copy_from_slice(&args.input[token * columns..][..columns]);
            }
        }
        1 | 2 => {
            // SAFETY: step 0 wrote it.
            let input = unsafe { written(rows, 0..count * columns) };
            let arguments = args.product_up(expert, count, input, up, scratch.product);
            // SAFETY: the tier is there, the lengths fit, and shares of a phase write disjoint memory.
            unsafe { product(&arguments, multiply(step - 1)) };
        }
        3 => {
            // SAFETY: step 2 wrote it.
            let gate_up = unsafe { written(up, 0..count * up_rows) };
            let activation = args.activation(count, gate_up, inner);
            // SAFETY: as above.
            unsafe { (run.activate)(&activation, Part { phase: 0, ..part }) };
        }
        _ => {
            // SAFETY: step 3 wrote it.
            let input = unsafe { written(inner, 0..count * size) };
            let arguments = args.product_down(expert, count, input, results, scratch.product);
            // SAFETY: as above.
            unsafe { product(&arguments, multiply(step - 4)) };
        }
    }
}

/// Adds an expert's results to its tokens' outputs, each times its weight.
#[inline(always)]
fn scatter<T: Tier>(
    tier: T,
    run: &ExpertsRun<'_>,
    scratch: &Scratch<'_>,
    lists: &Lists<'_>,
    entries: Range<usize>,
    part: Part,
) {
    let columns = run.args.columns;
    // SAFETY: the phase before wrote it; the next expert's results come after this phase.
    let results = unsafe { written(scratch.results, 0..entries.len() * columns) };
    for index in part.range(entries.len(), 1) {
        let (token, weight) = lists.entry(entries.start + index);
        // SAFETY: a token stands once in an expert's list, so only this share has it.
        let output = unsafe { run.args.output.slice_mut(token * columns..(token + 1) * columns) };
        let factor = tier.splat(run.args.accumulate.unwrap_or(1.0) * weight);
        let result = &results[index * columns..][..columns];
        for index in (0..columns).step_by(T::LANES) {
            let sum = tier.fma(factor, load_tail(tier, result, index), load_tail(tier, output, index));
            store_tail(tier, output, index, sum);
        }
    }
}

/// The tokens of each expert: where each expert's entries begin (`experts + 1`), how many experts have any and which
/// (`experts + 1`), and for each entry its token and the bits of its weight.
struct Lists<'a> {
    lists: &'a [u32],
    experts: usize,
}

impl Lists<'_> {
    /// The expert at place `place` of those that have tokens, and its entries.
    fn expert(&self, place: usize) -> Option<(usize, Range<usize>)> {
        let (starts, chosen) = self.lists.split_at(self.experts + 1);
        if place >= chosen[0] as usize {
            return None;
        }
        let expert = chosen[1 + place] as usize;
        Some((expert, starts[expert] as usize..starts[expert + 1] as usize))
    }

    /// An entry's token and weight.
    fn entry(&self, index: usize) -> (usize, f32) {
        let entry = &self.lists[2 * (self.experts + 1) + 2 * index..][..2];
        (entry[0] as usize, f32::from_bits(entry[1]))
    }
}

/// Writes the lists: experts ascending, each one's tokens ascending.
fn sort(run: &ExpertsRun<'_>, scratch: &Scratch<'_>) {
    let args = &run.args;
    // SAFETY: only the first share comes here, and nobody else uses the lists in this phase.
    let lists = unsafe { scratch.lists.slice_mut(0..scratch.lists.len()) };
    let (starts, rest) = lists.split_at_mut(args.experts + 1);
    let (chosen, entries) = rest.split_at_mut(args.experts + 1);
    starts.fill(0);
    for token in 0..args.tokens {
        for rank in 0..args.top_k {
            starts[args.choice(token, rank).0 + 1] += 1;
        }
    }
    for expert in 0..args.experts {
        starts[expert + 1] += starts[expert];
    }
    // First where each expert's next entry goes, then the list of experts.
    chosen[..args.experts].copy_from_slice(&starts[..args.experts]);
    for token in 0..args.tokens {
        for rank in 0..args.top_k {
            let (expert, weight) = args.choice(token, rank);
            let entry = &mut entries[2 * chosen[expert] as usize..][..2];
            entry[0] = token as u32;
            entry[1] = weight.to_bits();
            chosen[expert] += 1;
        }
    }
    let mut count = 0;
    for expert in 0..args.experts {
        if starts[expert] < starts[expert + 1] {
            count += 1;
            chosen[count] = expert as u32;
        }
    }
    chosen[0] = count as u32;
}
