//! The layers that a space offers, sorted by what they have in common: for each hidden size a list of attentions, a list
//! of feed-forward parts, and which of their pairs are blocks of the space.

use crate::model::{Counted, LayerParameters};
use crate::space::{Block, Mixture};
use crate::{Invalid, Space};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::ops::Range;

/// Heads of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AttentionShape {
    pub(crate) head_size: u64,
    pub(crate) heads: u64,
    pub(crate) kv_heads: u64,
}

/// The feed-forward part of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FeedForwardShape {
    pub(crate) size: u64,
    pub(crate) gated: bool,
    pub(crate) experts: Option<Mixture>,
}

/// A pair that is no block.
const ABSENT: u64 = u64::MAX;

/// All blocks of one hidden size.
#[derive(Debug)]
pub(crate) struct Width {
    pub(crate) hidden_size: u64,
    /// Ascending by their parameters.
    pub(crate) attentions: Vec<AttentionShape>,
    /// Dense ones first, then by experts; of each kind ascending by their parameters.
    pub(crate) feed_forwards: Vec<FeedForwardShape>,
    /// Parameters of a layer's attention, its norms included.
    pub(crate) attention_parameters: Vec<u64>,
    /// Parameters of a layer's feed-forward part.
    pub(crate) feed_forward_parameters: Vec<u64>,
    /// Those of them that a token does not visit.
    pub(crate) idle_parameters: Vec<u64>,
    /// Parameters without embeddings that no layer has.
    pub(crate) rest_parameters: u64,
    /// Number of each pair's block with the first window, or [`ABSENT`]; (attentions, feed-forward parts) row-major.
    blocks: Vec<u64>,
    /// Pairs present before each row and column: `(attentions + 1, feed-forward parts + 1)` row-major.
    pairs_before: Vec<u32>,
    /// How far the number of a block moves from one window to the next.
    window_stride: u64,
}

/// The layers of a space, by hidden size.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) widths: Vec<Width>,
    /// Points that no combination of axes makes.
    pub(crate) invalid: BTreeMap<Invalid, u64>,
}

/// One combination of the axes that shape a layer.
struct Combination {
    attention: AttentionShape,
    feed_forward: FeedForwardShape,
    block: u64,
}

impl Catalogue {
    /// Sorts the blocks of `space`.
    pub(crate) fn new(space: &Space) -> Self {
        let (windows, experts) = space.window_and_expert_counts();
        // Points that share one combination of the axes that shape a layer.
        let points = windows * space.inner_size();
        let mut invalid: BTreeMap<Invalid, u64> = BTreeMap::new();
        let mut by_width: BTreeMap<u64, Vec<Combination>> = BTreeMap::new();
        for outer in 0..space.blocks() / (windows * experts) {
            for expert in 0..experts {
                let number = outer * windows * experts + expert;
                match space.block(number) {
                    Ok(block) => by_width.entry(block.hidden_size).or_default().push(Combination::of(&block)),
                    Err(reason) => *invalid.entry(reason).or_insert(0) += points,
                }
            }
        }
        let mut widths = Vec::new();
        for (hidden_size, combinations) in by_width {
            let width = Width::new(space, hidden_size, &combinations, experts, |reason, count| {
                *invalid.entry(reason).or_insert(0) += count * points;
            });
            widths.extend(width);
        }
        Self { widths, invalid }
    }
}

impl Combination {
    fn of(block: &Block) -> Self {
        Self {
            attention: AttentionShape {
                head_size: block.head_size,
                heads: block.heads,
                kv_heads: block.kv_heads,
            },
            feed_forward: FeedForwardShape { size: block.ffn, gated: block.gated, experts: block.experts },
            block: block.index,
        }
    }
}

/// Values without repetition, in the order they come.
fn distinct<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}

