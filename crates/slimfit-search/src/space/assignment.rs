//! The value that each axis has in a point, as expressions and conditions read them.

use super::axes::{AnyAxis, Axis};
use super::{Block, Mixture, Window};
use slimfit_quantity::NumberFormat;

/// A value for each axis. What is not known yet is asked by nobody: rules wait until all that they name is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assignment {
    /// Not a number where not known.
    pub(super) numbers: [f64; Axis::COUNT],
    pub(super) gated: bool,
    pub(super) experts: Option<Mixture>,
    pub(super) window: Option<Window>,
    pub(super) tied: bool,
    pub(super) weights: NumberFormat,
    pub(super) kv: NumberFormat,
}

/// What a point has beside its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BesideBlock {
    pub(crate) layers: u64,
    pub(crate) passes: u64,
    pub(crate) vocabulary: u64,
    pub(crate) tied: bool,
    pub(crate) weights: NumberFormat,
    pub(crate) kv: NumberFormat,
}

impl Assignment {
    pub(super) const UNKNOWN: Self = Self {
        numbers: [f64::NAN; Axis::COUNT],
        gated: false,
        experts: None,
        window: None,
        tied: false,
        weights: NumberFormat::F32,
        kv: NumberFormat::F32,
    };

    /// All axes of a point.
    pub(crate) fn new(block: &Block, beside: &BesideBlock) -> Self {
        let mut assignment = Self::UNKNOWN;
        for (axis, value) in [
            (Axis::HiddenSize, block.hidden_size),
            (Axis::HeadSize, block.head_size),
            (Axis::Heads, block.heads),
            (Axis::KvHeads, block.kv_heads),
            (Axis::Ffn, block.ffn),
            (Axis::Layers, beside.layers),
            (Axis::Loops, beside.passes),
            (Axis::VocabularySize, beside.vocabulary),
        ] {
            assignment.numbers[axis as usize] = value as f64;
        }
        Self {
            gated: block.gated,
            experts: block.experts,
            window: block.window,
            tied: beside.tied,
            weights: beside.weights,
            kv: beside.kv,
            ..assignment
        }
    }

    /// A number for the value of an axis: the count of experts, the size of a window, 1 for true, the place of a format. Not a
    /// number for `none`, so that it equals nothing and compares with nothing.
    pub(super) fn number(&self, axis: AnyAxis) -> f64 {
        match axis {
            AnyAxis::Number(axis) => self.numbers[axis as usize],
            AnyAxis::Gated => truth(self.gated),
            AnyAxis::Experts => self.experts.map_or(f64::NAN, |experts| experts.count as f64),
            AnyAxis::Window => self.window.map_or(f64::NAN, |window| window.size as f64),
            AnyAxis::TiedEmbeddings => truth(self.tied),
            AnyAxis::Weights => format_number(self.weights),
            AnyAxis::Kv => format_number(self.kv),
        }
    }

    /// Whether an axis that may be `none` is; one pass through the layers is no loop.
    pub(super) fn is_none(&self, axis: AnyAxis) -> bool {
        match axis {
            AnyAxis::Experts => self.experts.is_none(),
            AnyAxis::Window => self.window.is_none(),
            AnyAxis::Number(Axis::Loops) => self.numbers[Axis::Loops as usize] == 1.0,
            _ => false,
        }
    }
}

/// What comparisons give.
pub(super) fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// A number that stands for a format in comparisons.
pub(super) fn format_number(format: NumberFormat) -> f64 {
    NumberFormat::ALL.iter().position(|known| *known == format).unwrap_or(NumberFormat::ALL.len()) as f64
}
