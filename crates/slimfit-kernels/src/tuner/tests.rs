//! Tests of the tuner that need no clock to be right.

use super::*;
use crate::Kernels;

fn key(tokens: usize) -> TuningKey {
    TuningKey {
        format: NumberFormat::Q8_0,
        rows: 64,
        columns: 96,
        tokens,
        working_set_bytes: 1 << 20,
        threads: 1,
        isa: Isa::best(),
    }
}

#[test]
fn keys_are_read_as_they_are_written() {
    for key in usual_keys(&[NumberFormat::Q4_0, NumberFormat::Bf16], Isa::best(), 2) {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    for text in [
        "",
        "gemv",
        "gemm q8_0 64x96 1 tokens 1 MiB 1 threads avx2",
        "gemv q8_0 64x96 1 tokens 1 MiB 1 threads",
    ] {
        assert!(text.parse::<TuningKey>().is_err(), "{text}");
    }
}

#[test]
fn the_default_is_the_first_candidate() {
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).unwrap();
        for tokens in [1, 2] {
            let key = TuningKey { isa, ..key(tokens) };
            let product = MatMul {
                rows: key.rows,
                columns: key.columns,
                format: key.format,
                bias: false,
                accumulate: None,
                softcap: None,
            };
            let default = kernels.variant_name(&crate::Operation::MatMul(product), tokens).unwrap();
            let names: Vec<_> =
                candidates(&key).unwrap().into_iter().map(|entry| entry.variant.name).collect();
            assert_eq!(names[0], default, "{isa}");
        }
    }
}

#[test]
fn a_choice_serves_shapes_near_it_alone() {
    let near = TuningKey { rows: 128, ..key(1) };
    assert!(key(1).distance(&near).unwrap() > 0.0);
    assert_eq!(key(1).distance(&key(1)), Some(0.0));
    for far in [
        TuningKey { rows: 64 * 100, ..key(1) },
        TuningKey { threads: 2, ..key(1) },
        TuningKey { format: NumberFormat::Q4_0, ..key(1) },
        key(2),
    ] {
        assert_eq!(key(1).distance(&far), None, "{far}");
    }
}

#[test]
fn entries_of_another_version_are_refused() {
    let text = key(1).to_string();
    let default = candidates(&key(1)).unwrap()[0].variant.name;
    let tuning = Tuning::read([(text.as_str(), default)]).unwrap();
    assert_eq!(tuning.choices().collect::<Vec<_>>(), [(&key(1), default)]);
    for (key, name) in [(text.as_str(), "gemv-q8_0-of-old"), ("no key", default)] {
        let error = Tuning::read([(key, name)]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_race_ends_with_one_of_its_candidates() {
    let pool = Pool::new(1).unwrap();
    let keys = [key(1), key(5)];
    // Races end after so many rounds; the time is for a slow machine.
    let deadline = Instant::now() + Duration::from_secs(600);
    let outcomes = tune(&pool, &keys, &Tuning::default(), deadline, &mut |_, _| true).unwrap();
    let raced = keys.iter().filter(|key| candidates(key).unwrap().len() > 1).count();
    assert_eq!(outcomes.len(), raced);
    let mut tuning = Tuning::default();
    for outcome in &outcomes {
        let names: Vec<_> =
            candidates(&outcome.key).unwrap().into_iter().map(|entry| entry.variant.name).collect();
        assert!(names.contains(&outcome.variant) && outcome.rejected.is_empty(), "{outcome:?}");
        assert_eq!(outcome.candidates, names.len());
        assert!(!outcome.seconds.is_empty() && !outcome.default_seconds.is_empty());
        tuning.choose(outcome);
    }
    assert_eq!(tuning.choices().count(), raced);
    let stopped = tune(&pool, &keys, &Tuning::default(), deadline, &mut |_, _| false).unwrap();
    assert!(stopped.is_empty());
}

#[test]
fn a_tuned_kernel_is_the_chosen_one() {
    let key = key(1);
    let last = *candidates(&key).unwrap().last().unwrap();
    let tuning = Tuning::read([(key.to_string().as_str(), last.variant.name)]).unwrap();
    let product = MatMul {
        rows: 64,
        columns: 96,
        format: NumberFormat::Q8_0,
        bias: false,
        accumulate: None,
        softcap: None,
    };
    let kernels = Kernels::for_isa(Isa::best()).unwrap().tuned(&tuning, [&product], 1, 1 << 20);
    let operation = crate::Operation::MatMul(product);
    assert_eq!(kernels.variant_name(&operation, 1), Some(last.variant.name));
    let other = crate::Operation::MatMul(MatMul { rows: 65, ..product });
    assert_eq!(kernels.variant_name(&other, 1), Some(candidates(&key).unwrap()[0].variant.name));
}
