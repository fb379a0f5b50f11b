//! Every operation but the product, on every tier of this machine, against f64 formulas written down anew here.
//!
//! All buffers end at guard pages, outputs are poisoned, and work is done in 1, 2 and 5 shares.
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_kernels::{
    Activate, ActivateArgs, ActivationFunction, Add, AddArgs, Attend, AttendArgs, Embed, EmbedArgs,
    Invocation, Isa, Kernels, KvLayer, NormArgs, NormFormula, NormOperation, Operation, PackedMatrix, Part,
    QkNormKind, RotateStore, RotateStoreArgs, RotationTable, SharedMut, WeightFormat, phases, scratch_bytes,
};
use slimfit_testing::Guarded;

const SEED: u64 = 0x51_1f18;

/// Of every tier of this machine or, where `SLIMFIT_ISA` names one, of that one.
fn tiers() -> impl Iterator<Item = Kernels> {
    Isa::named()
        .unwrap()
        .map_or_else(Isa::available, |isa| vec![isa])
        .into_iter()
        .map(|isa| Kernels::for_isa(isa).unwrap())
}

/// Does all shares of all phases, one after the other.
fn execute(
    kernels: &Kernels,
    operation: &Operation,
    tokens: usize,
    invocation: &Invocation<'_>,
    shares: usize,
) {
    Kernels::supports(operation).unwrap();
    for phase in 0..phases(operation, tokens) {
        for index in 0..shares {
            kernels.execute(invocation, Part { phase, index, of: shares });
        }
    }
}

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED + seed);
    (0..count).map(|_| random.random_range(-2.0..2.0)).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        // `!(≤)`, so that a NaN left from the poison fails.
        assert!(
            error <= relative * expected.abs().max(1.0),
            "{what} at {index}: {found} instead of {expected} (seed {SEED:#x})"
        );
    }
}

#[test]
fn embedding_rows_are_scaled_and_positions_added() {
    let (vocabulary, first_position) = (37, 3);
    for kernels in tiers() {
        for format in WeightFormat::ALL {
            let width = format.block_values().max(96);
            let layout = slimfit_kernels::layout_for(format, kernels.isa());
            let number = PackedMatrix::with_layout(layout, 1, width);
            let number = number.unwrap().format();
            let mut table = PackedMatrix::new(number, vocabulary, width, kernels.isa()).unwrap();
            table.pack_rows(0, &random(1, vocabulary * width)).unwrap();
            let positions = Guarded::ending(&random(2, 12 * width));
            for tokens in [vec![36], vec![0, 36, 17, 17, 5]] {
                for offset in [None, Some(2)] {
                    let operation = Embed {
                        vocabulary: vocabulary as u64,
                        width: width as u64,
                        format: number,
                        scale: 1.5,
                        position_offset: offset,
                    };
                    let mut expected = Vec::new();
                    for (index, &token) in tokens.iter().enumerate() {
                        let mut row = vec![0.0; width];
                        table.read_row(token as usize, 0, &mut row);
                        expected.extend(row.iter().enumerate().map(|(column, value)| {
                            let place = (first_position + index) * width + column;
                            let position =
                                offset.map_or(0.0, |offset| positions[offset as usize * width + place]);
                            f64::from(*value) * 1.5 + f64::from(position)
                        }));
                    }
                    for shares in [1, 2, 5] {
                        let mut output = Guarded::ending(&vec![f32::NAN; expected.len()]);
                        let learned = offset.map(|_| &*positions);
                        let shared = SharedMut::new(&mut output);
                        let args =
                            EmbedArgs::new(&operation, &table, learned, first_position, &tokens, shared);
                        let described = Operation::Embed(operation);
                        execute(&kernels, &described, tokens.len(), &Invocation::Embed(args), shares);
                        assert_close(&output, &expected, 1e-6, "embed");
                    }
                }
            }
        }
    }
}

fn norm_reference(values: &[f32], formula: NormFormula, epsilon: f64) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = match formula {
        NormFormula::Rms => 0.0,
        NormFormula::Layer => values.iter().map(|&v| f64::from(v)).sum::<f64>() / count,
    };
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    values.iter().map(|&v| (f64::from(v) - mean) / (variance + epsilon).sqrt()).collect()
}

