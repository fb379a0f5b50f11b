//! What the rules of a space say of the points of a sheet: each rule is asked once for all layers that are alike to it.

use super::catalogue::Width;
use crate::space::{AxisSet, BesideBlock, RuleKey};
use crate::{Block, Invalid, Space};
use std::collections::HashMap;
use std::rc::Rc;

/// The pairs of a width, sorted by what rules read of them.
#[derive(Debug)]
pub(crate) struct Classes {
    /// The class of each pair: `(attentions, feed-forward parts)` row-major.
    of_pair: Vec<u32>,
    /// A pair of each class.
    firsts: Vec<(usize, usize)>,
    columns: usize,
}

impl Classes {
    pub(crate) fn new(axes: AxisSet, width: &Width) -> Self {
        let (mut places, mut firsts) = (HashMap::new(), Vec::new());
        let of_pair = width.all_pairs().map(|(row, column)| {
            let key = RuleKey::of(axes, &width.block(row, column));
            *places.entry(key).or_insert_with(|| {
                firsts.push((row, column));
                firsts.len() as u32 - 1
            })
        });
        Self { of_pair: of_pair.collect(), firsts, columns: width.feed_forwards.len() }
    }

    pub(crate) fn of(&self, (row, column): (usize, usize)) -> usize {
        self.of_pair[row * self.columns + column] as usize
    }

    pub(crate) fn count(&self) -> usize {
        self.firsts.len()
    }

    /// Why the points of each class are none in one window, where a rule says so.
    pub(crate) fn refusals(
        &self,
        space: &Space,
        width: &Width,
        window: usize,
        beside: &BesideBlock,
    ) -> Vec<Option<Invalid>> {
        let refusal = |(row, column): &(usize, usize)| {
            let block = Block { window: space.windows()[window], ..width.block(*row, *column) };
            space.check_layer(&block, beside).err()
        };
        self.firsts.iter().map(refusal).collect()
    }
}

/// The classes of all widths, made as they are met.
#[derive(Debug)]
pub(crate) struct Ruled {
    axes: Option<AxisSet>,
    classes: HashMap<usize, Rc<Classes>>,
}

impl Ruled {
    pub(crate) fn new(space: &Space) -> Self {
        let axes = Some(space.layer_rule_axes()).filter(|axes| *axes != AxisSet::default());
        Self { axes, classes: HashMap::new() }
    }

    /// What rules say of a sheet in the width of that place, in a window of the space.
    pub(crate) fn of_sheet(
        &mut self,
        space: &Space,
        (place, width): (usize, &Width),
        window: usize,
        beside: &BesideBlock,
    ) -> SheetRules {
        let block = Block { window: space.windows()[window], ..width.block(0, 0) };
        let of_sheet = space.check_sheet(&block, beside).err();
        let Some(axes) = self.axes.filter(|_| of_sheet.is_none()) else {
            return SheetRules { of_sheet, classes: None };
        };
        let classes = self.classes.entry(place).or_insert_with(|| Rc::new(Classes::new(axes, width)));
        let refusals = classes.refusals(space, width, window, beside);
        let refuses = refusals.iter().any(Option::is_some);
        SheetRules { of_sheet, classes: refuses.then(|| (Rc::clone(classes), refusals)) }
    }
}

/// What rules say of a sheet.
#[derive(Debug)]
pub(crate) struct SheetRules {
    /// Why none of its points is one.
    of_sheet: Option<Invalid>,
    /// Why points of some classes are none.
    classes: Option<(Rc<Classes>, Vec<Option<Invalid>>)>,
}

impl SheetRules {
    /// Why no point of the sheet is one, whatever its layers.
    pub(crate) const fn of_sheet(&self) -> Option<&Invalid> {
        self.of_sheet.as_ref()
    }

    /// Whether it depends on the layers of a point.
    pub(crate) const fn is_by_layer(&self) -> bool {
        self.classes.is_some()
    }

    /// Why the point of a pair is none.
    pub(crate) fn refusal(&self, pair: (usize, usize)) -> Option<&Invalid> {
        let of_class = || {
            let (classes, refusals) = self.classes.as_ref()?;
            refusals[classes.of(pair)].as_ref()
        };
        self.of_sheet.as_ref().or_else(of_class)
    }
}
