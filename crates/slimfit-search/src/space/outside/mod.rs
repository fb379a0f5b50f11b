//! In what a model differs from every point of a space.

mod fixed;

use super::assignment::Assignment;
use super::rules::When;
use super::{AnyAxis, Axis, BesideBlock, Block, LayerAxis, Mixture, Space, Window, looped, passes_of};
use fixed::fixed_parts;
use slimfit_arch::{Architecture, FeedForward, LayerRun};
use slimfit_quantity::{NumberFormat, format_count};

/// One way in which a model lies outside a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The axis, the fixed part, or `exclude`, `parameters`, `non_embedding`, `portable`.
    pub axis: String,
    /// What the model has.
    pub found: String,
    /// The nearest that the space offers, where nearness means something.
    pub nearest: Option<String>,
    /// What the space offers.
    pub allowed: String,
}

/// Values that are listed before a range stands for them.
const LISTED: usize = 6;

impl Space {
    /// In what a model in these formats differs from every point; empty where it is one. Each axis is asked at the model's own
    /// values of the others, as expressions need.
    pub fn outside(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
    ) -> Vec<Outside> {
        let mut outside = if self.is_layered() {
            self.outside_layers(architecture, weights, kv)
        } else {
            self.outside_axes(architecture, self.window_of(architecture).flatten(), (weights, kv))
        };
        outside.extend(self.outside_bounds(architecture));
        outside
    }

    /// The same where each layer chooses for itself: every layer is asked as if all were like it.
    fn outside_layers(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
    ) -> Vec<Outside> {
        let mut outside: Vec<Outside> = Vec::new();
        let mut add = |found: Outside| {
            if !outside.contains(&found) {
                outside.push(found);
            }
        };
        let own_windows = self.per_layer().contains(&LayerAxis::Window);
        let pattern = self.window_of(architecture).flatten();
        let Some(first) = architecture.layers.first() else { return outside };
        for run in &architecture.layers {
            let alone = LayerRun { repeat: architecture.depth(), ..run.clone() };
            let alone = Architecture { layers: vec![alone], ..architecture.clone() };
            let window = if own_windows { self.window_of(&alone).flatten() } else { pattern };
            let found = self.outside_axes(&alone, window, (weights, kv));
            found.into_iter().filter(|found| own_windows || found.axis != "window").for_each(&mut add);
            for axis in unlike(first, run) {
                if !self.per_layer().iter().any(|own| own.name() == axis) {
                    add(Outside {
                        axis: axis.to_owned(),
                        found: "layers that differ in it".to_owned(),
                        nearest: None,
                        allowed: "one choice for all layers".to_owned(),
                    });
                }
            }
        }
        if !own_windows {
            let block = block_of(architecture, first, pattern);
            let point = assignment_of(architecture, &block, (weights, kv));
            self.outside_window(architecture, &point).into_iter().for_each(&mut add);
        }
        outside
    }

    /// The same of a model whose layers are alike, told its window.
    fn outside_axes(
        &self,
        architecture: &Architecture,
        window: Option<Window>,
        formats: (NumberFormat, NumberFormat),
    ) -> Vec<Outside> {
        let mut outside = Vec::new();
        let Some(first) = architecture.layers.first() else { return outside };
        if architecture.layers.iter().any(|run| !same_shape(run, first)) {
            outside.push(Outside {
                axis: "layers".to_owned(),
                found: "layers of unlike shapes".to_owned(),
                nearest: None,
                allowed: "layers of one shape, windows aside".to_owned(),
            });
        }
        let block = block_of(architecture, first, window);
        let point = assignment_of(architecture, &block, formats);
        // Loops that are not of all layers differ in a fixed part, below.
        let passes = passes_of(architecture);
        for axis in Axis::ALL.into_iter().filter(|axis| *axis != Axis::Loops || passes.is_some()) {
            outside.extend(self.outside_number(axis, &point));
        }
        let Assignment { gated, experts, tied, weights, kv, .. } = point;
        let truth = |truth: &bool| truth.to_string();
        let name = |format: &NumberFormat| format.name().to_owned();
        outside.extend(self.outside_list(AnyAxis::Gated, &point, &gated, &self.gated, truth));
        outside.extend(self.outside_list(AnyAxis::Experts, &point, &experts, &self.experts, |experts| {
            mixture_text(*experts)
        }));
        outside.extend(self.outside_window(architecture, &point));
        outside.extend(self.outside_list(AnyAxis::TiedEmbeddings, &point, &tied, &self.tied, truth));
        outside.extend(self.outside_list(AnyAxis::Weights, &point, &weights, &self.weights, name));
        outside.extend(self.outside_list(AnyAxis::Kv, &point, &kv, &self.kv, name));
        let alike = self.architecture(&block, architecture.depth(), architecture.vocabulary_size, tied);
        let alike = looped(alike, passes.unwrap_or(1));
        outside.extend(fixed_parts(architecture, first, &alike));
        outside.extend(self.outside_exclusions(&point));
        outside
    }

