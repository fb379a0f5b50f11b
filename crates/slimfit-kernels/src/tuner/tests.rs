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

/// Noise of about so much, the same for the same seed.
fn noise(state: &mut u64, part: f64) -> f64 {
    let mut sum = 0.0;
    for _ in 0..4 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum += (*state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    }
    1.0 + part * sum
}

/// What an implementation of a key truly takes in [`tune_simulated`], seconds.
fn true_seconds(key: &TuningKey, name: &str) -> f64 {
    let mut seed = key.rows * 31 + key.columns * 7 + key.format as u64 * 1009 + key.tokens as u64;
    seed = name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(257) + u64::from(byte));
    1e-3 * noise(&mut seed, 0.3)
}

/// Tunes by a race in which each implementation of each key takes what it truly does but for where a run's matrices lie,
/// and for the noise of each sample.
fn tune_simulated(keys: &[TuningKey], known: &Tuning, run: u64) -> Vec<TuningOutcome> {
    let mut state = run;
    tune_by(
        keys,
        known,
        &|| Duration::from_secs(1),
        &mut |_, _| true,
        &mut |_| Ok(true),
        &mut |key, entries, incumbent, _| {
            let base: Vec<f64> = entries
                .iter()
                .map(|entry| true_seconds(key, entry.variant.name) * noise(&mut state, 0.02))
                .collect();
            Ok(race::run(entries.len(), incumbent, || true, |place| base[place] * noise(&mut state, 0.04)))
        },
    )
    .unwrap()
}

#[test]
fn a_second_run_keeps_what_the_first_chose_but_for_the_noise() {
    let formats = [NumberFormat::Q8_0, NumberFormat::Q4_0, NumberFormat::Bf16, NumberFormat::F32];
    let keys = usual_keys(&formats, Isa::best(), 1);
    let mut tuning = Tuning::default();
    let first = tune_simulated(&keys, &tuning, 1);
    first.iter().for_each(|outcome| tuning.choose(outcome));
    for outcome in &first {
        // Certain gains are found: nothing is a tenth faster than what was chosen.
        for entry in candidates(&outcome.key).unwrap() {
            let ratio =
                true_seconds(&outcome.key, entry.variant.name) / true_seconds(&outcome.key, outcome.variant);
            assert!(ratio > 0.9, "{}: {} to {}, {ratio}", outcome.key, entry.variant.name, outcome.variant);
        }
    }
    for run in 2..12 {
        let second = tune_simulated(&keys, &tuning, run);
        let changed = second.iter().filter(|outcome| tuning.choices[&outcome.key] != outcome.variant);
        let gains: Vec<f64> = changed
            .map(|outcome| {
                true_seconds(&outcome.key, tuning.choices[&outcome.key])
                    / true_seconds(&outcome.key, outcome.variant)
            })
            .collect();
        // What a race shows of two alike is off by where their matrices lie, twice.
        assert!(gains.len() <= 1 && gains.iter().all(|gain| *gain > 1.0), "run {run}: {gains:?}");
    }
    // Where there is something to choose, the default does not win everywhere: else the test could not fail.
    if first.iter().any(|outcome| outcome.candidates > 4) {
        assert!(first.iter().any(|outcome| outcome.variant != outcome.default_variant));
    }
}

#[test]
fn what_the_time_does_not_reach_is_what_counts_least() {
    let formats = [NumberFormat::Q8_0, NumberFormat::F32];
    let keys = usual_keys(&formats, Isa::best(), 1);
    assert_eq!(keys[..2].iter().map(|key| key.format).collect::<Vec<_>>(), formats);
    assert!(keys[..2].iter().all(|key| key.tokens == 1 && key.working_set_bytes > 64 << 20));
    let calls = std::cell::Cell::new(0);
    let left = || {
        calls.set(calls.get() + 1);
        Duration::from_secs(if calls.get() > 2 { 0 } else { 1 })
    };
    let mut raced = Vec::new();
    tune_by(
        &keys,
        &Tuning::default(),
        &left,
        &mut |_, _| true,
        &mut |_| Ok(true),
        &mut |key, entries, incumbent, time| {
            assert!(time <= Duration::from_secs(1) / 15);
            raced.push(*key);
            Ok(race::run(entries.len(), incumbent, || false, |_| 1.0))
        },
    )
    .unwrap();
    let possible = keys[..2].iter().filter(|key| candidates(key).unwrap().len() > 1).count();
    assert_eq!(raced.len(), possible);
}