#[test]
fn norms_follow_their_formulas() {
    for kernels in tiers() {
        for formula in [NormFormula::Rms, NormFormula::Layer] {
            for (width, tokens) in [(1, 1), (7, 3), (16, 1), (17, 2), (33, 6), (576, 1), (577, 5)] {
                for (parameters, accumulate) in [(false, None), (true, None), (true, Some(0.5))] {
                    let input = Guarded::ending(&random(3, tokens * width));
                    let weight = Guarded::ending(&random(4, width));
                    let bias = Guarded::ending(&random(5, width));
                    let operation = NormOperation {
                        width: width as u64,
                        formula,
                        epsilon: 1e-5,
                        weight: parameters,
                        bias: parameters,
                        accumulate,
                    };
                    let mut expected = Vec::new();
                    for row in input.chunks(width) {
                        let normed = norm_reference(row, formula, f64::from(1e-5_f32));
                        expected.extend(normed.iter().enumerate().map(|(column, &value)| {
                            let (w, b) = (f64::from(weight[column]), f64::from(bias[column]));
                            let value = if parameters { value * w + b } else { value };
                            accumulate.map_or(value, |scale| 1.0 + f64::from(scale) * value)
                        }));
                    }
                    for shares in [1, 2, 5] {
                        let poison = if accumulate.is_some() { 1.0 } else { f32::NAN };
                        let mut output = Guarded::ending(&vec![poison; expected.len()]);
                        let (weight, bias) = (parameters.then_some(&*weight), parameters.then_some(&*bias));
                        let shared = SharedMut::new(&mut output);
                        let args = NormArgs::new(&operation, tokens, &input, weight, bias, shared);
                        execute(
                            &kernels,
                            &Operation::Norm(operation),
                            tokens,
                            &Invocation::Norm(args),
                            shares,
                        );
                        assert_close(&output, &expected, 4e-6, "norm");
                    }
                }
            }
        }
    }
}

#[test]
fn additions_are_exact() {
    for kernels in tiers() {
        for (width, tokens) in [(1, 1), (17, 3), (64, 2)] {
            let input: Vec<f32> = (0..width * tokens).map(|value| value as f32).collect();
            let input = Guarded::ending(&input);
            for shares in [1, 2, 5] {
                let mut output = Guarded::ending(&vec![3.0; input.len()]);
                let operation = Add { width: width as u64, scale: 0.5 };
                let args = AddArgs::new(&operation, tokens, &input, SharedMut::new(&mut output));
                execute(&kernels, &Operation::Add(operation), tokens, &Invocation::Add(args), shares);
                assert!(output.iter().zip(&*input).all(|(y, x)| *y == 3.0 + 0.5 * x));
            }
        }
    }
}