    /// The windows of all layers as one choice of the space, or as any: few layers may be those of several choices.
    fn window_of(&self, architecture: &Architecture) -> Option<Option<Window>> {
        let windows = layer_windows(architecture);
        let listed = self.windows.iter().copied().find(|listed| is_layout(*listed, &windows));
        listed.map_or_else(|| window_of(architecture), Some)
    }

    fn outside_window(&self, architecture: &Architecture, point: &Assignment) -> Option<Outside> {
        let text = |window: &Option<Window>| window_text(*window);
        match self.window_of(architecture) {
            Some(window) => self.outside_list(AnyAxis::Window, point, &window, &self.windows, text),
            None => Some(Outside {
                axis: "window".to_owned(),
                found: "windows in no regular order".to_owned(),
                nearest: None,
                allowed: texts(&self.windows, text),
            }),
        }
    }

    fn outside_number(&self, axis: Axis, point: &Assignment) -> Option<Outside> {
        let found = point.numbers[axis as usize];
        let name = AnyAxis::Number(axis);
        let all: Vec<f64> = self.numbers[axis as usize].iter().map(|choice| choice.value(point)).collect();
        let broken = self.broken_offer(name, point);
        if all.contains(&found) && broken.is_none() {
            return None;
        }
        let places = self.offered_places(name, point).into_iter();
        let mut offered: Vec<f64> =
            places.map(|place| all[place]).filter(|value| *value >= 1.0 && value.fract() == 0.0).collect();
        offered.sort_by(f64::total_cmp);
        offered.dedup();
        let distance = |value: &f64| (value / found).ln().abs();
        let nearest = offered.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let allowed = match offered.as_slice() {
            few if few.len() <= LISTED => texts(few, f64::to_string),
            many => format!("{} values from {} to {}", many.len(), many[0], many[many.len() - 1]),
        };
        Some(Outside {
            axis: axis.name().to_owned(),
            found: found.to_string(),
            nearest: nearest.map(|value| value.to_string()),
            allowed: with_condition(allowed, broken),
        })
    }

    fn outside_list<T: PartialEq>(
        &self,
        axis: AnyAxis,
        point: &Assignment,
        found: &T,
        all: &[T],
        text: impl Fn(&T) -> String,
    ) -> Option<Outside> {
        let broken = self.broken_offer(axis, point);
        if all.contains(found) && broken.is_none() {
            return None;
        }
        let offered: Vec<&T> =
            self.offered_places(axis, point).into_iter().map(|place| &all[place]).collect();
        let nearest = if let [only] = offered.as_slice() { Some(text(only)) } else { None };
        let allowed = with_condition(texts(&offered, |value| text(value)), broken);
        Some(Outside { axis: axis.name().to_owned(), found: text(found), nearest, allowed })
    }

    /// The places of the values of an axis that are offered beside a model's other values.
    fn offered_places(&self, axis: AnyAxis, point: &Assignment) -> Vec<usize> {
        let is_offered = |place: &usize| {
            let mut other = *point;
            self.assign(axis, *place, &mut other);
            self.broken_offer(axis, &other).is_none()
        };
        (0..self.length(axis)).filter(is_offered).collect()
    }

    fn outside_exclusions(&self, point: &Assignment) -> Vec<Outside> {
        let broken = self.exclude.iter().filter(|condition| condition.holds(point));
        broken
            .map(|condition| Outside {
                axis: "exclude".to_owned(),
                found: condition.text.clone(),
                nearest: None,
                allowed: "points of which this does not hold".to_owned(),
            })
            .collect()
    }

    fn outside_bounds(&self, architecture: &Architecture) -> Vec<Outside> {
        let mut outside = Vec::new();
        let counts = architecture.parameters();
        let bounds = [
            ("parameters", self.parameters, counts.total),
            ("non_embedding", self.non_embedding, counts.non_embedding),
        ];
        for (axis, bounds, found) in bounds {
            let Some((least, most)) = bounds.filter(|(least, most)| !(least..=most).contains(&&found)) else {
                continue;
            };
            let count = |value: u64| format_count(value as f64);
            let allowed = match (least, most) {
                (0, most) => format!("up to {}", count(most)),
                (least, u64::MAX) => format!("{} or more", count(least)),
                (least, most) => format!("{} to {}", count(least), count(most)),
            };
            let nearest = Some(count(if found < least { least } else { most }));
            outside.push(Outside { axis: axis.to_owned(), found: count(found), nearest, allowed });
        }
        for loader in self.portable() {
            let Err(error) = loader.check(architecture) else { continue };
            outside.push(Outside {
                axis: "portable".to_owned(),
                found: error.to_string(),
                nearest: None,
                allowed: format!("shapes that `{}` holds", loader.name()),
            });
        }
        outside
    }
}

