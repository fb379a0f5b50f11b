//! A logarithmic grid over all quantities but one, which keeps the best of that one in each cell.
//!
//! Two sums in one cell are within a factor `1 + δ` of each other in every quantity of the grid, whichever way it is
//! better; in the quantity left out the kept one is at least as good (Lemma 6). Cells of equal ratio are found without
//! logarithms: the bits of a positive `f64` grow with it, so a table over their leading ones tells the cell.

use super::problem::{DIMENSIONS, Scaled};

/// Cells of one quantity.
#[derive(Debug, Clone)]
struct Axis {
    /// Bits below which a number has cell 0.
    below: u64,
    shift: u32,
    table: Vec<u32>,
}

/// Bits of the mantissa that the table tells apart, at most: 2²⁰ entries for each doubling would be slower than `ln`.
const MANTISSA_BITS: u32 = 18;

impl Axis {
    /// Cells of 0 and of all from `low` to `high` that differ by at most `1 + delta` each.
    fn new(low: f64, high: f64, delta: f64) -> Option<Self> {
        let bits = ((16.0 / delta).log2().ceil().max(4.0) as u32).min(MANTISSA_BITS);
        // The ratio of a bucket's edges is at most 1 + 2^-bits.
        if 2.0_f64.powi(-(bits as i32)) > delta {
            return None;
        }
        let shift = 52 - bits;
        let base = low.to_bits() >> shift;
        let buckets = (high.to_bits() >> shift) - base + 1;
        if buckets > 1 << 22 {
            return None;
        }
        let mut table = vec![0];
        let (mut cell, mut start) = (0, 0.0);
        for bucket in 0..buckets {
            let lower = f64::from_bits((base + bucket) << shift);
            let upper = f64::from_bits((base + bucket + 1) << shift);
            // An allowance for the rounding of one addition and of this product.
            if upper > start * (1.0 + delta) * (1.0 - 1e-12) {
                cell += 1;
                start = lower;
            }
            table.push(cell);
        }
        Some(Self { below: (base - 1) << shift, shift, table })
    }

    fn cell(&self, value: f64) -> u32 {
        let bucket = (value.to_bits().saturating_sub(self.below) >> self.shift) as usize;
        self.table[bucket.min(self.table.len() - 1)]
    }
}

/// Where the cells of all sums of so many layers lie.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Quantities in the order used here: first the one of the slabs, last the one that is not gridded.
    pub(crate) order: Vec<usize>,
    axes: Vec<Axis>,
    /// Of each slab: what to add to the cells' own places.
    start: Vec<i64>,
    /// (slabs, quantities) row-major.
    strides: Vec<i64>,
    pub(crate) cells: usize,
}

/// Least and most of each quantity, and of each ratio of two, over sums of any layers with their share of what every
/// model has once.
#[derive(Debug, Clone)]
pub(crate) struct Ranges {
    signs: Vec<f64>,
    /// Share of one layer.
    share: Vec<f64>,
    /// Positive values of each kind of layer with its share.
    kinds: Vec<Vec<f64>>,
}

impl Ranges {
    pub(crate) fn new(scaled: &Scaled) -> Self {
        let signs: Vec<f64> = scaled.dimensions.iter().map(|axis| axis.sign).collect();
        let share: Vec<f64> = signs
            .iter()
            .zip(&scaled.fixed)
            .map(|(sign, fixed)| sign * fixed / scaled.layers as f64)
            .collect();
        let kind = |values: &Vec<f64>| -> Vec<f64> {
            (0..signs.len()).map(|place| signs[place] * values[place] + share[place]).collect()
        };
        let kinds = scaled.kinds.iter().map(kind).collect();
        Self { signs, share, kinds }
    }

    /// A bound over kinds, and whether one of them is 0.
    fn range(&self, place: usize) -> (f64, f64, bool) {
        let values = self.kinds.iter().map(|kind| kind[place]);
        let positive = values.clone().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        (positive, values.clone().fold(0.0, f64::max), values.into_iter().any(|value| value == 0.0))
    }
}

impl Layout {
    /// The layout with the fewest cells for sums of `layers` layers whose cells span a factor `1 + delta`; `last` is the
    /// quantity left out where that is not free. Nothing where it would have more than `most_cells`.
    pub(crate) fn new(
        ranges: &Ranges,
        layers: usize,
        delta: f64,
        last: Option<usize>,
        most_cells: usize,
    ) -> Option<Self> {
        let dimensions = ranges.signs.len();
        let mut best: Option<Self> = None;
        for left_out in last.map_or(0..dimensions, |last| last..last + 1) {
            for slab in (0..dimensions).filter(|slab| *slab != left_out) {
                let most = best.as_ref().map_or(most_cells, |best| best.cells.saturating_sub(1));
                let others = (0..dimensions).filter(|place| ![slab, left_out].contains(place));
                let order: Vec<usize> = [slab].into_iter().chain(others).chain([left_out]).collect();
                if let Some(layout) = Self::of(ranges, layers, delta, order, most) {
                    best = Some(layout);
                }
            }
        }
        best
    }

