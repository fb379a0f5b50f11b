//! Points by number: which block and which inner choice an index means, and the architecture it stands for.
//!
//! A point's index is `block · inner_size + inner`; both parts are mixed-radix numbers over their axes.

use super::assignment::Assignment;
use super::{Axis, BesideBlock, Choice, Mixture, Space, Window};
use crate::Invalid;
use slimfit_arch::{Architecture, Attention, FeedForward, LayerRun, Loops, Mlp, Moe, Positions, Scales};
use slimfit_quantity::NumberFormat;

/// The shape that all layers of a point share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its number in the space.
    pub index: u64,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Values of a head.
    pub head_size: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads.
    pub kv_heads: u64,
    /// Inner width of the feed-forward part.
    pub ffn: u64,
    /// Whether it is gated.
    pub gated: bool,
    /// The sliding window of most layers.
    pub window: Option<Window>,
    /// The experts that share out the feed-forward part; none: it is dense.
    pub experts: Option<Mixture>,
}

impl Block {
    /// How many of `layers` layers see all keys.
    pub fn full_layers(&self, layers: u64) -> u64 {
        Window::full_layers(self.window, layers)
    }
}

/// What a point chooses beside its block: places in the lists of the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inner {
    /// Its number within the block.
    pub index: u64,
    /// Place in the list of weight formats.
    pub weights: usize,
    /// Place in the list of KV formats.
    pub kv: usize,
    /// Place in the list of vocabularies.
    pub vocabulary: usize,
    /// Place in the list of tyings.
    pub tied: usize,
    /// Place in the list of depths.
    pub layers: usize,
    /// Place in the list of numbers of passes.
    pub loops: usize,
}

/// A point written out.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Its number in the space.
    pub index: u64,
    /// What it is.
    pub architecture: Architecture,
    /// How its weights are stored.
    pub weights: NumberFormat,
    /// How its KV cache is stored.
    pub kv: NumberFormat,
}

const BROKEN: [&str; 2] =
    ["parameters outside the space's bounds", "non_embedding parameters outside the space's bounds"];

impl Space {
    /// How many blocks there are, valid or not.
    pub fn blocks(&self) -> u64 {
        self.lengths().iter().map(|length| *length as u64).product()
    }

    /// How many windows and how many kinds of experts there are: the two axes of a block that run fastest, in that order.
    pub(crate) fn window_and_expert_counts(&self) -> (u64, u64) {
        (self.windows.len() as u64, self.experts.len() as u64)
    }

    /// The windows offered.
    pub(crate) fn windows(&self) -> &[Option<Window>] {
        &self.windows
    }

    /// How many points share a block.
    pub fn inner_size(&self) -> u64 {
        self.inner_lengths().iter().map(|length| *length as u64).product()
    }

    /// The block of that number.
    ///
    /// # Errors
    /// Why it is none.
    pub fn block(&self, index: u64) -> Result<Block, Invalid> {
        let digits = digits(index, self.lengths());
        let mut point = Assignment::UNKNOWN;
        for axis in self.order {
            let options = &self.numbers[axis as usize];
            let chosen = digits[Axis::BLOCK.iter().position(|block| *block == axis).unwrap_or_default()];
            let value = options[chosen].value(&point);
            Self::check_value(axis, value, || options[..chosen].iter().map(|earlier| earlier.value(&point)))?;
            point.numbers[axis as usize] = value;
        }
        self.finished_block(index, point, [digits[5], digits[6], digits[7]])
    }

