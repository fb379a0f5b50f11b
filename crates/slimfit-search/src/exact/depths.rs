//! Boxes over several depths and stacks: what is ruled out for all of them is looked at once.
//!
//! The points of a unit are searched by ranges of depths, each half of the one before, first of all stacks together and, where a
//! range is narrow, of each by itself. A range has one sheet, of what its points have at least where less is better and at most
//! where more is. Boxes go on to the halves of a range where their depths differ more than their layers do. Depths that a rule
//! or a loader refuses whatever the layers, and layers that run several times, are looked at by themselves.

use super::bounds::{Bounds, Rest};
use super::catalogue::Width;
use super::ranges::{RangeInputs, RangeStack};
use super::scope::{Stack, Trunk, UnitWork};
use super::sheet::{COLUMNS, Node, Places, ROWS, Sheet};
use super::unit::UnitKey;
use super::worker::{Goal, Worker};
use crate::tally::Bound;
use crate::{Invalid, SearchError};
use slimfit_quality::Shape;
use std::borrow::Cow;

/// Depths that differ by no more than this factor are searched stack by stack.
const NARROW: f64 = 1.3;

/// What bounds of a box ask about the depths and stacks that it spans.
pub(super) struct Span<'s> {
    /// A shape as deep, and with as many embedding parameters, as any.
    shape: Shape,
    /// The fewest layers.
    shallowest: u64,
    /// Points of each pair of layers.
    points: u64,
    /// The least of all embedding parameters that count on top of the others.
    embedding: u64,
    /// The widest of all.
    bounds: (f64, f64),
    allowed: (f64, f64),
    window_nats: f64,
    key: UnitKey,
    /// Places of the KV formats.
    kv: Cow<'s, [usize]>,
    /// Whether all share their embedding parameters, so that the same bounds on parameters refuse them.
    alike: bool,
    /// Why none of the points is valid.
    refusal: Option<&'s Invalid>,
}

/// Some depths of a stack.
type Member<'m> = (usize, &'m [Trunk]);

impl<'s> Span<'s> {
    /// One depth.
    pub(super) fn one(trunk: &Trunk, key: UnitKey, kv: &'s usize, refusal: Option<&'s Invalid>) -> Self {
        Self {
            shape: trunk.shape,
            shallowest: trunk.counts.layers(),
            points: 1,
            embedding: trunk.embedding,
            bounds: trunk.bounds,
            allowed: trunk.allowed,
            window_nats: trunk.window_nats,
            key,
            kv: Cow::Borrowed(std::slice::from_ref(kv)),
            alike: true,
            refusal,
        }
    }

