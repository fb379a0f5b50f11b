//! What `Space::summary` says of a space is what looking at every point says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use slimfit_document::Document;
use slimfit_search::Space;

const SPACE: &str = "
schema: slimfit/space/v1
name: small
description: A space for tests.
axes:
  layers: [2, 5, 9]
  hidden_size: [64, 96, 128]
  head_size: [16, 32, 48]
  heads: [hidden_size / head_size, 3]
  kv_heads: [heads, heads / 2]
  ffn: [2 * hidden_size, 256, 40 * heads]
  gated: [true, false]
  experts: [none, {count: 4, top_k: 2}]
  window: [none, 128]
  vocabulary_size: [1000, 3000]
  tied_embeddings: [true, false]
  weights: [f32, q8_0]
  kv: [f16]
portable: []
constraints:
  parameters: {min: 300000, max: 2M}
  non_embedding: {min: 100000}
exclude:
  - heads == 3 and hidden_size == 96
";

fn space(text: &str) -> Space {
    Space::from_document(&Document::from_str(text, "small.yaml").unwrap(), &[]).unwrap()
}

#[test]
fn sizes_and_ranges_are_those_of_looking_at_every_point() {
    let space = space(SPACE);
    let summary = space.summary(10, 3);
    let (mut possible, mut least, mut most) = (0, u64::MAX, 0);
    for index in 0..space.size() {
        let Ok(point) = space.point(index) else { continue };
        if point.architecture.validate().is_err() {
            continue;
        }
        let parameters = point.architecture.parameters();
        (least, most) = (least.min(parameters.total), most.max(parameters.total));
        possible += u64::from(
            (300_000..=2_000_000).contains(&parameters.total) && parameters.non_embedding >= 100_000,
        );
    }
    assert_eq!(summary.size, space.size());
    assert_eq!((summary.possible.clone(), summary.parameters), (possible.into(), Some((least, most))));
    assert!(possible > 1000 && least < 300_000 && most > 2_000_000, "{summary:?}");
    assert_eq!(summary.examples.len(), 10);
    for point in &summary.examples {
        assert_eq!(space.point(point.index).unwrap(), *point);
        assert!((300_000..=2_000_000).contains(&point.architecture.parameters().total));
    }
    assert_eq!(space.summary(10, 3), summary);
    assert_ne!(space.summary(10, 4).examples, summary.examples);
}

#[test]
fn a_space_in_which_nothing_is_possible_says_so() {
    let summary =
        space(&SPACE.replace("min: 300000", "min: 1900M").replace("max: 2M", "max: 2000M")).summary(10, 0);
    assert!(summary.possible.is_zero() && summary.examples.is_empty());
    assert!(summary.parameters.is_some());
}
