//! How many models of a trunk are none, and why: counted exactly without writing one of them out.

use super::layer::{Family, Layer, Layers, formats};
use super::model::Trunk;
use crate::space::Window;
use crate::{Invalid, ModelEvaluator, SearchError, Space};
use num_bigint::BigUint;
use slimfit_quality::Shape;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// Models that are none, by reason.
pub(crate) type Refused = BTreeMap<Invalid, BigUint>;

/// Cells of a histogram of sizes, over all its steps: past this it would take minutes.
const MOST_STEPS: u64 = 4_000_000_000;

/// Models of a trunk: all of them, the valid ones, and why the others are not; and the layers that valid ones may have.
pub(crate) struct Census {
    pub(crate) all: BigUint,
    pub(crate) valid: BigUint,
    pub(crate) refused: Refused,
    /// Places in the family's list.
    pub(crate) layers: Vec<usize>,
}

/// Every model of a family without layers is refused for its first layer that cannot be.
pub(crate) fn of_nothing(space: &Space, trunk: Trunk, refused: &[(u64, Invalid)]) -> (BigUint, Refused) {
    let mut counts = Refused::new();
    let all = BigUint::from(space.kinds()).pow(trunk.layers as u32);
    let valid = by_kind(space.kinds(), trunk.layers, refused, &mut counts);
    debug_assert_eq!(valid, BigUint::ZERO);
    (all, counts)
}

/// Counts models that hold a refused kind, by the reason of which the first kind has the lowest number; what is left over.
pub(super) fn by_kind(kinds: u64, depth: u64, refused: &[(u64, Invalid)], counts: &mut Refused) -> BigUint {
    let mut of_reason: Vec<(&Invalid, u64)> = Vec::new();
    for (_, reason) in refused {
        match of_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => of_reason.push((reason, 1)),
        }
    }
    let power = |kinds: u64| BigUint::from(kinds).pow(depth as u32);
    let mut left = kinds;
    for (reason, count) in of_reason {
        *counts.entry(reason.clone()).or_default() += power(left) - power(left - count);
        left -= count;
    }
    power(left)
}

impl Layers {
    /// Counts the models of a trunk.
    ///
    /// # Errors
    /// When the sizes of models are too many to be counted.
    pub(crate) fn census(
        &self,
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        family: Family,
        trunk: Trunk,
    ) -> Result<Census, SearchError> {
        let (vocabulary, ..) = evaluator.vocabularies[family.vocabulary];
        let mut refused_kinds = self.refused.clone();
        let ruled = |layer: &Layer| layer.check_rules(space, family, trunk);
        for layer in &self.layers {
            if let Err(reason) = ruled(layer)
                && refused_kinds.iter().all(|(kind, _)| *kind != layer.kind)
            {
                refused_kinds.push((layer.kind, reason));
            }
        }
        refused_kinds.sort_by_key(|(kind, _)| *kind);
        let places = 0..self.layers.len();
        let layers: Vec<usize> = places.filter(|place| ruled(&self.layers[*place]).is_ok()).collect();
        let mut refused = Refused::new();
        let all = BigUint::from(space.kinds()).pow(trunk.layers as u32);
        let left = by_kind(space.kinds(), trunk.layers, &refused_kinds, &mut refused);
        if layers.is_empty() {
            return Ok(Census { all, valid: left, refused, layers });
        }
        let judge = Judge { layers: self, space, evaluator, family, trunk, vocabulary };
        let valid = judge.count(&layers, left, &mut refused)?;
        Ok(Census { all, valid, refused, layers })
    }
}

/// Asks the rules that concern a whole model.
struct Judge<'j> {
    layers: &'j Layers,
    space: &'j Space,
    evaluator: &'j ModelEvaluator<'j>,
    family: Family,
    trunk: Trunk,
    vocabulary: u64,
}

/// What rules read of a model beside its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Layers without a window.
    full: u64,
    /// Whether some window cuts.
    cuts: bool,
}

