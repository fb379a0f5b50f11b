//! Which combinations of values are points: what the file excludes, and when values are offered.
//!
//! A rule is asked as soon as all that it names is known: of a block, of a sheet (points that share all but the shape of their
//! layers), or of a point. Earlier rules give the reason where several refuse a point. Rules only take points away, whatever
//! other rules say, so conditions that name each other's axes are no circle.

use super::assignment::{Assignment, BesideBlock};
use super::axes::{AnyAxis, Axis, AxisSet};
use super::expression::Expression;
use super::{Block, Choice, Space};
use crate::Invalid;

/// Something that holds of some points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(super) text: String,
    pub(super) expression: Expression,
    /// What it names.
    pub(super) axes: AxisSet,
}

impl Condition {
    pub(super) fn new(text: String, expression: Expression) -> Self {
        let axes = expression.axes();
        Self { text, expression, axes }
    }

    pub(super) fn holds(&self, point: &Assignment) -> bool {
        self.expression.holds(point)
    }
}

/// When some values of an axis are offered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct When {
    pub(super) condition: Condition,
    /// Where it stands in the file.
    pub(super) field: String,
    /// The values, as the file writes them.
    pub(super) values: String,
    /// Why a point is none that takes one of them elsewhere.
    reason: Invalid,
}

impl When {
    pub(super) fn new(axis: AnyAxis, values: String, field: String, condition: Condition) -> Self {
        let reason = format!("{} {values} is offered only when {}", axis.name(), condition.text);
        Self { condition, field, values, reason: Invalid::owned(reason) }
    }
}

/// The conditions of the values of one axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offers {
    pub(super) axis: AnyAxis,
    pub(super) conditions: Vec<When>,
    /// Of each value of the axis, in their order: the place of its condition, where it has one.
    of_value: Vec<Option<usize>>,
    /// All that has to be known to ask them.
    axes: AxisSet,
}

/// Whether the value of an axis is offered, as far as that is known.
enum Standing<'o> {
    Offered,
    Refused(&'o When),
    Open,
}

impl Offers {
    pub(super) fn new(axis: AnyAxis) -> Self {
        let mut axes = AxisSet::default();
        axes.insert(axis);
        Self { axis, conditions: Vec::new(), of_value: Vec::new(), axes }
    }

    /// Notes that values from a place to before another one were read, and when they are offered.
    pub(super) fn note(&mut self, from: usize, to: usize, when: Option<When>) {
        let place = when.map(|when| {
            self.axes = self.axes.with(when.condition.axes);
            self.conditions.push(when);
            self.conditions.len() - 1
        });
        self.of_value.resize(from, None);
        self.of_value.resize(to, place);
    }

    /// Notes the expressions of the axis: what they name has to be known to tell which value a point has.
    pub(super) fn read_expressions(&mut self, choices: &[Choice]) {
        for choice in choices {
            if let Choice::Expression(expression) = choice {
                self.axes = self.axes.with(expression.axes());
            }
        }
    }

    /// The condition of the value at a place.
    pub(super) fn of(&self, place: usize) -> Option<&When> {
        self.of_value.get(place).copied().flatten().map(|condition| &self.conditions[condition])
    }

    /// A value that stands several times is offered where any of its conditions holds.
    fn standing(&self, space: &Space, point: &Assignment, known: AxisSet) -> Standing<'_> {
        let (mut refused, mut open) = (None, false);
        for place in 0..space.length(self.axis) {
            if !space.is_value(self.axis, place, point) {
                continue;
            }
            let Some(when) = self.of(place) else { return Standing::Offered };
            if !when.condition.axes.is_within(known) {
                open = true;
            } else if when.condition.holds(point) {
                return Standing::Offered;
            } else {
                refused = refused.or(Some(when));
            }
        }
        match refused {
            _ if open => Standing::Open,
            Some(when) => Standing::Refused(when),
            None => Standing::Offered,
        }
    }

    /// The condition that a point with all axes breaks.
    pub(super) fn broken(&self, space: &Space, point: &Assignment) -> Option<&When> {
        match self.standing(space, point, AxisSet::ALL) {
            Standing::Refused(when) => Some(when),
            Standing::Offered | Standing::Open => None,
        }
    }
}

impl Space {
    /// How many values an axis has.
    pub(super) fn length(&self, axis: AnyAxis) -> usize {
        match axis {
            AnyAxis::Number(axis) => self.numbers[axis as usize].len(),
            AnyAxis::Gated => self.gated.len(),
            AnyAxis::Experts => self.experts.len(),
            AnyAxis::Window => self.windows.len(),
            AnyAxis::TiedEmbeddings => self.tied.len(),
            AnyAxis::Weights => self.weights.len(),
            AnyAxis::Kv => self.kv.len(),
        }
    }

    /// Whether a point has the value at a place of an axis.
    fn is_value(&self, axis: AnyAxis, place: usize, point: &Assignment) -> bool {
        match axis {
            AnyAxis::Number(axis) => {
                self.numbers[axis as usize][place].value(point) == point.numbers[axis as usize]
            }
            AnyAxis::Gated => self.gated[place] == point.gated,
            AnyAxis::Experts => self.experts[place] == point.experts,
            AnyAxis::Window => self.windows[place] == point.window,
            AnyAxis::TiedEmbeddings => self.tied[place] == point.tied,
            AnyAxis::Weights => self.weights[place] == point.weights,
            AnyAxis::Kv => self.kv[place] == point.kv,
        }
    }