fn activation_reference(function: ActivationFunction, x: f64) -> f64 {
    match function {
        ActivationFunction::Silu => x / (1.0 + (-x).exp()),
        ActivationFunction::Gelu => {
            // Φ by Simpson's rule on the density.
            let (steps, low) = (2000, -12.0);
            let width = (x - low) / f64::from(steps);
            let density = |at: f64| (-at * at / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let sum: f64 = (0..=steps)
                .map(|step| {
                    let factor =
                        if step == 0 || step == steps { 1.0 } else { 2.0 + 2.0 * f64::from(step % 2) };
                    factor * density(low + width * f64::from(step))
                })
                .sum();
            x * sum * width / 3.0
        }
        ActivationFunction::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        ActivationFunction::Relu => x.max(0.0),
        ActivationFunction::ReluSquared => x.max(0.0) * x.max(0.0),
    }
}

#[test]
fn activations_follow_their_formulas() {
    for kernels in tiers() {
        for function in [
            ActivationFunction::Silu,
            ActivationFunction::Gelu,
            ActivationFunction::GeluTanh,
            ActivationFunction::Relu,
            ActivationFunction::ReluSquared,
        ] {
            for (size, tokens, gated, scaled) in [
                (1, 1, false, false),
                (15, 3, true, false),
                (33, 2, false, true),
                (100, 1, true, false),
                (40, 3, true, true),
            ] {
                let width = if gated { 2 * size } else { size };
                // Up to ±10, where functions saturate.
                let input: Vec<f32> = random(6, tokens * width).iter().map(|x| x * 5.0).collect();
                let input = Guarded::ending(&input);
                let scores = scaled.then(|| Guarded::ending(&random(14, tokens)));
                let expected: Vec<f64> = (0..tokens * size)
                    .map(|place| {
                        let row = &input[place / size * width..];
                        let value = activation_reference(function, f64::from(row[place % size]));
                        let value = if gated { value * f64::from(row[size + place % size]) } else { value };
                        let score = scores.as_ref().map(|scores| f64::from(scores[place / size]));
                        value * score.map_or(1.0, |score| 1.0 / (1.0 + (-score).exp()))
                    })
                    .collect();
                for shares in [1, 2, 5] {
                    let mut output = Guarded::ending(&vec![f32::NAN; expected.len()]);
                    let operation = Activate { size: size as u64, gated, function, scaled };
                    let args = ActivateArgs::new(
                        &operation,
                        tokens,
                        &input,
                        scores.as_deref(),
                        SharedMut::new(&mut output),
                    );
                    let described = Operation::Activate(operation);
                    execute(&kernels, &described, tokens, &Invocation::Activate(args), shares);
                    assert_close(&output, &expected, 4e-6, &format!("{function:?}"));
                }
            }
        }
    }
}

fn cache_bytes(format: &str, values: &[f32]) -> Vec<u8> {
    match format {
        "f32" => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        "f16" => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        _ => {
            let mut bytes = vec![0; values.len() / 32 * 34];
            WeightFormat::Q8_0.encode_row(values, &mut bytes);
            bytes
        }
    }
}

fn cache_values(format: &str, bytes: &[u8]) -> Vec<f64> {
    let half = |bytes: &[u8]| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
    match format {
        "f32" => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        "f16" => bytes.chunks(2).map(|bytes| f64::from(half(bytes))).collect(),
        _ => bytes
            .chunks(34)
            .flat_map(|block| block[2..].iter().map(|&q| f64::from(half(block) * f32::from(q as i8))))
            .collect(),
    }
}

#[test]
fn queries_and_keys_are_clipped_normed_and_rotated_and_the_cache_written() {
    let (heads, kv_heads, capacity, tokens, first_position) = (4, 2, 9, 3, 5);
    for kernels in tiers() {
        for (head_size, rotated) in [(16, 16), (10, 4), (64, 64), (24, 0)] {
            for (kind, forgotten) in [
                (QkNormKind::None, 0),
                (QkNormKind::PerHead, 0),
                (QkNormKind::EachHead, 4),
                (QkNormKind::AllHeads, 5),
            ] {
                let formats = [(false, "f32", None), (true, "f16", Some(1.5)), (false, "q8_0", None)];
                let whole = |format| format != "q8_0" || head_size % 32 == 0;
                for (interleaved, format, clip) in formats.into_iter().filter(|(_, format, _)| whole(*format))
                {
                    let operation = RotateStore {
                        heads: heads as u64,
                        kv_heads: kv_heads as u64,
                        head_size: head_size as u64,
                        rotated: rotated as u64,
                        interleaved,
                        qk_norm: kind,
                        norm: (NormFormula::Rms, 1e-6),
                        clip,
                        kv_format: format.parse().unwrap(),
                    };
                    let width = (heads + 2 * kv_heads) * head_size;
                    let rows = random(7, tokens * width);
                    let norm_width = |heads: usize| match kind {
                        QkNormKind::None => 0,
                        QkNormKind::PerHead => head_size,
                        QkNormKind::EachHead | QkNormKind::AllHeads => heads * head_size,
                    };
                    let query_norm = Guarded::ending(&random(8, norm_width(heads)));
                    let key_norm = Guarded::ending(&random(9, norm_width(kv_heads)));
                    let angles: Vec<f32> = random(10, (first_position + tokens) * rotated / 2);
                    let cosines = Guarded::ending(&angles.iter().map(|a| a.cos()).collect::<Vec<_>>());
                    let sines = Guarded::ending(&angles.iter().map(|a| a.sin()).collect::<Vec<_>>());
                    // What a row of whole heads becomes.
                    let turned = |values: &[f32], norm: &[f32], position: usize| -> Vec<f64> {
                        let unit = if kind == QkNormKind::AllHeads { values.len() } else { head_size };
                        let clip = clip.unwrap_or(f32::MAX);
                        let clipped: Vec<f32> = values.iter().map(|v| v.clamp(-clip, clip)).collect();
                        let mut normed: Vec<f64> = match kind {
                            QkNormKind::None => clipped.iter().map(|&v| f64::from(v)).collect(),
                            _ => clipped
                                .chunks(unit)
                                .flat_map(|unit| norm_reference(unit, NormFormula::Rms, f64::from(1e-6_f32)))
                                .enumerate()
                                .map(|(index, value)| value * f64::from(norm[index % norm.len()]))
                                .collect(),
                        };
                        for head in normed.chunks_mut(head_size) {
                            for pair in 0..rotated / 2 {
                                let (i, j) = if interleaved {
                                    (2 * pair, 2 * pair + 1)
                                } else {
                                    (pair, pair + rotated / 2)
                                };
                                let place = position * rotated / 2 + pair;
                                let (cosine, sine) = (f64::from(cosines[place]), f64::from(sines[place]));
                                (head[i], head[j]) =
                                    (head[i] * cosine - head[j] * sine, head[j] * cosine + head[i] * sine);
                            }
                        }
                        normed
                    };
                    for shares in [1, 2, 5] {
                        let half = KvLayer::half_bytes(
                            operation.kv_format,
                            kv_heads as u64,
                            head_size as u64,
                            capacity as u64,
                        );
                        let empty = vec![0xff_u8; half.unwrap() as usize];
                        let (mut keys, mut values) = (Guarded::ending(&empty), Guarded::ending(&empty));
                        let mut qkv = Guarded::ending(&rows);
                        let cache = KvLayer::new(
                            operation.kv_format,
                            kv_heads,
                            head_size,
                            capacity,
                            SharedMut::new(&mut keys),
                            SharedMut::new(&mut values),
                        )
                        .beginning_at(forgotten);
                        let args = RotateStoreArgs::new(
                            &operation,
                            tokens,
                            first_position,
                            SharedMut::new(&mut qkv),
                            &query_norm,
                            &key_norm,
                            RotationTable { cosines: &cosines, sines: &sines },
                            cache,
                        );
                        let described = Operation::RotateStore(operation);
                        execute(&kernels, &described, tokens, &Invocation::RotateStore(args), shares);
                        let stored = [cache_values(format, &keys), cache_values(format, &values)];
                        // Half of the last bit, or of a step of 127 to the largest and what its f16 scale rounds.
                        let tolerance = |expected: &[f64]| match format {
                            "f32" => 4e-6,
                            "f16" => 1e-3,
                            _ => {
                                let largest = expected.iter().fold(0f64, |most, value| most.max(value.abs()));
                                largest * (1.01 / 254.0 + 2f64.powi(-11))
                            }
                        };
                        for token in 0..tokens {
                            let row = &rows[token * width..][..width];
                            let (query, rest) = row.split_at(heads * head_size);
                            let (key, value) = rest.split_at(kv_heads * head_size);
                            let position = first_position + token;
                            let found = &qkv[token * width..][..heads * head_size];
                            assert_close(found, &turned(query, &query_norm, position), 4e-6, "query");
                            let clip = clip.unwrap_or(f32::MAX);
                            let value: Vec<f64> =
                                value.iter().map(|v| f64::from(v.clamp(-clip, clip))).collect();
                            let key = turned(key, &key_norm, position);
                            for (stored, expected, what) in
                                [(&stored[0], &key, "key"), (&stored[1], &value, "value")]
                            {
                                for (head, expected) in expected.chunks(head_size).enumerate() {
                                    let start = (head * capacity + position - forgotten) * head_size;
                                    let found: Vec<f32> =
                                        stored[start..start + head_size].iter().map(|&v| v as f32).collect();
                                    assert_close(&found, expected, tolerance(expected), what);
                                }
                            }
                        }
                        // Positions before and after keep their poison.
                        for bytes in [&*keys, &*values] {
                            let position_bytes = bytes.len() / (kv_heads * capacity);
                            for (place, bytes) in bytes.chunks(position_bytes).enumerate() {
                                let position = place % capacity + forgotten;
                                let mine = (first_position..first_position + tokens).contains(&position);
                                assert!(mine || bytes.iter().all(|&byte| byte == 0xff));
                            }
                        }
                    }
                }
            }
        }
    }
}

struct Attention {
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    window: Option<u64>,
    softcap: Option<f32>,
    alibi: bool,
    format: &'static str,
    tokens: usize,
    first_position: usize,
    /// Positions before the cache's first row.
    forgotten: usize,
}

#[test]
fn attention_is_the_softmax_over_what_a_token_may_see() {
    let plain = |tokens, first_position| Attention {
        heads: 4,
        kv_heads: 2,
        head_size: 16,
        window: None,
        softcap: None,
        alibi: false,
        format: "f32",
        tokens,
        first_position,
        forgotten: 0,
    };
    let cases = [
        plain(1, 0),
        plain(1, 70),
        plain(7, 0),
        plain(5, 33),
        Attention { heads: 6, kv_heads: 1, head_size: 10, format: "f16", ..plain(1, 129) },
        Attention { heads: 3, kv_heads: 3, head_size: 64, format: "f16", ..plain(9, 8) },
        Attention { heads: 9, kv_heads: 3, head_size: 64, format: "f16", ..plain(1, 300) },
        Attention { window: Some(8), ..plain(1, 40) },
        Attention { window: Some(3), format: "f16", ..plain(11, 0) },
        Attention { softcap: Some(2.0), ..plain(3, 20) },
        Attention { alibi: true, heads: 6, kv_heads: 6, ..plain(2, 20) },
        // Several tiles of keys and several units of tokens; groups of every size that blocks of heads make.
        Attention { heads: 9, kv_heads: 3, head_size: 64, format: "f16", ..plain(70, 61) },
        Attention { heads: 7, kv_heads: 1, head_size: 80, format: "f16", ..plain(1, 260) },
        Attention { heads: 5, kv_heads: 1, head_size: 24, ..plain(50, 0) },
        Attention { heads: 2, kv_heads: 2, head_size: 128, ..plain(1, 143) },
        Attention { heads: 2, kv_heads: 2, head_size: 96, format: "f16", ..plain(101, 3) },
        Attention { heads: 64, kv_heads: 1, head_size: 8, ..plain(3, 100) },
        Attention { window: Some(20), ..plain(90, 30) },
        Attention { window: Some(130), format: "f16", ..plain(1, 400) },
        Attention { softcap: Some(5.0), format: "f16", ..plain(1, 200) },
        Attention { softcap: Some(5.0), window: Some(50), ..plain(60, 55) },
        Attention { alibi: true, heads: 6, kv_heads: 2, ..plain(1, 150) },
        Attention { alibi: true, heads: 6, kv_heads: 3, ..plain(40, 60) },
        // Nothing is left of what no token sees.
        Attention { window: Some(8), forgotten: 33, ..plain(1, 40) },
        Attention { window: Some(20), forgotten: 11, format: "f16", ..plain(90, 30) },
        Attention { window: Some(1), forgotten: 70, heads: 6, kv_heads: 1, ..plain(1, 70) },
        Attention { window: Some(130), forgotten: 100, alibi: true, heads: 6, ..plain(1, 400) },
        Attention { heads: 9, kv_heads: 3, head_size: 64, format: "q8_0", ..plain(1, 300) },
        Attention { heads: 2, kv_heads: 1, head_size: 128, format: "q8_0", ..plain(70, 61) },
        Attention { heads: 4, kv_heads: 4, head_size: 32, format: "q8_0", window: Some(50), ..plain(1, 130) },
        Attention { heads: 2, kv_heads: 2, head_size: 96, format: "q8_0", window: Some(20), ..plain(90, 30) },
        Attention {
            heads: 5,
            kv_heads: 1,
            head_size: 256,
            format: "q8_0",
            softcap: Some(5.0),
            ..plain(1, 77)
        },
    ];
    for kernels in tiers() {
        for case in &cases {
            check_attention(&kernels, case);
        }
    }
}

fn check_attention(kernels: &Kernels, case: &Attention) {
    let &Attention { heads, kv_heads, head_size, tokens, first_position, .. } = case;
    let &Attention { forgotten, .. } = case;
    let capacity = first_position + tokens + 2 - forgotten;
    let operation = Attend {
        heads: heads as u64,
        kv_heads: kv_heads as u64,
        head_size: head_size as u64,
        window: case.window,
        scale: 0.3,
        softcap: case.softcap,
        alibi: case.alibi,
        kv_format: case.format.parse().unwrap(),
    };
    let width = (heads + 2 * kv_heads) * head_size;
    let qkv = Guarded::ending(&random(11, tokens * width));
    let mut halves = [12, 13].map(|seed| {
        let mut values = random(seed, kv_heads * capacity * head_size);
        // Positions that nobody may see.
        for head in values.chunks_mut(capacity * head_size) {
            head[(first_position + tokens - forgotten) * head_size..].fill(f32::NAN);
        }
        Guarded::ending(&cache_bytes(case.format, &values))
    });
    let [keys, values] = [&halves[0], &halves[1]].map(|bytes| cache_values(case.format, bytes));
    let mut expected = vec![0.0; tokens * heads * head_size];
    for (place, output) in expected.chunks_mut(head_size).enumerate() {
        let (token, head) = (place / heads, place % heads);
        let position = first_position + token;
        let first = case.window.map_or(0, |window| (position + 1).saturating_sub(window as usize));
        let at = |position: usize| (head / (heads / kv_heads) * capacity + position - forgotten) * head_size;
        let scores: Vec<f64> = (first..=position)
            .map(|key| {
                let query = &qkv[token * width + head * head_size..][..head_size];
                let dot: f64 = query.iter().zip(&keys[at(key)..]).map(|(q, k)| f64::from(*q) * k).sum();
                let mut score = dot * f64::from(0.3_f32);
                if let Some(cap) = case.softcap {
                    score = f64::from(cap) * (score / f64::from(cap)).tanh();
                }
                // 6 heads: the slopes of 4, then every other one of 8.
                let exponents = [-2.0, -4.0, -6.0, -8.0, -1.0, -3.0];
                let slope = if case.alibi { f64::exp2(exponents[head]) } else { 0.0 };
                score - slope * (position - key) as f64
            })
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        for (key, score) in (first..=position).zip(&scores) {
            let weight = (score - largest).exp() / total;
            output.iter_mut().zip(&values[at(key)..]).for_each(|(y, v)| *y += weight * v);
        }
    }
    let described = Operation::Attend(operation);
    for shares in [1, 2, 5] {
        let scratch = vec![0xff; scratch_bytes(&described, tokens, first_position + tokens, shares)];
        let mut scratch = Guarded::ending(&scratch);
        let mut output = Guarded::ending(&vec![f32::NAN; expected.len()]);
        let [keys, values] = &mut halves;
        let cache = KvLayer::new(
            operation.kv_format,
            kv_heads,
            head_size,
            capacity,
            SharedMut::new(keys),
            SharedMut::new(values),
        )
        .beginning_at(forgotten);
        let args = AttendArgs::new(
            &operation,
            tokens,
            first_position,
            &qkv,
            cache,
            SharedMut::new(&mut output),
            SharedMut::new(&mut scratch),
        );
        execute(kernels, &described, tokens, &Invocation::Attend(args), shares);
        let name = kernels.variant_name(&described, tokens).unwrap();
        assert_close(&output, &expected, 1e-5, &format!("`{name}` of {tokens} after {first_position}"));
    }
}
