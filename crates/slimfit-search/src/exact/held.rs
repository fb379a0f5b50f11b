//! Which layers the space's loaders hold, asked once: it is the same in every format and for every vocabulary.

use super::catalogue::{Catalogue, FeedForwardShape};
use crate::Space;
use crate::space::Mixture;
use slimfit_formats::Loader;

/// What is known of each width, by attention, kind of feed-forward part, window, tying, depth and passes.
#[derive(Debug)]
pub(crate) struct Held {
    widths: Vec<Width>,
    windows: usize,
    tyings: usize,
    depths: usize,
    passes: usize,
    /// Every space that names no loader holds all of its points.
    always: bool,
}

#[derive(Debug)]
struct Width {
    /// The kind of each feed-forward part: sizes do not matter.
    kinds: Vec<usize>,
    /// Of each kind, the first part.
    firsts: Vec<usize>,
    /// The loader that does not hold them, where that was asked.
    known: Vec<Option<Option<Loader>>>,
}

impl Held {
    pub(crate) fn new(space: &Space, catalogue: &Catalogue) -> Self {
        let widths = catalogue.widths.iter().map(|width| {
            let mut known: Vec<(bool, Option<Mixture>)> = Vec::new();
            let kind = |part: &FeedForwardShape, known: &mut Vec<(bool, Option<Mixture>)>| {
                let kind = (part.gated, part.experts);
                known.iter().position(|other| *other == kind).unwrap_or_else(|| {
                    known.push(kind);
                    known.len() - 1
                })
            };
            let kinds: Vec<usize> = width.feed_forwards.iter().map(|part| kind(part, &mut known)).collect();
            let first = |kind: usize| kinds.iter().position(|other| *other == kind);
            let firsts = (0..known.len()).filter_map(first).collect();
            Width { kinds, firsts, known: Vec::new() }
        });
        Self {
            widths: widths.collect(),
            windows: space.windows().len(),
            tyings: space.tyings().len(),
            depths: space.depths().len(),
            passes: space.passes().len(),
            always: !space.is_portable(),
        }
    }

    /// One feed-forward part of each kind that a width has.
    pub(crate) fn kinds(&self, width: usize) -> Vec<usize> {
        self.widths[width].firsts.clone()
    }

    /// The loader that does not hold a pair of `(attention, feed-forward part)` in `(width, window, tying, (depth, passes))`.
    pub(crate) fn get(
        &mut self,
        (width, window, tied, (depth, passes)): (usize, usize, usize, (usize, usize)),
        (attention, feed_forward): (usize, usize),
        ask: impl FnOnce() -> Option<Loader>,
    ) -> Option<Loader> {
        if self.always {
            return None;
        }
        let of_width = &mut self.widths[width];
        let pair = attention * of_width.firsts.len() + of_width.kinds[feed_forward];
        let trunk = (tied * self.depths + depth) * self.passes + passes;
        let place = (pair * self.windows + window) * self.tyings * self.depths * self.passes + trunk;
        if place >= of_width.known.len() {
            of_width.known.resize(place + 1, None);
        }
        *of_width.known[place].get_or_insert_with(ask)
    }
}
