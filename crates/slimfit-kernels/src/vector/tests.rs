//! Every tier's vectors against plain arithmetic, and the functions' stated bounds.

use super::*;
use crate::Isa;
use half::f16;

/// A function of a slice, in place, compiled for each tier.
macro_rules! each_tier {
    ($name:ident, $tier:ident, $values:ident, $body:block) => {
        fn $name(isa: Isa, values: &mut [f32]) -> bool {
            #[inline(always)]
            fn body<T: Tier>($tier: T, $values: &mut [f32]) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2(values: &mut [f32]) {
                // SAFETY: enabled here.
                body(unsafe { Avx2::new() }, values);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")]
            fn avx512(values: &mut [f32]) {
                // SAFETY: enabled here.
                body(unsafe { Avx512::new() }, values);
            }
            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            fn neon(values: &mut [f32]) {
                // SAFETY: enabled here.
                body(unsafe { Neon::new() }, values);
            }
            match isa {
                Isa::Portable => body(Portable, values),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the caller tests available tiers.
                Isa::Avx2 => unsafe { avx2(values) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the caller tests available tiers.
                Isa::Avx512 => unsafe { avx512(values) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: the caller tests available tiers.
                Isa::Neon => unsafe { neon(values) },
                _ => return false,
            }
            true
        }
    };
}

macro_rules! in_place {
    ($name:ident, $function:ident) => {
        each_tier!($name, tier, values, {
            for index in (0..values.len()).step_by(T::LANES) {
                let result = $function(tier, load_tail(tier, values, index));
                store_tail(tier, values, index, result);
            }
        });
    };
}

in_place!(exp_all, exp);
in_place!(sigmoid_all, sigmoid);
in_place!(exp2_all, falling_power);
in_place!(tanh_all, tanh);
in_place!(erfc_all, erfc);

/// 2^x computed beside another vector's, which must not change it.
#[inline(always)]
fn falling_power<T: Tier>(tier: T, x: T::Vector) -> T::Vector {
    exp2_falling(tier, [tier.splat(-77.25), x])[1]
}

/// Applies `function` on every tier to a sweep of `±limit` and its ends; `check(x, got)`.
fn sweep(function: fn(Isa, &mut [f32]) -> bool, limit: f32, check: impl Fn(f32, f32)) {
    let count = 200_003;
    let inputs: Vec<f32> = (0..count)
        .map(|index| limit * (2.0 * index as f32 / (count - 1) as f32 - 1.0))
        .chain([0.0, -0.0, 1e-30, -1e-30, 1e-5, -1e-5])
        .collect();
    let mut ran = 0;
    for isa in Isa::available() {
        let mut values = inputs.clone();
        if function(isa, &mut values) {
            ran += 1;
            println!("{isa}");
            for (&x, &got) in inputs.iter().zip(&values) {
                check(x, got);
            }
        }
    }
    assert!(ran > 0);
}

fn assert_relative(x: f32, got: f32, expected: f64, bound: f64) {
    let error = (f64::from(got) - expected).abs() / expected.abs();
    assert!(error <= bound, "{x}: {got} for {expected}, off by {error}");
}

fn assert_absolute(x: f32, got: f32, expected: f64, bound: f64) {
    let error = (f64::from(got) - expected).abs();
    assert!(error <= bound, "{x}: {got} for {expected}, off by {error}");
}

#[test]
fn exp_is_within_its_bound() {
    sweep(exp_all, 87.3, |x, got| assert_relative(x, got, f64::from(x).exp(), 2f64.powi(-22)));
}

#[test]
fn exp_is_zero_far_below_finite_far_above_and_keeps_what_is_no_number() {
    for isa in Isa::available() {
        let mut values = [f32::NEG_INFINITY, -1e30, -88.0, 1e30, f32::INFINITY, f32::NAN, 0.0];
        if exp_all(isa, &mut values) {
            assert_eq!(values[..3], [0.0; 3], "{isa}");
            assert!(values[3..5].iter().all(|&value| (2e38..3.1e38).contains(&value)), "{isa} {values:?}");
            assert!(values[5].is_nan(), "{isa}");
            assert_eq!(values[6], 1.0, "{isa}");
        }
    }
}

#[test]
fn falling_powers_of_two_are_within_their_bound() {
    sweep(exp2_all, 125.0, |x, got| {
        if x <= 0.0 {
            assert_relative(x, got, f64::from(x).exp2(), 2f64.powi(-22));
        }
    });
}

#[test]
fn falling_powers_of_two_stay_above_zero_and_keep_what_is_no_number() {
    for isa in Isa::available() {
        let mut values = [f32::NEG_INFINITY, -1e30, -125.5, f32::NAN, 0.0, -1.0];
        if exp2_all(isa, &mut values) {
            assert_eq!(values[..3], [2f32.powi(-125); 3], "{isa}");
            assert!(values[3].is_nan(), "{isa}");
            assert_eq!(values[4..], [1.0, 0.5], "{isa}");
        }
    }
}

#[test]
fn the_logistic_function_is_within_its_bound() {
    sweep(sigmoid_all, 87.0, |x, got| {
        assert_relative(x, got, 1.0 / (1.0 + (-f64::from(x)).exp()), 2f64.powi(-21));
    });
}

#[test]
fn tanh_is_within_its_bound() {
    sweep(tanh_all, 20.0, |x, got| assert_absolute(x, got, f64::from(x).tanh(), 2f64.powi(-22)));
}

#[test]
fn erfc_is_within_its_bound() {
    sweep(erfc_all, 3.0, |x, got| {
        if x >= 0.0 {
            assert_relative(x, got, 1.0 - crate::activate::scalar::erf(f64::from(x)), 2f64.powi(-19));
        }
    });
    // From the C library's erfc.
    for (x, expected) in [(4.5_f32, 1.9661604415428873e-10), (8.0, 1.1224297172982928e-29)] {
        for isa in Isa::available() {
            let mut values = [x];
            if erfc_all(isa, &mut values) {
                assert_relative(x, values[0], expected, 2f64.powi(-17));
            }
        }
    }
}

each_tier!(reductions, tier, values, {
    let vector = |index: usize| load_tail(tier, &values[index..index + T::LANES], 0);
    let (a, b) = (vector(0), vector(T::LANES));
    let (c, d) = (vector(2 * T::LANES), vector(3 * T::LANES));
    let (sum, largest, each) = (tier.sum(a), tier.largest(a), tier.sum_each([a, b, c, d]));
    for (index, quad) in values[..4 * T::LANES].chunks(T::LANES).enumerate() {
        assert_eq!(each[index], quad.iter().sum::<f32>());
    }
    assert_eq!(sum, values[..T::LANES].iter().sum::<f32>());
    assert_eq!(largest, values[..T::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max));
});

#[test]
fn reductions_take_every_lane_once() {
    for isa in Isa::available() {
        // Whole numbers, so that sums are exact in any order.
        for seed in 0..50_usize {
            let mut values: Vec<f32> =
                (0..64).map(|index| ((index * 37 + seed * 101) % 97) as f32 - 60.0).collect();
            reductions(isa, &mut values);
        }
    }
}

each_tier!(halves, tier, values, {
    for (index, value) in values.iter_mut().enumerate() {
        let bits = index as u16;
        let padded = [bits; 32];
        // SAFETY: 32 values lie there, at least as many as any tier's lanes.
        let whole = unsafe { tier.load_f16(padded.as_ptr()) };
        // SAFETY: as above.
        let first = unsafe { tier.load_f16_first(padded.as_ptr(), 1) };
        let mut back = [0_u16; 32];
        // SAFETY: there is room for 32.
        unsafe { tier.store_f16(back.as_mut_ptr(), whole) };
        let mut lanes = [0.0; 32];
        // SAFETY: there is room for 32.
        unsafe { tier.store(lanes.as_mut_ptr(), first) };
        *value = lanes[0];
        assert!(value.is_nan() || back[T::LANES - 1] == bits, "{bits:#x} {:#x}", back[0]);
        assert!(value.is_nan() || lanes[1] == 0.0);
    }
});

#[test]
fn every_half_widens_exactly_and_comes_back() {
    for isa in Isa::available() {
        let mut values = vec![0.0; 1 << 16];
        if halves(isa, &mut values) {
            for (bits, value) in values.into_iter().enumerate() {
                let expected = f16::from_bits(bits as u16).to_f32();
                assert!(value == expected || value.is_nan() && expected.is_nan(), "{isa} {bits:#x}: {value}");
            }
        }
    }
}

#[test]
fn tails_touch_only_their_lanes() {
    for isa in Isa::available() {
        for count in 0..40 {
            let mut values: Vec<f32> = (0..count).map(|index| index as f32).collect();
            // `in_place` would write past the end, or leave a value, if a tail were wrong.
            if tanh_all(isa, &mut values) {
                for (index, value) in values.iter().enumerate() {
                    assert!((value - (index as f32).tanh()).abs() < 1e-6, "{isa} {count}");
                }
            }
        }
    }
}