impl Width {
    /// Counts the parameters of each layer; `refuse` hears of pairs that are no model at all.
    fn new(
        space: &Space,
        hidden_size: u64,
        combinations: &[Combination],
        window_stride: u64,
        mut refuse: impl FnMut(Invalid, u64),
    ) -> Option<Self> {
        let attentions = distinct(combinations.iter().map(|pair| pair.attention));
        let feed_forwards = distinct(combinations.iter().map(|pair| pair.feed_forward));
        let count = |attention: AttentionShape, feed_forward: FeedForwardShape| {
            LayerParameters::of(space, &block(hidden_size, attention, feed_forward))
        };
        // What is wrong with a pair is wrong with one of its halves, so a pair that is a model tells the halves apart.
        let Some(anchor) = combinations.iter().find(|pair| count(pair.attention, pair.feed_forward).is_ok())
        else {
            for pair in combinations {
                refuse(count(pair.attention, pair.feed_forward).err()?, 1);
            }
            return None;
        };
        let base = count(anchor.attention, anchor.feed_forward).ok()?;
        let attentions: Vec<_> =
            attentions.into_iter().map(|shape| (shape, count(shape, anchor.feed_forward))).collect();
        let feed_forwards: Vec<_> =
            feed_forwards.into_iter().map(|shape| (shape, count(anchor.attention, shape))).collect();
        let wrong: HashMap<AttentionShape, &Invalid> =
            attentions.iter().filter_map(|(shape, counts)| Some((*shape, counts.as_ref().err()?))).collect();
        let wrong_feed_forwards: HashMap<FeedForwardShape, &Invalid> = feed_forwards
            .iter()
            .filter_map(|(shape, counts)| Some((*shape, counts.as_ref().err()?)))
            .collect();
        for pair in combinations {
            let reason = wrong.get(&pair.attention).or_else(|| wrong_feed_forwards.get(&pair.feed_forward));
            if let Some(reason) = reason {
                refuse((*reason).clone(), 1);
            }
        }
        let mut attentions: Vec<(u64, AttentionShape)> = attentions
            .iter()
            .filter_map(|(shape, counts)| Some((counts.as_ref().ok()?.layer, *shape)))
            .collect();
        let mut feed_forwards: Vec<(u64, u64, FeedForwardShape)> = feed_forwards
            .iter()
            .filter_map(|(shape, counts)| {
                let counts = counts.as_ref().ok()?;
                Some((counts.layer, counts.idle, *shape))
            })
            .collect();
        attentions.sort_by_key(|(layer, shape)| (*layer, *shape));
        // Parts of one kind together: boxes of several kinds would have the bounds of none of them.
        let kind = |shape: &FeedForwardShape| {
            (shape.experts.map(|experts| (experts.count, experts.top_k)), shape.gated)
        };
        feed_forwards.sort_by_key(|(layer, idle, shape)| (kind(shape), *layer, *idle, shape.size));
        // A layer's parameters are those of its halves; the least feed-forward part counts on the attention's side.
        let least = feed_forwards.iter().map(|(layer, ..)| *layer).min().unwrap_or(0);
        let mut blocks = vec![ABSENT; attentions.len() * feed_forwards.len()];
        let places: HashMap<AttentionShape, usize> =
            attentions.iter().enumerate().map(|(place, (_, shape))| (*shape, place)).collect();
        let columns: HashMap<FeedForwardShape, usize> =
            feed_forwards.iter().enumerate().map(|(place, (.., shape))| (*shape, place)).collect();
        for pair in combinations {
            if let (Some(row), Some(column)) = (places.get(&pair.attention), columns.get(&pair.feed_forward))
            {
                blocks[row * feed_forwards.len() + column] = pair.block;
            }
        }
        let pairs_before = prefix_counts(&blocks, attentions.len(), feed_forwards.len());
        Some(Self {
            hidden_size,
            attention_parameters: attentions.iter().map(|(layer, _)| layer + least - base.layer).collect(),
            feed_forward_parameters: feed_forwards.iter().map(|(layer, ..)| layer - least).collect(),
            idle_parameters: feed_forwards.iter().map(|(_, idle, _)| *idle).collect(),
            rest_parameters: base.rest,
            attentions: attentions.into_iter().map(|(_, shape)| shape).collect(),
            feed_forwards: feed_forwards.into_iter().map(|(.., shape)| shape).collect(),
            blocks,
            pairs_before,
            window_stride,
        })
    }

