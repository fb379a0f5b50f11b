//! In what a model differs from every point of a space.

use super::{Axis, Block, LayerAxis, Mixture, Space, Window, looped, passes_of};
use serde_json::{Value, json};
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
            self.outside_axes(architecture, weights, kv)
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
        let Some(first) = architecture.layers.first() else { return outside };
        for run in &architecture.layers {
            let mut alone = LayerRun { repeat: architecture.depth(), ..run.clone() };
            if !own_windows {
                alone.attention.window = None;
            }
            let alone = Architecture { layers: vec![alone], ..architecture.clone() };
            let found = self.outside_axes(&alone, weights, kv);
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
            self.outside_window(architecture).into_iter().for_each(&mut add);
        }
        outside
    }

    fn outside_axes(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
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
        let axes = axes_of(architecture, first);
        // Loops that are not of all layers differ in a fixed part, below.
        let passes = passes_of(architecture);
        for axis in Axis::ALL.into_iter().filter(|axis| *axis != Axis::Loops || passes.is_some()) {
            outside.extend(self.outside_number(axis, &axes));
        }
        let (gated, experts) = match &first.ffn {
            FeedForward::Dense(mlp) => (mlp.gated, None),
            FeedForward::Moe(moe) => (moe.gated, Some(Mixture { count: moe.experts, top_k: moe.top_k })),
        };
        outside.extend(outside_list("gated", &gated, &self.gated, |gated| gated.to_string()));
        outside.extend(outside_list("experts", &experts, &self.experts, |experts| mixture_text(*experts)));
        outside.extend(self.outside_window(architecture));
        let tied = architecture.tied_embeddings;
        outside.extend(outside_list("tied_embeddings", &tied, &self.tied, |tied| tied.to_string()));
        let name = |format: &NumberFormat| format.name().to_owned();
        outside.extend(outside_list("weights", &weights, &self.weights, name));
        outside.extend(outside_list("kv", &kv, &self.kv, name));
        let block = Block {
            index: 0,
            hidden_size: architecture.hidden_size,
            head_size: first.attention.head_size,
            heads: first.attention.heads,
            kv_heads: first.attention.kv_heads,
            ffn: axes[Axis::Ffn as usize] as u64,
            gated,
            window: window_of(architecture).flatten(),
            experts,
        };
        let alike = self.architecture(&block, architecture.depth(), architecture.vocabulary_size, tied);
        let alike = looped(alike, passes.unwrap_or(1));
        outside.extend(fixed_parts(architecture, first, &alike));
        outside.extend(self.outside_rules(&axes));
        outside
    }

    fn outside_window(&self, architecture: &Architecture) -> Option<Outside> {
        match window_of(architecture) {
            Some(window) => outside_list("window", &window, &self.windows, |window| window_text(*window)),
            None => Some(Outside {
                axis: "window".to_owned(),
                found: "windows in no regular order".to_owned(),
                nearest: None,
                allowed: texts(&self.windows, |window| window_text(*window)),
            }),
        }
    }

    fn outside_number(&self, axis: Axis, axes: &[f64; Axis::COUNT]) -> Option<Outside> {
        let found = axes[axis as usize];
        let offered = self.numbers[axis as usize].iter().map(|choice| choice.value(axes));
        let mut offered: Vec<f64> = offered.filter(|value| *value >= 1.0 && value.fract() == 0.0).collect();
        if offered.contains(&found) {
            return None;
        }
        offered.sort_by(f64::total_cmp);
        offered.dedup();
        let distance = |value: &f64| (value / found).ln().abs();
        let nearest = offered.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let allowed = match offered.as_slice() {
            [] => "nothing that fits the model's other values".to_owned(),
            few if few.len() <= LISTED => texts(few, f64::to_string),
            many => format!("{} values from {} to {}", many.len(), many[0], many[many.len() - 1]),
        };
        let (axis, found) = (axis.name().to_owned(), found.to_string());
        Some(Outside { axis, found, nearest: nearest.map(|value| value.to_string()), allowed })
    }

    fn outside_rules(&self, axes: &[f64; Axis::COUNT]) -> Vec<Outside> {
        let broken = self.exclude.iter().filter(|condition| condition.expression.value(axes) != 0.0);
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

fn axes_of(architecture: &Architecture, first: &LayerRun) -> [f64; Axis::COUNT] {
    let mut axes = [f64::NAN; Axis::COUNT];
    let ffn = match &first.ffn {
        FeedForward::Dense(mlp) => mlp.size,
        FeedForward::Moe(moe) => moe.expert_size * moe.top_k,
    };
    for (axis, value) in [
        (Axis::HiddenSize, architecture.hidden_size),
        (Axis::HeadSize, first.attention.head_size),
        (Axis::Heads, first.attention.heads),
        (Axis::KvHeads, first.attention.kv_heads),
        (Axis::Ffn, ffn),
        (Axis::Layers, architecture.depth()),
        (Axis::Loops, passes_of(architecture).unwrap_or(1)),
        (Axis::VocabularySize, architecture.vocabulary_size),
    ] {
        axes[axis as usize] = value as f64;
    }
    axes
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

fn outside_list<T: PartialEq>(
    axis: &str,
    found: &T,
    offered: &[T],
    text: impl Fn(&T) -> String,
) -> Option<Outside> {
    if offered.contains(found) {
        return None;
    }
    let nearest = if offered.len() == 1 { Some(text(&offered[0])) } else { None };
    Some(Outside { axis: axis.to_owned(), found: text(found), nearest, allowed: texts(offered, &text) })
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

/// The windows of all layers as one choice; nothing where they come in no regular order.
fn window_of(architecture: &Architecture) -> Option<Option<Window>> {
    let runs = architecture.layers.iter();
    let windows: Vec<Option<u64>> = runs
        .flat_map(|run| {
            std::iter::repeat_n(run.attention.window, usize::try_from(run.repeat).unwrap_or(usize::MAX))
        })
        .collect();
    let Some(size) = windows.iter().copied().flatten().next() else { return Some(None) };
    let every = windows.iter().position(Option::is_none).map(|place| place + 1);
    let regular = windows.iter().enumerate().all(|(place, window)| {
        let full = every.is_some_and(|every| (place + 1).is_multiple_of(every));
        *window == (!full).then_some(size)
    });
    regular.then_some(Some(Window { size, full_every: every.map(|every| every as u64) }))
}

/// Parts that every point shares and the model has otherwise, under the names of a space's `fixed`. `alike`: the point of the
/// model's own axes.
fn fixed_parts(architecture: &Architecture, first: &LayerRun, alike: &Architecture) -> Vec<Outside> {
    let Some(other) = alike.layers.first() else { return Vec::new() };
    let mut parts: Vec<(&str, Value, Value)> = Vec::new();
    macro_rules! part {
        ($name:literal, $ours:expr, $theirs:expr) => {
            parts.push(($name, json!($ours), json!($theirs)));
        };
    }
    part!("norm", architecture.norm, alike.norm);
    part!("norm_placement", architecture.norm_placement, alike.norm_placement);
    part!("positions", architecture.positions, alike.positions);
    part!("embedding_size", architecture.embedding_size, alike.embedding_size);
    part!("embedding_norm", architecture.embedding_norm, alike.embedding_norm);
    part!("final_norm", architecture.final_norm, alike.final_norm);
    part!("head_bias", architecture.head_bias, alike.head_bias);
    part!("scales", architecture.scales, alike.scales);
    part!("loops", architecture.loops, alike.loops);
    let (ours, theirs) = (&first.attention, &other.attention);
    part!("rope", ours.rope, theirs.rope);
    part!("attention_bias", ours.bias, theirs.bias);
    part!("qk_norm", ours.qk_norm, theirs.qk_norm);
    part!("attention_scale", ours.scale, theirs.scale);
    part!("attention_softcap", ours.softcap, theirs.softcap);
    part!("qkv_clip", ours.qkv_clip, theirs.qkv_clip);
    match (&first.ffn, &other.ffn) {
        (FeedForward::Dense(ours), FeedForward::Dense(theirs)) => {
            part!("activation", ours.activation, theirs.activation);
            part!("ffn_bias", ours.bias, theirs.bias);
        }
        (FeedForward::Moe(ours), FeedForward::Moe(theirs)) => {
            part!("activation", ours.activation, theirs.activation);
            part!("shared_size", ours.shared_size, theirs.shared_size);
            part!("normalise_top_k", ours.normalise_top_k, theirs.normalise_top_k);
            part!("router_bias", ours.router_bias, theirs.router_bias);
        }
        // The point has the model's own mixture.
        _ => {}
    }
    let mut outside = Vec::new();
    for (name, ours, theirs) in &parts {
        differences(name, ours, theirs, &mut |path, ours, theirs| {
            let spell = |value: &Value| match value {
                Value::Null => "none".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (axis, allowed) = (path.to_owned(), spell(theirs));
            outside.push(Outside { axis, found: spell(ours), nearest: Some(allowed.clone()), allowed });
        });
    }
    outside
}

/// Calls `visit` with the path and both values of every leaf that differs.
fn differences(path: &str, ours: &Value, theirs: &Value, visit: &mut impl FnMut(&str, &Value, &Value)) {
    match (ours, theirs) {
        // Of unlike kinds the other fields mean unlike things.
        (Value::Object(a), Value::Object(b)) if a.get("kind") != b.get("kind") => {
            let kind = |map: &serde_json::Map<String, Value>| map.get("kind").cloned().unwrap_or_default();
            visit(&format!("{path}.kind"), &kind(a), &kind(b));
        }
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let below = format!("{path}.{key}");
                let part = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&below, &part(a), &part(b), visit);
            }
        }
        _ if ours != theirs => visit(path, ours, theirs),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_formats::builtin;

    fn space() -> Space {
        Space::load("slm-demo", &[]).unwrap()
    }

    fn axes(outside: &[Outside]) -> Vec<&str> {
        outside.iter().map(|outside| outside.axis.as_str()).collect()
    }

    #[test]
    fn points_of_the_space_lie_inside() {
        let space = space();
        let mut seen = 0;
        for index in (0..space.size()).step_by(997) {
            let Ok(point) = space.point(index) else { continue };
            let outside = space.outside(&point.architecture, point.weights, point.kv);
            // The search refuses sizes and shapes beside the axes.
            let axes: Vec<&str> = axes(&outside);
            assert!(
                axes.iter().all(|axis| ["parameters", "non_embedding", "portable"].contains(axis)),
                "{outside:?}"
            );
            seen += 1;
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn layers_of_their_own_choice_are_asked_one_by_one() {
        let space = Space::load("slm-layers", &[]).unwrap();
        let examples = space.summary(5, 0).examples;
        let unlike = examples.iter().find(|point| point.architecture.layers.len() > 1);
        let mut model = unlike.unwrap().architecture.clone();
        let outside = |model: &Architecture| space.outside(model, NumberFormat::Q8_0, NumberFormat::F16);
        assert_eq!(outside(&model), []);
        model.layers[1].attention.kv_heads = 16;
        model.layers[1].attention.window = Some(300);
        let found = outside(&model);
        assert_eq!(axes(&found), ["kv_heads", "window"], "{found:?}");
        model.layers[0].attention.heads = 8;
        assert!(axes(&outside(&model)).contains(&"heads"));
    }

    #[test]
    fn a_public_model_differs_in_named_axes_with_the_nearest_values() {
        let model = builtin::find("smollm2-135m").unwrap();
        let outside = space().outside(&model.architecture, NumberFormat::Q8_0, NumberFormat::F16);
        assert_eq!(axes(&outside), ["ffn", "vocabulary_size", "rope.base"], "{outside:?}");
        // 2.75 times its own width, rounded to 64; 2.5 times is 1440.
        assert_eq!((outside[0].found.as_str(), outside[0].nearest.as_deref()), ("1536", Some("1600")));
        assert_eq!((outside[1].found.as_str(), outside[1].nearest.as_deref()), ("49152", Some("32768")));
        assert_eq!((outside[2].found.as_str(), outside[2].allowed.as_str()), ("100000.0", "10000.0"));
    }

    #[test]
    fn formats_bounds_and_kinds_of_layers_are_named() {
        let gpt = builtin::find("gpt2").unwrap();
        let outside = space().outside(&gpt.architecture, NumberFormat::F32, NumberFormat::Q8_0);
        let axes = axes(&outside);
        for axis in ["gated", "weights", "kv", "norm.kind", "positions.kind", "rope"] {
            assert!(axes.contains(&axis), "{axis}: {axes:?}");
        }
        let large = builtin::find("smollm2-1.7b").unwrap();
        let outside = space().outside(&large.architecture, NumberFormat::Q8_0, NumberFormat::F16);
        let bound = outside.iter().find(|outside| outside.axis == "parameters").unwrap();
        assert_eq!((bound.nearest.as_deref(), bound.allowed.as_str()), (Some("150M"), "10.0M to 150M"));
    }

    #[test]
    fn windows_are_one_choice_where_they_are_regular() {
        let gemma = &builtin::find("gemma-3-270m").unwrap().architecture;
        assert_eq!(window_of(gemma), Some(Some(Window { size: 512, full_every: Some(6) })));
        let mut odd = gemma.clone();
        odd.layers.reverse();
        assert_eq!(window_of(&odd), None);
        assert_eq!(window_of(&builtin::find("gpt2").unwrap().architecture), Some(None));
    }
}