impl Judge<'_> {
    /// Counts the valid ones of `all` models made of `places`, and why the others are refused.
    fn count(&self, places: &[usize], all: BigUint, refused: &mut Refused) -> Result<BigUint, SearchError> {
        // One layer of a kind stands for both halves of a pattern.
        let mut kinds: BTreeMap<(u64, Sort), u64> = BTreeMap::new();
        let mut last = None;
        for place in places {
            let layer = &self.layers.layers[*place];
            if last == Some(layer.kind) {
                continue;
            }
            last = Some(layer.kind);
            let sort = match (self.layers.pattern, layer.window) {
                (Some(_), _) => Sort::Patterned,
                (None, None) => Sort::Full,
                (None, Some(_)) if layer.cuts => Sort::Cut,
                (None, Some(_)) => Sort::Wide,
            };
            *kinds.entry((layer.parameters, sort)).or_insert(0) += 1;
        }
        let depth = self.trunk.layers;
        let sizes = kinds.keys().map(|(parameters, _)| *parameters);
        let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
        let rest = self.layers.outer.parameters;
        let free = kinds.keys().all(|(_, sort)| !matches!(sort, Sort::Cut));
        let seen = self.patterned().unwrap_or(Seen { full: depth, cuts: false });
        let ends = [rest + depth * least, rest + depth * most].map(|size| self.refusal(size, seen));
        // Rules on size allow an interval: where both ends are valid, all between them are.
        if free && ends == [None, None] {
            return Ok(all);
        }
        let table = Table::new(&kinds, depth);
        if table.steps(depth) > MOST_STEPS {
            return Err(SearchError::Option {
                name: "per_layer".to_owned(),
                found: format!("{} layers of {} sizes", depth, kinds.len()),
                allowed: "fewer kinds of layers, or bounds on parameters that nothing breaks".to_owned(),
            });
        }
        let mut valid = BigUint::ZERO;
        let mut judged = |parameters: u64, seen: Seen, count: BigUint| match self
            .refusal(rest + parameters, self.patterned().unwrap_or(seen))
        {
            None => valid += count,
            Some(reason) => *refused.entry(reason).or_default() += count,
        };
        if all.bits() < 128 {
            table.each::<u128>(depth, &mut |parameters, seen, count| {
                judged(parameters, seen, BigUint::from(*count));
            });
        } else {
            table.each::<BigUint>(depth, &mut |parameters, seen, count| {
                judged(parameters, seen, count.clone())
            });
        }
        Ok(valid)
    }

    /// What a pattern of windows makes of every model.
    fn patterned(&self) -> Option<Seen> {
        let pattern = self.layers.pattern?;
        let full = Window::full_layers(Some(pattern), self.trunk.layers);
        let cuts = full < self.trunk.layers && self.evaluator.law.cuts(pattern.size, self.vocabulary);
        Some(Seen { full, cuts })
    }

    /// Why a model of so many parameters without embeddings is none.
    fn refusal(&self, non_embedding: u64, seen: Seen) -> Option<Invalid> {
        let Self { layers, space, evaluator, family, trunk, vocabulary } = *self;
        let hidden_size = layers.layers[0].block.hidden_size;
        let embedding = if trunk.tied { 1 } else { 2 } * vocabulary * hidden_size;
        if let Err(reason) = space.check_parameters(non_embedding + embedding, non_embedding) {
            return Some(reason);
        }
        let (minimum, _) = evaluator.law.window_rule();
        let shape = Shape {
            non_embedding,
            active: non_embedding,
            embedding,
            looped: None,
            hidden_size,
            layers: trunk.layers,
            vocabulary_size: vocabulary,
            heads_per_kv_head: 1,
            single_kv_head: false,
            ffn_low: 1.0,
            ffn_high: 1.0,
            // Shorter ones are no layer.
            window: seen.cuts.then_some(minimum),
            global_layers: seen.full,
            experts: 1,
            per_layer: true,
        };
        let base = match evaluator.law.base(&shape) {
            Ok(base) => base,
            Err(refusal) => return Some(Invalid::of(refusal.reason())),
        };
        if let Err(reason) = evaluator.allowed(base.flags) {
            return Some(reason);
        }
        let (weights, kv) = formats(space, family);
        evaluator.law.finish(&base, weights, kv).err().map(|refusal| Invalid::of(refusal.reason()))
    }
}

