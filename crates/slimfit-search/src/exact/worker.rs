//! One worker: walks units, bounds boxes, and looks at the points of those that no bound rules out.

use super::bounds::{Bounds, Objectives};
use super::catalogue::{Catalogue, Width};
use super::depths::{Bounded, Span};
use super::fill::SheetInputs;
use super::held::Held;
use super::quality::LeastNats;
use super::regimes::Intervals;
use super::ruled::Ruled;
use super::scope::{SheetScope, Stack, Trunk, UnitWork};
use super::sheet::{COLUMNS, Least, Node, Places, ROWS, Sheet};
use super::training::TrainingFlops;
use super::unit::{MixingPool, MixingRows, Unit, UnitKey, parts_of};
use crate::archive::{Exchange, Found};
use crate::model::Counted;
use crate::space::Inner;
use crate::tally::Tally;
use crate::{Invalid, Metric, ModelEvaluator, SearchError, SearchOptions, Space};
use slimfit_formats::Loader;
use std::collections::HashMap;
use std::rc::Rc;

/// What a worker looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The front.
    Front,
    /// Where no point keeps all limits: the point that comes nearest to them.
    NearestMiss,
}

/// Width, vocabulary, tying, and depth with passes, by place.
pub(super) type FamilyKey = (usize, usize, usize, (usize, usize));

/// One worker and what it keeps from unit to unit.
pub(crate) struct Worker<'w> {
    pub(crate) space: &'w Space,
    pub(crate) evaluator: &'w ModelEvaluator<'w>,
    pub(crate) options: &'w SearchOptions<'w>,
    pub(crate) catalogue: &'w Catalogue,
    pub(crate) objectives: Objectives,
    pub(crate) exchange: &'w Exchange,
    pub(crate) number: usize,
    pub(crate) goal: Goal,
    pub(crate) tally: Tally,
    pub(super) pool: MixingPool,
    sheet: Sheet,
    /// The sheet of a depth of which no point is valid.
    refused: Sheet,
    /// Sheets of ranges of depths, each within that before it.
    pub(super) ranges: Vec<Sheet>,
    /// Of each device.
    pub(super) intervals: Vec<Intervals>,
    pub(super) held: Held,
    pub(super) ruled: Ruled,
    pub(super) least_nats: HashMap<FamilyKey, Rc<LeastNats>>,
    pub(super) with_joules: bool,
    with_training: bool,
    pub(super) with_file: bool,
}

impl<'w> Worker<'w> {
    pub(crate) fn new(
        space: &'w Space,
        evaluator: &'w ModelEvaluator<'w>,
        options: &'w SearchOptions<'w>,
        catalogue: &'w Catalogue,
        exchange: &'w Exchange,
        number: usize,
        goal: Goal,
    ) -> Self {
        let asked = || options.objectives.iter().chain(options.limits.iter().map(|(metric, _)| metric));
        Self {
            space,
            evaluator,
            options,
            catalogue,
            exchange,
            number,
            goal,
            objectives: Objectives::new(evaluator, options),
            tally: Tally::new(&options.objectives),
            pool: MixingPool::default(),
            sheet: Sheet::default(),
            refused: Sheet::default(),
            ranges: Vec::new(),
            intervals: evaluator.devices.iter().map(|device| Intervals::new(device.cost)).collect(),
            held: Held::new(space, catalogue),
            ruled: Ruled::new(space),
            least_nats: HashMap::new(),
            with_joules: asked().any(|metric| metric.quantity() == Metric::JoulesPerToken),
            with_training: asked().any(|metric| metric.is_training()),
            with_file: asked().any(|metric| *metric == Metric::FileBytes),
        }
    }

    /// Allows the front this distance to the exact one from here on.
    pub(crate) fn allow(&mut self, epsilon: f64) {
        self.objectives.allow(epsilon);
    }

    /// Offers the points whose quality was measured: bounds know predictions only, so these must be seen whatever they say.
    pub(crate) fn offer_measured(&mut self) {
        let (space, limits) = (self.space, &self.options.limits);
        for index in self.evaluator.table.indices() {
            let Some(values) = self.evaluator.values(space, index) else { continue };
            self.tally.offer(Found { index, values }, limits, Some((self.exchange, self.number)));
        }
    }