    /// The block of a pair; its window is the first of the space, and its number none that means anything.
    pub(crate) fn block(&self, attention: usize, feed_forward: usize) -> Block {
        block(self.hidden_size, self.attentions[attention], self.feed_forwards[feed_forward])
    }

    /// Number of the block of a pair with a window of the space, where there is one.
    pub(crate) fn number(&self, attention: usize, feed_forward: usize, window: usize) -> Option<u64> {
        let number = self.blocks[attention * self.feed_forwards.len() + feed_forward];
        (number != ABSENT).then(|| number + window as u64 * self.window_stride)
    }

    /// How many pairs of two ranges are blocks.
    pub(crate) fn pairs(&self, attentions: Range<usize>, feed_forwards: Range<usize>) -> u64 {
        let columns = self.feed_forwards.len() + 1;
        let before = |row: usize, column: usize| u64::from(self.pairs_before[row * columns + column]);
        before(attentions.end, feed_forwards.end) + before(attentions.start, feed_forwards.start)
            - before(attentions.start, feed_forwards.end)
            - before(attentions.end, feed_forwards.start)
    }

    /// Every attention with every feed-forward part, whether that is a block or not.
    pub(crate) fn all_pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let columns = self.feed_forwards.len();
        (0..self.attentions.len() * columns).map(move |pair| (pair / columns, pair % columns))
    }

    /// The least and the most parameters without embeddings at some depth.
    pub(crate) fn parameters_at(&self, layers: u64) -> (f64, f64) {
        let ends = |parameters: &[u64]| {
            let (least, most) = (parameters.iter().min(), parameters.iter().max());
            (least.copied().unwrap_or(0), most.copied().unwrap_or(0))
        };
        let (attention, feed_forward) =
            (ends(&self.attention_parameters), ends(&self.feed_forward_parameters));
        let at = |layer: u64| (self.rest_parameters + layers * layer) as f64;
        (at(attention.0 + feed_forward.0), at(attention.1 + feed_forward.1))
    }

    /// A pair counted at some depth.
    pub(crate) fn counted(
        &self,
        block: Block,
        (attention, feed_forward): (usize, usize),
        (layers, passes): (u64, u64),
        (vocabulary, tied): (usize, bool),
    ) -> Counted {
        let layer = self.attention_parameters[attention] + self.feed_forward_parameters[feed_forward];
        let non_embedding = self.rest_parameters + layers * layer;
        let active = non_embedding - layers * self.idle_parameters[feed_forward];
        let rest = self.rest_parameters;
        Counted { block, layers, passes, vocabulary, tied, non_embedding, active, rest }
    }
}

fn block(hidden_size: u64, attention: AttentionShape, feed_forward: FeedForwardShape) -> Block {
    Block {
        index: 0,
        hidden_size,
        head_size: attention.head_size,
        heads: attention.heads,
        kv_heads: attention.kv_heads,
        ffn: feed_forward.size,
        gated: feed_forward.gated,
        window: None,
        experts: feed_forward.experts,
    }
}

/// Pairs present in the rows and columns before each, one more of both than there are.
fn prefix_counts(blocks: &[u64], rows: usize, columns: usize) -> Vec<u32> {
    let mut before = vec![0_u32; (rows + 1) * (columns + 1)];
    for row in 0..rows {
        for column in 0..columns {
            let present = u32::from(blocks[row * columns + column] != ABSENT);
            let above = before[row * (columns + 1) + column + 1];
            let left = before[(row + 1) * (columns + 1) + column];
            let corner = before[row * (columns + 1) + column];
            before[(row + 1) * (columns + 1) + column + 1] = above + left - corner + present;
        }
    }
    before
}
