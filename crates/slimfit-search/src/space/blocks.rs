//! All blocks of a space, one after the other: what several of them share is worked out once.

use super::assignment::Assignment;
use super::{Axis, Block, Space};
use crate::Invalid;

impl Space {
    /// Options of the axis that everything else of a block may depend on: blocks are walked by them.
    pub(crate) fn shards(&self) -> usize {
        self.numbers[self.order[0] as usize].len()
    }

    /// Whether all blocks of one hidden size are in one shard.
    pub(crate) fn shards_are_widths(&self) -> bool {
        self.order[0] == Axis::HiddenSize
    }

    /// Calls `visit` with every block of a shard that has the first window, and `refuse` with why so many others are none: what
    /// [`Space::block`] says of each.
    pub(crate) fn walk(
        &self,
        shard: usize,
        visit: &mut impl FnMut(&Block),
        refuse: &mut impl FnMut(Invalid, u64),
    ) {
        let mut walk = Walk {
            space: self,
            strides: self.block_strides(),
            point: Assignment::UNKNOWN,
            values: [const { Vec::new() }; 5],
            visit,
            refuse,
        };
        walk.values(0);
        walk.take(0, shard, 0);
    }
}

struct Walk<'w, V, R> {
    space: &'w Space,
    /// How far the number of a block moves from one option of an axis to the next, in the order of [`Space::block`].
    strides: [u64; 8],
    /// What the axes before have.
    point: Assignment,
    /// By place in the order of evaluation: what the options of that axis are worth beside those before it.
    values: [Vec<f64>; 5],
    visit: &'w mut V,
    refuse: &'w mut R,
}

impl<V: FnMut(&Block), R: FnMut(Invalid, u64)> Walk<'_, V, R> {
    fn values(&mut self, place: usize) {
        let options = &self.space.numbers[self.space.order[place] as usize];
        self.values[place].clear();
        self.values[place].extend(options.iter().map(|option| option.value(&self.point)));
    }

    /// Walks the blocks that take one option of the axis at some place; `number`: what the options before it add.
    fn take(&mut self, place: usize, chosen: usize, number: u64) {
        let axis = self.space.order[place];
        let values = &self.values[place];
        if let Err(reason) = Space::check_value(axis, values[chosen], || values[..chosen].iter().copied()) {
            let later = self.space.order[place + 1..].iter();
            let numbers: u64 = later.map(|axis| self.space.numbers[*axis as usize].len() as u64).product();
            let others = self.space.gated.len() * self.space.experts.len();
            (self.refuse)(reason, numbers * others as u64);
            return;
        }
        self.point.numbers[axis as usize] = values[chosen];
        let stride = Axis::BLOCK.iter().position(|block| *block == axis).unwrap_or_default();
        let number = number + chosen as u64 * self.strides[stride];
        if place + 1 == self.space.order.len() {
            self.finish(number);
        } else {
            self.values(place + 1);
            for chosen in 0..self.values[place + 1].len() {
                self.take(place + 1, chosen, number);
            }
        }
    }

    fn finish(&mut self, number: u64) {
        let [.., gated_stride, _, experts_stride] = self.strides;
        for gated in 0..self.space.gated.len() {
            for experts in 0..self.space.experts.len() {
                let number = number + gated as u64 * gated_stride + experts as u64 * experts_stride;
                match self.space.finished_block(number, self.point, [gated, 0, experts]) {
                    Ok(block) => (self.visit)(&block),
                    Err(reason) => (self.refuse)(reason, 1),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_document::Document;
    use std::collections::BTreeMap;

    const AXES: &str = "
  gated: [true, {value: false, when: experts == none}]
  window: [none, 512]
  experts: [none, {count: 8, top_k: 3}]
  vocabulary_size: [1024]
  layers: [2]
  tied_embeddings: [true]
  weights: [q8_0]
  kv: [f16]
exclude: [heads > 6 and ffn > 600, gated and ffn == 300]
";

    #[test]
    fn a_walk_meets_every_block_and_gives_the_same_reasons() {
        for (first, numbers) in [
            (
                true,
                "hidden_size: [128, 192]\n  head_size: [32, 48]\n  heads: [4, hidden_size / head_size, 9]",
            ),
            (false, "hidden_size: [heads * head_size, 128]\n  head_size: [32, 48]\n  heads: [4, 7, 9]"),
        ] {
            let numbers =
                format!("{numbers}\n  kv_heads: [heads, heads / 2, 2]\n  ffn: [300, 2 * hidden_size, 384]");
            let text =
                format!("schema: slimfit/space/v1\nname: walk\ndescription: d\naxes:\n  {numbers}{AXES}");
            let space = Space::from_document(&Document::from_str(&text, "walk.yaml").unwrap(), &[]).unwrap();
            assert_eq!(space.shards_are_widths(), first, "{numbers}");
            let (mut blocks, mut refused) = (Vec::new(), BTreeMap::new());
            for shard in 0..space.shards() {
                space.walk(shard, &mut |block| blocks.push(*block), &mut |reason, count| {
                    *refused.entry(reason).or_insert(0) += count;
                });
            }
            let (mut expected, mut reasons) = (Vec::new(), BTreeMap::new());
            let [.., windows, _] = space.block_strides();
            for number in 0..space.blocks() {
                if (number / windows) % 2 == 0 {
                    match space.block(number) {
                        Ok(block) => expected.push(block),
                        Err(reason) => *reasons.entry(reason).or_insert(0) += 1,
                    }
                }
            }
            blocks.sort_by_key(|block| block.index);
            assert_eq!(blocks, expected);
            assert_eq!(refused, reasons);
            assert!(reasons.len() >= 4 && blocks.len() > 20, "{reasons:?} {}", blocks.len());
        }
    }
}