/// What is offered beside a model's other values, and when the value that it has is.
fn with_condition(offered: String, broken: Option<&When>) -> String {
    let Some(when) = broken else {
        return if offered.is_empty() {
            "nothing that fits the model's other values".to_owned()
        } else {
            offered
        };
    };
    let only = format!("{} only when {}", when.values, when.condition.text);
    if offered.is_empty() { only } else { format!("{offered}; {only}") }
}

/// What a model of layers like `first` has in the place of a block.
fn block_of(architecture: &Architecture, first: &LayerRun, window: Option<Window>) -> Block {
    let (ffn, gated, experts) = match &first.ffn {
        FeedForward::Dense(mlp) => (mlp.size, mlp.gated, None),
        FeedForward::Moe(moe) => {
            let experts = Mixture { count: moe.experts, top_k: moe.top_k };
            (moe.expert_size * moe.top_k, moe.gated, Some(experts))
        }
    };
    Block {
        index: 0,
        hidden_size: architecture.hidden_size,
        head_size: first.attention.head_size,
        heads: first.attention.heads,
        kv_heads: first.attention.kv_heads,
        ffn,
        gated,
        window,
        experts,
    }
}

/// A model as a point, valid or not.
fn assignment_of(
    architecture: &Architecture,
    block: &Block,
    (weights, kv): (NumberFormat, NumberFormat),
) -> Assignment {
    let beside = BesideBlock {
        layers: architecture.depth(),
        passes: passes_of(architecture).unwrap_or(1),
        vocabulary: architecture.vocabulary_size,
        tied: architecture.tied_embeddings,
        weights,
        kv,
    };
    Assignment::new(block, &beside)
}

/// Whether two runs differ in nothing but window and length.
fn same_shape(one: &LayerRun, other: &LayerRun) -> bool {
    let mut attention = one.attention.clone();
    attention.window = other.attention.window;
    attention == other.attention && one.ffn == other.ffn
}

/// Axes of a layer in which two runs differ, by their names in files.
fn unlike(one: &LayerRun, other: &LayerRun) -> Vec<&'static str> {
    let (a, b) = (&one.attention, &other.attention);
    let mut axes = Vec::new();
    let mut differ = |axis, differs: bool| {
        if differs {
            axes.push(axis);
        }
    };
    differ("heads", a.heads != b.heads);
    differ("kv_heads", a.kv_heads != b.kv_heads);
    differ("head_size", a.head_size != b.head_size);
    let inner = |run: &LayerRun| match &run.ffn {
        FeedForward::Dense(mlp) => (mlp.size, mlp.gated, None),
        FeedForward::Moe(moe) => (moe.expert_size * moe.top_k, moe.gated, Some((moe.experts, moe.top_k))),
    };
    let (a, b) = (inner(one), inner(other));
    differ("ffn", a.0 != b.0);
    differ("gated", a.1 != b.1);
    differ("experts", a.2 != b.2);
    axes
}

fn texts<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn mixture_text(experts: Option<Mixture>) -> String {
    experts.map_or_else(
        || "none".to_owned(),
        |mixture| format!("{} experts, {} visited", mixture.count, mixture.top_k),
    )
}

fn window_text(window: Option<Window>) -> String {
    match window {
        None => "none".to_owned(),
        Some(Window { size, full_every: None }) => size.to_string(),
        Some(Window { size, full_every: Some(every) }) => format!("{size}, one layer in {every} full"),
    }
}

/// The window of each layer.
fn layer_windows(architecture: &Architecture) -> Vec<Option<u64>> {
    let each = architecture.layers.iter().flat_map(|run| {
        std::iter::repeat_n(run.attention.window, usize::try_from(run.repeat).unwrap_or(usize::MAX))
    });
    each.collect()
}

/// The window of a layer at a place where all layers have this one.
fn window_at(window: Option<Window>, place: usize) -> Option<u64> {
    let Window { size, full_every } = window?;
    let full = full_every.is_some_and(|every| (place as u64 + 1).is_multiple_of(every));
    (!full).then_some(size)
}

/// The windows of all layers as one choice; nothing where they come in no regular order.
fn window_of(architecture: &Architecture) -> Option<Option<Window>> {
    let windows = layer_windows(architecture);
    let Some(size) = windows.iter().copied().flatten().next() else { return Some(None) };
    let every = windows.iter().position(Option::is_none).map(|place| place as u64 + 1);
    let choice = Some(Window { size, full_every: every });
    is_layout(choice, &windows).then_some(choice)
}

fn is_layout(choice: Option<Window>, windows: &[Option<u64>]) -> bool {
    windows.iter().enumerate().all(|(place, window)| *window == window_at(choice, place))
}

#[cfg(test)]
mod tests;
