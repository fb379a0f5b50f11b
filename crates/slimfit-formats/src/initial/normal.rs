//! Normally distributed values from bits, the same on every machine.
//!
//! The inverse of the normal distribution is computed by additions, multiplications, divisions and square roots alone.
//! IEEE 754 fixes their results to the last bit, and the compiler contracts none of them; the logarithm, which systems'
//! libraries compute differently, is a series of its own here.

/// The standard normal value at the middle of one of 2³² strips of equal probability: as far as 6.3 from 0. Strips `bits`
/// and `!bits` lie opposite each other.
///
/// The approximation is PPND16 of algorithm AS 241 (Wichura 1988), good to 1 part in 10¹⁶; its outermost range, past
/// 1.4e-11, is never reached.
pub(super) fn normal(bits: u32) -> f64 {
    let probability = (f64::from(bits) + 0.5) / STRIPS;
    let centred = probability - 0.5;
    if centred.abs() <= 0.425 {
        let square = 0.180625 - centred * centred;
        return centred * polynomial(&CENTRE_ABOVE, square) / polynomial(&CENTRE_BELOW, square);
    }
    let tail = if centred < 0.0 { probability } else { 1.0 - probability };
    let root = (-logarithm(tail)).sqrt() - 1.6;
    let value = polynomial(&TAIL_ABOVE, root) / polynomial(&TAIL_BELOW, root);
    if centred < 0.0 { -value } else { value }
}

const STRIPS: f64 = 4_294_967_296.0;

/// From the constant upwards.
fn polynomial(coefficients: &[f64; 8], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

/// Of a normal number above 0: that of its power of two, and 2·artanh((m − 1) / (m + 1)) of the rest, which lies between
/// the roots of ½ and 2, so that twelve terms leave 1e-19.
fn logarithm(number: f64) -> f64 {
    const EXPONENT_BITS: u64 = 0x7ff << 52;
    let bits = number.to_bits();
    let mut exponent = (bits >> 52 & 0x7ff) as i32 - 1023;
    let mut rest = f64::from_bits(bits & !EXPONENT_BITS | 1023 << 52);
    if rest > std::f64::consts::SQRT_2 {
        rest *= 0.5;
        exponent += 1;
    }
    let ratio = (rest - 1.0) / (rest + 1.0);
    let square = ratio * ratio;
    let series = ODD_SHARES.iter().rev().fold(0.0, |sum, share| sum * square + share);
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * ratio * series
}

/// 1, 1/3, 1/5, …
const ODD_SHARES: [f64; 12] = {
    let mut shares = [0.0; 12];
    let mut term = 0;
    while term < 12 {
        shares[term] = 1.0 / (2 * term + 1) as f64;
        term += 1;
    }
    shares
};

const CENTRE_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const TAIL_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const TAIL_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_library() {
        for step in 1..2000 {
            for scale in [1e-10, 1e-5, 1.0, 1e5] {
                let number = f64::from(step) * scale;
                let error = (logarithm(number) - number.ln()).abs();
                assert!(error <= 4e-16 * number.ln().abs().max(1.0), "{number}: {error:e}");
            }
        }
    }

    /// Percentage points as tables print them.
    #[test]
    fn values_are_those_of_the_tables() {
        for (probability, value) in [
            (0.5, 0.0),
            (0.841_344_746_068_542_9, 1.0),
            (0.975, 1.959_963_984_540_054),
            (0.977_249_868_051_820_8, 2.0),
            (0.998_650_101_968_37, 3.0),
            (0.999_968_328_758_166_9, 4.0),
            (0.999_999_713_348_428, 5.0),
        ] {
            let bits = (probability * STRIPS) as u32;
            // A strip is 1 / (2³² · density) wide.
            let density = (-value * value / 2.0_f64).exp() / 2.506_628_274_631;
            let strip = 1.0 / (STRIPS * density);
            assert!((normal(bits) - value).abs() <= strip + 1e-12, "{probability}: {}", normal(bits));
            assert_eq!(normal(!bits), -normal(bits));
        }
        assert!((normal(u32::MAX) - 6.34).abs() < 0.01, "{}", normal(u32::MAX));
    }

    #[test]
    fn values_rise_across_the_ranges_of_the_approximation() {
        for middle in [0, 322_122_547, 2_147_483_648, 3_972_844_748, u32::MAX - 2000] {
            let from = u32::saturating_sub(middle, 1000);
            for bits in from..from + 2000 {
                assert!(normal(bits) < normal(bits + 1), "{bits}");
            }
        }
    }
}
