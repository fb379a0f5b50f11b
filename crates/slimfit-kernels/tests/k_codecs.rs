//! The codecs of `q4_k` and `q6_k`: decoding against the `gguf` Python package bit for bit, encoding by its error.
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_kernels::codec::{SUPER_BLOCK, q4_k, q6_k};
use slimfit_kernels::{Layout, PackedMatrix, WeightFormat};

/// 16 blocks of bytes from a multiplicative generator, their factors set to normal positive f16. `gguf_reference.py`
/// beside this file makes the same and prints what it decodes.
fn blocks(format: WeightFormat, factors: &[usize]) -> Vec<u8> {
    let size = format.block_bytes();
    let mut state = 7u32;
    let mut bytes: Vec<u8> = (0..16 * size)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    for (index, block) in bytes.chunks_exact_mut(size).enumerate() {
        for &factor in factors {
            block[factor] = (37 * index + factor) as u8;
            block[factor + 1] = 0x20 + (index % 8) as u8;
        }
    }
    bytes
}

/// FNV-1a over the bit patterns, first and last values.
fn summary(values: &[f32]) -> (u64, [f32; 3], [f32; 3]) {
    let hash = values.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, value| {
        (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3)
    });
    let count = values.len();
    (hash, values[..3].try_into().unwrap(), values[count - 3..].try_into().unwrap())
}

fn decoded(format: WeightFormat, bytes: &[u8]) -> Vec<f32> {
    let columns = bytes.len() / format.block_bytes() * SUPER_BLOCK;
    let mut matrix = PackedMatrix::with_layout(Layout::rows(format), 1, columns).unwrap();
    matrix.pack_encoded_rows(0, bytes).unwrap();
    let mut values = vec![f32::NAN; columns];
    matrix.read_row(0, 0, &mut values);
    values
}

#[test]
fn decoding_equals_the_gguf_package_bit_for_bit() {
    let values = decoded(WeightFormat::Q4K, &blocks(WeightFormat::Q4K, &[0, 2]));
    let first = [0.523_178_1, 0.898_178_1, 0.710_678_1];
    let last = [-1.653_793_3, -1.653_793_3, 0.054_199_22];
    assert_eq!(summary(&values), (0xcb86_1c02_f9d9_f225, first, last));
    let values = decoded(WeightFormat::Q6K, &blocks(WeightFormat::Q6K, &[208]));
    let (first, last) = ([-4.633_911, 1.118_530_3, 3.195_800_8], [-5.704_788, -22.819_153, -45.638_306]);
    assert_eq!(summary(&values), (0x74f8_902a_b530_e5d7, first, last));
}

/// Sums of twelve uniform values: close to a normal distribution.
fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| (0..12).map(|_| random.random_range(-0.5f32..0.5)).sum::<f32>() * 0.02).collect()
}

/// Root mean square error over root mean square.
fn relative_error(values: &[f32], decoded: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let error = squares(&mut values.iter().zip(decoded).map(|(a, b)| a - b));
    (error / squares(&mut values.iter().copied())).sqrt()
}

#[test]
fn encoding_normal_weights_loses_less_than_ggml_does() {
    for (format, bound) in BOUNDS {
        let mut errors = Vec::new();
        for seed in 0..4 {
            let values = normal(64 * SUPER_BLOCK, seed);
            let mut bytes = vec![0; format.row_bytes(values.len())];
            format.encode_row(&values, &mut bytes);
            errors.push(relative_error(&values, &decoded(format, &bytes)));
        }
        println!("{}: {errors:?}", format.name());
        assert!(errors.iter().all(|error| *error < bound), "{}: {errors:?}", format.name());
    }
}

/// What ggml's own quantisers lose of such values, 65 536 of them, without an importance matrix.
const BOUNDS: [(WeightFormat, f64); 2] = [(WeightFormat::Q4K, 0.0705), (WeightFormat::Q6K, 0.0175)];

#[test]
fn edges_are_encoded_exactly_or_near() {
    // Zeros stay zeros, a constant stays, one outlier does not spoil the other sub-blocks.
    for format in [WeightFormat::Q4K, WeightFormat::Q6K] {
        let encode = |values: &[f32]| {
            let mut bytes = vec![0xff; format.row_bytes(values.len())];
            format.encode_row(values, &mut bytes);
            decoded(format, &bytes)
        };
        assert_eq!(encode(&[0.0; SUPER_BLOCK]), [0.0; SUPER_BLOCK], "{}", format.name());
        for constant in [0.5, -0.5, 1e-6, -3e4] {
            let found = encode(&[constant; SUPER_BLOCK]);
            // 1e-6 is below what the f16 factors can say.
            let allowed = (constant.abs() / 100.0).max(3e-6);
            assert!(found.iter().all(|v| (v - constant).abs() <= allowed), "{} of {constant}", format.name());
        }
        let mut values: Vec<f32> = normal(SUPER_BLOCK, 9);
        values[200] = 1.0;
        let found = encode(&values);
        assert!((found[200] - 1.0).abs() < 0.05, "{}: {}", format.name(), found[200]);
        let rest = relative_error(&values[..192], &found[..192]);
        assert!(rest < 0.5, "{}: {rest}", format.name());
    }
}

#[test]
fn single_values_equal_rows() {
    let bytes = blocks(WeightFormat::Q4K, &[0, 2]);
    let row = decoded(WeightFormat::Q4K, &bytes);
    assert!((0..SUPER_BLOCK).all(|index| q4_k::value(&bytes, index) == row[index]));
    let bytes = blocks(WeightFormat::Q6K, &[208]);
    let row = decoded(WeightFormat::Q6K, &bytes);
    assert!((0..SUPER_BLOCK).all(|index| q6_k::value(&bytes[..210], index) == row[index]));
}