    /// Searches one unit; whether to its end. `go_on` is asked before each sheet.
    ///
    /// # Errors
    /// A fault of this program.
    pub(crate) fn unit(&mut self, key: UnitKey, go_on: impl Fn() -> bool) -> Result<bool, SearchError> {
        let (space, evaluator) = (self.space, self.evaluator);
        let width = &self.catalogue.widths[key.width];
        let unit = Unit::new(space, evaluator, width, key);
        let mut work = UnitWork { width, key, unit, mixings: Vec::new(), stacks: Vec::new() };
        let mut training: HashMap<(usize, usize), Option<Rc<TrainingFlops>>> = HashMap::new();
        for kv in 0..space.kv().len() {
            for (place, window) in space.windows().iter().enumerate() {
                let places: Vec<usize> = (0..width.attentions.len())
                    .map(|row| {
                        let block = crate::Block { window: *window, ..width.block(row, 0) };
                        let heads = width.attentions[row];
                        let format = space.kv()[kv];
                        self.pool.place(space, evaluator, (&block, heads), format, key.vocabulary)
                    })
                    .collect();
                for (tied, is_tied) in space.tyings().iter().enumerate() {
                    let training = training.entry((place, tied)).or_insert_with(|| {
                        let counts = || {
                            TrainingFlops::new(space, evaluator, width, *window, (key.vocabulary, *is_tied))
                        };
                        self.with_training.then(counts).flatten().map(Rc::new)
                    });
                    let (mixing, training) = (work.mixings.len(), training.clone());
                    work.stacks.push(Stack { kv, window: place, tied, mixing, training });
                }
                work.mixings.push(MixingRows::new(places, evaluator));
            }
        }
        for loops in 0..evaluator.passes.len() {
            if !self.depths(&mut work, loops, &go_on)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Searches boxes of one depth of a stack.
    pub(super) fn one_depth(
        &mut self,
        work: &mut UnitWork<'_>,
        stack: usize,
        trunk: Trunk,
        boxes: &[(Node, Node)],
        go_on: &impl Fn() -> bool,
    ) -> Result<bool, SearchError> {
        if !go_on() {
            return Ok(false);
        }
        if !work.unit.is_priced() {
            // No point can be priced; which rule each of them breaks first is still to be said.
            let mut scope = self.scope(work, stack, trunk);
            for (row, column) in scope.width.all_pairs() {
                if let Some(number) = scope.width.number(row, column, scope.window) {
                    self.point(&mut scope, (row, column), number);
                }
            }
            return Ok(true);
        }
        self.tally.archive.hear(self.exchange, self.number);
        let mut scope = self.scope(work, stack, trunk);
        self.ask_loaders(&mut scope);
        let width = scope.width;
        let rows = Places::of(width.attentions.len(), ROWS, boxes.iter().map(|(row, _)| row));
        let columns = Places::of(width.feed_forwards.len(), COLUMNS, boxes.iter().map(|(_, column)| column));
        let is_refused = scope.refusal.is_some();
        let mut sheet = std::mem::take(if is_refused { &mut self.refused } else { &mut self.sheet });
        if is_refused {
            let layers = scope.trunk.counts.layers();
            sheet.fill_refused(self.evaluator, width, layers, (&rows, &columns));
        } else {
            self.look_up_nats(&mut scope);
            let UnitWork { unit, mixings, stacks, .. } = &mut *scope.work;
            let inputs = SheetInputs {
                evaluator: self.evaluator,
                width,
                counts: scope.trunk.counts,
                rows: &rows,
                columns: &columns,
                tied: self.space.tyings()[scope.tied],
                with_joules: self.with_joules,
                with_file: self.with_file,
                training: stacks[stack].training.as_deref(),
            };
            sheet.fill(&inputs, unit, &mut self.pool, &mut mixings[scope.mixing])?;
        }
        for (row, column) in boxes {
            self.visit(&sheet, &mut scope, row, column)?;
        }
        for (broken, count) in scope.outside.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.tally.refuse(Space::bound_reason(broken), count);
        }
        *(if is_refused { &mut self.refused } else { &mut self.sheet }) = sheet;
        Ok(true)
    }

    /// Bounds a box, and goes into it where no bound rules it out.
    fn visit(
        &mut self,
        sheet: &Sheet,
        scope: &mut SheetScope<'_, '_>,
        row: &Node,
        column: &Node,
    ) -> Result<(), SearchError> {
        let count = scope.width.pairs(row.places.clone(), column.places.clone());
        if count == 0 {
            return Ok(());
        }
        let span = Span::one(&scope.trunk, scope.key, &scope.kv, scope.refusal.as_ref());
        let bounds = match self.bound(sheet, &span, (row, column), count) {
            Bounded::Closed => return Ok(()),
            Bounded::Open(bounds) => bounds,
        };
        if row.is_leaf() && column.is_leaf() {
            return self.look(sheet, scope, row, column, bounds.as_ref());
        }
        let spread =
            |least: &Least, minus_most: &Least, node: usize| -minus_most.over(node) - least.over(node);
        let across = spread(&sheet.parameters.rows, &sheet.minus_parameters.rows, row.node);
        let along = spread(&sheet.parameters.columns, &sheet.minus_parameters.columns, column.node);
        if column.is_leaf() || (!row.is_leaf() && across >= along) {
            for half in row.halves() {
                self.visit(sheet, scope, &half, column)?;
            }
        } else {
            for half in column.halves() {
                self.visit(sheet, scope, row, &half)?;
            }
        }
        Ok(())
    }

    /// Looks at each point of a small box.
    fn look(
        &mut self,
        sheet: &Sheet,
        scope: &mut SheetScope<'_, '_>,
        row: &Node,
        column: &Node,
        bounds: Option<&Bounds>,
    ) -> Result<(), SearchError> {
        for attention in row.places.clone() {
            for feed_forward in column.places.clone() {
                let Some(number) = scope.width.number(attention, feed_forward, scope.window) else {
                    continue;
                };
                let parameters =
                    sheet.parameters.rows.values[attention] + sheet.parameters.columns.values[feed_forward];
                if parameters < scope.trunk.bounds.0 || parameters > scope.trunk.bounds.1 {
                    scope.outside[self.space.broken_bound(parameters, scope.trunk.embedding)] += 1;
                    continue;
                }
                if let Some(reason) = scope.rules.refusal((attention, feed_forward)) {
                    self.tally.refuse(reason.clone(), 1);
                    continue;
                }
                let is_open =
                    scope.plain && parameters >= scope.trunk.allowed.0 && parameters <= scope.trunk.allowed.1;
                let plain = is_open && scope.plain_rows[attention] && scope.plain_columns[feed_forward];
                if is_open
                    && !plain
                    && let Some(reason) = self.unpriced(scope, (attention, feed_forward))
                {
                    self.tally.refuse(reason, 1);
                    continue;
                }
                if plain
                    && self.goal == Goal::Front
                    && let Some(bounds) = bounds
                {
                    let nats = match &scope.least_nats {
                        Some(least) if scope.dense_columns[feed_forward] => {
                            let heads = sheet.heads_nats.values[attention];
                            least.at(parameters) + bounds.added_nats + heads
                        }
                        _ => bounds.basics.nats,
                    };
                    let found = self.objectives.point(sheet, (attention, feed_forward), bounds, nats);
                    if self.tally.archive.dominates(&self.objectives.relaxed(&found))
                        && self.refusing_loader(scope, (attention, feed_forward)).is_none()
                    {
                        self.tally.evaluated += 1;
                        continue;
                    }
                }
                self.point(scope, (attention, feed_forward), number);
            }
        }
        Ok(())
    }

    /// Why a pair cannot be priced, where nothing that is asked before stands against its points.
    fn unpriced(&mut self, scope: &mut SheetScope<'_, '_>, pair: (usize, usize)) -> Option<Invalid> {
        let (heads, part) = (scope.width.attentions[pair.0], scope.width.feed_forwards[pair.1]);
        let is_priced_next = !self.space.is_portable()
            && self.evaluator.allows_heads(heads.heads, heads.kv_heads)
            && self.evaluator.allows_experts(part.experts);
        if !is_priced_next {
            return None;
        }
        let UnitWork { unit, mixings, .. } = &mut *scope.work;
        let place = mixings[scope.mixing].places[pair.0];
        parts_of(unit, &mut self.pool, pair, place).err()
    }

    /// The loader of the space's that does not hold a pair of layers at this depth.
    pub(super) fn refusing_loader(
        &mut self,
        scope: &SheetScope<'_, '_>,
        pair: (usize, usize),
    ) -> Option<Loader> {
        let places = (scope.key, scope.window, scope.tied);
        self.loader_against(scope.width, places, &scope.trunk, pair)
    }

    /// The same of a unit, and places of window and tying.
    pub(super) fn loader_against(
        &mut self,
        width: &Width,
        (key, window, tied): (UnitKey, usize, usize),
        trunk: &Trunk,
        pair: (usize, usize),
    ) -> Option<Loader> {
        let (space, evaluator) = (self.space, self.evaluator);
        let place = (key.width, window, tied, (trunk.layers, trunk.loops));
        self.held.get(place, pair, || {
            let block = crate::Block { window: space.windows()[window], ..width.block(pair.0, pair.1) };
            let tying = (key.vocabulary, space.tyings()[tied]);
            let depth = (trunk.counts.layers(), trunk.counts.passes);
            evaluator.refusing_loader(space, &width.counted(block, pair, depth, tying))
        })
    }

    /// Evaluates one point the long way.
    fn point(&mut self, scope: &mut SheetScope<'_, '_>, pair: (usize, usize), block_number: u64) {
        let (space, evaluator) = (self.space, self.evaluator);
        let block = crate::Block {
            index: block_number,
            window: space.windows()[scope.window],
            ..scope.width.block(pair.0, pair.1)
        };
        let place = (scope.key.vocabulary, space.tyings()[scope.tied]);
        let trunk = (scope.trunk.counts.layers(), scope.trunk.counts.passes);
        let counted: Counted = scope.width.counted(block, pair, trunk, place);
        let (formats, trunk) = ((scope.key.weights, scope.kv), (scope.trunk.layers, scope.trunk.loops));
        let inner: Inner = space.inner_of(formats.0, formats.1, scope.key.vocabulary, scope.tied, trunk);
        let index = block_number * space.inner_size() + inner.index;
        let refusing = self.refusing_loader(scope, pair);
        let result = (|| {
            space.check_parameters(evaluator.total_parameters(&counted), counted.non_embedding)?;
            if let Some(reason) = scope.rules.refusal(pair) {
                return Err(reason.clone());
            }
            let valued = evaluator.valued(space, &counted)?;
            if let Some(loader) = refusing {
                return Err(Invalid::by_loader(loader));
            }
            let (weights, kv) = (space.weights()[scope.key.weights], space.kv()[scope.kv]);
            let loss = evaluator
                .law()
                .finish(&valued.base, weights, kv)
                .map_err(|refusal| Invalid::of(refusal.reason()))?;
            let mut values = Metric::UNKNOWN;
            let UnitWork { unit, mixings, .. } = &mut *scope.work;
            let places = &mixings[scope.mixing].places;
            let parts = parts_of(unit, &mut self.pool, pair, places[pair.0])?;
            for (place, mut parts) in parts.enumerate() {
                let price = parts
                    .price(evaluator.devices[place].cost, scope.trunk.counts, counted.tied)
                    .map_err(|error| Invalid::owned(error.to_string()))?;
                evaluator.write_on(place, scope.key.vocabulary, &price, &mut values);
                if place == 0 {
                    let file_bytes = parts.file_bytes(scope.trunk.counts, counted.tied);
                    evaluator.write((index, &counted), &valued, loss.nats, file_bytes, &mut values);
                }
            }
            Ok(values)
        })();
        match result {
            Ok(values) => {
                let told = Some((self.exchange, self.number));
                self.tally.add(Found { index, values }, &self.options.limits, told);
            }
            Err(reason) => self.tally.refuse(reason, 1),
        }
    }
}
