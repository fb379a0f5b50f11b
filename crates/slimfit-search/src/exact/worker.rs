//! One worker: walks units, bounds boxes, and looks at the points of those that no bound rules out.

use super::bounds::{Bounds, Objectives, Rest};
use super::catalogue::Catalogue;
use super::held::Held;
use super::quality::LeastNats;
use super::scope::SheetScope;
use super::sheet::{COLUMNS, Least, Node, ROWS, Sheet};
use super::unit::{MixingPool, MixingRows, SheetInputs, TrainingFlops, Unit, UnitKey, parts_of};
use crate::archive::{Exchange, Found};
use crate::model::Counted;
use crate::parts::LayerCounts;
use crate::space::Inner;
use crate::tally::{Bound, Tally};
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
    pub(super) held: Held,
    pub(super) least_nats: HashMap<FamilyKey, Rc<LeastNats>>,
    with_joules: bool,
    with_training: bool,
    with_file: bool,
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
            held: Held::new(space, catalogue),
            least_nats: HashMap::new(),
            with_joules: asked().any(|metric| *metric == Metric::JoulesPerToken),
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
        let mut unit = Unit::new(space, evaluator, width, key);
        let trunks: Vec<((usize, usize), u64, u64)> = (evaluator.depths.iter().enumerate())
            .flat_map(|(layers, depth)| {
                let passes = evaluator.passes.iter().enumerate();
                passes.map(move |(loops, passes)| ((layers, loops), *depth, *passes))
            })
            .collect();
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
                let mut mixing = MixingRows::new(places, evaluator.cost.regimes().len());
                for (tied, is_tied) in space.tyings().iter().enumerate() {
                    let training = if self.with_training {
                        TrainingFlops::new(space, evaluator, width, *window, (key.vocabulary, *is_tied))
                    } else {
                        None
                    };
                    for (trunk, depth, passes) in trunks.iter().copied() {
                        if !go_on() {
                            return Ok(false);
                        }
                        let counts = LayerCounts::new(*window, depth, passes);
                        let all = width.pairs(0..width.attentions.len(), 0..width.feed_forwards.len());
                        let (least, most) = width.parameters_at(depth);
                        let embedding =
                            evaluator.embedding_parameters(width.hidden_size, key.vocabulary, *is_tied);
                        if let Some(reason) = space.parameter_reason(least, most, embedding) {
                            self.tally.refuse(reason, all);
                            continue;
                        }
                        self.tally.archive.hear(self.exchange, self.number);
                        let inputs = SheetInputs {
                            evaluator,
                            width,
                            counts,
                            tied: *is_tied,
                            with_joules: self.with_joules,
                            with_file: self.with_file,
                            training: training.as_ref(),
                        };
                        if unit.outer.is_err() {
                            // No point can be priced; which rule each of them breaks first is still to be said.
                            let place = (kv, place, tied, trunk);
                            let mut scope = self.scope(width, &mut unit, &mixing.places, key, place, counts);
                            for (row, column) in width.all_pairs() {
                                if let Some(number) = width.number(row, column, place.1) {
                                    self.point(&mut scope, (row, column), number);
                                }
                            }
                            continue;
                        }
                        let mut sheet = std::mem::take(&mut self.sheet);
                        sheet.fill(&inputs, &mut unit, &mut self.pool, &mut mixing)?;
                        let mut scope = self.scope(
                            width,
                            &mut unit,
                            &mixing.places,
                            key,
                            (kv, place, tied, trunk),
                            counts,
                        );
                        self.ask_loaders(&mut scope);
                        let (row, column) = (
                            Node::root(width.attentions.len(), ROWS),
                            Node::root(width.feed_forwards.len(), COLUMNS),
                        );
                        self.visit(&sheet, &mut scope, &row, &column)?;
                        for (broken, count) in
                            scope.outside.into_iter().enumerate().filter(|(_, count)| *count > 0)
                        {
                            self.tally.refuse(Space::bound_reason(broken), count);
                        }
                        self.sheet = sheet;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Bounds a box, and goes into it where no bound rules it out.
    fn visit(
        &mut self,
        sheet: &Sheet,
        scope: &mut SheetScope<'_>,
        row: &Node,
        column: &Node,
    ) -> Result<(), SearchError> {
        let count = scope.width.pairs(row.places.clone(), column.places.clone());
        if count == 0 {
            return Ok(());
        }
        let least = sheet.parameters.least(row, column);
        let most = -sheet.minus_parameters.least(row, column);
        if most < scope.bounds.0 || least > scope.bounds.1 {
            let reason = self.space.parameter_reason(least, most, scope.embedding);
            if let Some(reason) = reason {
                self.tally.refuse(reason, count);
                return Ok(());
            }
        }
        if let Some(reason) = &scope.refusal
            && least >= scope.allowed.0
            && most <= scope.allowed.1
        {
            self.tally.refuse(reason.clone(), count);
            return Ok(());
        }
        // No point of the box that is valid has more than the law reaches.
        let reached = |parameters: f64| parameters.min(scope.allowed.1).max(1.0) as u64;
        let active = -sheet.minus_active.least(row, column);
        let shape = scope.shape.resized(reached(most), reached(active));
        let smallest = least.max(scope.allowed.0).max(1.0) as u64;
        let formats = (self.space.weights()[scope.key.weights], self.space.kv()[scope.kv]);
        let law = self.evaluator.law();
        let mut bounds = None;
        let range = (smallest.min(shape.non_embedding), shape.non_embedding);
        if let Ok(formats) = law.least_format_nats(formats.0, formats.1, (range.0 as f64, range.1 as f64)) {
            let added_nats = formats + scope.window_nats;
            let heads = sheet.heads_nats.over(row.node);
            let rest = Rest {
                nats: law.least_base_nats(&shape, range.0) + added_nats + heads,
                added_nats,
                embedding: scope.embedding as f64,
                bytes_per_token: self.evaluator.vocabularies[scope.key.vocabulary].2,
                with_joules: self.with_joules,
                with_file: self.with_file,
            };
            let found = self.objectives.bounds(sheet, row, column, rest);
            match self.goal {
                Goal::Front => {
                    if self.objectives.breaks_limit(&found) {
                        self.tally.rule_out(Bound::Limit, count);
                        return Ok(());
                    }
                    if self.tally.archive.dominates(&self.objectives.relaxed(&found.objectives)) {
                        self.tally.rule_out(self.objectives.bound(), count);
                        return Ok(());
                    }
                }
                Goal::NearestMiss => {
                    let excess = self.objectives.least_excess(&found);
                    if self.tally.miss.as_ref().is_some_and(|(best, _)| excess > *best) {
                        return Ok(());
                    }
                }
            }
            bounds = Some(found);
        }
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
        scope: &mut SheetScope<'_>,
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
                if parameters < scope.bounds.0 || parameters > scope.bounds.1 {
                    scope.outside[self.space.broken_bound(parameters, scope.embedding)] += 1;
                    continue;
                }
                let plain = scope.plain
                    && scope.plain_rows[attention]
                    && scope.plain_columns[feed_forward]
                    && parameters >= scope.allowed.0
                    && parameters <= scope.allowed.1;
                if plain
                    && self.goal == Goal::Front
                    && let Some(bounds) = bounds
                {
                    let nats = if scope.dense_columns[feed_forward] {
                        let heads = sheet.heads_nats.values[attention];
                        scope.least_nats.at(parameters) + bounds.added_nats + heads
                    } else {
                        bounds.basics.nats
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

    /// The loader of the space's that does not hold a pair of layers at this depth.
    pub(super) fn refusing_loader(&mut self, scope: &SheetScope<'_>, pair: (usize, usize)) -> Option<Loader> {
        let (space, evaluator) = (self.space, self.evaluator);
        let place = (scope.key.width, scope.window, scope.tied, (scope.layers, scope.loops));
        let trunk = (scope.counts.layers(), scope.counts.passes);
        self.held.get(place, pair, || {
            let block =
                crate::Block { window: space.windows()[scope.window], ..scope.width.block(pair.0, pair.1) };
            let tying = (scope.key.vocabulary, space.tyings()[scope.tied]);
            evaluator.refusing_loader(space, &scope.width.counted(block, pair, trunk, tying))
        })
    }

    /// Evaluates one point the long way.
    fn point(&mut self, scope: &mut SheetScope<'_>, pair: (usize, usize), block_number: u64) {
        let (space, evaluator) = (self.space, self.evaluator);
        let block = crate::Block {
            index: block_number,
            window: space.windows()[scope.window],
            ..scope.width.block(pair.0, pair.1)
        };
        let place = (scope.key.vocabulary, space.tyings()[scope.tied]);
        let trunk = (scope.counts.layers(), scope.counts.passes);
        let counted: Counted = scope.width.counted(block, pair, trunk, place);
        let (formats, trunk) = ((scope.key.weights, scope.kv), (scope.layers, scope.loops));
        let inner: Inner = space.inner_of(formats.0, formats.1, scope.key.vocabulary, scope.tied, trunk);
        let index = block_number * space.inner_size() + inner.index;
        let refusing = self.refusing_loader(scope, pair);
        let result = (|| {
            let valued = evaluator.valued(space, &counted)?;
            if let Some(loader) = refusing {
                return Err(Invalid::by_loader(loader));
            }
            let (weights, kv) = (space.weights()[scope.key.weights], space.kv()[scope.kv]);
            let loss = evaluator
                .law()
                .finish(&valued.base, weights, kv)
                .map_err(|refusal| Invalid::of(refusal.reason()))?;
            let mut parts = parts_of(scope.unit, &mut self.pool, pair, scope.mixing[pair.0])?;
            let price = parts
                .price(evaluator.cost, scope.counts, counted.tied)
                .map_err(|error| Invalid::owned(error.to_string()))?;
            let mut values = Metric::UNKNOWN;
            let file_bytes = parts.file_bytes(scope.counts, counted.tied);
            evaluator.write((index, &counted), &valued, loss.nats, (&price, file_bytes), &mut values);
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