    fn of(ranges: &Ranges, layers: usize, delta: f64, order: Vec<usize>, most: usize) -> Option<Self> {
        let gridded = order.len() - 1;
        let count = layers as f64;
        let mut axes = Vec::new();
        for &place in &order[..gridded] {
            let (low, high, zero) = ranges.range(place);
            // No factor covers 0 by another number: such quantities have no grid.
            if zero {
                return None;
            }
            axes.push(Axis::new(low * count * (1.0 - 1e-9), high * count * (1.0 + 1e-9), delta)?);
        }
        let slab_axis = &axes[0];
        let slabs = *slab_axis.table.last()? as usize + 1;
        // Edges of each slab: of the buckets that it is made of.
        let mut edges = vec![(0.0, 0.0); slabs];
        for (bucket, &cell) in slab_axis.table.iter().enumerate().skip(1) {
            let edge = |bucket: usize| f64::from_bits(slab_axis.below + ((bucket as u64) << slab_axis.shift));
            let span = &mut edges[cell as usize];
            if span.0 == 0.0 {
                span.0 = edge(bucket);
            }
            span.1 = edge(bucket + 1);
        }
        let mut layout =
            Self { order, axes, start: Vec::new(), strides: Vec::with_capacity(slabs * gridded), cells: 0 };
        for (low, high) in edges {
            let mut size = 1_usize;
            let mut strides = vec![0_i64; gridded];
            let mut first = 0;
            for place in (1..gridded).rev() {
                let (least, most) = layout.span(ranges, place, low, high);
                strides[place] = size as i64;
                first += size as i64 * i64::from(least);
                size = size.checked_mul((most.checked_sub(least)? + 1) as usize)?;
            }
            layout.start.push(layout.cells as i64 - first);
            layout.strides.extend(strides);
            layout.cells = layout.cells.checked_add(size)?;
            if layout.cells > most {
                return None;
            }
        }
        Some(layout)
    }

    /// First and last cell of a quantity where that of the slabs is between two edges.
    fn span(&self, ranges: &Ranges, place: usize, low: f64, high: f64) -> (u32, u32) {
        let axis = &self.axes[place];
        let (slab, other) = (self.order[0], self.order[place]);
        let ends = (0, axis.table[axis.table.len() - 1]);
        let ratios = ranges.kinds.iter().map(|kind| kind[other] / kind[slab]);
        if ranges.kinds.iter().any(|kind| kind[slab] == 0.0) {
            return ends;
        }
        let least = ratios.clone().fold(f64::INFINITY, f64::min) * low * (1.0 - 1e-9);
        let most = ratios.fold(0.0, f64::max) * high * (1.0 + 1e-9);
        (axis.cell(least).min(ends.1), axis.cell(most).min(ends.1))
    }

    /// Numbers of a label as [`Layout::place`] takes them: positive ones of the grid, then the signed one left out.
    /// `layers` is how many shares of what every model has once it gets.
    pub(crate) fn row(&self, ranges: &Ranges, values: &[f64], layers: usize) -> Row {
        let mut row = [0.0; DIMENSIONS];
        let gridded = self.order.len() - 1;
        for (slot, &place) in self.order[..gridded].iter().enumerate() {
            row[slot] = ranges.signs[place] * values[place] + ranges.share[place] * layers as f64;
        }
        row[gridded] = values[self.order[gridded]];
        row
    }

    /// The cell of a sum.
    pub(crate) fn place<const G: usize>(&self, sum: &Row) -> usize {
        let slab = self.axes[0].cell(sum[0]) as usize;
        let mut place = self.start[slab];
        let strides = &self.strides[slab * G..][..G];
        for axis in 1..G {
            place += i64::from(self.axes[axis].cell(sum[axis])) * strides[axis];
        }
        place as usize
    }
}

/// The numbers of a label in the order of a layout.
pub(crate) type Row = [f64; DIMENSIONS];

/// What a cell keeps: the quantity left out, and which two labels it is the sum of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cell {
    pub(crate) last: f64,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

impl Cell {
    pub(crate) const EMPTY: Self = Self { last: f64::INFINITY, a: u32::MAX, b: u32::MAX };

    /// Keeps the better one; of equal ones the one with the first labels, so that the order they come in is no matter.
    pub(crate) fn keep(&mut self, other: Self) {
        if other.last < self.last || (other.last == self.last && (other.a, other.b) < (self.a, self.b)) {
            *self = other;
        }
    }
}