    /// Whether an axis of a block can have a value that comes after `earlier` ones.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_value<I: Iterator<Item = f64>>(
        axis: Axis,
        value: f64,
        earlier: impl FnOnce() -> I,
    ) -> Result<(), Invalid> {
        if !(value >= 1.0 && value.fract() == 0.0 && value < (1_u64 << 53) as f64) {
            return Err(Invalid::of(match axis {
                Axis::HiddenSize => "hidden_size is no whole number",
                Axis::HeadSize => "head_size is no whole number",
                Axis::Heads => "heads is no whole number",
                Axis::KvHeads => "kv_heads is no whole number",
                Axis::Ffn | Axis::Layers | Axis::Loops | Axis::VocabularySize => "ffn is no whole number",
            }));
        }
        if earlier().any(|earlier| earlier == value) {
            return Err(Invalid::of("the same as another point"));
        }
        Ok(())
    }

    /// The block of these numbers and places in the lists of gates, windows and experts.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn finished_block(
        &self,
        index: u64,
        mut point: Assignment,
        [gated, window, experts]: [usize; 3],
    ) -> Result<Block, Invalid> {
        let whole = |axis: Axis| point.numbers[axis as usize] as u64;
        let block = Block {
            index,
            hidden_size: whole(Axis::HiddenSize),
            head_size: whole(Axis::HeadSize),
            heads: whole(Axis::Heads),
            kv_heads: whole(Axis::KvHeads),
            ffn: whole(Axis::Ffn),
            gated: self.gated[gated],
            window: self.windows[window],
            experts: self.experts[experts],
        };
        if let Some(experts) = block.experts {
            if !block.ffn.is_multiple_of(experts.top_k) {
                return Err(Invalid::of("ffn is no multiple of top_k"));
            }
            if self.fixed.ffn_bias {
                return Err(Invalid::of("experts have no biases"));
            }
        }
        if !block.heads.is_multiple_of(block.kv_heads) {
            return Err(Invalid::of("heads is no multiple of kv_heads"));
        }
        (point.gated, point.experts) = (block.gated, block.experts);
        self.check_block(&point)?;
        Ok(block)
    }

    /// Whether parameter counts lie within the space's bounds.
    ///
    /// # Errors
    /// Which bound they break.
    pub(crate) fn check_parameters(&self, total: u64, non_embedding: u64) -> Result<(), Invalid> {
        let outside = |bounds: Option<(u64, u64)>, value: u64| {
            bounds.is_some_and(|(least, most)| value < least || value > most)
        };
        if outside(self.parameters, total) {
            return Err(Self::bound_reason(0));
        }
        if outside(self.non_embedding, non_embedding) {
            return Err(Self::bound_reason(1));
        }
        Ok(())
    }

    /// Parameters without embeddings that keep the space's bounds beside so many of embeddings, least and most.
    pub(crate) fn parameter_bounds(&self, embedding: u64) -> (f64, f64) {
        let (mut least, mut most) = (0.0_f64, f64::INFINITY);
        if let Some((low, high)) = self.parameters {
            (least, most) = (low as f64 - embedding as f64, high as f64 - embedding as f64);
        }
        if let Some((low, high)) = self.non_embedding {
            (least, most) = (least.max(low as f64), most.min(high as f64));
        }
        (least, most)
    }

    /// Why no point is valid whose parameters without embeddings are from `least` to `most`, where one bound refuses all.
    pub(crate) fn parameter_reason(&self, least: f64, most: f64, embedding: u64) -> Option<Invalid> {
        let total = |value: f64| self.check_parameters(value as u64 + embedding, value as u64);
        // Within one interval the same bound is broken at both ends, or some point between may keep it.
        let (low, high) = (total(least).err()?, total(most).err()?);
        let below = |bounds: Option<(u64, u64)>, value: u64| bounds.is_some_and(|(low, _)| value < low);
        let side = |value: f64| {
            (below(self.parameters, value as u64 + embedding), below(self.non_embedding, value as u64))
        };
        (low == high && side(least) == side(most)).then_some(low)
    }

    /// Which bound so many parameters without embeddings break, 0 or 1: that on all of them, or that on themselves.
    pub(crate) fn broken_bound(&self, non_embedding: f64, embedding: u64) -> usize {
        let total = non_embedding as u64 + embedding;
        usize::from(self.parameters.is_none_or(|(low, high)| (low..=high).contains(&total)))
    }

    /// Why a point is none that breaks a bound on parameters, by [`Space::broken_bound`].
    pub(crate) fn bound_reason(broken: usize) -> Invalid {
        Invalid::of(BROKEN[broken])
    }

    /// What an inner choice stands for.
    pub(crate) fn beside_block(&self, inner: Inner) -> BesideBlock {
        let number = |axis: Axis, place: usize| self.numbers[axis as usize][place].plain();
        BesideBlock {
            layers: number(Axis::Layers, inner.layers),
            passes: number(Axis::Loops, inner.loops),
            vocabulary: number(Axis::VocabularySize, inner.vocabulary),
            tied: self.tied[inner.tied],
            weights: self.weights[inner.weights],
            kv: self.kv[inner.kv],
        }
    }

    /// The inner choice of these places.
    pub(crate) fn inner_of(
        &self,
        weights: usize,
        kv: usize,
        vocabulary: usize,
        tied: usize,
        (layers, loops): (usize, usize),
    ) -> Inner {
        let places = [weights, kv, vocabulary, tied, layers, loops];
        let index = places
            .iter()
            .zip(self.inner_lengths())
            .fold(0_u64, |index, (place, length)| index * length as u64 + *place as u64);
        Inner { index, weights, kv, vocabulary, tied, layers, loops }
    }

    /// The inner choice of that number.
    pub fn inner(&self, index: u64) -> Inner {
        let [weights, kv, vocabulary, tied, layers, loops] = digits(index, self.inner_lengths());
        Inner { index, weights, kv, vocabulary, tied, layers, loops }
    }

    /// Vocabularies offered.
    pub fn vocabularies(&self) -> Vec<u64> {
        self.plain(Axis::VocabularySize)
    }

    /// Depths offered.
    pub fn depths(&self) -> Vec<u64> {
        self.plain(Axis::Layers)
    }

    /// Numbers of passes through all layers offered; 1: they run once.
    pub fn passes(&self) -> Vec<u64> {
        self.plain(Axis::Loops)
    }

    /// Tyings offered.
    pub fn tyings(&self) -> &[bool] {
        &self.tied
    }

    fn plain(&self, axis: Axis) -> Vec<u64> {
        self.numbers[axis as usize].iter().map(Choice::plain).collect()
    }

    /// The architecture of a block at some depth, whose layers run once.
    pub fn architecture(
        &self,
        block: &Block,
        layers: u64,
        vocabulary_size: u64,
        tied_embeddings: bool,
    ) -> Architecture {
        let run = |repeat: u64, window: Option<u64>| LayerRun {
            repeat,
            attention: Attention {
                heads: block.heads,
                kv_heads: block.kv_heads,
                head_size: block.head_size,
                window,
                rope: Some(self.fixed.rope.clone()),
                bias: self.fixed.attention_bias,
                qk_norm: self.fixed.qk_norm,
                scale: None,
                softcap: None,
                qkv_clip: None,
            },
            ffn: self.feed_forward(block),
        };
        let runs = match block.window {
            None => vec![run(layers, None)],
            Some(Window { size, full_every: None }) => vec![run(layers, Some(size))],
            Some(Window { full_every: Some(1), .. }) => vec![run(layers, None)],
            Some(Window { size, full_every: Some(every) }) => {
                let mut runs = Vec::new();
                for _ in 0..layers / every {
                    runs.push(run(every - 1, Some(size)));
                    runs.push(run(1, None));
                }
                if !layers.is_multiple_of(every) {
                    runs.push(run(layers % every, Some(size)));
                }
                runs
            }
        };
        Architecture {
            hidden_size: block.hidden_size,
            vocabulary_size,
            tied_embeddings,
            embedding_size: None,
            layers: runs,
            positions: Positions::None,
            norm: self.fixed.norm,
            norm_placement: self.fixed.norm_placement,
            embedding_norm: false,
            final_norm: true,
            head_bias: false,
            scales: Scales::default(),
            loops: None,
        }
    }

    /// Experts are scaled to sum to 1, as in Mixtral and Qwen 3.
    fn feed_forward(&self, block: &Block) -> FeedForward {
        let (gated, activation) = (block.gated, self.fixed.activation);
        match block.experts {
            None => FeedForward::Dense(Mlp { size: block.ffn, gated, activation, bias: self.fixed.ffn_bias }),
            Some(Mixture { count, top_k }) => FeedForward::Moe(Moe {
                experts: count,
                top_k,
                expert_size: block.ffn / top_k,
                gated,
                activation,
                shared_size: 0,
                shared_gate: false,
                normalise_top_k: true,
                router_bias: false,
            }),
        }
    }

    /// The point of that number.
    ///
    /// # Errors
    /// Why its block is none. (Limits on parameters and rules that name more than a block are for the search to apply.)
    pub fn point(&self, index: u64) -> Result<Point, Invalid> {
        let block = self.block(index / self.inner_size())?;
        let inner = self.inner(index % self.inner_size());
        let (layers, vocabulary) = (self.depths()[inner.layers], self.vocabularies()[inner.vocabulary]);
        Ok(Point {
            index,
            architecture: looped(
                self.architecture(&block, layers, vocabulary, self.tied[inner.tied]),
                self.passes()[inner.loops],
            ),
            weights: self.weights[inner.weights],
            kv: self.kv[inner.kv],
        })
    }
}