    /// Gives a point the value at a place of an axis.
    pub(super) fn assign(&self, axis: AnyAxis, place: usize, point: &mut Assignment) {
        match axis {
            AnyAxis::Number(axis) => {
                point.numbers[axis as usize] = self.numbers[axis as usize][place].value(point);
            }
            AnyAxis::Gated => point.gated = self.gated[place],
            AnyAxis::Experts => point.experts = self.experts[place],
            AnyAxis::Window => point.window = self.windows[place],
            AnyAxis::TiedEmbeddings => point.tied = self.tied[place],
            AnyAxis::Weights => point.weights = self.weights[place],
            AnyAxis::Kv => point.kv = self.kv[place],
        }
    }

    /// Whether a value for which an axis has a condition is offered to a point.
    pub(super) fn broken_offer(&self, axis: AnyAxis, point: &Assignment) -> Option<&When> {
        let offers = self.offers.iter().find(|offers| offers.axis == axis)?;
        offers.broken(self, point)
    }

    /// What rules say of a block, its window aside.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn check_block(&self, point: &Assignment) -> Result<(), Invalid> {
        for offers in &self.offers {
            if AxisSet::BLOCK.contains(offers.axis)
                && let Standing::Refused(when) = offers.standing(self, point, AxisSet::BLOCK)
            {
                return Err(when.reason.clone());
            }
        }
        self.check_exclusions(point, |axes| axes.is_within(AxisSet::BLOCK))
    }

    fn check_exclusions(&self, point: &Assignment, asked: impl Fn(AxisSet) -> bool) -> Result<(), Invalid> {
        for condition in self.exclude.iter().filter(|condition| asked(condition.axes)) {
            if condition.holds(point) {
                return Err(Invalid::owned(format!("excluded: {}", condition.text)));
            }
        }
        Ok(())
    }

    /// What each rule that names more than a block reads.
    fn later_rules(&self) -> impl Iterator<Item = AxisSet> {
        let all = self.offers.iter().map(|offers| offers.axes);
        let all = all.chain(self.exclude.iter().map(|condition| condition.axes));
        all.filter(|axes| !axes.is_within(AxisSet::BLOCK))
    }

    /// All that rules read which name more than a block.
    pub(crate) fn later_rule_axes(&self) -> AxisSet {
        self.later_rules().fold(AxisSet::default(), AxisSet::with)
    }

    /// All that rules read which name more than a block, and something of its layers.
    pub(crate) fn layer_rule_axes(&self) -> AxisSet {
        let of_layers = self.later_rules().filter(|axes| axes.meets(AxisSet::LAYER));
        of_layers.fold(AxisSet::default(), AxisSet::with)
    }

    /// What rules say of all points of a sheet, whatever their layers.
    ///
    /// # Errors
    /// The rule that they break.
    pub(crate) fn check_sheet(&self, block: &Block, beside: &BesideBlock) -> Result<(), Invalid> {
        let is_of_sheet = |axes: AxisSet| !axes.is_within(AxisSet::BLOCK) && !axes.meets(AxisSet::LAYER);
        self.check_later(block, beside, is_of_sheet)
    }

    /// What rules say of one point of a sheet, those of the whole sheet aside.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn check_layer(&self, block: &Block, beside: &BesideBlock) -> Result<(), Invalid> {
        let is_of_layer = |axes: AxisSet| !axes.is_within(AxisSet::BLOCK) && axes.meets(AxisSet::LAYER);
        self.check_later(block, beside, is_of_layer)
    }

    /// What rules say of a point that names more than its block.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn check_rules(&self, block: &Block, beside: &BesideBlock) -> Result<(), Invalid> {
        self.check_sheet(block, beside)?;
        self.check_layer(block, beside)
    }

    fn check_later(
        &self,
        block: &Block,
        beside: &BesideBlock,
        asked: impl Fn(AxisSet) -> bool,
    ) -> Result<(), Invalid> {
        if !self.later_rules().any(&asked) {
            return Ok(());
        }
        let point = Assignment::new(block, beside);
        for offers in self.offers.iter().filter(|offers| asked(offers.axes)) {
            if let Some(when) = offers.broken(self, &point) {
                return Err(when.reason.clone());
            }
        }
        self.check_exclusions(&point, asked)
    }
}

/// What rules that name something of a layer read of one: layers that are alike in it are refused together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RuleKey {
    numbers: [Option<u64>; 4],
    gated: Option<bool>,
    experts: Option<Option<super::Mixture>>,
}

impl RuleKey {
    pub(crate) fn of(axes: AxisSet, block: &Block) -> Self {
        let number = |axis: Axis, value: u64| axes.contains(AnyAxis::Number(axis)).then_some(value);
        Self {
            numbers: [
                number(Axis::HeadSize, block.head_size),
                number(Axis::Heads, block.heads),
                number(Axis::KvHeads, block.kv_heads),
                number(Axis::Ffn, block.ffn),
            ],
            gated: axes.contains(AnyAxis::Gated).then_some(block.gated),
            experts: axes.contains(AnyAxis::Experts).then_some(block.experts),
        }
    }
}
