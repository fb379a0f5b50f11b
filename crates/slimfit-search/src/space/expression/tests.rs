use super::*;
use crate::space::axes::Axis;
use crate::space::{Mixture, Window};
use slimfit_quantity::NumberFormat;

fn point() -> Assignment {
    let mut point = Assignment::UNKNOWN;
    point.numbers[Axis::HiddenSize as usize] = 576.0;
    point.numbers[Axis::Heads as usize] = 9.0;
    point.numbers[Axis::Loops as usize] = 1.0;
    point
}

fn value(text: &str) -> f64 {
    let value = Expression::parse(text).unwrap().value(&point());
    assert_eq!(Expression::condition(text).unwrap().value(&point()), value, "{text}");
    value
}

#[test]
fn arithmetic_binds_as_on_paper_and_round_takes_the_product() {
    assert_eq!(value("1 + 2 * 3 - 4 / 2"), 5.0);
    assert_eq!(value("(1 + 2) * 3"), 9.0);
    assert_eq!(value("2.75 * hidden_size round 64"), 1600.0);
    assert_eq!(value("hidden_size / heads"), 64.0);
    assert_eq!(value("8 - 4 - 2"), 2.0);
    assert_eq!(value("1 round 64"), 64.0);
    assert_eq!(value("hidden_size % heads != 0"), 0.0);
    assert_eq!(value("hidden_size > 500 and heads < 4 or heads == 9"), 1.0);
}

#[test]
fn faults_name_what_was_found() {
    assert_eq!(Expression::parse("hiden_size / 2"), Err(Fault::Name("hiden_size".to_owned())));
    for wrong in ["", "1 +", "(1", "1 1", "* 2", "1 round 0", "1 $ 2", "1..2", "weights", "none"] {
        assert!(Expression::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Expression::parse(&"(".repeat(100_000)).is_err());
}

#[test]
fn conditions_name_every_axis_and_its_words() {
    let plain = Assignment { weights: NumberFormat::Q4_K, kv: NumberFormat::F16, tied: true, ..point() };
    let other = Assignment {
        gated: true,
        experts: Some(Mixture { count: 8, top_k: 2 }),
        window: Some(Window { size: 512, full_every: Some(4) }),
        ..plain
    };
    // Of the first, of the second.
    for (text, holds) in [
        ("gated", [false, true]),
        ("gated == false", [true, false]),
        ("gated == tied_embeddings", [false, true]),
        ("gated == (heads > 4)", [false, true]),
        ("tied_embeddings and hidden_size > 500", [true, true]),
        ("experts == none", [true, false]),
        ("none != experts", [false, true]),
        ("experts == 8", [false, true]),
        ("experts != 4", [true, true]),
        // `none` is neither less nor more than a number.
        ("experts >= 1", [false, true]),
        ("experts < 1", [false, false]),
        ("window == none or window >= 512", [true, true]),
        ("window < 1000", [false, true]),
        ("window * 2 > hidden_size", [false, true]),
        ("loops == none", [true, true]),
        ("loops == 1 and loops * 2 == 2", [true, true]),
        ("weights == q4_k", [true, true]),
        ("weights != q8_0 and kv == f16", [true, true]),
        ("weights == kv", [false, false]),
    ] {
        let condition = Expression::condition(text).unwrap();
        assert_eq!([condition.holds(&plain), condition.holds(&other)], holds, "{text}");
    }
    let named = Expression::condition("weights == q4_k and experts != none and layers > 3").unwrap().axes();
    let named: Vec<&str> = named.axes().map(AnyAxis::name).collect();
    assert_eq!(named, ["layers", "experts", "weights"]);
}

#[test]
fn what_is_not_alike_is_not_compared() {
    for (text, found, part) in [
        ("gated == 3", "gated == 3", "`true` or `false`"),
        ("heads > 4 and weights > q4_k", "weights > q4_k", "f32, f16"),
        ("weights == true", "weights == true", "f32, f16"),
        ("heads == none", "heads == none", "`experts`, `window` or `loops`"),
        ("hidden_size + gated > 3", "hidden_size + gated", "`true` or `false`"),
        ("weights round 64 > 3", "weights round 64", "a number before `round`"),
        ("heads > 4 or window", "heads > 4 or window", "comparisons on both sides"),
        ("experts", "experts", "`experts == none`"),
        ("q4_k", "q4_k", "a comparison such as"),
        ("kv", "kv", "a comparison such as"),
    ] {
        match Expression::condition(text) {
            Err(Fault::Unlike { found: told, allowed }) => {
                assert_eq!(told, found, "{text}");
                assert!(allowed.contains(part), "{text}: {allowed}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(Expression::condition("weights == q9_k"), Err(Fault::Name("q9_k".to_owned())));
}