/// The same model with so many passes through all of its layers.
pub(crate) fn looped(architecture: Architecture, passes: u64) -> Architecture {
    let layers = architecture.depth();
    let loops = (passes > 1).then_some(Loops { first: 0, layers, count: passes, immediate: false });
    Architecture { loops, ..architecture }
}

/// How often all layers of a model run, where they all run equally often and in one order.
pub(crate) fn passes_of(architecture: &Architecture) -> Option<u64> {
    match architecture.loops {
        None | Some(Loops { count: 1, .. }) => Some(1),
        Some(Loops { first, layers, count, immediate }) => {
            let whole = first == 0 && layers == architecture.depth();
            (whole && (!immediate || layers == 1)).then_some(count)
        }
    }
}

impl Choice {
    pub(super) fn value(&self, point: &Assignment) -> f64 {
        match self {
            Self::Number(value) => *value as f64,
            Self::Expression(expression) => expression.value(point),
        }
    }

    /// Its value where it names no axis.
    fn plain(&self) -> u64 {
        self.value(&Assignment::UNKNOWN) as u64
    }
}

/// Digits of a mixed-radix number, the last one running fastest.
fn digits<const N: usize>(mut index: u64, lengths: [usize; N]) -> [usize; N] {
    let mut digits = [0; N];
    for place in (0..N).rev() {
        let length = lengths[place].max(1) as u64;
        digits[place] = (index % length) as usize;
        index /= length;
    }
    digits
}
