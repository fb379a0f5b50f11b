//! The layers that a space offers, sorted by what they have in common: for each hidden size a list of attentions, a list
//! of feed-forward parts, and which of their pairs are blocks of the space.

use crate::model::{Counted, LayerParameters};
use crate::space::{Block, Mixture};
use crate::{Invalid, Space};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Least and most parameters of a layer.
    layer_parameters: (u64, u64),
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

impl Catalogue {
    /// Sorts the blocks of `space`.
    pub(crate) fn new(space: &Space) -> Self {
        let (windows, experts) = space.window_and_expert_counts();
        // Points that share one combination of the axes that shape a layer.
        let points = windows * space.inner_size();
        let next = AtomicUsize::new(0);
        let gather = || {
            let mut part = Self { widths: Vec::new(), invalid: BTreeMap::new() };
            let mut gathered: BTreeMap<u64, Gathered> = BTreeMap::new();
            loop {
                let shard = next.fetch_add(1, Ordering::Relaxed);
                if shard < space.shards() {
                    space.walk(
                        shard,
                        &mut |block| gathered.entry(block.hidden_size).or_default().add(block),
                        &mut |reason, count| *part.invalid.entry(reason).or_insert(0) += count * points,
                    );
                }
                if shard >= space.shards() || space.shards_are_widths() {
                    for (hidden_size, gathered) in std::mem::take(&mut gathered) {
                        let refuse = |reason, count: u64| {
                            *part.invalid.entry(reason).or_insert(0) += count * points;
                        };
                        part.widths.extend(Width::new(space, hidden_size, gathered, experts, refuse));
                    }
                }
                if shard >= space.shards() {
                    return part;
                }
            }
        };
        // Blocks of one hidden size have to meet.
        let available = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = if space.shards_are_widths() { available.min(space.shards()) } else { 1 };
        let mut all = Self { widths: Vec::new(), invalid: BTreeMap::new() };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(gather)).collect();
            for thread in threads {
                let part = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all.widths.extend(part.widths);
                for (reason, count) in part.invalid {
                    *all.invalid.entry(reason).or_insert(0) += count;
                }
            }
        });
        all.widths.sort_by_key(|width| width.hidden_size);
        all
    }
}

/// Different values in the order they come, and where each is.
#[derive(Debug)]
struct Numbered<T> {
    values: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T: Copy + Eq + Hash> Numbered<T> {
    fn place(&mut self, value: T) -> u32 {
        *self.places.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() as u32 - 1
        })
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { values: Vec::new(), places: HashMap::new() }
    }
}

/// The blocks of one hidden size.
#[derive(Debug, Default)]
struct Gathered {
    attentions: Numbered<AttentionShape>,
    feed_forwards: Numbered<FeedForwardShape>,
    /// Place of the attention, place of the feed-forward part, and number of the block.
    pairs: Vec<(u32, u32, u64)>,
    /// The attention of the last block.
    last: Option<(AttentionShape, u32)>,
}

impl Gathered {
    fn add(&mut self, block: &Block) {
        let Block { head_size, heads, kv_heads, .. } = *block;
        let attention = AttentionShape { head_size, heads, kv_heads };
        let feed_forward = FeedForwardShape { size: block.ffn, gated: block.gated, experts: block.experts };
        let row = match self.last {
            Some((last, row)) if last == attention => row,
            _ => self.attentions.place(attention),
        };
        self.last = Some((attention, row));
        self.pairs.push((row, self.feed_forwards.place(feed_forward), block.index));
    }
}