    /// Several.
    fn several(members: &[Member<'_>], stacks: &[Stack], key: UnitKey) -> Self {
        let trunks = || members.iter().flat_map(|(_, trunks)| trunks.iter());
        let first = trunks().next().expect("a range has a depth");
        let mut kv: Vec<usize> = members.iter().map(|(stack, _)| stacks[*stack].kv).collect();
        kv.dedup();
        let mut span = Self { points: 0, kv: Cow::Owned(kv), ..Self::one(first, key, &0, None) };
        for trunk in trunks() {
            let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
            span.points += 1;
            span.shape.layers = span.shape.layers.max(trunk.shape.layers);
            span.shape.embedding = span.shape.embedding.max(trunk.shape.embedding);
            span.shallowest = span.shallowest.min(trunk.counts.layers());
            span.alike &= trunk.embedding == first.embedding;
            span.embedding = span.embedding.min(trunk.embedding);
            span.bounds = wider(span.bounds, trunk.bounds);
            span.allowed = wider(span.allowed, trunk.allowed);
            span.window_nats = span.window_nats.min(trunk.window_nats);
        }
        span
    }
}

/// What bounds say of a box.
#[expect(clippy::large_enum_variant, reason = "it is looked at once and never stored")]
pub(super) enum Bounded {
    /// It was counted as a whole.
    Closed,
    /// It is to be looked into; its bounds, where the law knows its formats.
    Open(Option<Bounds>),
}

impl Worker<'_> {
    /// Searches all stacks of a unit with one number of passes; whether to the end.
    ///
    /// # Errors
    /// A fault of this program.
    pub(super) fn depths(
        &mut self,
        work: &mut UnitWork<'_>,
        loops: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<bool, SearchError> {
        let width = work.width;
        let all =
            [(Node::root(width.attentions.len(), ROWS), Node::root(width.feed_forwards.len(), COLUMNS))];
        let mut together: Vec<(usize, Vec<Trunk>)> = Vec::new();
        for stack in 0..work.stacks.len() {
            let mut open = Vec::new();
            for layers in 0..self.evaluator.depths.len() {
                let trunk = self.trunk(work, stack, (layers, loops));
                let (least, most) = width.parameters_at(trunk.counts.layers());
                if let Some(reason) = self.space.parameter_reason(least, most, trunk.embedding) {
                    let pairs = width.pairs(0..width.attentions.len(), 0..width.feed_forwards.len());
                    self.tally.refuse(reason, pairs);
                    continue;
                }
                let Stack { window, tied, .. } = work.stacks[stack];
                let is_open = trunk.refusal.is_none() && trunk.counts.passes == 1 && work.unit.is_priced();
                if is_open && self.loader_against_all(width, (work.key, window, tied), &trunk).is_none() {
                    open.push(trunk);
                } else if !self.one_depth(work, stack, trunk, &all, go_on)? {
                    return Ok(false);
                }
            }
            open.sort_by_key(|trunk| trunk.counts.layers());
            together.push((stack, open));
        }
        let members: Vec<Member<'_>> =
            together.iter().map(|(stack, trunks)| (*stack, trunks.as_slice())).collect();
        self.among(work, &members, all.to_vec(), 0, go_on)
    }

    /// Searches boxes of a range of depths. `level`: ranges that this one lies in.
    fn among(
        &mut self,
        work: &mut UnitWork<'_>,
        members: &[Member<'_>],
        mut boxes: Vec<(Node, Node)>,
        level: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<bool, SearchError> {
        let layers = |trunk: &Trunk| trunk.counts.layers();
        let shallowest = members.iter().filter_map(|(_, trunks)| trunks.first()).map(layers).min();
        let deepest = members.iter().filter_map(|(_, trunks)| trunks.last()).map(layers).max();
        let (Some(shallowest), Some(deepest), false) = (shallowest, deepest, boxes.is_empty()) else {
            return Ok(true);
        };
        if let [(stack, [trunk])] = members {
            return self.one_depth(work, *stack, trunk.clone(), &boxes, go_on);
        }
        if !go_on() {
            return Ok(false);
        }
        if self.ranges.len() == level {
            self.ranges.push(Sheet::default());
        }
        let mut sheet = std::mem::take(&mut self.ranges[level]);
        self.fill_range(&mut sheet, work, members, &boxes);
        let span = Span::several(members, &work.stacks, work.key);
        let ratio = deepest as f64 / shallowest as f64;
        let open = self.open(&sheet, &span, work.width, &mut boxes, ratio);
        self.ranges[level] = sheet;
        if members.len() > 1 && ratio <= NARROW {
            for member in members {
                if !self.among(work, &[*member], open.clone(), level + 1, go_on)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        // Halves by ratio: as many layers more weigh less in a deep model.
        let middle = (shallowest as f64 * deepest as f64).sqrt();
        let halves = members.iter().map(|(stack, trunks)| {
            let (shallow, deep) =
                trunks.split_at(trunks.partition_point(|trunk| (layers(trunk) as f64) < middle));
            ((*stack, shallow), (*stack, deep))
        });
        let (shallow, deep): (Vec<_>, Vec<_>) = halves.unzip();
        for mut half in [shallow, deep] {
            half.retain(|(_, trunks)| !trunks.is_empty());
            if !self.among(work, &half, open.clone(), level + 1, go_on)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The boxes of a range that no bound rules out, cut up until their layers differ less than their depths: by `ratio`.
    fn open(
        &mut self,
        sheet: &Sheet,
        span: &Span<'_>,
        width: &Width,
        boxes: &mut Vec<(Node, Node)>,
        ratio: f64,
    ) -> Vec<(Node, Node)> {
        let rest = width.rest_parameters as f64;
        let mut open = Vec::new();
        while let Some((row, column)) = boxes.pop() {
            let count = width.pairs(row.places.clone(), column.places.clone());
            if count == 0 || matches!(self.bound(sheet, span, (&row, &column), count), Bounded::Closed) {
                continue;
            }
            // Parameters at the largest depth.
            let most_of_row = -sheet.minus_parameters.rows.over(row.node) - rest;
            let most_of_column = -sheet.minus_parameters.columns.over(column.node);
            let across = most_of_row - (sheet.parameters.rows.over(row.node) - rest) * ratio;
            let along = most_of_column - sheet.parameters.columns.over(column.node) * ratio;
            let down = (most_of_row + most_of_column) * (1.0 - 1.0 / ratio);
            let splits_row = !row.is_leaf() && (column.is_leaf() || across >= along);
            if (row.is_leaf() && column.is_leaf()) || down >= if splits_row { across } else { along } {
                open.push((row, column));
            } else if splits_row {
                boxes.extend(row.halves().map(|half| (half, column.clone())));
            } else {
                boxes.extend(column.halves().map(|half| (row.clone(), half)));
            }
        }
        open
    }

    fn fill_range(
        &mut self,
        sheet: &mut Sheet,
        work: &mut UnitWork<'_>,
        members: &[Member<'_>],
        boxes: &[(Node, Node)],
    ) {
        self.tally.archive.hear(self.exchange, self.number);
        let UnitWork { width, unit, mixings, stacks, .. } = work;
        let layers: Vec<RangeStack<'_>> = (members.iter())
            .filter_map(|(stack, trunks)| {
                let Stack { mixing, tied, ref training, .. } = stacks[*stack];
                Some(RangeStack {
                    mixing,
                    tied: self.space.tyings()[tied],
                    counts: (trunks.first()?.counts, trunks.last()?.counts),
                    training: training.as_deref(),
                })
            })
            .collect();
        let inputs = RangeInputs {
            evaluator: self.evaluator,
            width,
            intervals: &self.intervals,
            stacks: &layers,
            rows: &Places::of(width.attentions.len(), ROWS, boxes.iter().map(|(row, _)| row)),
            columns: &Places::of(width.feed_forwards.len(), COLUMNS, boxes.iter().map(|(_, column)| column)),
            with_joules: self.with_joules,
            with_file: self.with_file,
        };
        sheet.fill_range(&inputs, unit, &mut self.pool, mixings);
    }

    /// Bounds a box of a sheet, and counts it where it is ruled out. `pairs`: those of its layers that are blocks.
    pub(super) fn bound(
        &mut self,
        sheet: &Sheet,
        span: &Span<'_>,
        (row, column): (&Node, &Node),
        pairs: u64,
    ) -> Bounded {
        let count = pairs * span.points;
        let least = sheet.parameters.least(row, column);
        let most = -sheet.minus_parameters.least(row, column);
        if span.alike && (most < span.bounds.0 || least > span.bounds.1) {
            let reason = self.space.parameter_reason(least, most, span.embedding);
            if let Some(reason) = reason {
                self.tally.refuse(reason, count);
                return Bounded::Closed;
            }
        }
        if let Some(reason) = span.refusal
            && least >= span.allowed.0
            && most <= span.allowed.1
        {
            self.tally.refuse(reason.clone(), count);
            return Bounded::Closed;
        }
        // No point of the box that is valid has more than the law reaches.
        let reached = |parameters: f64| parameters.min(span.allowed.1).max(1.0) as u64;
        let active = -sheet.minus_active.least(row, column);
        let shape = span.shape.resized(reached(most), reached(active));
        let smallest = least.max(span.allowed.0).max(1.0) as u64;
        let law = self.evaluator.law();
        let range = (smallest.min(shape.non_embedding), shape.non_embedding);
        let weights = self.space.weights()[span.key.weights];
        let mut formats = f64::INFINITY;
        for kv in span.kv.iter().map(|kv| self.space.kv()[*kv]) {
            match law.least_format_nats(weights, kv, (range.0 as f64, range.1 as f64)) {
                Ok(nats) => formats = formats.min(nats),
                Err(_) => return Bounded::Open(None),
            }
        }
        let added_nats = formats + span.window_nats;
        let heads = sheet.heads_nats.over(row.node);
        let depths = (span.shallowest, span.shape.layers);
        let rest = Rest {
            nats: law.least_base_nats_of_depths(&shape, depths, range.0) + added_nats + heads,
            added_nats,
            embedding: span.embedding as f64,
            bytes_per_token: self.evaluator.vocabularies[span.key.vocabulary].2,
            with_joules: self.with_joules,
            with_file: self.with_file,
        };
        let found = self.objectives.bounds(sheet, row, column, rest);
        match self.goal {
            Goal::Front => {
                if self.objectives.breaks_limit(&found) {
                    self.tally.rule_out(Bound::Limit, count);
                    return Bounded::Closed;
                }
                if self.tally.archive.dominates(&self.objectives.relaxed(&found.objectives)) {
                    self.tally.rule_out(self.objectives.bound(), count);
                    return Bounded::Closed;
                }
            }
            Goal::NearestMiss => {
                let excess = self.objectives.least_excess(&found);
                if self.tally.miss.as_ref().is_some_and(|(best, _)| excess > *best) {
                    return Bounded::Closed;
                }
            }
        }
        Bounded::Open(Some(found))
    }
}
