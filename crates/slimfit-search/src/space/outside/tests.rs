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