/// What the window of a layer means to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Full,
    /// Longer than the workload's text.
    Wide,
    Cut,
    /// As the pattern says.
    Patterned,
}

/// Numbers of models by their size, by how many layers see everything, and by whether a window cuts.
struct Table {
    /// `(parameters above the least in units, sort, how many kinds)`
    kinds: Vec<(usize, Sort, u64)>,
    least: u64,
    unit: u64,
    sizes: usize,
}

impl Table {
    fn new(kinds: &BTreeMap<(u64, Sort), u64>, depth: u64) -> Self {
        let least = kinds.keys().map(|(parameters, _)| *parameters).min().unwrap_or(0);
        let unit = kinds.keys().fold(0, |unit, (parameters, _)| divisor(unit, parameters - least)).max(1);
        let kinds: Vec<(usize, Sort, u64)> = kinds
            .iter()
            .map(|((parameters, sort), count)| (((parameters - least) / unit) as usize, *sort, *count))
            .collect();
        let most = kinds.iter().map(|(size, ..)| *size).max().unwrap_or(0);
        Self { kinds, least, unit, sizes: depth as usize * most + 1 }
    }

    fn steps(&self, depth: u64) -> u64 {
        self.sizes as u64 * 2 * (depth + 1) * depth * self.kinds.len() as u64 / 2
    }

    /// Every combination that some model has, with how many have it.
    fn each<N: Number>(&self, depth: u64, visit: &mut dyn FnMut(u64, Seen, &N)) {
        let full_states = depth as usize + 1;
        let place = |full: usize, cuts: bool, size: usize| (full * 2 + usize::from(cuts)) * self.sizes + size;
        let mut now = vec![N::default(); full_states * 2 * self.sizes];
        now[place(0, false, 0)] = N::one();
        let reach = self.sizes / depth.max(1) as usize;
        for layer in 0..depth as usize {
            let mut next = vec![N::default(); now.len()];
            for full in 0..=layer {
                for cuts in [false, true] {
                    for size in 0..=(layer * reach).min(self.sizes - 1) {
                        let count = &now[place(full, cuts, size)];
                        if *count == N::default() {
                            continue;
                        }
                        for (more, sort, kinds) in &self.kinds {
                            let full = full + usize::from(*sort == Sort::Full);
                            let target = place(full, cuts || *sort == Sort::Cut, size + more);
                            next[target] += count.times(*kinds);
                        }
                    }
                }
            }
            now = next;
        }
        for full in 0..full_states {
            for cuts in [false, true] {
                for size in 0..self.sizes {
                    let count = &now[place(full, cuts, size)];
                    if *count != N::default() {
                        let parameters = depth * self.least + self.unit * size as u64;
                        visit(parameters, Seen { full: full as u64, cuts }, count);
                    }
                }
            }
        }
    }
}

/// Numbers of models: machine words where they suffice.
trait Number: Clone + Default + PartialEq + AddAssign {
    fn one() -> Self;
    fn times(&self, factor: u64) -> Self;
}

impl Number for u128 {
    fn one() -> Self {
        1
    }

    fn times(&self, factor: u64) -> Self {
        self * Self::from(factor)
    }
}

impl Number for BigUint {
    fn one() -> Self {
        Self::from(1_u32)
    }

    fn times(&self, factor: u64) -> Self {
        self * factor
    }
}

/// The greatest common divisor.
fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
