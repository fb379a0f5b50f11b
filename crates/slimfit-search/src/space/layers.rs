//! Axes that each layer chooses for itself.
//!
//! A block is then the shape of one layer. Blocks that agree in all axes that layers share are one *frame*'s kinds of layers;
//! a model is a frame, an inner choice and a kind for each layer.

use super::{Block, Space};
use crate::{Invalid, SearchError};
use num_bigint::BigUint;
use slimfit_study::Natural;

/// An axis that each layer may choose for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerAxis {
    /// Query heads.
    Heads,
    /// Key and value heads.
    KvHeads,
    /// Inner width of the feed-forward part.
    Ffn,
    /// Whether it is gated.
    Gated,
    /// Sliding window.
    Window,
    /// Experts.
    Experts,
}

/// Layers that a model of such a space may have.
pub(crate) const MOST_LAYERS: u64 = 255;

impl LayerAxis {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Heads, Self::KvHeads, Self::Ffn, Self::Gated, Self::Window, Self::Experts];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::KvHeads => "kv_heads",
            Self::Ffn => "ffn",
            Self::Gated => "gated",
            Self::Window => "window",
            Self::Experts => "experts",
        }
    }

    /// Its place among the digits of a block.
    const fn digit(self) -> usize {
        match self {
            Self::Heads => 2,
            Self::KvHeads => 3,
            Self::Ffn => 4,
            Self::Gated => 5,
            Self::Window => 6,
            Self::Experts => 7,
        }
    }
}

impl Space {
    /// Axes that each layer chooses for itself; none: all layers of a point are equal.
    pub fn per_layer(&self) -> &[LayerAxis] {
        &self.per_layer
    }

    /// Whether layers may differ.
    pub fn is_layered(&self) -> bool {
        !self.per_layer.is_empty()
    }

    /// Refuses a space whose layers differ where every point has a number that fits a machine word.
    ///
    /// # Errors
    /// When layers may differ.
    pub fn require_equal_layers(&self, what: &str) -> Result<(), SearchError> {
        if !self.is_layered() {
            return Ok(());
        }
        let names: Vec<&str> = self.per_layer.iter().map(|axis| axis.name()).collect();
        Err(SearchError::Option {
            name: what.to_owned(),
            found: format!("the space `{}`, whose layers differ in {}", self.name, names.join(", ")),
            allowed: "a space without `per_layer`".to_owned(),
        })
    }

    /// Points, valid or not, each order of layers counted.
    pub fn point_count(&self) -> Natural {
        if !self.is_layered() {
            return Natural::from(self.size());
        }
        let mut sequences = BigUint::ZERO;
        for depth in self.depths() {
            sequences += BigUint::from(self.kinds()).pow(depth as u32);
        }
        // Layers of their own choice run once.
        let [weights, kv, vocabularies, tied, ..] = self.inner_lengths();
        let others = self.frames() as u128 * (weights * kv * vocabularies * tied) as u128;
        natural(&(sequences * BigUint::from(others)))
    }

    fn chosen_by_layers(&self) -> [bool; 8] {
        let mut own = [false; 8];
        for axis in &self.per_layer {
            own[axis.digit()] = true;
        }
        own
    }

    /// Combinations of what all layers of a model share in their shape.
    pub(crate) fn frames(&self) -> u64 {
        let own = self.chosen_by_layers();
        self.lengths().iter().zip(own).filter(|(_, own)| !own).map(|(length, _)| *length as u64).product()
    }

    /// Kinds of layers of each frame, valid or not.
    pub(crate) fn kinds(&self) -> u64 {
        let own = self.chosen_by_layers();
        self.lengths().iter().zip(own).filter(|(_, own)| *own).map(|(length, _)| *length as u64).product()
    }

    /// The shape of a kind of layer of a frame.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn kind(&self, frame: u64, kind: u64) -> Result<Block, Invalid> {
        let (own, lengths) = (self.chosen_by_layers(), self.lengths());
        let (mut frame, mut kind) = (frame, kind);
        let mut digits = [0_u64; 8];
        for place in (0..8).rev() {
            let rest = if own[place] { &mut kind } else { &mut frame };
            digits[place] = *rest % lengths[place] as u64;
            *rest /= lengths[place] as u64;
        }
        let index =
            digits.iter().zip(lengths).fold(0, |index, (digit, length)| index * length as u64 + digit);
        self.block(index)
    }
}

/// The same number as records hold it.
pub(crate) fn natural(number: &BigUint) -> Natural {
    Natural::from_bytes(&number.to_bytes_be())
}