impl Width {
    /// Counts the parameters of each layer; `refuse` hears of pairs that are no model at all.
    fn new(
        space: &Space,
        hidden_size: u64,
        gathered: Gathered,
        window_stride: u64,
        mut refuse: impl FnMut(Invalid, u64),
    ) -> Option<Self> {
        let Gathered { attentions, feed_forwards, pairs, .. } = gathered;
        let (attentions, feed_forwards) = (attentions.values, feed_forwards.values);
        let count = |attention: AttentionShape, feed_forward: FeedForwardShape| {
            LayerParameters::of(space, &block(hidden_size, attention, feed_forward))
        };
        let shapes =
            |(row, column, _): (u32, u32, u64)| (attentions[row as usize], feed_forwards[column as usize]);
        // What is wrong with a pair is wrong with one of its halves, so a pair that is a model tells the halves apart.
        let anchor = pairs.iter().map(|pair| shapes(*pair)).find(|pair| count(pair.0, pair.1).is_ok());
        let Some(anchor) = anchor else {
            for pair in &pairs {
                let (attention, feed_forward) = shapes(*pair);
                refuse(count(attention, feed_forward).err()?, 1);
            }
            return None;
        };
        let base = count(anchor.0, anchor.1).ok()?;
        let rows: Vec<_> = attentions.iter().map(|shape| (*shape, count(*shape, anchor.1))).collect();
        let columns: Vec<_> = feed_forwards.iter().map(|shape| (*shape, count(anchor.0, *shape))).collect();
        if rows.iter().any(|(_, counts)| counts.is_err()) || columns.iter().any(|(_, counts)| counts.is_err())
        {
            for (row, column, _) in &pairs {
                let (row, column) = (&rows[*row as usize].1, &columns[*column as usize].1);
                if let Some(reason) = row.as_ref().err().or(column.as_ref().err()) {
                    refuse(reason.clone(), 1);
                }
            }
        }
        // Each with its place before they are sorted.
        let mut attentions: Vec<(u64, AttentionShape, usize)> = (rows.iter().enumerate())
            .filter_map(|(place, (shape, counts))| Some((counts.as_ref().ok()?.layer, *shape, place)))
            .collect();
        let mut feed_forwards: Vec<(u64, u64, FeedForwardShape, usize)> = (columns.iter().enumerate())
            .filter_map(|(place, (shape, counts))| {
                let counts = counts.as_ref().ok()?;
                Some((counts.layer, counts.idle, *shape, place))
            })
            .collect();
        attentions.sort_by_key(|(layer, shape, _)| (*layer, *shape));
        // Parts of one kind together: boxes of several kinds would have the bounds of none of them.
        let kind = |shape: &FeedForwardShape| {
            (shape.experts.map(|experts| (experts.count, experts.top_k)), shape.gated)
        };
        feed_forwards.sort_by_key(|(layer, idle, shape, _)| (kind(shape), *layer, *idle, shape.size));
        // A layer's parameters are those of its halves; the least feed-forward part counts on the attention's side.
        let least = feed_forwards.iter().map(|(layer, ..)| *layer).min().unwrap_or(0);
        let mut blocks = vec![ABSENT; attentions.len() * feed_forwards.len()];
        let sorted = |count: usize, before: &mut dyn Iterator<Item = usize>| {
            let mut places = vec![None; count];
            before.enumerate().for_each(|(place, before)| places[before] = Some(place));
            places
        };
        let row_places = sorted(rows.len(), &mut attentions.iter().map(|(.., before)| *before));
        let column_places = sorted(columns.len(), &mut feed_forwards.iter().map(|(.., before)| *before));
        for (row, column, number) in pairs {
            if let (Some(row), Some(column)) = (row_places[row as usize], column_places[column as usize]) {
                blocks[row * feed_forwards.len() + column] = number;
            }
        }
        let pairs_before = prefix_counts(&blocks, attentions.len(), feed_forwards.len());
        let attention_parameters: Vec<u64> =
            attentions.iter().map(|(layer, ..)| layer + least - base.layer).collect();
        let feed_forward_parameters: Vec<u64> =
            feed_forwards.iter().map(|(layer, ..)| layer - least).collect();
        let end = |of: fn(std::slice::Iter<'_, u64>) -> Option<&u64>| {
            [&attention_parameters, &feed_forward_parameters].iter().filter_map(|list| of(list.iter())).sum()
        };
        Some(Self {
            hidden_size,
            layer_parameters: (end(|list| list.min()), end(|list| list.max())),
            attention_parameters,
            feed_forward_parameters,
            idle_parameters: feed_forwards.iter().map(|(_, idle, ..)| *idle).collect(),
            rest_parameters: base.rest,
            attentions: attentions.into_iter().map(|(_, shape, _)| shape).collect(),
            feed_forwards: feed_forwards.into_iter().map(|(_, _, shape, _)| shape).collect(),
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
        let at = |layer: u64| (self.rest_parameters + layers * layer) as f64;
        (at(self.layer_parameters.0), at(self.layer_parameters.1))
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
