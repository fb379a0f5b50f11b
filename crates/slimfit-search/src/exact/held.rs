//! Which layers standard classes hold, asked once: it is the same in every format and for every vocabulary.

use super::catalogue::{Catalogue, FeedForwardShape};
use crate::Space;
use crate::space::Mixture;

/// What is known of each width, by attention, kind of feed-forward part, window, tying and depth.
#[derive(Debug)]
pub(crate) struct Held {
    widths: Vec<Width>,
    windows: usize,
    tyings: usize,
    depths: usize,
    /// Every space that names no loader holds all of its points.
    always: bool,
}

#[derive(Debug)]
struct Width {
    /// The kind of each feed-forward part: sizes do not matter.
    kinds: Vec<usize>,
    kind_count: usize,
    known: Vec<Option<bool>>,
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
            let kinds = width.feed_forwards.iter().map(|part| kind(part, &mut known)).collect();
            Width { kinds, kind_count: known.len(), known: Vec::new() }
        });
        Self {
            widths: widths.collect(),
            windows: space.windows().len(),
            tyings: space.tyings().len(),
            depths: space.depths().len(),
            always: !space.is_portable(),
        }
    }

    /// Whether a pair of `(attention, feed-forward part)` is held in `(width, window, tying, depth)`.
    pub(crate) fn get(
        &mut self,
        (width, window, tied, depth): (usize, usize, usize, usize),
        (attention, feed_forward): (usize, usize),
        ask: impl FnOnce() -> bool,
    ) -> bool {
        if self.always {
            return true;
        }
        let of_width = &mut self.widths[width];
        let pair = attention * of_width.kind_count + of_width.kinds[feed_forward];
        let place = ((pair * self.windows + window) * self.tyings + tied) * self.depths + depth;
        if place >= of_width.known.len() {
            of_width.known.resize(place + 1, None);
        }
        *of_width.known[place].get_or_insert_with(ask)
    }
}
